//! PKCS#12 files (RFC 7292), walked bag by bag: `Pkcs12::parse2` gives one key, files hold several.
//!
//! The walk is over BER, as macOS and Netscape write it. What a file tells without its passphrase
//! (certificates in the clear, the localKeyIDs of its keys) is gathered too: it tells whose a locked
//! file is.

use openssl::pkey::PKey;
use openssl::sign::Signer;
use zeroize::Zeroizing;

use super::pbe::{self, Password, Problem, Rounds};
use crate::cms::ber::{Reader, Tlv, tag};
use crate::cms::oid::{self, AlgorithmIdentifier, Oid};
use crate::cms::{Malformed, Octets, parameters};
use crate::crypto::SecretKey;
use crate::crypto::digest::Digest;
use crate::crypto::kdf::Pkcs12Purpose;

/// How deep safeContentsBags may nest.
const MAX_DEPTH: usize = 8;

/// What one try at a file found.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) keys: Vec<SecretKey>,
    /// DER, not looked into.
    pub(super) certificates: Vec<Vec<u8>>,
    /// The localKeyIDs of keys that did not open.
    pub(super) locked_ids: Vec<Vec<u8>>,
    /// Something in it did not open.
    pub(super) locked: bool,
    /// Something in it can never be opened, and why.
    pub(super) never: Option<&'static str>,
}

/// A parsed PFX, ready for passphrases.
pub(super) struct Pfx<'a> {
    safe: Octets<'a>,
    mac: Option<Mac<'a>>,
}

struct Mac<'a> {
    algorithm: AlgorithmIdentifier<'a>,
    value: &'a [u8],
    salt: &'a [u8],
    iterations: u64,
}

/// Whether `bytes` start like a PFX: a SEQUENCE of version 3 and a `ContentInfo`.
pub(super) fn is_pfx(bytes: &[u8]) -> bool {
    let starts = || -> Result<bool, Malformed> {
        let (outer, _) = Tlv::read(bytes)?;
        let mut reader = outer.reader();
        let version = reader.require(tag::INTEGER, "")?;
        let content = reader.require(tag::SEQUENCE, "")?;
        let kind = content.reader().require(tag::OID, "")?;
        let known = [oid::DATA, oid::SIGNED_DATA].contains(&Oid(kind.body));
        Ok(outer.tag == tag::SEQUENCE && version.body == [3] && known)
    };
    starts().unwrap_or(false)
}

impl<'a> Pfx<'a> {
    /// Reads the outer structure.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Problem> {
        let (outer, _) = Tlv::read(bytes)?;
        let mut reader = outer.reader();
        reader.require(tag::INTEGER, "PFX without a version")?;
        let content = reader.require(tag::SEQUENCE, "PFX without content")?;
        let (kind, content) = content_info(&content)?;
        if kind != oid::DATA {
            return Err(Problem::Never(
                "protected with a signature, not with a passphrase",
            ));
        }
        let safe = Octets::from_tlv(&Tlv::only(
            content.ok_or(Malformed("PFX without content"))?,
        )?)?;
        let mac = reader
            .optional(tag::SEQUENCE)?
            .map(|tlv| Mac::read(&tlv))
            .transpose()?;
        Ok(Self { safe, mac })
    }

    /// What it tells without a passphrase.
    pub(super) fn in_the_clear(&self) -> Result<Contents, Problem> {
        let safe = self.safe.cow();
        walk(&safe, None, &mut Rounds::default())
    }

    /// Tries one passphrase in all its readings; `None` where it is not the one.
    pub(super) fn open(
        &self,
        passphrase: &[u8],
        rounds: &mut Rounds,
    ) -> Result<Option<Contents>, Problem> {
        let safe = self.safe.cow();
        for password in Password::readings(passphrase) {
            if let Some(mac) = &self.mac {
                match mac.holds(&self.safe, &password, rounds) {
                    Ok(true) => {}
                    Ok(false) | Err(Problem::Failed) => continue,
                    Err(never) => return Err(never),
                }
            }
            let contents = walk(&safe, Some(&password), rounds)?;
            // A MAC that holds proves the passphrase; else opened content has to.
            if self.mac.is_some() || !contents.locked {
                return Ok(Some(contents));
            }
        }
        Ok(None)
    }
}

impl<'a> Mac<'a> {
    /// `MacData` (RFC 7292 §4): a `DigestInfo`, a salt and the number of rounds, 1 where absent.
    fn read(tlv: &Tlv<'a>) -> Result<Self, Malformed> {
        let mut reader = tlv.reader();
        let mut info = reader
            .require(tag::SEQUENCE, "MAC without a digest")?
            .reader();
        let algorithm = info.require(tag::SEQUENCE, "MAC without an algorithm")?;
        let algorithm = AlgorithmIdentifier::parse(algorithm.raw)?;
        let value = info.require(tag::OCTET_STRING, "MAC without a value")?.body;
        let salt = reader
            .require(tag::OCTET_STRING, "MAC without a salt")?
            .body;
        let iterations = match reader.optional(tag::INTEGER)? {
            None => 1,
            Some(tlv) => tlv
                .unsigned()
                .ok_or(Malformed("MAC with negative rounds"))?,
        };
        Ok(Self {
            algorithm,
            value,
            salt,
            iterations,
        })
    }

    fn holds(
        &self,
        content: &Octets<'_>,
        password: &Password,
        rounds: &mut Rounds,
    ) -> Result<bool, Problem> {
        let unknown = Problem::Never("unknown MAC algorithm");
        let (digest, key) = if self.algorithm.oid == oid::PBMAC1 {
            // RFC 9579: PBKDF2 and an HMAC instead of PKCS#12's own derivation.
            let (derivation, scheme) = parameters::pbes2_parameters(&self.algorithm)?;
            let digest = Digest::from_hmac_oid(scheme.oid).ok_or(unknown)?;
            let p = parameters::pbkdf2_parameters(&derivation)?;
            let prf = Digest::from_hmac_oid(p.prf).ok_or(unknown)?;
            let len = p
                .key_len
                .filter(|len| (1..=128).contains(len))
                .ok_or(unknown)?;
            (
                digest,
                pbe::pbkdf2(prf, &password.bytes, p.salt, p.iterations, len, rounds)?,
            )
        } else {
            let digest = Digest::from_oid(self.algorithm.oid).ok_or(unknown)?;
            let (purpose, len) = (Pkcs12Purpose::Mac, digest.size());
            let key = pbe::derive(
                digest,
                purpose,
                password,
                self.salt,
                self.iterations,
                len,
                rounds,
            )?;
            (digest, key)
        };
        let key = PKey::hmac(&key)?;
        let mut signer = Signer::new(digest.message_digest().ok_or(unknown)?, &key)?;
        for chunk in content.chunks() {
            signer.update(chunk)?;
        }
        let value = signer.sign_to_vec()?;
        Ok(value.len() == self.value.len() && openssl::memcmp::eq(&value, self.value))
    }
}

/// A `ContentInfo`'s type and what `[0]` holds.
fn content_info<'a>(tlv: &Tlv<'a>) -> Result<(Oid<'a>, Option<&'a [u8]>), Malformed> {
    let mut reader = tlv.reader();
    let kind = Oid::from_tlv(&reader.require(tag::OID, "content without a type")?)?;
    let content = reader.optional(tag::constructed(0))?;
    Ok((kind, content.map(|tlv| tlv.body)))
}

/// Walks an `AuthenticatedSafe`; without a password what is in the clear.
fn walk(
    safe: &[u8],
    password: Option<&Password>,
    rounds: &mut Rounds,
) -> Result<Contents, Problem> {
    let mut out = Contents::default();
    let (outer, _) = Tlv::read(safe)?;
    let mut reader = outer.reader();
    while !reader.is_empty() {
        let (kind, content) = content_info(&reader.require(tag::SEQUENCE, "no content")?)?;
        let Some(content) = content else { continue };
        match kind {
            oid::DATA => {
                let octets = Octets::from_tlv(&Tlv::only(content)?)?;
                bags(&octets.cow(), password, rounds, &mut out)?;
            }
            oid::ENCRYPTED_DATA => match open_safe(content, password, rounds) {
                Ok(opened) => {
                    // The padding of a wrong password is right once in 250 times, its structure is
                    // not.
                    if bags(&opened, password, rounds, &mut out).is_err() {
                        out.locked = true;
                    }
                }
                Err(problem) => out.note(problem)?,
            },
            _ => out.never = Some("protected with public keys, not with a passphrase"),
        }
    }
    Ok(out)
}

impl Contents {
    /// Takes note of something that did not open; too many rounds end the whole file.
    fn note(&mut self, problem: Problem) -> Result<(), Problem> {
        self.locked = true;
        match problem {
            Problem::Failed => Ok(()),
            Problem::Never(why) if why.starts_with("too many") => Err(problem),
            Problem::Never(why) => {
                self.never = Some(why);
                Ok(())
            }
        }
    }
}

/// Decrypts an `EncryptedData` (RFC 5652 §8) with a password.
fn open_safe(
    content: &[u8],
    password: Option<&Password>,
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut reader = Tlv::only(content)?.reader();
    reader.require(tag::INTEGER, "encrypted data without a version")?;
    let mut info = reader
        .require(tag::SEQUENCE, "encrypted data without content")?
        .reader();
    info.require(tag::OID, "encrypted content without a type")?;
    let algorithm = info.require(tag::SEQUENCE, "encrypted content without an algorithm")?;
    let algorithm = AlgorithmIdentifier::parse(algorithm.raw)?;
    let ciphertext = Octets::from_tlv(&info.read()?)?;
    let password = password.ok_or(Problem::Failed)?;
    pbe::decrypt(&algorithm, password, &ciphertext.cow(), rounds)
}

/// Walks `SafeContents`, nested ones too.
fn bags(
    contents: &[u8],
    password: Option<&Password>,
    rounds: &mut Rounds,
    out: &mut Contents,
) -> Result<(), Problem> {
    let mut stack = vec![safe_contents(contents)?];
    while let Some(reader) = stack.last_mut() {
        if reader.is_empty() {
            stack.pop();
            continue;
        }
        let bag = reader.require(tag::SEQUENCE, "no bag where one belongs")?;
        let mut fields = bag.reader();
        let kind = Oid::from_tlv(&fields.require(tag::OID, "bag without a type")?)?;
        let value = fields
            .require(tag::constructed(0), "bag without a value")?
            .body;
        match kind {
            oid::KEY_BAG => match PKey::private_key_from_pkcs8(value) {
                Ok(key) => out.keys.push(key),
                Err(_) => out.never = Some("holds a key of an unknown kind"),
            },
            oid::SHROUDED_KEY_BAG => match shrouded(value, password, rounds) {
                Ok(key) => out.keys.push(key),
                Err(problem) => {
                    out.locked_ids.extend(local_key_id(fields));
                    out.note(problem)?;
                }
            },
            oid::CERT_BAG => out.certificates.extend(certificate(value)?),
            oid::SAFE_CONTENTS_BAG if stack.len() < MAX_DEPTH => stack.push(safe_contents(value)?),
            oid::SAFE_CONTENTS_BAG => return Err(Problem::Never("nested too deeply")),
            _ => {}
        }
    }
    Ok(())
}

fn safe_contents(bytes: &[u8]) -> Result<Reader<'_>, Malformed> {
    let tlv = Tlv::only(bytes)?;
    if tlv.tag == tag::SEQUENCE {
        Ok(tlv.reader())
    } else {
        Err(Malformed("no bags"))
    }
}

/// The key in an `EncryptedPrivateKeyInfo` (RFC 5958 §3).
pub(super) fn shrouded(
    value: &[u8],
    password: Option<&Password>,
    rounds: &mut Rounds,
) -> Result<SecretKey, Problem> {
    let mut reader = Tlv::only(value)?.reader();
    let algorithm = reader.require(tag::SEQUENCE, "encrypted key without an algorithm")?;
    let algorithm = AlgorithmIdentifier::parse(algorithm.raw)?;
    let ciphertext = Octets::from_tlv(&reader.read()?)?;
    let password = password.ok_or(Problem::Failed)?;
    let der = pbe::decrypt(&algorithm, password, &ciphertext.cow(), rounds)?;
    Ok(PKey::private_key_from_pkcs8(&der)?)
}

/// The DER in a `CertBag`, where it is an X.509 one.
fn certificate(value: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    let mut reader = Tlv::only(value)?.reader();
    let kind = Oid::from_tlv(&reader.require(tag::OID, "certificate bag without a type")?)?;
    if kind != oid::X509_CERTIFICATE {
        return Ok(None);
    }
    let value = reader
        .require(tag::constructed(0), "certificate bag without a value")?
        .body;
    Ok(Some(
        Octets::from_tlv(&Tlv::only(value)?)?.cow().into_owned(),
    ))
}

/// The localKeyID among a bag's attributes.
fn local_key_id(mut fields: Reader<'_>) -> Option<Vec<u8>> {
    let mut attributes = fields.optional(tag::SET).ok()??.reader();
    while let Ok(attribute) = attributes.read() {
        let mut reader = attribute.reader();
        let kind = reader.read().ok()?;
        if kind.tag == tag::OID && Oid(kind.body) == oid::LOCAL_KEY_ID {
            let value = reader.optional(tag::SET).ok()??.reader().read().ok()?;
            return Some(Octets::from_tlv(&value).ok()?.cow().into_owned());
        }
    }
    None
}
