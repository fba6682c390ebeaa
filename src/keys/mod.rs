//! Private keys of the people whose mail this is: key files as they come, and which recipient each
//! key answers for.
//!
//! | module | answers |
//! |---|---|
//! | [`passphrase`] | which passphrases to try on a file |
//! | [`keyring`] | which key, or which locked file, a recipient identifier names |
//! | `load` | which files there are, and what each is, by content |
//! | `pem` `pkcs12` | what is in one |
//! | `pbe` | password-based encryption, bounded |
//! | [`secrets`] | passphrases and shared keys of messages that no certificate is behind |

pub mod keyring;
mod load;
pub mod passphrase;
pub(crate) mod pbe;
#[cfg(test)]
mod peer_tests;
mod pem;
mod pkcs12;
pub mod secrets;

pub use keyring::{KeyFile, KeyFileStatus, KeyRing, PrivateKey};
pub use passphrase::Passphrases;
pub use secrets::MessageSecrets;
