//! Wrappers that hide nothing and need no key: compressed data (RFC 3274) and digested data
//! (RFC 5652 §7).
//!
//! zlib turns a kilobyte into a megabyte, and what comes out may be compressed again. So nothing is
//! allocated from a declared size, and every piece that comes out is paid for from the message's
//! budget before it is kept.

use flate2::{Decompress, FlushDecompress, Status};

use crate::cms::{CompressedData, DigestedData, oid};
use crate::crypto::digest::{self, Digest};
use crate::limits::{Budget, LimitExceeded};

/// Why a wrapper does not give what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// It holds nothing, or not what its compression claims.
    Malformed(&'static str),
    /// Another compression than zlib, the only one that RFC 3274 knows.
    Unsupported(&'static str),
    /// More than a message may hold.
    Limit(LimitExceeded),
}

/// The content of `data` as it was before it was compressed. What is cut off, damaged (RFC 1950's
/// checksum) or followed by something that another reader might take for more is malformed.
pub fn inflate(data: &CompressedData<'_>, budget: &mut Budget) -> Result<Vec<u8>, Packed> {
    const PIECE: usize = 64 << 10;
    const DAMAGED: Packed = Packed::Malformed("compression-damaged");
    if data.algorithm.oid != oid::ZLIB {
        return Err(Packed::Unsupported("unsupported-algorithm"));
    }
    let content = data
        .content
        .as_ref()
        .ok_or(Packed::Malformed("content-missing"))?;
    let mut stream = Decompress::new(true);
    let mut piece = vec![0; PIECE];
    let mut out = Vec::new();
    let mut ended = false;
    for mut input in content.chunks() {
        while !ended {
            let (read, written) = (stream.total_in(), stream.total_out());
            let status = stream
                .decompress(input, &mut piece, FlushDecompress::None)
                .map_err(|_| DAMAGED)?;
            let read = progress(stream.total_in(), read);
            let written = progress(stream.total_out(), written);
            budget.inflated_bytes(written).map_err(Packed::Limit)?;
            out.extend_from_slice(piece.get(..written).unwrap_or_default());
            input = input.get(read..).unwrap_or_default();
            ended = status == Status::StreamEnd;
            let stuck = read == 0 && written == 0;
            if stuck || (input.is_empty() && written < PIECE) {
                break;
            }
        }
        if !input.is_empty() {
            return Err(DAMAGED);
        }
    }
    if ended { Ok(out) } else { Err(DAMAGED) }
}

fn progress(after: u64, before: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}

/// Whether the content has the digest that stands beside it; `None` where the algorithm is not
/// known. It proves nothing about who wrote it: anyone can make another one.
pub fn digest_holds(data: &DigestedData<'_>) -> Option<bool> {
    let content = data.content.as_ref()?;
    let digest = Digest::from_oid(data.algorithm.oid)?;
    Some(digest::hash(digest, content.chunks()) == *data.digest)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;
    use crate::cms::Octets;
    use crate::cms::oid::AlgorithmIdentifier;
    use crate::limits::Limits;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn inflated(bytes: &[u8], budget: &mut Budget) -> Result<Vec<u8>, Packed> {
        let data = CompressedData {
            version: 0,
            algorithm: AlgorithmIdentifier {
                oid: oid::ZLIB,
                parameters: None,
            },
            content_type: oid::DATA,
            content: Some(Octets::from_slice(bytes)),
        };
        inflate(&data, budget)
    }

    #[test]
    fn what_was_compressed_comes_back_and_cut_off_it_does_not() {
        let inflated = |bytes: &[u8]| inflated(bytes, &mut Budget::new(&Limits::default()));
        let text = b"Content-Type: text/plain\r\n\r\nhello ".repeat(9_000);
        for original in [&b""[..], b"x", &text] {
            let packed = deflated(original);
            assert_eq!(inflated(&packed).unwrap(), original);
            for cut in 0..packed.len() {
                assert!(inflated(&packed[..cut]).is_err(), "{cut}");
            }
            let more = [&packed[..], b"more"].concat();
            assert!(inflated(&more).is_err());
        }
        let mut other_checksum = deflated(&text);
        *other_checksum.last_mut().unwrap() ^= 1;
        assert_eq!(
            inflated(&other_checksum),
            Err(Packed::Malformed("compression-damaged"))
        );
    }

    #[test]
    fn a_bomb_ends_with_the_budget_that_all_layers_share() {
        let limits = Limits {
            inflated_bytes: 3 << 20,
            ..Limits::default()
        };
        let mut budget = Budget::new(&limits);
        let packed = deflated(&vec![0; 2 << 20]);
        assert!(inflated(&packed, &mut budget).is_ok());
        assert_eq!(
            inflated(&packed, &mut budget),
            Err(Packed::Limit(LimitExceeded("limit-inflated")))
        );
    }
}
