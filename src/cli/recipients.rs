//! Whom to encrypt to: certificate files, addresses in the store, and what each is good for.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use p7mill::cert::{Certificate, trust};
use p7mill::keys::Passphrases;
use p7mill::keys::keyring::{KeyFileStatus, KeyRing};
use p7mill::ops::encrypt::Directory;
use p7mill::smime::seal::Recipient;
use p7mill::store::Store;
use p7mill::text::{day, escape_path, hex, rfc3339};
use p7mill::{Error, Result};

use super::settings::named;

/// What `--to` names, if it is an address: no file of that name, and an at sign in it.
pub(crate) fn address(to: &Path) -> Option<&str> {
    to.to_str()
        .filter(|text| text.contains('@') && !to.exists())
}

/// RSA keys of fewer bits are not encrypted to,
const WEAKEST_RSA: u32 = 1024;
/// and of fewer than these not without a word (RFC 8551 §4.2).
const STRONG_RSA: u32 = 2048;

/// The certificates of the files that `option` names; an address goes only with `--to`.
pub(crate) fn files(
    option: &str,
    to: &[PathBuf],
    now: i64,
    notes: &mut Vec<String>,
) -> Result<Vec<Recipient>> {
    let mut recipients = Vec::new();
    let is_file = |to: &&PathBuf| option != "--to" || address(to).is_none();
    for file in to.iter().filter(is_file) {
        if file.is_dir() {
            return Err(Error::Usage(format!(
                "{option} {}: a folder; name one certificate file",
                file.display()
            )));
        }
        let found = trust::load_certificates(std::slice::from_ref(file))
            .map_err(|error| key_file(option, file).unwrap_or_else(|| named(option, error)))?;
        let certificate = the_one(&found)
            .ok_or_else(|| {
                Error::Usage(format!(
                    "{option} {}: holds several people's certificates; name a file for each",
                    file.display()
                ))
            })?
            .clone();
        if !certificate.can_encrypt_mail() {
            return Err(Error::Usage(format!(
                "{option} {}: the certificate of {} is not for encrypting mail",
                file.display(),
                certificate.subject
            )));
        }
        look_at_key(option, file, &certificate, notes)?;
        if !(certificate.not_before..=certificate.not_after).contains(&now) {
            notes.push(format!(
                "{option} {}: the certificate is valid from {} to {}, not now; it is used since it was named",
                escape_path(file),
                rfc3339(certificate.not_before),
                rfc3339(certificate.not_after),
            ));
        }
        recipients.push(certificate.into());
    }
    Ok(recipients)
}

/// Where a file without a readable certificate is somebody's key file: how to get the certificate, which is
/// all that encrypting takes.
fn key_file(option: &str, file: &Path) -> Option<Error> {
    let ring = KeyRing::load(&[file.to_path_buf()], &mut Passphrases::none()).ok()?;
    let status = ring.files().first()?.status;
    matches!(status, KeyFileStatus::Open | KeyFileStatus::Locked).then(|| {
        let name = escape_path(file);
        let stem = escape_path(file.file_stem().unwrap_or_default().as_ref());
        Error::Usage(format!(
            "{option} {name}: a key file; name the certificate of who is to read, alone: openssl pkcs12 -in {name} \
             -clcerts -nokeys -out {stem}.pem takes it out of a PKCS#12 file"
        ))
    })
}

/// Whether a named certificate is a person's, and its key strong enough to keep mail secret.
///
/// # Errors
/// [`Error::Usage`] for a CA that no mail goes to, and for an RSA key of less than 1024 bits.
fn look_at_key(
    option: &str,
    file: &Path,
    certificate: &Certificate,
    notes: &mut Vec<String>,
) -> Result<()> {
    if certificate.is_ca && certificate.addresses.is_empty() {
        return Err(Error::Usage(format!(
            "{option} {}: the certificate of {} is a CA's, not a person's; name the certificate of who is to read",
            file.display(),
            certificate.subject
        )));
    }
    let bits = certificate
        .key_name
        .strip_prefix("rsa-")
        .and_then(|bits| bits.parse::<u32>().ok());
    match bits {
        Some(bits) if bits < WEAKEST_RSA => Err(Error::Usage(format!(
            "{option} {}: its RSA key has {bits} bits; anyone can read what is encrypted to it",
            file.display()
        ))),
        Some(bits) if bits < STRONG_RSA => {
            notes.push(format!(
                "{option} {}: its RSA key has {bits} bits, which is weak (2048 are asked for); it is used since it was named",
                escape_path(file)
            ));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The person's certificate of a file that may hold the CAs above it too.
fn the_one(found: &[Arc<Certificate>]) -> Option<&Arc<Certificate>> {
    if let [only] = found {
        return Some(only);
    }
    let mut people = found.iter().filter(|certificate| !certificate.is_ca);
    people.next().filter(|_| people.next().is_none())
}

/// What the store and the certificates beside the keys say of addresses.
pub(crate) fn directory(store: Option<&Store>, keyring: &KeyRing, now: i64) -> Result<Directory> {
    let mut directory = Directory::default();
    if let Some(store) = store {
        for (address, choice) in store.choices(now)? {
            if let Some(best) = choice.candidates.into_iter().next() {
                let recipient = Recipient::new(best.certificate, best.capabilities);
                directory.add(&address, recipient);
            }
            for refused in choice.refused {
                directory.refuse(&address, refused.reasons, refused.not_after);
            }
        }
    }
    directory.add_given(keyring, now);
    Ok(directory)
}

pub(crate) fn in_store(store: Option<&Store>, address: &str, now: i64) -> Result<Recipient> {
    let Some(store) = store else {
        return Err(Error::Usage(format!(
            "--to {address}: an address is looked up in the certificate store; add --store FILE, or name a \
             certificate file"
        )));
    };
    let choice = store.choose(address, now)?;
    if let Some(best) = choice.candidates.into_iter().next() {
        return Ok(Recipient::new(best.certificate, best.capabilities));
    }
    let store = store.path().display();
    let mut why =
        format!("--to {address}: {store} holds no certificate that may be used for it now");
    for refused in choice.refused.iter().take(3) {
        let digits: String = hex(&refused.sha256).chars().take(16).collect();
        let _ = write!(why, "; {digits}… is {}", refused.reasons.join(", "));
        if refused
            .reasons
            .iter()
            .any(|reason| reason == "cert-expired")
        {
            let _ = write!(why, " since {}", day(refused.not_after));
        }
    }
    Err(Error::Usage(format!(
        "{why}. A certificate file can be named instead"
    )))
}
