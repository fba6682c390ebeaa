//! Algorithm parameters, structure only; whether they make sense is for `crypto` to say.

use super::ber::{Malformed, Reader, Tlv, tag};
use super::oid::{self, AlgorithmIdentifier, Oid};

/// The parameters' element, which has to be there.
fn element<'a>(algorithm: &AlgorithmIdentifier<'a>) -> Result<Tlv<'a>, Malformed> {
    Tlv::only(
        algorithm
            .parameters
            .ok_or(Malformed("algorithm without its parameters"))?,
    )
}

/// The parameters as a SEQUENCE.
fn sequence<'a>(algorithm: &AlgorithmIdentifier<'a>) -> Result<Reader<'a>, Malformed> {
    let tlv = element(algorithm)?;
    if tlv.tag == tag::SEQUENCE {
        Ok(tlv.reader())
    } else {
        Err(Malformed("algorithm parameters are no sequence"))
    }
}

/// A number that has to fit `usize`.
fn number(tlv: &Tlv<'_>) -> Result<usize, Malformed> {
    tlv.unsigned()
        .and_then(|value| usize::try_from(value).ok())
        .ok_or(Malformed("number out of range"))
}

/// What an explicit tag `[n]` holds: one `AlgorithmIdentifier`.
fn explicit_algorithm<'a>(
    reader: &mut Reader<'a>,
    n: u8,
) -> Result<Option<AlgorithmIdentifier<'a>>, Malformed> {
    let Some(wrapper) = reader.optional(tag::constructed(n))? else {
        return Ok(None);
    };
    AlgorithmIdentifier::parse(wrapper.body).map(Some)
}

/// The initialisation vector of a CBC cipher: an OCTET STRING (RFC 3565 §4.1, RFC 3370 §5.1).
pub fn iv<'a>(algorithm: &AlgorithmIdentifier<'a>) -> Result<&'a [u8], Malformed> {
    let tlv = element(algorithm)?;
    if tlv.tag == tag::OCTET_STRING {
        Ok(tlv.body)
    } else {
        Err(Malformed("initialisation vector is no octet string"))
    }
}

/// Nonce and length of the tag in bytes, of GCM or CCM (RFC 5084 §3). The length is 12 where absent;
/// whether it is allowed is not judged here.
pub fn gcm_parameters<'a>(
    algorithm: &AlgorithmIdentifier<'a>,
) -> Result<(&'a [u8], usize), Malformed> {
    let mut reader = sequence(algorithm)?;
    let nonce = reader
        .require(tag::OCTET_STRING, "AEAD parameters without a nonce")?
        .body;
    let icv_len = reader
        .optional(tag::INTEGER)?
        .map_or(Ok(12), |tlv| number(&tlv))?;
    reader.finish("AEAD parameters with something more")?;
    Ok((nonce, icv_len))
}

/// Effective key bits and initialisation vector of RC2 in CBC mode (RFC 2268 §6). A bare
/// initialisation vector means 32 bits.
pub fn rc2_cbc_parameters<'a>(
    algorithm: &AlgorithmIdentifier<'a>,
) -> Result<(u32, &'a [u8]), Malformed> {
    let tlv = element(algorithm)?;
    if tlv.tag == tag::OCTET_STRING {
        return Ok((32, tlv.body));
    }
    let mut reader = sequence(algorithm)?;
    let version = reader
        .optional(tag::INTEGER)?
        .map(|tlv| number(&tlv))
        .transpose()?;
    let bits = version.map_or(Ok(32), rc2_bits)?;
    let iv = reader
        .require(
            tag::OCTET_STRING,
            "RC2 parameters without an initialisation vector",
        )?
        .body;
    reader.finish("RC2 parameters with something more")?;
    Ok((bits, iv))
}

/// Effective key bits of an RC2 key wrap (RFC 3370 §4.3.2): an INTEGER in the encoding of
/// [`rc2_cbc_parameters`].
pub fn rc2_wrap_bits(algorithm: &AlgorithmIdentifier<'_>) -> Result<u32, Malformed> {
    let tlv = element(algorithm)?;
    if tlv.tag != tag::INTEGER {
        return Err(Malformed("RC2 key wrap without its version"));
    }
    rc2_bits(number(&tlv)?)
}

/// RFC 2268 §6.
fn rc2_bits(version: usize) -> Result<u32, Malformed> {
    match version {
        160 => Ok(40),
        120 => Ok(64),
        58 => Ok(128),
        256..=1024 => Ok(u32::try_from(version).unwrap_or(1024)),
        _ => Err(Malformed("unknown RC2 parameter version")),
    }
}

/// Key bits and initialisation vector of CAST-128 in CBC mode (RFC 2984 §4). An absent
/// initialisation vector is all zero.
pub fn cast5_cbc_parameters<'a>(
    algorithm: &AlgorithmIdentifier<'a>,
) -> Result<(usize, &'a [u8]), Malformed> {
    let mut reader = sequence(algorithm)?;
    let iv = reader
        .optional(tag::OCTET_STRING)?
        .map_or(&[0; 8][..], |iv| iv.body);
    let bits = reader.require(tag::INTEGER, "CAST-128 parameters without a key length")?;
    reader.finish("CAST-128 parameters with something more")?;
    Ok((number(&bits)?, iv))
}

/// Parameters of RSAES-OAEP (RFC 4055 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OaepParameters<'a> {
    /// The hash; SHA-1 where absent.
    pub digest: Oid<'a>,
    /// The hash inside MGF1; SHA-1 where absent.
    pub mgf1_digest: Oid<'a>,
    /// The label; empty where absent.
    pub label: &'a [u8],
}

/// Reads the parameters of RSAES-OAEP, which have to be there (RFC 4055 §4.1).
pub fn oaep_parameters<'a>(
    algorithm: &AlgorithmIdentifier<'a>,
) -> Result<OaepParameters<'a>, Malformed> {
    let mut reader = sequence(algorithm)?;
    let digest = explicit_algorithm(&mut reader, 0)?.map_or(oid::SHA1, |digest| digest.oid);
    let mgf1_digest = mask_generation(&mut reader)?;
    let label = match explicit_algorithm(&mut reader, 2)? {
        None => &[],
        Some(source) if source.oid == oid::P_SPECIFIED => {
            iv(&source).map_err(|_| Malformed("OAEP label is none"))?
        }
        Some(_) => return Err(Malformed("unknown source of an OAEP label")),
    };
    reader.finish("OAEP parameters with something more")?;
    Ok(OaepParameters {
        digest,
        mgf1_digest,
        label,
    })
}

/// The hash inside `[1]` MGF1.
fn mask_generation<'a>(reader: &mut Reader<'a>) -> Result<Oid<'a>, Malformed> {
    match explicit_algorithm(reader, 1)? {
        None => Ok(oid::SHA1),
        Some(mgf) if mgf.oid == oid::MGF1 => match mgf.parameters {
            None => Ok(oid::SHA1),
            Some(digest) => Ok(AlgorithmIdentifier::parse(digest)?.oid),
        },
        Some(_) => Err(Malformed("unknown mask generation function")),
    }
}

/// Parameters of RSASSA-PSS (RFC 4055 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PssParameters<'a> {
    /// The hash; SHA-1 where absent.
    pub digest: Oid<'a>,
    /// The hash inside MGF1; SHA-1 where absent.
    pub mgf1_digest: Oid<'a>,
    /// Length of the salt in bytes; 20 where absent.
    pub salt_len: usize,
}

/// Reads the parameters of RSASSA-PSS, which have to be there in a signature (RFC 4055 §3.1).
pub fn pss_parameters<'a>(
    algorithm: &AlgorithmIdentifier<'a>,
) -> Result<PssParameters<'a>, Malformed> {
    let mut reader = sequence(algorithm)?;
    let digest = explicit_algorithm(&mut reader, 0)?.map_or(oid::SHA1, |digest| digest.oid);
    let mgf1_digest = mask_generation(&mut reader)?;
    let mut explicit_number = |n, default| match reader.optional(tag::constructed(n))? {
        None => Ok(default),
        Some(wrapper) => match Tlv::only(wrapper.body)? {
            inner if inner.tag == tag::INTEGER => number(&inner),
            _ => Err(Malformed("PSS parameter is no number")),
        },
    };
    let salt_len = explicit_number(2, 20)?;
    if explicit_number(3, 1)? != 1 {
        return Err(Malformed("unknown PSS trailer"));
    }
    reader.finish("PSS parameters with something more")?;
    Ok(PssParameters {
        digest,
        mgf1_digest,
        salt_len,
    })
}

/// Parameters of PBKDF2 (RFC 8018 §A.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pbkdf2Parameters<'a> {
    /// The salt.
    pub salt: &'a [u8],
    /// Rounds: hostile until capped.
    pub iterations: u64,
    /// Length of the derived key in bytes, where said.
    pub key_len: Option<usize>,
    /// The HMAC; HMAC-SHA-1 where absent.
    pub prf: Oid<'a>,
}

/// Reads the parameters of PBKDF2.
pub fn pbkdf2_parameters<'a>(
    algorithm: &AlgorithmIdentifier<'a>,
) -> Result<Pbkdf2Parameters<'a>, Malformed> {
    let mut reader = sequence(algorithm)?;
    let (salt, iterations) = salt_and_iterations(&mut reader)?;
    let key_len = reader
        .optional(tag::INTEGER)?
        .map(|tlv| number(&tlv))
        .transpose()?;
    let prf = if reader.is_empty() {
        oid::HMAC_SHA1
    } else {
        AlgorithmIdentifier::read(&mut reader)?.oid
    };
    reader.finish("PBKDF2 parameters with something more")?;
    Ok(Pbkdf2Parameters {
        salt,
        iterations,
        key_len,
        prf,
    })
}

/// Salt and rounds of PKCS #12's and PKCS #5's older schemes (RFC 7292 §C, RFC 8018 §A.3).
pub fn pbe_parameters<'a>(
    algorithm: &AlgorithmIdentifier<'a>,
) -> Result<(&'a [u8], u64), Malformed> {
    let mut reader = sequence(algorithm)?;
    let parameters = salt_and_iterations(&mut reader)?;
    reader.finish("PBE parameters with something more")?;
    Ok(parameters)
}

fn salt_and_iterations<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], u64), Malformed> {
    let salt = reader
        .require(tag::OCTET_STRING, "key derivation without a salt")?
        .body;
    let iterations = reader.require(tag::INTEGER, "key derivation without a number of rounds")?;
    Ok((
        salt,
        iterations
            .unsigned()
            .ok_or(Malformed("number out of range"))?,
    ))
}

/// Key derivation and cipher of PBES2 (RFC 8018 §A.4).
pub fn pbes2_parameters<'a>(
    algorithm: &AlgorithmIdentifier<'a>,
) -> Result<(AlgorithmIdentifier<'a>, AlgorithmIdentifier<'a>), Malformed> {
    let mut reader = sequence(algorithm)?;
    let parameters = (
        AlgorithmIdentifier::read(&mut reader)?,
        AlgorithmIdentifier::read(&mut reader)?,
    );
    reader.finish("PBES2 parameters with something more")?;
    Ok(parameters)
}

/// The algorithm inside another's parameters: the key wrap of a key agreement (RFC 5753 §7.1.4), the
/// cipher of PWRI-KEK (RFC 3211 §2.3.1).
pub fn inner_algorithm<'a>(
    algorithm: &AlgorithmIdentifier<'a>,
) -> Result<AlgorithmIdentifier<'a>, Malformed> {
    AlgorithmIdentifier::parse(
        algorithm
            .parameters
            .ok_or(Malformed("algorithm without its parameters"))?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::der;

    fn with<'a>(oid: Oid<'a>, parameters: &'a [u8]) -> AlgorithmIdentifier<'a> {
        AlgorithmIdentifier {
            oid,
            parameters: Some(parameters),
        }
    }

    #[test]
    fn gcm_tags_are_twelve_bytes_unless_said() {
        let nonce = der::octet_string(&[1; 12]);
        let short = der::sequence(&[&nonce]);
        assert_eq!(
            gcm_parameters(&with(oid::AES256_GCM, &short)),
            Ok((&[1; 12][..], 12))
        );
        let long = der::sequence(&[&nonce, &der::integer(16)]);
        assert_eq!(
            gcm_parameters(&with(oid::AES256_GCM, &long)),
            Ok((&[1; 12][..], 16))
        );
        let more = der::sequence(&[&nonce, &der::integer(16), &der::integer(16)]);
        assert!(gcm_parameters(&with(oid::AES256_GCM, &more)).is_err());
        let negative = der::sequence(&[&nonce, &[2, 1, 0xff]]);
        assert!(gcm_parameters(&with(oid::AES256_GCM, &negative)).is_err());
        assert!(gcm_parameters(&with(oid::AES256_GCM, &[5, 0])).is_err());
        assert!(
            gcm_parameters(&AlgorithmIdentifier {
                oid: oid::AES256_GCM,
                parameters: None
            })
            .is_err()
        );
    }

    #[test]
    fn rc2_versions_become_bits() {
        let iv = der::octet_string(&[3; 8]);
        for (version, bits) in [
            (160, Some(40)),
            (120, Some(64)),
            (58, Some(128)),
            (256, Some(256)),
            (128, None),
        ] {
            let parameters = der::sequence(&[&der::integer(version), &iv]);
            assert_eq!(
                rc2_cbc_parameters(&with(oid::RC2_CBC, &parameters)).ok(),
                bits.map(|bits| (bits, &[3; 8][..]))
            );
        }
        assert_eq!(
            rc2_cbc_parameters(&with(oid::RC2_CBC, &iv)),
            Ok((32, &[3; 8][..]))
        );
    }

    #[test]
    fn oaep_and_pss_have_defaults_and_explicit_values() {
        let oaep = oaep_parameters(&with(oid::RSAES_OAEP, &[0x30, 0])).unwrap();
        assert_eq!(
            (oaep.digest, oaep.mgf1_digest, oaep.label),
            (oid::SHA1, oid::SHA1, &[][..])
        );
        assert!(oaep_parameters(&with(oid::RSAES_OAEP, &[5, 0])).is_err());

        let sha256 = der::algorithm(oid::SHA256, Some(&[5, 0]));
        let mgf = der::algorithm(oid::MGF1, Some(&sha256));
        let label = der::algorithm(oid::P_SPECIFIED, Some(&der::octet_string(b"label")));
        let tagged = |n, body: &[u8]| der::element(tag::constructed(n), &[body]);
        let all = der::sequence(&[&tagged(0, &sha256), &tagged(1, &mgf), &tagged(2, &label)]);
        let oaep = oaep_parameters(&with(oid::RSAES_OAEP, &all)).unwrap();
        assert_eq!(
            (oaep.digest, oaep.mgf1_digest, oaep.label),
            (oid::SHA256, oid::SHA256, &b"label"[..])
        );

        let pss = der::sequence(&[
            &tagged(0, &sha256),
            &tagged(1, &mgf),
            &tagged(2, &der::integer(32)),
        ]);
        let pss = pss_parameters(&with(oid::RSASSA_PSS, &pss)).unwrap();
        assert_eq!(
            (pss.digest, pss.mgf1_digest, pss.salt_len),
            (oid::SHA256, oid::SHA256, 32)
        );
        let trailer = der::sequence(&[&tagged(3, &der::integer(2))]);
        assert!(pss_parameters(&with(oid::RSASSA_PSS, &trailer)).is_err());
        assert_eq!(
            pss_parameters(&with(oid::RSASSA_PSS, &[0x30, 0]))
                .unwrap()
                .salt_len,
            20
        );
    }

    #[test]
    fn pbkdf2_has_a_default_prf() {
        let salt = der::octet_string(b"salt");
        let short = der::sequence(&[&salt, &der::integer(2048)]);
        let parsed = pbkdf2_parameters(&with(oid::PBKDF2, &short)).unwrap();
        assert_eq!(
            (parsed.salt, parsed.iterations, parsed.key_len, parsed.prf),
            (&b"salt"[..], 2048, None, oid::HMAC_SHA1)
        );
        let prf = der::algorithm(oid::HMAC_SHA256, Some(&[5, 0]));
        let long = der::sequence(&[&salt, &der::integer(1), &der::integer(32), &prf]);
        let parsed = pbkdf2_parameters(&with(oid::PBKDF2, &long)).unwrap();
        assert_eq!((parsed.key_len, parsed.prf), (Some(32), oid::HMAC_SHA256));
    }
}
