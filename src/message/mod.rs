//! One mail as bytes: header fields, MIME parts, transfer encodings and edits. Everything is a
//! byte range of the message; nothing here copies a body, recurses on input or reads a clock.

pub mod addresses;
pub mod condensed;
pub mod content_type;
pub mod decode;
pub mod headers;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod laws;
mod params;
pub mod parts;
pub mod recoded;
pub mod rewrite;
pub mod tnef;
pub mod transfer;
pub mod transport;
