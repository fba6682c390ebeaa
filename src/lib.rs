//! p7mill: batch S/MIME for mail archives.
//!
//! A message's way is one straight line: **found → read → understood → judged or changed →
//! committed**, and the modules below stand in that order. Imports run one way, upwards on this
//! list; a test reads the `use crate::` lines and fails on any other.
//!
//! | module | answers |
//! |---|---|
//! | [`error`] [`fsio`] [`limits`] [`text`] | what ends a run; how a file is made; what one message may cost; how bytes become words |
//! | [`archive`] | where mail lies, and how it is written back |
//! | [`message`] | one mail as bytes: headers, MIME parts, transfer encodings, edits |
//! | [`cms`] | RFC 5652 structures, read without copying and written |
//! | [`crypto`] | primitives, through OpenSSL |
//! | [`cert`] | certificates and trust |
//! | [`keys`] | private keys of the people whose mail this is |
//! | [`store`] | the certificate store, one SQLite file |
//! | [`smime`] | one S/MIME layer at a time |
//! | [`ops`] | one message in, one [`ops::outcome::Outcome`] out; pure |
//! | [`report`] | rows and files that an auditor reads |
//! | [`engine`] | many messages: reader → workers → one committer |

pub mod archive;
pub mod cert;
pub mod cms;
pub mod crypto;
pub mod engine;
pub mod error;
pub mod fsio;
pub mod keys;
pub mod limits;
pub mod message;
pub mod ops;
pub mod report;
pub mod smime;
pub mod store;
pub mod text;

pub use error::{Error, Result};
