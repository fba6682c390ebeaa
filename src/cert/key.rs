//! A certificate's key and signature algorithm by name, and which keys are too big to be used.

use openssl::bn::{BigNum, BigNumContext};
use openssl::error::ErrorStack;

use super::der::{Reader, dotted};
use crate::cms::der;

/// Larger RSA moduli cost more than a message may (OpenSSL's own bound as well).
const MAX_RSA_BITS: usize = 16_384;
/// FIPS 186-4 ends at 3,072 bits. A signature costs what two do of RSA with a secret exponent, and
/// OpenSSL would take 10,000.
const MAX_DSA_BITS: usize = 4_096;
/// FIPS 186-4 §4.2.
const MAX_DSA_ORDER_BITS: i32 = 256;
/// Exponents beyond this make verifying as dear as signing; real ones are 17 or 25 bits.
const MAX_EXPONENT_BITS: usize = 64;

/// A public key as its `SubjectPublicKeyInfo` describes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeyInfo {
    /// Such as `rsa-2048`, `ec-p256`; dotted OID where unknown.
    pub(super) name: String,
    /// Whether its size is one that p7mill computes with.
    pub(super) acceptable: bool,
}

/// Reads a `SubjectPublicKeyInfo` (its body).
pub(super) fn describe(spki: &[u8]) -> Option<KeyInfo> {
    let mut fields = Reader::new(spki);
    let mut algorithm = Reader::new(fields.expect(0x30)?.body);
    let oid = dotted(algorithm.expect(6)?.body);
    let key = fields.expect(3)?.body.get(1..)?;
    Some(match oid.as_str() {
        "1.2.840.113549.1.1.1" => rsa("rsa", key)?,
        "1.2.840.113549.1.1.7" => rsa("rsa-oaep", key)?,
        "1.2.840.113549.1.1.10" => rsa("rsa-pss", key)?,
        "1.2.840.10045.2.1" => match algorithm.peek() {
            Some(6) => KeyInfo {
                name: curve(&dotted(algorithm.next()?.body)),
                acceptable: true,
            },
            // RFC 5480 §2.1.1 forbids parameters spelled out; they let a forger choose the curve.
            _ => KeyInfo {
                name: "ec-explicit".to_owned(),
                acceptable: false,
            },
        },
        "1.2.840.10040.4.1" => {
            let bits = algorithm
                .optional(0x30)
                .and_then(|parameters| Reader::new(parameters.body).expect(2))
                .map_or(0, |p| bit_length(p.body));
            KeyInfo {
                // Parameters inherited from the issuer (RFC 3279 §2.3.2): the size is not said here,
                // and nothing can be computed until they are found.
                name: if bits == 0 {
                    "dsa".to_owned()
                } else {
                    format!("dsa-{bits}")
                },
                acceptable: bits > 0 && bits <= MAX_DSA_BITS,
            }
        }
        "1.3.101.110" => KeyInfo {
            name: "x25519".to_owned(),
            acceptable: true,
        },
        "1.3.101.111" => KeyInfo {
            name: "x448".to_owned(),
            acceptable: true,
        },
        "1.3.101.112" => KeyInfo {
            name: "ed25519".to_owned(),
            acceptable: true,
        },
        "1.3.101.113" => KeyInfo {
            name: "ed448".to_owned(),
            acceptable: true,
        },
        _ => KeyInfo {
            name: post_quantum(&oid).map_or(oid, str::to_owned),
            acceptable: true,
        },
    })
}

/// A DSA `SubjectPublicKeyInfo` without parameters (its body), put together anew with those of
/// another one. The parameters have to be such that they could be honest: `q` divides `p - 1`, and
/// `g` is of order `q`.
pub(super) fn with_parameters_of(own: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    const DSA: &str = "1.2.840.10040.4.1";
    let mut fields = Reader::new(own);
    let algorithm = Reader::new(fields.expect(0x30)?.body).expect(6)?;
    let key = fields.expect(3)?;
    let mut theirs = Reader::new(Reader::new(other).expect(0x30)?.body);
    let (oid, parameters) = (theirs.expect(6)?, theirs.expect(0x30)?);
    if dotted(algorithm.body) != DSA || dotted(oid.body) != DSA || !is_group(parameters.body)? {
        return None;
    }
    let algorithm = der::sequence(&[algorithm.raw, parameters.raw]);
    Some(der::sequence(&[&algorithm, key.raw]))
}

/// FIPS 186-4 §4.1, but for p and q being prime.
fn is_group(parameters: &[u8]) -> Option<bool> {
    let mut numbers = Reader::new(parameters);
    let mut number = || BigNum::from_slice(numbers.expect(2)?.body).ok();
    let (p, q, g) = (number()?, number()?, number()?);
    let order = 160..=MAX_DSA_ORDER_BITS;
    if p.num_bits() > i32::try_from(MAX_DSA_BITS).ok()? || !order.contains(&q.num_bits()) || g >= p
    {
        return Some(false);
    }
    let check = || -> Result<bool, ErrorStack> {
        let mut context = BigNumContext::new()?;
        let (one, mut less, mut rest, mut power) = (
            BigNum::from_u32(1)?,
            BigNum::new()?,
            BigNum::new()?,
            BigNum::new()?,
        );
        less.checked_sub(&p, &one)?;
        rest.nnmod(&less, &q, &mut context)?;
        power.mod_exp(&g, &q, &p, &mut context)?;
        Ok(g > one && rest.num_bits() == 0 && power == one)
    };
    Some(check().unwrap_or(false))
}

/// ML-DSA and SLH-DSA (RFC 9881, RFC 9909), by dotted OID.
fn post_quantum(oid: &str) -> Option<&'static str> {
    const NAMES: [&str; 15] = [
        "ml-dsa-44",
        "ml-dsa-65",
        "ml-dsa-87",
        "slh-dsa-sha2-128s",
        "slh-dsa-sha2-128f",
        "slh-dsa-sha2-192s",
        "slh-dsa-sha2-192f",
        "slh-dsa-sha2-256s",
        "slh-dsa-sha2-256f",
        "slh-dsa-shake-128s",
        "slh-dsa-shake-128f",
        "slh-dsa-shake-192s",
        "slh-dsa-shake-192f",
        "slh-dsa-shake-256s",
        "slh-dsa-shake-256f",
    ];
    let arc: usize = oid.strip_prefix("2.16.840.1.101.3.4.3.")?.parse().ok()?;
    NAMES.get(arc.checked_sub(17)?).copied()
}

fn rsa(kind: &str, key: &[u8]) -> Option<KeyInfo> {
    let mut numbers = Reader::new(Reader::new(key).expect(0x30)?.body);
    let modulus = bit_length(numbers.expect(2)?.body);
    let exponent = bit_length(numbers.expect(2)?.body);
    let acceptable = modulus <= MAX_RSA_BITS && exponent <= MAX_EXPONENT_BITS;
    Some(KeyInfo {
        name: format!("{kind}-{modulus}"),
        acceptable,
    })
}

fn bit_length(integer: &[u8]) -> usize {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    let significant = integer.get(zeros..).unwrap_or_default();
    significant.first().map_or(0, |top| {
        significant.len() * 8 - top.leading_zeros() as usize
    })
}

fn curve(oid: &str) -> String {
    let name = match oid {
        "1.2.840.10045.3.1.1" => "p192",
        "1.3.132.0.33" => "p224",
        "1.2.840.10045.3.1.7" => "p256",
        "1.3.132.0.34" => "p384",
        "1.3.132.0.35" => "p521",
        "1.3.132.0.10" => "secp256k1",
        "1.3.36.3.3.2.8.1.1.7" => "brainpool256",
        "1.3.36.3.3.2.8.1.1.11" => "brainpool384",
        "1.3.36.3.3.2.8.1.1.13" => "brainpool512",
        other => other,
    };
    format!("ec-{name}")
}

/// A certificate's signature algorithm (the body of its `AlgorithmIdentifier`), such as
/// `sha256-rsa`; dotted OID where unknown.
pub(super) fn signature_name(algorithm: &[u8]) -> Option<String> {
    let mut fields = Reader::new(algorithm);
    let oid = dotted(fields.expect(6)?.body);
    let known = match oid.as_str() {
        "1.2.840.113549.1.1.2" => "md2-rsa",
        "1.2.840.113549.1.1.3" => "md4-rsa",
        "1.2.840.113549.1.1.4" => "md5-rsa",
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => "sha1-rsa",
        "1.2.840.113549.1.1.11" => "sha256-rsa",
        "1.2.840.113549.1.1.12" => "sha384-rsa",
        "1.2.840.113549.1.1.13" => "sha512-rsa",
        "1.2.840.113549.1.1.14" => "sha224-rsa",
        "1.3.36.3.3.1.2" => "ripemd160-rsa",
        "1.2.840.113549.1.1.10" => return Some(format!("{}-rsa-pss", pss_digest(fields))),
        "1.2.840.10045.4.1" => "sha1-ecdsa",
        "1.2.840.10045.4.3.1" => "sha224-ecdsa",
        "1.2.840.10045.4.3.2" => "sha256-ecdsa",
        "1.2.840.10045.4.3.3" => "sha384-ecdsa",
        "1.2.840.10045.4.3.4" => "sha512-ecdsa",
        "1.2.840.10040.4.3" => "sha1-dsa",
        "2.16.840.1.101.3.4.3.1" => "sha224-dsa",
        "2.16.840.1.101.3.4.3.2" => "sha256-dsa",
        "1.3.101.112" => "ed25519",
        "1.3.101.113" => "ed448",
        other => post_quantum(other).unwrap_or(other),
    };
    Some(known.to_owned())
}

/// The digest of RSASSA-PSS-params (RFC 8017 §A.2.3); SHA-1 where none is named.
fn pss_digest(mut fields: Reader<'_>) -> &'static str {
    let named = fields
        .optional(0x30)
        .and_then(|parameters| Reader::new(parameters.body).expect(0xa0))
        .and_then(|explicit| Reader::new(explicit.body).expect(0x30))
        .and_then(|algorithm| Reader::new(algorithm.body).expect(6));
    match named.map(|oid| oid.body) {
        None | Some([0x2b, 0x0e, 3, 2, 0x1a]) => "sha1",
        Some([0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, which]) => match which {
            1 => "sha256",
            2 => "sha384",
            3 => "sha512",
            4 => "sha224",
            _ => "unknown",
        },
        Some(_) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, pieces: &[&[u8]]) -> Vec<u8> {
        let body = pieces.concat();
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[tag, 0x82][..], &length, &body].concat()
    }

    #[test]
    fn dsa_ends_where_it_gets_dear() {
        const DSA: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x38\x04\x01";
        for (bytes, acceptable) in [(128, true), (512, true), (513, false), (1_248, false)] {
            let p = tlv(2, &[&[0], &vec![0xff; bytes]]);
            let algorithm = tlv(0x30, &[DSA, &tlv(0x30, &[&p])]);
            let key = describe(&[&algorithm[..], b"\x03\x02\x00\x01"].concat()).unwrap();
            assert_eq!(key.name, format!("dsa-{}", bytes * 8));
            assert_eq!(key.acceptable, acceptable, "{}", key.name);
        }
    }
}
