//! Certificates and trust: what a certificate says, which ones are known, whether a path from one
//! to a trust anchor holds at a given time, and how strong an algorithm was at that time.

mod address;
pub mod cache;
pub mod certificate;
pub mod chain;
pub mod crl;
mod der;
mod extensions;
mod idn;
mod key;
pub mod name;
mod policies;
pub mod policy;
pub mod pool;
pub mod revocation;
#[cfg(test)]
pub(crate) mod testing;
pub mod trust;

pub use address::{clean_address, same_address};
pub use cache::CertCache;
pub use certificate::{Certificate, Unreadable};
pub use chain::{ChainJudge, Usage};
pub use crl::Crl;
pub use extensions::KeyUsage;
pub use pool::Pool;
pub use revocation::RevocationJudge;
pub use trust::{Trust, load_certificates};
