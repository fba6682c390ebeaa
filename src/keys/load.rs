//! Key files: which there are, in order, and what is in each, judged by content.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;
use zeroize::Zeroizing;

use super::keyring::KeyFileStatus;
use super::passphrase::{Passphrase, Passphrases};
use super::pbe::{Password, Problem, Rounds};
use super::pem::{self, Item};
use super::pkcs12::{self, Contents, Pfx};
use crate::cms;
use crate::crypto::SecretKey;
use crate::error::{Error, Result};

/// Bytes of the largest file taken for a key file.
const MAX_FILE: u64 = 16 << 20;

/// What one file gave.
pub(super) struct Loaded {
    pub(super) path: PathBuf,
    pub(super) status: KeyFileStatus,
    pub(super) keys: Vec<SecretKey>,
    /// In DER, not looked into.
    pub(super) certificates: Vec<Vec<u8>>,
    /// localKeyIDs of keys that stay locked.
    pub(super) locked_ids: Vec<Vec<u8>>,
}

/// Every file at or below `roots`, sorted within each root. Symlinks to folders are not followed
/// below a root; what is no regular file is skipped, so that no FIFO is waited for.
pub(super) fn files(roots: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut out: Vec<PathBuf> = Vec::new();
    for root in roots {
        let metadata = std::fs::metadata(root)
            .map_err(|error| Error::Usage(format!("--keys {}: {error}", root.display())))?;
        if metadata.is_file() {
            out.push(root.clone());
            continue;
        }
        if !metadata.is_dir() {
            let what = format!("--keys {}: neither a file nor a folder", root.display());
            return Err(Error::Usage(what));
        }
        let walk = WalkDir::new(root).sort_by_file_name().max_depth(64);
        for entry in walk.into_iter().filter_map(std::result::Result::ok) {
            let file_type = entry.file_type();
            let is_link_to_file =
                || file_type.is_symlink() && entry.path().metadata().is_ok_and(|m| m.is_file());
            if file_type.is_file() || is_link_to_file() {
                out.push(entry.into_path());
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    out.retain(|path| seen.insert(path.clone()));
    Ok(out)
}

/// Opens one file as far as the passphrases go. Nothing that is wrong with it ends the load.
pub(super) fn load(path: PathBuf, passphrases: &mut Passphrases) -> Loaded {
    let mut out = Loaded {
        status: KeyFileStatus::NoKey,
        keys: Vec::new(),
        certificates: Vec::new(),
        locked_ids: Vec::new(),
        path,
    };
    let bytes = match read(&out.path) {
        Ok(bytes) => bytes,
        Err(why) => {
            out.status = KeyFileStatus::Unreadable(why);
            return out;
        }
    };
    let items = pem::items(&bytes);
    if items.is_empty() {
        out.status = KeyFileStatus::Unreadable("neither key nor certificate");
        return out;
    }
    let path = out.path.clone();
    let mut tries = Tries::new(&path, passphrases);
    let (mut locked, mut never) = (false, None);
    for item in items {
        match item {
            Item::Certificate(der) => out.certificates.push(der.into_owned()),
            Item::Cms(bytes) => out.certificates.extend(certificates(&bytes)),
            Item::Key(der) => match pem::key(&der) {
                Some(key) => out.keys.push(key),
                None => never = Some("holds a key of an unknown kind"),
            },
            Item::EncryptedKey(der) => {
                match tries.find(|passphrase, rounds| encrypted(&der, passphrase, rounds)) {
                    Ok(Some(key)) => out.keys.push(key),
                    Ok(None) => locked = true,
                    Err(why) => never = Some(why),
                }
            }
            Item::EncryptedPem(block) => {
                match tries.find(|passphrase, _| Ok(pem::encrypted_key(block, passphrase))) {
                    Ok(Some(key)) => out.keys.push(key),
                    _ => locked = true,
                }
            }
            Item::Pkcs12(bytes) => match pkcs12(&bytes, &mut tries) {
                Ok(contents) => {
                    locked |= contents.locked;
                    never = never.or(contents.never);
                    out.keys.extend(contents.keys);
                    out.certificates.extend(contents.certificates);
                    out.locked_ids.extend(contents.locked_ids);
                }
                Err(why) => never = Some(why),
            },
        }
    }
    out.keys
        .retain(|key| crate::crypto::rsa::is_reasonable(key));
    out.status = match never {
        _ if !out.keys.is_empty() => KeyFileStatus::Open,
        Some(why) => KeyFileStatus::Unreadable(why),
        None if locked => KeyFileStatus::Locked,
        None => KeyFileStatus::NoKey,
    };
    out
}

fn read(path: &Path) -> std::result::Result<Zeroizing<Vec<u8>>, &'static str> {
    let file = File::open(path).map_err(|_| "cannot be read")?;
    let len = file.metadata().map_err(|_| "cannot be read")?.len();
    if len > MAX_FILE {
        return Err("over 16 MiB");
    }
    // Room for all of it at once: a buffer that moves leaves a copy behind.
    let room = usize::try_from(len).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(len)
        .read_to_end(&mut bytes)
        .map_err(|_| "cannot be read")?;
    Ok(bytes)
}

/// The passphrases to try on one file: those known, the empty one, then what a person says.
struct Tries<'a> {
    path: &'a Path,
    passphrases: &'a mut Passphrases,
    known: Vec<Passphrase>,
    asked: u32,
    /// One budget for all tries on all objects of the file.
    rounds: Rounds,
}

impl<'a> Tries<'a> {
    fn new(path: &'a Path, passphrases: &'a mut Passphrases) -> Self {
        let mut known = passphrases.known_for(path);
        known.push(Passphrase::new(b""));
        Self {
            path,
            passphrases,
            known,
            asked: 0,
            rounds: Rounds::default(),
        }
    }

    /// The first thing that `open` makes of a passphrase. One that a person gave is tried on the
    /// file's other objects too. An error ends the search: no passphrase would help.
    fn find<T>(
        &mut self,
        mut open: impl FnMut(&[u8], &mut Rounds) -> std::result::Result<Option<T>, &'static str>,
    ) -> std::result::Result<Option<T>, &'static str> {
        for passphrase in &self.known {
            if let Some(found) = open(passphrase.bytes(), &mut self.rounds)? {
                return Ok(Some(found));
            }
        }
        while let Some(passphrase) = self.passphrases.ask(self.path, &mut self.asked) {
            // A person at the terminal is no flood.
            self.rounds = Rounds::default();
            let found = open(passphrase.bytes(), &mut self.rounds)?;
            self.known.push(passphrase);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

fn encrypted(
    der: &[u8],
    passphrase: &[u8],
    rounds: &mut Rounds,
) -> std::result::Result<Option<SecretKey>, &'static str> {
    for password in Password::readings(passphrase) {
        match pkcs12::shrouded(der, Some(&password), rounds) {
            Ok(key) => return Ok(Some(key)),
            Err(Problem::Failed) => {}
            Err(Problem::Never(why)) => return Err(why),
        }
    }
    Ok(None)
}

fn pkcs12(bytes: &[u8], tries: &mut Tries<'_>) -> std::result::Result<Contents, &'static str> {
    let why = |problem| match problem {
        Problem::Never(why) => why,
        Problem::Failed => "malformed",
    };
    let pfx = Pfx::parse(bytes).map_err(why)?;
    let clear = pfx.in_the_clear().map_err(why)?;
    if !clear.locked {
        return Ok(clear);
    }
    let opened = tries.find(|passphrase, rounds| pfx.open(passphrase, rounds).map_err(why))?;
    Ok(opened.unwrap_or(clear))
}

fn certificates(bytes: &[u8]) -> Vec<Vec<u8>> {
    match cms::parse(bytes).map(|info| info.content) {
        Ok(cms::Content::Signed(signed)) => signed
            .certificates
            .into_iter()
            .map(<[u8]>::to_vec)
            .collect(),
        _ => Vec::new(),
    }
}
