//! Password-based encryption of key files: PKCS#12's (RFC 7292 B, C), PBES1 and PBES2 (RFC 8018).
//! The rounds that a file may ask for are bounded, whoever made it.

use openssl::pkcs5;
use zeroize::Zeroizing;

use crate::cms::Malformed;
use crate::cms::ber::tag;
use crate::cms::oid::{self, AlgorithmIdentifier};
use crate::cms::parameters;
use crate::crypto::cipher::{self, ContentCipher, ContentParameters};
use crate::crypto::digest::Digest;
use crate::crypto::kdf::{self, Pkcs12Purpose};

/// Compression-function calls that one file may cost, all tries together: about a second. What
/// Firefox writes, among the dearest there is, takes 3.6 million with the right passphrase and 0.6
/// with a wrong one.
const ROUNDS: u64 = 6_000_000;

/// Memory that scrypt may take.
const SCRYPT_BYTES: u64 = 128 << 20;

/// Why nothing came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// Wrong password, or altered.
    Failed,
    /// Not to be opened with any password, and why.
    Never(&'static str),
}

impl From<Malformed> for Problem {
    fn from(_: Malformed) -> Self {
        Self::Never("malformed")
    }
}

impl From<crate::crypto::Failed> for Problem {
    fn from(_: crate::crypto::Failed) -> Self {
        Self::Failed
    }
}

impl From<openssl::error::ErrorStack> for Problem {
    fn from(_: openssl::error::ErrorStack) -> Self {
        Self::Failed
    }
}

/// What is left of the rounds that one file may cost.
#[derive(Debug)]
pub(super) struct Rounds(u64);

impl Default for Rounds {
    fn default() -> Self {
        Self(ROUNDS)
    }
}

impl Rounds {
    /// Spends `iterations` for each block of `block` bytes that `len` bytes take.
    fn spend(&mut self, iterations: u64, len: usize, block: usize) -> Result<(), Problem> {
        let blocks = len.div_ceil(block.max(1)).max(1) as u64;
        let cost = iterations
            .checked_mul(blocks)
            .and_then(|cost| self.0.checked_sub(cost));
        self.0 = cost.ok_or(Problem::Never("too many key derivation rounds"))?;
        Ok(())
    }
}

/// One password in the two shapes that schemes hash it in.
pub(super) struct Password {
    /// As it is; PBES1 and PBES2.
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// UTF-16BE with two final zero bytes, or nothing; PKCS#12.
    pub(super) bmp: Zeroizing<Vec<u8>>,
}

impl Password {
    /// The ways to read a passphrase: as UTF-8, and where it is not ASCII also byte by byte as old
    /// OpenSSL did. An empty passphrase is tried as an absent one too.
    pub(super) fn readings(passphrase: &[u8]) -> Vec<Self> {
        let mut out = Vec::new();
        if let Ok(text) = std::str::from_utf8(passphrase) {
            out.push(Self::new(passphrase, text.encode_utf16()));
        }
        if !passphrase.is_ascii() {
            out.push(Self::new(
                passphrase,
                passphrase.iter().copied().map(u16::from),
            ));
        }
        if passphrase.is_empty() {
            out.push(Self {
                bytes: Zeroizing::default(),
                bmp: Zeroizing::default(),
            });
        }
        out
    }

    fn new(bytes: &[u8], units: impl Iterator<Item = u16>) -> Self {
        let mut bmp = Zeroizing::new(Vec::with_capacity(2 * bytes.len() + 2));
        for unit in units.chain([0]) {
            bmp.extend_from_slice(&unit.to_be_bytes());
        }
        Self {
            bytes: Zeroizing::new(bytes.to_vec()),
            bmp,
        }
    }
}

/// PKCS#12's key derivation, paid for.
pub(super) fn derive(
    digest: Digest,
    purpose: Pkcs12Purpose,
    password: &Password,
    salt: &[u8],
    iterations: u64,
    len: usize,
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    rounds.spend(iterations.max(1), len, digest.size())?;
    let iterations = u32::try_from(iterations).map_err(|_| Problem::Failed)?;
    Ok(kdf::pkcs12(
        digest,
        purpose,
        &password.bmp,
        salt,
        iterations,
        len,
    )?)
}

/// PBKDF2, paid for.
pub(super) fn pbkdf2(
    digest: Digest,
    password: &[u8],
    salt: &[u8],
    iterations: u64,
    len: usize,
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    // HMAC takes two calls.
    rounds.spend(iterations.saturating_mul(2), len, digest.size())?;
    let iterations = usize::try_from(iterations).map_err(|_| Problem::Failed)?;
    let digest = digest.message_digest().ok_or(Problem::Failed)?;
    if iterations == 0 {
        return Err(Problem::Never("malformed"));
    }
    let mut key = Zeroizing::new(vec![0; len]);
    pkcs5::pbkdf2_hmac(password, salt, iterations, digest, &mut key)?;
    Ok(key)
}

/// Decrypts what `algorithm` protects with a password. That the padding is right does not prove
/// the password: what comes out has to be parsed.
pub(super) fn decrypt(
    algorithm: &AlgorithmIdentifier<'_>,
    password: &Password,
    ciphertext: &[u8],
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let (cipher, key_len) = match algorithm.oid {
        oid::PBE_SHA1_DES_EDE3 => (ContentCipher::DesEde3Cbc, 24),
        oid::PBE_SHA1_DES_EDE2 => (ContentCipher::DesEde3Cbc, 16),
        oid::PBE_SHA1_RC2_128 => (ContentCipher::Rc2Cbc128, 16),
        oid::PBE_SHA1_RC2_40 => (ContentCipher::Rc2Cbc40, 5),
        oid::PBES2 => return pbes2(algorithm, password, ciphertext, rounds),
        oid::PBE_MD5_DES => return pbes1(Digest::Md5, algorithm, password, ciphertext, rounds),
        oid::PBE_SHA1_DES => return pbes1(Digest::Sha1, algorithm, password, ciphertext, rounds),
        _ => return Err(Problem::Never("unknown password-based encryption")),
    };
    needs(cipher)?;
    let (salt, iterations) = parameters::pbe_parameters(algorithm)?;
    let sha1 = Digest::Sha1;
    let mut key = derive(
        sha1,
        Pkcs12Purpose::Key,
        password,
        salt,
        iterations,
        key_len,
        rounds,
    )?;
    if algorithm.oid == oid::PBE_SHA1_DES_EDE2 {
        let first = Zeroizing::new(key.get(..8).unwrap_or_default().to_vec());
        key = Zeroizing::new([&key[..], &first].concat());
    }
    let iv_len = cipher.block_len();
    let iv = derive(
        sha1,
        Pkcs12Purpose::Iv,
        password,
        salt,
        iterations,
        iv_len,
        rounds,
    )?;
    open(cipher, &key, &iv, ciphertext)
}

fn needs(cipher: ContentCipher) -> Result<(), Problem> {
    match cipher.openssl() {
        Some(_) => Ok(()),
        None => Err(Problem::Never(
            "needs OpenSSL's legacy provider, which is not installed",
        )),
    }
}

fn open(
    cipher: ContentCipher,
    key: &[u8],
    iv: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let parameters = ContentParameters {
        iv: iv.to_vec(),
        tag_len: 0,
    };
    Ok(cipher::decrypt_cbc(cipher, key, &parameters, [ciphertext])?)
}

/// RFC 8018 §6.1: one hash chain gives key and IV.
fn pbes1(
    digest: Digest,
    algorithm: &AlgorithmIdentifier<'_>,
    password: &Password,
    ciphertext: &[u8],
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    needs(ContentCipher::DesCbc)?;
    let (salt, iterations) = parameters::pbe_parameters(algorithm)?;
    rounds.spend(iterations.max(1), 16, digest.size())?;
    let mut derived = Zeroizing::new([&password.bytes[..], salt].concat());
    for _ in 0..iterations.max(1) {
        derived = Zeroizing::new(crate::crypto::digest::hash(digest, [&derived[..]]));
    }
    let key = derived.get(..8).unwrap_or_default();
    let iv = derived.get(8..16).unwrap_or_default();
    open(ContentCipher::DesCbc, key, iv, ciphertext)
}

/// RFC 8018 §6.2, with PBKDF2 or scrypt (RFC 7914 §7) and any content cipher in CBC mode.
fn pbes2(
    algorithm: &AlgorithmIdentifier<'_>,
    password: &Password,
    ciphertext: &[u8],
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let (derivation, scheme) = parameters::pbes2_parameters(algorithm)?;
    let (cipher, cipher_parameters) = ContentCipher::from_algorithm(&scheme)
        .map_err(|_| Problem::Never("unknown cipher, or the legacy provider is not installed"))?;
    let key = match derivation.oid {
        oid::PBKDF2 => {
            let p = parameters::pbkdf2_parameters(&derivation)?;
            let digest = Digest::from_hmac_oid(p.prf)
                .ok_or(Problem::Never("unknown password-based encryption"))?;
            let len = key_len(cipher, p.key_len)?;
            pbkdf2(digest, &password.bytes, p.salt, p.iterations, len, rounds)?
        }
        oid::SCRYPT => scrypt(&derivation, password, cipher, rounds)?,
        _ => return Err(Problem::Never("unknown password-based encryption")),
    };
    Ok(cipher::decrypt_cbc(
        cipher,
        &key,
        &cipher_parameters,
        [ciphertext],
    )?)
}

fn key_len(cipher: ContentCipher, stated: Option<usize>) -> Result<usize, Problem> {
    let len = stated.unwrap_or(cipher.key_len());
    if cipher.takes_key_len(len) {
        Ok(len)
    } else {
        Err(Problem::Never("malformed"))
    }
}

/// RFC 7914 §7.1.
fn scrypt(
    algorithm: &AlgorithmIdentifier<'_>,
    password: &Password,
    cipher: ContentCipher,
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let malformed = Problem::Never("malformed");
    let parameters = crate::cms::ber::Tlv::only(algorithm.parameters.ok_or(malformed)?)?;
    let mut reader = parameters.reader();
    let salt = reader
        .require(tag::OCTET_STRING, "scrypt without a salt")?
        .body;
    let mut number = || -> Result<u64, Problem> {
        let tlv = reader.require(tag::INTEGER, "scrypt without a cost")?;
        tlv.unsigned().filter(|n| *n <= 1 << 30).ok_or(malformed)
    };
    let (n, r, p) = (number()?, number()?, number()?);
    let stated = reader
        .optional(tag::INTEGER)?
        .and_then(|tlv| tlv.unsigned());
    let len = key_len(cipher, stated.and_then(|len| usize::try_from(len).ok()))?;
    // Each of n·r·p steps mixes 128 bytes twice with Salsa20/8.
    let cost = n.saturating_mul(r).saturating_mul(p).saturating_mul(2);
    rounds.spend(cost, 1, 1)?;
    let mut key = Zeroizing::new(vec![0; len]);
    pkcs5::scrypt(&password.bytes, salt, n, r, p, SCRYPT_BYTES, &mut key)?;
    Ok(key)
}
