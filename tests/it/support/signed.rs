//! SignedData put together by hand, so that a test can say what no honest program writes. The
//! mathematics are the OpenSSL command line's.

use std::path::Path;

use super::der::{Body, Node};
use super::tools::{Pki, openssl};

/// Object identifiers, encoded.
pub(crate) mod oids {
    pub(crate) const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    pub(crate) const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
    pub(crate) const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4];
    pub(crate) const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
    pub(crate) const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
    pub(crate) const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 5];
    pub(crate) const COUNTERSIGNATURE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 6];
    pub(crate) const PROTECTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 52];
    pub(crate) const SECURITY_LABEL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 2];
    pub(crate) const SIGNING_CERTIFICATE: &[u8] =
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 12];
    pub(crate) const SIGNING_CERTIFICATE_V2: &[u8] =
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 47];
    pub(crate) const MULTIPLE_SIGNATURES: &[u8] =
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 51];
    pub(crate) const SHA1: &[u8] = &[0x2b, 14, 3, 2, 26];
    pub(crate) const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
    pub(crate) const SHA512: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];
    pub(crate) const SHA3_384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 9];
    pub(crate) const ECDSA_WITH_SHA3_384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 11];
    pub(crate) const SHAKE256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 12];
    pub(crate) const SHAKE256_LEN: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 18];
    pub(crate) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    pub(crate) const PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
    pub(crate) const SHA256_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
    pub(crate) const SHA512_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13];
    pub(crate) const DSA_WITH_SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 2];
    pub(crate) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    pub(crate) const ED448: &[u8] = &[0x2b, 0x65, 0x71];
}

/// An `AlgorithmIdentifier` without parameters.
pub(crate) fn algorithm(oid: &[u8]) -> Node {
    Node::of(0x30, vec![Node::leaf(6, oid)])
}

/// An `AlgorithmIdentifier` with NULL.
pub(crate) fn algorithm_null(oid: &[u8]) -> Node {
    Node::of(0x30, vec![Node::leaf(6, oid), Node::leaf(5, &[])])
}

/// An attribute.
pub(crate) fn attribute(oid: &[u8], values: Vec<Node>) -> Node {
    Node::of(0x30, vec![Node::leaf(6, oid), Node::of(0x31, values)])
}

/// What OpenSSL prints for a line in which `IN` is a file that holds `input`.
pub(crate) fn through(folder: &Path, line: &str, input: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new_in(folder).unwrap();
    std::fs::write(file.path(), input).unwrap();
    let line = line.replace("IN", &file.path().to_string_lossy());
    openssl(folder, &line).expect(&line)
}

/// A hash by OpenSSL's name for it.
pub(crate) fn hash(folder: &Path, name: &str, bytes: &[u8]) -> Vec<u8> {
    through(folder, &format!("dgst -{name} -binary IN"), bytes)
}

/// DER of `NAME.pem`.
pub(crate) fn certificate(pki: &Pki, name: &str) -> Vec<u8> {
    let line = format!("x509 -in {name}.pem -outform DER");
    openssl(pki.path(), &line).expect(&line)
}

/// Issuer and serial number of a certificate.
pub(crate) fn issuer_and_serial(certificate: &[u8]) -> Node {
    let mut node = Node::parse(certificate);
    let (serial, issuer) = (node.at(&[0, 1]).clone(), node.at(&[0, 3]).clone());
    Node::of(0x30, vec![issuer, serial])
}

/// A SignerInfo to be.
pub(crate) struct Plan {
    pub(crate) sid: Node,
    pub(crate) digest: Node,
    /// `None` signs the content alone.
    pub(crate) attributes: Option<Vec<Node>>,
    /// Whether the attributes are put in DER's order.
    pub(crate) sorted: bool,
    pub(crate) algorithm: Node,
    /// A line for OpenSSL that signs the file `IN`.
    pub(crate) sign: String,
    pub(crate) unsigned: Vec<Node>,
}

impl Plan {
    /// By `NAME.key`, with SHA-256 and RSA, content type and message digest.
    pub(crate) fn new(pki: &Pki, name: &str, content: &[u8]) -> Self {
        Self {
            sid: issuer_and_serial(&certificate(pki, name)),
            digest: algorithm_null(oids::SHA256),
            attributes: Some(vec![
                attribute(oids::CONTENT_TYPE, vec![Node::leaf(6, oids::DATA)]),
                attribute(
                    oids::MESSAGE_DIGEST,
                    vec![Node::leaf(4, &hash(pki.path(), "sha256", content))],
                ),
            ]),
            sorted: true,
            algorithm: algorithm_null(oids::RSA),
            sign: format!("dgst -sha256 -sign {name}.key IN"),
            unsigned: Vec::new(),
        }
    }

    /// With one more signed attribute.
    pub(crate) fn with(mut self, attribute: Node) -> Self {
        self.attributes.as_mut().unwrap().push(attribute);
        self
    }

    /// With a signed attribute in place of the one that has its type.
    pub(crate) fn having(mut self, attribute: Node) -> Self {
        let attributes = self.attributes.as_mut().unwrap();
        let mut attribute = attribute;
        let oid = attribute.child(0).encode();
        attributes.retain(|known| known.clone().child(0).encode() != oid);
        attributes.push(attribute);
        self
    }

    /// Without a signed attribute.
    pub(crate) fn lacking(mut self, oid: &[u8]) -> Self {
        let oid = Node::leaf(6, oid).encode();
        let attributes = self.attributes.as_mut().unwrap();
        attributes.retain(|known| known.clone().child(0).encode() != oid);
        self
    }

    /// The attributes as they are signed.
    pub(crate) fn set(&self) -> Option<Node> {
        let mut attributes = self.attributes.clone()?;
        if self.sorted {
            attributes.sort_by_key(Node::encode);
        }
        Some(Node::of(0x31, attributes))
    }

    /// The SignerInfo.
    pub(crate) fn info(&self, pki: &Pki, content: &[u8]) -> Node {
        let set = self.set();
        let signed = set.as_ref().map_or(content.to_vec(), Node::encode);
        let signature = through(pki.path(), &self.sign, &signed);
        let mut fields = vec![Node::leaf(2, &[1]), self.sid.clone(), self.digest.clone()];
        fields.extend(set.map(|set| Node { tag: 0xa0, ..set }));
        fields.extend([self.algorithm.clone(), Node::leaf(4, &signature)]);
        if !self.unsigned.is_empty() {
            fields.push(Node::of(0xa1, self.unsigned.clone()));
        }
        Node::of(0x30, fields)
    }
}

/// DER of a SignedData with its content.
pub(crate) fn signed_data(
    content_type: &[u8],
    content: &[u8],
    certificates: &[Vec<u8>],
    signers: Vec<Node>,
) -> Vec<u8> {
    let explicit = Node::of(0xa0, vec![Node::leaf(4, content)]);
    let data = Node::of(
        0x30,
        vec![
            Node::leaf(2, &[1]),
            Node {
                tag: 0x31,
                body: Body::Children(Vec::new()),
            },
            Node::of(0x30, vec![Node::leaf(6, content_type), explicit]),
            Node::of(
                0xa0,
                certificates.iter().map(|der| Node::parse(der)).collect(),
            ),
            Node::of(0x31, signers),
        ],
    );
    Node::of(
        0x30,
        vec![Node::leaf(6, oids::SIGNED_DATA), Node::of(0xa0, vec![data])],
    )
    .encode()
}
