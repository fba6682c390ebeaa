//! `p7mill harvest`

use p7mill::Result;
use p7mill::ops::Opening;

use super::args::HarvestArgs;
use super::job;
use super::options::TalkArgs;
use super::printer::Printer;
use super::request::{Request, Wanted};

/// Runs it; the exit code.
pub(crate) fn run(arguments: &HarvestArgs, talk: &TalkArgs, printer: &Printer) -> Result<u8> {
    let request = Request {
        command: "harvest",
        paths: &arguments.source.paths,
        keys: &arguments.keys.keys,
        passphrases: Some(&arguments.keys.passphrases),
        messages: Some(&arguments.keys.messages),
        trust: &arguments.trust.trust,
        judging: Some(&arguments.trust.more),
        now: arguments.trust.more.now.now,
        store: Some(&arguments.store.store),
        harvests: true,
        report: arguments.report.report.as_deref(),
        format: arguments.report.format,
        shape: Some(&arguments.report.shape),
        run: Some(&arguments.run),
        task: Wanted::Mill(Opening::Look),
        ..Request::default()
    };
    job::run(&request, talk, printer)
}
