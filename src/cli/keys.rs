//! `p7mill keys list`: which key files open, which are locked, whose they are.

use std::fmt::Write as _;

use p7mill::Result;
use p7mill::cert::certificate::Certificate;
use p7mill::keys::keyring::{KeyFile, KeyFileStatus, KeyRing};
use p7mill::text::{day, escape_path};

use super::args::{KeysCommand, KeysListArgs};
use super::printer::{Printer, Tone, table};
use super::settings;

/// Runs a `keys` command; the exit code.
pub(crate) fn run(command: &KeysCommand, printer: &Printer) -> Result<u8> {
    match command {
        KeysCommand::List(arguments) => list(arguments, printer),
    }
}

fn list(arguments: &KeysListArgs, printer: &Printer) -> Result<u8> {
    let passphrases = &arguments.keys.passphrases;
    let mut notes = Vec::new();
    let ring = settings::keyring(&arguments.keys.keys, Some(passphrases), &mut notes)?;
    printer.result(&listing(&ring, passphrases.given(), printer))?;
    for note in &notes {
        printer.note(note);
    }
    Ok(0)
}

fn listing(ring: &KeyRing, tried: bool, printer: &Printer) -> String {
    let mut rows = Vec::new();
    let mut counts = [0_usize; 4];
    for file in ring.files() {
        let (place, status) = match file.status {
            KeyFileStatus::Open => (0, "open".to_owned()),
            KeyFileStatus::Locked => (1, "locked".to_owned()),
            KeyFileStatus::NoKey => (2, "certificates only".to_owned()),
            KeyFileStatus::Unreadable(why) => (3, format!("unreadable: {why}")),
        };
        if let Some(count) = counts.get_mut(place) {
            *count += 1;
        }
        let keys = if file.keys == 0 {
            String::new()
        } else {
            file.keys.to_string()
        };
        let name = escape_path(&file.path);
        let people = people(ring, file);
        if people.is_empty() {
            rows.push(vec![
                name,
                status,
                keys,
                String::new(),
                String::new(),
                String::new(),
                String::new(),
            ]);
            continue;
        }
        for (index, certificate) in people.into_iter().enumerate() {
            let (name, status, keys) = if index == 0 {
                (name.clone(), status.clone(), keys.clone())
            } else {
                (String::new(), String::new(), String::new())
            };
            rows.push(vec![
                name,
                status,
                keys,
                certificate.addresses.join(" "),
                certificate.serial_hex(),
                day(certificate.not_after),
                certificate.subject.clone(),
            ]);
        }
    }
    let mut text = table(
        0,
        &[
            "FILE",
            "STATUS",
            "KEYS",
            "ADDRESSES",
            "SERIAL",
            "NOT AFTER",
            "SUBJECT",
        ],
        &rows,
    );
    let [open, locked, certificates, unreadable] = counts;
    let _ = write!(text, "\nKey files: {open} open, {locked} locked");
    if certificates > 0 {
        let _ = write!(text, ", {certificates} with certificates only");
    }
    if unreadable > 0 {
        let _ = write!(
            text,
            ", {}",
            printer.tone(Tone::Bad, &format!("{unreadable} unreadable"))
        );
    }
    text.push('\n');
    if locked > 0 {
        text.push_str(if tried {
            "No passphrase given opens the locked files; --passphrases FILE.csv gives each file its own.\n"
        } else {
            "Locked files open with --passphrase-file FILE or --passphrases FILE.csv.\n"
        });
    }
    text
}

/// Whose a file is: its own certificates, or those that its keys found in other files. People go
/// first: the CAs that a key file carries along are not whose it is.
fn people<'a>(ring: &'a KeyRing, file: &'a KeyFile) -> Vec<&'a Certificate> {
    let name = file
        .path
        .file_name()
        .map(|name| escape_path(name.as_ref()))
        .unwrap_or_default();
    let elsewhere = ring
        .keys()
        .iter()
        .filter(|key| key.name == name)
        .flat_map(|key| &key.certificates);
    let all: Vec<&Certificate> = if file.certificates.is_empty() {
        elsewhere.map(AsRef::as_ref).collect()
    } else {
        file.certificates.iter().map(AsRef::as_ref).collect()
    };
    let people: Vec<_> = all
        .iter()
        .copied()
        .filter(|certificate| !certificate.is_ca)
        .collect();
    if people.is_empty() { all } else { people }
}
