//! The ways to read a content that a mailbox or a transport may have changed, one after the other.

use std::borrow::Cow;

use crate::cms::AlgorithmIdentifier;
use crate::crypto::digest::{self, Digest};
use crate::crypto::signature::{self, Signed};
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
    /// A detached signature without its content.
    Missing,
}

/// Content up to this size is read in every way that mailboxes are known to change it.
const MOST_COPIED: usize = 32 << 20;

/// The same for empty lines at the end, which cost three more copies.
const MOST_TRIMMED: usize = 4 << 20;

/// A reading of the content, and the reason that tells it from the canonical one.
type Reading<'a> = (Cow<'a, [u8]>, Option<&'static str>);

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
            Covered::Opaque(bytes) => (vec![(Cow::Borrowed(bytes), None)], true),
            Covered::Detached { entity, .. } => (vec![(transfer::to_crlf(entity), None)], false),
            Covered::Missing => (Vec::new(), true),
        };
        let spent = made.iter().map(|(bytes, _)| bytes.len() as u64).sum();
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
        let cost = (n as u64).saturating_mul(times as u64);
        self.spent = self.spent.saturating_add(cost);
        (self.spent <= self.may).then_some(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.made.is_empty()
    }

    /// Whether `are` holds of any reading; asked once for all signers.
    pub(super) fn attributes(&mut self, are: impl Fn(&[u8]) -> bool) -> bool {
        self.make_others();
        let made = &self.made;
        *self
            .attributes
            .get_or_insert_with(|| made.iter().any(|(bytes, _)| are(bytes)))
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
            self.pay(self.made.get(index)?.0.len(), 1)?;
            let (bytes, _) = self.made.get(index)?;
            return Some((SignedReading::Bytes([bytes]), label));
        }
        Some((SignedReading::Hash(self.digest_of(digest, index)?), label))
    }

    fn get(&mut self, index: usize) -> Option<(&[u8], Option<&'static str>)> {
        self.pay(0, 1)?;
        if index > 0 {
            self.make_others();
        }
        self.made
            .get(index)
            .map(|(bytes, label)| (&**bytes, *label))
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
            self.pay(self.made.get(index)?.0.len(), 1)?;
            let (bytes, _) = self.made.get(index)?;
            let value = digest::hash(digest, std::iter::once(&**bytes));
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
        let cost = made.map(|(bytes, _)| bytes.len()).sum();
        // What is left says so to whoever asks next.
        let _ = self.pay(cost, 1);
    }

    fn add_others(&mut self) {
        let Covered::Detached {
            entity,
            body,
            quoting,
            binary,
        } = self.content
        else {
            return;
        };
        let whole = self
            .made
            .first()
            .filter(|(bytes, _)| bytes.len() <= MOST_TRIMMED)
            .map(|(bytes, _)| bytes.clone());
        let mut add = |bytes: Cow<'a, [u8]>, label| {
            if !self.made.iter().any(|(known, _)| *known == bytes) {
                self.made.push((bytes, label));
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
