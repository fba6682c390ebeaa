//! Two people who have never written to each other: the one cannot encrypt until the other has
//! signed something. B's programs are OpenSSL, gpgsm and NSS.

use std::path::Path;

use crate::support::readers::{Gpgsm, Nss, by_openssl, object_of};
use crate::support::table::rows;
use crate::support::tools::{LATER, Pki, has, openssl};
use crate::support::{Ran, Sandbox};

const SECRET: &str = "We meet at the dry dock at six.";
const ANSWER: &str = "I shall be there.";

struct World {
    sandbox: Sandbox,
    pki: Pki,
}

impl World {
    fn new() -> Self {
        let pki = Pki::new();
        pki.person("alma", "rsa", 0x5001);
        pki.person("bela", "rsa", 0x5002);
        let sandbox = Sandbox::new();
        std::fs::copy(pki.certificate("root"), sandbox.path().join("root.pem")).unwrap();
        Self { sandbox, pki }
    }

    /// Alma writes to Bela and encrypts.
    fn alma_writes(&self) -> Ran {
        let mail = format!(
            "From: alma@example.org\nTo: Bela <bela@example.org>\nSubject: tonight\nMIME-Version: 1.0\n\
             Content-Type: text/plain\n\n{SECRET}\n"
        );
        self.sandbox.write("draft.eml", &mail);
        let line = format!("encrypt - --to-recipients --store certs.db --now {LATER}");
        self.sandbox.line_with_input(&line, mail.as_bytes())
    }

    /// Bela's signed message arrives in Alma's folder, and is harvested.
    fn bela_signs(&self, message: &[u8]) {
        self.sandbox.write("inbox/1.eml", message);
        let line =
            format!("harvest inbox --trust root.pem --store certs.db --report seen --now {LATER}");
        self.sandbox.line(&line).expect(0);
        let seen = rows(&self.sandbox.path().join("seen/certificates.csv"));
        let own = seen
            .iter()
            .find(|row| row.at("addresses") == "bela@example.org");
        assert_eq!(own.map(|row| row.at("status")), Some("usable"));
    }

    /// What Alma sent, as an object.
    fn object(&self, ran: &Ran) -> std::path::PathBuf {
        assert!(!ran.stdout.contains(SECRET));
        self.sandbox
            .write("sent.p7m", object_of(ran.stdout.as_bytes()))
    }

    /// A store that exists and knows nobody.
    fn empty_store(&self) {
        let nobody = "From: carl@example.org\nTo: alma@example.org\nSubject: hello\n\nhello\n";
        self.sandbox.write("plain/1.eml", nobody);
        let line = format!("harvest plain --trust root.pem --store certs.db --now {LATER}");
        self.sandbox.line(&line).expect(0);
    }

    /// Alma cannot encrypt: Bela is named, and nothing is written.
    fn alma_cannot(&self) {
        let ran = self.alma_writes().expect(3);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains("bela@example.org"), "{}", ran.stderr);
        assert!(ran.stderr.contains("harvest"), "{}", ran.stderr);
    }

    /// Bela answers encrypted, with OpenSSL.
    fn bela_answers(&self) -> Vec<u8> {
        std::fs::write(
            self.pki.path().join("answer"),
            format!("Content-Type: text/plain\r\n\r\n{ANSWER}\r\n"),
        )
        .unwrap();
        let line = "cms -encrypt -aes-256-cbc -in answer -out answer.eml -from bela@example.org -to alma@example.org \
                    -subject tonight alma.pem";
        openssl(self.pki.path(), line).expect(line);
        std::fs::read(self.pki.path().join("answer.eml")).unwrap()
    }
}

/// A message by Bela whose body is this signed object.
fn opaque(object: &[u8]) -> String {
    let text = base64_simd::STANDARD.encode_to_string(object);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "From: bela@example.org\nTo: alma@example.org\nSubject: hello\nMIME-Version: 1.0\n\
         Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\n\
         Content-Transfer-Encoding: base64\n\n{}\n",
        lines.join("\n")
    )
}

#[test]
fn two_people_come_to_write_in_secret() {
    let world = World::new();
    let (sandbox, pki) = (&world.sandbox, &world.pki);
    world.empty_store();
    world.alma_cannot();

    // A signed message by Bela's OpenSSL arrives.
    std::fs::write(
        pki.path().join("hello"),
        "Content-Type: text/plain\r\n\r\nhello\r\n",
    )
    .unwrap();
    let line = "cms -sign -in hello -out hello.eml -signer bela.pem -inkey bela.key -from bela@example.org \
                -to alma@example.org -subject hello";
    openssl(pki.path(), line).expect(line);
    world.bela_signs(&std::fs::read(pki.path().join("hello.eml")).unwrap());

    // Now Alma can, and each of Bela's programs reads it.
    let sent = world.object(&world.alma_writes().expect(0));
    let reads = |made: Option<Vec<u8>>, who: &str| {
        let text = made.unwrap_or_else(|| panic!("{who} does not read it"));
        assert!(String::from_utf8_lossy(&text).contains(SECRET), "{who}");
    };
    reads(by_openssl(pki, "bela", &sent), "openssl");
    if let Some(gpgsm) = Gpgsm::new(pki, &["bela"]) {
        reads(gpgsm.decrypt(&sent), "gpgsm");
    }
    if let Some(nss) = Nss::new(pki, &["bela"]) {
        reads(nss.decrypt(&sent), "cmsutil");
    }
    assert_eq!(
        by_openssl(pki, "alma", &sent),
        None,
        "Alma did not ask for --to-self"
    );

    // Bela answers. Alma's open key reads the answer unasked.
    let answer = world.bela_answers();
    let keys = pki.keys_of(&["alma"]).display().to_string();
    let line = format!("decrypt - --keys {keys} --now {LATER}");
    let ran = sandbox.line_with_input(&line, &answer).expect(0);
    assert!(ran.stdout.contains(ANSWER), "{}", ran.stdout);

    // A locked one leaves it as it was, byte for byte, to be saved and opened elsewhere.
    std::fs::create_dir(sandbox.path().join("locked")).unwrap();
    std::fs::copy(pki.pkcs12("alma"), sandbox.path().join("locked/alma.p12")).unwrap();
    std::fs::copy(
        pki.certificate("alma"),
        sandbox.path().join("locked/alma.pem"),
    )
    .unwrap();
    let line = format!("decrypt - --keys locked --now {LATER}");
    let ran = sandbox.line_with_input(&line, &answer).expect(12);
    assert_eq!(ran.stdout.as_bytes(), answer);
    sandbox.write("mail/1.eml", &answer);
    let line = format!("migrate mail --keys locked --out OUT --now {LATER}");
    sandbox.line(&line).expect(3);
    let kept = std::fs::read(sandbox.path().join("OUT/mail/1.eml")).unwrap();
    assert_eq!(kept, answer);
    let saved = sandbox.write("smime.p7m", object_of(&kept));
    let text = by_openssl(pki, "alma", &saved).expect("opened elsewhere");
    assert!(String::from_utf8_lossy(&text).contains(ANSWER));
    let line = format!("migrate mail --keys {keys} --out OUT2 --now {LATER}");
    sandbox.line(&line).expect(0);
    let open = std::fs::read_to_string(sandbox.path().join("OUT2/mail/1.eml")).unwrap();
    assert!(open.contains(ANSWER));
}

#[test]
fn a_signature_of_nss_makes_its_owner_known_too() {
    if !has("cmsutil") {
        return;
    }
    let world = World::new();
    world.empty_store();
    world.alma_cannot();
    let nss = Nss::new(&world.pki, &["bela"]).expect("NSS");
    let content = world
        .sandbox
        .write("hello", "Content-Type: text/plain\r\n\r\nhello\r\n");
    let object = nss.sign("bela", Path::new(&content));
    world.bela_signs(opaque(&object).as_bytes());
    let sent = world.object(&world.alma_writes().expect(0));
    let text = nss.decrypt(&sent).expect("NSS reads it");
    assert!(String::from_utf8_lossy(&text).contains(SECRET));
}
