//! Key wrap: AES (RFC 3394) and Triple-DES (RFC 3217 §3). Both prove the key they give back.

use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::{CipherCtx, CipherCtxFlags};
use zeroize::Zeroizing;

use super::Failed;
use super::random;

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
    /// `id-alg-CMS3DESwrap`
    DesEde3,
}

impl KeyWrap {
    /// Bytes of the key-encryption key.
    pub const fn kek_len(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 | Self::DesEde3 => 24,
            Self::Aes256 => 32,
        }
    }

    fn aes(self) -> Option<&'static CipherRef> {
        match self {
            Self::Aes128 => Some(Cipher::aes_128_wrap()),
            Self::Aes192 => Some(Cipher::aes_192_wrap()),
            Self::Aes256 => Some(Cipher::aes_256_wrap()),
            Self::DesEde3 => None,
        }
    }

    /// The wrapped key, or [`Failed`] where the check value does not hold.
    pub fn unwrap(self, kek: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failed> {
        if kek.len() != self.kek_len() || wrapped.len() > MAX_WRAPPED {
            return Err(Failed);
        }
        match self.aes() {
            Some(cipher) if wrapped.len() >= 24 && wrapped.len().is_multiple_of(8) => {
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
            Some(_) => Err(Failed),
            None => wrap_des_ede3(kek, key),
        }
    }
}

fn update_once(ctx: &mut CipherCtx, input: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let mut out = Zeroizing::new(Vec::with_capacity(input.len() + 32));
    ctx.cipher_update_vec(input, &mut out)?;
    Ok(out)
}

/// The second IV of RFC 3217 §3.1.
const DES_EDE3_IV: [u8; 8] = [0x4a, 0xdd, 0xa2, 0x2c, 0x79, 0xe8, 0x21, 0x05];

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
    Ok(des_ede3(true, kek, &DES_EDE3_IV, &inner)?.to_vec())
}

fn unwrap_des_ede3(kek: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failed> {
    if wrapped.len() != 40 {
        return Err(Failed);
    }
    let mut inner = des_ede3(false, kek, &DES_EDE3_IV, wrapped)?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
