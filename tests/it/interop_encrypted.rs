//! Who reads what p7mill encrypts: the table in `docs/reference/interop.md`.

use std::fmt::Write as _;

use crate::support::Sandbox;
use crate::support::page::doc_table;
use crate::support::readers::{Gpgsm, Nss, by_openssl, object_of};
use crate::support::tools::{LATER, Pki};

const LETTER: &str = "From: ann@example.org\r\nTo: somebody@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n\
     Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nÆrø, 12 €.\r\n";

/// The entity that is encrypted.
const ENTITY: &str = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nÆrø, 12 €.\r\n";

/// `SMIMECapabilities` that list AES-256-GCM and RSAES-OAEP with SHA-256.
const GCM_AND_OAEP: &str = "1.2.840.113549.1.9.15=DER:3047300b060960864801650304012e303806092a864886f70d010107302b\
                            a00d300b0609608648016503040201a11a301806092a864886f70d010108300b0609608648016503040201";

const PEOPLE: [(&str, &str, &str); 7] = [
    ("rsa", "rsa", "RSA, PKCS #1 v1.5"),
    (
        "oaep",
        "rsa",
        "RSA, OAEP with SHA-256 (as the recipient's capabilities ask)",
    ),
    ("p256", "ec", "ECDH P-256, X9.63 with SHA-256"),
    ("p384", "ec-p384", "ECDH P-384, X9.63 with SHA-384"),
    ("p521", "ec-p521", "ECDH P-521, X9.63 with SHA-512"),
    ("x25519", "x25519", "X25519, HKDF with SHA-256"),
    ("x448", "x448", "X448, HKDF with SHA-512"),
];

fn world() -> Pki {
    let pki = Pki::new();
    for (serial, (name, algorithm, _)) in (0x2001..).zip(PEOPLE) {
        if algorithm.starts_with('x') {
            pki.person_who_cannot_sign(name, algorithm, serial);
        } else {
            pki.person(name, algorithm, serial);
        }
        if name == "oaep" {
            pki.issue_with(name, serial, GCM_AND_OAEP);
        }
    }
    pki
}

/// `p7mill encrypt - --to NAME.pem` with further options: the object it makes.
fn sealed(sandbox: &Sandbox, pki: &Pki, name: &str, options: &str) -> Vec<u8> {
    let to = pki.certificate(name);
    let line = format!("encrypt - --to {} --now {LATER} {options}", to.display());
    let ran = sandbox.line_with_input(&line, LETTER.as_bytes()).expect(0);
    object_of(ran.stdout.as_bytes())
}

#[test]
fn what_is_encrypted_is_read_by_those_whom_the_table_names() {
    let pki = world();
    let names: Vec<&str> = PEOPLE.iter().map(|(name, ..)| *name).collect();
    let sandbox = Sandbox::new();
    let (Some(gpgsm), Some(nss)) = (Gpgsm::new(&pki, &names), Nss::new(&pki, &names)) else {
        return;
    };
    let mut table = String::from(
        "| cipher | recipient | p7mill | OpenSSL 3.0 | gpgsm 2.2 | NSS cmsutil 3.87 |\n|---|---|---|---|---|---|\n",
    );
    let word = |made: Option<Vec<u8>>| match made {
        Some(text) if text == ENTITY.as_bytes() => "yes",
        _ => "no",
    };
    for cipher in ["aes-256-cbc", "aes-256-gcm"] {
        for (name, _, what) in PEOPLE {
            let object = sealed(&sandbox, &pki, name, &format!("--cipher {cipher}"));
            let file = sandbox.write(&format!("{name}.p7m"), &object);
            let keys = pki.keys_of(&[name]);
            let own = sandbox.line_with_input(
                &format!("decrypt - --keys {} --now {LATER}", keys.display()),
                &object,
            );
            let own = (own.code == Some(0)).then(|| own.stdout.into_bytes());
            writeln!(
                table,
                "| {cipher} | {what} | {} | {} | {} | {} |",
                word(own),
                word(by_openssl(&pki, name, &file)),
                word(gpgsm.decrypt(&file)),
                word(nss.decrypt(&file)),
            )
            .unwrap();
        }
    }
    doc_table("reference/interop.md", "encrypted", &table);
}

#[test]
fn auto_takes_gcm_and_oaep_where_the_certificate_says_that_its_owner_reads_them() {
    let pki = world();
    let sandbox = Sandbox::new();
    let shown = |name: &str| {
        let object = sealed(&sandbox, &pki, name, "");
        let file = sandbox.write("x.p7m", &object);
        let line = format!(
            "cms -cmsout -print -noout -inform DER -in {}",
            file.display()
        );
        let said = crate::support::tools::openssl(pki.path(), &line).expect("cmsout");
        String::from_utf8_lossy(&said).into_owned()
    };
    let silent = shown("rsa");
    assert!(silent.contains("aes-256-cbc") && silent.contains("rsaEncryption"));
    let speaking = shown("oaep");
    assert!(speaking.contains("aes-256-gcm") && speaking.contains("rsaesOaep"));
}

/// A key that is for OAEP alone (id-RSAES-OAEP) is served so, whatever its owner says.
#[test]
fn a_key_for_oaep_alone_is_encrypted_to_by_oaep() {
    let pki = Pki::new();
    pki.person("olga", "rsa", 0x3001);
    let pem = std::fs::read_to_string(pki.certificate("olga")).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let mut der = base64_simd::STANDARD.decode_to_vec(body).unwrap();
    // rsaEncryption with NULL becomes id-RSAES-OAEP with NULL: SHA-1 throughout.
    let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    let at = der.windows(9).position(|found| found == oid).unwrap();
    der[at + 8] = 7;
    let sandbox = Sandbox::new();
    sandbox.write("olga.der", &der);
    let ran = sandbox
        .line_with_input(
            &format!("encrypt - --to olga.der --now {LATER}"),
            LETTER.as_bytes(),
        )
        .expect(0);
    let file = sandbox.write("x.p7m", object_of(ran.stdout.as_bytes()));
    assert_eq!(
        by_openssl(&pki, "olga", &file).as_deref(),
        Some(ENTITY.as_bytes())
    );
    let line = format!(
        "cms -cmsout -print -noout -inform DER -in {}",
        file.display()
    );
    let said = crate::support::tools::openssl(pki.path(), &line).expect("cmsout");
    assert!(String::from_utf8_lossy(&said).contains("rsaesOaep"));
}
