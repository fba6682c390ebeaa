//! One S/MIME layer at a time: structure, mathematics and keys together.
//!
//! | file | answers |
//! |---|---|
//! | [`find`] | which part of a message is S/MIME, and of what kind |
//! | [`check`] | is what this SignedData covers what was signed |
//! | [`open`] | what an EnvelopedData or AuthEnvelopedData holds, once that is proven |
//! | [`seal`] | an entity, encrypted to recipients |
//! | [`rewrap`] | the same ciphertext for other recipients |
//! | [`sign`] | an entity, signed |
//! | [`unpack`] | what needs no key: CompressedData, DigestedData |

pub mod check;
pub mod find;
pub mod open;
pub mod rewrap;
pub mod seal;
pub mod sign;
pub mod unpack;
