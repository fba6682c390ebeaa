//! One message that asks for more than any honest one: it alone is `refused`, in time and memory
//! that its size bounds, and everything else goes on. Times are printed; what decides is what was
//! found and how much memory it took.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use p7mill::cms::ber::tag;
use p7mill::cms::{RecipientId, build, der, oid};

use crate::support::table::{Row, rows};
use crate::support::tools::{LATER, Pki, openssl};
use crate::support::{Ran, Sandbox, repository};

const FIELDS: &str =
    "From: olga@example.org\r\nTo: otto@example.org\r\nSubject: much\r\nMIME-Version: 1.0\r\n";

/// What became of one message in a whole run with keys: outcome and reason.
fn outcome(name: &str, message: &[u8]) -> (String, String) {
    let sandbox = Sandbox::with_sample();
    sandbox.write("in/mail.eml", message);
    let begun = Instant::now();
    let ran = sandbox.line("decrypt in --keys sample-data/keys --out OUT");
    println!("{name}: {} bytes, {:?}", message.len(), begun.elapsed());
    assert!(!ran.stderr.contains("internal error"), "{}", ran.stderr);
    let written = fs::read(sandbox.path().join("OUT/in/mail.eml")).expect("it was copied");
    assert!(
        written == message,
        "{name}: a message that is refused stays as it was"
    );
    let row = &rows(&sandbox.path().join("OUT/report/messages.csv"))[0];
    assert_eq!(ran.code, Some(3), "{name}: {row:?}");
    (row.at("outcome").to_owned(), row.at("reason").to_owned())
}

fn refused(reason: &str) -> (String, String) {
    ("refused".to_owned(), reason.to_owned())
}

/// Something that makes the message worth looking into.
const LEAF: &str = "Content-Type: application/octet-stream\r\n\r\nx\r\n";

#[test]
fn nesting_a_hundred_thousand_deep_is_cut_at_the_cap() {
    let mut multiparts = FIELDS.to_owned();
    for level in 0..100_000 {
        write!(
            multiparts,
            "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
        )
        .unwrap();
    }
    multiparts.push_str(LEAF);
    assert_eq!(
        outcome("multiparts", multiparts.as_bytes()),
        refused("limit-depth")
    );
    let messages = format!(
        "{FIELDS}{}{LEAF}",
        "Content-Type: message/rfc822\r\n\r\n".repeat(100_000)
    );
    assert_eq!(
        outcome("messages", messages.as_bytes()),
        refused("limit-depth")
    );
}

#[test]
fn a_million_parts_are_cut_at_the_cap() {
    let parts = "--b\r\n\r\n\r\n".repeat(1_000_000);
    let message = format!(
        "{FIELDS}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{LEAF}{parts}--b--\r\n"
    );
    assert_eq!(outcome("parts", message.as_bytes()), refused("limit-parts"));
}

#[test]
fn a_header_of_fifty_megabytes_is_refused() {
    let header = "X-Filler: 0123456789012345678901234567890123456789\r\n".repeat(1 << 20);
    let message = format!("{FIELDS}{header}{LEAF}");
    assert_eq!(
        outcome("header", message.as_bytes()),
        refused("limit-header")
    );
}

/// Within the limits, odd as it is: the message is read to its end, and nothing is in it.
#[test]
fn a_hundred_thousand_parameters_are_read() {
    let parameters: String = (0..100_000).map(|n| format!("; p{n}*0=\"x\"")).collect();
    let message = format!(
        "{FIELDS}Content-Type: multipart/mixed{parameters}; boundary=b\r\n\r\n--b\r\n{LEAF}--b--\r\n"
    );
    let sandbox = Sandbox::with_sample();
    sandbox.write("in/mail.eml", &message);
    sandbox
        .line("decrypt in --keys sample-data/keys --out OUT")
        .expect(0);
    assert!(fs::read(sandbox.path().join("OUT/in/mail.eml")).unwrap() == message.as_bytes());
}

fn indefinite(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag, 0x80][..], body, &[0, 0]].concat()
}

fn content_info(kind: oid::Oid<'_>, body: &[u8]) -> Vec<u8> {
    indefinite(
        0x30,
        &[der::oid(kind), indefinite(0xa0, &indefinite(0x30, body))].concat(),
    )
}

fn signed_data(content: &[u8], certificates: &[u8], signers: &[u8]) -> Vec<u8> {
    let body = [
        &[2, 1, 1, 0x31, 0][..],
        content,
        certificates,
        &indefinite(0x31, signers),
    ];
    content_info(oid::SIGNED_DATA, &body.concat())
}

fn binary(kind: &str, object: &[u8]) -> Vec<u8> {
    let head = format!(
        "{FIELDS}Content-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\r\n\
         Content-Transfer-Encoding: binary\r\n\r\n"
    );
    [head.as_bytes(), object].concat()
}

#[test]
fn certificates_signers_and_recipients_without_number_are_refused() {
    let content = der::sequence(&[&der::oid(oid::DATA)]);
    let certificates = |count| indefinite(0xa0, &indefinite(0x30, &[5, 0]).repeat(count));
    let sha256 = der::algorithm(oid::SHA256, None);
    let ski = der::element(0x80, &[&[1, 2, 3]]);
    let value = der::octet_string(&[9; 8]);
    let signer = der::sequence(&[
        &der::integer(3),
        &ski,
        &sha256,
        &build::algorithm_rsa_pkcs1(),
        &value,
    ]);
    for (name, certificates, signers, reason) in [
        (
            "1,001 certificates",
            certificates(1_001),
            Vec::new(),
            "limit-certificates",
        ),
        (
            "100,000 certificates",
            certificates(100_000),
            Vec::new(),
            "limit-certificates",
        ),
        (
            "101 signers",
            Vec::new(),
            signer.repeat(101),
            "limit-signers",
        ),
        (
            "100,000 signers",
            Vec::new(),
            signer.repeat(100_000),
            "limit-signers",
        ),
    ] {
        let message = binary(
            "signed-data",
            &signed_data(&content, &certificates, &signers),
        );
        assert_eq!(outcome(name, &message), refused(reason), "{name}");
    }
    // Past what is held in lists at all.
    let message = binary(
        "signed-data",
        &signed_data(&content, &certificates(1_000_000), &[]),
    );
    let malformed = ("malformed".to_owned(), "cms-malformed".to_owned());
    assert_eq!(outcome("a million certificates", &message), malformed);

    let recipient = build::ktri(
        &RecipientId::Ski((&[1][..]).into()),
        &build::algorithm_rsa_pkcs1(),
        &[0; 16],
    );
    let encrypted = [
        der::oid(oid::DATA),
        der::algorithm(oid::AES128_CBC, Some(&der::octet_string(&[0; 16]))),
        der::element(0x80, &[&[7; 32]]),
    ];
    let encrypted = der::sequence(&[&encrypted.concat()]);
    for count in [10_001, 100_000] {
        let recipients = indefinite(0x31, &recipient.repeat(count));
        let object = content_info(
            oid::ENVELOPED_DATA,
            &[&[2, 1, 2][..], &recipients, &encrypted].concat(),
        );
        let message = binary("enveloped-data", &object);
        assert_eq!(
            outcome("recipients", &message),
            refused("limit-recipients"),
            "{count}"
        );
    }
}

#[test]
fn one_pathological_message_among_thousands_is_refused_with_few_descriptors() {
    let mut mailbox = String::new();
    let parts = "--b\n\n\n".repeat(11_000);
    let hostile = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/octet-stream\n\nx\n{parts}--b--\n"
    );
    for n in 0..3_000 {
        let body = if n == 1_234 {
            hostile.as_str()
        } else {
            "Content-Type: text/plain\n\nhello\n"
        };
        write!(
            mailbox,
            "From a@b.c Thu Jul 16 03:13:49 1998\nFrom: a@b.c\nMessage-ID: <{n}@b.c>\n{body}\n"
        )
        .unwrap();
    }
    let sandbox = Sandbox::with_sample();
    sandbox.write("in/box", &mailbox);
    // A Maildir as well: a file a message.
    for n in 0..500 {
        sandbox.write(
            &format!("in/dir/cur/{n}.x:2,S"),
            format!("From: a@b.c\n\n{n}\n"),
        );
    }
    fs::create_dir_all(sandbox.path().join("in/dir/new")).unwrap();
    let program = sandbox.command([
        "decrypt",
        "in",
        "--out",
        "OUT",
        "--keys",
        "sample-data/keys",
    ]);
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args());
    let output = shell
        .env_clear()
        .current_dir(sandbox.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let messages = rows(&sandbox.path().join("OUT/report/messages.csv"));
    assert_eq!(messages.len(), 3_500);
    let others: Vec<&Row> = messages
        .iter()
        .filter(|row| row.at("outcome") != "plain")
        .collect();
    let [alone] = &others[..] else {
        panic!("{others:?}")
    };
    assert_eq!(
        (
            alone.at("outcome"),
            alone.at("reason"),
            alone.number("ordinal")
        ),
        ("refused", "limit-parts", 1_235)
    );
    assert!(fs::read(sandbox.path().join("OUT/in/box")).unwrap() == mailbox.as_bytes());
}

#[test]
fn names_that_are_not_utf8_are_processed_and_come_back() {
    use std::ffi::OsStr;
    let sandbox = Sandbox::new();
    let folder = sandbox.path().join(OsStr::from_bytes(b"in/K\xe4se\x01"));
    fs::create_dir_all(&folder).unwrap();
    let sample = fs::read(repository().join("sample-data/archive/Board.mbox")).unwrap();
    let names: [&[u8]; 3] = [b"Gr\xfc\xdfe", b"per%cent\nline", b"\xff\xfe,\"=1+1"];
    for name in names {
        fs::write(folder.join(OsStr::from_bytes(name)), &sample).unwrap();
    }
    let odd = b"From a@b.c Thu Jul 16 03:13:49 1998\nFrom: Bj\xf6rn <bj\xf6rn@b.c>\nSubject: \xff\xfe\x80 =?utf-8?B?/w==?=\n\nhi\n";
    fs::write(folder.join("odd"), odd).unwrap();
    let keys = repository().join("sample-data/keys");
    let ran = sandbox
        .run([
            "decrypt",
            "in",
            "--out",
            "OUT",
            "--keys",
            &keys.to_string_lossy(),
        ])
        .expect(3);
    assert!(std::str::from_utf8(ran.stdout.as_bytes()).is_ok());
    let files = rows(&sandbox.path().join("OUT/report/sources.csv"));
    let back: Vec<_> = files
        .iter()
        .map(|row| p7mill::text::unescape_path(row.at("path")))
        .collect();
    let opened = |path: &Path| fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    for name in names {
        let path = Path::new(OsStr::from_bytes(b"in/K\xe4se\x01")).join(OsStr::from_bytes(name));
        assert!(back.contains(&path), "{}: {back:?}", path.display());
        let out = opened(&sandbox.path().join("OUT").join(&path));
        assert!(!out.is_empty() && out != sample, "it was decrypted");
    }
    let path = Path::new(OsStr::from_bytes(b"in/K\xe4se\x01/odd"));
    assert_eq!(opened(&sandbox.path().join("OUT").join(path)), odd);
    assert!(
        p7mill::engine::check(&sandbox.path().join("OUT"))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_leads_elsewhere_is_listed_and_not_followed() {
    let sandbox = Sandbox::with_sample();
    let message = "From: a@b.c\nTo: d@e.f\n\nhello\n";
    sandbox.write(
        "outside/secret.eml",
        "From: a@b.c\nSubject: outside\n\nsecret\n",
    );
    sandbox.write("mail/one.eml", message);
    sandbox.write("mail/Dir/cur/1.a:2,S", message);
    fs::create_dir_all(sandbox.path().join("mail/Dir/new")).unwrap();
    let mail = sandbox.path().join("mail");
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, mail.join(at)).unwrap();
    link("../outside", "folder");
    link("../outside/secret.eml", "file.eml");
    link("../../../outside/secret.eml", "Dir/cur/2.a:2,S");
    link("..", "Dir/up");
    let make = |arguments: &[&str]| {
        let made = std::process::Command::new(arguments[0])
            .args(&arguments[1..])
            .current_dir(&mail)
            .output();
        made.is_ok_and(|output| output.status.success())
    };
    assert!(make(&["mkfifo", "pipe"]) && make(&["mkfifo", "Dir/cur/3.a:2,S"]));
    let devices = make(&["mknod", "zero", "c", "1", "5"])
        && make(&["mknod", "Dir/cur/4.a:2,S", "c", "1", "5"]);
    if !devices {
        println!("NOT SHOWN: devices, which only root can make");
    }
    let _socket = std::os::unix::net::UnixListener::bind(mail.join("socket")).unwrap();
    // The root itself may be a link.
    std::os::unix::fs::symlink("mail", sandbox.path().join("in")).unwrap();
    let ran: Ran = sandbox
        .run([
            "decrypt",
            "in",
            "--out",
            "OUT",
            "--keys",
            "sample-data/keys",
        ])
        .expect(3);
    assert!(!ran.stdout.contains("secret"));
    let files = rows(&sandbox.path().join("OUT/report/sources.csv"));
    let status = |name: &str| {
        let found = files.iter().find(|row| row.at("path").ends_with(name));
        found
            .unwrap_or_else(|| panic!("{name} is not listed: {files:?}"))
            .at("status")
            .to_owned()
    };
    let mut elsewhere = vec![
        "/folder",
        "/file.eml",
        "Dir/cur/2.a:2,S",
        "Dir/up",
        "/pipe",
        "Dir/cur/3.a:2,S",
        "/socket",
    ];
    if devices {
        elsewhere.extend(["/zero", "Dir/cur/4.a:2,S"]);
    }
    for name in elsewhere {
        assert!(
            status(name).starts_with("skipped"),
            "{name}: {}",
            status(name)
        );
    }
    let messages = rows(&sandbox.path().join("OUT/report/messages.csv"));
    assert_eq!(messages.len(), 2, "{messages:?}");
    let written = crate::support::trees::tree(&sandbox.path().join("OUT"));
    assert!(!format!("{written:?}").contains("secret"));
}

/// An mbox of more than 4 GiB, most of it a hole in the file: with `P7MILL_LARGE=1`, as it takes a
/// while to read. The arithmetic alone is tested always (`src/archive/mbox/tests.rs`).
#[test]
fn a_mailbox_of_more_than_four_gigabytes_has_right_offsets() {
    const FROM: &str = "From a@b.c Thu Jul 16 03:13:49 1998\n";
    use std::os::unix::fs::FileExt as _;
    if std::env::var_os("P7MILL_LARGE").is_none_or(|value| value != "1") {
        println!("NOT SHOWN: a file of 4 GiB, without P7MILL_LARGE=1");
        return;
    }
    let sandbox = Sandbox::new();
    let head = format!("{FROM}A: 1\n\none\n\n{FROM}B: 2\n\n");
    let tail = format!("\n\n{FROM}C: 3\n\nthree\n\n{FROM}D: 4\n\nfour\n");
    let file = fs::File::create_new({
        fs::create_dir_all(sandbox.path().join("in")).unwrap();
        sandbox.path().join("in/box")
    })
    .unwrap();
    let hole = (4_u64 << 30) + 12_345;
    file.write_all_at(head.as_bytes(), 0).unwrap();
    file.write_all_at(tail.as_bytes(), hole).unwrap();
    let begun = Instant::now();
    let (held, code) = peak(&sandbox, "scan in --report R");
    println!("4 GiB: {held} MiB held, {:?}", begun.elapsed());
    assert_eq!(code, Some(0));
    let messages = rows(&sandbox.path().join("R/messages.csv"));
    let offsets: Vec<u64> = messages.iter().map(|row| row.number("offset")).collect();
    let second = head.rfind(FROM).unwrap() as u64;
    let fourth = hole + tail.rfind(FROM).unwrap() as u64;
    assert_eq!(offsets, [0, second, hole + 2, fourth]);
    assert_eq!(messages[1].at("outcome"), "plain");
    assert!(held <= 512, "{held} MiB");
}

#[test]
fn a_declared_length_of_gigabytes_allocates_nothing() {
    for head in [
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff][..],
        &[0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        let object = [
            head,
            &der::oid(oid::SIGNED_DATA),
            &[0xa0, 0x84, 0x90, 0, 0, 0, 0x30, 0x80],
        ]
        .concat();
        let message = binary("signed-data", &object);
        let malformed = ("malformed".to_owned(), "cms-malformed".to_owned());
        assert_eq!(outcome("a declared length", &message), malformed);
        within("a declared length", &message, "sample-data/keys", 128);
    }
}

/// The most memory that a run held, in MiB (`VmHWM` of proc(5)), and its exit code.
pub(crate) fn peak(sandbox: &Sandbox, line: &str) -> (u64, Option<i32>) {
    let mut command = sandbox.command(line.split_whitespace());
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("p7mill starts");
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let held = text
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        most = most.max(held.unwrap_or(0));
        if let Some(ended) = child.try_wait().expect("p7mill can be waited for") {
            return (most >> 10, ended.code());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Bytes of the messages below, encoded: a little under what is read into memory at all.
const LARGE: usize = 100 << 20;

fn within(name: &str, message: &[u8], keys: &str, most: u64) {
    let sandbox = Sandbox::with_sample();
    sandbox.write("in/mail.eml", message);
    let begun = Instant::now();
    let (held, code) = peak(
        &sandbox,
        &format!("decrypt in --keys {keys} --out OUT --now {LATER}"),
    );
    let row = &rows(&sandbox.path().join("OUT/report/messages.csv"))[0];
    println!(
        "{name}: {} MiB held for {} MiB, exit {code:?}, {:?} {:?}, {:?}",
        held,
        message.len() >> 20,
        row.at("outcome"),
        row.at("reason"),
        begun.elapsed()
    );
    assert!(held <= most, "{name}: {held} MiB");
}

fn base64_lines(bytes: &[u8]) -> Vec<u8> {
    p7mill::message::transfer::base64_lines(bytes, p7mill::message::headers::LineEnding::CrLf)
}

#[test]
fn signed_layers_in_a_hundred_megabytes_stay_within_memory() {
    // Each layer in base64 inside the one around it, its content in pieces, so that every layer
    // costs a copy of what it holds.
    let mut entity = [
        &b"Content-Type: text/plain\r\n\r\n"[..],
        &vec![b'x'; LARGE * 27 / 64],
    ]
    .concat();
    for _ in 0..3 {
        let pieces: Vec<u8> = entity.chunks(1 << 16).flat_map(der::octet_string).collect();
        let content = [
            der::oid(oid::DATA),
            indefinite(0xa0, &indefinite(tag::OCTET_STRING_CONSTRUCTED, &pieces)),
        ]
        .concat();
        let object = signed_data(&indefinite(0x30, &content), &[], &[]);
        let head = "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n";
        entity = [head.as_bytes(), &base64_lines(&object)].concat();
    }
    let message = [FIELDS.as_bytes(), &entity].concat();
    drop(entity);
    within("three signed layers", &message, "sample-data/keys", 512);
}

#[test]
fn an_encrypted_message_of_a_hundred_megabytes_stays_within_memory() {
    let pki = Pki::new();
    pki.person("otto", "rsa", 7);
    let plain = [
        &b"Content-Type: text/plain\r\n\r\n"[..],
        &vec![b'x'; LARGE * 3 / 4 * 76 / 78],
    ]
    .concat();
    fs::write(pki.path().join("plain"), plain).unwrap();
    openssl(
        pki.path(),
        "cms -encrypt -binary -aes-256-cbc -in plain -outform DER -out object otto.pem",
    )
    .expect("openssl");
    let object = fs::read(pki.path().join("object")).unwrap();
    let head = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let message = [FIELDS.as_bytes(), head.as_bytes(), &base64_lines(&object)].concat();
    drop(object);
    within(
        "an encrypted message",
        &message,
        &pki.keys_of(&["otto"]).to_string_lossy(),
        512,
    );
}
