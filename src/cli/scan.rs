//! `p7mill scan`

use p7mill::Result;
use p7mill::ops::Opening;

use super::args::ScanArgs;
use super::job;
use super::options::TalkArgs;
use super::printer::Printer;
use super::request::{Request, Wanted};

/// Runs it; the exit code.
pub(crate) fn run(arguments: &ScanArgs, talk: &TalkArgs, printer: &Printer) -> Result<u8> {
    let request = Request {
        command: "scan",
        paths: &arguments.source.paths,
        keys: &arguments.keys.keys,
        passphrases: Some(&arguments.keys.passphrases),
        messages: Some(&arguments.keys.messages),
        now: arguments.now.now,
        report: arguments.report.report.as_deref(),
        format: arguments.report.format,
        shape: Some(&arguments.report.shape),
        run: Some(&arguments.run),
        hash: arguments.hash,
        task: Wanted::Mill(Opening::Keep),
        ..Request::default()
    };
    job::run(&request, talk, printer)
}
