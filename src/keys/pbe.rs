//! Password-based encryption of key files and messages: PKCS#12's (RFC 7292 B, C), PBES1 and PBES2
//! (RFC 8018). The rounds that a file or message may ask for are bounded, whoever made it.

use openssl::pkcs5;
use zeroize::Zeroizing;

use crate::cms::Malformed;
use crate::cms::ber::tag;
use crate::cms::oid::{self, AlgorithmIdentifier, Oid};
use crate::cms::parameters;
use crate::crypto::cipher::{self, ContentCipher, ContentParameters};
use crate::crypto::digest::Digest;
use crate::crypto::kdf::{self, Pkcs12Purpose};

/// Compression-function calls that one file or message may cost, all tries together: about a second. What
/// Firefox writes, among the dearest there is, takes 3.6 million with the right passphrase and 0.6
/// with a wrong one.
const ROUNDS: u64 = 6_000_000;

/// Memory that scrypt may take.
const SCRYPT_BYTES: u64 = 128 << 20;

/// Why nothing came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
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

/// What is left of the rounds that one file or message may cost.
#[derive(Debug)]
pub(crate) struct Rounds {
    left: u64,
    exceeded: bool,
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            left: ROUNDS,
            exceeded: false,
        }
    }
}

impl Rounds {
    /// Whether something was left untried since it would have cost more than is left.
    pub(crate) fn exceeded(&self) -> bool {
        self.exceeded
    }

    /// Spends `iterations` on something that is no derivation.
    pub(crate) fn pay(&mut self, iterations: u64) -> Result<(), Problem> {
        self.spend(iterations, 1, 1)
    }

    /// Spends `iterations` for each block of `block` bytes that `len` bytes take.
    fn spend(&mut self, iterations: u64, len: usize, block: usize) -> Result<(), Problem> {
        let blocks = len.div_ceil(block.max(1)).max(1) as u64;
        let cost = iterations
            .checked_mul(blocks)
            .and_then(|cost| self.left.checked_sub(cost));
        self.exceeded |= cost.is_none();
        self.left = cost.ok_or(Problem::Never("too many key derivation rounds"))?;
        Ok(())
    }
}

/// One password in the two shapes that schemes hash it in.
pub(crate) struct Password {
    /// As it is; PBES1 and PBES2.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// UTF-16BE with two final zero bytes, or nothing; PKCS#12.
    pub(crate) bmp: Zeroizing<Vec<u8>>,
}

impl Password {
    /// The ways to read a passphrase: as UTF-8, and where it is not ASCII also byte by byte as old
    /// OpenSSL did. An empty passphrase is tried as an absent one too.
    pub(crate) fn readings(passphrase: &[u8]) -> Vec<Self> {
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

    /// A passphrase for schemes that hash its bytes as they are.
    pub(crate) fn utf8(passphrase: &[u8]) -> Self {
        Self {
            bytes: Zeroizing::new(passphrase.to_vec()),
            bmp: Zeroizing::default(),
        }
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
pub(crate) fn derive(
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
pub(crate) fn pbkdf2(
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

const UNKNOWN: &str = "unknown password-based encryption";

/// Whether `oid` names an encryption with a password, known here or not (RFC 8018, RFC 7292 §C).
pub(crate) fn is_password_based(oid: Oid<'_>) -> bool {
    matches!(
        oid,
        oid::PBES2
            | oid::PBE_MD5_DES
            | oid::PBE_SHA1_DES
            | oid::PBE_SHA1_RC4_128
            | oid::PBE_SHA1_RC4_40
            | oid::PBE_SHA1_DES_EDE3
            | oid::PBE_SHA1_DES_EDE2
            | oid::PBE_SHA1_RC2_128
            | oid::PBE_SHA1_RC2_40
    )
}

/// The cipher that `algorithm` encrypts with.
pub(crate) fn cipher_of(algorithm: &AlgorithmIdentifier<'_>) -> Result<ContentCipher, Problem> {
    Ok(match algorithm.oid {
        oid::PBE_SHA1_DES_EDE3 | oid::PBE_SHA1_DES_EDE2 => ContentCipher::DesEde3Cbc,
        oid::PBE_SHA1_RC2_128 => ContentCipher::Rc2Cbc128,
        oid::PBE_SHA1_RC2_40 => ContentCipher::Rc2Cbc40,
        oid::PBE_MD5_DES | oid::PBE_SHA1_DES => ContentCipher::DesCbc,
        oid::PBES2 => {
            let (_, scheme) = parameters::pbes2_parameters(algorithm)?;
            let (cipher, _) = ContentCipher::from_algorithm(&scheme).map_err(|_| {
                Problem::Never("unknown cipher, or the legacy provider is not installed")
            })?;
            if cipher.is_aead() {
                return Err(Problem::Never(UNKNOWN));
            }
            cipher
        }
        _ => return Err(Problem::Never(UNKNOWN)),
    })
}

/// Decrypts what `algorithm` protects with a password. That the padding is right does not prove
/// the password: what comes out has to be parsed.
pub(crate) fn decrypt(
    algorithm: &AlgorithmIdentifier<'_>,
    password: &Password,
    ciphertext: &[u8],
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let key_len = match algorithm.oid {
        oid::PBE_SHA1_DES_EDE3 => 24,
        oid::PBE_SHA1_DES_EDE2 | oid::PBE_SHA1_RC2_128 => 16,
        oid::PBE_SHA1_RC2_40 => 5,
        oid::PBES2 => return pbes2(algorithm, password, ciphertext, rounds),
        oid::PBE_MD5_DES => return pbes1(Digest::Md5, algorithm, password, ciphertext, rounds),
        oid::PBE_SHA1_DES => return pbes1(Digest::Sha1, algorithm, password, ciphertext, rounds),
        _ => return Err(Problem::Never(UNKNOWN)),
    };
    let cipher = cipher_of(algorithm)?;
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
    let key = derive_key(&derivation, password, cipher, rounds)?;
    Ok(cipher::decrypt_cbc(
        cipher,
        &key,
        &cipher_parameters,
        [ciphertext],
    )?)
}

/// A key for `cipher` by PBKDF2 or scrypt: of PBES2, and of a password recipient (RFC 5652 §6.2.4).
pub(crate) fn derive_key(
    derivation: &AlgorithmIdentifier<'_>,
    password: &Password,
    cipher: ContentCipher,
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    match derivation.oid {
        oid::PBKDF2 => {
            let p = parameters::pbkdf2_parameters(derivation)?;
            let digest = Digest::from_hmac_oid(p.prf).ok_or(Problem::Never(UNKNOWN))?;
            let len = key_len(cipher, p.key_len)?;
            pbkdf2(digest, &password.bytes, p.salt, p.iterations, len, rounds)
        }
        oid::SCRYPT => scrypt(derivation, password, cipher, rounds),
        _ => Err(Problem::Never(UNKNOWN)),
    }
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
