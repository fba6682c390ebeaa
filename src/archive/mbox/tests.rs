//! Judged by the corpora beside the repository (../shared/corpora), by Python's `mailbox`, and by
//! the law that nothing is lost.

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::PathBuf;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

impl<T: AsRef<[u8]>> Input for Cursor<T> {}

fn limits(message_bytes: u64) -> Limits {
    Limits {
        message_bytes,
        ..Limits::default()
    }
}

fn read_with(bytes: &[u8], chunk: usize, limit: u64) -> Vec<RawMessage> {
    let window = Window::with_chunk(Cursor::new(bytes), chunk);
    let mut reader = Reader::new(window, "box".into(), &limits(limit));
    reader.origin = Some(Origin::file("box".into()));
    reader.map(Result::unwrap).collect()
}

fn read(bytes: &[u8]) -> Vec<RawMessage> {
    read_with(bytes, CHUNK, u64::MAX / 4)
}

fn joined(bytes: &[u8], messages: &[RawMessage]) -> Vec<u8> {
    let mut out = Vec::new();
    for message in messages {
        out.extend_from_slice(&message.lead);
        match &message.content {
            Content::Bytes(content) => out.extend_from_slice(content),
            Content::TooLarge { offset, len, .. } => {
                let start = usize::try_from(*offset).unwrap();
                out.extend_from_slice(&bytes[start..start + usize::try_from(*len).unwrap()]);
            }
        }
        out.extend_from_slice(&message.trail);
    }
    out
}

fn contents(bytes: &[u8]) -> Vec<String> {
    read(bytes)
        .iter()
        .map(|m| String::from_utf8_lossy(m.content.bytes().unwrap()).into_owned())
        .collect()
}

/// The corpora, or `None`, said aloud, where they are not beside the checkout.
fn corpora() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    let found = path.join("mailboxes.tsv").is_file();
    if !found {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "skipped: ../shared/corpora is absent");
    }
    found.then_some(path)
}

#[test]
fn the_corpora_hold_as_many_messages_as_their_authors_say() {
    let Some(corpora) = corpora() else { return };
    let table = std::fs::read_to_string(corpora.join("mailboxes.tsv")).unwrap();
    let mut seen = 0;
    for row in table.lines().skip(1) {
        let mut cells = row.split('\t');
        let (path, format, expected) = (
            cells.next().unwrap(),
            cells.next().unwrap(),
            cells.next().unwrap(),
        );
        if path.contains('*') || !format.starts_with("mbox") {
            continue;
        }
        let bytes = std::fs::read(corpora.join(path)).unwrap();
        assert!(sniff::is_mbox(&bytes), "{path}");
        let messages = read(&bytes);
        assert_eq!(messages.len().to_string(), expected, "{path}");
        assert_eq!(joined(&bytes, &messages), bytes, "{path}");
        assert_eq!(read_with(&bytes, 61, u64::MAX / 4), messages, "{path}");
        seen += 1;
    }
    assert!(seen >= 10, "{seen}");
    for entry in std::fs::read_dir(corpora.join("kde-mimetreeparser/testdata")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if path.extension().is_some_and(|e| e == "mbox") && sniff::is_mbox(&bytes) {
            // The table says one each; this one is three messages, each signed or encrypted.
            let expected = if path.ends_with("combined.mbox") {
                3
            } else {
                1
            };
            assert_eq!(read(&bytes).len(), expected, "{}", path.display());
        }
    }
}

/// A box whose messages lie on both sides of what 32 bits count; `tests/it/limits.rs` reads a file
/// that is really so long.
#[test]
fn offsets_past_four_gigabytes_are_right() {
    let text = format!("{EARLY}A: 1\n\none\n\n{SAME}B: 2\n\ntwo\n\n{LATE}C: 3\n\nthree\n");
    let expected: Vec<_> = read(text.as_bytes())
        .into_iter()
        .map(|message| (message.locator.offset, message.lead, message.content))
        .collect();
    assert_eq!(expected.len(), 3);
    for before in [1 << 31, (1 << 32) - 70, (1 << 32) - 1, 1 << 40] {
        for limit in [u64::MAX / 4, 4] {
            let window = Window::with_chunk(Cursor::new(&text), 61).beginning_at(before);
            let mut reader = Reader::new(window, "box".into(), &limits(limit));
            reader.origin = Some(Origin::file("box".into()));
            // Only the first message of a file is looked for at its very beginning.
            (reader.at, reader.ordinal) = (before, 1);
            let found: Vec<_> = reader.map(Result::unwrap).collect();
            assert_eq!(found.len(), 3, "{before}");
            for (message, (offset, lead, content)) in found.iter().zip(&expected) {
                assert_eq!(message.locator.offset, before + offset);
                assert_eq!(&message.lead, lead);
                assert_eq!(message.content.len(), content.len());
                match &message.content {
                    Content::TooLarge { offset: at, .. } => {
                        assert_eq!(*at, before + offset + lead.len() as u64);
                    }
                    bytes @ Content::Bytes(_) => assert_eq!(bytes, content),
                }
            }
        }
    }
}

const LATE: &str = "From b@c.d Fri Jul 17 09:00:00 1998\n";
const SAME: &str = "From a@b.c Thu Jul 16 03:13:49 1998\n";
const EARLY: &str = "From x@y.z Wed Jul  1 12:00:00 1998\n";

#[test]
fn the_parts_of_a_message_are_told_apart() {
    let bytes = format!("\n\n{SAME}Subject: a\nStatus: RO\n\nbody\n\n\n{LATE}X: b\n\n>From y\n");
    let messages = read(bytes.as_bytes());
    let [first, second] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    assert_eq!(first.lead, format!("\n\n{SAME}").as_bytes());
    assert_eq!(
        first.content.bytes().unwrap(),
        b"Subject: a\nStatus: RO\n\nbody\n\n"
    );
    assert_eq!(first.trail, b"\n");
    assert_eq!((first.locator.ordinal, first.locator.offset), (1, 2));
    assert_eq!(first.meta.flags, "RO");
    assert_eq!(
        crate::text::rfc3339(first.meta.received.unwrap()),
        "1998-07-16T03:13:49Z"
    );
    assert!(first.meta.quoting);
    assert_eq!(second.locator.offset, bytes.find("From b@").unwrap() as u64);
    assert_eq!(second.content.bytes().unwrap(), b"X: b\n\n>From y\n");
    assert_eq!(second.trail, b"");
}

#[test]
fn crlf_boxes_keep_their_line_ends() {
    let bytes = format!("{SAME}A: b\n\nx\n\n{LATE}A: c\n\ny\n\n").replace('\n', "\r\n");
    let messages = read(bytes.as_bytes());
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].content.bytes().unwrap(), b"A: b\r\n\r\nx\r\n");
    assert_eq!(
        (&messages[0].trail[..], &messages[1].trail[..]),
        (&b"\r\n"[..], &b"\r\n"[..])
    );
}

#[test]
fn prose_does_not_separate() {
    for text in [
        "From here on\nall: well",
        "From a@b.c Thu Jul 16 03:13:49 1998\nno header",
        "From: x\nTo: y",
    ] {
        let bytes = format!("{SAME}A: b\n\nSee:\n\n{text}\n\n{LATE}A: c\n\n");
        assert_eq!(read(bytes.as_bytes()).len(), 2, "{text}");
    }
    // Without a blank line before it, in a box that has them.
    let bytes = format!("{SAME}A: b\n\nSee:\n{EARLY}X: y\n\n{LATE}A: c\n\n");
    assert_eq!(read(bytes.as_bytes()).len(), 2);
}

#[test]
fn boxes_without_blank_lines_are_split() {
    let mut bytes = String::new();
    for n in 0..9 {
        let _ = write!(
            bytes,
            "{SAME}Subject: {n}\n\nbody{}\n",
            if n == 4 { "\n" } else { "" }
        );
    }
    assert_eq!(read(bytes.as_bytes()).len(), 9);
}

#[test]
fn boxes_without_dates_are_split() {
    let bytes = "From a\nA: b\n\nx\n\nFrom c\nA: d\n\nFrom here on\nX: y\n\nFrom e\nA: f\n\n";
    assert_eq!(read(bytes.as_bytes()).len(), 3);
    let bytes = format!("{SAME}A: b\n\nx\n\nFrom c\nA: d\n\n");
    assert_eq!(read(bytes.as_bytes()).len(), 1);
}

const MIXED: &str = "Content-Type: multipart/mixed;\n boundary=\"b\"\n\n";

#[test]
fn a_mailbox_in_a_closed_multipart_is_content() {
    let inner = format!("--b\nContent-Type: message/rfc822\n\n{EARLY}X: y\n\nz\n\n{EARLY}X: w\n\n");
    let bytes = format!("{SAME}{MIXED}{inner}--b--\n\n{LATE}A: c\n\n");
    let messages = read(bytes.as_bytes());
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].meta.enclosed_from_lines, 2);
    // Behind the closing delimiter everything separates again.
    let bytes = format!("{SAME}{MIXED}{inner}--b--\n\n{EARLY}A: c\n\n");
    assert_eq!(read(bytes.as_bytes()).len(), 2);
    // A longer boundary is another one.
    let bytes = format!("{SAME}{MIXED}{inner}--bb--\n\n{LATE}A: c\n\n");
    assert_eq!(read(bytes.as_bytes()).len(), 4);
}

#[test]
fn an_open_boundary_hides_nothing() {
    let open = format!("{SAME}{MIXED}--b\nContent-Type: message/rfc822\n\n");
    // Never closed.
    assert_eq!(
        read(format!("{open}\n{EARLY}A: b\n\n{LATE}A: c\n\n").as_bytes()).len(),
        3
    );
    // Closed by an accomplice, in order of delivery.
    assert_eq!(
        read(format!("{open}\n{LATE}A: b\n\n{LATE}A: c\n\n--b--\n\n").as_bytes()).len(),
        3
    );
    assert_eq!(
        read(format!("{open}\n{SAME}A: b\n\n{SAME}A: c\n\n--b--\n\n").as_bytes()).len(),
        3
    );
    // Closed in the very message it would hide.
    assert_eq!(
        read(format!("{open}\n{LATE}A: b\n\n--b--\n\n").as_bytes()).len(),
        2
    );
    // One later message between is enough.
    assert_eq!(
        read(format!("{open}\n{EARLY}A: b\n\n{LATE}A: c\n\n--b--\n\n").as_bytes()).len(),
        3
    );
    // More than a message plausibly quotes.
    for (quoted, expected) in [(64, 1), (66, 67)] {
        let many = format!("{EARLY}A: b\n\n").repeat(quoted);
        assert_eq!(
            read(format!("{open}\n{many}--b--\n\n").as_bytes()).len(),
            expected
        );
    }
}

#[test]
fn included_messages_need_their_end_mark() {
    let begin = format!("{SAME}A: b\n\n----- Begin Included Message -----\n\n{EARLY}X: y\n\nz\n\n");
    let ended = format!("{begin}----- End Included Message -----\n\n{LATE}A: c\n\n");
    assert_eq!(read(ended.as_bytes()).len(), 2);
    assert_eq!(
        read(format!("{begin}{LATE}A: c\n\n----- End Included Message -----\n").as_bytes()).len(),
        3
    );
}

fn with_length(from: &str, body: &str) -> String {
    format!("{from}A: b\nContent-Length: {}\n\n{body}\n", body.len())
}

#[test]
fn content_length_is_believed_where_the_box_keeps_it() {
    let fake = format!("see\n\n{LATE}X: y\n\nz\n");
    let bytes = with_length(SAME, "one\n")
        + &with_length(SAME, &fake)
        + &with_length(SAME, "no line end\n");
    let messages = read(bytes.as_bytes());
    assert_eq!(messages.len(), 3);
    assert!(
        messages[1]
            .content
            .bytes()
            .unwrap()
            .ends_with(fake.as_bytes())
    );
    assert_eq!(
        messages.iter().map(|m| m.meta.quoting).collect::<Vec<_>>(),
        [false; 3]
    );
    assert_eq!(messages[1].meta.enclosed_from_lines, 1);
    // The first message too, if the next one carries it.
    let bytes = with_length(SAME, &fake) + &with_length(SAME, "two\n");
    assert_eq!(read(bytes.as_bytes()).len(), 2);
    // A body without a final line end is kept exactly.
    let bytes = with_length(SAME, "one") + "\n" + &with_length(SAME, "two") + "\n";
    assert_eq!(
        contents(bytes.as_bytes())[0],
        "A: b\nContent-Length: 3\n\none"
    );
}

#[test]
fn a_lying_content_length_hides_nothing() {
    let hidden = format!("{LATE}A: victim\n\nx\n\n");
    let body = format!("liar\n\n{hidden}{hidden}");
    // Up to a real From_ line, and up to the end; first, and behind others.
    for tail in [format!("{LATE}A: c\n\n"), String::new()] {
        let liar = format!("{SAME}Content-Length: {}\n\n{body}{tail}", body.len());
        let before = format!("{SAME}A: b\n\n");
        let rest = usize::from(!tail.is_empty());
        assert_eq!(read(liar.as_bytes()).len(), 3 + rest);
        assert_eq!(read((before + &liar).as_bytes()).len(), 4 + rest);
    }
    // A few that are true do not make it the box's way.
    let honest = with_length(SAME, "x\n").repeat(3);
    let without = format!("{SAME}A: b\n\n");
    let liar = format!(
        "{SAME}Content-Length: {}\n\n{body}{LATE}A: c\n\n",
        body.len()
    );
    assert_eq!(
        read(format!("{honest}{without}{liar}").as_bytes()).len(),
        3 + 1 + 4
    );
    // One that points nowhere, or past the end, or overflows.
    for length in ["3", "999999", "18446744073709551615", "999999999999999999"] {
        let bytes = format!("{SAME}Content-Length: {length}\n\nbody\n\n{LATE}A: c\n\n");
        assert_eq!(read(bytes.as_bytes()).len(), 2, "{length}");
    }
}

#[test]
fn what_is_too_large_to_hold_is_told_by_its_place() {
    let large = "x".repeat(100_000);
    let bytes = format!("{SAME}A: b\n\n{large}\n\n{LATE}A: c\n\ny\n\n");
    let messages = read_with(bytes.as_bytes(), 512, 1000);
    let [first, second] = messages.as_slice() else {
        panic!("{}", messages.len())
    };
    let offset = SAME.len() as u64;
    assert!(
        matches!(&first.content, Content::TooLarge { offset: o, len, .. } if *o == offset && *len == 100_007)
    );
    assert_eq!(second.content.bytes().unwrap(), b"A: c\n\ny\n");
    assert_eq!(joined(bytes.as_bytes(), &messages), bytes.as_bytes());
    let stream: Box<dyn ReadSend> = Box::new(Cursor::new(bytes.clone()));
    let mut reader = Reader::new(Window::with_chunk(stream, 512), "-".into(), &limits(1000));
    assert!(matches!(reader.next(), Some(Err(Error::Usage(_)))));
    assert!(reader.next().is_none());
}

#[test]
fn python_finds_the_same_messages() {
    let mut bytes = String::new();
    for n in 0..50 {
        let _ = write!(
            bytes,
            "{LATE}Subject: {n}\nMessage-ID: <{n}@x>\n\n>From {n}\n{}\n\n",
            "text\n".repeat(n % 7)
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    std::io::Write::write_all(&mut crate::fsio::create(&path).unwrap(), bytes.as_bytes()).unwrap();
    let script = "import mailbox,sys\nfor m in mailbox.mbox(sys.argv[1], create=False): print(len(m.as_bytes()), m['Message-ID'])";
    let Ok(python) = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(&path)
        .output()
    else {
        return crate::archive::tests::python_is_absent();
    };
    assert!(python.status.success());
    let mut ours = String::new();
    for (n, message) in read(bytes.as_bytes()).iter().enumerate() {
        let _ = writeln!(ours, "{} <{n}@x>", message.content.bytes().unwrap().len());
    }
    assert_eq!(ours, String::from_utf8(python.stdout).unwrap());
}

#[test]
fn growth_while_reading_is_noticed_and_cuts_no_message() {
    use std::io::Write as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    let mut file = crate::fsio::create(&path).unwrap();
    file.write_all(format!("{SAME}A: b\n\nx\n\n").as_bytes())
        .unwrap();
    let reader = Reader::open(&path, "box".into(), &Limits::default(), &|| false).unwrap();
    file.write_all(format!("{LATE}A: half a mess").as_bytes())
        .unwrap();
    let items: Vec<_> = reader.collect();
    let [Ok(first), Err(error)] = items.as_slice() else {
        panic!("{items:?}")
    };
    assert_eq!(first.content.bytes().unwrap(), b"A: b\n\nx\n");
    assert!(error.to_string().contains("changed while it was read"));
}

/// Doubling a hostile box must not cost much more than twice as much.
fn assert_linear(make: impl Fn(usize) -> Vec<u8>) {
    let time = |n| {
        let bytes = make(n);
        (0..3)
            .map(|_| {
                let start = Instant::now();
                assert!(!read(&bytes).is_empty());
                start.elapsed()
            })
            .min()
            .unwrap()
    };
    let (one, four) = (time(4000), time(16_000));
    assert!(
        four.as_secs_f64() < 10.0 * one.as_secs_f64() + 0.05,
        "{one:?} {four:?}"
    );
}

#[test]
fn hostile_boxes_cost_linear_time() {
    let date = |n: usize| {
        let minutes = 1_000_000 - n;
        format!(
            "From a@b.c Thu Jul {:2} {:02}:{:02}:00 {}\n",
            minutes / 1440 % 28 + 1,
            minutes / 60 % 24,
            minutes % 60,
            1970 + minutes / 40_320
        )
    };
    // Each message opens a boundary that none closes, each older than the one before.
    assert_linear(|n| {
        (0..n)
            .flat_map(|n| format!("{}{MIXED}--b\n\nx\n\n", date(n)).into_bytes())
            .collect()
    });
    // One message full of marks, each with its end.
    let included = format!(
        "----- Begin Included Message -----\n\n{EARLY}X: y\n\n----- End Included Message -----\n\n"
    );
    assert_linear(|n| format!("{SAME}{MIXED}{}", included.repeat(n)).into_bytes());
    // One message full of delimiters and From_ lines.
    assert_linear(|n| {
        format!(
            "{SAME}{MIXED}{}",
            format!("--bb\n--b\n\n{EARLY}X: y\n\n").repeat(n)
        )
        .into_bytes()
    });
    // Every message points with Content-Length at the last one.
    assert_linear(|n| {
        let one = SAME.len() + "Content-Length: 00000000\n\n\n".len();
        (0..n)
            .flat_map(|i| {
                format!("{SAME}Content-Length: {:08}\n\n\n", (n - 1 - i) * one).into_bytes()
            })
            .collect()
    });
}

fn fragment() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(SAME.as_bytes().to_vec()),
        Just(LATE.as_bytes().to_vec()),
        Just(EARLY.as_bytes().to_vec()),
        Just(EARLY.replace('\n', "\r\n").into_bytes()),
        Just(b"From x\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"A: b\n".to_vec()),
        Just(MIXED.as_bytes().to_vec()),
        Just(b"--b\n".to_vec()),
        Just(b"--b--\n".to_vec()),
        Just(format!("\n{BEGIN}\n\n").into_bytes()),
        Just(format!("{END}\n").into_bytes()),
        (0_u32..300).prop_map(|n| format!("Content-Length: {n}\n").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

const BEGIN: &str = "----- Begin Included Message -----";
const END: &str = "----- End Included Message -----";

proptest! {
    #[test]
    fn nothing_is_lost_however_it_is_read(parts in proptest::collection::vec(fragment(), 0..60), chunk in 1_usize..200, limit in 0_u64..500) {
        let bytes = parts.concat();
        let messages = read(&bytes);
        prop_assert_eq!(&joined(&bytes, &messages), &bytes);
        prop_assert_eq!(&read_with(&bytes, chunk, u64::MAX / 4), &messages);
        prop_assert_eq!(&joined(&bytes, &read_with(&bytes, chunk, limit)), &bytes);
        for (n, message) in messages.iter().enumerate() {
            prop_assert_eq!(message.locator.ordinal, n as u64 + 1);
            prop_assert_eq!(message.locator.bytes, message.content.len());
        }
    }
}

/// An mbox on a disk that fails somewhere.
struct Patchy {
    bytes: Cursor<Vec<u8>>,
    unread: Vec<std::ops::Range<u64>>,
}

impl std::io::Read for Patchy {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(space)
    }
}

impl Input for Patchy {
    fn unread(&self) -> &[std::ops::Range<u64>] {
        &self.unread
    }
}

#[test]
fn where_a_disk_fails_the_messages_that_are_whole_are_read() {
    let mut whole = Vec::new();
    for n in 0..8 {
        let body = "line\n".repeat(n * 3 % 7);
        whole.push(format!(
            "From a@x Thu Jan  1 00:00:0{n} 2015\nA: {n}\n\n{body}\n"
        ));
    }
    let bytes = whole.concat().into_bytes();
    for (start, len) in (0..bytes.len()).flat_map(|at| [(at, 1), (at, 16), (at, 100)]) {
        let hole = start..(start + len).min(bytes.len());
        let mut damaged = bytes.clone();
        damaged[hole.clone()].fill(b'\n');
        let input = Patchy {
            bytes: Cursor::new(damaged),
            unread: std::iter::once(hole.start as u64..hole.end as u64).collect(),
        };
        let reader = Reader::new(Window::with_chunk(input, 50), "box".into(), &limits(999));
        let (read, lost): (Vec<_>, Vec<_>) = reader.partition(Result::is_ok);
        assert_eq!(lost.len(), 1, "{hole:?}");
        let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
        let ordinals: Vec<_> = read.iter().map(|raw| raw.locator.ordinal).collect();
        assert_eq!(ordinals, (1..=read.len() as u64).collect::<Vec<_>>());
        let mut at = 0;
        let mut expected: Vec<&String> = Vec::new();
        for message in &whole {
            let place = at..at + message.len();
            at = place.end;
            // Where the line that separates it from the next cannot be read, nobody sees its end.
            if place.end + 40 <= hole.start || hole.end <= place.start {
                expected.push(message);
            }
        }
        let mut texts = read
            .iter()
            .map(|raw| joined(&bytes, std::slice::from_ref(raw)));
        for message in expected {
            assert!(
                texts.any(|text| text == message.as_bytes()),
                "{hole:?} {message}"
            );
        }
        for raw in &read {
            let start = usize::try_from(raw.locator.offset).unwrap();
            let place = start..start + raw.content.bytes().unwrap().len();
            assert!(
                place.end <= hole.start || hole.end <= place.start,
                "{hole:?}"
            );
        }
    }
}
