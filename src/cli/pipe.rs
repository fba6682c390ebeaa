//! PATH `-`: standard input, message by message, the result to standard output.

use std::io::{Cursor, Read, Write};

use p7mill::engine::{self, Reporter};
use p7mill::{Error, Result};

use super::job;
use super::printer::Printer;
use super::request::{Request, Wanted};
use super::settings::Settings;

/// Refuses what makes no sense on a pipe, before anything is opened.
pub(crate) fn check(request: &Request<'_>) -> Result<()> {
    if !matches!(
        request.command,
        "scan" | "verify" | "decrypt" | "reencrypt" | "encrypt" | "sign"
    ) {
        return Err(Error::Usage(format!(
            "{} does not read standard input; name a file or a folder (decrypt -, reencrypt -, encrypt - and sign - do)",
            request.command
        )));
    }
    if request.out.is_some_and(|out| out.out.is_some()) {
        return Err(Error::Usage(
            "what is read from - goes to standard output; leave out --out, or name the file instead of -".into(),
        ));
    }
    Ok(())
}

/// Runs a command on standard input; the exit code. Where mail goes to standard output, the
/// summary goes to standard error.
pub(crate) fn run(
    request: &Request<'_>,
    settings: &Settings,
    printer: &Printer,
    reporter: &dyn Reporter,
) -> Result<u8> {
    let writes = request.out.is_some();
    let dry_run = request.out.is_some_and(|out| out.dry_run);
    let mut output = printer.output();
    let finished = engine::run_stream(
        &settings.job,
        &settings.context,
        input(request),
        (writes && !dry_run).then_some(&mut output as &mut dyn Write),
        reporter,
    )?;
    let lines = finished
        .totals
        .lines(&job::telling(request, settings, printer))
        .join("\n");
    if writes {
        printer.note(&lines);
    } else {
        printer.summary(&format!("{lines}\n"))?;
    }
    Ok(finished.exit_code)
}

/// Standard input, or what has been read from it already.
fn input(request: &Request<'_>) -> Box<dyn Read + Send> {
    match &request.task {
        Wanted::Sign(wanted) if wanted.arguments.identity.is_none() => {
            Box::new(Cursor::new(wanted.message.clone()))
        }
        _ => Box::new(std::io::stdin()),
    }
}
