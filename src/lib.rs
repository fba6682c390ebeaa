//! p7mill: batch S/MIME for mail archives.
//!
//! A message's way is one straight line: **found → read → understood → judged or changed →
//! committed**, and the modules below stand in that order. Imports run one way, upwards on this
//! list; a test reads the `use crate::` lines and fails on any other.
//!
//! | module | answers |
//! |---|---|
//! | [`error`] [`fsio`] [`limits`] [`text`] | what ends a run; how a file is made; what one message may cost; how bytes become words |
//! | [`bulk`] | bytes too many to hold |
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
//!
//! # The main job
//! Keys and certificates go into a [`Context`](ops::Context), which says what becomes of each
//! message; a [`Job`](engine::Job) says which mail to run over, and where to write.
//!
//! ```
//! use p7mill::cert::{Trust, load_certificates};
//! use p7mill::engine::{self, Job, Silent};
//! use p7mill::keys::{KeyRing, Passphrases};
//! use p7mill::ops::{Context, Opening, Task};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let out = folder.path().join("OUT");
//! let keyring = KeyRing::load(&["sample-data/keys".into()], &mut Passphrases::default())?;
//! let context = Context::new(Task::Mill(Opening::Decrypt), keyring, 1_795_392_000);
//! let job = Job {
//!     roots: vec!["sample-data/archive".into()],
//!     out: Some(out.clone()),
//!     csv: true,
//!     originals: true,
//!     threads: 2,
//!     trust: Trust::new(load_certificates(&["sample-data/ca".into()])?),
//!     judges: true,
//!     ..Job::default()
//! };
//! let finished = engine::run(&job, &context, None, &Silent)?;
//!
//! assert_eq!(finished.totals.messages, 157);
//! assert_eq!(finished.totals.outcomes["decrypted"], 33);
//! assert_eq!(finished.totals.verdicts["valid"], 38);
//! assert_eq!(finished.exit_code, 3); // some stayed closed: OUT/report/failed.csv says which
//! assert!(engine::check(&out)?.is_empty());
//! # Ok(())
//! # }
//! ```

pub mod archive;
pub mod bulk;
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
