//! What libcrypto accepts, and the content that it would hand on. Its binding tells no more.

use openssl::cms::{CMSOptions, CmsContentInfo};
use openssl::error::ErrorStack;

use crate::summary::{Read, Summary, digest};

pub(crate) fn read(object: &[u8]) -> Read {
    let mut info = CmsContentInfo::from_der(object).map_err(|error| kind(&error))?;
    // Only what ours says as well is compared: the outer type comes from there.
    let ours = crate::ours::read(object).unwrap_or_default();
    let mut summary = Summary {
        content_type: ours.content_type,
        recipients: ours.recipients,
        signers: ours.signers,
        ..Summary::default()
    };
    let options = CMSOptions::NO_SIGNER_CERT_VERIFY
        | CMSOptions::NO_ATTR_VERIFY
        | CMSOptions::NO_CONTENT_VERIFY
        | CMSOptions::BINARY;
    let mut content = Vec::new();
    if info
        .verify(None, None, None, Some(&mut content), options)
        .is_ok()
    {
        summary.content = digest(Some(&content));
    }
    Ok(summary)
}

/// The innermost reason, and the type that it was met in.
fn kind(error: &ErrorStack) -> String {
    let first = error.errors().first();
    let reason = first
        .and_then(openssl::error::Error::reason)
        .unwrap_or("no reason");
    let place = error.errors().iter().find_map(|error| {
        let data = error.data()?;
        Some(data.split("Type=").nth(1)?.trim().to_owned())
    });
    format!("{reason} in {}", place.unwrap_or_default())
}
