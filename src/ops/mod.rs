//! One message in, one [`Outcome`] out; pure: no I/O, no clock, nothing printed. Whatever runs it
//! gets the same answer for the same bytes.
//!
//! | file | answers |
//! |---|---|
//! | [`outcome`] | the words of the contract |
//! | [`facts`] | what a message's own header says: addresses, times |
//! | [`survey`] | who could read an encrypted layer |
//! | [`verify`] | what a signed layer amounts to, but for its chain |
//! | [`walk`] | the layers of a message, outside in |
//! | [`sign`] | a message, signed |
//! | [`encrypt`] | a message, encrypted to its recipients |
//! | [`judge`] | from findings and chains to verdicts |

use crate::cert::cache::CertCache;
use crate::cert::pool::Pool;
use crate::crypto::cipher::ContentCipher;
use crate::crypto::digest::sha256;
use crate::fsio::Scratch;
use crate::keys::{KeyRing, MessageSecrets};
use crate::limits::Limits;
use crate::message::condensed::{Condensed, Root};
use crate::message::headers::Headers;
use crate::message::rewrite::{self, Piece};
use crate::smime::find;
use crate::smime::seal::Recipient;
use crate::text::hex;

use outcome::{Action, Findings, Integrity, Judgement, MessageFinding, Outcome, Reason};

pub mod encrypt;
pub mod facts;
pub mod judge;
pub mod outcome;
pub mod sign;
pub mod survey;
pub mod verify;
pub mod walk;

/// Everything that shapes an [`Outcome`] besides the message. Shared by all workers.
pub struct Context {
    /// What to do.
    pub plan: Plan,
    /// Private keys of the people whose mail this is.
    pub keyring: KeyRing,
    /// Passphrases and shared keys of messages that no certificate is behind.
    pub secrets: MessageSecrets,
    /// Certificates known from elsewhere, to look signers and recipients up.
    pub pool: Pool,
    /// Decoded certificates.
    pub cache: CertCache,
    /// What one message may cost.
    pub limits: Limits,
    /// What "now" is, Unix seconds.
    pub now: i64,
    /// Which time chains are judged at.
    pub clock: Clock,
}

impl Context {
    /// What is done with these keys and at this time (Unix seconds) where nothing else is asked for:
    /// their certificates are known, chains are judged at the time of arrival, and what is encrypted anew
    /// is AES-256-GCM, for nobody yet.
    pub fn new(task: Task, keyring: KeyRing, now: i64) -> Self {
        let mut pool = Pool::new();
        pool.extend(keyring.certificates().iter().cloned());
        Self {
            plan: Plan {
                task,
                recipients: Vec::new(),
                cipher: ContentCipher::Aes256Gcm,
                open_unaddressed: false,
            },
            keyring,
            secrets: MessageSecrets::default(),
            pool,
            cache: CertCache::new(),
            limits: Limits::default(),
            now,
            clock: Clock::Received,
        }
    }
}

/// The time a chain is judged at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Arrival; else the claimed signing time; else now.
    Received,
    /// The claimed signing time; else arrival; else now.
    Signing,
    /// Now.
    Now,
    /// A pinned time, Unix seconds.
    At(i64),
}

/// What a run does.
pub struct Plan {
    /// To each message.
    pub task: Task,
    /// For whom what is encrypted anew is.
    pub recipients: Vec<Recipient>,
    /// The cipher of content that is encrypted anew.
    pub cipher: ContentCipher,
    /// Whether parts and attached messages are opened with keys that the message does not address
    /// (`--open-unaddressed`).
    pub open_unaddressed: bool,
}

/// What is done to each message.
pub enum Task {
    /// Its layers are judged, and opened so far.
    Mill(Opening),
    /// It is signed.
    Sign(sign::Signing),
    /// It is encrypted.
    Encrypt(encrypt::Encrypting),
}

/// How far to go with encrypted layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// They stay closed: what can be known without keys.
    Keep,
    /// They are opened to see what is inside; nothing changes.
    Look,
    /// They are replaced by what they hold.
    Decrypt,
    /// Same ciphertext, new recipients.
    Rewrap,
    /// They are opened, and what they hold is encrypted anew.
    Content,
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The message as stored.
    pub bytes: &'a [u8],
    /// When its container says it arrived, Unix seconds; its own Received header goes first.
    pub received: Option<i64>,
    /// Whether its container quotes `From ` lines.
    pub quoting: bool,
    /// A bare CMS object instead of a message.
    pub cms: bool,
    /// Where the message is too large to hold: `bytes` are then those that tell its structure.
    pub large: Option<Large<'a>>,
}

/// A message that is too large to hold.
#[derive(Debug, Clone, Copy)]
pub struct Large<'a> {
    /// All of it, and what tells its structure.
    pub condensed: &'a Condensed,
    /// Of the message as stored, where that was asked for.
    pub sha256: Option<[u8; 32]>,
    /// Where its plaintext may lie until it is written; without it nothing is opened.
    pub scratch: Option<&'a Scratch>,
}

/// What is to be said about one message, and how it is to be written.
pub fn process(context: &Context, input: &Input<'_>) -> Outcome {
    match &context.plan.task {
        Task::Sign(_) if input.large.is_some() => refused(input, "limit-message"),
        Task::Mill(opening) => mill(context, input, *opening),
        Task::Sign(signing) => sign::message(context, signing, input),
        Task::Encrypt(encrypting) => encrypt::message(context, encrypting, input),
    }
}

fn mill(context: &Context, input: &Input<'_>, opening: Opening) -> Outcome {
    if !input.cms && input.large.is_none() && !find::may_hold_smime(input.bytes) {
        return plain(input);
    }
    let outcome = walk::message(context, input, opening);
    if outcome.edits.is_some() {
        proven_again(context, input, outcome)
    } else {
        outcome
    }
}

/// The field in a changed message that names what it was: the SHA-256 of the message as stored.
pub const STAMP: &str = "X-P7mill-Original-SHA256";

/// Puts [`STAMP`] before a changed message's own header, where no signature reaches. A message
/// that does not begin with a field stays as it is: what would follow is no header. Earlier stamps
/// stay, so the topmost names the last change.
pub fn stamp(outcome: &mut Outcome, input: &Input<'_>) {
    let Some(edits) = &mut outcome.edits else {
        return;
    };
    let head: Vec<u8> = first_bytes(input.bytes, edits, 4096);
    let name = head.split(|byte| *byte == b':').next().unwrap_or_default();
    let is_field = name.len() < head.len()
        && !name.is_empty()
        && name.iter().all(|byte| matches!(byte, b'!'..=b'~'));
    if !is_field {
        return;
    }
    let end = match memchr::memchr(b'\n', &head) {
        Some(at) if at > 0 && head.get(at - 1) == Some(&b'\r') => "\r\n",
        _ => "\n",
    };
    let digest = match input.large {
        Some(large) => large.sha256,
        None => Some(sha256(input.bytes)),
    };
    let digest = digest.map(|digest| hex(&digest)).unwrap_or_default();
    let field = format!("{STAMP}: {digest}{end}");
    edits.insert(0, Piece::Owned(field.into_bytes()));
}

/// The beginning of a changed message.
fn first_bytes(source: &[u8], edits: &[Piece], most: usize) -> Vec<u8> {
    let mut head = Vec::new();
    for piece in edits {
        let bytes = match piece {
            // Of a large message this is only its beginning.
            Piece::Source(range) => source
                .get(range.start..range.end.min(source.len()))
                .unwrap_or_default(),
            Piece::Owned(bytes) => bytes,
            Piece::Large(_) => break,
        };
        let room = most.saturating_sub(head.len());
        head.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        if head.len() >= most {
            break;
        }
    }
    head
}

/// The outcome of a message whose structure alone is too large to hold; `head` is its beginning.
pub fn too_large(head: &[u8]) -> Outcome {
    refused(&Input::of(head), "limit-message")
}

/// `outcome` where what it makes of the message is not written: what was changed is refused.
pub fn left_alone(mut outcome: Outcome, reason: &'static str) -> Outcome {
    for message in &mut outcome.findings.messages {
        message.unchanged_because(Action::Refused, reason);
    }
    Outcome {
        edits: None,
        copies: Vec::new(),
        ..outcome
    }
}

impl<'a> Input<'a> {
    /// A message of which nothing is known but its bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            received: None,
            quoting: false,
            cms: false,
            large: None,
        }
    }

    /// How many bytes the message has.
    pub fn len(&self) -> u64 {
        match self.large {
            Some(large) => large.condensed.whole.len(),
            None => self.bytes.len() as u64,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The outcome of a message that ended in an error of p7mill's own.
pub fn internal_error(input: &Input<'_>) -> Outcome {
    refused(input, "internal-error")
}

fn plain(input: &Input<'_>) -> Outcome {
    let facts = facts::Facts::of(&Headers::parse(input.bytes), String::new(), input.received);
    let mut outcome = Outcome::default();
    outcome.findings.messages.push(facts.finding());
    outcome
}

/// Whether a message has more header fields than are read, so that one of them may say anything.
fn is_endless(input: &Input<'_>) -> bool {
    !input.cms && Headers::parse(input.bytes).is_cut()
}

fn refused(input: &Input<'_>, reason: &'static str) -> Outcome {
    let mut outcome = plain(input);
    for message in &mut outcome.findings.messages {
        message.action = Action::Refused;
        message.reason = Some(Reason::Borrowed(reason));
    }
    outcome
}

/// Signatures that were intact inside must be intact in the message as it will be written; where
/// they are not, the message stays as it was.
fn proven_again(context: &Context, input: &Input<'_>, mut outcome: Outcome) -> Outcome {
    let Some(edits) = outcome.edits.as_ref() else {
        return outcome;
    };
    let surviving = std::mem::take(&mut outcome.surviving);
    let expected: Vec<_> = surviving
        .iter()
        .filter_map(|index| intact(&outcome.findings, *index))
        .collect();
    if expected.is_empty() {
        return outcome;
    }
    let again = if let Some(large) = input.large {
        written_again(context, input, large, edits)
    } else {
        let bytes = &rewrite::apply(input.bytes, edits);
        let written = Input { bytes, ..*input };
        Ok(walk::message(context, &written, Opening::Keep))
    };
    let findings = match again {
        Ok(again) => {
            outcome.trouble = outcome.trouble.take().or(again.trouble);
            again.findings
        }
        Err(error) => {
            outcome.trouble.get_or_insert(error);
            Findings::default()
        }
    };
    if !all_intact(expected, &findings) {
        outcome.edits = None;
        for message in outcome
            .findings
            .messages
            .iter_mut()
            .filter(|message| message.action.is_change())
        {
            message.action = Action::Refused;
            message.reason = Some("signature-would-break".into());
        }
    }
    outcome
}

/// What a changed message too large to hold is, walked without keys.
fn written_again(
    context: &Context,
    input: &Input<'_>,
    large: Large<'_>,
    edits: &[Piece],
) -> std::io::Result<Outcome> {
    let whole = walk::large::written(large.condensed, edits);
    let condensed = match Condensed::of(whole, Root::Message, &context.limits)? {
        Ok(condensed) => condensed,
        Err(limit) => return Ok(refused(input, limit.0)),
    };
    let written = Input {
        bytes: &condensed.bytes,
        large: Some(Large {
            condensed: &condensed,
            ..large
        }),
        ..*input
    };
    Ok(walk::message(context, &written, Opening::Keep))
}

/// What tells one intact signature from another: issuer, serial, certificate, claimed time.
type IntactSignature = (String, String, String, Option<i64>);

fn intact(findings: &Findings, index: usize) -> Option<IntactSignature> {
    let found = findings.signatures.get(index)?;
    (found.integrity == Integrity::Intact).then(|| {
        (
            found.issuer.clone(),
            found.serial.clone(),
            found.cert_sha256.clone(),
            found.signing_time,
        )
    })
}

/// Whether `findings` hold every one of these intact signatures, as often as they are given.
fn all_intact(expected: impl IntoIterator<Item = IntactSignature>, findings: &Findings) -> bool {
    let mut found: Vec<_> = (0..findings.signatures.len())
        .filter_map(|index| intact(findings, index))
        .collect();
    expected.into_iter().all(|signature| {
        found
            .iter()
            .position(|known| *known == signature)
            .map(|at| found.swap_remove(at))
            .is_some()
    })
}

impl MessageFinding {
    /// Takes out what only a command that judges says of signatures.
    fn leave_unjudged(&mut self) {
        self.judgement = Judgement::default();
        self.verdict_time = None;
        self.time_source = None;
        self.unsigned_bytes = None;
    }

    /// Marks a message that was to be changed and is not, since its carrier stays as it was.
    fn unchanged_because(&mut self, action: Action, reason: &'static str) {
        if self.action.is_change() {
            self.action = action;
            self.reason = Some(Reason::Borrowed(reason));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(bytes: &[u8], edits: Vec<Piece>) -> Vec<u8> {
        let input = Input::of(bytes);
        let mut outcome = Outcome {
            edits: Some(edits),
            ..Outcome::default()
        };
        stamp(&mut outcome, &input);
        rewrite::apply(bytes, &outcome.edits.unwrap())
    }

    #[test]
    fn a_stamp_is_a_field_of_its_own_before_the_others() {
        let bytes = b"Subject: x\r\n\r\nold";
        let edits = vec![Piece::Source(0..14), Piece::Owned(b"new".to_vec())];
        let field = format!("{STAMP}: {}\r\n", hex(&sha256(bytes)));
        assert_eq!(
            stamped(bytes, edits.clone()),
            [field.as_bytes(), b"Subject: x\r\n\r\nnew"].concat()
        );
        let once = stamped(bytes, edits);
        let again = stamped(&once, vec![Piece::Source(0..once.len())]);
        assert!(again.ends_with(&once) && again.len() > once.len());
    }

    #[test]
    fn what_does_not_begin_with_a_field_gets_none() {
        for bytes in [
            &b" folded: x\n\n"[..],
            b"\nbody: x",
            b"",
            b"no field\nx: y",
            b"\x30\x82:",
            b":",
        ] {
            let whole = vec![Piece::Source(0..bytes.len())];
            assert_eq!(stamped(bytes, whole), bytes);
        }
        let mut untouched = Outcome::default();
        let input = Input::of(b"Subject: x\n\n");
        stamp(&mut untouched, &input);
        assert!(untouched.edits.is_none());
    }
}
