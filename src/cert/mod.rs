//! Certificates and trust: what a certificate says, which ones are known, whether a path from one
//! to a trust anchor holds at a given time, and how strong an algorithm was at that time.

pub mod certificate;
mod der;
mod extensions;
mod key;
pub mod name;

pub use certificate::{Certificate, Unreadable};
