//! `p7mill decrypt`

use p7mill::Result;
use p7mill::ops::Opening;

use super::args::DecryptArgs;
use super::job;
use super::options::TalkArgs;
use super::printer::Printer;
use super::request::{Request, Wanted};

/// Runs it; the exit code.
pub(crate) fn run(arguments: &DecryptArgs, talk: &TalkArgs, printer: &Printer) -> Result<u8> {
    let request = Request {
        command: "decrypt",
        paths: &arguments.source.paths,
        keys: &arguments.keys.keys,
        passphrases: Some(&arguments.keys.passphrases),
        messages: Some(&arguments.keys.messages),
        trust: &arguments.trust.trust,
        judging: Some(&arguments.trust.more),
        now: arguments.trust.more.now.now,
        out: Some(&arguments.out),
        retry: arguments.retry.retry_failed,
        report: arguments.out.report.report.as_deref(),
        format: Some(arguments.out.format),
        run: Some(&arguments.run),
        task: Wanted::Mill(Opening::Decrypt),
        ..Request::default()
    };
    job::run(&request, talk, printer)
}
