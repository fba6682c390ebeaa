//! OpenSSL's providers: the legacy one holds RC2 and single DES, without which an Outlook Express
//! key file or a mail from the nineties does not open.

use std::sync::OnceLock;

use openssl::provider::Provider;

static LEGACY: OnceLock<Result<Provider, &'static str>> = OnceLock::new();

/// The OpenSSL in use, as it names itself.
pub fn version() -> &'static str {
    openssl::version::version()
}

/// Loads the legacy provider beside the default one, once, for the life of the process. The error
/// says why it is not to be had; everything but RC2, single DES and the key files that use them
/// works without it.
pub fn legacy() -> Result<(), &'static str> {
    let loaded = LEGACY.get_or_init(|| {
        // `true` keeps the default provider, which naming another one would switch off.
        Provider::try_load(None, "legacy", true)
            .map_err(|_| "OpenSSL's legacy provider (RC2, DES) is not installed")
    });
    loaded.as_ref().map(|_| ()).map_err(|why| *why)
}
