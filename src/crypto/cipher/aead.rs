//! AEAD: GCM and CCM (RFC 5084), ChaCha20-Poly1305 (RFC 8103).

use std::borrow::Cow;

use openssl::cipher_ctx::CipherCtx;
use zeroize::Zeroizing;

use super::super::Failed;
use super::{ContentCipher, ContentParameters, PIECE, init, plaintext_buffer, total, update};

/// Decrypts AEAD content. Nothing is given unless the tag, of the declared length, holds over the
/// ciphertext and `aad` (the DER of the authenticated attributes; empty where there are none).
pub fn decrypt_aead<'a, I>(
    cipher: ContentCipher,
    key: &[u8],
    parameters: &ContentParameters,
    aad: &[u8],
    ciphertext: I,
    tag: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failed>
where
    I: IntoIterator<Item = &'a [u8]> + Clone,
{
    if parameters.check_tag(tag).is_err() || !(12..=16).contains(&tag.len()) {
        return Err(Failed);
    }
    let len = total(ciphertext.clone());
    if cipher.is_ccm() {
        return decrypt_ccm(cipher, key, &parameters.iv, aad, ciphertext, tag);
    }
    let mut context = aead_context(cipher, key, &parameters.iv, false)?;
    authenticate(&mut context, aad)?;
    let mut out = plaintext_buffer(len);
    update(&mut context, ciphertext, &mut out)?;
    context.set_tag(tag)?;
    context.cipher_final_vec(&mut out)?;
    Ok(out)
}

/// CCM hashes the lengths first, so the tag and they are set before anything else, and OpenSSL wants
/// the ciphertext in one piece.
fn decrypt_ccm<'a, I>(
    cipher: ContentCipher,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    ciphertext: I,
    tag: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failed>
where
    I: IntoIterator<Item = &'a [u8]> + Clone,
{
    let algorithm = cipher.openssl().ok_or(Failed)?;
    let len = total(ciphertext.clone());
    let mut chunks = ciphertext.clone().into_iter();
    let whole = match (chunks.next(), chunks.next()) {
        (None, _) => Cow::Borrowed(&[][..]),
        (Some(only), None) => Cow::Borrowed(only),
        _ => Cow::Owned(ciphertext.into_iter().collect::<Vec<_>>().concat()),
    };
    if !cipher.takes_key_len(key.len())
        || !cipher.takes_iv_len(nonce.len())
        || len > PIECE
        || aad.len() > PIECE
    {
        return Err(Failed);
    }
    let mut context = CipherCtx::new()?;
    init(&mut context, Some(algorithm), None, None, false)?;
    context.set_iv_length(nonce.len())?;
    context.set_tag(tag)?;
    init(&mut context, None, Some(key), Some(nonce), false)?;
    context.set_data_len(len)?;
    if !aad.is_empty() {
        context.cipher_update(aad, None)?;
    }
    let mut out = plaintext_buffer(len);
    context.cipher_update_vec(&whole, &mut out)?;
    Ok(out)
}

/// Encrypts under GCM: the ciphertext and its 16-byte tag. A key must never meet a nonce twice; both
/// are drawn anew for every message.
pub fn encrypt_gcm(
    cipher: ContentCipher,
    key: &[u8],
    nonce: &[u8; 12],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<(Vec<u8>, [u8; 16]), Failed> {
    if cipher.is_ccm() {
        return Err(Failed);
    }
    let mut context = aead_context(cipher, key, nonce, true)?;
    authenticate(&mut context, aad)?;
    let mut out = Vec::with_capacity(plaintext.len() + 32);
    update(&mut context, [plaintext], &mut out)?;
    context.cipher_final_vec(&mut out)?;
    let mut tag = [0; 16];
    context.tag(&mut tag)?;
    Ok((out, tag))
}

pub(super) fn aead_context(
    cipher: ContentCipher,
    key: &[u8],
    nonce: &[u8],
    encrypt: bool,
) -> Result<CipherCtx, Failed> {
    let algorithm = cipher.openssl().ok_or(Failed)?;
    if !cipher.is_aead()
        || cipher.is_ccm()
        || !cipher.takes_key_len(key.len())
        || !cipher.takes_iv_len(nonce.len())
    {
        return Err(Failed);
    }
    let mut context = CipherCtx::new()?;
    init(&mut context, Some(algorithm), None, None, encrypt)?;
    context.set_iv_length(nonce.len())?;
    init(&mut context, None, Some(key), Some(nonce), encrypt)?;
    Ok(context)
}

pub(super) fn authenticate(context: &mut CipherCtx, aad: &[u8]) -> Result<(), Failed> {
    for piece in aad.chunks(PIECE) {
        context.cipher_update(piece, None)?;
    }
    Ok(())
}
