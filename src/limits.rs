//! What one message may cost. The budget is shared by all layers of a message, decrypted ones
//! included; past it the outcome is `refused` with the limit's name as its reason.

/// The bounds for one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message that is read into memory; a larger one is read in pieces.
    pub message_bytes: u64,
    /// MIME nesting and S/MIME layers together.
    pub depth: u32,
    /// MIME parts.
    pub parts: u32,
    /// Bytes of header fields of all parts together.
    pub header_bytes: u64,
    /// Bytes that decrypting and decoding may bring forth.
    pub expanded_bytes: u64,
    /// Bytes that decompressing may bring forth; they count as expanded ones too. What a message
    /// holds compressed is no larger than a message may be.
    pub inflated_bytes: u64,
    /// Bytes of content put together from the pieces of a constructed OCTET STRING. Such copies are
    /// alive while what they hold is looked into, all layers' at once.
    pub copied_bytes: u64,
    /// Bytes that are read or hashed to check signatures: every layer's content counts, once for each
    /// reading of it, and again for each key where an algorithm does not take a digest. The largest
    /// message that a mailbox has changed, with two digests, comes near it, and no honest one goes past.
    pub hashed_bytes: u64,
    /// Certificates in all `SignedData` together.
    pub certificates: u32,
    /// `SignerInfo`s.
    pub signers: u32,
    /// `RecipientInfo`s.
    pub recipients: u32,
    /// S/MIME objects.
    pub objects: u32,
    /// Bytes that any compressed file or archive may unpack to.
    pub unpacked_bytes: u64,
    /// How many bytes more it may unpack to for each byte it has.
    pub unpacked_ratio: u64,
    /// Members of an archive that are looked at.
    pub members: u64,
}

impl Limits {
    /// How many bytes a file of `size` bytes may unpack to, all its members together.
    pub fn unpacked(&self, size: u64) -> u64 {
        size.saturating_mul(self.unpacked_ratio)
            .saturating_add(self.unpacked_bytes)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 128 << 20,
            depth: 64,
            parts: 10_000,
            header_bytes: 16 << 20,
            expanded_bytes: 1 << 30,
            inflated_bytes: 128 << 20,
            copied_bytes: 256 << 20,
            hashed_bytes: 1 << 30,
            certificates: 1_000,
            signers: 100,
            recipients: 10_000,
            objects: 200,
            unpacked_bytes: 256 << 20,
            unpacked_ratio: 200,
            members: 200_000,
        }
    }
}

/// A limit that a message went past; its name is the reason code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{0}")]
pub struct LimitExceeded(pub &'static str);

/// What is left of [`Limits`] for one message.
#[derive(Debug, Clone)]
pub struct Budget {
    left: Limits,
    /// Bytes that may lie in temporaries.
    spooled: u64,
}

impl Budget {
    /// A full budget.
    pub fn new(limits: &Limits) -> Self {
        Self {
            left: limits.clone(),
            spooled: 0,
        }
    }

    /// A full budget for a message of `len` bytes that are too many to hold: its layers may take
    /// three times that in temporaries, and may be hashed four times.
    pub fn for_large(limits: &Limits, len: u64) -> Self {
        let mut budget = Self::new(limits);
        budget.spooled = len.saturating_mul(3);
        budget.left.hashed_bytes = limits.hashed_bytes.max(len.saturating_mul(4));
        budget
    }

    /// Spends `n` bytes of content that does not lie in memory (`limit-expanded`).
    pub fn spooled_bytes(&mut self, n: u64) -> Result<(), LimitExceeded> {
        let left = self.spooled.checked_sub(n);
        self.spooled = left.ok_or(LimitExceeded("limit-expanded"))?;
        Ok(())
    }

    /// How deep nesting may go.
    pub fn max_depth(&self) -> u32 {
        self.left.depth
    }

    /// Spends `n` MIME parts (`limit-parts`).
    pub fn parts(&mut self, n: u32) -> Result<(), LimitExceeded> {
        spend(&mut self.left.parts, n, "limit-parts")
    }

    /// Spends `n` bytes of header (`limit-header`).
    pub fn header_bytes(&mut self, n: usize) -> Result<(), LimitExceeded> {
        spend_bytes(&mut self.left.header_bytes, n, "limit-header")
    }

    /// Spends `n` bytes of decoded or decrypted content (`limit-expanded`).
    pub fn expanded_bytes(&mut self, n: usize) -> Result<(), LimitExceeded> {
        spend_bytes(&mut self.left.expanded_bytes, n, "limit-expanded")
    }

    /// Spends `n` bytes of decompressed content (`limit-inflated`, `limit-expanded`).
    pub fn inflated_bytes(&mut self, n: usize) -> Result<(), LimitExceeded> {
        spend_bytes(&mut self.left.inflated_bytes, n, "limit-inflated")?;
        self.expanded_bytes(n)
    }

    /// Spends `n` bytes of content put together from pieces (`limit-copied`).
    pub fn copied_bytes(&mut self, n: usize) -> Result<(), LimitExceeded> {
        spend_bytes(&mut self.left.copied_bytes, n, "limit-copied")
    }

    /// How many bytes may still be hashed.
    pub fn hashed_left(&self) -> u64 {
        self.left.hashed_bytes
    }

    /// Spends `n` bytes that were read or hashed for signatures (`limit-hashed`).
    pub fn hashed_bytes(&mut self, n: u64) -> Result<(), LimitExceeded> {
        let left = &mut self.left.hashed_bytes;
        *left = left.checked_sub(n).ok_or(LimitExceeded("limit-hashed"))?;
        Ok(())
    }

    /// Spends `n` certificates (`limit-certificates`).
    pub fn certificates(&mut self, n: usize) -> Result<(), LimitExceeded> {
        spend(
            &mut self.left.certificates,
            saturate(n),
            "limit-certificates",
        )
    }

    /// Spends `n` `SignerInfo`s (`limit-signers`).
    pub fn signers(&mut self, n: usize) -> Result<(), LimitExceeded> {
        spend(&mut self.left.signers, saturate(n), "limit-signers")
    }

    /// Spends `n` `RecipientInfo`s (`limit-recipients`).
    pub fn recipients(&mut self, n: usize) -> Result<(), LimitExceeded> {
        spend(&mut self.left.recipients, saturate(n), "limit-recipients")
    }

    /// Spends one S/MIME object (`limit-objects`).
    pub fn object(&mut self) -> Result<(), LimitExceeded> {
        spend(&mut self.left.objects, 1, "limit-objects")
    }
}

fn saturate(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn spend(left: &mut u32, n: u32, name: &'static str) -> Result<(), LimitExceeded> {
    *left = left.checked_sub(n).ok_or(LimitExceeded(name))?;
    Ok(())
}

fn spend_bytes(left: &mut u64, n: usize, name: &'static str) -> Result<(), LimitExceeded> {
    *left = left.checked_sub(n as u64).ok_or(LimitExceeded(name))?;
    Ok(())
}
