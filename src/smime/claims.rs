//! What a signer claims in signed attributes, held against what there is: the certificate (RFC 2634
//! §5.4, RFC 5035), the algorithms (RFC 6211), the other signatures (RFC 5752). Requests and labels
//! are named.

use crate::cert::certificate::Certificate;
use crate::cms::claims::{CertId, Claims, OtherSignature};
use crate::cms::oid::{self, AlgorithmIdentifier, Oid};
use crate::cms::{SignerInfo, parameters};
use crate::crypto::digest::{self, Digest};

use super::check::SignerCheck;

/// Attributes that ask or tell something, and the reason that says they are there.
const NAMED: [(Oid<'static>, &str); 4] = [
    (oid::RECEIPT_REQUEST, "receipt-requested"),
    (oid::SECURITY_LABEL, "security-label"),
    (oid::ML_EXPANSION_HISTORY, "mailing-list"),
    (oid::CONTENT_HINTS, "content-hints"),
];

/// Values of multiple-signatures that are looked at; nobody signs a mail in as many ways.
const MOST_OTHERS: usize = 16;

/// Holds the claims of one SignerInfo against the certificate that signed and its algorithms.
pub(super) fn check(check: &mut SignerCheck, claims: &Claims<'_>, signer: &SignerInfo<'_>) {
    for (attribute, reason) in NAMED {
        if claims.has(attribute) {
            check.note(reason);
        }
    }
    match claims.signing_certificates() {
        Ok(Some(named)) => {
            if let Some(certificate) = check.certificate.clone() {
                for id in named.iter().flatten() {
                    match is(id, &certificate) {
                        Some(true) => {}
                        Some(false) => check.invalid("signing-certificate-mismatch"),
                        None => check.note("signing-certificate-unchecked"),
                    }
                }
            }
        }
        Ok(None) => {}
        Err(_) => check.invalid("attributes-malformed"),
    }
    match claims.algorithm_protection() {
        Ok(Some((digest, signature))) => {
            if !same(&digest, &signer.digest) || !same(&signature, &signer.signature_algorithm) {
                check.invalid("algorithm-protection-mismatch");
            }
        }
        Ok(None) => {}
        Err(_) => check.invalid("attributes-malformed"),
    }
}

/// Whether the claims name `certificate` as the signer's; also where they name none.
pub(super) fn names(claims: &Claims<'_>, certificate: &Certificate) -> bool {
    let Ok(Some(named)) = claims.signing_certificates() else {
        return true;
    };
    named
        .iter()
        .flatten()
        .all(|id| is(id, certificate) == Some(true))
}

/// Whether `id` is `certificate`'s; `None` where its hash cannot be computed.
fn is(id: &CertId<'_>, certificate: &Certificate) -> Option<bool> {
    let named = id
        .issuer_serial
        .is_none_or(|(issuer, serial)| certificate.matches_issuer_serial(issuer, serial));
    let digest = Digest::from_algorithm(&id.digest)?;
    let hashed = if digest == Digest::Sha256 {
        id.hash == certificate.sha256
    } else {
        id.hash == digest::hash(digest, [&certificate.der[..]])
    };
    Some(named && hashed)
}

/// Whether two identifiers mean the same: absent parameters and NULL are one, and those of PSS
/// are compared by what they say.
fn same(a: &AlgorithmIdentifier<'_>, b: &AlgorithmIdentifier<'_>) -> bool {
    let plain = |algorithm: &AlgorithmIdentifier<'_>| match algorithm.parameters {
        Some([5, 0]) => None,
        other => other.map(<[u8]>::to_vec),
    };
    a.oid.0 == b.oid.0
        && (plain(a) == plain(b)
            || a.oid == oid::RSASSA_PSS
                && parameters::pss_parameters(a).is_ok_and(|ours| {
                    parameters::pss_parameters(b).is_ok_and(|theirs| ours == theirs)
                }))
}

/// The SignerInfos of one SignedData, to find those that multiple-signatures names.
pub(super) struct Others<'c, 'a> {
    signers: &'c [SignerInfo<'a>],
    /// Hashes of attributes without multiple-signatures, by signer and digest.
    hashes: Vec<(usize, Digest, Vec<u8>)>,
}

impl<'c, 'a> Others<'c, 'a> {
    pub(super) fn new(signers: &'c [SignerInfo<'a>]) -> Self {
        Self {
            signers,
            hashes: Vec::new(),
        }
    }

    /// Whether every signature that the signer names beside this one is there. One that is not may
    /// have been taken away because it was the stronger one, or by a gateway that meant no harm.
    pub(super) fn check(
        &mut self,
        check: &mut SignerCheck,
        claims: &Claims<'_>,
        signer: &SignerInfo<'_>,
    ) {
        let Ok(named) = claims.multiple_signatures() else {
            check.invalid("attributes-malformed");
            return;
        };
        let complete = named.len() <= MOST_OTHERS
            && named
                .iter()
                .all(|other| (0..self.signers.len()).any(|index| self.is(other, index, signer)));
        if !complete {
            check.note("multiple-signatures-broken");
        }
    }

    fn is(&mut self, other: &OtherSignature<'_>, index: usize, but: &SignerInfo<'_>) -> bool {
        let Some(signer) = self
            .signers
            .get(index)
            .filter(|found| !std::ptr::eq(*found, but))
        else {
            return false;
        };
        if !same(&other.digest, &signer.digest)
            || !same(&other.signature, &signer.signature_algorithm)
        {
            return false;
        }
        let Some(digest) = Digest::from_algorithm(&other.attributes_digest) else {
            return false;
        };
        let known = self
            .hashes
            .iter()
            .find(|(at, with, _)| *at == index && *with == digest);
        if let Some((_, _, hash)) = known {
            return hash == other.attributes_hash;
        }
        let attributes = signer
            .signed_attributes
            .map(|attributes| attributes.without(oid::MULTIPLE_SIGNATURES));
        let hash = digest::hash(digest, attributes.as_deref());
        let found = hash == other.attributes_hash;
        self.hashes.push((index, digest, hash));
        found
    }
}
