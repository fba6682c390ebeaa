//! `sign`: whose key signs, what comes out, and that other programs accept it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::support::page::doc_table;
use crate::support::table::rows;
use crate::support::tools::{Pki, Said, has, judge, openssl, run};
use crate::support::trees;
use crate::support::{Ran, Sandbox};

/// Name, kind of key, whether it signs.
const PEOPLE: [(&str, &str); 8] = [
    ("rsa", "rsa"),
    ("pss", "rsa-pss"),
    ("p256", "ec"),
    ("p384", "ec-p384"),
    ("p521", "ec-p521"),
    ("ed25519", "ed25519"),
    ("ed448", "ed448"),
    ("short", "rsa-1024"),
];

fn world() -> &'static Pki {
    static ONCE: OnceLock<Pki> = OnceLock::new();
    ONCE.get_or_init(|| {
        let pki = Pki::new();
        for (serial, (name, kind)) in PEOPLE.into_iter().enumerate() {
            pki.person(name, kind, 0x2000 + u32::try_from(serial).unwrap());
        }
        pki
    })
}

/// The certificates were made just now, by the system's clock.
fn now() -> String {
    let said = run(
        "date",
        &["-u", "-d", "+1 minute", "+%Y-%m-%dT%H:%M:%SZ"],
        b"",
    )
    .expect("date");
    String::from_utf8(said).unwrap().trim().to_owned()
}

fn letter(from: &str) -> String {
    format!(
        "Received: by mx.example.org; Mon, 23 Nov 2026 10:00:00 +0000\nFrom: Someone <{from}@example.org>\n\
         To: olga@example.org\nSubject: The brig's figurehead\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\
         Ærø, 12 €. \nFrom here on it is ours.\n.\n"
    )
}

fn keys(name: &str) -> String {
    world().keys_of(&[name]).display().to_string()
}

/// Signs a message on standard input.
fn sign(sandbox: &Sandbox, message: &str, keys: &str, more: &str) -> Ran {
    let line = format!("sign - --keys {keys} --now {} {more}", now());
    sandbox.line_with_input(&line, message.as_bytes())
}

/// What `verify` says of `file` with the test's authority trusted: verdict and reasons.
fn verdict(sandbox: &Sandbox, file: &str) -> (String, String) {
    let root = world().certificate("root");
    let _ = fs::remove_dir_all(sandbox.path().join("R"));
    let ran = sandbox.line(&format!(
        "verify {file} --trust {} --clock now --now {} --report R",
        root.display(),
        now()
    ));
    let signatures = rows(&sandbox.path().join("R/signatures.csv"));
    let first = signatures
        .first()
        .unwrap_or_else(|| panic!("{}{}", ran.stdout, ran.stderr));
    (
        first.at("verdict").to_owned(),
        first.at("reasons").to_owned(),
    )
}

/// The covered entity with CRLF line ends, and the signature, of a `multipart/signed`.
fn taken_apart(message: &str) -> (Vec<u8>, Vec<u8>) {
    let crlf = message.replace("\r\n", "\n").replace('\n', "\r\n");
    let boundary = crlf
        .split("boundary=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    let parts: Vec<&str> = crlf.split(&format!("--{boundary}")).collect();
    let covered = parts[1].strip_prefix("\r\n").unwrap();
    let covered = covered.strip_suffix("\r\n").unwrap();
    let base64 = parts[2].split("\r\n\r\n").nth(1).unwrap();
    let said = run(
        "openssl",
        &["base64", "-d"],
        base64.replace("\r\n", "\n").as_bytes(),
    );
    (covered.as_bytes().to_vec(), said.expect("base64"))
}

/// Programs that judge signatures, each with the test's authority trusted.
struct Judges {
    folder: tempfile::TempDir,
}

impl Judges {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let judges = Self { folder };
        let root = world().certificate("root").display().to_string();
        if has("gpgsm") {
            let print = openssl(
                world().path(),
                "x509 -in root.pem -noout -fingerprint -sha1",
            )
            .expect("fingerprint");
            let print = String::from_utf8_lossy(&print);
            let print = print.trim().rsplit('=').next().unwrap().replace(':', "");
            judges.put(
                "gnupg/trustlist.txt",
                format!("{print} S relax\n").as_bytes(),
            );
            judges.put(
                "gnupg/gpgsm.conf",
                b"disable-crl-checks\ndisable-policy-checks\nno-secmem-warning\n",
            );
            judges.gpgsm(&["--import", &root]).expect("gpgsm");
        }
        if has("certutil") && has("cmsutil") {
            fs::create_dir(judges.at("nss")).unwrap();
            let database = format!("sql:{}", judges.at("nss").display());
            run(
                "certutil",
                &["-N", "-d", &database, "--empty-password"],
                b"",
            )
            .expect("certutil");
            let add = [
                "-A", "-d", &database, "-n", "root", "-t", "C,C,C", "-i", &root,
            ];
            run("certutil", &add, b"").expect("certutil");
        }
        judges
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, content: &[u8]) -> String {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    fn gpgsm(&self, words: &[&str]) -> Said {
        let home = self.at("gnupg").display().to_string();
        let first = ["--homedir", &home, "--batch", "--yes", "--quiet"];
        run("gpgsm", &[&first[..], words].concat(), b"")
    }

    /// Whether each program accepts a clear-signed message.
    fn accept(&self, message: &str) -> BTreeMap<&'static str, bool> {
        let (covered, signature) = taken_apart(message);
        let root = world().certificate("root").display().to_string();
        let mail = self.put("message.eml", message.as_bytes());
        let covered = self.put("covered", &covered);
        let signature = self.put("signature", &signature);
        let mut accepted = BTreeMap::new();
        let openssl = [
            "cms",
            "-verify",
            "-in",
            &mail,
            "-CAfile",
            &root,
            "-out",
            "/dev/null",
        ];
        accepted.insert("OpenSSL", run("openssl", &openssl, b"").ok);
        if has("gpgsm") {
            accepted.insert("gpgsm", self.gpgsm(&["--verify", &signature, &covered]).ok);
        }
        if has("cmsutil") {
            let database = format!("sql:{}", self.at("nss").display());
            let words = [
                "-D", "-d", &database, "-c", &covered, "-i", &signature, "-h", "0",
            ];
            let said = run("cmsutil", &words, b"");
            let good = String::from_utf8_lossy(&said.stdout).contains("status=GoodSignature")
                || said.stderr.contains("GoodSignature");
            accepted.insert("NSS", said.ok && good);
        }
        accepted
    }
}

#[test]
fn others_accept_what_is_signed() {
    let sandbox = Sandbox::new();
    let judges = Judges::new();
    let mut table = String::from(
        "| key | digest | p7mill | OpenSSL 3.0 | gpgsm 2.2 | NSS |\n|---|---|---|---|---|---|\n",
    );
    for (name, kind) in PEOPLE.iter().filter(|(name, _)| *name != "short") {
        let original = letter(name);
        let signed = sign(&sandbox, &original, &keys(name), "").expect(0).stdout;
        assert_eq!(
            signed.matches("\nContent-Type: multipart/signed").count(),
            1
        );
        assert!(!signed.contains("\r\n"), "{signed}");
        let before = sandbox.write("before.eml", &original);
        let after = sandbox.write("signed.eml", &signed);
        judge("signed.py", &[&before, &after]);
        let (ours, why) = verdict(&sandbox, "signed.eml");
        assert_eq!(ours, "valid", "{name}: {why}");
        let accepted = judges.accept(&signed);
        let cell = |program: &str| match accepted.get(program) {
            Some(true) => "yes",
            Some(false) => "no",
            None => "?",
        };
        let micalg = signed.split("micalg=").nth(1).unwrap();
        let micalg = micalg.split(';').next().unwrap();
        writeln!(
            table,
            "| {kind} | {micalg} | yes | {} | {} | {} |",
            cell("OpenSSL"),
            cell("gpgsm"),
            cell("NSS")
        )
        .unwrap();
    }
    if ["gpgsm", "certutil", "cmsutil"].into_iter().all(has) {
        doc_table("reference/interop.md", "signed", &table);
    }
}

#[test]
fn opaque_signatures_are_accepted_and_hold_the_content() {
    let sandbox = Sandbox::new();
    let root = world().certificate("root").display().to_string();
    let signed = sign(&sandbox, &letter("rsa"), &keys("rsa"), "--opaque")
        .expect(0)
        .stdout;
    assert!(signed.contains("smime-type=signed-data"), "{signed}");
    let file = sandbox.write("signed.eml", &signed).display().to_string();
    let said = run(
        "openssl",
        &["cms", "-verify", "-in", &file, "-CAfile", &root],
        b"",
    )
    .expect("openssl");
    let content = String::from_utf8(said).unwrap();
    assert!(content.contains("=C3=86r=C3=B8"), "{content}");
    assert_eq!(verdict(&sandbox, "signed.eml").0, "valid");
}

#[test]
fn the_whole_path_goes_along_and_the_attributes_are_there() {
    let sandbox = Sandbox::new();
    let pki = world();
    let line = |line: &str| openssl(pki.path(), line).expect(line);
    fs::write(
        pki.path().join("sub.ext"),
        "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n",
    )
    .unwrap();
    fs::write(
        pki.path().join("below.ext"),
        "extendedKeyUsage=emailProtection\nkeyUsage=digitalSignature\nsubjectAltName=email:below@example.org\n",
    )
    .unwrap();
    for name in ["sub", "below"] {
        pki.make_key(name, "ec");
        line(&format!(
            "req -new -key {name}.key -out {name}.csr -subj /CN={name}"
        ));
    }
    line(
        "x509 -req -in sub.csr -CA root.pem -CAkey root.key -set_serial 77 -days 900 -extfile sub.ext -out sub.pem",
    );
    line(
        "x509 -req -in below.csr -CA sub.pem -CAkey sub.key -set_serial 78 -days 900 -extfile below.ext -out below.pem",
    );
    let keys = sandbox.path().join("K");
    fs::create_dir(&keys).unwrap();
    for file in ["below.key", "below.pem"] {
        fs::copy(pki.path().join(file), keys.join(file)).unwrap();
    }
    let more = format!(
        "--intermediates {} --trust {}",
        pki.certificate("sub").display(),
        pki.certificate("root").display()
    );
    let signed = sign(&sandbox, &letter("below"), "K", &more)
        .expect(0)
        .stdout;
    let (_, signature) = taken_apart(&signed);
    let file = sandbox.write("s.p7s", &signature).display().to_string();
    let said = run(
        "openssl",
        &[
            "pkcs7",
            "-inform",
            "DER",
            "-in",
            &file,
            "-print_certs",
            "-noout",
        ],
        b"",
    );
    let said = String::from_utf8(said.expect("pkcs7")).unwrap();
    for name in ["CN = below", "CN = sub", "CN = Test-Root"] {
        assert!(said.contains(&format!("subject={name}")), "{said}");
    }
    let said = run(
        "openssl",
        &[
            "cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", &file,
        ],
        b"",
    );
    let said = String::from_utf8(said.expect("cms")).unwrap();
    for attribute in [
        "contentType",
        "messageDigest",
        "signingTime",
        "S/MIME Capabilities",
        "id-smime-aa-signingCertificateV2",
        "1.2.840.113549.1.9.52",
    ] {
        assert!(said.contains(attribute), "no {attribute}: {said}");
    }
    assert_eq!(said.matches("version: 1").count(), 2, "{said}");
}

#[test]
fn another_certificate_for_encryption_is_named_and_goes_along() {
    let sandbox = Sandbox::new();
    let pki = Pki::new();
    for (serial, (name, usage)) in [("signs", "digitalSignature"), ("opens", "keyAgreement")]
        .into_iter()
        .enumerate()
    {
        pki.make_key(name, "ec");
        let extensions = format!(
            "extendedKeyUsage=emailProtection\nkeyUsage={usage}\nsubjectAltName=email:both@example.org\n"
        );
        fs::write(pki.path().join(format!("{name}.ext")), extensions).unwrap();
        openssl(
            pki.path(),
            &format!("req -new -key {name}.key -out {name}.csr -subj /CN={name}"),
        )
        .expect("req");
        let line = format!(
            "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -set_serial {} -days 900 -extfile {name}.ext -out {name}.pem",
            serial + 6
        );
        openssl(pki.path(), &line).expect("x509");
    }
    let keys = pki.keys_of(&["signs", "opens"]).display().to_string();
    let signed = sign(&sandbox, &letter("both"), &keys, "").expect(0).stdout;
    let (_, signature) = taken_apart(&signed);
    let file = sandbox.write("s.p7s", &signature).display().to_string();
    let words = [
        "cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", &file,
    ];
    let said = String::from_utf8(run("openssl", &words, b"").expect("cms")).unwrap();
    for words in [
        "subject: CN=signs",
        "subject: CN=opens",
        "(1.2.840.113549.1.9.16.2.11)",
    ] {
        assert!(said.contains(words), "no {words}: {said}");
    }
}

#[test]
fn one_changed_byte_is_seen() {
    let sandbox = Sandbox::new();
    let signed = sign(&sandbox, &letter("rsa"), &keys("rsa"), "")
        .expect(0)
        .stdout;
    sandbox.write("honest.eml", &signed);
    assert_eq!(verdict(&sandbox, "honest.eml").0, "valid");
    let forged = signed.replace("12 =E2", "13 =E2");
    assert_ne!(forged, signed);
    sandbox.write("forged.eml", &forged);
    assert_eq!(
        verdict(&sandbox, "forged.eml"),
        ("invalid".to_owned(), "digest-mismatch".to_owned())
    );
    assert!(!Judges::new().accept(&forged)["OpenSSL"]);
}

/// Pieces that bodies are made of.
const PIECES: [&[u8]; 18] = [
    b"text",
    b"From ",
    b">From x",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r",
    b" ",
    b"\t\n",
    b".",
    b"\n.\n",
    b"\xc3\xa9",
    b"\xff",
    b"\0",
    b"=",
    b"--",
    b"=3D\n",
    b"a line of some length that goes on and on and on, a line of some length that goes on and on",
];

/// The `number`th body of a fixed, varied lot.
fn body(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let count = next(24);
    let mut out: Vec<u8> = (0..count)
        .flat_map(|_| PIECES[next(PIECES.len())].to_vec())
        .collect();
    if next(10) == 0 {
        out.extend(vec![b'x'; 1_200]);
    }
    out
}

/// As an mboxrd holds it.
fn quoted(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let quotes = line.iter().take_while(|byte| **byte == b'>').count();
        if line[quotes..].starts_with(b"From ") {
            out.push(b'>');
        }
        out.extend_from_slice(line);
    }
    out
}

#[test]
fn any_body_stays_signed_through_mailboxes_and_other_line_ends() {
    const BODIES: u64 = 240;
    let sandbox = Sandbox::new();
    let mut mbox = Vec::new();
    for number in 0..BODIES {
        let kind = [
            "text/plain; charset=utf-8",
            "application/octet-stream",
            "text/html",
        ];
        let kind = kind[usize::try_from(number % 3).unwrap()];
        let head = format!(
            "From: p256@example.org\nMessage-ID: <{number}@example.org>\nMIME-Version: 1.0\nContent-Type: {kind}\n"
        );
        let message = [head.as_bytes(), b"\n", &body(number)].concat();
        mbox.extend_from_slice(b"From x Mon Nov 23 10:00:00 2026\n");
        mbox.extend_from_slice(&quoted(&message));
        mbox.extend_from_slice(b"\n\n");
    }
    sandbox.write("bodies.mbox", &mbox);
    sandbox
        .line(&format!(
            "sign bodies.mbox --as p256@example.org --keys {} --now {} --out OUT",
            keys("p256"),
            now()
        ))
        .expect(0);
    let signed = fs::read(sandbox.path().join("OUT/bodies.mbox")).unwrap();
    assert!(
        !signed.windows(7).any(|window| window == b"\n>From "),
        "nothing needs quoting in what is signed"
    );
    sandbox.write("lf.mbox", &signed);
    let text = String::from_utf8(signed).unwrap();
    sandbox.write("crlf.mbox", text.replace('\n', "\r\n"));
    let root = world().certificate("root").display().to_string();
    for file in ["lf.mbox", "crlf.mbox"] {
        let ran = sandbox
            .line(&format!(
                "verify {file} --trust {root} --now {} --clock now --report R",
                now()
            ))
            .expect(0);
        let signatures = rows(&sandbox.path().join("R/signatures.csv"));
        assert_eq!(signatures.len() as u64, BODIES, "{}", ran.stdout);
        for row in signatures {
            assert_eq!(
                (row.at("verdict"), row.at("reasons")),
                ("valid", ""),
                "{row:?}"
            );
        }
    }
    for (number, message) in text
        .split("From x Mon Nov 23 10:00:00 2026\n")
        .skip(1)
        .enumerate()
        .step_by(8)
    {
        let message = message.strip_suffix('\n').unwrap();
        for message in [message.to_owned(), message.replace('\n', "\r\n")] {
            let file = sandbox.write("one.eml", message).display().to_string();
            let words = [
                "cms",
                "-verify",
                "-in",
                &file,
                "-CAfile",
                &root,
                "-out",
                "/dev/null",
            ];
            run("openssl", &words, b"").expect(&format!("message {number}"));
        }
    }
}

#[test]
fn many_messages_are_signed_only_as_somebody() {
    let sandbox = Sandbox::new();
    sandbox.write("A/1.eml", letter("rsa"));
    sandbox.write("A/2.eml", letter("p256"));
    let keys = world().keys_of(&["rsa", "p256"]).display().to_string();
    let line = format!("sign A --keys {keys} --now {} --out OUT", now());
    let ran = sandbox.line(&line).expect(2);
    assert!(ran.stderr.contains("making evidence up"), "{}", ran.stderr);
    assert!(!sandbox.path().join("OUT").exists());
    let before = trees::files(&sandbox.path().join("A"), |_| false);

    let line = format!("{line} --as RSA@example.org");
    sandbox.line(&line).expect(0);
    sandbox.line("check OUT").expect(0);
    let messages = rows(&sandbox.path().join("OUT/report/messages.csv"));
    assert!(messages.iter().all(|row| row.at("outcome") == "signed"));
    assert_eq!(verdict(&sandbox, "OUT/A/1.eml").0, "valid");
    assert_eq!(
        verdict(&sandbox, "OUT/A/2.eml"),
        ("indeterminate".to_owned(), "address-mismatch".to_owned())
    );
    let written = trees::tree(&sandbox.path().join("OUT"));
    sandbox.line(&line).expect(0);
    assert_eq!(written, trees::tree(&sandbox.path().join("OUT")));
    sandbox.line("restore OUT --out BACK").expect(0);
    assert_eq!(
        before,
        trees::files(&sandbox.path().join("BACK/A"), |_| false)
    );

    let missing = format!("sign A --keys {keys} --as nobody@example.org --out NONE");
    let ran = sandbox.line(&missing).expect(2);
    assert!(ran.stderr.contains("nobody@example.org"), "{}", ran.stderr);
    assert!(!sandbox.path().join("NONE").exists());
}

#[test]
fn a_signature_goes_around_signatures_and_encryption() {
    let sandbox = Sandbox::new();
    let inner = sign(&sandbox, &letter("rsa"), &keys("rsa"), "")
        .expect(0)
        .stdout;
    let outer = sign(&sandbox, &inner, &keys("p256"), "--as p256@example.org")
        .expect(0)
        .stdout;
    sandbox.write("twice.eml", &outer);
    let root = world().certificate("root").display().to_string();
    sandbox.line(&format!(
        "verify twice.eml --trust {root} --now {} --clock now --report R",
        now()
    ));
    let signatures = rows(&sandbox.path().join("R/signatures.csv"));
    let said: Vec<_> = signatures
        .iter()
        .map(|row| (row.at("layer"), row.at("signer"), row.at("integrity")))
        .collect();
    assert_eq!(
        said,
        [
            ("1", "p256@example.org", "intact"),
            ("2", "rsa@example.org", "intact")
        ]
    );
    let messages = rows(&sandbox.path().join("R/messages.csv"));
    assert_eq!(messages[0].at("form"), "clear-signed>clear-signed");
    assert_eq!(messages[0].at("verdict"), "valid");
}

#[test]
fn who_cannot_sign_is_told_why_and_the_message_stays() {
    let sandbox = Sandbox::new();
    let said = |message: &str, keys: &str, code: i32, words: &str| {
        let ran = sign(&sandbox, message, keys, "").expect(code);
        assert_eq!(ran.stdout, message);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    };
    said(&letter("rsa"), &keys("p256"), 3, "address rsa@example.org");
    said(&letter("short"), &keys("short"), 3, "less than 2048 bits");
    said("Subject: x\n\nx\n", &keys("rsa"), 3, "no From");
    said(
        "From: rsa@example.org, p256@example.org\nSubject: x\n\nx\n",
        &keys("rsa"),
        3,
        "not one plain address",
    );
    let late = letter("rsa");
    let line = format!("sign - --keys {} --now 2099-01-01T00:00:00Z", keys("rsa"));
    let ran = sandbox.line_with_input(&line, late.as_bytes()).expect(3);
    // A limit of what is at hand, not something missing: `refused`, with the day.
    assert!(ran.stderr.contains("expired on 2"), "{}", ran.stderr);
    sandbox.write("B/1.eml", late);
    let line = format!(
        "sign B/1.eml --keys {} --now 2099-01-01T00:00:00Z --out OUT0",
        keys("rsa")
    );
    sandbox.line(&line).expect(3);
    let failed = rows(&sandbox.path().join("OUT0/report/failed.csv"));
    let told = ["outcome", "reason"].map(|column| failed[0].at(column));
    assert_eq!(told, ["refused", "cert-expired"]);

    // A locked file with the certificate beside it.
    let (key, certificate) = (world().key("rsa"), world().certificate("rsa"));
    let locked = sandbox.path().join("L");
    fs::create_dir(&locked).unwrap();
    fs::copy(certificate, locked.join("rsa.pem")).unwrap();
    let line = format!(
        "pkcs8 -topk8 -in {} -out {}/rsa.key -passout pass:open-sesame",
        key.display(),
        locked.display()
    );
    openssl(world().path(), &line).expect("pkcs8");
    said(&letter("rsa"), "L", 12, "stays locked");
    sandbox.write("A/1.eml", letter("rsa"));
    let line = format!("sign A/1.eml --keys L --now {} --out OUT", now());
    sandbox.line(&line).expect(12);
    assert_eq!(
        fs::read(sandbox.path().join("OUT/1.eml")).unwrap(),
        letter("rsa").as_bytes()
    );
    let line = format!(
        "sign A --as rsa@example.org --keys L --now {} --out OUT2",
        now()
    );
    sandbox.line(&line).expect(12);
    assert!(!sandbox.path().join("OUT2").exists());
    sandbox
        .line(&line.replace("--keys L", "--keys L/rsa.key"))
        .expect(12);
    assert!(!sandbox.path().join("OUT2").exists());
    // By itself such a file does not say whose it is.
    said(
        &letter("rsa"),
        "L/rsa.key",
        12,
        "rsa.key is locked and may hold the key; see --passphrase-file",
    );
    sandbox.write("secret", "open-sesame\n");
    let signed = sign(&sandbox, &letter("rsa"), "L", "--passphrase-file secret").expect(0);
    assert!(signed.stdout.contains("multipart/signed"));
}

#[test]
fn what_cannot_be_made_safe_goes_into_the_signature() {
    let sandbox = Sandbox::new();
    let message = "From: rsa@example.org\nSubject: x\nMIME-Version: 1.0\n\
        Content-Type: multipart/mixed; boundary=b\n\nHidden: é\n--b\n\ntext\n--b--\n";
    let signed = sign(&sandbox, message, &keys("rsa"), "").expect(0).stdout;
    assert!(signed.contains("smime-type=signed-data"), "{signed}");
    sandbox.write("signed.eml", &signed);
    assert_eq!(verdict(&sandbox, "signed.eml").0, "valid");
}

#[test]
fn a_from_that_some_readers_do_not_see_signs_nothing() {
    let sandbox = Sandbox::new();
    let keys = keys("p256");
    let many = format!("{}From: p256@example.org\n", "X: y\n".repeat(100_001));
    // Each beside what it is mistaken for.
    for (fields, signs) in [
        ("Subject: x\nFrom: p256@example.org\n", true),
        ("Subject: x\rFrom: p256@example.org\n", false),
        ("From : p256@example.org\n", true),
        ("F\u{1}rom: p256@example.org\n", false),
        (
            "From: p256@example.org\n (a comment)\nTo: x@example.org\n",
            true,
        ),
        ("From: p256@example.org\na line\nTo: x@example.org\n", false),
        (
            "From: p256@example.org,\nrsa@example.org\nTo: x@example.org\n",
            false,
        ),
        ("To: x@example.org\na line\nFrom: p256@example.org\n", false),
        (">From x@example.org Mon\nFrom: p256@example.org\n", true),
        (
            "To: x@example.org\nFrom: p256@example.org\nrsa@example.org\n",
            false,
        ),
        (&many, false),
    ] {
        let message = format!("{fields}\nx\n");
        let ran = sign(&sandbox, &message, &keys, "").expect(if signs { 0 } else { 3 });
        assert_eq!(ran.stdout == message, !signs, "{fields}");
    }
}

#[test]
fn what_a_mailbox_quoted_is_signed_as_it_was_sent() {
    let sandbox = Sandbox::new();
    let message = "From: rsa@example.org\nSubject: x\n\n>From here on it is ours.\n";
    sandbox.write(
        "M.mbox",
        format!("From a@b Mon Jan  1 00:00:00 2024\n{message}\n"),
    );
    let line = format!(
        "sign M.mbox --keys {} --now {} --out OUT",
        keys("rsa"),
        now()
    );
    sandbox.line(&line).expect(0);
    let written = fs::read_to_string(sandbox.path().join("OUT/M.mbox")).unwrap();
    assert!(
        written.contains("\n=46rom here on it is ours."),
        "{written}"
    );
    assert!(!written.contains("=3EFrom"), "{written}");
}

#[test]
fn what_cannot_be_read_to_its_end_and_what_is_no_message_is_not_signed() {
    let sandbox = Sandbox::new();
    let mut deep = String::from("From: rsa@example.org\n");
    for level in 0..80 {
        deep += &format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n");
    }
    sandbox.write(
        "A/deep.eml",
        deep + "Content-Type: application/pkcs7-mime\n\nMAMCAQE=\n",
    );
    let signed = sign(&sandbox, &letter("rsa"), &keys("rsa"), "--opaque")
        .expect(0)
        .stdout;
    let object = signed.split("\n\n").nth(1).unwrap();
    let object = run("openssl", &["base64", "-d"], object.as_bytes()).expect("base64");
    sandbox.write("A/object.p7m", &object);
    let line = format!(
        "sign A --as rsa@example.org --keys {} --now {} --out OUT",
        keys("rsa"),
        now()
    );
    sandbox.line(&line).expect(3);
    let failed = rows(&sandbox.path().join("OUT/report/failed.csv"));
    let told: Vec<_> = failed
        .iter()
        .map(|row| ["mailbox", "outcome", "reason"].map(|column| row.at(column)))
        .collect();
    let expected = [
        ["A/deep.eml", "refused", "limit-depth"],
        ["A/object.p7m", "refused", "no-message"],
    ];
    assert_eq!(told, expected);
    for name in ["deep.eml", "object.p7m"] {
        let [source, out] =
            ["A", "OUT/A"].map(|folder| fs::read(sandbox.path().join(folder).join(name)));
        assert_eq!(source.unwrap(), out.unwrap(), "{name}");
    }
}
