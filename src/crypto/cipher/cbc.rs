//! CBC: what decrypts, and how much of it has to be decrypted to see whether it does.

use openssl::cipher_ctx::CipherCtx;
use zeroize::Zeroizing;

use super::super::Failed;
use super::{ContentCipher, ContentParameters, init, plaintext_buffer, total, update};

/// How much of a plaintext's beginning [`prove_cbc`] gives.
const HEAD: usize = 512;

/// Decrypts CBC content and takes the padding off. [`Failed`] where a length or the padding is
/// wrong; a plaintext proves nothing by itself.
pub fn decrypt_cbc<'a, I>(
    cipher: ContentCipher,
    key: &[u8],
    parameters: &ContentParameters,
    ciphertext: I,
) -> Result<Zeroizing<Vec<u8>>, Failed>
where
    I: IntoIterator<Item = &'a [u8]> + Clone,
{
    let len = total(ciphertext.clone());
    if cipher.is_aead() || len == 0 || !len.is_multiple_of(cipher.block_len()) {
        return Err(Failed);
    }
    let mut context = cbc_context(cipher, key, &parameters.iv, false)?;
    let mut out = plaintext_buffer(len);
    update(&mut context, ciphertext, &mut out)?;
    context.cipher_final_vec(&mut out)?;
    Ok(out)
}

/// Proves as much as [`decrypt_cbc`] does from the content's beginning and end alone: the padding
/// in the last block is right. Gives the first 512 bytes of the plaintext (all of it where it is
/// shorter).
pub fn prove_cbc<'a, I>(
    cipher: ContentCipher,
    key: &[u8],
    parameters: &ContentParameters,
    ciphertext: I,
) -> Result<Zeroizing<Vec<u8>>, Failed>
where
    I: IntoIterator<Item = &'a [u8]> + Clone,
{
    let block = cipher.block_len();
    let len = total(ciphertext.clone());
    if len <= HEAD + 2 * block {
        let mut out = decrypt_cbc(cipher, key, parameters, ciphertext)?;
        out.truncate(HEAD);
        return Ok(out);
    }
    if cipher.is_aead() || !len.is_multiple_of(block) {
        return Err(Failed);
    }
    let mut head = Vec::with_capacity(HEAD);
    let mut tail = Vec::with_capacity(2 * block);
    let mut at = 0;
    for chunk in ciphertext {
        head.extend_from_slice(
            chunk
                .get(..chunk.len().min(HEAD - head.len()))
                .unwrap_or_default(),
        );
        let from = (len - 2 * block).saturating_sub(at);
        tail.extend_from_slice(chunk.get(from.min(chunk.len())..).unwrap_or_default());
        at += chunk.len();
    }
    let (iv, last) = tail.split_at_checked(block).ok_or(Failed)?;
    let mut context = cbc_context(cipher, key, iv, false)?;
    let mut end = plaintext_buffer(block);
    update(&mut context, [last], &mut end)?;
    context.cipher_final_vec(&mut end)?;

    let mut context = cbc_context(cipher, key, &parameters.iv, false)?;
    context.set_padding(false);
    let mut out = plaintext_buffer(HEAD);
    update(&mut context, [&head[..]], &mut out)?;
    Ok(out)
}

/// Encrypts under a CBC cipher, padded. `iv` is one block.
pub fn encrypt_cbc(
    cipher: ContentCipher,
    key: &[u8],
    iv: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Failed> {
    if cipher.is_aead() {
        return Err(Failed);
    }
    let mut context = cbc_context(cipher, key, iv, true)?;
    let mut out = Vec::with_capacity(plaintext.len() + 2 * cipher.block_len());
    update(&mut context, [plaintext], &mut out)?;
    context.cipher_final_vec(&mut out)?;
    Ok(out)
}

/// Decrypts or encrypts without padding; for key files, whose padding their own code checks.
pub(crate) fn cbc_context(
    cipher: ContentCipher,
    key: &[u8],
    iv: &[u8],
    encrypt: bool,
) -> Result<CipherCtx, Failed> {
    let algorithm = cipher.openssl().ok_or(Failed)?;
    if !cipher.takes_key_len(key.len()) || iv.len() != cipher.block_len() {
        return Err(Failed);
    }
    let mut context = CipherCtx::new()?;
    init(&mut context, Some(algorithm), None, None, encrypt)?;
    if key.len() != algorithm.key_length() {
        context.set_key_length(key.len())?;
    }
    init(&mut context, None, Some(key), Some(iv), encrypt)?;
    Ok(context)
}
