//! What a verdict rests on beside the mathematics: revocation lists, time-stamps, clocks, strength.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::der::{Body, Node};
use crate::support::table::{Row, rows};
use crate::support::tools::{LATER, Pki, has, openssl, run};
use crate::support::{NOW, Sandbox};

const SAMPLE: &str = "verify sample-data/archive --trust sample-data/ca --intermediates sample-data/intermediates --report R";

fn verify(sandbox: &Sandbox, options: &str, code: i32) -> Vec<Row> {
    sandbox.line(&format!("{SAMPLE} {options}")).expect(code);
    rows(&sandbox.path().join("R/signatures.csv"))
}

fn find<'r>(rows: &'r [Row], mailbox: &str, ordinal: &str) -> &'r Row {
    rows.iter()
        .find(|row| row.at("mailbox").ends_with(mailbox) && row.at("ordinal") == ordinal)
        .unwrap_or_else(|| panic!("{mailbox} {ordinal}"))
}

/// What was good once is not chosen for encryption once its issuer has revoked it, whether the list
/// was named at the first harvest or at a later one.
#[test]
fn a_revoked_certificate_is_not_encrypted_to() {
    let sandbox = Sandbox::with_sample();
    let harvest = |options: &str| {
        let line = format!(
            "harvest sample-data/archive --trust sample-data/ca --store certs.db --report R {options}"
        );
        sandbox.line(&line).expect(3);
        let known = rows(&sandbox.path().join("R/certificates.csv"));
        let piet = known
            .iter()
            .find(|row| row.at("addresses").contains("p.vandam@"));
        let piet = piet.unwrap();
        (piet.at("status").to_owned(), piet.at("reasons").to_owned())
    };
    let mail = b"From: a@b.example\nTo: p.vandam@nordhafen.example\nSubject: s\n\nwords\n";
    // At a time of the certificate's life.
    let line = "encrypt - --to p.vandam@nordhafen.example --cipher aes-256-cbc --store certs.db --now 2016-04-01T00:00:00Z";
    assert_eq!(harvest(""), ("usable".to_owned(), String::new()));
    sandbox.line_with_input(line, mail).expect(0);
    let quarantined = ("quarantined".to_owned(), "cert-revoked".to_owned());
    assert_eq!(harvest("--crl sample-data/crl"), quarantined);
    let refused = sandbox.line_with_input(line, mail);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stdout.is_empty());
    // What is known stays known.
    harvest("");
    assert_ne!(sandbox.line_with_input(line, mail).code, Some(0));
}

/// Inbox 49 was signed after its certificate's revocation; the sample has the lists that say so.
#[test]
fn lists_make_the_difference_and_are_on_record() {
    let sandbox = Sandbox::with_sample();
    let run_json = || fs::read_to_string(sandbox.path().join("R/run.json")).unwrap();
    let without = verify(&sandbox, "", 3);
    assert!(without.iter().all(|row| row.at("revocation") == "unknown"));
    let inbox = find(&without, "Inbox.mbox", "49");
    assert_eq!(inbox.at("verdict"), "valid");
    assert!(run_json().contains("\"crls\": []"), "{}", run_json());

    let with = verify(&sandbox, "--crl sample-data/crl", 3);
    let inbox = find(&with, "Inbox.mbox", "49");
    assert_eq!(
        (inbox.at("revocation"), inbox.at("verdict")),
        ("revoked", "invalid")
    );
    assert!(inbox.at("reasons").contains("cert-revoked"));
    assert!(with.iter().any(|row| row.at("revocation") == "good"));
    // What the same certificate signed before its revocation stays as it was.
    let before: Vec<_> = with
        .iter()
        .filter(|row| {
            row.at("cert_sha256") == inbox.at("cert_sha256")
                && row.at("verdict_time") < "2016-05-02"
        })
        .collect();
    assert!(before.iter().all(|row| row.at("revocation") != "revoked"));
    assert!(!run_json().contains("\"crls\": []"), "{}", run_json());
    for (row, twin) in with.iter().zip(&without) {
        assert_eq!(row.key(), twin.key());
        assert!(
            row.at("verdict") == twin.at("verdict") || row.at("revocation") == "revoked",
            "{row:?}"
        );
    }

    let required = verify(&sandbox, "--require-revocation", 3);
    assert!(required.iter().all(|row| row.at("verdict") != "valid"));
    let inbox = find(&required, "Inbox.mbox", "49");
    assert_eq!(inbox.at("reasons"), "revocation-unknown");

    fs::write(sandbox.path().join("none"), "no list").unwrap();
    let ran = sandbox.line(&format!("{SAMPLE} --crl none")).expect(2);
    assert!(
        ran.stderr.contains("--crl: none: no revocation list found"),
        "{}",
        ran.stderr
    );
}

#[test]
fn strength_is_graded_by_the_profile_that_is_named() {
    let sandbox = Sandbox::with_sample();
    let then = verify(&sandbox, "", 3);
    let today = verify(&sandbox, "--policy today", 3);
    let strict = verify(&sandbox, "--policy strict", 3);
    let old = |rows: &[Row]| {
        rows.iter()
            .filter(|row| row.at("digest") == "sha1" && row.at("integrity") == "intact")
            .map(|row| (row.at("strength").to_owned(), row.at("verdict").to_owned()))
            .collect::<Vec<_>>()
    };
    assert!(old(&then).iter().any(|(_, verdict)| verdict == "valid"));
    for graded in [old(&today), old(&strict)] {
        assert!(!graded.is_empty());
        for (strength, verdict) in graded {
            assert_eq!(strength, "broken");
            assert_ne!(verdict, "valid");
        }
    }
    let own = sandbox.write(
        "own.toml",
        "weak-blocks-valid = true\n[digests]\nsha256 = { weak = \"always\" }\n",
    );
    let own = verify(&sandbox, &format!("--policy {}", own.display()), 3);
    let sha256: Vec<_> = own
        .iter()
        .filter(|row| row.at("digest") == "sha256")
        .collect();
    assert!(!sha256.is_empty());
    for row in sha256 {
        assert!(row.at("strength") != "strong" && row.at("verdict") != "valid");
        assert!(row.at("reasons").contains("weak-digest"));
    }
    let told = fs::read_to_string(sandbox.path().join("R/run.json")).unwrap();
    assert!(told.contains("\"policy\": \"sha256:"), "{told}");
    for (policy, why) in [
        ("lenient", "at-the-time, today, strict"),
        ("sample-data/check.py", "TOML"),
    ] {
        let ran = sandbox
            .line(&format!("{SAMPLE} --policy {policy}"))
            .expect(2);
        assert!(ran.stderr.contains("--policy"), "{}", ran.stderr);
        assert!(ran.stderr.contains(why), "{policy}: {}", ran.stderr);
    }
}

/// libfaketime, where Debian's package puts it.
fn faketime() -> Option<PathBuf> {
    has("faketime").then(|| {
        let lib = Path::new("/usr/lib");
        let found = fs::read_dir(lib)
            .unwrap()
            .flatten()
            .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
            .find(|path| path.is_file());
        found.expect("libfaketime.so.1 beside the faketime program")
    })
}

#[test]
fn the_system_clock_changes_nothing_but_the_columns_that_are_about_now() {
    let Some(library) = faketime() else { return };
    let sandbox = Sandbox::with_sample();
    let reports = [
        "messages",
        "signatures",
        "certificates",
        "recipients",
        "failed",
    ];
    let judged = |year: &str, now: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_p7mill"));
        command
            .env_clear()
            .env("LD_PRELOAD", &library)
            .env("FAKETIME", format!("@{year}-06-01 00:00:00"))
            .current_dir(sandbox.path())
            .args(SAMPLE.split_whitespace())
            .args(now.into_iter().flat_map(|now| ["--now", now]));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let run = fs::read_to_string(sandbox.path().join("R/run.json")).unwrap();
        assert!(
            run.contains(&format!("\"started\": \"{year}-")),
            "not faked: {run}"
        );
        reports
            .map(|name| sandbox.path().join(format!("R/{name}.csv")))
            .map(|path| (fs::read(&path).unwrap(), rows(&path)))
    };
    let (past, future) = (judged("2001", Some(NOW)), judged("2040", Some(NOW)));
    for ((name, past), future) in reports.iter().zip(&past).zip(&future) {
        assert!(past.0 == future.0, "{name}.csv differs");
    }
    let (past, future) = (judged("2001", None), judged("2040", None));
    let columns = ["chain_now"];
    let without = |rows: &[Row]| -> Vec<Row> {
        rows.iter()
            .map(|row| row.clone().without(&columns))
            .collect()
    };
    assert_ne!(past[1].1, future[1].1, "nothing was judged now");
    assert_eq!(without(&past[1].1), without(&future[1].1));
    assert_eq!(past[0].1, future[0].1);
}

#[test]
fn no_socket_is_opened_and_none_is_missed() {
    if !has("strace") || !has("unshare") {
        return;
    }
    let sandbox = Sandbox::with_sample();
    let binary = env!("CARGO_BIN_EXE_p7mill");
    let line = SAMPLE.replace(" R", "");
    let here = |program: &str, arguments: &[&str], report: &str| {
        let mut command = Command::new(program);
        command
            .current_dir(sandbox.path())
            .args(arguments)
            .arg(binary)
            .args(line.split_whitespace())
            .arg(report)
            .args(["--now", NOW, "--crl", "sample-data/crl"]);
        let output = command.output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(3),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    here(
        "strace",
        &["-f", "-qq", "-o", "trace", "-e", "trace=network,openat"],
        "A",
    );
    let trace = fs::read_to_string(sandbox.path().join("trace")).unwrap();
    assert!(trace.contains("openat("), "strace saw nothing");
    for call in ["socket(", "connect(", "socketpair(", "sendto("] {
        assert!(!trace.contains(call), "{call} in\n{trace}");
    }
    // As root, or where users may have networks of their own.
    let allowed = run("unshare", &["-rn", "true"], b"").ok;
    if !allowed {
        println!("NOT SHOWN: this machine lets nobody take the network away");
        return;
    }
    here("unshare", &["-rn"], "B");
    for name in ["messages", "signatures", "certificates", "summary"] {
        let file = |folder: &str| {
            let extension = if name == "summary" { "json" } else { "csv" };
            fs::read(
                sandbox
                    .path()
                    .join(folder)
                    .join(format!("{name}.{extension}")),
            )
            .unwrap()
        };
        assert!(file("A") == file("B"), "{name} differs without a network");
    }
}

/// Olga, whose certificate ends in a day, and a time-stamping authority.
struct Stamped {
    pki: Pki,
    sandbox: Sandbox,
}

const TEXT: &str = "Content-Type: text/plain\r\n\r\nPay 100 to Ann.\r\n";

impl Stamped {
    fn new() -> Self {
        let pki = Pki::new();
        pki.make_key("olga", "rsa");
        fs::write(
            pki.path().join("olga.ext"),
            "extendedKeyUsage=emailProtection\nkeyUsage=digitalSignature\nsubjectAltName=email:olga@example.org\n",
        )
        .unwrap();
        for name in ["tsa", "stranger"] {
            pki.make_key(name, "rsa");
            fs::write(
                pki.path().join(format!("{name}.ext")),
                "extendedKeyUsage=critical,timeStamping\nkeyUsage=digitalSignature\n",
            )
            .unwrap();
        }
        let stamped = Self {
            pki,
            sandbox: Sandbox::new(),
        };
        stamped.openssl("req -x509 -newkey rsa:2048 -nodes -keyout tsaroot.key -out tsaroot.pem -days 7300 -subj /CN=Stamps");
        for (name, issuer, days, serial) in [
            ("olga", "root", 1, 65),
            ("tsa", "tsaroot", 7300, 66),
            ("stranger", "root", 7300, 67),
        ] {
            stamped.openssl(&format!(
                "req -new -key {name}.key -out {name}.csr -subj /CN={name}"
            ));
            stamped.openssl(&format!(
                "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -set_serial {serial} -days {days} -extfile {name}.ext -out {name}.pem"
            ));
        }
        fs::write(
            stamped.pki.path().join("ts.cnf"),
            "[tsa]\ndefault_tsa=own\n[own]\nserial=tsserial\ndefault_policy=1.2.3.4\ndigests=sha256\n\
             signer_digest=sha256\ness_cert_id_alg=sha256\n",
        )
        .unwrap();
        fs::write(stamped.pki.path().join("tsserial"), "01\n").unwrap();
        stamped
    }

    fn openssl(&self, line: &str) -> Vec<u8> {
        openssl(self.pki.path(), line).expect(line)
    }

    /// A SignedData by Olga over the text.
    fn signature(&self) -> Node {
        fs::write(self.pki.path().join("in"), TEXT).unwrap();
        Node::parse(
            &self.openssl("cms -sign -binary -in in -signer olga.pem -inkey olga.key -outform DER"),
        )
    }

    /// The SignerInfo of a SignedData, and the number of its signature.
    fn signer(signed: &mut Node) -> (&mut Node, usize) {
        let data = signed.at(&[1, 0]);
        let last = data.children() - 1;
        let signer = data.at(&[last, 0]);
        let signature = signer.children() - 1;
        (signer, signature)
    }

    /// A token over `bytes` by an authority.
    fn token(&self, bytes: &[u8], by: &str) -> Vec<u8> {
        fs::write(self.pki.path().join("stamped"), bytes).unwrap();
        self.openssl("ts -query -data stamped -sha256 -cert -out query.tsq");
        self.openssl(&format!(
            "ts -reply -config ts.cnf -section own -queryfile query.tsq -signer {by}.pem -inkey {by}.key -token_out -out token.der"
        ));
        fs::read(self.pki.path().join("token.der")).unwrap()
    }

    /// How the message with this SignedData is judged in 2044.
    fn judged(&self, signed: &Node, options: &str) -> Row {
        let text = base64_simd::STANDARD.encode_to_string(signed.encode());
        let lines: String = text
            .as_bytes()
            .chunks(76)
            .map(|line| format!("{}\r\n", std::str::from_utf8(line).unwrap()))
            .collect();
        self.sandbox.write(
            "A/1.eml",
            format!(
                "From: olga@example.org\r\nTo: ann@example.org\r\nSubject: pay\r\nMIME-Version: 1.0\r\n\
                 Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=sig\r\n\r\n\
                 --sig\r\n{TEXT}\r\n--sig\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{lines}--sig--\r\n"
            ),
        );
        let root = self.pki.certificate("root");
        let ran = self.sandbox.line(&format!(
            "verify A --trust {} --now {LATER} --report R {options}",
            root.display()
        ));
        assert!(matches!(ran.code, Some(0 | 4)), "{ran:?}");
        rows(&self.sandbox.path().join("R/signatures.csv")).remove(0)
    }
}

fn attribute(oid: &[u8], value: &[u8]) -> Node {
    let children = |tag: u8, children: Vec<Node>| Node {
        tag,
        body: Body::Children(children),
    };
    let oid = Node {
        tag: 6,
        body: Body::Bytes(oid.to_vec()),
    };
    let values = children(0x31, vec![Node::parse(value)]);
    children(0xa1, vec![children(0x30, vec![oid, values])])
}

#[test]
fn a_time_stamp_by_a_trusted_authority_is_the_best_evidence_of_time() {
    const TOKEN: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 2, 14];
    const ARCHIVE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 2, 48];
    let stamped = Stamped::new();
    let tsa = format!(
        "--trust-tsa {}",
        stamped.pki.path().join("tsaroot.pem").display()
    );
    let with = |kind: &[u8], over: Option<&[u8]>, by: &str| {
        let mut signed = stamped.signature();
        let (signer, signature) = Stamped::signer(&mut signed);
        let bytes = over.map_or_else(|| signer.child(signature).bytes().clone(), <[u8]>::to_vec);
        let token = stamped.token(&bytes, by);
        if let Body::Children(children) = &mut signer.body {
            children.push(attribute(kind, &token));
        }
        signed
    };
    let bare = stamped.judged(&stamped.signature(), &tsa);
    assert_eq!(
        (bare.at("verdict"), bare.at("time_source")),
        ("indeterminate", "signing")
    );
    assert!(bare.at("reasons").contains("time-claimed-only"), "{bare:?}");

    let good = with(TOKEN, None, "tsa");
    let row = stamped.judged(&good, &tsa);
    assert_eq!(row.at("reasons"), "");
    assert_eq!(
        (row.at("verdict"), row.at("time_source")),
        ("valid", "timestamp")
    );
    // Valid then, expired now, and the row says both.
    assert_eq!(
        (row.at("chain"), row.at("chain_now")),
        ("trusted", "expired")
    );
    let message = rows(&stamped.sandbox.path().join("R/messages.csv")).remove(0);
    assert_eq!(message.at("time_source"), "timestamp");
    assert_eq!(message.at("verdict_time"), row.at("verdict_time"));
    // A time that is named goes before all evidence.
    let row = stamped.judged(&good, &format!("{tsa} --clock now"));
    assert_eq!((row.at("time_source"), row.at("chain")), ("now", "expired"));
    assert_eq!(row.at("verdict"), "indeterminate");

    for (signed, options, reason) in [
        (&good, "", "timestamp-untrusted"),
        (
            &with(TOKEN, None, "stranger"),
            tsa.as_str(),
            "timestamp-untrusted",
        ),
        (
            &with(TOKEN, Some(b"other"), "tsa"),
            tsa.as_str(),
            "timestamp-invalid",
        ),
        (
            &with(ARCHIVE, None, "tsa"),
            tsa.as_str(),
            "timestamp-not-used",
        ),
    ] {
        let row = stamped.judged(signed, options);
        assert_eq!(row.at("time_source"), "signing", "{reason}");
        assert_ne!(row.at("verdict"), "valid", "{reason}");
        assert!(row.at("reasons").contains(reason), "{reason}: {row:?}");
    }
}

/// A list that comes inside the SignedData counts where its issuer is trusted, and only there.
#[test]
fn a_list_inside_the_message_counts_where_its_issuer_is_trusted() {
    let stamped = Stamped::new();
    for issuer in ["root", "other"] {
        if issuer == "other" {
            // Another authority of the same name.
            stamped.openssl("req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 7300 -subj /CN=Test-Root");
        }
        fs::write(
            stamped.pki.path().join("index.txt"),
            "R\t440101000000Z\t200101000000Z,keyCompromise\t41\tunknown\t/CN=olga\n",
        )
        .unwrap();
        fs::write(
            stamped.pki.path().join("crl.cnf"),
            "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=30\n",
        )
        .unwrap();
        stamped.openssl(&format!(
            "ca -gencrl -config crl.cnf -cert {issuer}.pem -keyfile {issuer}.key -out list.pem"
        ));
        let list = stamped.openssl("crl -in list.pem -outform DER");
        let mut signed = stamped.signature();
        let data = signed.at(&[1, 0]);
        let before_signers = data.children() - 1;
        if let Body::Children(children) = &mut data.body {
            children.insert(
                before_signers,
                Node {
                    tag: 0xa1,
                    body: Body::Children(vec![Node::parse(&list)]),
                },
            );
        }
        let row = stamped.judged(&signed, "--clock signing");
        let expected = if issuer == "root" {
            ("revoked", "invalid")
        } else {
            ("unknown", "valid")
        };
        assert_eq!(
            (row.at("revocation"), row.at("verdict")),
            expected,
            "{issuer}: {row:?}"
        );
    }
}
