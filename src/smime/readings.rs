//! The ways to read a content that a mailbox or a transport may have changed, one after the other.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::io;
use std::sync::Arc;

use crate::archive::quoted::Quoted;
use crate::bulk::{self, Bulk, Chain, Stretch, each_piece};
use crate::cms::AlgorithmIdentifier;
use crate::crypto::digest::{self, Digest, Hasher};
use crate::crypto::signature::{self, Signed};
use crate::message::recoded::ToCrlf;
use crate::message::transfer;
use crate::ops::outcome::Reason;

/// The bytes a signature is to be held against.
#[derive(Debug, Clone, Copy)]
pub enum Covered<'a> {
    /// Content inside the SignedData itself.
    Opaque(&'a [u8]),
    /// The first part of a `multipart/signed`, headers included.
    Detached {
        /// The entity as stored.
        entity: &'a [u8],
        /// Where its body starts.
        body: usize,
        /// Whether the mailbox quotes `From ` lines.
        quoting: bool,
        /// Whether the entity's transfer encoding is `binary`.
        binary: bool,
    },
    /// Content, inside or detached, that is too large to hold.
    Large(LargeCovered<'a>),
    /// A detached signature without its content.
    Missing,
}

/// As in [`Covered::Detached`].
#[derive(Debug, Clone, Copy)]
pub struct LargeDetached {
    /// Where its body starts.
    pub body: u64,
    /// Whether the mailbox quotes `From ` lines.
    pub quoting: bool,
    /// Whether its transfer encoding is `binary`.
    pub binary: bool,
}

impl Covered<'_> {
    /// Whether it stands outside of the SignedData.
    pub(super) fn is_detached(&self) -> bool {
        match self {
            Self::Detached { .. } => true,
            Self::Large(large) => large.detached.is_some(),
            Self::Opaque(_) | Self::Missing => false,
        }
    }
}

/// Content that is too large to hold.
#[derive(Debug, Clone, Copy)]
pub struct LargeCovered<'a> {
    /// The content; where it is detached, the entity as stored.
    pub bytes: &'a Arc<dyn Bulk>,
    /// What there is to say of it where it is detached.
    pub detached: Option<LargeDetached>,
    /// Receives what kept it from being read.
    pub trouble: &'a OnceCell<io::Error>,
}

/// Content up to this size is read in every way that mailboxes are known to change it.
const MOST_COPIED: usize = 32 << 20;

/// The same for empty lines at the end, which cost three more copies.
const MOST_TRIMMED: usize = 4 << 20;

/// Content of so many bytes is looked at whole for what it is, wherever it lies.
const SHORT: usize = 64 << 10;

/// A reading of the content, and the reason that tells it from the canonical one.
type Reading<'a> = (Text<'a>, Option<&'static str>);

/// A reading's bytes.
enum Text<'a> {
    Held(Cow<'a, [u8]>),
    /// Too many to hold, with CRLF for every LF where `crlf`.
    Large {
        bytes: Arc<dyn Bulk>,
        crlf: bool,
    },
}

impl Text<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Held(bytes) => bytes.len() as u64,
            Self::Large { bytes, .. } => bytes.len(),
        }
    }

    fn digest(&self, digest: Digest) -> io::Result<Vec<u8>> {
        match self {
            Self::Held(bytes) => Ok(digest::hash(digest, std::iter::once(&**bytes))),
            Self::Large { bytes, crlf } => {
                let mut hasher = Hasher::new(digest);
                let mut lines = ToCrlf::default();
                each_piece(&**bytes, 0, |piece| {
                    if *crlf {
                        lines.push(piece, |bytes| hasher.update(bytes));
                    } else {
                        hasher.update(piece);
                    }
                    Ok::<_, io::Error>(())
                })?;
                Ok(hasher.finish())
            }
        }
    }
}

/// A reading as it goes into the mathematics.
pub(super) enum SignedReading<'a> {
    Hash(&'a [u8]),
    Bytes([&'a [u8]; 1]),
}

impl SignedReading<'_> {
    pub(super) fn signed(&self) -> Signed<'_> {
        match self {
            Self::Hash(value) => Signed::Prehashed(value),
            Self::Bytes(bytes) => Signed::Bytes(bytes),
        }
    }
}

/// The readings of a content, made only as far as they are asked for.
pub(super) struct Readings<'a> {
    content: Covered<'a>,
    made: Vec<Reading<'a>>,
    complete: bool,
    /// Digests of the readings, by algorithm and index.
    digests: Vec<(Digest, usize, Vec<u8>)>,
    /// Whether one of them is the DER of signed attributes, once that was asked.
    attributes: Option<bool>,
    /// Bytes that were read and hashed, and how many may be: past that there are no readings.
    spent: u64,
    may: u64,
}

impl<'a> Readings<'a> {
    /// `may` bytes may be read and hashed.
    pub(super) fn new(content: Covered<'a>, may: u64) -> Self {
        let (made, complete) = match content {
            Covered::Opaque(bytes) => (vec![(Text::Held(Cow::Borrowed(bytes)), None)], true),
            Covered::Detached { entity, .. } => {
                (vec![(Text::Held(transfer::to_crlf(entity)), None)], false)
            }
            Covered::Large(large) => {
                let canonical = Text::Large {
                    bytes: Arc::clone(large.bytes),
                    crlf: large.detached.is_some(),
                };
                (vec![(canonical, None)], large.detached.is_none())
            }
            Covered::Missing => (Vec::new(), true),
        };
        let spent = made.iter().map(|(text, _)| text.len()).sum();
        Self {
            content,
            made,
            complete,
            digests: Vec::new(),
            attributes: None,
            spent,
            may,
        }
    }

    /// Bytes that were read and hashed; more than was allowed where the rest was left undone.
    pub(super) fn spent(&self) -> u64 {
        self.spent
    }

    /// Pays for `n` bytes, `times` over; `None` where that is more than there is left.
    pub(super) fn pay(&mut self, n: usize, times: usize) -> Option<()> {
        self.spend((n as u64).saturating_mul(times as u64))
    }

    fn spend(&mut self, cost: u64) -> Option<()> {
        self.spent = self.spent.saturating_add(cost);
        (self.spent <= self.may).then_some(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.made.is_empty()
    }

    /// Whether the content is not in memory, so that no algorithm can have it in one piece.
    pub(super) fn are_large(&self) -> bool {
        matches!(self.content, Covered::Large(_))
    }

    /// What came of reading it, where that failed.
    fn read<T>(&self, result: io::Result<T>) -> Option<T> {
        match (result, self.content) {
            (Ok(value), _) => Some(value),
            (Err(error), Covered::Large(large)) => {
                let _ = large.trouble.set(error);
                None
            }
            (Err(_), _) => None,
        }
    }

    /// Whether `are` holds of any reading; asked once for all signers.
    pub(super) fn attributes(&mut self, are: impl Fn(&[u8]) -> bool) -> bool {
        self.make_others();
        let made = &self.made;
        *self.attributes.get_or_insert_with(|| {
            made.iter().any(|(text, _)| match text {
                Text::Held(bytes) => are(bytes),
                Text::Large { bytes, crlf } => match bulk::head(&**bytes, SHORT) {
                    // Not the content is large, but what stands around it.
                    Ok(held) if held.len() as u64 == bytes.len() && *crlf => {
                        are(&transfer::to_crlf(&held))
                    }
                    Ok(held) if held.len() as u64 == bytes.len() => are(&held),
                    _ => may_be_set(&**bytes),
                },
            })
        })
    }

    /// What a signature without attributes is over in one reading, hashed once for all signers
    /// unless the algorithm takes only the bytes.
    pub(super) fn signed(
        &mut self,
        algorithm: &AlgorithmIdentifier<'_>,
        digest: Digest,
        index: usize,
    ) -> Option<(SignedReading<'_>, Option<&'static str>)> {
        let (_, label) = self.get(index)?;
        if signature::needs_bytes(algorithm, digest) {
            // One that takes the bytes hashes them anew for each key.
            self.spend(self.made.get(index)?.0.len())?;
            let (Text::Held(bytes), _) = self.made.get(index)? else {
                return None;
            };
            return Some((SignedReading::Bytes([bytes]), label));
        }
        Some((SignedReading::Hash(self.digest_of(digest, index)?), label))
    }

    fn get(&mut self, index: usize) -> Option<(&Text<'a>, Option<&'static str>)> {
        self.pay(0, 1)?;
        if index > 0 {
            self.make_others();
        }
        self.made.get(index).map(|(text, label)| (text, *label))
    }

    /// What is to be said of the first reading whose digest is `expected`; `None` where no
    /// reading's is.
    pub(super) fn matching(&mut self, digest: Digest, expected: &[u8]) -> Option<Vec<Reason>> {
        let mut index = 0;
        while self.get(index).is_some() {
            if self.digest_of(digest, index)? == expected {
                return self
                    .made
                    .get(index)
                    .map(|(_, label)| label.iter().copied().map(Reason::Borrowed).collect());
            }
            index += 1;
        }
        None
    }

    fn digest_of(&mut self, digest: Digest, index: usize) -> Option<&[u8]> {
        let known = self
            .digests
            .iter()
            .position(|(d, i, _)| *d == digest && *i == index);
        let at = if let Some(at) = known {
            at
        } else {
            self.spend(self.made.get(index)?.0.len())?;
            let (text, _) = self.made.get(index)?;
            let value = self.read(text.digest(digest))?;
            self.digests.push((digest, index, value));
            self.digests.len() - 1
        };
        self.digests.get(at).map(|(_, _, value)| value.as_slice())
    }

    fn make_others(&mut self) {
        if self.complete {
            return;
        }
        self.complete = true;
        let first = self.made.len();
        self.add_others();
        let made = self.made.iter().skip(first);
        let cost = made.map(|(text, _)| text.len()).sum();
        // What is left says so to whoever asks next.
        let _ = self.spend(cost);
    }

    /// Unquoted, and as it is stored; where it is `binary`, RFC 8551 §3.1.1 has only the header
    /// canonicalised.
    fn add_large(&mut self, large: LargeCovered<'_>) {
        let Some(LargeDetached {
            body,
            quoting,
            binary,
        }) = large.detached
        else {
            return;
        };
        let as_stored = |bytes| Text::Large { bytes, crlf: false };
        let head = usize::try_from(body).unwrap_or(usize::MAX);
        if binary && let Some(head) = self.read(bulk::head(&**large.bytes, head)) {
            let rest = Stretch::new(Arc::clone(large.bytes), body..large.bytes.len());
            let head = transfer::to_crlf(&head).into_owned();
            let bytes = Chain(vec![Arc::new(head), Arc::new(rest)]);
            self.made.push((as_stored(Arc::new(bytes)), None));
        }
        if quoting {
            let unquoted = self.read(Quoted::undone(Arc::clone(large.bytes)));
            if let Some(unquoted) = unquoted.flatten() {
                let text = Text::Large {
                    bytes: Arc::new(unquoted),
                    crlf: true,
                };
                self.made.push((text, Some("from-quoted-signature")));
            }
        }
        let bytes = Arc::clone(large.bytes);
        self.made
            .push((as_stored(bytes), Some("line-ends-changed")));
    }

    fn add_others(&mut self) {
        if let Covered::Large(large) = self.content {
            return self.add_large(large);
        }
        let Covered::Detached {
            entity,
            body,
            quoting,
            binary,
        } = self.content
        else {
            return;
        };
        let whole = match self.made.first() {
            Some((Text::Held(bytes), _)) if bytes.len() <= MOST_TRIMMED => Some(bytes.clone()),
            _ => None,
        };
        let mut add = |bytes: Cow<'a, [u8]>, label| {
            let is_same = |text: &Text<'_>| matches!(text, Text::Held(known) if *known == bytes);
            if !self.made.iter().any(|(known, _)| is_same(known)) {
                self.made.push((Text::Held(bytes), label));
            }
        };
        // Copies of a very large content would cost more memory than a rare repair is worth.
        if entity.len() > MOST_COPIED {
            add(Cow::Borrowed(entity), Some("line-ends-changed"));
            return;
        }
        // Content-Transfer-Encoding: binary: only the header is canonicalised (RFC 8551 §3.1.1).
        let (head, rest) = entity.split_at(body.min(entity.len()));
        let label = (!binary).then_some("line-ends-changed");
        add(
            Cow::Owned([&*transfer::to_crlf(head), rest].concat()),
            label,
        );
        if quoting && let Some(unquoted) = transfer::unquote_from(entity) {
            add(
                Cow::Owned(transfer::to_crlf(&unquoted).into_owned()),
                Some("from-quoted-signature"),
            );
        }
        add(Cow::Borrowed(entity), Some("line-ends-changed"));
        if memchr::memchr(b'\r', entity).is_some() {
            add(Cow::Owned(lf_only(entity)), Some("line-ends-changed"));
        }
        // Empty lines at the very end come and go: they say nothing, and some programs count the
        // line end before the boundary as the part's own.
        if let Some(whole) = whole {
            let label = Some("trailing-lines-changed");
            add(Cow::Owned([&*whole, b"\r\n"].concat()), label);
            let mut shorter = &*whole;
            while let Some(less) = shorter.strip_suffix(b"\r\n") {
                shorter = less;
            }
            // No empty line, and the end of the last line that is not empty.
            if shorter.len() < whole.len() {
                add(Cow::Owned(shorter.to_vec()), label);
                add(Cow::Owned([shorter, b"\r\n"].concat()), label);
            }
        }
    }
}

/// Whether content too large to hold begins as a SET that fills it does: no honest text does by chance.
fn may_be_set(bytes: &dyn Bulk) -> bool {
    use crate::cms::ber::tag;
    let Ok(head) = bulk::head(bytes, 10) else {
        return false;
    };
    match head.as_slice() {
        [tag::SET, 0x80, ..] => true,
        [tag::SET, long @ 0x81..=0x88, rest @ ..] => {
            let digits = rest.get(..usize::from(long & 0x7f)).unwrap_or_default();
            let len = digits
                .iter()
                .fold(0_u64, |len, digit| len << 8 | u64::from(*digit));
            len.saturating_add(2 + digits.len() as u64) == bytes.len()
        }
        _ => false,
    }
}

fn lf_only(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_takes_the_bytes_pays_for_them() {
        let ed25519 = AlgorithmIdentifier::parse(b"\x30\x05\x06\x03\x2b\x65\x70").unwrap();
        let mut readings = Readings::new(Covered::Opaque(&[0; 100]), 300);
        for expected in [true, true, false, false] {
            let found = readings.signed(&ed25519, Digest::Sha512, 0).is_some();
            assert_eq!(found, expected, "{}", readings.spent());
        }
        assert!(readings.spent() > 300);
        assert!(readings.signed(&ed25519, Digest::Sha512, 0).is_none());
    }

    #[test]
    fn a_digest_is_paid_for_once() {
        let rsa = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
        let rsa = AlgorithmIdentifier::parse(rsa).unwrap();
        let mut readings = Readings::new(Covered::Opaque(&[0; 100]), 200);
        for _ in 0..1_000 {
            assert!(readings.signed(&rsa, Digest::Sha256, 0).is_some());
        }
        assert_eq!(readings.spent(), 200);
    }
}
