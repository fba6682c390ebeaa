//! Key derivation: ANSI X9.63 and HKDF for key agreement, the PKCS#12 one for key files.

use openssl::md::MdRef;
use openssl::md_ctx::MdCtx;
use openssl::pkey::Id;
use openssl::pkey_ctx::PkeyCtx;
use zeroize::Zeroizing;

use super::Failed;
use super::digest::Digest;
use crate::cms::ber::tag;
use crate::cms::der;
use crate::cms::oid::Oid;

/// The ANSI X9.63 key derivation (SEC 1 §3.6.1): `len` bytes from a shared secret.
pub fn x963(
    digest: Digest,
    secret: &[u8],
    shared_info: &[u8],
    len: usize,
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let md = digest.md().ok_or(Failed)?;
    let mut out = Zeroizing::new(Vec::with_capacity(len + digest.size()));
    let mut block = Zeroizing::new(vec![0; digest.size()]);
    let mut counter = 1_u32;
    while out.len() < len {
        let mut context = MdCtx::new()?;
        context.digest_init(md)?;
        context.digest_update(secret)?;
        context.digest_update(&counter.to_be_bytes())?;
        context.digest_update(shared_info)?;
        context.digest_final(&mut block)?;
        out.extend_from_slice(&block);
        counter = counter.checked_add(1).ok_or(Failed)?;
    }
    out.truncate(len);
    Ok(out)
}

/// HKDF (RFC 5869); without a salt where that is empty, as RFC 8418 §2.2 uses it.
pub fn hkdf(
    digest: Digest,
    secret: &[u8],
    salt: &[u8],
    info: &[u8],
    len: usize,
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let mut context = PkeyCtx::new_id(Id::HKDF)?;
    context.derive_init()?;
    context.set_hkdf_md(digest.md().ok_or(Failed)?)?;
    context.set_hkdf_key(secret)?;
    if !salt.is_empty() {
        context.set_hkdf_salt(salt)?;
    }
    context.add_hkdf_info(info)?;
    let mut out = Zeroizing::new(vec![0; len]);
    context.derive(Some(&mut out))?;
    Ok(out)
}

/// The content-encryption key that CEK-HKDF-SHA256 makes of the transported one, as long as it (RFC
/// 9709 §2). `cipher` is the content cipher's `AlgorithmIdentifier` as the message has it.
pub fn cek_hkdf(cek: &[u8], cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let salt = b"The Cryptographic Message Syntax";
    hkdf(Digest::Sha256, cek, salt, cipher, cek.len())
}

/// The key-encryption key of an X9.42 Diffie-Hellman agreement (RFC 2631 §2.1.2): `len` bytes for
/// the key wrap `wrap` out of the shared secret, which is as long as the prime.
pub fn x942(
    digest: Digest,
    secret: &[u8],
    wrap: Oid<'_>,
    ukm: Option<&[u8]>,
    len: usize,
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let md = digest.md().ok_or(Failed)?;
    let bits = u32::try_from(len * 8).map_err(|_| Failed)?.to_be_bytes();
    let ukm = ukm.map(|ukm| der::element(tag::constructed(0), &[&der::octet_string(ukm)]));
    let bits = der::element(tag::constructed(2), &[&der::octet_string(&bits)]);
    let wrap = der::oid(wrap);
    let mut out = Zeroizing::new(Vec::with_capacity(len + digest.size()));
    let mut block = Zeroizing::new(vec![0; digest.size()]);
    let mut counter = 1_u32;
    let mut context = MdCtx::new()?;
    while out.len() < len {
        let key_info = der::sequence(&[&wrap, &der::octet_string(&counter.to_be_bytes())]);
        let info = der::sequence(&[&key_info, ukm.as_deref().unwrap_or_default(), &bits]);
        hash_into(&mut context, md, &[secret, &info], &mut block)?;
        out.extend_from_slice(&block);
        counter = counter.checked_add(1).ok_or(Failed)?;
    }
    out.truncate(len);
    Ok(out)
}

/// The DER of `ECC-CMS-SharedInfo` (RFC 5753 §7.2). `wrap_algorithm` is the key wrap's
/// `AlgorithmIdentifier` byte for byte as the message has it: some senders write NULL parameters,
/// some none, and both sides must hash the same.
pub fn ecc_cms_shared_info(wrap_algorithm: &[u8], ukm: Option<&[u8]>, kek_len: usize) -> Vec<u8> {
    let bits = u32::try_from(kek_len * 8).unwrap_or(u32::MAX).to_be_bytes();
    let ukm = ukm.map(|ukm| der::element(tag::constructed(0), &[&der::octet_string(ukm)]));
    let bits = der::element(tag::constructed(2), &[&der::octet_string(&bits)]);
    der::sequence(&[wrap_algorithm, ukm.as_deref().unwrap_or_default(), &bits])
}

/// What the PKCS#12 key derivation is to yield (RFC 7292 B.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pkcs12Purpose {
    /// A cipher key, ID 1.
    Key = 1,
    /// An IV, ID 2.
    Iv = 2,
    /// A MAC key, ID 3.
    Mac = 3,
}

/// The PKCS#12 key derivation (RFC 7292 B.2). `password` is a `BMPString` with its two final zero
/// bytes, or empty for an absent one. The caller bounds `iterations`.
pub fn pkcs12(
    digest: Digest,
    purpose: Pkcs12Purpose,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    len: usize,
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let md = digest.md().ok_or(Failed)?;
    let block = digest.block_size();
    let diversifier = vec![purpose as u8; block];
    // S and P of step 2 and 3, filled up to whole blocks by repetition.
    let mut input = Zeroizing::new(Vec::with_capacity(
        salt.len().next_multiple_of(block) + password.len().next_multiple_of(block),
    ));
    for source in [salt, password] {
        let filled = source.len().next_multiple_of(block);
        input.extend(source.iter().copied().cycle().take(filled));
    }
    let mut out = Zeroizing::new(Vec::with_capacity(len + digest.size()));
    let mut context = MdCtx::new()?;
    let mut a = Zeroizing::new(vec![0; digest.size()]);
    let mut previous = a.clone();
    loop {
        hash_into(&mut context, md, &[&diversifier, &input], &mut a)?;
        for _ in 1..iterations {
            previous.copy_from_slice(&a);
            hash_into(&mut context, md, &[&previous], &mut a)?;
        }
        out.extend_from_slice(&a);
        if out.len() >= len {
            out.truncate(len);
            return Ok(out);
        }
        // Step 6C: every block of I becomes (I_j + B + 1) mod 2^v.
        for piece in input.chunks_exact_mut(block) {
            let mut carry = 1_u16;
            for (i, byte) in piece.iter_mut().enumerate().rev() {
                let b = a.get(i % a.len().max(1)).copied().unwrap_or(0);
                carry += u16::from(*byte) + u16::from(b);
                *byte = carry.to_be_bytes()[1];
                carry >>= 8;
            }
        }
    }
}

fn hash_into(
    context: &mut MdCtx,
    md: &MdRef,
    input: &[&[u8]],
    out: &mut [u8],
) -> Result<(), Failed> {
    context.digest_init(md)?;
    for bytes in input {
        context.digest_update(bytes)?;
    }
    context.digest_final(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::oid;
    use crate::text::hex;

    /// The values that PKCS#12 implementations have tested themselves with from the start.
    #[test]
    fn pkcs12_derivation_gives_known_keys() {
        let smeg = b"\0s\0m\0e\0g\0\0";
        let queeg = b"\0q\0u\0e\0e\0g\0\0";
        for (purpose, password, salt, iterations, len, expected) in [
            (
                Pkcs12Purpose::Key,
                smeg,
                [0x0a, 0x58, 0xcf, 0x64, 0x53, 0x0d, 0x82, 0x3f],
                1,
                24,
                "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3",
            ),
            (
                Pkcs12Purpose::Iv,
                smeg,
                [0x0a, 0x58, 0xcf, 0x64, 0x53, 0x0d, 0x82, 0x3f],
                1,
                8,
                "79993dfe048d3b76",
            ),
        ] {
            let found = pkcs12(Digest::Sha1, purpose, password, &salt, iterations, len).unwrap();
            assert_eq!(hex(&found), expected);
        }
        let salt = [0x05, 0xde, 0xc9, 0x59, 0xac, 0xff, 0x72, 0xf7];
        let found = pkcs12(Digest::Sha1, Pkcs12Purpose::Key, queeg, &salt, 1000, 24).unwrap();
        assert_eq!(
            hex(&found),
            "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4"
        );
    }

    /// RFC 9709, the example of its appendix.
    #[test]
    fn cek_hkdf_gives_the_key_of_rfc_9709() {
        let cek = bytes("c702e7d0a9e064b09ba55245fb733cf3");
        let cipher = bytes("301b0609608648016503040106300e040c5c79058ba2f43447639d29e2");
        assert_eq!(
            hex(&cek_hkdf(&cek, &cipher).unwrap()),
            "2124ffb29fac4e0fbbc7d5d87492bff3"
        );
    }

    /// RFC 2631 §2.1.6 and §2.1.7: an agreement for Triple-DES, one for RC2 with a partyAInfo.
    #[test]
    fn x942_gives_the_keys_of_rfc_2631() {
        let zz = bytes("000102030405060708090a0b0c0d0e0f10111213");
        let found = x942(Digest::Sha1, &zz, oid::DES_EDE3_WRAP, None, 24).unwrap();
        assert_eq!(
            hex(&found),
            "a09661392376f7044d9052a397883246b67f5f1ef63eb5fb"
        );
        let party = bytes("0123456789abcdeffedcba9876543201").repeat(4);
        let found = x942(Digest::Sha1, &zz, oid::RC2_WRAP, Some(&party), 16).unwrap();
        assert_eq!(hex(&found), "48950c46e0530075403cce72889604e0");
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
            .collect()
    }

    /// RFC 5753 §7.2's structure, byte for byte.
    #[test]
    fn shared_info_keeps_the_wrap_algorithm_as_it_came() {
        let with_null = [0x30, 4, 6, 0, 5, 0];
        let found = ecc_cms_shared_info(&with_null, None, 32);
        assert_eq!(
            found,
            [&[0x30, 14][..], &with_null, &[0xa2, 6, 4, 4, 0, 0, 1, 0]].concat()
        );
        let found = ecc_cms_shared_info(&with_null[..4], Some(b"u"), 16);
        let ukm = [0xa0, 3, 4, 1, b'u'];
        let expected = [
            &[0x30, 17][..],
            &with_null[..4],
            &ukm,
            &[0xa2, 6, 4, 4, 0, 0, 0, 128],
        ];
        assert_eq!(found, expected.concat());
    }
}
