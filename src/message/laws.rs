//! What must hold across the files of this folder: laws, and judges from outside.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::headers::Headers;
use super::parts::{Note, Tree, collides, parse, parse_entity};
use super::rewrite::{Piece, apply, len, replace_part, replace_root, wrap_as_rfc822};
use super::transfer::{Encoding, decode};
use crate::limits::{Budget, Limits};

fn budget() -> Budget {
    Budget::new(&Limits::default())
}

pub(super) fn tree(message: &[u8]) -> Tree<'_> {
    let tree = parse(message, &mut budget());
    check_shape(&tree);
    tree
}

/// What every tree promises, however odd the message.
fn check_shape(tree: &Tree<'_>) {
    for (index, part) in tree.parts.iter().enumerate() {
        assert!(part.entity.start <= part.entity.end && part.entity.end <= tree.bytes.len());
        assert!(part.body.start <= part.body.end && part.body.end == part.entity.end);
        assert!(part.entity.start <= part.body.start);
        assert!(part.message <= index);
        for child in &part.children {
            assert!(*child > index);
            assert_eq!(tree.parts[*child].parent, Some(index));
            assert_eq!(tree.parts[*child].depth, part.depth + 1);
            let inner = &tree.parts[*child].entity;
            assert!(part.body.start <= inner.start && inner.end <= part.body.end);
        }
        let headers = tree.headers(part);
        assert_eq!(
            part.entity.start + headers.body_start(),
            part.body.start,
            "{}",
            part.section
        );
    }
}

/// `section kind body` of every part.
fn outline(message: &[u8]) -> Vec<String> {
    let tree = tree(message);
    let line = |part: &super::parts::Part| {
        let body = if part.children.is_empty() {
            String::from_utf8_lossy(tree.body(part)).into_owned()
        } else {
            String::new()
        };
        format!("{} {} {body:?}", part.section, part.content_type.kind)
    };
    tree.parts.iter().map(line).collect()
}

#[test]
fn signed_bytes_end_before_the_line_end_of_the_boundary() {
    for ending in ["\n", "\r\n"] {
        let message = "Content-Type: multipart/signed; micalg=sha-256; protocol=x/y; boundary=b\n\npre\n--b\nA: 1\n\nbody\n\n--b  \nContent-Type: x/y\n\nsig\n--b--\nepilogue\n"
            .replace('\n', ending);
        let tree = tree(message.as_bytes());
        let entity = |at: usize| std::str::from_utf8(tree.entity(&tree.parts[at])).unwrap();
        assert_eq!(entity(1), "A: 1\n\nbody\n".replace('\n', ending));
        assert_eq!(entity(2), "Content-Type: x/y\n\nsig".replace('\n', ending));
        assert_eq!(tree.parts[0].content_type.param("protocol"), Some("x/y"));
        assert_eq!(tree.parts[0].note, None);
        assert_eq!(tree.parts.len(), 3);
    }
}

#[test]
fn structure_is_read_as_mail_programs_read_it() {
    let ct = |boundary: &str| format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\n");
    // A boundary that begins with another one.
    let message = format!(
        "{}--ab\n{}--abc\n\n1\n--abc--\n--ab\n\n2\n--ab--\n",
        ct("ab"),
        ct("abc")
    );
    assert_eq!(
        outline(message.as_bytes()),
        [
            " multipart/mixed \"\"",
            "1 multipart/mixed \"\"",
            "1.1 text/plain \"1\"",
            "2 text/plain \"2\""
        ]
    );
    // An inner one that is never closed.
    let message = format!("{}--o\n{}--i\n\n1\n--o\n\n2", ct("o"), ct("i"));
    assert_eq!(
        outline(message.as_bytes()),
        [
            " multipart/mixed \"\"",
            "1 multipart/mixed \"\"",
            "1.1 text/plain \"1\"",
            "2 text/plain \"2\""
        ]
    );
    assert_eq!(tree(message.as_bytes()).parts[1].note, Some(Note::Unclosed));
    // The same boundary inside and outside: nothing is lost.
    let message = format!(
        "{}--b\n{}--b\n\n1\n--b--\n--b\n\n2\n--b--\n",
        ct("b"),
        ct("b")
    );
    assert_eq!(
        outline(message.as_bytes()),
        [
            " multipart/mixed \"\"",
            "1 multipart/mixed \"\"",
            "1.1 text/plain \"1\"",
            "2 text/plain \"2\""
        ]
    );
    // Parts without header, body, blank line; a last one that runs to the end.
    let message = format!(
        "{}--b\n--b\n\n--b\nX: y\n--b\nX: y\nbody\n--b\nno header\n--b\n\nlast\n",
        ct("b")
    );
    assert_eq!(
        outline(message.as_bytes()),
        [
            " multipart/mixed \"\"",
            "1 text/plain \"\"",
            "2 text/plain \"\"",
            "3 text/plain \"\"",
            "4 text/plain \"body\"",
            "5 text/plain \"no header\"",
            "6 text/plain \"last\\n\""
        ]
    );
    for bad in [
        "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\nx\n--",
        "Content-Type: multipart/mixed\n\n--\n\nx",
    ] {
        assert_eq!(tree(bad.as_bytes()).parts[0].note, Some(Note::NoBoundary));
        assert_eq!(tree(bad.as_bytes()).parts.len(), 1);
    }
}

#[test]
fn an_attached_message_that_never_begins_lies_within_its_part() {
    for (head, end) in [
        ("message/rfc822\n\n", 2),
        ("message/rfc822\n\nContent-Type: message/rfc822\n\n", 3),
    ] {
        let message = format!(
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: {head}--b--\n"
        );
        let tree = tree(message.as_bytes());
        assert_eq!(tree.parts.len(), end + 1);
        assert!(tree.body(&tree.parts[end]).is_empty());
    }
}

#[test]
fn attached_messages_have_imap_sections() {
    let message = b"Content-Type: multipart/mixed; boundary=o\n\n\
        --o\nContent-Type: message/rfc822\n\nSubject: s\n\nsingle\n\
        --o\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\nx\n--i--\n\
        --o\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogcw==\n\
        --o\nContent-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: t\n\ny\n--d--\n--o--\n";
    let tree = tree(message);
    let sections: Vec<_> = tree
        .parts
        .iter()
        .map(|part| {
            (
                part.section.as_str(),
                part.content_type.kind.as_str(),
                part.message,
            )
        })
        .collect();
    assert_eq!(
        sections,
        [
            ("", "multipart/mixed", 0),
            ("1", "message/rfc822", 0),
            ("1.1", "text/plain", 2),
            ("2", "message/rfc822", 0),
            ("2", "multipart/mixed", 4),
            ("2.1", "text/plain", 4),
            ("3", "message/rfc822", 0),
            ("4", "multipart/digest", 0),
            ("4.1", "message/rfc822", 0),
            ("4.1.1", "text/plain", 9),
        ]
    );
    assert_eq!(tree.parts[6].note, Some(Note::EncodedMessage));
    assert_eq!(tree.headers(&tree.parts[9]).text("subject"), "t");
    let root = b"Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\nx\n--i--\n";
    let sections: Vec<_> = parse(root, &mut budget())
        .parts
        .into_iter()
        .map(|part| part.section)
        .collect();
    assert_eq!(sections, ["", "1", "1.1"]);
}

fn corpora() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    if path.is_dir() {
        return Some(path);
    }
    say("skipped: ../shared/corpora is absent");
    None
}

/// Tests say what they skip where the runner shows it.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn read_everything(bytes: &[u8]) {
    let tree = tree(bytes);
    let headers = Headers::parse(bytes);
    for field in headers.fields() {
        let name = String::from_utf8_lossy(field.name);
        std::hint::black_box((headers.text(&name), headers.address_list(&name)));
    }
    std::hint::black_box((
        headers.date(),
        headers.received_time(),
        headers.message_id(),
    ));
    for part in &tree.parts {
        let _ = std::hint::black_box(decode(part.encoding, tree.body(part)));
        let pieces = replace_part(bytes, part, b"X: y\n\nz");
        assert_eq!(apply(bytes, &pieces).len(), len(&pieces));
    }
    let pieces = replace_root(bytes, &headers, b"Content-Type: a/b\n\nz");
    assert!(apply(bytes, &pieces).ends_with(b"z"));
}

#[test]
fn no_file_of_the_corpora_panics_whole_or_cut() {
    let Some(corpora) = corpora() else { return };
    let mut files = 0;
    for entry in walkdir::WalkDir::new(corpora)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|e| e.file_type().is_file())
    {
        let bytes = std::fs::read(entry.path()).unwrap();
        read_everything(&bytes);
        // Large files are mailboxes and key lists; their heads show as much.
        let head = &bytes[..bytes.len().min(40_000)];
        for i in 0..200 {
            tree(&head[..head.len() * i / 200]);
        }
        files += 1;
    }
    assert!(files > 100);
}

/// Python's view of a message: for each part in preorder its type and the length of its body
/// without line ends, because Python changes them.
const JUDGE: &str = r"
import sys, email, email.policy
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.compat32)
def walk(part):
    payload = part._payload  # as it came: get_payload() decodes 8-bit text
    leaf = isinstance(payload, str)
    text = payload.encode('ascii', 'surrogateescape') if leaf else b''
    print(part.get_content_type(), len(text.replace(b'\r', b'').replace(b'\n', b'')) if leaf else -1)
    if not leaf:
        for child in payload:
            walk(child)
walk(message)
";

fn python(message: &[u8]) -> Option<String> {
    let child = Command::new("python3")
        .args(["-c", JUDGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        say("skipped: python3 is not installed");
        assert_ne!(
            std::env::var("P7MILL_REQUIRE_PEERS").as_deref(),
            Ok("1"),
            "python3 is required"
        );
        return None;
    };
    child.stdin.take().unwrap().write_all(message).unwrap();
    Some(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap())
}

fn ours(message: &[u8]) -> String {
    let tree = tree(message);
    tree.parts.iter().fold(String::new(), |mut out, part| {
        let text = tree
            .body(part)
            .iter()
            .filter(|byte| !matches!(byte, b'\r' | b'\n'))
            .count();
        let size = if part.children.is_empty() {
            i64::try_from(text).unwrap()
        } else {
            -1
        };
        let _ = writeln!(out, "{} {size}", part.content_type.kind);
        out
    })
}

#[test]
fn python_sees_the_same_parts() {
    let nested = b"Content-Type: multipart/mixed; boundary=\"o o\"\r\n\r\npre\r\n--o o\r\nContent-Type: multipart/alternative;\r\n boundary*0=i; boundary*1=j\r\n\r\n--ij\r\n\r\na\r\n--ij\r\nContent-Type: text/html\r\n\r\nb\r\n--ij--\r\n\r\n--o o\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n--o o--\r\nepilogue";
    match python(nested) {
        Some(judged) => assert_eq!(ours(nested), judged),
        None => return,
    }
    let Some(corpora) = corpora() else { return };
    let mut compared = 0;
    for entry in walkdir::WalkDir::new(corpora)
        .into_iter()
        .filter_map(Result::ok)
    {
        if entry
            .path()
            .extension()
            .is_none_or(|extension| extension != "eml" && extension != "msg")
        {
            continue;
        }
        let bytes = std::fs::read(entry.path()).unwrap();
        assert_eq!(
            Some(ours(&bytes)),
            python(&bytes),
            "{}",
            entry.path().display()
        );
        compared += 1;
    }
    assert!(compared > 10);
}

#[test]
fn a_decrypted_root_takes_the_place_of_the_encrypted_one() {
    let message = b"Received: x\r\nFrom: a\r\nContent-Type: application/pkcs7-mime;\r\n name=smime.p7m\r\nSubject: s\r\nContent-Transfer-Encoding: base64\r\nContent-Length: 9\r\nX-Last: z\r\n\r\nAAAA\r\n";
    let replaced = |entity: &[u8]| {
        let pieces = replace_root(message, &Headers::parse(message), entity);
        String::from_utf8(apply(message, &pieces)).unwrap()
    };
    assert_eq!(
        replaced(b"Content-Type: text/plain;\n charset=x\nSubject: inner\nContent-ID: <1>\n\nbody\nfrom\rhere"),
        "Received: x\r\nFrom: a\r\nMIME-Version: 1.0\r\nContent-Type: text/plain;\r\n charset=x\r\nContent-ID: <1>\r\nSubject: s\r\nContent-Length: 9\r\nX-Last: z\r\n\r\nbody\nfrom\rhere"
    );
    // Entities without a MIME header are all body, and nothing of them is lost.
    let head = "Received: x\r\nFrom: a\r\nMIME-Version: 1.0\r\nSubject: s\r\nContent-Length: 9\r\nX-Last: z\r\n\r\n";
    assert_eq!(replaced(b"\nbody"), format!("{head}body"));
    assert_eq!(
        replaced(b"Note: call me\n\nbody"),
        format!("{head}Note: call me\n\nbody")
    );
    assert_eq!(replaced(b"text"), format!("{head}text"));
    assert_eq!(replaced(b""), head);
    assert!(!replaced(b"Content-Type: a/b\rBcc: x\n\nb").contains("Bcc"));
    assert!(
        !replaced(b"Content-Type: a/b; c=d\re=f\n\nb")
            .replace("\r\n", "")
            .contains('\r')
    );
    let plain = |message: &[u8]| {
        apply(
            message,
            &replace_root(message, &Headers::parse(message), b"Content-Type: a/b\n\nc"),
        )
    };
    assert_eq!(
        plain(b"MIME-Version: 1.0\nFrom: a"),
        b"MIME-Version: 1.0\nFrom: a\nContent-Type: a/b\n\nc"
    );
    assert_eq!(
        plain(b"\nold"),
        b"MIME-Version: 1.0\nContent-Type: a/b\n\nc"
    );
    assert_eq!(plain(b""), b"MIME-Version: 1.0\nContent-Type: a/b\n\nc");
}

#[test]
fn an_entity_that_would_break_out_is_known() {
    let message = b"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\nx\n--i--\n--o--\n";
    let tree = tree(message);
    let part = tree.find("1.1").unwrap();
    for bad in ["--o", "a\n--o--", "\n--i \nb", "a\r\n--i--\r\n"] {
        assert!(collides(&tree, part, bad.as_bytes()), "{bad}");
    }
    for good in ["a --o", "--ox", "\n-- o", ""] {
        assert!(!collides(&tree, part, good.as_bytes()), "{good}");
    }
    // Its own boundary line would be awaited first, and take the neighbours in.
    let same = b"Content-Type: multipart/mixed;\n boundary=\"\\o\"\n\nx";
    assert!(collides(&tree, part, same));
    assert!(collides(&tree, part, &wrap_as_rfc822(same)));
    assert!(!collides(&tree, tree.find("1").unwrap(), b"--i"));
    assert!(!collides(&tree, tree.root().unwrap(), b"--o"));
}

#[test]
fn an_attached_message_is_declared_for_what_it_is() {
    let wrapped = |entity: &[u8]| String::from_utf8_lossy(&wrap_as_rfc822(entity)).into_owned();
    assert_eq!(
        wrapped(b"Content-Type: a/b\r\n\r\nx"),
        "Content-Type: message/rfc822\r\n\r\nContent-Type: a/b\r\n\r\nx"
    );
    assert_eq!(
        wrapped(b"just text"),
        "Content-Type: message/rfc822\n\n\njust text"
    );
    assert_eq!(
        wrapped(b"Note: text"),
        "Content-Type: message/rfc822\n\n\nNote: text"
    );
    assert_eq!(wrapped(b"\nbody"), "Content-Type: message/rfc822\n\n\nbody");
    assert!(wrapped("Subject: x\n\nä".as_bytes()).contains("Content-Transfer-Encoding: 8bit\n\n"));
    assert!(wrapped(b"Subject: x\n\na\0").contains("Content-Transfer-Encoding: binary\n\n"));
    for entity in [&b"Content-Type: a/b\n\nx"[..], b"just text", b"\nbody"] {
        let wrapped = wrap_as_rfc822(entity);
        let tree = parse_entity(&wrapped, &mut budget());
        assert!(entity.ends_with(tree.body(&tree.parts[1])) && tree.parts.len() == 2);
    }
}

/// Messages of nested multiparts, attached messages and odd leaves.
fn messages() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "(X: y\n){0,2}\n[a-c\n-]{0,12}",
        Just(String::new()),
        Just("\n".to_owned()),
        Just("Content-Type: a/b; name=x\n\nbody\n".to_owned()),
        "[a-z: \n-]{0,20}",
    ];
    let grown = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (
                "[b-e]",
                proptest::collection::vec(inner.clone(), 0..4),
                any::<bool>()
            )
                .prop_map(|(boundary, parts, closed)| {
                    let mut out =
                        format!("Content-Type: multipart/mixed; boundary={boundary}\n\npre");
                    for part in parts {
                        let _ = write!(out, "\n--{boundary}\n{part}");
                    }
                    if closed {
                        let _ = write!(out, "\n--{boundary}--\nepilogue");
                    }
                    out
                }),
            inner.prop_map(|message| format!("Content-Type: message/rfc822\n\n{message}")),
        ]
    });
    (grown, any::<bool>()).prop_map(|(text, crlf)| {
        if crlf {
            text.replace('\n', "\r\n")
        } else {
            text
        }
    })
}

/// Found by fuzzing: what a reader would take for a second Content-Type, and what would become text.
#[test]
fn replacing_the_root_leaves_no_field_and_no_line_over() {
    let entity = b"Content-Type: x/y\n\nbody";
    for before in [
        "From: a@b.c\nConten\x01\0t-Type: text/html\n\nold\n",
        "From: a@b.c\nContent-Type: text/html\nContent\x7f-Type: text/plain\n\nold\n",
        "Content-Type: text/html\nFrom: a@b.c\n--no-field\nContent-Transfer-Encoding: 8bit\n\nold\n",
        "Content-Type: text/html\n--no-field\nContent-Language: en\nFrom: a@b.c\n\nold\n",
        "--no-field\nContent-Language: en\nFrom: a@b.c\nX: y\n\nold\n",
        "Content-Type: text/html\nX: y\nno-field\rFrom: a@b.c\nContent-Language: en\n\nold\n",
        "Content-Type: text/html\nX: y\nno-field\rZ: z\rFrom: a@b.c\nContent-Language: en\n\nold\n",
        "Content-Type: text/html\nno-field\rFrom: a@b.c\nContent-Language: en\n\nold\n",
    ] {
        let headers = Headers::parse(before.as_bytes());
        let changed = apply(
            before.as_bytes(),
            &replace_root(before.as_bytes(), &headers, entity),
        );
        let after = Headers::parse(&changed);
        let shown = String::from_utf8_lossy(&changed);
        assert_eq!(after.count("content-type"), 1, "{shown}");
        assert_eq!(after.first("content-type"), Some(&b"x/y"[..]), "{shown}");
        if headers.count("from") == 1 {
            assert_eq!(after.count("from"), 1, "{shown}");
            assert_eq!(&changed[after.body_start()..], b"body", "{shown}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn replacing_a_part_leaves_every_other_byte_alone(message in messages(), new in messages()) {
        let bytes = message.as_bytes();
        let before = tree(bytes);
        for (index, part) in before.parts.iter().enumerate() {
            if collides(&before, part, new.as_bytes()) {
                continue;
            }
            let pieces = replace_part(bytes, part, new.as_bytes());
            let changed = apply(bytes, &pieces);
            prop_assert!(changed.starts_with(&bytes[..part.entity.start]));
            prop_assert!(changed.ends_with(&bytes[part.entity.end..]));
            for piece in &pieces {
                if let Piece::Source(range) = piece {
                    let inside = range.start < part.entity.end && range.end > part.entity.start;
                    prop_assert!(!inside || part.entity.is_empty());
                }
            }
            let after = tree(&changed);
            prop_assert_eq!(
                String::from_utf8_lossy(after.entity(&after.parts[index])),
                new.as_str(),
                "part {} of {:?}", index, message
            );
            // The parts before it are where they were, with the bytes they had.
            for (old, new) in before.parts.iter().zip(&after.parts).take(index) {
                prop_assert_eq!(old.entity.start, new.entity.start);
                prop_assert_eq!(&old.section, &new.section);
            }
        }
    }

    #[test]
    fn replacing_the_root_keeps_the_other_fields(message in messages(), body in "[a-z\n]{0,20}") {
        let bytes = message.as_bytes();
        let headers = Headers::parse(bytes);
        let entity = format!("Content-Type: x/y\nContent-Transfer-Encoding: 8bit\n\n{body}");
        let changed = apply(bytes, &replace_root(bytes, &headers, entity.as_bytes()));
        let after = Headers::parse(&changed);
        let others = |headers: &Headers<'_>| {
            headers
                .fields()
                .filter(|field| !field.is("mime-version") && !field.name.to_ascii_lowercase().starts_with(b"content-"))
                .map(|field| (field.name.to_vec(), field.value.to_vec()))
                .collect::<Vec<_>>()
        };
        prop_assert_eq!(others(&headers), others(&after));
        prop_assert_eq!(after.count("content-type"), 1);
        prop_assert_eq!(after.count("mime-version"), 1);
        prop_assert_eq!(&changed[after.body_start()..], body.as_bytes());
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_everything(&bytes);
        tree(&[b"Content-Type: multipart/mixed; boundary=b\n\n--b\n", &bytes[..]].concat());
    }

    #[test]
    fn mail_like_bytes_never_panic(message in "(Content-Type: (multipart/[a-z]{1,9}; boundary=b|message/rfc822)|From: [a-z@<>,\"]{0,9}|X|--b(--)?|[ \t]|\r?\n|\r|:|\0){0,60}") {
        read_everything(message.as_bytes());
        parse_entity(message.as_bytes(), &mut budget());
    }

    #[test]
    fn unknown_encodings_are_never_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        prop_assert!(decode(Encoding::Unknown, &bytes).is_err());
    }
}
