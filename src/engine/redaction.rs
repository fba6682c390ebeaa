//! The key that pseudonyms in reports are made with: it lies apart from them, so that they can
//! leave the house and it does not.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::layout::Layout;
use super::run::Job;
use crate::crypto::random;
use crate::error::{Error, Result};
use crate::fsio;
use crate::report::redact::Redactor;
use crate::text::hex;

/// Bytes of the key.
const LEN: usize = 32;

/// What hides names in the reports of `job`; `None` where nothing is to be hidden.
///
/// The key is read from its file, or made and written there, durable before any report is: a run
/// that is killed and continued hides a name under the same pseudonym.
///
/// # Errors
/// [`Error::Usage`] where the file holds no key, or others can read it.
pub(super) fn redactor(job: &Job, layout: Option<&Layout>) -> Result<Option<Redactor>> {
    if !job.hidden.any() {
        return Ok(None);
    }
    let file = job
        .redaction_key
        .clone()
        .or_else(|| layout.map(Layout::redaction_key));
    let key = match file {
        Some(file) if std::fs::symlink_metadata(&file).is_ok() => read(&file)?,
        Some(file) => {
            let key = fresh(&file)?;
            let text = Zeroizing::new(hex(&key));
            fsio::write_atomic(&file, |out| writeln!(out, "{}", text.as_str()))?;
            key
        }
        None => fresh(&PathBuf::new())?,
    };
    Ok(Some(Redactor::new(job.hidden, key)))
}

fn fresh(file: &std::path::Path) -> Result<Zeroizing<Vec<u8>>> {
    random::secret(LEN)
        .map_err(|_| Error::io("make a key for", file)(std::io::Error::other("no randomness")))
}

fn read(file: &std::path::Path) -> Result<Zeroizing<Vec<u8>>> {
    use std::os::unix::fs::PermissionsExt as _;
    let wrong = |what: &str| Error::Usage(format!("the redaction key {} {what}", file.display()));
    let found = std::fs::metadata(file).map_err(Error::io("read", file))?;
    if !found.is_file() || found.len() > 1024 {
        return Err(wrong("is no key file of p7mill"));
    }
    if found.permissions().mode() & 0o077 != 0 {
        return Err(wrong("can be read by others: chmod 600 it"));
    }
    let text = Zeroizing::new(fsio::read(file)?);
    let digits = text.trim_ascii();
    if digits.len() != LEN * 2 {
        return Err(wrong("is no key file of p7mill"));
    }
    let mut key = Zeroizing::new(vec![0; LEN]);
    for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).ok();
        *byte = pair
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .ok_or_else(|| wrong("is no key file of p7mill"))?;
    }
    Ok(key)
}
