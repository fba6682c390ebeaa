//! Object identifiers, and the words that reports use for them: one table.

use std::fmt;

use super::ber::{Malformed, Reader, Tlv, tag};

/// An object identifier's body octets (X.690 §8.19). `Display` gives the dotted form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid<'a>(pub &'a [u8]);

impl<'a> Oid<'a> {
    /// Reads an OBJECT IDENTIFIER element.
    pub fn from_tlv(tlv: &Tlv<'a>) -> Result<Self, Malformed> {
        match tlv.body.last() {
            Some(last) if tlv.tag == tag::OID && last & 0x80 == 0 => Ok(Self(tlv.body)),
            _ => Err(Malformed("no object identifier where one belongs")),
        }
    }

    /// The next element of `reader`, which has to be an OBJECT IDENTIFIER.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Self::from_tlv(&reader.require(tag::OID, "no object identifier where one belongs")?)
    }

    /// The word for it, else its dotted form.
    pub fn label(self) -> String {
        name(self).map_or_else(|| self.to_string(), str::to_owned)
    }

    /// The same object identifier out of the table, where it is in there.
    pub fn known(self) -> Option<Oid<'static>> {
        NAMES
            .iter()
            .map(|&(oid, _)| oid)
            .find(|oid| oid.0 == self.0)
    }
}

impl fmt::Display for Oid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut arc = Some(0_u64);
        let mut first = true;
        for octet in self.0 {
            arc = arc
                .and_then(|arc| arc.checked_mul(128))
                .map(|arc| arc | u64::from(octet & 0x7f));
            if octet & 0x80 != 0 {
                continue;
            }
            match arc {
                Some(value) if first => {
                    let root = (value / 40).min(2);
                    write!(f, "{root}.{}", value - root * 40)?;
                }
                Some(value) => write!(f, ".{value}")?,
                // Over 64 bits (UUIDs below 2.25): there is no need to tell which.
                None => f.write_str(if first { "2.?" } else { ".?" })?,
            }
            first = false;
            arc = Some(0);
        }
        Ok(())
    }
}

/// An algorithm and its parameters (RFC 5280 §4.1.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlgorithmIdentifier<'a> {
    /// Which algorithm.
    pub oid: Oid<'a>,
    /// The parameters' whole element, `NULL` included.
    pub parameters: Option<&'a [u8]>,
}

impl<'a> AlgorithmIdentifier<'a> {
    /// Reads the one element that `bytes` are.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let tlv = Tlv::only(bytes)?;
        if tlv.tag != tag::SEQUENCE {
            return Err(Malformed("no algorithm where one belongs"));
        }
        Self::from_body(tlv.body)
    }

    /// The next element of `reader`.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Self::from_body(
            reader
                .require(tag::SEQUENCE, "no algorithm where one belongs")?
                .body,
        )
    }

    /// Reads the body of the SEQUENCE, which may be tagged otherwise.
    pub(super) fn from_body(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let oid = Oid::read(&mut reader)?;
        let parameters = if reader.is_empty() {
            None
        } else {
            Some(reader.read()?.raw)
        };
        reader.finish("algorithm with more than parameters")?;
        Ok(Self { oid, parameters })
    }
}

/// The word that reports use for an object identifier, where it has one.
pub fn name(oid: Oid<'_>) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(known, _)| known.0 == oid.0)
        .map(|&(_, name)| name)
}

/// How many octets an arc takes.
const fn arc_len(mut value: u32) -> usize {
    let mut len = 1;
    while value >= 128 {
        value >>= 7;
        len += 1;
    }
    len
}

/// The body octets of a dotted object identifier, and how many there are. Runs in the compiler
/// only: a slip in the table is a build error.
const fn encode(dotted: &str) -> ([u8; 32], usize) {
    let text = dotted.as_bytes();
    let (mut out, mut len) = ([0; 32], 0);
    let (mut value, mut root, mut arc, mut at) = (0_u32, 0, 0, 0);
    while at <= text.len() {
        if at < text.len() && text[at] != b'.' {
            assert!(text[at].is_ascii_digit(), "an arc is a number");
            value = value * 10 + (text[at] - b'0') as u32;
        } else if arc == 0 {
            root = value;
            value = 0;
            arc += 1;
        } else {
            if arc == 1 {
                // The first two arcs share their octets.
                value += root * 40;
            }
            let mut left = arc_len(value);
            while left > 0 {
                left -= 1;
                out[len] =
                    (value >> (7 * left)).to_le_bytes()[0] & 0x7f | if left > 0 { 0x80 } else { 0 };
                len += 1;
            }
            value = 0;
            arc += 1;
        }
        at += 1;
    }
    (out, len)
}

/// The part of `encoded` that is used.
const fn used(encoded: &([u8; 32], usize)) -> &[u8] {
    encoded.0.split_at(encoded.1).0
}

/// Declares a constant for each object identifier, and the table of names.
macro_rules! oids {
    ($($ident:ident = $name:literal, $dotted:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`: ", $dotted)]
            pub const $ident: Oid<'static> = {
                const ENCODED: ([u8; 32], usize) = encode($dotted);
                Oid(used(&ENCODED))
            };
        )+

        /// Every object identifier that has a name.
        static NAMES: &[(Oid<'static>, &str)] = &[$(($ident, $name)),+];
    };
}

oids! {
    // Content types: RFC 5652, RFC 5083, RFC 3274, RFC 2634, RFC 3161.
    DATA = "data", "1.2.840.113549.1.7.1";
    SIGNED_DATA = "signed-data", "1.2.840.113549.1.7.2";
    ENVELOPED_DATA = "enveloped-data", "1.2.840.113549.1.7.3";
    SIGNED_AND_ENVELOPED_DATA = "signed-and-enveloped-data", "1.2.840.113549.1.7.4";
    DIGESTED_DATA = "digested-data", "1.2.840.113549.1.7.5";
    ENCRYPTED_DATA = "encrypted-data", "1.2.840.113549.1.7.6";
    RECEIPT = "receipt", "1.2.840.113549.1.9.16.1.1";
    AUTHENTICATED_DATA = "authenticated-data", "1.2.840.113549.1.9.16.1.2";
    TST_INFO = "tst-info", "1.2.840.113549.1.9.16.1.4";
    CONTENT_INFO = "content-info", "1.2.840.113549.1.9.16.1.6";
    COMPRESSED_DATA = "compressed-data", "1.2.840.113549.1.9.16.1.9";
    AUTH_ENVELOPED_DATA = "auth-enveloped-data", "1.2.840.113549.1.9.16.1.23";
    SPC_INDIRECT_DATA = "spc-indirect-data", "1.3.6.1.4.1.311.2.1.4";

    // Digests.
    MD2 = "md2", "1.2.840.113549.2.2";
    MD4 = "md4", "1.2.840.113549.2.4";
    MD5 = "md5", "1.2.840.113549.2.5";
    SHA1 = "sha1", "1.3.14.3.2.26";
    RIPEMD160 = "ripemd160", "1.3.36.3.2.1";
    SHA256 = "sha256", "2.16.840.1.101.3.4.2.1";
    SHA384 = "sha384", "2.16.840.1.101.3.4.2.2";
    SHA512 = "sha512", "2.16.840.1.101.3.4.2.3";
    SHA224 = "sha224", "2.16.840.1.101.3.4.2.4";
    SHA512_224 = "sha512-224", "2.16.840.1.101.3.4.2.5";
    SHA512_256 = "sha512-256", "2.16.840.1.101.3.4.2.6";
    SHA3_224 = "sha3-224", "2.16.840.1.101.3.4.2.7";
    SHA3_256 = "sha3-256", "2.16.840.1.101.3.4.2.8";
    SHA3_384 = "sha3-384", "2.16.840.1.101.3.4.2.9";
    SHA3_512 = "sha3-512", "2.16.840.1.101.3.4.2.10";
    SHAKE128 = "shake128", "2.16.840.1.101.3.4.2.11";
    SHAKE256 = "shake256", "2.16.840.1.101.3.4.2.12";
    SHAKE256_LEN = "shake256-len", "2.16.840.1.101.3.4.2.18";
    GOST_R3411_94 = "gost-r3411-94", "1.2.643.2.2.9";
    STREEBOG_256 = "streebog-256", "1.2.643.7.1.1.2.2";
    STREEBOG_512 = "streebog-512", "1.2.643.7.1.1.2.3";
    SM3 = "sm3", "1.2.156.10197.1.401";

    // Signatures, and keys: RFC 3279, RFC 4055, RFC 5758, RFC 8419, RFC 9882, RFC 9814.
    RSA_ENCRYPTION = "rsa-pkcs1", "1.2.840.113549.1.1.1";
    MD2_WITH_RSA = "md2-rsa", "1.2.840.113549.1.1.2";
    MD4_WITH_RSA = "md4-rsa", "1.2.840.113549.1.1.3";
    MD5_WITH_RSA = "md5-rsa", "1.2.840.113549.1.1.4";
    SHA1_WITH_RSA = "sha1-rsa", "1.2.840.113549.1.1.5";
    SHA1_WITH_RSA_OIW = "sha1-rsa-oiw", "1.3.14.3.2.29";
    RSAES_OAEP = "rsa-oaep", "1.2.840.113549.1.1.7";
    MGF1 = "mgf1", "1.2.840.113549.1.1.8";
    P_SPECIFIED = "p-specified", "1.2.840.113549.1.1.9";
    RSASSA_PSS = "rsa-pss", "1.2.840.113549.1.1.10";
    SHA256_WITH_RSA = "sha256-rsa", "1.2.840.113549.1.1.11";
    SHA384_WITH_RSA = "sha384-rsa", "1.2.840.113549.1.1.12";
    SHA512_WITH_RSA = "sha512-rsa", "1.2.840.113549.1.1.13";
    SHA224_WITH_RSA = "sha224-rsa", "1.2.840.113549.1.1.14";
    SHA512_224_WITH_RSA = "sha512-224-rsa", "1.2.840.113549.1.1.15";
    SHA512_256_WITH_RSA = "sha512-256-rsa", "1.2.840.113549.1.1.16";
    SHA3_224_WITH_RSA = "sha3-224-rsa", "2.16.840.1.101.3.4.3.13";
    SHA3_256_WITH_RSA = "sha3-256-rsa", "2.16.840.1.101.3.4.3.14";
    SHA3_384_WITH_RSA = "sha3-384-rsa", "2.16.840.1.101.3.4.3.15";
    SHA3_512_WITH_RSA = "sha3-512-rsa", "2.16.840.1.101.3.4.3.16";
    RIPEMD160_WITH_RSA = "ripemd160-rsa", "1.3.36.3.3.1.2";
    DSA = "dsa", "1.2.840.10040.4.1";
    DSA_WITH_SHA1 = "dsa-sha1", "1.2.840.10040.4.3";
    DSA_WITH_SHA1_OIW = "dsa-sha1-oiw", "1.3.14.3.2.27";
    DSA_WITH_SHA224 = "dsa-sha224", "2.16.840.1.101.3.4.3.1";
    DSA_WITH_SHA256 = "dsa-sha256", "2.16.840.1.101.3.4.3.2";
    DSA_WITH_SHA384 = "dsa-sha384", "2.16.840.1.101.3.4.3.3";
    DSA_WITH_SHA512 = "dsa-sha512", "2.16.840.1.101.3.4.3.4";
    EC_PUBLIC_KEY = "ec", "1.2.840.10045.2.1";
    ECDSA_WITH_SHA1 = "ecdsa-sha1", "1.2.840.10045.4.1";
    ECDSA_WITH_SHA224 = "ecdsa-sha224", "1.2.840.10045.4.3.1";
    ECDSA_WITH_SHA256 = "ecdsa-sha256", "1.2.840.10045.4.3.2";
    ECDSA_WITH_SHA384 = "ecdsa-sha384", "1.2.840.10045.4.3.3";
    ECDSA_WITH_SHA512 = "ecdsa-sha512", "1.2.840.10045.4.3.4";
    ECDSA_WITH_SHA3_224 = "ecdsa-sha3-224", "2.16.840.1.101.3.4.3.9";
    ECDSA_WITH_SHA3_256 = "ecdsa-sha3-256", "2.16.840.1.101.3.4.3.10";
    ECDSA_WITH_SHA3_384 = "ecdsa-sha3-384", "2.16.840.1.101.3.4.3.11";
    ECDSA_WITH_SHA3_512 = "ecdsa-sha3-512", "2.16.840.1.101.3.4.3.12";
    ECDSA_WITH_SHAKE128 = "ecdsa-shake128", "1.3.6.1.5.5.7.6.32";
    ECDSA_WITH_SHAKE256 = "ecdsa-shake256", "1.3.6.1.5.5.7.6.33";
    ECDSA_PLAIN_SHA1 = "ecdsa-plain-sha1", "0.4.0.127.0.7.1.1.4.1.1";
    ECDSA_PLAIN_SHA224 = "ecdsa-plain-sha224", "0.4.0.127.0.7.1.1.4.1.2";
    ECDSA_PLAIN_SHA256 = "ecdsa-plain-sha256", "0.4.0.127.0.7.1.1.4.1.3";
    ECDSA_PLAIN_SHA384 = "ecdsa-plain-sha384", "0.4.0.127.0.7.1.1.4.1.4";
    ECDSA_PLAIN_SHA512 = "ecdsa-plain-sha512", "0.4.0.127.0.7.1.1.4.1.5";
    X25519 = "x25519", "1.3.101.110";
    X448 = "x448", "1.3.101.111";
    ED25519 = "ed25519", "1.3.101.112";
    ED448 = "ed448", "1.3.101.113";
    ML_DSA_44 = "ml-dsa-44", "2.16.840.1.101.3.4.3.17";
    ML_DSA_65 = "ml-dsa-65", "2.16.840.1.101.3.4.3.18";
    ML_DSA_87 = "ml-dsa-87", "2.16.840.1.101.3.4.3.19";
    SLH_DSA_SHA2_128S = "slh-dsa-sha2-128s", "2.16.840.1.101.3.4.3.20";
    SLH_DSA_SHA2_128F = "slh-dsa-sha2-128f", "2.16.840.1.101.3.4.3.21";
    SLH_DSA_SHA2_192S = "slh-dsa-sha2-192s", "2.16.840.1.101.3.4.3.22";
    SLH_DSA_SHA2_192F = "slh-dsa-sha2-192f", "2.16.840.1.101.3.4.3.23";
    SLH_DSA_SHA2_256S = "slh-dsa-sha2-256s", "2.16.840.1.101.3.4.3.24";
    SLH_DSA_SHA2_256F = "slh-dsa-sha2-256f", "2.16.840.1.101.3.4.3.25";
    SLH_DSA_SHAKE_128S = "slh-dsa-shake-128s", "2.16.840.1.101.3.4.3.26";
    SLH_DSA_SHAKE_128F = "slh-dsa-shake-128f", "2.16.840.1.101.3.4.3.27";
    SLH_DSA_SHAKE_192S = "slh-dsa-shake-192s", "2.16.840.1.101.3.4.3.28";
    SLH_DSA_SHAKE_192F = "slh-dsa-shake-192f", "2.16.840.1.101.3.4.3.29";
    SLH_DSA_SHAKE_256S = "slh-dsa-shake-256s", "2.16.840.1.101.3.4.3.30";
    SLH_DSA_SHAKE_256F = "slh-dsa-shake-256f", "2.16.840.1.101.3.4.3.31";
    ML_KEM_512 = "ml-kem-512", "2.16.840.1.101.3.4.4.1";
    ML_KEM_768 = "ml-kem-768", "2.16.840.1.101.3.4.4.2";
    ML_KEM_1024 = "ml-kem-1024", "2.16.840.1.101.3.4.4.3";
    SM2_SM3 = "sm2-sm3", "1.2.156.10197.1.501";

    // Curves: RFC 5480, RFC 5639.
    SECP192R1 = "p192", "1.2.840.10045.3.1.1";
    SECP224R1 = "p224", "1.3.132.0.33";
    SECP256R1 = "p256", "1.2.840.10045.3.1.7";
    SECP384R1 = "p384", "1.3.132.0.34";
    SECP521R1 = "p521", "1.3.132.0.35";
    SECP256K1 = "secp256k1", "1.3.132.0.10";
    BRAINPOOL_P256R1 = "brainpool-p256", "1.3.36.3.3.2.8.1.1.7";
    BRAINPOOL_P384R1 = "brainpool-p384", "1.3.36.3.3.2.8.1.1.11";
    BRAINPOOL_P512R1 = "brainpool-p512", "1.3.36.3.3.2.8.1.1.13";

    // Key agreement: RFC 5753, RFC 3370, RFC 8418.
    ECDH_STD_SHA1_KDF = "ecdh-sha1", "1.3.133.16.840.63.0.2";
    ECDH_COFACTOR_SHA1_KDF = "ecdh-cofactor-sha1", "1.3.133.16.840.63.0.3";
    ECMQV_SHA1_KDF = "ecmqv-sha1", "1.3.133.16.840.63.0.16";
    ECDH_STD_SHA224_KDF = "ecdh-sha224", "1.3.132.1.11.0";
    ECDH_STD_SHA256_KDF = "ecdh-sha256", "1.3.132.1.11.1";
    ECDH_STD_SHA384_KDF = "ecdh-sha384", "1.3.132.1.11.2";
    ECDH_STD_SHA512_KDF = "ecdh-sha512", "1.3.132.1.11.3";
    ECDH_COFACTOR_SHA224_KDF = "ecdh-cofactor-sha224", "1.3.132.1.14.0";
    ECDH_COFACTOR_SHA256_KDF = "ecdh-cofactor-sha256", "1.3.132.1.14.1";
    ECDH_COFACTOR_SHA384_KDF = "ecdh-cofactor-sha384", "1.3.132.1.14.2";
    ECDH_COFACTOR_SHA512_KDF = "ecdh-cofactor-sha512", "1.3.132.1.14.3";
    ECMQV_SHA224_KDF = "ecmqv-sha224", "1.3.132.1.15.0";
    ECMQV_SHA256_KDF = "ecmqv-sha256", "1.3.132.1.15.1";
    ECMQV_SHA384_KDF = "ecmqv-sha384", "1.3.132.1.15.2";
    ECMQV_SHA512_KDF = "ecmqv-sha512", "1.3.132.1.15.3";
    ECDH_HKDF_SHA256 = "ecdh-hkdf-sha256", "1.2.840.113549.1.9.16.3.19";
    ECDH_HKDF_SHA384 = "ecdh-hkdf-sha384", "1.2.840.113549.1.9.16.3.20";
    ECDH_HKDF_SHA512 = "ecdh-hkdf-sha512", "1.2.840.113549.1.9.16.3.21";
    HKDF_SHA256 = "hkdf-sha256", "1.2.840.113549.1.9.16.3.28";
    HKDF_SHA384 = "hkdf-sha384", "1.2.840.113549.1.9.16.3.29";
    HKDF_SHA512 = "hkdf-sha512", "1.2.840.113549.1.9.16.3.30";
    ESDH = "dh-ephemeral-static", "1.2.840.113549.1.9.16.3.5";
    SSDH = "dh-static-static", "1.2.840.113549.1.9.16.3.10";
    DH_PUBLIC_NUMBER = "dh", "1.2.840.10046.2.1";
    ORI_KEM = "kem", "1.2.840.113549.1.9.16.13.3";
    RSA_KEM = "rsa-kem", "1.0.18033.2.2.4";
    RSA_KEM_KTRI = "rsa-kem-ktri", "1.2.840.113549.1.9.16.3.14";
    KDF3 = "kdf3", "1.3.133.16.840.9.44.1.2";

    // Key wrap: RFC 3565, RFC 5649, RFC 3217, RFC 3211.
    AES128_WRAP = "aes128-wrap", "2.16.840.1.101.3.4.1.5";
    AES192_WRAP = "aes192-wrap", "2.16.840.1.101.3.4.1.25";
    AES256_WRAP = "aes256-wrap", "2.16.840.1.101.3.4.1.45";
    AES128_WRAP_PAD = "aes128-wrap-pad", "2.16.840.1.101.3.4.1.8";
    AES192_WRAP_PAD = "aes192-wrap-pad", "2.16.840.1.101.3.4.1.28";
    AES256_WRAP_PAD = "aes256-wrap-pad", "2.16.840.1.101.3.4.1.48";
    DES_EDE3_WRAP = "des-ede3-wrap", "1.2.840.113549.1.9.16.3.6";
    RC2_WRAP = "rc2-wrap", "1.2.840.113549.1.9.16.3.7";
    PWRI_KEK = "pwri-kek", "1.2.840.113549.1.9.16.3.9";
    CAMELLIA128_WRAP = "camellia128-wrap", "1.2.392.200011.61.1.1.3.2";
    CAMELLIA192_WRAP = "camellia192-wrap", "1.2.392.200011.61.1.1.3.3";
    CAMELLIA256_WRAP = "camellia256-wrap", "1.2.392.200011.61.1.1.3.4";

    // Ciphers: RFC 3565, RFC 5084, RFC 3370, RFC 8103, RFC 3657.
    DES_CBC = "des-cbc", "1.3.14.3.2.7";
    DES_EDE3_CBC = "des-ede3-cbc", "1.2.840.113549.3.7";
    RC2_CBC = "rc2-cbc", "1.2.840.113549.3.2";
    RC4 = "rc4", "1.2.840.113549.3.4";
    RC5_CBC_PAD = "rc5-cbc", "1.2.840.113549.3.9";
    CAST5_CBC = "cast5-cbc", "1.2.840.113533.7.66.10";
    IDEA_CBC = "idea-cbc", "1.3.6.1.4.1.188.7.1.1.2";
    SEED_CBC = "seed-cbc", "1.2.410.200004.1.4";
    AES128_ECB = "aes-128-ecb", "2.16.840.1.101.3.4.1.1";
    AES128_CBC = "aes-128-cbc", "2.16.840.1.101.3.4.1.2";
    AES128_OFB = "aes-128-ofb", "2.16.840.1.101.3.4.1.3";
    AES128_CFB = "aes-128-cfb", "2.16.840.1.101.3.4.1.4";
    AES128_GCM = "aes-128-gcm", "2.16.840.1.101.3.4.1.6";
    AES128_CCM = "aes-128-ccm", "2.16.840.1.101.3.4.1.7";
    AES192_ECB = "aes-192-ecb", "2.16.840.1.101.3.4.1.21";
    AES192_CBC = "aes-192-cbc", "2.16.840.1.101.3.4.1.22";
    AES192_OFB = "aes-192-ofb", "2.16.840.1.101.3.4.1.23";
    AES192_CFB = "aes-192-cfb", "2.16.840.1.101.3.4.1.24";
    AES192_GCM = "aes-192-gcm", "2.16.840.1.101.3.4.1.26";
    AES192_CCM = "aes-192-ccm", "2.16.840.1.101.3.4.1.27";
    AES256_ECB = "aes-256-ecb", "2.16.840.1.101.3.4.1.41";
    AES256_CBC = "aes-256-cbc", "2.16.840.1.101.3.4.1.42";
    AES256_OFB = "aes-256-ofb", "2.16.840.1.101.3.4.1.43";
    AES256_CFB = "aes-256-cfb", "2.16.840.1.101.3.4.1.44";
    AES256_GCM = "aes-256-gcm", "2.16.840.1.101.3.4.1.46";
    AES256_CCM = "aes-256-ccm", "2.16.840.1.101.3.4.1.47";
    CAMELLIA128_CBC = "camellia-128-cbc", "1.2.392.200011.61.1.1.1.2";
    CAMELLIA192_CBC = "camellia-192-cbc", "1.2.392.200011.61.1.1.1.3";
    CAMELLIA256_CBC = "camellia-256-cbc", "1.2.392.200011.61.1.1.1.4";
    CHACHA20_POLY1305 = "chacha20-poly1305", "1.2.840.113549.1.9.16.3.18";
    CEK_HKDF_SHA256 = "cek-hkdf-sha256", "1.2.840.113549.1.9.16.3.31";
    ZLIB = "zlib", "1.2.840.113549.1.9.16.3.8";

    // Password-based: RFC 8018, RFC 7292.
    PBKDF2 = "pbkdf2", "1.2.840.113549.1.5.12";
    PBES2 = "pbes2", "1.2.840.113549.1.5.13";
    PBMAC1 = "pbmac1", "1.2.840.113549.1.5.14";
    SCRYPT = "scrypt", "1.3.6.1.4.1.11591.4.11";
    PBE_MD5_DES = "pbe-md5-des", "1.2.840.113549.1.5.3";
    PBE_SHA1_DES = "pbe-sha1-des", "1.2.840.113549.1.5.10";
    PBE_SHA1_RC4_128 = "pbe-sha1-rc4-128", "1.2.840.113549.1.12.1.1";
    PBE_SHA1_RC4_40 = "pbe-sha1-rc4-40", "1.2.840.113549.1.12.1.2";
    PBE_SHA1_DES_EDE3 = "pbe-sha1-des-ede3", "1.2.840.113549.1.12.1.3";
    PBE_SHA1_DES_EDE2 = "pbe-sha1-des-ede2", "1.2.840.113549.1.12.1.4";
    PBE_SHA1_RC2_128 = "pbe-sha1-rc2-128", "1.2.840.113549.1.12.1.5";
    PBE_SHA1_RC2_40 = "pbe-sha1-rc2-40", "1.2.840.113549.1.12.1.6";
    HMAC_SHA1 = "hmac-sha1", "1.2.840.113549.2.7";
    HMAC_SHA224 = "hmac-sha224", "1.2.840.113549.2.8";
    HMAC_SHA256 = "hmac-sha256", "1.2.840.113549.2.9";
    HMAC_SHA384 = "hmac-sha384", "1.2.840.113549.2.10";
    HMAC_SHA512 = "hmac-sha512", "1.2.840.113549.2.11";
    HMAC_SHA512_224 = "hmac-sha512-224", "1.2.840.113549.2.12";
    HMAC_SHA512_256 = "hmac-sha512-256", "1.2.840.113549.2.13";
    HMAC_SHA3_224 = "hmac-sha3-224", "2.16.840.1.101.3.4.2.13";
    HMAC_SHA3_256 = "hmac-sha3-256", "2.16.840.1.101.3.4.2.14";
    HMAC_SHA3_384 = "hmac-sha3-384", "2.16.840.1.101.3.4.2.15";
    HMAC_SHA3_512 = "hmac-sha3-512", "2.16.840.1.101.3.4.2.16";

    // Attributes: RFC 5652 §11, RFC 8551, RFC 2634, RFC 5035, RFC 6211, RFC 5752, RFC 3161.
    CONTENT_TYPE = "content-type", "1.2.840.113549.1.9.3";
    MESSAGE_DIGEST = "message-digest", "1.2.840.113549.1.9.4";
    SIGNING_TIME = "signing-time", "1.2.840.113549.1.9.5";
    COUNTERSIGNATURE = "countersignature", "1.2.840.113549.1.9.6";
    SMIME_CAPABILITIES = "smime-capabilities", "1.2.840.113549.1.9.15";
    PREFER_SIGNED_DATA = "prefer-signed-data", "1.2.840.113549.1.9.15.1";
    CMS_ALGORITHM_PROTECTION = "cms-algorithm-protection", "1.2.840.113549.1.9.52";
    RECEIPT_REQUEST = "receipt-request", "1.2.840.113549.1.9.16.2.1";
    SECURITY_LABEL = "security-label", "1.2.840.113549.1.9.16.2.2";
    ML_EXPANSION_HISTORY = "ml-expansion-history", "1.2.840.113549.1.9.16.2.3";
    CONTENT_HINTS = "content-hints", "1.2.840.113549.1.9.16.2.4";
    MSG_SIG_DIGEST = "msg-sig-digest", "1.2.840.113549.1.9.16.2.5";
    CONTENT_IDENTIFIER = "content-identifier", "1.2.840.113549.1.9.16.2.7";
    EQUIVALENT_LABELS = "equivalent-labels", "1.2.840.113549.1.9.16.2.9";
    CONTENT_REFERENCE = "content-reference", "1.2.840.113549.1.9.16.2.10";
    ENCRYPTION_KEY_PREFERENCE = "encryption-key-preference", "1.2.840.113549.1.9.16.2.11";
    SIGNING_CERTIFICATE = "signing-certificate", "1.2.840.113549.1.9.16.2.12";
    TIMESTAMP_TOKEN = "timestamp-token", "1.2.840.113549.1.9.16.2.14";
    SIGNATURE_POLICY = "signature-policy", "1.2.840.113549.1.9.16.2.15";
    COMMITMENT_TYPE = "commitment-type", "1.2.840.113549.1.9.16.2.16";
    SIGNER_LOCATION = "signer-location", "1.2.840.113549.1.9.16.2.17";
    SIGNING_CERTIFICATE_V2 = "signing-certificate-v2", "1.2.840.113549.1.9.16.2.47";
    MULTIPLE_SIGNATURES = "multiple-signatures", "1.2.840.113549.1.9.16.2.51";
    MS_ENCRYPTION_KEY_PREFERENCE = "ms-encryption-key-preference", "1.3.6.1.4.1.311.16.4";
    MS_TIMESTAMP_TOKEN = "ms-timestamp-token", "1.3.6.1.4.1.311.3.3.1";
    ENTRUST_VERSION = "entrust-version", "1.2.840.113533.7.65.0";

    // Key identifiers of PKCS #12, used by key files: RFC 7292.
    FRIENDLY_NAME = "friendly-name", "1.2.840.113549.1.9.20";
    LOCAL_KEY_ID = "local-key-id", "1.2.840.113549.1.9.21";
    X509_CERTIFICATE = "x509-certificate", "1.2.840.113549.1.9.22.1";
    KEY_BAG = "key-bag", "1.2.840.113549.1.12.10.1.1";
    SHROUDED_KEY_BAG = "shrouded-key-bag", "1.2.840.113549.1.12.10.1.2";
    CERT_BAG = "cert-bag", "1.2.840.113549.1.12.10.1.3";
    CRL_BAG = "crl-bag", "1.2.840.113549.1.12.10.1.4";
    SECRET_BAG = "secret-bag", "1.2.840.113549.1.12.10.1.5";
    SAFE_CONTENTS_BAG = "safe-contents-bag", "1.2.840.113549.1.12.10.1.6";

    // Extended key usages: RFC 5280 §4.2.1.12 and makers of mail programs.
    EKU_ANY = "any-usage", "2.5.29.37.0";
    EKU_SERVER_AUTH = "server-auth", "1.3.6.1.5.5.7.3.1";
    EKU_CLIENT_AUTH = "client-auth", "1.3.6.1.5.5.7.3.2";
    EKU_CODE_SIGNING = "code-signing", "1.3.6.1.5.5.7.3.3";
    EKU_EMAIL_PROTECTION = "email-protection", "1.3.6.1.5.5.7.3.4";
    EKU_IPSEC_END_SYSTEM = "ipsec-end-system", "1.3.6.1.5.5.7.3.5";
    EKU_IPSEC_TUNNEL = "ipsec-tunnel", "1.3.6.1.5.5.7.3.6";
    EKU_IPSEC_USER = "ipsec-user", "1.3.6.1.5.5.7.3.7";
    EKU_TIME_STAMPING = "time-stamping", "1.3.6.1.5.5.7.3.8";
    EKU_OCSP_SIGNING = "ocsp-signing", "1.3.6.1.5.5.7.3.9";
    EKU_DOCUMENT_SIGNING = "document-signing", "1.3.6.1.5.5.7.3.36";
    EKU_SMARTCARD_LOGON = "smartcard-logon", "1.3.6.1.4.1.311.20.2.2";
    EKU_MS_DOCUMENT_SIGNING = "ms-document-signing", "1.3.6.1.4.1.311.10.3.12";
    EKU_MS_EFS = "ms-efs", "1.3.6.1.4.1.311.10.3.4";
    EKU_ADOBE_DOCUMENT_SIGNING = "adobe-document-signing", "1.2.840.113583.1.1.5";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn arcs_become_the_octets_that_others_use() {
        assert_eq!(SIGNED_DATA.0, [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2]);
        assert_eq!(
            ECDH_STD_SHA1_KDF.0,
            [0x2b, 0x81, 0x05, 0x10, 0x86, 0x48, 0x3f, 0, 2]
        );
        assert_eq!(SHA1.to_string(), "1.3.14.3.2.26");
        assert_eq!(Oid(&[0x88, 0x37, 3]).to_string(), "2.999.3");
        assert_eq!(
            Oid(&[
                0x69, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1
            ])
            .to_string(),
            "2.25.?"
        );
    }

    #[test]
    fn names_and_object_identifiers_are_one_to_one() {
        let oids: HashSet<_> = NAMES.iter().map(|(oid, _)| oid.0).collect();
        let names: HashSet<_> = NAMES.iter().map(|(_, name)| name).collect();
        assert_eq!((oids.len(), names.len()), (NAMES.len(), NAMES.len()));
        assert_eq!(name(AES256_GCM), Some("aes-256-gcm"));
        assert_eq!(Oid(&[0x2a, 3, 4]).label(), "1.2.3.4");
    }

    /// OpenSSL knows most of the table by number: what it calls one of ours must be recognisable.
    #[test]
    fn openssl_agrees_on_the_numbers() {
        let agreed = [
            (AES256_CCM, "aes-256-ccm"),
            (
                ECDH_COFACTOR_SHA512_KDF,
                "dhSinglePass-cofactorDH-sha512kdf-scheme",
            ),
            (SIGNING_CERTIFICATE_V2, "id-smime-aa-signingCertificateV2"),
            (CAST5_CBC, "cast5-cbc"),
            (CAMELLIA256_CBC, "camellia-256-cbc"),
            (SEED_CBC, "seed-cbc"),
            (IDEA_CBC, "idea-cbc"),
            (PWRI_KEK, "id-alg-PWRI-KEK"),
            (SHA3_512_WITH_RSA, "RSA-SHA3-512"),
            (DSA_WITH_SHA256, "dsa_with_SHA256"),
            (SCRYPT, "scrypt"),
            (BRAINPOOL_P512R1, "brainpoolP512r1"),
            (AES192_WRAP_PAD, "id-aes192-wrap-pad"),
            (ESDH, "id-smime-alg-ESDH"),
            (STREEBOG_512, "GOST R 34.11-2012 with 512 bit hash"),
            (SM2_SM3, "SM2-with-SM3"),
            (RIPEMD160_WITH_RSA, "ripemd160WithRSA"),
            (PBE_SHA1_RC2_40, "pbeWithSHA1And40BitRC2-CBC"),
            (SHROUDED_KEY_BAG, "pkcs8ShroudedKeyBag"),
            (EKU_SMARTCARD_LOGON, "Microsoft Smartcard Login"),
            (AUTH_ENVELOPED_DATA, "id-smime-ct-authEnvelopedData"),
        ];
        if !crate::cms::peer::has_openssl() {
            return;
        }
        for (oid, theirs) in agreed {
            let element = crate::cms::der::oid(oid);
            let printed =
                crate::cms::peer::openssl(&["asn1parse", "-inform", "DER"], &element).unwrap();
            let printed = String::from_utf8(printed).unwrap();
            assert_eq!(printed.trim().rsplit_once(':').unwrap().1, theirs, "{oid}");
        }
    }
}
