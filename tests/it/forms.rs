//! Every form that mail has been signed, encrypted, compressed or packed in is named for what it is,
//! and walked through. Each form stands beside the same content in an ordinary one.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::support::Sandbox;
use crate::support::der::Node;
use crate::support::table::{Row, rows};
use crate::support::tools::{LATER, Pki, openssl};

/// Olga and Otto work here.
pub(crate) fn pki() -> &'static Pki {
    static ONCE: OnceLock<Pki> = OnceLock::new();
    ONCE.get_or_init(|| {
        let pki = Pki::new();
        pki.person("olga", "rsa", 0x31);
        pki.person("otto", "rsa", 0x32);
        pki.keys_of(&["otto"]);
        pki
    })
}

pub(crate) const TEXT: &str = "Content-Type: text/plain\r\n\r\nThe meeting is at ten.\r\n";
pub(crate) const FROM_OLGA: &str = "From: olga@example.org\r\nTo: otto@example.org\r\n";

fn cms(content: &[u8], options: &str) -> Vec<u8> {
    let folder = tempfile::tempdir_in(pki().path()).unwrap();
    let name = folder.path().file_name().unwrap().to_string_lossy();
    fs::write(folder.path().join("in"), content).unwrap();
    let line = format!("cms -binary -in {name}/in {options}");
    openssl(pki().path(), &line).expect(&line)
}

/// DER of a SignedData by Olga; `-nodetach` has the content inside.
pub(crate) fn signed(content: impl AsRef<[u8]>, options: &str) -> Vec<u8> {
    let sign = format!("-sign -signer olga.pem -inkey olga.key -outform DER {options}");
    cms(content.as_ref(), &sign)
}

/// DER of an EnvelopedData for Otto.
pub(crate) fn encrypted(content: impl AsRef<[u8]>) -> Vec<u8> {
    cms(
        content.as_ref(),
        "-encrypt -aes-256-cbc -outform DER otto.pem",
    )
}

/// DER of an `AuthEnvelopedData` for Otto: a tag proves its content, whatever it begins with.
pub(crate) fn authenticated(content: impl AsRef<[u8]>) -> Vec<u8> {
    cms(
        content.as_ref(),
        "-encrypt -aes-256-gcm -outform DER otto.pem",
    )
}

/// A TLV.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let digits: Vec<u8> = body
        .len()
        .to_be_bytes()
        .into_iter()
        .skip_while(|digit| *digit == 0)
        .collect();
    let length = match body.len() {
        short @ 0..=0x7f => vec![u8::try_from(short).unwrap()],
        _ => [&[0x80 | u8::try_from(digits.len()).unwrap()][..], &digits].concat(),
    };
    [&[tag][..], &length, &body].concat()
}

/// Object identifiers below 1.2.840.113549.
fn rsadsi(arcs: &[u8]) -> Vec<u8> {
    tlv(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d], arcs])
}

fn content_info(content_type: &[u8], content: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&rsadsi(content_type), &tlv(0xa0, &[content])])
}

fn encapsulated(content: &[u8]) -> Vec<u8> {
    content_info(&[1, 7, 1], &tlv(4, &[content]))
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// `CompressedData` (RFC 3274).
pub(crate) fn compressed(content: impl AsRef<[u8]>) -> Vec<u8> {
    let zlib = tlv(0x30, &[&rsadsi(&[1, 9, 16, 3, 8])]);
    let body = [
        tlv(2, &[&[0]]),
        zlib,
        encapsulated(&deflated(content.as_ref())),
    ]
    .concat();
    content_info(&[1, 9, 16, 1, 9], &tlv(0x30, &[&body]))
}

/// `DigestedData` (RFC 5652 §7), by `openssl cms`.
fn digested(content: &str) -> Vec<u8> {
    cms(
        content.as_bytes(),
        "-digest_create -md sha256 -nodetach -outform DER",
    )
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    let text = base64_simd::STANDARD.encode_to_string(bytes);
    let lines = text
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap());
    lines.fold(String::new(), |all, line| all + line + "\r\n")
}

pub(crate) fn object(smime_type: &str, der: &[u8]) -> String {
    format!(
        "Content-Type: application/pkcs7-mime; smime-type={smime_type}; name=smime.p7m\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}",
        base64(der)
    )
}

pub(crate) fn clear_signed(content: &str) -> String {
    format!(
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=sig\r\n\r\n\
         --sig\r\n{content}\r\n--sig\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}--sig--\r\n",
        base64(&signed(content, ""))
    )
}

pub(crate) fn mixed(parts: &[&str]) -> String {
    let mut all = "Content-Type: multipart/mixed; boundary=mix\r\n\r\n".to_owned();
    for part in parts {
        write!(all, "--mix\r\n{part}\r\n").unwrap();
    }
    all + "--mix--\r\n"
}

pub(crate) fn mail(fields: &str, entity: &str) -> String {
    format!("{fields}Subject: meeting\r\nMIME-Version: 1.0\r\n{entity}")
}

fn olgas(entity: &str) -> Vec<u8> {
    mail(FROM_OLGA, entity).into_bytes()
}

/// What a run made of one message.
pub(crate) struct Made {
    /// messages.csv.
    pub(crate) rows: Vec<Row>,
    /// signatures.csv.
    pub(crate) signatures: Vec<Row>,
    /// The message as it was written.
    pub(crate) written: Vec<u8>,
    /// Every report, one after the other.
    pub(crate) reports: String,
}

impl Made {
    #[track_caller]
    pub(crate) fn first(&self) -> &Row {
        self.rows.first().unwrap()
    }

    /// Form, outcome, reason and verdict of the message.
    #[track_caller]
    pub(crate) fn words(&self) -> [&str; 4] {
        ["form", "outcome", "reason", "verdict"].map(|column| self.first().at(column))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }
}

/// `migrate` over one message with Otto's key, or without any.
pub(crate) fn migrate(message: impl AsRef<[u8]>, with_key: bool) -> Made {
    made(message.as_ref(), "mail.eml", with_key)
}

fn made(message: &[u8], name: &str, with_key: bool) -> Made {
    let sandbox = Sandbox::new();
    sandbox.write(&format!("in/{name}"), message);
    let root = pki().certificate("root").to_string_lossy().into_owned();
    let keys: PathBuf = pki().path().join("keys-otto");
    let keys = keys.to_string_lossy().into_owned();
    let mut words = vec![
        "migrate", "in", "--out", "OUT", "--now", LATER, "--trust", &root,
    ];
    if with_key {
        words.extend(["--keys", &keys]);
    }
    let ran = sandbox.run(words);
    assert!(
        matches!(ran.code, Some(0 | 3)) && !ran.stderr.contains("panicked"),
        "{ran:?}"
    );
    let report = sandbox.path().join("OUT/report");
    let reports = fs::read_dir(&report)
        .unwrap()
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect::<String>();
    Made {
        rows: rows(&report.join("messages.csv")),
        signatures: rows(&report.join("signatures.csv")),
        written: fs::read(sandbox.path().join("OUT/in").join(name)).unwrap_or_default(),
        reports: reports + &ran.stdout + &ran.stderr,
    }
}

/// However the entity is wrapped, as many of its bytes are unsigned.
#[test]
fn unsigned_bytes_are_counted_where_the_signature_lies() {
    let signed = clear_signed(TEXT);
    let whole = mixed(&[
        &signed,
        "Content-Type: text/plain\r\n\r\nA footer of the list.\r\n",
    ]);
    let body = whole.split_once("\r\n\r\n").unwrap().1;
    // The line end before a boundary belongs to the boundary.
    let unsigned = (body.len() - signed.len()).to_string();
    let zipped = object("compressed-data", &compressed(&whole));
    let cases = [
        whole.clone(),
        zipped.clone(),
        object("compressed-data", &compressed(&zipped)),
        object("enveloped-data", &encrypted(&whole)),
        object("enveloped-data", &encrypted(&zipped)),
    ];
    for entity in cases {
        let made = migrate(format!("{FROM_OLGA}{entity}"), true);
        let row = &made.rows[0];
        assert_eq!(made.signatures[0].at("coverage"), "partial", "{entity}");
        assert_eq!(row.at("unsigned_bytes"), unsigned, "{entity}");
    }
    for (entity, unsigned) in [
        (signed.clone(), "0"),
        (object("enveloped-data", &encrypted(&signed)), "0"),
        (TEXT.to_owned(), ""),
        // Nothing intact: all of the content.
        (signed.replace("at ten", "at two"), &TEXT.len().to_string()),
    ] {
        let made = migrate(format!("{FROM_OLGA}{entity}"), true);
        let found = made.rows[0].at("unsigned_bytes");
        assert_eq!(found, unsigned, "{entity}");
    }
}

/// One byte of a known content type damaged; another last arc is another type.
#[test]
fn a_damaged_content_type_is_damage_and_an_unknown_one_is_unknown() {
    let der = encrypted(TEXT);
    let at = der
        .windows(9)
        .position(|at| at == [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3]);
    let at = at.unwrap();
    for (offset, byte, outcome, reason) in [
        (5, 0x0a, "malformed", "cms-malformed"),
        (8, 0x4d, "unsupported", "unsupported-content"),
    ] {
        let mut changed = der.clone();
        changed[at + offset] = byte;
        let made = made(&changed, "mail.p7m", true);
        let row = &made.rows[0];
        assert_eq!((row.at("outcome"), row.at("reason")), (outcome, reason));
    }
    // Whatever header it protects was not read.
    let cut = object("enveloped-data", &der[..der.len() / 2]);
    let row = &migrate(format!("{FROM_OLGA}{cut}"), true).rows[0];
    assert_eq!(row.at("outcome"), "malformed");
    assert_eq!(row.at("header_conflicts"), "");
}

#[test]
fn compressed_and_digested_layers_are_walked_through() {
    let zip = |content: &str| object("compressed-data", &compressed(content));
    let opaque = || object("signed-data", &signed(TEXT, "-nodetach"));
    let cases = [
        (zip(TEXT), "compressed", "kept", ""),
        (
            zip(&clear_signed(TEXT)),
            "compressed>clear-signed",
            "kept",
            "valid",
        ),
        (zip(&opaque()), "compressed>opaque-signed", "kept", "valid"),
        (
            clear_signed(&zip(TEXT)),
            "clear-signed>compressed",
            "kept",
            "valid",
        ),
        (
            object("signed-data", &signed(compressed(TEXT), "-nodetach")),
            "opaque-signed>compressed",
            "kept",
            "valid",
        ),
        (
            object("compressed-data", &compressed(signed(TEXT, "-nodetach"))),
            "compressed>opaque-signed",
            "kept",
            "valid",
        ),
        (
            zip(&zip(&clear_signed(TEXT))),
            "compressed>compressed>clear-signed",
            "kept",
            "valid",
        ),
        (
            object("digested-data", &digested(TEXT)),
            "digested",
            "kept",
            "",
        ),
        (
            object("digested-data", &digested(&clear_signed(TEXT))),
            "digested>clear-signed",
            "kept",
            "valid",
        ),
        (
            object("enveloped-data", &encrypted(zip(&clear_signed(TEXT)))),
            "enveloped>compressed>clear-signed",
            "decrypted",
            "valid",
        ),
        (
            object("enveloped-data", &encrypted(compressed(clear_signed(TEXT)))),
            "enveloped>compressed>clear-signed",
            "decrypted",
            "valid",
        ),
        (
            object("enveloped-data", &encrypted(clear_signed(&zip(TEXT)))),
            "enveloped>clear-signed>compressed",
            "decrypted",
            "valid",
        ),
        (
            zip(&object("enveloped-data", &encrypted(clear_signed(TEXT)))),
            "compressed>enveloped>clear-signed",
            "decrypted",
            "valid",
        ),
        (
            zip(&clear_signed(&object("enveloped-data", &encrypted(TEXT)))),
            "compressed>clear-signed>enveloped",
            "decrypted",
            "valid",
        ),
    ];
    for (entity, form, outcome, verdict) in cases {
        let made = migrate(olgas(&entity), true);
        assert_eq!(made.words(), [form, outcome, "", verdict], "{form}");
        if outcome == "kept" {
            assert_eq!(made.written, olgas(&entity), "{form} is not rewritten");
        } else {
            let text = made.text();
            assert!(!text.contains("enveloped-data"), "{form}:\n{text}");
            // What was signed compressed stays so; other compression is gone with the encryption.
            let stays = form.ends_with("clear-signed>compressed");
            assert_eq!(text.contains("compressed-data"), stays, "{form}:\n{text}");
            assert_eq!(
                text.contains("The meeting is at ten."),
                !stays,
                "{form}:\n{text}"
            );
        }
    }
}

#[test]
fn compression_and_digests_that_do_not_hold_are_malformed() {
    let mut cut = compressed(TEXT);
    let last = cut.len() - 1;
    cut[last] ^= 1; // Adler-32's last byte
    let wrong = migrate(olgas(&object("compressed-data", &cut)), true);
    assert_eq!(
        wrong.words(),
        ["compressed", "malformed", "compression-damaged", ""]
    );

    let mut node = Node::parse(&digested(&clear_signed(TEXT)));
    let digest = node.at(&[1, 0]).children() - 1;
    node.at(&[1, 0, digest]).bytes()[0] ^= 1;
    let wrong = migrate(olgas(&object("digested-data", &node.encode())), true);
    assert_eq!(
        wrong.words(),
        [
            "digested>clear-signed",
            "malformed",
            "checksum-mismatch",
            "valid"
        ]
    );

    let mut other = Node::parse(&compressed(TEXT));
    *other.at(&[1, 0, 1, 0]).bytes().last_mut().unwrap() = 9;
    let unknown = migrate(olgas(&object("compressed-data", &other.encode())), true);
    assert_eq!(
        unknown.words(),
        ["compressed", "unsupported", "unsupported-algorithm", ""]
    );
}

/// Promise 54. Ten layers of zlib would make 10^24 bytes of zeros of these few kilobytes.
#[test]
fn compressed_bombs_end_at_the_budget() {
    let gigabyte = {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![0; 1 << 20];
        for _ in 0..1024 {
            encoder.write_all(&zeros).unwrap();
        }
        encoder.finish().unwrap()
    };
    let zlib = tlv(0x30, &[&rsadsi(&[1, 9, 16, 3, 8])]);
    let body = [tlv(2, &[&[0]]), zlib, encapsulated(&gigabyte)].concat();
    let bomb = content_info(&[1, 9, 16, 1, 9], &tlv(0x30, &[&body]));
    assert!(
        bomb.len() < 1_100_000,
        "a megabyte that unpacks to a gigabyte"
    );
    // Nested, each layer holds ten parts of the one before.
    let mut nested = object("compressed-data", &bomb);
    for _ in 0..3 {
        let ten = mixed(&[nested.as_str(); 10]);
        nested = object("compressed-data", &compressed(ten));
    }
    let attachments = mixed(&[object("compressed-data", &bomb).as_str(); 10]);
    for entity in [&object("compressed-data", &bomb), &nested, &attachments] {
        let sandbox = Sandbox::new();
        sandbox.write("in/mail.eml", olgas(entity));
        let started = Instant::now();
        let mut command = std::process::Command::new("sh");
        command
            .args([
                "-c",
                "ulimit -v 1500000; exec \"$0\" scan in -j 1 --report R --now 2044-01-01T00:00:00Z",
            ])
            .arg(env!("CARGO_BIN_EXE_p7mill"))
            .env_clear()
            .current_dir(sandbox.path());
        let output = command.output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(3),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{:?}",
            started.elapsed()
        );
        let found = rows(&sandbox.path().join("R/messages.csv"));
        assert_eq!(
            [found[0].at("outcome"), found[0].at("reason")],
            ["refused", "limit-inflated"]
        );
    }
    let honest = object("compressed-data", &compressed(TEXT.repeat(100_000)));
    assert_eq!(
        migrate(olgas(&honest), true).words(),
        ["compressed", "kept", "", ""]
    );
}

#[test]
fn layers_nest_as_deep_as_the_limit_and_no_deeper() {
    let triple = clear_signed(&object("enveloped-data", &encrypted(clear_signed(TEXT))));
    let made = migrate(olgas(&triple), true);
    assert_eq!(
        made.words(),
        [
            "clear-signed>enveloped>clear-signed",
            "decrypted",
            "",
            "valid"
        ]
    );
    let nested = |layers: usize| {
        let entity = (0..layers).fold(clear_signed(TEXT), |content, _| {
            object("compressed-data", &compressed(content))
        });
        migrate(olgas(&entity), true)
    };
    let deep = nested(60);
    assert_eq!(deep.words()[1..], ["kept", "", "valid"]);
    assert_eq!(deep.first().at("form").split('>').count(), 61);
    let deeper = nested(70);
    assert_eq!(deeper.words()[1..3], ["refused", "limit-depth"]);
    assert!(deeper.signatures.is_empty());
}

/// An object inside an object need not bring a `ContentInfo` of its own: the outer one says what it is
/// (RFC 5652 §5.2).
#[test]
fn an_object_without_its_content_info_is_read_by_the_word_of_the_outer_one() {
    let whole = signed(TEXT, "-nodetach");
    let mut node = Node::parse(&whole);
    let bare = node.at(&[1, 0]).encode();
    let info = |content: &[u8]| {
        let encapsulated = content_info(&[1, 7, 2], &tlv(4, &[content]));
        let zlib = tlv(0x30, &[&rsadsi(&[1, 9, 16, 3, 8])]);
        let body = [tlv(2, &[&[0]]), zlib, encapsulated].concat();
        content_info(&[1, 9, 16, 1, 9], &tlv(0x30, &[&body]))
    };
    for content in [&bare, &whole] {
        let made = migrate(
            olgas(&object("compressed-data", &info(&deflated(content)))),
            true,
        );
        assert_eq!(
            made.words(),
            ["compressed>opaque-signed", "kept", "", "valid"]
        );
    }
    let opened = migrate(
        olgas(&object(
            "enveloped-data",
            &encrypted(info(&deflated(&bare))),
        )),
        true,
    );
    assert_eq!(
        opened.words(),
        [
            "enveloped>compressed>opaque-signed",
            "decrypted",
            "",
            "valid"
        ]
    );
    let again = migrate(&opened.written, false);
    assert_eq!(
        again.words(),
        ["opaque-signed", "kept", "", "valid"],
        "{}",
        opened.text()
    );
}

#[test]
fn objects_in_files_of_their_own_are_messages() {
    let pem = |label: &str, der: &[u8]| {
        format!(
            "-----BEGIN {label}-----\n{}-----END {label}-----\n",
            base64(der)
        )
        .into_bytes()
    };
    let whole = signed(TEXT, "-nodetach");
    let certificates = {
        let line = "crl2pkcs7 -nocrl -certfile olga.pem -outform DER";
        openssl(pki().path(), line).expect(line)
    };
    for (name, bytes, form, outcome) in [
        ("a.p7m", whole.clone(), "opaque-signed", "kept"),
        ("a.p7m", pem("PKCS7", &whole), "opaque-signed", "kept"),
        ("a.pem", pem("CMS", &whole), "opaque-signed", "kept"),
        ("a.p7m", encrypted(TEXT), "enveloped", "decrypted"),
        ("a.p7z", compressed(TEXT), "compressed", "kept"),
        ("a.p7c", certificates.clone(), "certs-only", "kept"),
        ("a.p7b", pem("PKCS7", &certificates), "certs-only", "kept"),
        ("a.der", digested(TEXT), "digested", "kept"),
    ] {
        let made = made(&bytes, name, true);
        assert_eq!(made.words()[..2], [form, outcome], "{name}");
        assert_ne!(made.words()[3], "valid", "a file has no author");
    }
    // What a detached signature is over does not lie in it.
    let alone = made(&signed(TEXT, ""), "a.p7s", true);
    assert_eq!(alone.words()[..2], ["clear-signed", "kept"]);
    assert!(
        alone.signatures[0]
            .at("reasons")
            .contains("content-missing")
    );
    assert_eq!(alone.signatures[0].at("integrity"), "unchecked");
}
