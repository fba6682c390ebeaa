//! One message → the message signed: as its From, or by the one who seals an archive.
//!
//! What a message is before does not matter: plain, signed or encrypted, the signature goes around
//! all of it, so a signed and encrypted message becomes a triple-wrapped one (RFC 2634 §1.1). Inner
//! signatures stay intact or the message stays as it was. No message is written before p7mill has
//! read the new signature back and found it intact, its own, and over the whole of the content.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::cert::chain::ChainJudge;
use crate::cert::{Certificate, Pool, Trust};
use crate::cms::oid::Oid;
use crate::keys::KeyRing;
use crate::keys::keyring::KeyFileStatus;
use crate::limits::Budget;
use crate::message::headers::{Field, Headers, LineEnding};
use crate::message::{rewrite, transfer, transport};
use crate::smime::find;
use crate::smime::sign::{self, Form, Signer};
use crate::text::hex;

use super::facts::Facts;
use super::outcome::{Action, Coverage, Integrity, Outcome};
use super::{Context, Input, Opening, intact, is_endless, plain, refused, walk};

/// Who may sign, for whom, and how.
#[derive(Debug)]
pub struct Signing {
    signers: Vec<Signer>,
    identity: Option<String>,
    form: Form,
}

/// Why nobody signs, in the words of an outcome.
pub type Refusal = (Action, &'static str);

impl Signing {
    /// Every certificate that a key in `keyring` answers for, with its path from `pool` and
    /// `trust`. `identity` is the address that signs every message; without it the message's From
    /// does. `capabilities` are the content ciphers that the signers' program opens.
    pub fn new(
        keyring: &KeyRing,
        pool: &Pool,
        trust: &Trust,
        identity: Option<String>,
        form: Form,
        capabilities: &'static [Oid<'static>],
    ) -> Self {
        let judge = ChainJudge::new(trust, pool);
        let all = keyring.keys().iter().flat_map(|key| {
            let own = key.certificates.iter();
            own.map(move |certificate| (key, certificate))
        });
        let signers = all
            .map(|(key, certificate)| Signer {
                key: Arc::clone(key),
                certificate: Arc::clone(certificate),
                path: judge.path(certificate),
                encryption: None,
                capabilities,
            })
            .collect();
        Self {
            signers,
            identity,
            form,
        }
    }

    /// The address that signs `message`: the one that was named for all, else its one From.
    ///
    /// # Errors
    /// The outcome and reason of a message that several addresses are named in, or none.
    pub fn address(&self, message: &Headers<'_>) -> Result<String, Refusal> {
        match &self.identity {
            Some(address) => Ok(address.clone()),
            None => from(message),
        }
    }

    /// The signer for `address` at the context's time: of several the one whose certificate was
    /// issued last.
    ///
    /// # Errors
    /// The outcome and reason of a message that this address would have to sign.
    pub fn choose(&self, context: &Context, address: &str) -> Result<Signer, Refusal> {
        let mut own: Vec<&Signer> = self
            .signers
            .iter()
            .filter(|signer| signer.certificate.has_address(address))
            .collect();
        if own.is_empty() {
            return Err(without_key(context, address));
        }
        own.sort_by_key(|signer| newest_first(&signer.certificate));
        let mut refusal = None;
        for signer in &own {
            match unusable(signer, context.now) {
                Some(why) => refusal = refusal.or(Some(why)),
                None => {
                    return Ok(Signer {
                        encryption: encryption(&own, signer, context.now),
                        ..Signer::clone(signer)
                    });
                }
            }
        }
        Err(refusal.unwrap_or((Action::NoKey, "no-signing-key")))
    }
}

fn newest_first(certificate: &Certificate) -> (Reverse<i64>, Reverse<i64>, [u8; 32]) {
    let (from, to) = (certificate.not_before, certificate.not_after);
    (Reverse(from), Reverse(to), certificate.sha256)
}

/// Why a key of the right address does not sign.
fn unusable(signer: &Signer, now: i64) -> Option<Refusal> {
    let certificate = &signer.certificate;
    if !certificate.can_sign_mail() {
        Some((Action::Refused, "cert-usage"))
    } else if now < certificate.not_before {
        Some((Action::Refused, "cert-not-yet-valid"))
    } else if now > certificate.not_after {
        Some((Action::Refused, "cert-expired"))
    } else if signer.algorithms().is_err() {
        Some((Action::Refused, "cannot-sign-with-key"))
    } else {
        None
    }
}

/// The newest certificate of the same person that mail can be encrypted to, where the signer's own
/// is not for that. Its key is at hand, so answers can be read.
fn encryption(own: &[&Signer], signer: &Signer, now: i64) -> Option<Arc<Certificate>> {
    if signer.certificate.can_encrypt_mail() {
        return None;
    }
    own.iter()
        .map(|other| &other.certificate)
        .find(|other| {
            other.can_encrypt_mail() && (other.not_before..=other.not_after).contains(&now)
        })
        .cloned()
}

/// Whether the key stays locked, or is not there at all.
fn without_key(context: &Context, address: &str) -> Refusal {
    let keyring = &context.keyring;
    let in_locked_file = keyring
        .files()
        .iter()
        .filter(|file| file.status == KeyFileStatus::Locked)
        .flat_map(|file| &file.certificates)
        .any(|certificate| certificate.has_address(address));
    let seen_elsewhere = || {
        let known = context.pool.by_address(address);
        known
            .iter()
            .any(|known| keyring.locked_for_certificate(known))
    };
    if in_locked_file || seen_elsewhere() {
        (Action::Locked, "signing-key-locked")
    } else if keyring.has_unknown_locked() {
        (Action::NoKey, "maybe-in-locked-file")
    } else {
        (Action::NoKey, "no-signing-key")
    }
}

/// What is to be said about one message, and the message signed.
pub fn message(context: &Context, signing: &Signing, input: &Input<'_>) -> Outcome {
    let mut outcome = if input.cms || find::may_hold_smime(input.bytes) {
        walk::message(context, input, Opening::Keep)
    } else {
        plain(input)
    };
    outcome.edits = None;
    for message in &mut outcome.findings.messages {
        message.leave_unjudged();
    }
    let Some(root) = outcome.findings.messages.first() else {
        return outcome;
    };
    if is_endless(input) {
        return refused(input, "limit-header");
    }
    // What cannot be read to its end cannot be answered for.
    if root.action == Action::Refused {
        return outcome;
    }
    match signed(context, signing, input, &outcome) {
        Ok(edits) => {
            outcome.edits = Some(edits);
            say(&mut outcome, Action::Signed, None);
        }
        Err((action, reason)) => say(&mut outcome, action, Some(reason)),
    }
    outcome
}

fn say(outcome: &mut Outcome, action: Action, reason: Option<&'static str>) {
    if let Some(root) = outcome.findings.messages.first_mut() {
        root.action = action;
        root.reason = reason.map(Into::into);
    }
}

fn signed(
    context: &Context,
    signing: &Signing,
    input: &Input<'_>,
    before: &Outcome,
) -> Result<Vec<rewrite::Piece>, Refusal> {
    if input.cms {
        return Err((Action::Refused, "no-message"));
    }
    let headers = Headers::parse(input.bytes);
    let stored = transport::root_entity(input.bytes, &headers);
    let ending = headers.line_ending();
    // What is signed is what was sent: without the mailbox's quoting, unless that is what an inner
    // signature covers.
    let sent = input.quoting.then(|| transfer::unquote_from(&stored));
    let mut refusal = (Action::Refused, "signature-would-break");
    for entity in sent.flatten().iter().chain([&stored]) {
        match signed_entity(context, signing, input, before, &headers, (entity, ending)) {
            Ok(written) => return Ok(rewrite::replace_root(input.bytes, &headers, &written)),
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}

/// The signed form, with these line ends, of an entity that is what the message holds; proven in the
/// message's place.
pub(super) fn signed_entity(
    context: &Context,
    signing: &Signing,
    input: &Input<'_>,
    before: &Outcome,
    headers: &Headers<'_>,
    (entity, ending): (&[u8], LineEnding),
) -> Result<Vec<u8>, Refusal> {
    let signer = signing.choose(context, &signing.address(headers)?)?;
    let written = sign::sign(
        entity,
        &signer,
        context.now,
        signing.form,
        ending,
        &mut Budget::new(&context.limits),
    )
    .map_err(|_| (Action::Refused, "cannot-sign-with-key"))?;
    let edits = rewrite::replace_root(input.bytes, headers, &written);
    prove(context, input, before, &signer, &edits)?;
    Ok(written)
}

/// The one address that a message is from. Several, or a field that another reader may read
/// otherwise or not see at all, name nobody.
pub(super) fn from(headers: &Headers<'_>) -> Result<String, Refusal> {
    let facts = Facts::of(headers, String::new(), None);
    let is_from = |field: &Field<'_>| field.is("From");
    // Without a blank line, what follows the last field may be a part of it.
    let is_last =
        !headers.unparted().is_empty() && headers.fields().last().as_ref().is_some_and(is_from);
    let is_certain = headers
        .fields()
        .filter(is_from)
        .all(|field| field.is_plain())
        && headers.skipped().all(|skipped| skipped.envelope)
        && !is_last;
    match &facts.from[..] {
        [only] if facts.from_fields == 1 && !facts.from_malformed && is_certain => Ok(only.clone()),
        [] => Err((Action::Refused, "no-from")),
        _ => Err((Action::Refused, "address-ambiguous")),
    }
}

/// Reads the signed message as anyone would who gets it.
fn prove(
    context: &Context,
    input: &Input<'_>,
    before: &Outcome,
    signer: &Signer,
    edits: &[rewrite::Piece],
) -> Result<(), Refusal> {
    let bytes = rewrite::apply(input.bytes, edits);
    let after = walk::message(
        context,
        &Input {
            bytes: &bytes,
            ..*input
        },
        Opening::Keep,
    );
    let fingerprint = hex(&signer.certificate.sha256);
    let ours = after.findings.signatures.iter().any(|found| {
        found.integrity == Integrity::Intact
            && !found.malformed
            && found.part.is_empty()
            && found.layer == 1
            && found.coverage == Coverage::Full
            && found.cert_sha256 == fingerprint
            && found.signing_time == Some(context.now)
    });
    let others = super::all_intact(
        (0..before.findings.signatures.len()).filter_map(|index| intact(&before.findings, index)),
        &after.findings,
    );
    if ours && others {
        Ok(())
    } else {
        Err((Action::Refused, "signature-would-break"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::cert::testing::{MID_2021, Pki, Spec};

    use crate::keys::Passphrases;

    use crate::ops::{Clock, Task};
    use crate::smime::sign::CAPABILITIES;

    const AUTUMN_2021: i64 = MID_2021 + 270 * 86_400;

    fn context(pki: &Pki, names: &[&str]) -> Context {
        let files = |name: &&str| [format!("{name}.key"), format!("{name}.pem")];
        let files: Vec<_> = names
            .iter()
            .flat_map(files)
            .map(|name| pki.path(&name))
            .collect();
        let keyring = KeyRing::load(&files, &mut Passphrases::default()).unwrap();
        let mut pool = Pool::new();
        pool.extend(keyring.certificates().iter().cloned());
        pool.add(pki.load("sub"));
        let trust = Trust::new([pki.load("root")]);
        let task = Signing::new(&keyring, &pool, &trust, None, Form::Detached, CAPABILITIES);
        Context {
            pool,
            clock: Clock::Now,
            ..Context::new(Task::Sign(task), keyring, MID_2021)
        }
    }

    #[test]
    fn the_newest_certificate_that_may_sign_now_does() {
        let pki = Pki::new();
        pki.issue(&Spec::root("root"));
        pki.issue(&Spec::ca("sub", "root"));
        let ann = |name| Spec::leaf(name, "sub").address("ann@example.com");
        pki.issue(&ann("old"));
        pki.issue(
            &ann("new")
                .dates("20210601000000Z", "20230101000000Z")
                .extension("keyUsage", "critical,digitalSignature"),
        );
        pki.issue(
            &ann("web")
                .dates("20210801000000Z", "20230101000000Z")
                .extension("extendedKeyUsage", "clientAuth"),
        );
        pki.issue(&Spec::leaf("bob", "sub").dates("20250101000000Z", "20260101000000Z"));
        pki.issue(&Spec::leaf("server", "sub").extension("extendedKeyUsage", "serverAuth"));
        let mut context = context(&pki, &["old", "new", "web", "bob", "server"]);
        let chosen = |context: &Context, address: &str| {
            let Task::Sign(signing) = &context.plan.task else {
                unreachable!()
            };
            signing.choose(context, address)
        };
        let named = |signer: &Signer| {
            let name = |certificate: &Certificate| certificate.subject.clone();
            let path = signer.path.iter().map(|c| name(c)).collect::<Vec<_>>();
            (
                name(&signer.certificate),
                path.len(),
                signer.encryption.as_deref().map(name),
            )
        };
        let name = |name: &str| pki.load(name).subject.clone();

        let signer = chosen(&context, "Ann@EXAMPLE.com").unwrap();
        assert_eq!(named(&signer), (name("old"), 3, None));
        context.now = AUTUMN_2021;
        let signer = chosen(&context, "ann@example.com").unwrap();
        assert_eq!(named(&signer), (name("new"), 3, Some(name("old"))));
        for (address, why) in [
            ("bob@example.com", (Action::Refused, "cert-not-yet-valid")),
            ("server@example.com", (Action::Refused, "cert-usage")),
            ("eve@example.com", (Action::NoKey, "no-signing-key")),
        ] {
            assert_eq!(chosen(&context, address).unwrap_err(), why);
        }
        context.now += 10 * 365 * 86_400;
        let refusal = chosen(&context, "bob@example.com").unwrap_err();
        assert_eq!(refusal, (Action::Refused, "cert-expired"));
    }

    /// Each condition of the proof, broken by itself: nothing else stands between a signature that went
    /// wrong and the archive.
    #[test]
    fn nothing_is_written_that_is_not_this_signature_over_all_of_it_now() {
        let pki = Pki::new();
        pki.issue(&Spec::root("root"));
        pki.issue(&Spec::ca("sub", "root"));
        for name in ["ann", "bob"] {
            pki.issue(&Spec::leaf(name, "sub"));
        }
        let mut context = context(&pki, &["ann", "bob"]);
        let letter = b"From: ann@example.com\nSubject: x\n\nThe text.\n";
        let Task::Sign(signing) = &context.plan.task else {
            unreachable!()
        };
        let [ann, bob] = ["ann@example.com", "bob@example.com"]
            .map(|address| signing.choose(&context, address).unwrap());
        let signed = message(&context, signing, &Input::of(letter));
        let edits = signed.edits.unwrap();
        let nothing = plain(&Input::of(letter));
        let proves = |context: &Context, before: &Outcome, signer, edits: &[rewrite::Piece]| {
            prove(context, &Input::of(letter), before, signer, edits).is_ok()
        };
        assert!(proves(&context, &nothing, &ann, &edits));
        assert!(!proves(&context, &nothing, &bob, &edits), "another's");
        let with = |more: &[u8]| {
            let mut pieces = edits.clone();
            pieces.push(rewrite::Piece::Owned(more.to_vec()));
            pieces
        };
        assert!(
            !proves(&context, &nothing, &ann, &with(b"Words below.\n")),
            "not all"
        );
        let altered = rewrite::apply(letter, &edits);
        let altered = String::from_utf8(altered)
            .unwrap()
            .replace("The text", "A text");
        let altered = [rewrite::Piece::Owned(altered.into_bytes())];
        assert!(!proves(&context, &nothing, &ann, &altered), "broken");
        // A signature that was there before and is not there after.
        let written = rewrite::apply(letter, &edits);
        let before = walk::message(&context, &Input::of(&written), Opening::Keep);
        assert!(intact(&before.findings, 0).is_some());
        let inner = Outcome {
            findings: super::super::outcome::Findings {
                signatures: before
                    .findings
                    .signatures
                    .iter()
                    .cloned()
                    .map(|found| super::super::outcome::SignatureFinding {
                        cert_sha256: hex(&bob.certificate.sha256),
                        ..found
                    })
                    .collect(),
                ..before.findings
            },
            ..Outcome::default()
        };
        assert!(!proves(&context, &inner, &ann, &edits), "one is lost");
        context.now += 1;
        assert!(!proves(&context, &nothing, &ann, &edits), "another time");
    }
}
