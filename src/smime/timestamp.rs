//! Time-stamps on a signature (RFC 3161 appendix A, ETSI EN 319 122-1):
//! whether a token is about this signature and intact. Whether its authority is trusted is judged
//! with the chains.

use std::sync::Arc;

use super::check::{self, Covered, Known, SignerCheck};
use crate::cert::{CertCache, Certificate, Pool};
use crate::cms::ber::{Reader, Tlv, tag};
use crate::cms::{
    self, AlgorithmIdentifier, Attributes, Content, Oid, SignedData, SignerInfo, oid,
};
use crate::crypto::digest::{Digest, hash};
use crate::limits::{Budget, LimitExceeded};
use crate::ops::outcome::Integrity;

/// Tokens of one signature that are looked at.
const MAX_TOKENS: usize = 4;
/// Certificates of one token.
const MAX_CERTIFICATES: usize = 20;

/// id-ct-TSTInfo, 1.2.840.113549.1.9.16.1.4.
const TST_INFO: Oid<'_> = Oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 1, 4]);

/// Time-stamps over other things (ETSI EN 319 122-1): content, signature with references,
/// references alone, archive (three versions).
const OTHERS: [&[u8]; 6] = [
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 2, 20],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 2, 25],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 2, 26],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 2, 27],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 2, 48],
    &[4, 0, 0x8d, 0x45, 2, 4],
];

/// What is known of one token without its authority's chain.
#[derive(Debug)]
pub struct Stamp {
    /// When the authority saw the signature, Unix seconds; 0 where the token cannot be read.
    pub time: i64,
    /// The authority's certificate, where the token is about this signature and intact.
    pub authority: Option<Arc<Certificate>>,
    /// Certificates that the token carries.
    pub carried: Vec<Arc<Certificate>>,
    /// The weaker of the two digests that the token rests on, by name, and how it is signed.
    pub digests: [String; 2],
    /// Such as `rsa-pkcs1`.
    pub algorithm: String,
}

/// Every token on a signature. What checking them hashes is paid for.
pub fn stamps(
    signer: &SignerInfo<'_>,
    cache: &CertCache,
    pool: &Pool,
    budget: &mut Budget,
) -> Result<Vec<Stamp>, LimitExceeded> {
    let mut limit = Ok(());
    let stamps = signer
        .unsigned_attributes
        .map(|attributes| attributes.values(oid::TIMESTAMP_TOKEN))
        .unwrap_or_default()
        .into_iter()
        .take(MAX_TOKENS)
        .map(|token| {
            let check = |data: &SignedData<'_>, content: &[u8], known: Known<'_>| {
                let checks = check::signers(data, Covered::Opaque(content), known, budget);
                checks
                    .map_err(|exceeded| limit = Err(exceeded))
                    .ok()?
                    .into_iter()
                    .next()
            };
            read(token, &signer.signature, cache, pool, check).unwrap_or_else(|| Stamp {
                time: 0,
                authority: None,
                carried: Vec::new(),
                digests: Default::default(),
                algorithm: String::new(),
            })
        })
        .collect();
    limit.map(|()| stamps)
}

/// Whether there are time-stamps of kinds that are not used.
pub fn has_others(signer: &SignerInfo<'_>) -> bool {
    let holds = |attributes: &Attributes<'_>| {
        attributes
            .iter()
            .flatten()
            .any(|attribute| OTHERS.contains(&attribute.oid.0))
    };
    signer.unsigned_attributes.as_ref().is_some_and(holds)
        || signer.signed_attributes.as_ref().is_some_and(holds)
}

/// `None` where the token is not what RFC 3161 §2.4.2 says. `check` checks its only signer.
fn read<C>(
    token: &[u8],
    signature: &[u8],
    cache: &CertCache,
    pool: &Pool,
    mut check: C,
) -> Option<Stamp>
where
    C: FnMut(&SignedData<'_>, &[u8], Known<'_>) -> Option<SignerCheck>,
{
    let info = cms::parse(token).ok()?;
    let Content::Signed(data) = info.content else {
        return None;
    };
    let content = data.content.as_ref()?.cow();
    let [signer] = data.signers.as_slice() else {
        return None;
    };
    if data.content_type != TST_INFO || data.certificates.len() > MAX_CERTIFICATES {
        return None;
    }
    // Signed attributes tie the signature to the kind of content (RFC 3161 §2.4.2).
    signer.signed_attributes.as_ref()?;
    let info = Info::read(&content)?;
    let carried = check::certificates(&data, cache);
    let known = Known {
        carried: &carried,
        pool,
    };
    let checked = check(&data, &content, known)?;
    let about_this = hash(info.digest, [signature]) == info.imprint;
    let intact = checked.integrity == Integrity::Intact && !checked.malformed;
    Some(Stamp {
        time: info.time,
        authority: checked.certificate.filter(|_| about_this && intact),
        carried,
        digests: [info.digest.name().to_owned(), checked.digest],
        algorithm: checked.algorithm,
    })
}

/// What a `TSTInfo` says, as far as it matters.
struct Info<'a> {
    digest: Digest,
    imprint: &'a [u8],
    time: i64,
}

impl<'a> Info<'a> {
    fn read(content: &'a [u8]) -> Option<Self> {
        let mut fields = Tlv::only(content)
            .ok()
            .filter(|tlv| tlv.tag == tag::SEQUENCE)?
            .reader();
        let mut next =
            |wanted: u8| -> Option<Tlv<'a>> { fields.read().ok().filter(|tlv| tlv.tag == wanted) };
        next(tag::INTEGER)?;
        next(tag::OID)?;
        let mut imprint: Reader<'a> = next(tag::SEQUENCE)?.reader();
        next(tag::INTEGER)?;
        let time = cms::time::unix_seconds(&next(tag::GENERALIZED_TIME)?)?;
        let algorithm = AlgorithmIdentifier::parse(imprint.read().ok()?.raw).ok()?;
        let value = imprint
            .read()
            .ok()
            .filter(|tlv| tlv.tag == tag::OCTET_STRING)?;
        Some(Self {
            digest: Digest::from_oid(algorithm.oid)?,
            imprint: value.body,
            time,
        })
    }
}
