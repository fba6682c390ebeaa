//! One message → the message encrypted: to its recipients, or to whom the command line names.
//!
//! All or nothing: while a certificate is not known for one of its recipients, a message is refused,
//! and the addresses are named. Blind recipients get messages of their own, so that neither header
//! nor RecipientInfos show them to the others.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use crate::bulk::Bulk;
use crate::cert::Certificate;
use crate::crypto::cipher::ContentCipher;
use crate::fsio::Scratch;
use crate::keys::KeyRing;
use crate::limits::Budget;
use crate::message::headers::{Encoding, Field, Headers, LineEnding};
use crate::message::rewrite::{self, Piece};
use crate::message::{parts, transfer, transport};
use crate::smime::find;
use crate::smime::seal::{self, Recipient};
use crate::text::{self, hex};

use super::facts::{Facts, holds};
use super::outcome::{
    Action, ContentIntegrity, Findings, KeyStatus, Outcome, Reason, RecipientFinding, RecipientKind,
};
use super::sign::{Signing, signed_entity};
use super::walk::anew;
use super::{
    Context, Input, Opening, STAMP, all_intact, intact, is_endless, plain, refused, sign, walk,
};

mod addressed;
mod alone;
mod large;

/// Bytes of all copies of one message together.
const MOST_COPIES: u64 = 256 << 20;

/// Whom messages are encrypted to, and how. Those whom the command line names are the plan's.
#[derive(Default)]
pub struct Encrypting {
    /// To each message's To, Cc and Bcc; those named are then the certificates of their addresses.
    /// Otherwise to those named.
    pub to_recipients: bool,
    /// To the address in From as well.
    pub to_self: bool,
    /// To these as well, whatever the message says.
    pub recovery: Vec<Recipient>,
    /// `None`: what every recipient of a message says it reads.
    pub cipher: Option<ContentCipher>,
    /// The certificates that addresses are looked up in.
    pub directory: Directory,
    /// Who signs what is encrypted, inside.
    pub signing: Option<Signing>,
}

/// Which certificate to encrypt to for an address, as the store and the key files say.
#[derive(Debug, Default)]
pub struct Directory(HashMap<String, Known>);

/// What is known of an address.
#[derive(Debug, Default)]
struct Known {
    recipient: Option<Recipient>,
    /// Why others of its certificates are not used.
    refused: BTreeSet<Reason>,
}

impl Directory {
    /// Makes `recipient` the one for `address`, unless there is one already.
    pub fn add(&mut self, address: &str, recipient: Recipient) {
        let known = self.0.entry(address.to_ascii_lowercase()).or_default();
        known.recipient.get_or_insert(recipient);
    }

    /// Notes why a certificate of `address`, whose last second is `not_after`, is not used.
    pub fn refuse(
        &mut self,
        address: &str,
        reasons: impl IntoIterator<Item = Reason>,
        not_after: i64,
    ) {
        let dated = |reason: Reason| match reason.as_ref() {
            "cert-expired" => Reason::Owned(format!("{reason} {}", text::day(not_after))),
            _ => reason,
        };
        let known = self.0.entry(address.to_ascii_lowercase()).or_default();
        known.refused.extend(reasons.into_iter().map(dated));
    }

    /// Takes in certificates that the administrator named beside the keys: those that mail can be
    /// encrypted to at `at`, and why the others are not used.
    pub fn add_given(&mut self, keyring: &KeyRing, at: i64) {
        for certificate in keyring.certificates() {
            for address in &certificate.addresses {
                match unusable(certificate, at) {
                    None => self.add(address, certificate.clone().into()),
                    Some(reason) => {
                        self.refuse(address, [Reason::Borrowed(reason)], certificate.not_after);
                    }
                }
            }
        }
    }

    fn find(&self, address: &str) -> Result<&Recipient, &BTreeSet<Reason>> {
        static NOTHING: BTreeSet<Reason> = BTreeSet::new();
        let Some(known) = self.0.get(&address.to_ascii_lowercase()) else {
            return Err(&NOTHING);
        };
        known.recipient.as_ref().ok_or(&known.refused)
    }
}

/// Why mail is not encrypted to a certificate at `at`.
fn unusable(certificate: &Certificate, at: i64) -> Option<&'static str> {
    if !certificate.can_encrypt_mail() {
        Some("cert-usage")
    } else if at < certificate.not_before {
        Some("cert-not-yet-valid")
    } else if at > certificate.not_after {
        Some("cert-expired")
    } else {
        None
    }
}

/// Why a message is not encrypted.
struct Refusal {
    action: Action,
    reason: &'static str,
    concerns: Vec<String>,
}

impl From<&'static str> for Refusal {
    fn from(reason: &'static str) -> Self {
        (Action::Refused, reason).into()
    }
}

impl From<(Action, &'static str)> for Refusal {
    fn from((action, reason): (Action, &'static str)) -> Self {
        Self {
            action,
            reason,
            concerns: Vec::new(),
        }
    }
}

/// What is to be said about one message, and the message encrypted.
pub fn message(context: &Context, encrypting: &Encrypting, input: &Input<'_>) -> Outcome {
    if is_endless(input) {
        return refused(input, "limit-header");
    }
    let before = if input.cms || input.large.is_some() || find::may_hold_smime(input.bytes) {
        walk::message(context, input, Opening::Keep)
    } else {
        plain(input)
    };
    // What is attached or certified stays as it is, inside, and so do its signatures: they are listed,
    // and verify judges them.
    let mut outcome = Outcome {
        findings: Findings {
            messages: before.findings.messages.iter().take(1).cloned().collect(),
            signatures: (before.findings.signatures.iter())
                .filter(|signature| signature.part.is_empty())
                .cloned()
                .collect(),
            recipients: before.findings.recipients.clone(),
            ..Findings::default()
        },
        ..Outcome::default()
    };
    let Some(root) = outcome.findings.messages.first_mut() else {
        return outcome;
    };
    root.leave_unjudged();
    // What cannot be read to its end is not known to be encrypted, or for whom it is.
    let sealed = is_encrypted(&root.form);
    if root.action == Action::Refused || (sealed && root.action.is_failure()) {
        return outcome;
    }
    if sealed && alone::is_nothing_but_ciphertext(context, input) {
        return outcome;
    }
    outcome.findings.recipients.clear();
    let trouble = OnceCell::new();
    match encrypted(context, encrypting, input, &before, &trouble) {
        Ok(sealed) => {
            root.action = Action::Encrypted;
            root.reason = None;
            root.content_encryption = Some(sealed.cipher.name().to_owned());
            root.content_integrity = Some(match sealed.cipher {
                ContentCipher::Aes256Gcm => ContentIntegrity::Aead,
                _ if encrypting.signing.is_some() => ContentIntegrity::Signed,
                _ => ContentIntegrity::None,
            });
            outcome.findings.recipients = sealed.recipients;
            outcome.edits = Some(sealed.edits);
            outcome.copies = sealed.copies;
        }
        Err(refusal) => {
            root.action = refusal.action;
            root.reason = Some(Reason::Borrowed(refusal.reason));
            root.concerns = refusal.concerns;
        }
    }
    outcome.trouble = before.trouble.or(trouble.into_inner());
    outcome
}

/// Whether a CMS layer encrypts the whole of a message. What only calls itself encrypted is not
/// taken at its word.
fn is_encrypted(form: &str) -> bool {
    !form.starts_with("partial:")
        && form
            .split('>')
            .any(|layer| matches!(layer, "enveloped" | "auth-enveloped" | "encrypted"))
}

/// A message as it is to be written.
struct Sealed {
    edits: Vec<Piece>,
    copies: Vec<Vec<Piece>>,
    recipients: Vec<RecipientFinding>,
    cipher: ContentCipher,
}

/// Those who read one of the messages that are written.
struct Envelope {
    recipients: Vec<Recipient>,
    /// The one blind recipient; `None` for the message that To and Cc get.
    blind: Option<String>,
}

fn encrypted(
    context: &Context,
    encrypting: &Encrypting,
    input: &Input<'_>,
    before: &Outcome,
    trouble: &OnceCell<io::Error>,
) -> Result<Sealed, Refusal> {
    let headers = Headers::parse(input.bytes);
    let facts = Facts::of(&headers, String::new(), input.received);
    let envelopes = envelopes(context, encrypting, input, &headers)?;
    let io = |error| {
        let _ = trouble.set(error);
        Refusal::from("internal-error")
    };
    let entity = match input.large {
        None => Entity::Held(held(context, encrypting, input, &headers, before)?),
        Some(_) if encrypting.signing.is_some() => return Err("limit-message".into()),
        Some(large) => {
            let entity = large::entity(context, (input, large), &headers, before);
            let scratch = large.scratch.ok_or(Refusal::from("limit-message"))?;
            Entity::Large(entity.map_err(io)??, scratch)
        }
    };
    let copies = envelopes.len().saturating_sub(1) as u64;
    if copies.saturating_mul(input.len()) > MOST_COPIES {
        return Err("limit-copies".into());
    }
    let mut written = Vec::with_capacity(envelopes.len());
    let mut findings = Vec::new();
    let mut used = None;
    for (copy, envelope) in (0_u32..).zip(&envelopes) {
        let cipher = encrypting
            .cipher
            .unwrap_or_else(|| seal::common_cipher(&envelope.recipients));
        let whom = (&envelope.recipients[..], cipher);
        let pieces = match &entity {
            Entity::Held(entity) => sealed(input, &headers, entity, whom)?,
            Entity::Large(entity, scratch) => {
                large::sealed(input, &headers, &**entity, whom, scratch).map_err(io)??
            }
        };
        findings.extend(
            envelope
                .recipients
                .iter()
                .map(|recipient| RecipientFinding {
                    copy,
                    ..finding(context, &facts, recipient, cipher)
                }),
        );
        used.get_or_insert(cipher);
        if input.cms {
            written.push(pieces);
            continue;
        }
        let blind = envelope.blind.as_deref();
        let pieces = outside(pieces, &headers, encrypting.to_recipients, blind);
        written.push(match input.large {
            Some(large) => walk::large::in_place(large.condensed, pieces),
            None => pieces,
        });
    }
    let mut written = written.into_iter();
    let (Some(edits), Some(cipher)) = (written.next(), used) else {
        return Err("no-addressees".into());
    };
    Ok(Sealed {
        edits,
        copies: written.collect(),
        recipients: findings,
        cipher,
    })
}

/// What is encrypted.
enum Entity<'a> {
    /// In memory.
    Held(Vec<u8>),
    /// Too large for that, and where its ciphertext may lie.
    Large(Arc<dyn Bulk>, &'a Scratch),
}

/// What is encrypted of a message in memory, signed where that is asked for.
fn held(
    context: &Context,
    encrypting: &Encrypting,
    input: &Input<'_>,
    headers: &Headers<'_>,
    before: &Outcome,
) -> Result<Vec<u8>, Refusal> {
    let entity = entity(context, input, headers, before)?;
    let Some(signing) = &encrypting.signing else {
        return Ok(entity);
    };
    if input.cms {
        return Err("no-message".into());
    }
    let content = (&entity[..], LineEnding::CrLf);
    Ok(signed_entity(
        context, signing, input, before, headers, content,
    )?)
}

/// The message with `entity` encrypted in its content's place.
fn sealed(
    input: &Input<'_>,
    headers: &Headers<'_>,
    entity: &[u8],
    (recipients, cipher): (&[Recipient], ContentCipher),
) -> Result<Vec<Piece>, Refusal> {
    let object =
        seal::seal(entity, recipients, cipher).map_err(|_| Refusal::from("cannot-encrypt"))?;
    if input.cms {
        return Ok(vec![Piece::Owned(object)]);
    }
    let entity = anew::object_as_entity(&object, headers.line_ending());
    Ok(rewrite::replace_root(input.bytes, headers, &entity))
}

/// Who gets which message; the first is the one that To and Cc get, where there is any of them.
fn envelopes(
    context: &Context,
    encrypting: &Encrypting,
    input: &Input<'_>,
    headers: &Headers<'_>,
) -> Result<Vec<Envelope>, Refusal> {
    let named = &context.plan.recipients;
    let mut unknown = Unknown::default();
    let mut find = |address: &String| {
        let own = named
            .iter()
            .find(|recipient| recipient.certificate.has_address(address));
        match own.map_or_else(|| encrypting.directory.find(address), Ok) {
            Ok(recipient) => Some(recipient.clone()),
            Err(reasons) => {
                unknown.note(address, reasons);
                None
            }
        }
    };
    let mut always = encrypting.recovery.clone();
    if encrypting.to_self {
        let own = sign::from(headers).map_err(|_| Refusal::from("address-ambiguous"))?;
        always.extend(find(&own));
    }
    let mut open = Vec::new();
    let mut blind = Vec::new();
    if encrypting.to_recipients && !input.cms {
        let [to, cc, bcc] = ["To", "Cc", "Bcc"].map(|name| headers.address_list(name));
        let unclear = [&to, &cc, &bcc]
            .into_iter()
            .any(|list| list.malformed || list.cut);
        if unclear || !addressed::is_certain(headers) {
            return Err("recipient-unreadable".into());
        }
        let shown = [to.addresses, cc.addresses].concat();
        open.extend(shown.iter().filter_map(&mut find));
        for address in &bcc.addresses {
            if !holds(&shown, address) && !blind.iter().any(|(known, _)| known == address) {
                blind.extend(find(address).map(|recipient| (address.clone(), recipient)));
            }
        }
        if blind.is_empty() && shown.is_empty() && always.is_empty() {
            unknown.into_refusal()?;
            return Err("no-addressees".into());
        }
    } else if encrypting.to_recipients {
        return Err("no-addressees".into());
    } else {
        open.clone_from(named);
    }
    unknown.into_refusal()?;
    let mut envelopes = Vec::with_capacity(blind.len() + 1);
    if !open.is_empty() || blind.is_empty() {
        envelopes.push(Envelope {
            recipients: once_each(open.into_iter().chain(always.iter().cloned())),
            blind: None,
        });
    }
    envelopes.extend(blind.into_iter().map(|(address, recipient)| Envelope {
        recipients: once_each(std::iter::once(recipient).chain(always.iter().cloned())),
        blind: Some(address),
    }));
    Ok(envelopes)
}

/// Addresses without a certificate to encrypt to.
#[derive(Default)]
struct Unknown {
    concerns: Vec<String>,
    /// Of one of them nothing is known at all.
    nothing: bool,
}

impl Unknown {
    fn note(&mut self, address: &str, reasons: &BTreeSet<Reason>) {
        self.nothing |= reasons.is_empty();
        let reasons: Vec<&str> = reasons.iter().map(AsRef::as_ref).collect();
        let concern = if reasons.is_empty() {
            address.to_owned()
        } else {
            format!("{address} ({})", reasons.join(", "))
        };
        if !self.concerns.contains(&concern) {
            self.concerns.push(concern);
        }
    }

    fn into_refusal(self) -> Result<(), Refusal> {
        if self.concerns.is_empty() {
            return Ok(());
        }
        Err(Refusal {
            action: Action::Refused,
            reason: if self.nothing {
                "recipient-unknown"
            } else {
                "recipient-unusable"
            },
            concerns: self.concerns,
        })
    }
}

fn once_each(recipients: impl Iterator<Item = Recipient>) -> Vec<Recipient> {
    let mut seen = BTreeSet::new();
    recipients
        .filter(|recipient| seen.insert(recipient.certificate.sha256))
        .collect()
}

/// What is encrypted: the message's content in the canonical form of RFC 8551 §3.1.1, with CRLF line
/// ends, unless a part of it is binary. What the mailbox quoted is unquoted, unless that, or the line
/// ends, would break a signature that is intact.
fn entity(
    context: &Context,
    input: &Input<'_>,
    headers: &Headers<'_>,
    before: &Outcome,
) -> Result<Vec<u8>, Refusal> {
    if input.cms {
        // What stands around the object is a part of what was readable.
        let object = alone::object(input.bytes).unwrap_or(input.bytes.into());
        return Ok(anew::object_as_entity(&object, LineEnding::CrLf));
    }
    let stored = transport::root_entity(input.bytes, headers);
    let unquoted = input
        .quoting
        .then(|| transfer::unquote_from(&stored))
        .flatten();
    let tree = parts::parse(input.bytes, &mut Budget::new(&context.limits));
    let binary = tree
        .parts
        .iter()
        .any(|part| part.encoding == Encoding::Binary);
    let canonical = |entity: &[u8]| {
        if binary {
            entity.to_vec()
        } else {
            transfer::to_crlf(entity).into_owned()
        }
    };
    let signatures = 0..before.findings.signatures.len();
    let expected: Vec<_> = signatures
        .filter_map(|index| intact(&before.findings, index))
        .collect();
    let ways = unquoted
        .as_deref()
        .map(&canonical)
        .into_iter()
        .chain([canonical(&stored), stored.clone()]);
    for entity in ways {
        if expected.is_empty() {
            return Ok(entity);
        }
        let input = Input::of(&entity);
        let inside = walk::message(context, &input, Opening::Keep);
        if all_intact(expected.iter().cloned(), &inside.findings) {
            return Ok(entity);
        }
    }
    Err("signature-would-break".into())
}

/// The pieces without what nobody may read outside: the hash of a readable message, from which
/// short contents can be guessed, and, with `bcc`, the fields Bcc and Resent-Bcc; in place of the first
/// of these, one for `blind`.
fn outside(
    pieces: Vec<Piece>,
    headers: &Headers<'_>,
    bcc: bool,
    blind: Option<&str>,
) -> Vec<Piece> {
    let is_bcc = |field: &Field<'_>| field.is("Bcc") || field.is("Resent-Bcc");
    let fields: Vec<_> = headers
        .fields()
        .filter(|field| (bcc && is_bcc(field)) || field.is(STAMP))
        .map(|field| (field.range.clone(), is_bcc(&field)))
        .collect();
    let ending = String::from_utf8_lossy(headers.line_ending().as_bytes()).into_owned();
    let mut own = blind.map(|address| format!("Bcc: {address}{ending}").into_bytes());
    let mut out = Vec::with_capacity(pieces.len() + fields.len());
    for piece in pieces {
        let Piece::Source(range) = piece else {
            out.push(piece);
            continue;
        };
        let mut at = range.start;
        for (field, is_bcc) in fields
            .iter()
            .filter(|(field, _)| field.start < range.end && field.end > range.start)
        {
            if field.start > at {
                out.push(Piece::Source(at..field.start));
            }
            if *is_bcc {
                out.extend(own.take().map(Piece::Owned));
            }
            at = field.end;
        }
        if at < range.end {
            out.push(Piece::Source(at..range.end));
        }
    }
    out
}

/// The row of recipients.csv for someone to whom a message was encrypted.
fn finding(
    context: &Context,
    facts: &Facts,
    recipient: &Recipient,
    cipher: ContentCipher,
) -> RecipientFinding {
    let certificate = &recipient.certificate;
    let (key_encryption, transport) = recipient.key_encryption();
    let keys = context.keyring.keys().iter();
    let is_open = keys
        .flat_map(|key| &key.certificates)
        .any(|known| known.sha256 == certificate.sha256);
    RecipientFinding {
        part: String::new(),
        layer: 1,
        message_id: facts.message_id.clone(),
        kind: if transport {
            RecipientKind::Ktri
        } else {
            RecipientKind::Kari
        },
        issuer: certificate.issuer.clone(),
        serial: certificate.serial_hex(),
        ski: String::new(),
        key_encryption,
        content_encryption: cipher.name().to_owned(),
        key_status: if is_open {
            KeyStatus::Open
        } else {
            KeyStatus::Missing
        },
        cert_sha256: hex(&certificate.sha256),
        address: certificate.addresses.first().cloned().unwrap_or_default(),
        role: facts.role(&certificate.addresses),
        copy: 0,
    }
}

#[cfg(test)]
mod tests;
