//! `p7mill restore OUT`: changed messages as they were, in place or in another folder.

use p7mill::Result;
use p7mill::engine;
use p7mill::report::summary::plural;
use p7mill::text::{escape_path, terminal_safe};

use super::args::RestoreArgs;
use super::interrupt::Interrupt;
use super::options::TalkArgs;
use super::paths;
use super::printer::Printer;
use super::progress::Progress;

/// What it returns where the source holds more than OUT can give back (contract: Exit codes).
const INCOMPLETE: u8 = 3;

/// Runs it; the exit code.
pub(crate) fn run(arguments: &RestoreArgs, talk: &TalkArgs, printer: &Printer) -> Result<u8> {
    paths::check_tree(&arguments.tree)?;
    let interrupt = Interrupt::watch()?;
    let progress = Progress::new(talk, printer, &interrupt);
    let restored = engine::restore(&arguments.tree, arguments.out.as_deref(), &progress)?;
    let place = terminal_safe(&escape_path(
        arguments.out.as_ref().unwrap_or(&arguments.tree),
    ));
    printer.summary(&format!(
        "{} in {}: now in {place} as before the run\n",
        plural(restored.messages, "message"),
        plural(restored.mailboxes, "mailbox")
    ))?;
    let withheld: Vec<_> = [
        (restored.withheld, "message"),
        (restored.withheld_files, "file"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, noun)| plural(number, noun))
    .collect();
    if withheld.is_empty() {
        return Ok(0);
    }
    let one = restored.withheld + restored.withheld_files == 1;
    printer.summary(&format!(
        "{} that the run left out {} not here: only the source has {}\n",
        withheld.join(" and "),
        if one { "is" } else { "are" },
        if one { "it" } else { "them" },
    ))?;
    Ok(INCOMPLETE)
}
