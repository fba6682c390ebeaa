//! `p7mill encrypt`

use p7mill::{Error, Result};

use super::args::EncryptArgs;
use super::job;
use super::options::TalkArgs;
use super::printer::Printer;
use super::request::{Request, Wanted};

/// Runs it; the exit code.
pub(crate) fn run(arguments: &EncryptArgs, talk: &TalkArgs, printer: &Printer) -> Result<u8> {
    let encryption = &arguments.encryption;
    if encryption.to.is_empty() && !encryption.to_recipients {
        return Err(Error::Usage(
            "encrypt needs to know for whom: --to CERTFILE or ADDRESS, or --to-recipients for each message's To, Cc \
             and Bcc"
                .into(),
        ));
    }
    let knows_any =
        arguments.store.store.is_some() || !encryption.to.is_empty() || !encryption.keys.is_empty();
    if !knows_any {
        return Err(Error::Usage(
            "--to-recipients looks addresses up: add --store FILE, the certificate store, or name certificates with --to \
             or --keys"
                .into(),
        ));
    }
    if arguments.out.stamp {
        return Err(Error::Usage(
            "--stamp does not go with encrypt: it would publish the hash of a readable message, from which whoever sees \
             the encrypted one can guess short contents and blind recipients. OUT/report/manifest.csv has the hash"
                .into(),
        ));
    }
    let request = Request {
        command: "encrypt",
        paths: &arguments.source.paths,
        keys: &encryption.keys,
        passphrases: Some(&encryption.passphrases),
        now: arguments.now.now,
        store: arguments.store.store.as_deref(),
        to: &encryption.to,
        recovery: &encryption.recovery,
        out: Some(&arguments.out),
        report: arguments.out.report.report.as_deref(),
        format: Some(arguments.out.format),
        run: Some(&arguments.run),
        task: Wanted::Encrypt(encryption),
        ..Request::default()
    };
    job::run(&request, talk, printer)
}
