//! Key wrap: AES (RFC 3394, padded RFC 5649), Triple-DES and RC2 (RFC 3217), and that of passwords
//! (RFC 3211). All but the last prove the key they give back: AES, Triple-DES and RC2 by 64 bits, the
//! padded AES by 32 and a length.

use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::{CipherCtx, CipherCtxFlags};
use zeroize::Zeroizing;

use super::cipher::{ContentCipher, ContentParameters, cbc_context};
use super::{CipherProblem, Failed, Unsupported, random};
use crate::cms::oid::{self, AlgorithmIdentifier};
use crate::cms::parameters;

/// The most a wrapped key may weigh: larger than any key for any cipher.
const MAX_WRAPPED: usize = 256;

/// How a key-encryption key protects a content-encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyWrap {
    /// `id-aes128-wrap`
    Aes128,
    /// `id-aes192-wrap`
    Aes192,
    /// `id-aes256-wrap`
    Aes256,
    /// `id-aes128-wrap-pad`
    Aes128Pad,
    /// `id-aes192-wrap-pad`
    Aes192Pad,
    /// `id-aes256-wrap-pad`
    Aes256Pad,
    /// `id-alg-CMS3DESwrap`
    DesEde3,
    /// `id-alg-CMSRC2wrap`: an RC2 of so many effective key bits with a key of 16 bytes; legacy
    /// provider, only unwrapped.
    Rc2(ContentCipher),
}

impl KeyWrap {
    /// The key wrap that an `AlgorithmIdentifier` names.
    pub fn from_algorithm(algorithm: &AlgorithmIdentifier<'_>) -> Result<Self, CipherProblem> {
        Ok(match algorithm.oid {
            oid::AES128_WRAP => Self::Aes128,
            oid::AES192_WRAP => Self::Aes192,
            oid::AES256_WRAP => Self::Aes256,
            oid::AES128_WRAP_PAD => Self::Aes128Pad,
            oid::AES192_WRAP_PAD => Self::Aes192Pad,
            oid::AES256_WRAP_PAD => Self::Aes256Pad,
            oid::DES_EDE3_WRAP => Self::DesEde3,
            oid::RC2_WRAP => {
                let bits = parameters::rc2_wrap_bits(algorithm)?;
                let cipher = ContentCipher::rc2_of(bits)
                    .filter(|cipher| cipher.openssl().is_some())
                    .ok_or_else(|| Unsupported(format!("rc2-{bits}-wrap")))?;
                Self::Rc2(cipher)
            }
            other => return Err(Unsupported(other.label()).into()),
        })
    }

    /// Bytes of the key-encryption key.
    pub const fn kek_len(self) -> usize {
        match self {
            Self::Aes128 | Self::Aes128Pad | Self::Rc2(_) => 16,
            Self::Aes192 | Self::Aes192Pad | Self::DesEde3 => 24,
            Self::Aes256 | Self::Aes256Pad => 32,
        }
    }

    fn aes(self) -> Option<&'static CipherRef> {
        match self {
            Self::Aes128 => Some(Cipher::aes_128_wrap()),
            Self::Aes192 => Some(Cipher::aes_192_wrap()),
            Self::Aes256 => Some(Cipher::aes_256_wrap()),
            Self::Aes128Pad => Some(Cipher::aes_128_wrap_pad()),
            Self::Aes192Pad => Some(Cipher::aes_192_wrap_pad()),
            Self::Aes256Pad => Some(Cipher::aes_256_wrap_pad()),
            Self::DesEde3 | Self::Rc2(_) => None,
        }
    }

    /// Bytes of the shortest wrapped key: two blocks and the check value, padded one and it.
    const fn shortest(self) -> usize {
        match self {
            Self::Aes128Pad | Self::Aes192Pad | Self::Aes256Pad => 16,
            _ => 24,
        }
    }

    /// The wrapped key, or [`Failed`] where the check value does not hold.
    pub fn unwrap(self, kek: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failed> {
        if kek.len() != self.kek_len() || wrapped.len() > MAX_WRAPPED {
            return Err(Failed);
        }
        if let Self::Rc2(cipher) = self {
            return unwrap_rc2(cipher, kek, wrapped);
        }
        match self.aes() {
            Some(cipher) if wrapped.len() >= self.shortest() && wrapped.len().is_multiple_of(8) => {
                let mut ctx = CipherCtx::new()?;
                ctx.set_flags(CipherCtxFlags::FLAG_WRAP_ALLOW);
                ctx.decrypt_init(Some(cipher), Some(kek), None)?;
                update_once(&mut ctx, wrapped)
            }
            Some(_) => Err(Failed),
            None => unwrap_des_ede3(kek, wrapped),
        }
    }

    /// Wraps `key` (for AES a multiple of 8 bytes, at least 16; for Triple-DES 24 bytes).
    pub fn wrap(self, kek: &[u8], key: &[u8]) -> Result<Vec<u8>, Failed> {
        if kek.len() != self.kek_len() || key.len() + 16 > MAX_WRAPPED {
            return Err(Failed);
        }
        match self.aes() {
            Some(cipher) if key.len() >= 16 && key.len().is_multiple_of(8) => {
                let mut ctx = CipherCtx::new()?;
                ctx.set_flags(CipherCtxFlags::FLAG_WRAP_ALLOW);
                ctx.encrypt_init(Some(cipher), Some(kek), None)?;
                Ok(update_once(&mut ctx, key)?.to_vec())
            }
            None if self == Self::DesEde3 => wrap_des_ede3(kek, key),
            _ => Err(Failed),
        }
    }
}

fn update_once(ctx: &mut CipherCtx, input: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let mut out = Zeroizing::new(Vec::with_capacity(input.len() + 32));
    ctx.cipher_update_vec(input, &mut out)?;
    Ok(out)
}

/// The second IV of RFC 3217 §3.1 and §4.1.
const SECOND_IV: [u8; 8] = [0x4a, 0xdd, 0xa2, 0x2c, 0x79, 0xe8, 0x21, 0x05];

fn des_ede3(
    encrypt: bool,
    kek: &[u8],
    iv: &[u8],
    input: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let mut ctx = CipherCtx::new()?;
    if encrypt {
        ctx.encrypt_init(Some(Cipher::des_ede3_cbc()), Some(kek), Some(iv))?;
    } else {
        ctx.decrypt_init(Some(Cipher::des_ede3_cbc()), Some(kek), Some(iv))?;
    }
    ctx.set_padding(false);
    update_once(&mut ctx, input)
}

fn check_value(key: &[u8]) -> [u8; 8] {
    let hash = openssl::sha::sha1(key);
    let mut out = [0; 8];
    out.copy_from_slice(hash.first_chunk::<8>().unwrap_or(&[0; 8]));
    out
}

fn wrap_des_ede3(kek: &[u8], key: &[u8]) -> Result<Vec<u8>, Failed> {
    if key.len() != 24 {
        return Err(Failed);
    }
    let iv = random::array::<8>()?;
    let mut checked = Zeroizing::new(Vec::with_capacity(32));
    checked.extend_from_slice(key);
    checked.extend_from_slice(&check_value(key));
    let mut inner = iv.to_vec();
    inner.extend_from_slice(&des_ede3(true, kek, &iv, &checked)?);
    inner.reverse();
    Ok(des_ede3(true, kek, &SECOND_IV, &inner)?.to_vec())
}

fn unwrap_des_ede3(kek: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failed> {
    if wrapped.len() != 40 {
        return Err(Failed);
    }
    let mut inner = des_ede3(false, kek, &SECOND_IV, wrapped)?;
    inner.reverse();
    let (iv, rest) = inner.split_at_checked(8).ok_or(Failed)?;
    let checked = des_ede3(false, kek, iv, rest)?;
    let (key, check) = checked.split_at_checked(24).ok_or(Failed)?;
    let holds = check.len() == 8 && openssl::memcmp::eq(check, &check_value(key));
    if holds {
        Ok(Zeroizing::new(key.to_vec()))
    } else {
        Err(Failed)
    }
}

fn decrypt_unpadded(
    cipher: ContentCipher,
    key: &[u8],
    iv: &[u8],
    input: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let mut ctx = cbc_context(cipher, key, iv, false)?;
    ctx.set_padding(false);
    update_once(&mut ctx, input)
}

/// RFC 3217 §4.2: inside are a length, the key, padding, and the check value over all of them.
fn unwrap_rc2(
    cipher: ContentCipher,
    kek: &[u8],
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    if wrapped.len() < 24 || !wrapped.len().is_multiple_of(8) {
        return Err(Failed);
    }
    let mut inner = decrypt_unpadded(cipher, kek, &SECOND_IV, wrapped)?;
    inner.reverse();
    let (iv, rest) = inner.split_at_checked(8).ok_or(Failed)?;
    let checked = decrypt_unpadded(cipher, kek, iv, rest)?;
    let at = checked.len().checked_sub(8).ok_or(Failed)?;
    let (padded, check) = checked.split_at_checked(at).ok_or(Failed)?;
    if !openssl::memcmp::eq(check, &check_value(padded)) {
        return Err(Failed);
    }
    let (len, key) = padded.split_first().ok_or(Failed)?;
    let len = usize::from(*len);
    // Padding fills one block at most.
    if len + 8 <= key.len() {
        return Err(Failed);
    }
    Ok(Zeroizing::new(key.get(..len).ok_or(Failed)?.to_vec()))
}

/// PWRI-KEK (RFC 3211 §2.3.2): a content-encryption key that a password protects. The cipher, in CBC
/// mode, is run twice over the key. Its check bytes tell a wrong password (24 bits and a length), but
/// not whether every byte of the key is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordWrap {
    cipher: ContentCipher,
    parameters: ContentParameters,
}

impl PasswordWrap {
    /// Reads a keyEncryptionAlgorithm `id-alg-PWRI-KEK`.
    pub fn from_algorithm(algorithm: &AlgorithmIdentifier<'_>) -> Result<Self, CipherProblem> {
        if algorithm.oid != oid::PWRI_KEK {
            return Err(Unsupported(algorithm.oid.label()).into());
        }
        let inner = parameters::inner_algorithm(algorithm)?;
        let (cipher, parameters) = ContentCipher::from_algorithm(&inner)?;
        if cipher.is_aead() {
            return Err(CipherProblem::Malformed("PWRI-KEK with an AEAD cipher"));
        }
        Ok(Self { cipher, parameters })
    }

    /// The cipher that the key-encryption key is for.
    pub fn cipher(&self) -> ContentCipher {
        self.cipher
    }

    /// The wrapped key, or [`Failed`] where the check bytes do not hold.
    pub fn unwrap(&self, kek: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let block = self.cipher.block_len();
        if wrapped.len() < 2 * block
            || wrapped.len() > MAX_WRAPPED
            || !wrapped.len().is_multiple_of(block)
        {
            return Err(Failed);
        }
        let (front, last) = wrapped
            .split_at_checked(wrapped.len() - block)
            .ok_or(Failed)?;
        let before = front.get(front.len() - block..).ok_or(Failed)?;
        // The last block of the inner layer is the outer layer's IV.
        let decrypt = |iv: &[u8], input: &[u8]| decrypt_unpadded(self.cipher, kek, iv, input);
        let last = decrypt(before, last)?;
        let mut inner = Zeroizing::new(decrypt(&last, front)?.to_vec());
        inner.extend_from_slice(&last);
        let block = decrypt(&self.parameters.iv, &inner)?;
        let (head, key) = block.split_at_checked(4).ok_or(Failed)?;
        let (len, check) = head.split_first().ok_or(Failed)?;
        let first = key.get(..3).ok_or(Failed)?;
        let holds = check
            .iter()
            .zip(first)
            .fold(0, |all, (a, b)| all | (a ^ b ^ 0xff))
            == 0;
        let len = usize::from(*len);
        if holds && len >= 3 {
            Ok(Zeroizing::new(key.get(..len).ok_or(Failed)?.to_vec()))
        } else {
            Err(Failed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::der;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
            .collect()
    }

    /// RFC 3394 §4.1, §4.3 and §4.6.
    #[test]
    fn aes_vectors_of_rfc_3394() {
        let kek = bytes("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F");
        let key = bytes("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F");
        for (wrap, kek, key, wrapped) in [
            (
                KeyWrap::Aes128,
                &kek[..16],
                &key[..16],
                "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5",
            ),
            (
                KeyWrap::Aes256,
                &kek[..],
                &key[..16],
                "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7",
            ),
            (
                KeyWrap::Aes256,
                &kek[..],
                &key[..],
                "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21",
            ),
        ] {
            assert_eq!(wrap.wrap(kek, key).unwrap(), bytes(wrapped));
            assert_eq!(*wrap.unwrap(kek, &bytes(wrapped)).unwrap(), key);
        }
    }

    #[test]
    fn altered_or_cut_wrappings_fail() {
        for wrap in [
            KeyWrap::Aes128,
            KeyWrap::Aes192,
            KeyWrap::Aes256,
            KeyWrap::DesEde3,
        ] {
            let kek = vec![7; wrap.kek_len()];
            let key = vec![9; 24];
            let wrapped = wrap.wrap(&kek, &key).unwrap();
            assert_eq!(*wrap.unwrap(&kek, &wrapped).unwrap(), key);
            for i in 0..wrapped.len() {
                let mut altered = wrapped.clone();
                altered[i] ^= 1;
                assert_eq!(wrap.unwrap(&kek, &altered), Err(Failed));
                assert_eq!(wrap.unwrap(&kek, &wrapped[..i]), Err(Failed));
            }
            assert_eq!(wrap.unwrap(&kek[1..], &wrapped), Err(Failed));
        }
    }

    /// RFC 5649 §6.
    #[test]
    fn padded_aes_vectors_of_rfc_5649() {
        let kek = bytes("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
        for (key, wrapped) in [
            (
                "c37b7e6492584340bed12207808941155068f738",
                "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
            ),
            ("466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"),
        ] {
            let found = KeyWrap::Aes192Pad.unwrap(&kek, &bytes(wrapped)).unwrap();
            assert_eq!(*found, bytes(key));
            let mut altered = bytes(wrapped);
            altered[3] ^= 1;
            assert_eq!(KeyWrap::Aes192Pad.unwrap(&kek, &altered), Err(Failed));
        }
    }

    /// RFC 3217 §4.4, whose key has 40 effective bits.
    #[test]
    fn rc2_vector_of_rfc_3217() {
        if ContentCipher::Rc2Cbc40.openssl().is_none() {
            return;
        }
        let kek = bytes("fd04fd08060707fb0003fefffd02fe05");
        let wrapped = bytes(
            "70e699fb5701f7833330fb71e87c85a420bdc99af05d22af5a0e48d35f3138986cbaafb4b28d4f35",
        );
        let found = KeyWrap::Rc2(ContentCipher::Rc2Cbc40)
            .unwrap(&kek, &wrapped)
            .unwrap();
        assert_eq!(*found, bytes("b70a25fbc9d86a86050ce0d711ead4d9"));
        let mut altered = wrapped;
        altered[20] ^= 1;
        assert_eq!(
            KeyWrap::Rc2(ContentCipher::Rc2Cbc40).unwrap(&kek, &altered),
            Err(Failed)
        );
    }

    /// RFC 3211 §3.2, from the derived key on.
    #[test]
    fn password_wrap_vector_of_rfc_3211() {
        let iv = der::octet_string(&bytes("baf1ca7931213c4e"));
        let cipher = der::algorithm(oid::DES_EDE3_CBC, Some(&iv));
        let algorithm = AlgorithmIdentifier {
            oid: oid::PWRI_KEK,
            parameters: Some(&cipher),
        };
        let wrap = PasswordWrap::from_algorithm(&algorithm).unwrap();
        let kek = bytes("6a8970bf68c92caea84a8df28510858607126380cc47ab2d");
        let wrapped = bytes(
            "c03c514abdb9e2c5aac038572b5e24553876b377aafb82eca5a9d73f8ab143d9ec74e6cad7db260c",
        );
        assert_eq!(
            *wrap.unwrap(&kek, &wrapped).unwrap(),
            bytes("8c637d887223a2f965b566eb014b0fa5d52300a3f7ea40fffc577203c71baf3b")
        );
        for i in 0..wrapped.len() {
            assert_eq!(wrap.unwrap(&kek, &wrapped[..i]), Err(Failed));
            let mut wrong = kek.clone();
            wrong[i % 24] ^= 0x10;
            assert_eq!(wrap.unwrap(&wrong, &wrapped), Err(Failed));
        }
    }

    /// RFC 3217 §3.4.
    #[test]
    fn triple_des_vector_of_rfc_3217() {
        let kek = bytes("255e0d1c07b646dfb3134cc843ba8aa71f025b7c0838251f");
        let wrapped =
            "690107618ef092b3b48ca1796b234ae9fa33ebb4159604037db5d6a84eb3aac2768c632775a467d4";
        let key = "2923bf85e06dd6ae529149f1f1bae9eab3a7da3d860d3e98";
        assert_eq!(
            *KeyWrap::DesEde3.unwrap(&kek, &bytes(wrapped)).unwrap(),
            bytes(key)
        );
    }
}
