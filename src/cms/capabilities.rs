//! `SMIMECapabilities` (RFC 8551 §2.5.2): what a program says it can read, in a signature of its
//! owner's or in a certificate (RFC 4262).

use super::ber::{Tlv, tag};
use super::oid::{AlgorithmIdentifier, Oid};

/// A longer list is no program's; such a one is left out whole.
const MAX_BYTES: usize = 4 << 10;

/// A list of capabilities, as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Capabilities(Vec<u8>);

impl Capabilities {
    /// Takes the whole SEQUENCE; `None` where it is none, or over 4 KiB. What is malformed in it ends
    /// the list: nothing depends on it but a choice among algorithms that are all sound.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let list = Tlv::only(der).ok()?;
        (list.tag == tag::SEQUENCE && der.len() <= MAX_BYTES).then(|| Self(der.to_vec()))
    }

    /// Its encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Every capability, best first, with its parameters.
    pub fn iter(&self) -> impl Iterator<Item = AlgorithmIdentifier<'_>> {
        let mut reader = Tlv::only(&self.0).ok().map(|list| list.reader());
        std::iter::from_fn(move || AlgorithmIdentifier::read(reader.as_mut()?).ok())
    }

    /// Whether `oid` is among them.
    pub fn lists(&self, oid: Oid<'_>) -> bool {
        self.iter().any(|capability| capability.oid == oid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::{der, oid};

    #[test]
    fn a_list_is_read_as_far_as_it_is_one() {
        let list = der::sequence(&[
            &der::algorithm(oid::AES256_GCM, None),
            &der::algorithm(oid::RSAES_OAEP, Some(&der::sequence(&[]))),
        ]);
        let capabilities = Capabilities::parse(&list).unwrap();
        assert!(capabilities.lists(oid::AES256_GCM) && capabilities.lists(oid::RSAES_OAEP));
        assert!(!capabilities.lists(oid::AES128_GCM));
        assert_eq!(capabilities.iter().count(), 2);

        let broken = der::sequence(&[&der::algorithm(oid::AES256_GCM, None), &[0x30, 0x7f]]);
        assert_eq!(Capabilities::parse(&broken).unwrap().iter().count(), 1);
        assert_eq!(Capabilities::parse(&der::octet_string(b"x")), None);
        assert_eq!(
            Capabilities::parse(&der::sequence(&[&[5, 0].repeat(3000)])),
            None
        );
    }
}
