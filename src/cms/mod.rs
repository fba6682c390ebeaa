//! Cryptographic Message Syntax, structure only: what a CMS object says, read without copying and
//! without trust, and the few objects p7mill writes. No mathematics happens here.
//!
//! | module | answers |
//! |---|---|
//! | [`ber`] | one element of hostile BER, its tag, extent and body |
//! | [`octets`] | an OCTET STRING's bytes, in one piece or in many |
//! | [`der`] | how an element is written |
//! | [`oid`] | which object identifiers there are, and what reports call them |
//! | [`armor`] | does this look like CMS, in binary or PEM? |
//! | [`content`] | what kind of object; signed, digested and compressed content (RFC 5652, 3274; PKCS #7 1.5) |
//! | [`enveloped`] | encrypted content of each kind (RFC 5652 §6, §8, RFC 5083) |
//! | [`recipients`] | for whom, and the wrapped keys |
//! | [`signers`] | by whom, and the signatures |
//! | [`attributes`] | signed, unsigned and authenticated attributes as they came |
//! | [`capabilities`] | what a program says it reads |
//! | [`claims`] | what signed attributes say of certificate, algorithms and other signatures |
//! | [`parameters`] | algorithm parameters |
//! | [`outline`] | an object too large to hold, without its content |
//! | [`time`] | ASN.1 times as Unix seconds |
//! | [`build`] | enveloped objects, and new recipients around an untouched ciphertext |
//! | [`signing`] | signed objects, and the attributes they sign |
//!
//! As strict as security needs and no stricter: versions, missing digest algorithms and trailing
//! bytes are noted in the values returned; an element where none belongs, or one that runs past
//! its parent, is [`ber::Malformed`].

pub mod armor;
pub mod attributes;
pub mod ber;
pub mod build;
pub mod capabilities;
pub mod claims;
pub mod content;
pub mod der;
pub mod enveloped;
pub mod octets;
pub mod oid;
pub mod outline;
pub mod parameters;
pub mod recipients;
pub mod signers;
pub mod signing;
pub mod time;

pub use armor::{sniff, unarmor};
pub use attributes::{AttributeProblem, Attributes};
pub use ber::Malformed;
pub use capabilities::Capabilities;
pub use content::{CompressedData, Content, ContentInfo, DigestedData, SignedData, parse};
pub use enveloped::{AuthEnvelopedData, EncryptedData, EnvelopedData};
pub use octets::Octets;
pub use oid::{AlgorithmIdentifier, Oid};
pub use recipients::{Originator, RecipientId, RecipientInfo};
pub use signers::{SignerId, SignerInfo};

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod peer;
