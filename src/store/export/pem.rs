//! PEM, with a line of explanation before each certificate (RFC 7468 §5.2).

use std::fmt::Write as _;

use crate::cert::certificate::pem as encode;
use crate::error::Result;
use crate::store::{Filter, Store, StoredCertificate};
use crate::text::terminal_safe;

/// Every `usable` certificate: proven by a signature of its owner. Authorities are left out, since
/// a program that takes them in may trust them, and so is what is only named or quarantined.
pub fn pem(store: &Store) -> Result<String> {
    let all = store.certificates()?;
    Ok(write(all.iter().filter(|certificate| {
        certificate.status == crate::store::Status::Usable
    })))
}

/// The certificates that `filter` lets pass, whatever their status.
pub fn pem_of(store: &Store, filter: &Filter) -> Result<String> {
    Ok(write(store.list(filter)?.iter()))
}

fn write<'a>(certificates: impl Iterator<Item = &'a StoredCertificate>) -> String {
    let mut out = String::new();
    for certificate in certificates {
        // A subject is hostile text: it must not bring forth a line of its own, let alone a PEM
        // boundary.
        let addresses = terminal_safe(&certificate.addresses.join(" "));
        let _ = writeln!(out, "# {} {addresses}", certificate.status);
        let _ = writeln!(
            out,
            "# subject: {}",
            terminal_safe(&certificate.subject).replace("-----", "- - -")
        );
        out.push_str(&encode(&certificate.der));
    }
    out
}
