//! Primitives, through OpenSSL: what is computed, never what a message says.
//!
//! | module | answers |
//! |---|---|
//! | [`digest`] | hashes over chunks |
//! | [`cipher`] | content ciphers, and whether a plaintext is proven |
//! | [`rsa`] [`ec`] | content-encryption keys, unwrapped and wrapped |
//! | [`keywrap`] [`kdf`] | what key agreement is made of |
//! | [`signature`] [`signing`] | does this signature hold; making one |
//! | [`random`] [`provider`] | random bytes; the legacy provider |
//!
//! With `cert` and `keys` the only folder that names `openssl`; the rest of the house says
//! [`PublicKey`] and [`SecretKey`].

pub mod cipher;
pub mod digest;
pub mod ec;
pub mod kdf;
pub mod keywrap;
#[cfg(test)]
mod peer_tests;
pub mod provider;
pub mod random;
pub mod rsa;
pub mod signature;
pub mod signing;

/// The public half of a key pair.
pub type PublicKey = openssl::pkey::PKey<openssl::pkey::Public>;

/// A key pair.
pub type SecretKey = openssl::pkey::PKey<openssl::pkey::Private>;

/// A mathematical step that did not come out. It says nothing about why, on purpose: the reasons
/// (wrong key, bad padding, altered ciphertext) must look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("does not decrypt")]
pub struct Failed;

impl From<openssl::error::ErrorStack> for Failed {
    fn from(_: openssl::error::ErrorStack) -> Self {
        Self
    }
}

/// An algorithm or parameter that p7mill does not know; the text names it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unsupported algorithm: {0}")]
pub struct Unsupported(pub String);

/// Why an `AlgorithmIdentifier` cannot be used; visible without any key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CipherProblem {
    /// The algorithm is not known, or this OpenSSL does not have it.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The parameters do not fit the algorithm.
    #[error("malformed algorithm parameters: {0}")]
    Malformed(&'static str),
}
