//! From a command's request to a finished run: settings, the engine, the summary, the exit code.

use std::fmt::Write as _;
use std::path::PathBuf;

use p7mill::engine::{self, Finished};
use p7mill::keys::keyring::{KeyFileStatus, KeyRing};
use p7mill::report::Telling;
use p7mill::report::summary::plural;
use p7mill::text::{escape_path, terminal_safe};
use p7mill::{Error, Result};

use super::interrupt::Interrupt;
use super::options::{MessageKeyArgs, PassphraseArgs, TalkArgs};
use super::printer::{Printer, Tone};
use super::progress::Progress;
use super::request::Request;
use super::settings::Settings;
use super::{paths, pipe};

/// Runs an archive command; the exit code.
pub(crate) fn run(request: &Request<'_>, talk: &TalkArgs, printer: &Printer) -> Result<u8> {
    // A retry takes messages from OUT: the sources may be gone.
    if !request.retry {
        paths::check_sources(request.paths)?;
    }
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
    let many = |number: usize, noun| plural(number as u64, noun);
    printer.detail(&format!(
        "{} open, {} locked, {}, {} to look signers up in",
        many(keyring.keys().len(), "key"),
        many(settings.job.info.locked_key_files.len(), "key file"),
        many(settings.job.info.anchors.len(), "trust anchor"),
        many(settings.context.pool.len(), "certificate"),
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
    if finished.totals.messages == 0 {
        let places: Vec<_> = request.paths.iter().map(|path| escape_path(path)).collect();
        printer.note(&terminal_safe(&format!(
            "no mail found in {}",
            places.join(", ")
        )));
    }
    Ok(finished.exit_code)
}

/// What a person should know of the key files before a run that opens mail: which cannot be read,
/// and whether there is any private key in them.
///
/// # Errors
/// [`Error::Usage`] without one, where opening is all that a command is for.
pub(crate) fn look_at_keys(
    request: &Request<'_>,
    keyring: &KeyRing,
    notes: &mut Vec<String>,
) -> Result<()> {
    if request.keys.is_empty()
        || !matches!(
            request.command,
            "decrypt" | "reencrypt" | "sign" | "migrate"
        )
    {
        return Ok(());
    }
    let safe = |path: &PathBuf| terminal_safe(&escape_path(path));
    let mut private = !keyring.keys().is_empty();
    for file in keyring.files() {
        match file.status {
            KeyFileStatus::Unreadable(why) => {
                notes.push(format!("key file {} is left out: {why}", safe(&file.path)));
            }
            KeyFileStatus::Open | KeyFileStatus::Locked => private = true,
            KeyFileStatus::NoKey => {}
        }
    }
    if private {
        return Ok(());
    }
    let places: Vec<_> = request.keys.iter().map(safe).collect();
    let none = format!(
        "no private key found in {}; nothing can be {}",
        places.join(", "),
        if request.command == "sign" {
            "signed"
        } else {
            "opened"
        }
    );
    if request.command == "migrate" {
        notes.push(none);
        return Ok(());
    }
    // The error ends the run before the notes are told.
    notes.push(none);
    Err(Error::Usage(std::mem::take(notes).join("\n")))
}

/// What the summary has to know beside the totals.
pub(crate) fn telling<'a>(
    request: &Request<'a>,
    settings: &Settings,
    printer: &Printer,
) -> Telling<'a> {
    let job = &settings.job;
    let extension = if job.csv { "csv" } else { "jsonl" };
    let piped = request.paths.iter().any(|path| paths::is_stdin(path));
    let written = job.report.is_some() || job.out.is_some();
    Telling {
        command: request.command,
        reports: (written && !piped).then_some(extension),
        writes: request.out.is_some_and(|out| !out.dry_run),
        passphrases: request.passphrases.is_some_and(PassphraseArgs::given),
        secrets: request.messages.is_some_and(MessageKeyArgs::given),
        verbose: printer.is_verbose(),
        trusts: !request.trust.is_empty(),
        store: request.store.is_some(),
    }
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
    if let Some(retried) = &finished.retried {
        let _ = writeln!(
            text,
            "Tried again: {}, of which {} written anew. All in all:",
            plural(retried.looked_at, "message"),
            match retried.written {
                1 => "1 is".into(),
                many => format!("{many} are"),
            },
        );
    }
    let tone = if finished.exit_code == 0 {
        Tone::Good
    } else {
        Tone::Bad
    };
    for (index, line) in finished
        .totals
        .lines(&telling(request, settings, printer))
        .iter()
        .enumerate()
    {
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
        if job.withholds && out.join("originals").is_dir() {
            text.push_str(
                "the messages that were encrypted are in originals there as they were, readable; --no-originals keeps none\n",
            );
        }
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
    if !finished.manifest_sha256.is_empty() {
        let _ = writeln!(text, "manifest.csv: sha256 {}", finished.manifest_sha256);
    }
    text
}
