//! What must hold for any bytes whatever: a function a parser. They use nothing but the library's
//! public interface, and panic where a law is broken. `tests/fuzz` drives them by coverage,
//! `tests/it/fuzz.rs` by altering seeds.

use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use p7mill::archive::{self, Content, Kind, Mailbox, RawMessage};
use p7mill::cert::{Certificate, ChainJudge, Pool, Trust, load_certificates};
use p7mill::cms::ber::{Reader, Tlv, tag};
use p7mill::cms::{self, Attributes, Octets, RecipientInfo, SignerInfo, oid, parameters};
use p7mill::crypto::cipher::ContentCipher;
use p7mill::crypto::digest::sha256;
use p7mill::engine::journal::Journal;
use p7mill::keys::{KeyFileStatus, KeyRing, Passphrases};
use p7mill::limits::{Budget, Limits};
use p7mill::message::headers::Headers;
use p7mill::message::{decode, parts, rewrite, transfer};
use p7mill::ops::outcome::{Action, ContentIntegrity, Outcome};
use p7mill::ops::{self, Context, Input, Opening, Task};
use p7mill::smime::find;

/// The names that [`check`] knows.
#[allow(dead_code, reason = "the fuzzing package has a file for each instead")]
pub(crate) const ALL: [&str; 8] = [
    "mbox",
    "mime",
    "ber",
    "cms",
    "message",
    "keys",
    "journal",
    "certificate",
];

/// Runs the target of that name on `data`.
pub(crate) fn check(target: &str, data: &[u8]) {
    match target {
        "mbox" => mbox(data),
        "mime" => mime(data),
        "ber" => ber(data),
        "cms" => object(data),
        "message" => message(data),
        "keys" => keys(data),
        "journal" => journal(data),
        "certificate" => certificate(data),
        _ => panic!("no target is called {target}"),
    }
}

/// Splitting loses nothing and invents nothing, read from a stream, from a file, or in pieces too
/// large to hold; every message is where its locator says.
fn mbox(data: &[u8]) {
    let limits = Limits::default();
    let stream = std::io::Cursor::new(data.to_vec());
    // What is empty, packed or binary is no mail.
    let Ok((kind, messages)) = archive::stdin_messages(stream, &limits) else {
        return;
    };
    let messages: Vec<_> = messages
        .map(|message| message.expect("memory can be read"))
        .collect();
    adds_up(data, &messages);
    if kind != Kind::Mbox {
        assert!(messages.len() <= 1);
        return;
    }
    for message in &messages {
        let whole = [rewrite::Piece::Source(
            0..message.content.bytes().map_or(0, <[u8]>::len),
        )];
        let rendered = archive::dialect::render(message, kind, &whole).expect("it is in memory");
        // Lengths that the header states are made true; nothing else changes but the last line end.
        let stored = message.content.bytes().map_or(0, <[u8]>::len);
        assert!(rendered.content.len() >= stored.saturating_sub(stored / 2));
    }
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(data).expect("a file");
    for message_bytes in [limits.message_bytes, 100] {
        let mailbox = Mailbox::new("-".to_owned(), file.path().to_path_buf(), Kind::Mbox);
        let limits = Limits {
            message_bytes,
            ..Limits::default()
        };
        let read: Vec<_> = mailbox
            .messages(&limits)
            .expect("a file opens")
            .map(|message| message.expect("a file can be read"))
            .collect();
        adds_up(data, &read);
        // A look-ahead may end at the limit, so that only a box of small messages is told alike.
        if message_bytes > data.len() as u64 {
            assert_eq!(read.len(), messages.len());
        }
    }
}

fn adds_up(data: &[u8], messages: &[RawMessage]) {
    let mut at = 0;
    for (n, message) in messages.iter().enumerate() {
        assert_eq!(message.locator.ordinal, n as u64 + 1);
        let lead = &message.lead[..];
        assert!(data[at..].starts_with(lead));
        at += lead.len();
        match &message.content {
            Content::Bytes(content) => assert!(data[at..].starts_with(content)),
            Content::TooLarge { offset, .. } => assert_eq!(*offset, at as u64),
        }
        assert_eq!(message.content.len(), message.locator.bytes);
        at += usize::try_from(message.content.len()).expect("it lies in memory");
        assert!(data[at..].starts_with(&message.trail));
        at += message.trail.len();
    }
    assert!(at == data.len() || messages.is_empty());
}

/// Every range lies in the message and in its parent, and what is replaced leaves the rest alone.
fn mime(data: &[u8]) {
    let headers = Headers::parse(data);
    for field in headers.fields() {
        assert!(field.range.end <= headers.end());
        let _ = decode::encoded_words(&decode::text(field.value));
    }
    assert!(headers.end() <= headers.body_start() && headers.body_start() <= data.len());
    let _ = (
        headers.text("subject"),
        headers.addresses("from"),
        headers.address_list("to"),
    );
    let _ = (
        headers.message_id(),
        headers.date(),
        headers.received_time(),
    );
    let _ = find::may_hold_smime(data);
    let tree = parts::parse(data, &mut Budget::new(&Limits::default()));
    for (index, part) in tree.parts.iter().enumerate() {
        assert!(part.entity.end <= data.len() && part.entity.start <= part.body.start);
        assert!(part.body.start <= part.body.end && part.body.end == part.entity.end);
        assert!(part.message <= index && part.depth <= Limits::default().depth);
        if let Some(parent) = part.parent.and_then(|parent| tree.parts.get(parent)) {
            assert!(parent.body.start <= part.entity.start && part.entity.end <= parent.body.end);
            assert!(parent.children.contains(&index));
        }
        let body = tree.body(part);
        if let Ok(decoded) = transfer::decode(part.encoding, body) {
            assert!(decoded.bytes.len() <= body.len());
        }
        let _ = (find::kind(&tree, index), find::object(&tree, part));
        if index < 8 {
            replaced(data, &tree, index);
        }
    }
    let entity = b"Content-Type: x/y\r\n\r\nbody";
    let changed = rewrite::apply(data, &rewrite::replace_root(data, &headers, entity));
    let after = Headers::parse(&changed);
    assert_eq!(&changed[after.body_start()..], b"body");
    assert_eq!(after.count("content-type"), 1);
    assert_eq!(
        headers.all("from").collect::<Vec<_>>(),
        after.all("from").collect::<Vec<_>>()
    );
}

fn replaced(data: &[u8], tree: &parts::Tree<'_>, index: usize) {
    let part = &tree.parts[index];
    let entity = b"Content-Type: x/y\r\n\r\nbody";
    if parts::collides(tree, part, entity) {
        return;
    }
    let pieces = rewrite::replace_part(data, part, entity);
    let changed = rewrite::apply(data, &pieces);
    assert_eq!(changed.len(), rewrite::len(&pieces));
    assert!(changed.starts_with(&data[..part.entity.start]));
    assert!(changed.ends_with(&data[part.entity.end..]));
}

/// An element and what follows it are all there is; no piece lies outside; nothing recurses.
fn ber(data: &[u8]) {
    let mut left = vec![data];
    // Every element of a level is looked into, so work is bounded by this, not by nesting.
    let mut elements = 0;
    while let Some(bytes) = left.pop() {
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() && elements < 20_000 {
            elements += 1;
            let before = reader.rest().len();
            let Ok(tlv) = reader.read() else { break };
            assert_eq!(tlv.raw.len() + reader.rest().len(), before);
            assert!(tlv.body.len() < tlv.raw.len());
            assert_eq!(Tlv::only(tlv.raw), Ok(tlv));
            let _ = (tlv.unsigned(), cms::time::unix_seconds(&tlv));
            if let Ok(octets) = Octets::from_tlv(&tlv) {
                let len: usize = octets.chunks().map(<[u8]>::len).sum();
                assert!(len == octets.len() && len <= tlv.body.len() && octets.cow().len() == len);
            }
            if let Ok(oid) = cms::Oid::from_tlv(&tlv) {
                assert!(!oid.label().is_empty());
            }
            if tlv.tag == tag::SEQUENCE {
                parameters_of(&tlv);
            }
            if tlv.is_constructed() {
                left.push(tlv.body);
            }
        }
    }
}

fn parameters_of(tlv: &Tlv<'_>) {
    let Ok(algorithm) = cms::AlgorithmIdentifier::parse(tlv.raw) else {
        return;
    };
    let _ = (
        parameters::iv(&algorithm),
        parameters::gcm_parameters(&algorithm),
    );
    let _ = (
        parameters::rc2_cbc_parameters(&algorithm),
        parameters::oaep_parameters(&algorithm),
    );
    let _ = (
        parameters::pss_parameters(&algorithm),
        parameters::pbkdf2_parameters(&algorithm),
    );
    let _ = (
        parameters::pbe_parameters(&algorithm),
        parameters::pbes2_parameters(&algorithm),
    );
    let _ = (
        parameters::inner_algorithm(&algorithm),
        ContentCipher::from_algorithm(&algorithm),
    );
}

/// A CMS object by itself: its structure, then a whole walk with keys.
fn object(data: &[u8]) {
    let _ = (cms::sniff(data), cms::unarmor(data));
    if let Ok(info) = cms::parse(data) {
        assert!(info.trailing <= data.len());
        match &info.content {
            cms::Content::Signed(signed) => signed.signers.iter().for_each(signer),
            cms::Content::Enveloped(enveloped) => {
                let rewrapped = cms::build::with_recipients(&info, &[])
                    .expect("it is enveloped")
                    .concat();
                let again = cms::parse(&rewrapped).expect("what is written can be read");
                let cms::Content::Enveloped(again) = again.content else {
                    panic!("another kind")
                };
                let bytes =
                    |octets: &Option<Octets<'_>>| octets.map(|octets| octets.cow().into_owned());
                assert_eq!(bytes(&again.ciphertext), bytes(&enveloped.ciphertext));
                for algorithm in enveloped
                    .recipients
                    .iter()
                    .filter_map(RecipientInfo::algorithm)
                {
                    let _ = (
                        parameters::oaep_parameters(algorithm),
                        parameters::inner_algorithm(algorithm),
                    );
                }
            }
            cms::Content::AuthEnveloped(enveloped) => {
                assert_eq!(
                    enveloped.aad().is_empty(),
                    enveloped.auth_attributes.is_none()
                );
            }
            _ => {}
        }
    }
    let input = Input {
        cms: true,
        ..Input::of(data)
    };
    let outcome = processed(&input);
    let [finding, ..] = &outcome.findings.messages[..] else {
        panic!("a message without a finding");
    };
    // Whoever cannot make a tag cannot make a plaintext: what an AEAD let through was sealed by
    // those who made the seeds.
    if finding.action == Action::Decrypted
        && finding.content_integrity == Some(ContentIntegrity::Aead)
    {
        let plaintext = written(&input, &outcome);
        assert!(
            sealed_by_others().contains(&sha256(&plaintext)),
            "a plaintext that nobody sealed"
        );
    }
}

fn signer(signer: &SignerInfo<'_>) {
    let _ = parameters::pss_parameters(&signer.signature_algorithm);
    for attributes in signer
        .signed_attributes
        .iter()
        .chain(&signer.unsigned_attributes)
    {
        let _ = (
            attributes.message_digest(),
            attributes.content_type(),
            attributes.signing_time(),
        );
        let _ = (
            attributes.smime_capabilities(),
            attributes.reencoded_der(),
            attributes.is_well_formed(),
        );
        countersignatures(attributes);
    }
}

fn countersignatures(attributes: &Attributes<'_>) {
    for value in attributes.values(oid::COUNTERSIGNATURE) {
        let _ = SignerInfo::parse(value);
    }
}

/// SHA-256 of what the unaltered objects hold under an AEAD.
fn sealed_by_others() -> &'static Vec<[u8; 32]> {
    static ONCE: OnceLock<Vec<[u8; 32]>> = OnceLock::new();
    ONCE.get_or_init(|| {
        super::seeds::of("cms", usize::MAX)
            .iter()
            .filter_map(|(_, bytes)| {
                let input = Input {
                    cms: true,
                    ..Input::of(bytes)
                };
                let outcome = ops::process(decrypting(), &input);
                outcome
                    .edits
                    .is_some()
                    .then(|| sha256(&written(&input, &outcome)))
            })
            .collect()
    })
}

fn written(input: &Input<'_>, outcome: &Outcome) -> Vec<u8> {
    rewrite::apply(input.bytes, outcome.edits.as_deref().unwrap_or_default())
}

/// A whole message.
fn message(data: &[u8]) {
    processed(&Input {
        received: Some(1_600_000_000),
        quoting: true,
        ..Input::of(data)
    });
}

/// What a message amounts to, in every way to open it that `input` gives cause for.
fn processed(input: &Input<'_>) -> Outcome {
    for opening in [Opening::Keep, Opening::Look] {
        let outcome = ops::process(contexts(opening), input);
        holds_together(input, &outcome);
        assert!(
            outcome.edits.is_none(),
            "whoever only looks changes nothing"
        );
    }
    let outcome = ops::process(decrypting(), input);
    holds_together(input, &outcome);
    if outcome.edits.is_some() {
        for opening in [Opening::Rewrap, Opening::Content] {
            holds_together(input, &ops::process(contexts(opening), input));
        }
        // What was released once is released alike.
        let again = ops::process(decrypting(), input);
        assert_eq!(again.edits, outcome.edits);
    }
    outcome
}

/// Changed and said to be changed are the same; a failure changes nothing; what was opened names
/// the key; indices point at something.
fn holds_together(input: &Input<'_>, outcome: &Outcome) {
    let findings = &outcome.findings;
    let (first, attached) = findings
        .messages
        .split_first()
        .expect("a message has a finding");
    let changed =
        first.action.is_change() || attached.iter().any(|message| message.action.is_change());
    assert_eq!(
        changed,
        outcome.edits.is_some(),
        "{:?} {:?}",
        first.action,
        first.reason
    );
    assert!(!(first.action.is_failure() && outcome.edits.is_some()));
    for message in &findings.messages {
        assert!(
            message.action != Action::Decrypted
                || message.opened_with.is_some()
                || message.parts > 0
        );
        let judgement = &message.judgement;
        for index in judgement.deciding.iter().chain(&judgement.outer) {
            assert!(*index < findings.signatures.len());
        }
    }
    for certificate in &findings.certificates {
        assert!(
            certificate
                .signed
                .iter()
                .all(|index| *index < findings.signatures.len())
        );
        assert_eq!(certificate.sha256.len(), 64);
    }
    assert!(
        outcome
            .surviving
            .iter()
            .all(|index| *index < findings.signatures.len())
    );
    let Some(edits) = &outcome.edits else { return };
    for piece in edits {
        if let rewrite::Piece::Source(range) = piece {
            assert!(range.start <= range.end && range.end <= input.bytes.len());
        }
    }
    let written = rewrite::apply(input.bytes, edits);
    assert_eq!(written.len(), rewrite::len(edits));
    if !input.cms {
        let (before, after) = (Headers::parse(input.bytes), Headers::parse(&written));
        let from = |headers: &Headers<'_>| headers.addresses("from");
        assert_eq!(
            from(&before),
            from(&after),
            "nobody else becomes the sender"
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key file ends in one of four ways, and what it gives is counted.
fn keys(data: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(data).expect("a file");
    let ring =
        KeyRing::load(&[file.path().to_path_buf()], &mut Passphrases::none()).expect("it is there");
    let [known] = ring.files() else {
        panic!("one file in, {} out", ring.files().len());
    };
    assert_eq!(known.status == KeyFileStatus::Open, !ring.keys().is_empty());
    for key in ring.keys() {
        assert!(p7mill::crypto::rsa::is_reasonable(&key.key));
        for certificate in &key.certificates {
            let found = ring.find(&certificate.issuer_der, &certificate.serial);
            assert!(found.iter().any(|other| Arc::ptr_eq(other, key)));
        }
    }
}

/// The sound prefix is what is read, in memory that the file's length bounds, and a journal that is
/// continued holds what was there and what was added. `data` is taken as a file, then as lines that
/// still need their checksums.
fn journal(data: &[u8]) {
    let mut lines = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        lines.extend_from_slice(hex(&sha256(line)[..8]).as_bytes());
        lines.push(b' ');
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
    for bytes in [data, &lines[..]] {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("a file");
        let journal = Journal::read_only(file.path()).expect("it opens");
        let mut entries = journal.entries().expect("it is read");
        let before: Vec<_> = entries
            .by_ref()
            .map(|entry| entry.expect("it is read"))
            .collect();
        assert!(entries.offset() <= bytes.len() as u64);
        assert!(journal.has_damaged_tail() || bytes.is_empty() || !before.is_empty());
        let records = journal.records().expect("it is read").count();
        assert!(records <= before.len());
        if let Some(entry) = before.first() {
            let mut journal = Journal::open(file.path()).expect("it opens");
            journal.append(entry).expect("it is written");
            journal.commit().expect("it is written");
            assert!(!journal.has_damaged_tail());
            assert_eq!(
                journal.entries().expect("it is read").count(),
                before.len() + 1
            );
        }
    }
}

/// A certificate says the same when it is read again, and a judge comes to an end.
fn certificate(data: &[u8]) {
    let many = p7mill::cert::trust::certificates_in(data);
    let certificate = match Certificate::decode(data) {
        Ok(certificate) => certificate,
        Err(_) => match many.into_iter().next() {
            Some(certificate) => certificate,
            None => return,
        },
    };
    let again = Certificate::decode(&certificate.der).expect("it was read before");
    assert_eq!(
        (&again.sha256, &again.subject, &again.addresses),
        (
            &certificate.sha256,
            &certificate.subject,
            &certificate.addresses
        )
    );
    assert_eq!(sha256(&certificate.der), certificate.sha256);
    for address in &certificate.addresses {
        assert!(address.contains('@') && !address.contains(['\0', '\r', '\n']));
        assert!(certificate.has_address(address));
    }
    let _ = (
        certificate.can_sign_mail(),
        certificate.can_encrypt_mail(),
        certificate.is_for_mail(),
    );
    let _ = (
        certificate.is_self_signed(),
        certificate.display_name(),
        certificate.serial_hex(),
        certificate.pem(),
    );
    let certificate = Arc::new(certificate);
    let (trust, intermediates) = authorities();
    let mut pool = Pool::new();
    pool.extend(intermediates.iter().chain([&certificate]).cloned());
    let judge = ChainJudge::new(trust, &pool);
    let _ = judge.status(&certificate, 1_600_000_000);
    assert!(!judge.path(&certificate).is_empty());
    let _ = judge.missing_issuer(&certificate);
}

fn authorities() -> &'static (Trust, Vec<Arc<Certificate>>) {
    static ONCE: OnceLock<(Trust, Vec<Arc<Certificate>>)> = OnceLock::new();
    ONCE.get_or_init(|| {
        let sample = super::seeds::root().join("sample-data");
        let load = |folder: &str| load_certificates(&[sample.join(folder)]).expect("certificates");
        (Trust::new(load("ca")), load("intermediates"))
    })
}

fn decrypting() -> &'static Context {
    contexts(Opening::Decrypt)
}

/// Contexts with the sample's keys, made once.
fn contexts(opening: Opening) -> &'static Context {
    static ALL: [OnceLock<Context>; 5] = [const { OnceLock::new() }; 5];
    let place = match opening {
        Opening::Keep => 0,
        Opening::Look => 1,
        Opening::Decrypt => 2,
        Opening::Rewrap => 3,
        Opening::Content => 4,
    };
    ALL[place].get_or_init(|| context(opening))
}

/// A context with the sample's keys, those that need no passphrase.
pub(crate) fn context(opening: Opening) -> Context {
    let keys = super::seeds::root().join("sample-data/keys");
    let keyring = KeyRing::load(&[keys], &mut Passphrases::none()).expect("the sample's keys");
    let recipients: Vec<_> = keyring
        .certificates()
        .iter()
        .filter(|certificate| certificate.can_encrypt_mail())
        .take(1)
        .cloned()
        .map(Into::into)
        .collect();
    let mut context = Context::new(Task::Mill(opening), keyring, 1_795_392_000);
    context.plan.recipients = recipients;
    context
}
