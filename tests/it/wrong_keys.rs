//! Ten thousand messages that a key is at hand for and that it must not open: none is called
//! decrypted or rewrapped, every one is copied as it was. libcrypto by itself calls about one in
//! 250 of them a success.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::support::Sandbox;
use crate::support::der::Node;
use crate::support::table::rows;
use crate::support::tools::{LATER, Pki, openssl};

/// How many messages each batch holds; the third has 256 for each of three kinds of key.
const CORRUPTED: usize = 8_400;
const REKEYED: usize = 832;

/// A reproducible stream of numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next().to_le_bytes()[3]);
    }
}

/// A sound object, and what it is made of.
struct Base {
    name: &'static str,
    object: Node,
    ec: bool,
    oaep: bool,
    aead: bool,
}

impl Base {
    fn ktri(&self) -> bool {
        !self.ec
    }
}

/// Where things are in an EnvelopedData or AuthEnvelopedData without originatorInfo.
struct Places {
    /// The encrypted key of the only recipient.
    key: Vec<usize>,
    /// The originator's public point (ECDH).
    point: Vec<usize>,
    /// The content cipher's OID.
    cipher: Vec<usize>,
    /// The ciphertext.
    content: Vec<usize>,
    /// The tag (GCM).
    mac: Vec<usize>,
    /// The nonce, and the tag's stated length (GCM).
    parameters: Vec<usize>,
}

fn places(base: &Base) -> Places {
    // ContentInfo { oid, [0] { EnvelopedData { version, SET OF RecipientInfo, content, … } } }
    let data = |path: &[usize]| [&[1, 0], path].concat();
    Places {
        key: data(if base.ec {
            &[1, 0, 3, 0, 1]
        } else {
            &[1, 0, 3]
        }),
        point: data(&[1, 0, 1, 0, 1]),
        cipher: data(&[2, 1, 0]),
        content: data(&[2, 2]),
        mac: data(&[3]),
        parameters: data(&[2, 1, 1]),
    }
}

const BASES: [(&str, &str); 7] = [
    ("cbc128", "-aes-128-cbc olga.pem"),
    ("cbc256", "-aes-256-cbc olga.pem"),
    ("des3", "-des3 olga.pem"),
    ("gcm", "-aes-256-gcm olga.pem"),
    (
        "oaep",
        "-aes-256-cbc -recip olga.pem -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256",
    ),
    ("ecdh", "-aes-128-cbc otto.pem"),
    ("ecdh-gcm", "-aes-256-gcm otto.pem"),
];

struct World {
    pki: Pki,
    corrupted: PathBuf,
    lucky: PathBuf,
    rekeyed: PathBuf,
}

fn world() -> &'static World {
    static ONCE: OnceLock<World> = OnceLock::new();
    ONCE.get_or_init(|| {
        let pki = Pki::new();
        pki.person("olga", "rsa", 0x2001);
        pki.person("otto", "ec", 0x2002);
        // The same issuer and serial over another key: what a re-keyed certificate looks like.
        for (name, kind, serial) in [("olga", "rsa", 0x2001), ("otto", "ec", 0x2002)] {
            pki.make_key(&format!("{name}2"), kind);
            pki.issue(&format!("{name}2"), name, serial);
        }
        pki.person("nina", "rsa", 0x2003);
        let mut dice = Dice(2026);
        let bases: Vec<Base> = (0..21).map(|n| base(&pki, n)).collect();
        let corrupted = pki.path().join("corrupted.mbox");
        fs::write(
            &corrupted,
            mbox((0..CORRUPTED).map(|n| corrupt(&bases, n, &mut dice))),
        )
        .unwrap();
        let lucky = pki.path().join("lucky.mbox");
        fs::write(
            &lucky,
            mbox(
                ["cbc128", "oaep", "ecdh"]
                    .iter()
                    .flat_map(|name| lucky_paddings(&bases, name)),
            ),
        )
        .unwrap();
        let rekeyed = pki.path().join("rekeyed.mbox");
        fs::write(
            &rekeyed,
            mbox((0..REKEYED).map(|n| {
                let base = &bases[n % bases.len()];
                (format!("{} rekeyed", base.name), base.object.encode())
            })),
        )
        .unwrap();
        World {
            pki,
            corrupted,
            lucky,
            rekeyed,
        }
    })
}

fn base(pki: &Pki, n: usize) -> Base {
    let (name, how) = BASES[n % BASES.len()];
    let text = format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nMessage {n} of those that must stay closed.\r\n{}",
        "Nothing of this may come out.\r\n".repeat(20 + n)
    );
    fs::write(pki.path().join("text"), text).unwrap();
    let line = format!("cms -encrypt -binary -in text -outform DER {how}");
    let der = openssl(pki.path(), &line).expect(&line);
    Base {
        name,
        object: Node::parse(&der),
        ec: name.starts_with("ecdh"),
        oaep: name == "oaep",
        aead: name.contains("gcm"),
    }
}

/// The `n`th message: one of the sound ones with one thing wrong, and what that is.
fn corrupt(bases: &[Base], n: usize, dice: &mut Dice) -> (String, Vec<u8>) {
    let base = &bases[n % bases.len()];
    let at = places(base);
    let mut object = base.object.clone();
    let flip = |bytes: &mut Vec<u8>, from: usize, to: usize, dice: &mut Dice| {
        let n = from + dice.below(to - from);
        bytes[n] ^= 1 << dice.below(8);
    };
    let mut kinds = vec![
        "random key",
        "flipped key",
        "cut key",
        "another message's key",
        "empty key",
        "long key",
        "other cipher",
    ];
    if base.ec {
        kinds.extend(["flipped point", "cut point"]);
    }
    if base.aead {
        kinds.extend([
            "flipped tag",
            "cut tag",
            "flipped nonce",
            "flipped text",
            "cut text",
            "zero tag",
            "stated tag length",
        ]);
    } else {
        // A flipped block in the middle of CBC cannot be noticed by anybody; its head and padding can.
        kinds.extend([
            "flipped head",
            "flipped padding",
            "cut by a byte",
            "no text",
        ]);
    }
    let kind = kinds[(n / bases.len()) % kinds.len()];
    match kind {
        "random key" => dice.fill(object.at(&at.key).bytes()),
        "flipped key" => {
            let length = object.at(&at.key).bytes().len();
            flip(object.at(&at.key).bytes(), 0, length, dice);
        }
        "cut key" => {
            let key = object.at(&at.key).bytes();
            let length = dice.below(key.len());
            key.truncate(length);
        }
        "empty key" => object.at(&at.key).bytes().clear(),
        "long key" => object.at(&at.key).bytes().extend([0x5a; 8]),
        // Sound padding, right length, wrong key.
        "another message's key" => {
            let other = bases
                .iter()
                .enumerate()
                .filter(|(m, other)| m % bases.len() != n % bases.len() && other.name == base.name)
                .nth(dice.below(2))
                .expect("three of each kind")
                .1;
            let mut other_object = other.object.clone();
            let places = places(other);
            if base.ktri() {
                object
                    .at(&at.key)
                    .bytes()
                    .clone_from(other_object.at(&places.key).bytes());
            } else {
                *object.at(&[1, 0, 1]) = other_object.at(&[1, 0, 1]).clone();
            }
        }
        // aes-128-cbc ↔ aes-256-cbc, aes-256-gcm ↔ aes-128-gcm, des-ede3-cbc → aes-128-cbc with an 8-byte IV
        "other cipher" => {
            let oid = object.at(&at.cipher).bytes();
            match (base.name, oid.last().copied()) {
                ("des3", _) => *oid = vec![0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02],
                (_, Some(0x02)) => *oid.last_mut().unwrap() = 0x2a,
                (_, Some(0x2a)) => *oid.last_mut().unwrap() = 0x02,
                (_, Some(0x2e)) => *oid.last_mut().unwrap() = 0x06,
                other => panic!("{other:?}"),
            }
        }
        "flipped point" => {
            let length = object.at(&at.point).bytes().len();
            flip(object.at(&at.point).bytes(), 2, length, dice);
        }
        "cut point" => {
            let point = object.at(&at.point).bytes();
            let length = 1 + dice.below(point.len() - 1);
            point.truncate(length);
        }
        "flipped tag" => {
            let length = object.at(&at.mac).bytes().len();
            flip(object.at(&at.mac).bytes(), 0, length, dice);
        }
        "zero tag" => object.at(&at.mac).bytes().fill(0),
        "cut tag" => {
            let mac = object.at(&at.mac).bytes();
            let length = dice.below(mac.len());
            mac.truncate(length);
        }
        "stated tag length" => {
            let parameters = object.at(&at.parameters);
            assert_eq!(parameters.children(), 2, "nonce and ICVlen");
            *parameters.child(1).bytes() = vec![[12, 13, 14, 15, 4, 0][dice.below(6)]];
        }
        "flipped nonce" => {
            let length = object.at(&at.parameters).child(0).bytes().len();
            flip(object.at(&at.parameters).child(0).bytes(), 0, length, dice);
        }
        "flipped text" => {
            let length = object.at(&at.content).bytes().len();
            flip(object.at(&at.content).bytes(), 0, length, dice);
        }
        "cut text" => {
            let content = object.at(&at.content).bytes();
            let length = dice.below(content.len());
            content.truncate(length);
        }
        "flipped head" => {
            // Sixteen bytes of plaintext become noise: one block of AES, two of DES.
            flip(object.at(&at.content).bytes(), 0, 8, dice);
            if base.name == "des3" {
                flip(object.at(&at.content).bytes(), 8, 16, dice);
            }
        }
        "flipped padding" => {
            // The last byte of the block before the last changes the padding's length to more than a block.
            let block = if base.name == "des3" { 8 } else { 16 };
            let content = object.at(&at.content).bytes();
            let last = content.len() - block - 1;
            content[last] ^= 0x80;
        }
        "cut by a byte" => {
            object.at(&at.content).bytes().pop();
        }
        "no text" => object.at(&at.content).bytes().clear(),
        other => panic!("{other}"),
    }
    (
        format!(
            "{}{}: {kind}",
            base.name,
            if base.oaep { " (OAEP)" } else { "" }
        ),
        object.encode(),
    )
}

/// Puts the key of another message, which is sound and of the right length, into a message, and
/// lets the byte that decides the padding take all its values: one of the 256 has a right padding.
fn lucky_paddings(bases: &[Base], name: &str) -> Vec<(String, Vec<u8>)> {
    let mut pair = bases.iter().filter(|base| base.name == name);
    let (base, other) = (pair.next().expect("one"), pair.next().expect("another"));
    let mut object = base.object.clone();
    *object.at(&[1, 0, 1]) = other.object.clone().at(&[1, 0, 1]).clone();
    let content = places(base).content;
    (0..=255)
        .map(|n| {
            let mut object = object.clone();
            let bytes = object.at(&content).bytes();
            let decisive = bytes.len() - 17;
            bytes[decisive] ^= n;
            (
                format!("{name}: another message's key, padding {n}"),
                object.encode(),
            )
        })
        .collect()
}

/// An mbox of messages to olga, each with what is wrong as its subject.
fn mbox(messages: impl Iterator<Item = (String, Vec<u8>)>) -> String {
    let mut text = String::new();
    for (subject, der) in messages {
        write!(
            text,
            "From ann@example.org Mon Nov 23 09:00:00 2015\nFrom: ann@example.org\nTo: olga@example.org, otto@example.org\nSubject: {subject}\n\
             MIME-Version: 1.0\nContent-Type: application/pkcs7-mime; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n"
        )
        .unwrap();
        let encoded = base64_simd::STANDARD.encode_to_string(&der);
        for line in encoded.as_bytes().chunks(76) {
            text.push_str(std::str::from_utf8(line).unwrap());
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

/// Runs one command over one batch and checks that nothing came of it.
fn stays_closed(mbox: &PathBuf, keys: &[&str], arguments: &[&str]) {
    let world = world();
    let sandbox = Sandbox::new();
    let (mail, keys) = (mbox.to_string_lossy(), world.pki.keys_of(keys));
    let keys = keys.to_string_lossy();
    let words = [
        arguments,
        &[&mail, "--keys", &keys, "--out", "OUT", "--now", LATER],
    ]
    .concat();
    sandbox.run(words).expect(3);
    let mut counts: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let found = rows(&sandbox.path().join("OUT/report/messages.csv"));
    for row in &found {
        let outcome = row.at("outcome");
        *counts
            .entry((
                row.at("subject").to_owned(),
                outcome.to_owned(),
                row.at("reason").to_owned(),
            ))
            .or_default() += 1;
        if !["undecryptable", "malformed", "unsupported", "refused"].contains(&outcome) {
            wrong.push(format!(
                "{} {}: {outcome} {}",
                row.at("ordinal"),
                row.at("subject"),
                row.at("reason")
            ));
        }
    }
    if counts.len() < 200 {
        for ((subject, outcome, reason), count) in &counts {
            println!("{count:5} {subject} -> {outcome} {reason}");
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        found.len(),
        wrong.join("\n")
    );
    let written = fs::read(sandbox.path().join("OUT").join(mbox.file_name().unwrap())).unwrap();
    assert!(
        written == fs::read(mbox).unwrap(),
        "something was changed in the copy"
    );
    let originals = sandbox.path().join("OUT/originals");
    assert!(
        !originals.exists() || fs::read_dir(originals).unwrap().next().is_none(),
        "nothing was replaced, so no original is kept"
    );
}

/// Rewrapping is refused for 3DES before any key is tried, which is fine here.
#[test]
fn corrupted_messages_are_not_decrypted() {
    stays_closed(&world().corrupted, &["olga", "otto"], &["decrypt"]);
}

#[test]
fn corrupted_messages_are_not_rewrapped() {
    let to = world().pki.certificate("nina");
    stays_closed(
        &world().corrupted,
        &["olga", "otto"],
        &["reencrypt", "--to", &to.to_string_lossy()],
    );
}

#[test]
fn another_messages_key_is_not_taken_for_this_ones_by_luck_of_the_padding() {
    let to = world().pki.certificate("nina");
    stays_closed(&world().lucky, &["olga", "otto"], &["decrypt"]);
    stays_closed(
        &world().lucky,
        &["olga", "otto"],
        &["reencrypt", "--to", &to.to_string_lossy()],
    );
}

#[test]
fn messages_to_a_certificate_whose_key_was_renewed_are_not_decrypted() {
    stays_closed(&world().rekeyed, &["olga2", "otto2"], &["decrypt"]);
}

#[test]
fn messages_to_a_certificate_whose_key_was_renewed_are_not_rewrapped() {
    let to = world().pki.certificate("nina");
    stays_closed(
        &world().rekeyed,
        &["olga2", "otto2"],
        &["reencrypt", "--to", &to.to_string_lossy()],
    );
}

#[test]
fn the_messages_open_where_nothing_is_wrong() {
    let world = world();
    let sandbox = Sandbox::new();
    let keys = world.pki.keys_of(&["olga", "otto"]);
    let mail = world.rekeyed.to_string_lossy();
    sandbox
        .run([
            "decrypt",
            &mail,
            "--keys",
            &keys.to_string_lossy(),
            "--out",
            "OUT",
        ])
        .expect(0);
    let found = rows(&sandbox.path().join("OUT/report/messages.csv"));
    assert_eq!(
        found
            .iter()
            .filter(|row| row.at("outcome") == "decrypted")
            .count(),
        REKEYED
    );
}
