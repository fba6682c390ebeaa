//! One S/MIME layer at a time: structure, mathematics and keys together.
//!
//! | file | answers |
//! |---|---|
//! | [`find`] | which part of a message is S/MIME, and of what kind |
//! | [`check`] | is what this SignedData covers what was signed |
//! | [`countersign`] | who countersigned a signature |
//! | [`open`] | what an EnvelopedData or AuthEnvelopedData holds, once that is proven |
//! | [`seal`] | an entity, encrypted to recipients |
//! | [`rewrap`] | the same ciphertext for other recipients |
//! | [`sign`] | an entity, signed |
//! | [`unpack`] | what needs no key: CompressedData, DigestedData |

pub mod check;
mod claims;
pub mod countersign;
pub mod find;
pub mod open;
mod readings;
pub mod rewrap;
pub mod seal;
pub mod sign;
mod signer;
pub mod timestamp;
pub mod unpack;
