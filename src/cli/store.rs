//! `p7mill store list|show|export`: a look into the certificate store.

use std::fmt::Write as _;
use std::path::Path;

use p7mill::cert::certificate::Certificate;
use p7mill::report::summary::plural;
use p7mill::store::{Filter, Store, StoredCertificate, StoredSighting, export};
use p7mill::text::{day, hex, rfc3339, terminal_safe};
use p7mill::{Error, Result};

use super::args::{StoreCommand, StoreShowArgs};
use super::printer::{Printer, table};
use super::values::ExportFormat;

/// The fewest digits of a fingerprint that name a certificate.
const DIGITS: usize = 8;
/// The messages shown that a certificate was seen in.
const SIGHTINGS: u32 = 5;

/// Runs a `store` command; the exit code.
pub(crate) fn run(command: &StoreCommand, printer: &Printer) -> Result<u8> {
    match command {
        StoreCommand::List(arguments) => {
            let mut all = open(&arguments.store.store)?.certificates()?;
            all.sort_by(|a, b| (&a.addresses, a.not_after).cmp(&(&b.addresses, b.not_after)));
            printer.result(&listing(&all))?;
        }
        StoreCommand::Show(arguments) => show(arguments, printer)?,
        StoreCommand::Export(arguments) => match arguments.format {
            ExportFormat::Pem => {
                printer.result(&export::pem::pem(&open(&arguments.store.store)?)?)?;
            }
        },
    }
    Ok(0)
}

/// Opens a store that is there: looking must not make one.
fn open(file: &Path) -> Result<Store> {
    if !file.is_file() {
        return Err(Error::Usage(format!(
            "--store {}: there is no such store",
            file.display()
        )));
    }
    Store::open(file, false)
}

fn listing(all: &[StoredCertificate]) -> String {
    let rows: Vec<_> = all
        .iter()
        .map(|stored| {
            vec![
                stored.status.to_string(),
                stored.addresses.join(" "),
                day(stored.not_before),
                day(stored.not_after),
                hex(&stored.sha256).chars().take(16).collect(),
                stored.subject.clone(),
            ]
        })
        .collect();
    let mut text = table(
        0,
        &[
            "STATUS",
            "ADDRESSES",
            "NOT BEFORE",
            "NOT AFTER",
            "SHA256",
            "SUBJECT",
        ],
        &rows,
    );
    let _ = writeln!(text, "\n{}", plural(all.len() as u64, "certificate"));
    text
}

fn show(arguments: &StoreShowArgs, printer: &Printer) -> Result<()> {
    let store = open(&arguments.store.store)?;
    let mut text = String::new();
    for who in &arguments.who {
        let found = store.list(&filter(who)?)?;
        if found.is_empty() {
            return Err(Error::Usage(format!("{who}: not in the store")));
        }
        for stored in found {
            describe(
                &stored,
                &store.sightings(&stored.sha256, SIGHTINGS)?,
                &mut text,
            );
        }
    }
    printer.result(&text)
}

fn filter(who: &str) -> Result<Filter> {
    if who.contains('@') {
        Ok(Filter {
            address: Some(who.to_owned()),
            ..Filter::default()
        })
    } else if who.len() >= DIGITS && who.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(Filter {
            sha256_prefix: Some(who.to_ascii_lowercase()),
            ..Filter::default()
        })
    } else {
        Err(Error::Usage(format!(
            "{who}: neither an address nor the first digits (at least {DIGITS}) of a sha256"
        )))
    }
}

/// All that is known of one certificate, a fact a line.
fn describe(stored: &StoredCertificate, sightings: &[StoredSighting], text: &mut String) {
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<12} {}", terminal_safe(value));
        }
    };
    line("sha256", &hex(&stored.sha256));
    line("status", stored.status.as_str());
    line("reasons", &stored.reasons.join(" "));
    line("addresses", &stored.addresses.join(" "));
    line("subject", &stored.subject);
    line("issuer", &stored.issuer);
    line("serial", &stored.serial);
    line("ski", stored.ski.as_deref().unwrap_or_default());
    line("not before", &rfc3339(stored.not_before));
    line("not after", &rfc3339(stored.not_after));
    if let Ok(certificate) = Certificate::decode(&stored.der) {
        line("key", &certificate.key_name);
        line("signature", &certificate.signature);
        line("usages", &certificate.usages.join(" "));
    }
    line(
        "first seen",
        &stored.first_seen.map(rfc3339).unwrap_or_default(),
    );
    line(
        "last seen",
        &stored.last_seen.map(rfc3339).unwrap_or_default(),
    );
    line("messages", &stored.count.to_string());
    for sighting in sightings {
        let date = sighting.date.map(rfc3339).unwrap_or_default();
        let says = if sighting.usable {
            "usable".to_owned()
        } else {
            sighting.reasons.join(" ")
        };
        line(
            "  seen in",
            &format!("{date} <{}> {says}", sighting.message_id),
        );
    }
    text.push('\n');
}
