//! Decoded certificates by their bytes: the reason why verifying is fast.
//!
//! Decoding costs about 100 µs and takes locks inside OpenSSL 3.0, so it does not get faster with
//! threads; a correspondence holds few certificates and shows them over and over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Certificate;

const SHARDS: usize = 16;

/// What all entries together may weigh, about: 20,000 ordinary certificates.
const CACHE_BYTES: usize = 192 << 20;

/// What an entry weighs beside multiples of its DER: OpenSSL's structures, names, the table.
const ENTRY_OVERHEAD: usize = 4 << 10;

type Digest = [u8; 32];
type Entry = Option<Arc<Certificate>>;

/// A bounded cache of decoded certificates, shared by all workers. It remembers what is
/// unreadable, too.
///
/// Each shard keeps two generations: when the young one is full it becomes the old one, and what
/// is still asked for moves back. So a flood of odd certificates cannot empty the cache of those
/// in daily use.
pub struct CertCache {
    shards: [Mutex<Shard>; SHARDS],
    shard_bytes: usize,
}

#[derive(Default)]
struct Shard {
    young: HashMap<Digest, Entry>,
    old: HashMap<Digest, Entry>,
    young_bytes: usize,
}

impl Default for CertCache {
    fn default() -> Self {
        Self::new()
    }
}

impl CertCache {
    /// An empty cache of the usual size.
    pub fn new() -> Self {
        Self::with_capacity(CACHE_BYTES)
    }

    /// An empty cache that holds about `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            shard_bytes: bytes / SHARDS / 2,
        }
    }

    /// The certificate that `der` starts with; `None` where it is unreadable.
    pub fn get(&self, der: &[u8]) -> Option<Arc<Certificate>> {
        let digest = openssl::sha::sha256(der);
        let shard = self.shards.get(usize::from(digest[0]) % SHARDS)?;
        if let Some(entry) = lock(shard).find(&digest) {
            return entry;
        }
        // Decoded outside the lock: two threads may do it twice, but none waits for another.
        let entry = Certificate::decode(der).ok().map(Arc::new);
        lock(shard).insert(digest, entry.clone(), self.shard_bytes);
        entry
    }
}

/// A panic elsewhere cannot leave a shard half changed: its maps change one whole entry at a time.
fn lock(shard: &Mutex<Shard>) -> std::sync::MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn find(&mut self, digest: &Digest) -> Option<Entry> {
        if let Some(entry) = self.young.get(digest) {
            return Some(entry.clone());
        }
        let entry = self.old.remove(digest)?;
        self.young_bytes += weight(&entry);
        self.young.insert(*digest, entry.clone());
        Some(entry)
    }

    fn insert(&mut self, digest: Digest, entry: Entry, limit: usize) {
        let weight = weight(&entry);
        if self.young_bytes + weight > limit {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += weight;
        self.young.insert(digest, entry);
    }
}

fn weight(entry: &Entry) -> usize {
    ENTRY_OVERHEAD
        + entry
            .as_ref()
            .map_or(0, |certificate| certificate.der.len() * 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::testing::{Pki, Spec};

    #[test]
    fn one_decoding_serves_all_and_garbage_is_remembered() {
        let pki = Pki::new();
        let leaf = pki.issue(&Spec::root("a"));
        let cache = CertCache::new();
        let first = cache.get(&leaf.der).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.get(&leaf.der).unwrap()));
        assert!(cache.get(b"\x30\x03abc").is_none());
        assert!(cache.get(b"\x30\x03abc").is_none());
    }

    #[test]
    fn a_flood_does_not_drive_out_what_is_in_use() {
        let pki = Pki::new();
        let leaf = pki.issue(&Spec::root("a"));
        let cache = CertCache::with_capacity(SHARDS * 2 * (64 << 10));
        let first = cache.get(&leaf.der).unwrap();
        for i in 0_u32..5_000 {
            assert!(cache.get(&i.to_be_bytes()).is_none());
            assert!(Arc::ptr_eq(&first, &cache.get(&leaf.der).unwrap()), "{i}");
        }
        let held: usize = cache
            .shards
            .iter()
            .map(|shard| {
                let shard = lock(shard);
                shard.young.len() + shard.old.len()
            })
            .sum();
        assert!(held <= SHARDS * 2 * 17, "{held}");
    }
}
