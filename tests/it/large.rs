//! Messages larger than `--max-message`: what is read in pieces comes out as what is held in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::table::rows;
use crate::support::tools::{Pki, openssl};
use crate::support::trees::{files, incidental};
use crate::support::{Sandbox, repository, sample};

/// Read in pieces, where a message is as small as those of the tests.
const SMALL: &str = "1KiB";

/// Bytes of an attachment: enough that most of it is left out of what tells the structure, and that
/// base64 of it comes in several pieces.
const ATTACHED: usize = 700_000;

/// The files of an output folder, but for what says when and how the run was.
fn written(out: &Path) -> BTreeMap<String, Vec<u8>> {
    files(out, |name| incidental(name) || name == "report/report.html")
}

/// Runs `line` with a small budget and with a large one: the output must be the same. Gives the exit
/// code.
#[track_caller]
fn twice(sandbox: &Sandbox, line: &str) -> Option<i32> {
    let run = |size, out: &str| sandbox.line(&format!("{line} --max-message {size} --out {out}"));
    let small = run(SMALL, "SMALL");
    let large = run("1GiB", "LARGE");
    assert_eq!(small.code, large.code, "{} {}", small.stderr, large.stderr);
    let [of_small, of_large] = ["SMALL", "LARGE"].map(|out| written(&sandbox.path().join(out)));
    for (name, bytes) in &of_large {
        assert!(
            of_small.get(name) == Some(bytes),
            "{name} differs: {} and {}",
            String::from_utf8_lossy(of_small.get(name).unwrap_or(&Vec::new())),
            String::from_utf8_lossy(bytes),
        );
    }
    assert_eq!(of_small.len(), of_large.len());
    small.code
}

#[test]
fn the_sample_comes_out_alike_in_pieces_and_in_memory() {
    let sandbox = sample::fresh();
    let mut words = sample::first_command();
    let out = words.iter().position(|word| word == "--out").unwrap() + 1;
    words[out] = "PIECES".into();
    words.extend(["--max-message".into(), SMALL.into()]);
    let ran = sandbox.run(&words);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let pieces = written(&sandbox.path().join("PIECES"));
    let whole = written(&sample::migrated().out());
    for (name, bytes) in &whole {
        assert!(pieces.get(name) == Some(bytes), "{name} differs");
    }
    assert_eq!(pieces.len(), whole.len());
}

#[test]
fn the_mail_of_others_comes_out_alike_in_pieces_and_in_memory() {
    let corpora = repository().join("../shared/corpora");
    if !corpora.is_dir() {
        println!("NOT SHOWN: ../shared/corpora is absent");
        return;
    }
    let sandbox = Sandbox::new();
    let corpora = corpora.canonicalize().unwrap();
    let mail = [
        "kde-messagelib",
        "kde-mimetreeparser",
        "mbox-messageparser",
        "nextcloud-mail",
        "nss",
        "openssl-3.0.20",
        "otobo",
        "protected-headers",
        "pyas2",
        "rfc4134-python-smime",
        "rfc9216",
        "rt",
        "rustcrypto",
    ];
    let paths: Vec<_> = mail
        .iter()
        .map(|folder| corpora.join(folder).display().to_string())
        .collect();
    let corpora = corpora.display();
    let line = format!(
        "migrate {} --keys {corpora} --trust {corpora}/_ca --open-unaddressed",
        paths.join(" ")
    );
    twice(&sandbox, &line);
}

/// `olga` and `nils`, with keys in `keys` and `new.keys`, and a folder `A` of large messages to olga.
struct Mail {
    pki: Pki,
    sandbox: Sandbox,
    /// The entities that were encrypted or signed, by the name of the message.
    entities: BTreeMap<String, Vec<u8>>,
}

/// Text and an attachment, in lines that end in `ending`.
fn entity(ending: &str) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let bytes: Vec<u8> = (0..ATTACHED)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        })
        .collect();
    let base64 = base64_simd::STANDARD.encode_to_string(bytes);
    let lines: Vec<&str> = (0..base64.len())
        .step_by(76)
        .map(|at| &base64[at..base64.len().min(at + 76)])
        .collect();
    [
        "Content-Type: multipart/mixed; boundary=\"=_b\"",
        "",
        "--=_b",
        "Content-Type: text/plain; charset=utf-8",
        "",
        "THE-TREASURE-IS-UNDER-THE-MAST",
        "From here to there",
        ">From there to here",
        "",
        "--=_b",
        "Content-Type: application/octet-stream; name=treasure.bin",
        "Content-Transfer-Encoding: base64",
        "",
        &lines.join(ending),
        "--=_b--",
        "",
    ]
    .join(ending)
    .into_bytes()
}

impl Mail {
    fn new() -> Self {
        let pki = Pki::new();
        pki.person("olga", "rsa", 0x4001);
        pki.person("nils", "rsa", 0x4002);
        let mut mail = Self {
            pki,
            sandbox: Sandbox::new(),
            entities: BTreeMap::new(),
        };
        fs::create_dir(mail.sandbox.path().join("A")).unwrap();
        let text = entity("\r\n");
        mail.add("plain", &text);
        let signed = mail.openssl(&text, "-sign -signer nils.pem -inkey nils.key");
        let signed = String::from_utf8(signed).unwrap().replace("\r\n", "\n");
        let signed = signed.replace('\n', "\r\n").into_bytes();
        let opaque = "-sign -nodetach -binary -signer nils.pem -inkey nils.key";
        let opaque = mail.openssl(&text, opaque);
        mail.add("signed", &signed);
        mail.add("opaque", &opaque);
        for (inner, entity) in [("text", &text), ("signed", &signed), ("opaque", &opaque)] {
            for cipher in ["aes-256-cbc", "aes-256-gcm", "des3"] {
                let sealed = mail.openssl(entity, &format!("-encrypt -binary -{cipher} olga.pem"));
                mail.entities
                    .insert(format!("{inner}-{cipher}"), entity.clone());
                mail.add(&format!("{inner}-{cipher}"), &sealed);
            }
        }
        let der = mail.openssl(
            &text,
            "-encrypt -binary -stream -outform DER -aes-256-cbc olga.pem",
        );
        mail.write("streamed.p7m", &der);
        let binary = [
            &b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\nContent-Transfer-Encoding: binary\n\n"[..],
            &der,
        ]
        .concat();
        mail.add("binary", &binary);
        let line = "-encrypt -binary -aes-256-gcm -outform DER -recip olga.pem -keyopt rsa_padding_mode:oaep";
        let oaep = mail.openssl(&text, line);
        mail.write("oaep.p7m", &oaep);
        mail
    }

    /// What `openssl cms` makes of an entity.
    fn openssl(&self, entity: &[u8], words: &str) -> Vec<u8> {
        fs::write(self.pki.path().join("in"), entity).unwrap();
        openssl(self.pki.path(), &format!("cms -in in {words}")).expect(words)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        self.sandbox.write(&format!("A/{name}"), bytes);
    }

    /// A message whose content is `entity`, as a file, and in an mbox and a Maildir with the others.
    fn add(&self, name: &str, entity: &[u8]) {
        let header = format!(
            "From: nils@example.org\nTo: olga@example.org\nSubject: {name}\nMessage-ID: <{name}@example.org>\n\
             Date: Mon, 23 Nov 2026 00:00:00 +0000\n"
        );
        let message = [header.as_bytes(), entity].concat();
        self.write(&format!("{name}.eml"), &message);
        let folder = self.sandbox.path().join("A/dir");
        for sub in ["cur", "new", "tmp"] {
            fs::create_dir_all(folder.join(sub)).unwrap();
        }
        let file = format!("A/dir/cur/17.{name},S={}:2,S", message.len());
        self.sandbox.write(&file, &message);
        let lines = message.split(|byte| *byte == b'\n').count() - 1;
        let place = self.sandbox.path().join("A/box.mbox");
        let mut mbox = fs::read(&place).unwrap_or_default();
        let from = format!("From nils@example.org Mon Nov 23 00:00:00 2026\nLines: {lines}\n");
        let quoted = String::from_utf8_lossy(&message).into_owned();
        // Bytes that are no text are not for an mbox without lengths.
        if quoted.as_bytes() == message {
            mbox.extend_from_slice(from.as_bytes());
            let quoted = quoted.replace("\n>From ", "\n>>From ");
            mbox.extend_from_slice(quoted.replace("\nFrom ", "\n>From ").as_bytes());
            mbox.extend_from_slice(b"\n\n");
            fs::write(place, mbox).unwrap();
        }
    }

    fn line(&self, command: &str) -> String {
        let keys = self.pki.keys_of(&["olga"]).display().to_string();
        format!(
            "{command} A --keys {keys} --trust {}",
            self.pki.certificate("root").display()
        )
    }
}

#[test]
fn large_messages_come_out_alike_in_pieces_and_in_memory() {
    let mail = Mail::new();
    assert_eq!(twice(&mail.sandbox, &mail.line("migrate")), Some(0));
    let small = mail.sandbox.path().join("SMALL");
    let found = rows(&small.join("report/messages.csv"));
    let decrypted = found.iter().filter(|row| row.at("outcome") == "decrypted");
    assert!(decrypted.count() >= 3 * 9);
    for row in found
        .iter()
        .filter(|row| row.at("subject").contains("signed"))
    {
        // The authority is younger than the clock of these runs.
        let told = (row.at("verdict"), row.at("unsigned_bytes"));
        assert_eq!(told, ("indeterminate", "0"), "{}", row.at("subject"));
    }
    let text = fs::read(small.join("A/text-aes-256-gcm.eml")).unwrap();
    assert!(memchr::memmem::find(&text, b"THE-TREASURE").is_some());
    mail.sandbox.line("check SMALL").expect(0);
    let before = files(&mail.sandbox.path().join("A"), |_| false);
    mail.sandbox.line("restore SMALL --out BACK").expect(0);
    let back = files(&mail.sandbox.path().join("BACK"), |name| {
        !name.contains("A/")
    });
    for (name, bytes) in before.iter().filter(|(name, _)| name.contains(".eml")) {
        assert!(back.get(&format!("A/{name}")) == Some(bytes), "{name}");
    }
}

#[test]
fn scan_and_verify_say_of_large_messages_what_they_say_of_others() {
    let mail = Mail::new();
    for command in ["scan --hash", "verify"] {
        let keys = mail.line(command);
        let keys = match command {
            "verify" => keys,
            _ => keys.split(" --trust").next().unwrap_or_default().to_owned(),
        };
        let said = [SMALL, "1GiB"].map(|size| {
            let report = format!("R-{size}-{}", &command[..4]);
            let line = format!("{keys} --report {report} --max-message {size}");
            let code = mail.sandbox.line(&line).code;
            let csv = files(&mail.sandbox.path().join(report), |name| {
                !name.contains(".csv")
            });
            (code, csv)
        });
        let [small, large] = said;
        assert_eq!(small.0, large.0);
        // Nothing is decrypted where nothing may be written: what lies inside is not told.
        for name in ["recipients.csv", "sources.csv"] {
            assert!(small.1.get(name) == large.1.get(name), "{command}: {name}");
        }
        let places = |(_, csv): &(Option<i32>, BTreeMap<String, Vec<u8>>)| {
            csv.get("signatures.csv").map(|bytes| {
                String::from_utf8_lossy(bytes)
                    .lines()
                    .filter(|line| line.contains(",1,"))
                    .count()
            })
        };
        assert!(places(&small) <= places(&large));
    }
}

/// OpenSSL reads what was encrypted anew, and finds in it what was there.
#[test]
fn large_messages_are_read_by_those_they_are_encrypted_to_anew() {
    let mail = Mail::new();
    mail.pki.person("nora", "ec", 0x4003);
    let to = mail.pki.certificate("nora").display().to_string();
    for (number, how) in [
        "--mode rewrap",
        "--mode content --cipher aes-256-gcm",
        "--mode content --cipher aes-256-cbc",
    ]
    .into_iter()
    .enumerate()
    {
        let line = mail.line("reencrypt").replace(" A ", " A/aes ");
        fs::create_dir_all(mail.sandbox.path().join("A/aes")).unwrap();
        for name in mail.entities.keys().filter(|name| !name.ends_with("des3")) {
            let file = format!("{name}.eml");
            let message = fs::read(mail.sandbox.path().join("A").join(&file)).unwrap();
            mail.sandbox.write(&format!("A/aes/{file}"), message);
        }
        let out = format!("ANEW{number}");
        mail.sandbox
            .line(&format!(
                "{line} {how} --to {to} --max-message {SMALL} --out {out}"
            ))
            .expect(0);
        for (name, entity) in mail
            .entities
            .iter()
            .filter(|(name, _)| !name.ends_with("des3"))
        {
            let message = mail.sandbox.path().join(format!("{out}/aes/{name}.eml"));
            let line = format!(
                "cms -decrypt -binary -in {} -recip nora.pem -inkey nora.key",
                message.display()
            );
            let read = openssl(mail.pki.path(), &line).expect(name);
            assert!(read == *entity, "{how}: {name}");
            let line = line.replace("nora", "olga");
            assert!(
                !openssl(mail.pki.path(), &line).ok,
                "{how}: {name} opens for olga"
            );
        }
    }
}

/// A weak cipher is not left around what is given to others, whatever the size.
#[test]
fn large_messages_under_a_weak_cipher_are_not_rewrapped() {
    let mail = Mail::new();
    let to = mail.pki.certificate("nils").display().to_string();
    let line = mail.line("reencrypt").replace(" A ", " A/text-des3.eml ");
    let line = format!("{line} --to {to} --max-message {SMALL} --out OUT");
    mail.sandbox.line(&line).expect(3);
    let row = &rows(&mail.sandbox.path().join("OUT/report/messages.csv"))[0];
    assert_eq!(row.at("reason"), "weak-content-encryption");
}

/// Whatever is flipped, cut or lied about, pieces and memory agree on what becomes of it, and nothing
/// that was not proven is written.
#[test]
fn large_messages_that_are_spoilt_stay_as_they_are() {
    let mail = Mail::new();
    let folder = mail.sandbox.path().join("A");
    let sound: BTreeMap<String, Vec<u8>> = ["streamed.p7m", "oaep.p7m", "text-aes-256-gcm.eml"]
        .into_iter()
        .map(|name| (name.to_owned(), fs::read(folder.join(name)).unwrap()))
        .collect();
    fs::remove_dir_all(&folder).unwrap();
    for (name, bytes) in &sound {
        let (stem, extension) = name.rsplit_once('.').unwrap();
        let len = bytes.len();
        let put = |what: &str, bytes: &[u8]| {
            mail.write(&format!("{stem}-{what}.{extension}"), bytes);
        };
        for (number, cut) in (0..20)
            .map(|n| n * len / 20)
            .chain(len - 24..len)
            .enumerate()
        {
            put(&format!("cut{number}"), &bytes[..cut]);
        }
        for (number, at) in (0..24)
            .map(|n| n * 37)
            .chain([len / 2, len - 1])
            .enumerate()
        {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            put(&format!("flipped{number}"), &flipped);
        }
    }
    let code = twice(&mail.sandbox, &mail.line("decrypt"));
    assert_eq!(code, Some(3));
    let out = mail.sandbox.path().join("SMALL");
    let mut failed = 0;
    for row in rows(&out.join("report/messages.csv")) {
        let is_sound = row.at("outcome") == "decrypted";
        let was = fs::read(mail.sandbox.path().join(row.at("mailbox"))).unwrap();
        let is = fs::read(out.join(row.at("mailbox"))).unwrap();
        assert!(is_sound || was == is, "{}", row.at("mailbox"));
        failed += usize::from(!is_sound);
        // GCM proves the last byte and every other one.
        let proven = row.at("mailbox").contains("oaep") && row.at("mailbox").contains("cut");
        assert!(!(proven && is_sound), "{}", row.at("mailbox"));
    }
    assert!(failed > 90, "{failed}");
}

/// Nothing has the readable text but the message it is written into: the temporary had no name.
#[test]
fn a_large_message_that_fails_leaves_nothing_of_its_text() {
    let mail = Mail::new();
    let folder = mail.sandbox.path().join("A");
    let mut object = fs::read(folder.join("oaep.p7m")).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    mail.write("sound.p7m", &object);
    *object.last_mut().unwrap() ^= 1;
    mail.write("flipped.p7m", &object);
    let line = format!("{} --max-message {SMALL} --out OUT", mail.line("decrypt"));
    mail.sandbox.line(&line).expect(3);
    let marked: Vec<String> = files(mail.sandbox.path(), |_| false)
        .into_iter()
        .filter(|(_, bytes)| memchr::memmem::find(bytes, b"THE-TREASURE").is_some())
        .map(|(name, _)| name)
        .collect();
    assert_eq!(marked, ["OUT/A/sound.p7m"]);
    let left = files(mail.sandbox.path(), |name| !name.contains("p7mill-tmp"));
    assert!(left.is_empty(), "{:?}", left.keys());
    let flipped = fs::read(mail.sandbox.path().join("OUT/A/flipped.p7m")).unwrap();
    assert!(flipped == object);
}

/// A dry run has nowhere to put the text of a large message.
#[test]
fn a_large_message_is_not_opened_where_nothing_may_be_written() {
    let mail = Mail::new();
    let line = mail
        .line("migrate")
        .replace(" A ", " A/text-aes-256-gcm.eml ");
    let line = format!("{line} --max-message {SMALL} --dry-run --report R --out OUT");
    mail.sandbox.line(&line).expect(3);
    let row = &rows(&mail.sandbox.path().join("R/messages.csv"))[0];
    let told = ["form", "outcome", "reason"].map(|name| row.at(name));
    assert_eq!(told, ["auth-enveloped", "refused", "limit-message"]);
}

/// What `encrypt` makes of large messages, OpenSSL reads; signatures inside stay whole, and the quoting
/// of the mailbox is undone.
#[test]
fn large_messages_are_encrypted_as_others_are() {
    let mail = Mail::new();
    let to = mail.pki.certificate("olga").display().to_string();
    for cipher in ["aes-256-gcm", "aes-256-cbc"] {
        let out = format!("SEALED-{cipher}");
        for name in ["A/box.mbox", "A/plain.eml", "A/signed.eml"] {
            let out = format!("{out}-{}", name.replace(['/', '.'], "-"));
            let line = format!(
                "encrypt {name} --to {to} --cipher {cipher} --max-message {SMALL} --out {out}"
            );
            mail.sandbox.line(&line).expect(0);
            let keys = mail.pki.keys_of(&["olga"]).display().to_string();
            let root = mail.pki.certificate("root").display().to_string();
            let file = name.trim_start_matches("A/");
            let line = format!(
                "migrate {out}/{file} --keys {keys} --trust {root} --out BACK-{out} --max-message {SMALL}"
            );
            mail.sandbox.line(&line).expect(0);
            let found = rows(
                &mail
                    .sandbox
                    .path()
                    .join(format!("BACK-{out}/report/messages.csv")),
            );
            for row in &found {
                let signed = row.at("form").ends_with("signed");
                assert_eq!(row.at("outcome"), "decrypted");
                let verdict = if signed { "indeterminate" } else { "" };
                assert_eq!(row.at("verdict"), verdict, "{name}");
            }
        }
        let sealed = mail
            .sandbox
            .path()
            .join(format!("{out}-A-plain-eml/plain.eml"));
        let line = format!(
            "cms -decrypt -binary -in {} -recip olga.pem -inkey olga.key",
            sealed.display()
        );
        let read = openssl(mail.pki.path(), &line).expect("it opens");
        assert!(read == entity("\r\n"), "{cipher}");
    }
}

/// Messages of 2 GB: what is held of them is what is held of any. Prints time and peak memory.
#[test]
fn two_gigabytes_are_opened_in_bounded_memory() {
    if std::env::var("P7MILL_LARGE").as_deref() != Ok("1") {
        println!("NOT SHOWN: messages of 2 GB; P7MILL_LARGE=1 shows it");
        return;
    }
    let pki = Pki::new();
    pki.person("olga", "rsa", 0x4001);
    let sandbox = Sandbox::new();
    let text = pki.path().join("text");
    {
        use std::io::Write as _;
        let mut file = std::io::BufWriter::new(fs::File::create(&text).unwrap());
        file.write_all(
            b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        )
        .unwrap();
        let line = [&[b'A'; 74][..], b"==", b"\r\n"].concat();
        for _ in 0..(2_u64 << 30) / line.len() as u64 {
            file.write_all(&line).unwrap();
        }
    }
    let header = "From: nils@example.org\nTo: olga@example.org\nSubject: large\n";
    for (cipher, outcome) in [("aes-256-cbc", "decrypted"), ("aes-256-gcm", "decrypted")] {
        let place = sandbox.path().join("A/large.eml");
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, header).unwrap();
        let line = format!("cms -encrypt -binary -stream -{cipher} -in text -out sealed olga.pem");
        openssl(pki.path(), &line).expect(&line);
        let sealed = pki.path().join("sealed");
        let mut from = fs::File::open(&sealed).unwrap();
        let mut to = fs::OpenOptions::new().append(true).open(&place).unwrap();
        std::io::copy(&mut from, &mut to).unwrap();
        fs::remove_file(&sealed).unwrap();
        let keys = pki.keys_of(&["olga"]).display().to_string();
        let begun = std::time::Instant::now();
        let line = format!("migrate A --keys {keys} --out OUT -j 1");
        let (held, code) = crate::limits::peak(&sandbox, &line);
        println!(
            "{cipher}: {held} MiB held, exit {code:?}, {:?}",
            begun.elapsed()
        );
        let row = &rows(&sandbox.path().join("OUT/report/messages.csv"))[0];
        assert_eq!((code, row.at("outcome")), (Some(0), outcome));
        assert!(held <= 256, "{held} MiB");
        fs::remove_dir_all(sandbox.path().join("OUT")).unwrap();
    }
}
