//! Random bytes for keys, nonces and the stand-in for a key that did not unwrap.

use zeroize::Zeroizing;

use super::Failed;

/// Fills `out` from OpenSSL's generator.
pub fn fill(out: &mut [u8]) -> Result<(), Failed> {
    openssl::rand::rand_bytes(out)?;
    Ok(())
}

/// A secret of `len` bytes, such as a content-encryption key.
pub fn secret(len: usize) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let mut out = Zeroizing::new(vec![0; len]);
    openssl::rand::rand_priv_bytes(&mut out)?;
    Ok(out)
}

/// `N` public random bytes, such as a nonce or an IV.
pub fn array<const N: usize>() -> Result<[u8; N], Failed> {
    let mut out = [0; N];
    fill(&mut out)?;
    Ok(out)
}
