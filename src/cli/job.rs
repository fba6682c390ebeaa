//! From a command's request to a finished run: settings, the engine, the summary, the exit code.

use std::fmt::Write as _;

use p7mill::engine::{self, Finished};
use p7mill::text::{escape_path, terminal_safe};
use p7mill::{Error, Result};

use super::interrupt::Interrupt;
use super::options::TalkArgs;
use super::printer::{Printer, Tone};
use super::progress::Progress;
use super::settings::{Request, Settings};
use super::{paths, pipe};

/// Runs an archive command; the exit code.
pub(crate) fn run(request: &Request<'_>, talk: &TalkArgs, printer: &Printer) -> Result<u8> {
    paths::check_sources(request.paths)?;
    let piped = request.paths.iter().any(|path| paths::is_stdin(path));
    if piped {
        pipe::check(request)?;
    } else if request.out.is_some_and(|out| out.out.is_none()) {
        return Err(Error::Usage(format!(
            "{} needs --out DIR, the folder that receives the archive",
            request.command
        )));
    }
    let mut settings = Settings::resolve(request)?;
    for note in &settings.notes {
        printer.note(note);
    }
    let keyring = &settings.context.keyring;
    printer.detail(&format!(
        "{} keys open, {} key files locked, {} trust anchors, {} certificates to look signers up in",
        keyring.keys().len(),
        settings.job.info.locked_key_files.len(),
        settings.job.info.anchors.len(),
        settings.context.pool.len(),
    ));
    let interrupt = Interrupt::watch()?;
    let progress = Progress::new(talk, printer, &interrupt);
    if piped {
        return pipe::run(request, &settings, printer, &progress);
    }
    let finished = engine::run(
        &settings.job,
        &settings.context,
        settings.store.as_mut(),
        &progress,
    )?;
    printer.summary(&summary(&finished, request, &settings, printer))?;
    Ok(finished.exit_code)
}

/// What a tired administrator reads: the library's lines, then where everything is.
fn summary(
    finished: &Finished,
    request: &Request<'_>,
    settings: &Settings,
    printer: &Printer,
) -> String {
    let mut text = String::new();
    if finished.already_finished {
        text.push_str("Finished before; nothing was written now. That run found:\n");
    }
    let tone = if finished.exit_code == 0 {
        Tone::Good
    } else {
        Tone::Bad
    };
    for (index, line) in finished.totals.lines(request.command).iter().enumerate() {
        let line = if index == 0 {
            printer.tone(tone, line)
        } else {
            line.clone()
        };
        text.push_str(&line);
        text.push('\n');
    }
    let job = &settings.job;
    if let Some(out) = &job.out {
        let _ = writeln!(text, "archive: {}", terminal_safe(&escape_path(out)));
    } else if request.out.is_some() {
        text.push_str("dry run: only reports were written\n");
    }
    if let Some(report) = job
        .report
        .clone()
        .or_else(|| job.out.as_ref().map(|out| out.join("report")))
    {
        let _ = writeln!(text, "reports: {}", terminal_safe(&escape_path(&report)));
    }
    text
}
