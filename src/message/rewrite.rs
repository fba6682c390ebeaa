//! Edits: a changed message as ranges of its source and owned pieces.

use std::ops::Range;

/// A stretch of a changed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the message as stored.
    Source(Range<usize>),
    /// New bytes.
    Owned(Vec<u8>),
}
