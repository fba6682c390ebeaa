//! Standard input: one message, or an mbox, and out again what was made of it.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use super::committer::{Committer, fails};
use super::finish;
use super::journal::{Entry, Journal, MailboxDone};
use super::pipeline::{Mill, Process, Sink as _};
use super::reporter::Reporter;
use super::run::{Finished, Job, stamped};
use super::walker::Held;
use crate::archive::{self, Kind, RawMessage, STDIN_NAME, write::write_message};
use crate::crypto::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::ops::outcome::{Action, Outcome};
use crate::ops::{self, Context};
use crate::report::MAYBE_LOCKED;
use crate::report::record::FileRecord;
use crate::report::summary::plural;
use crate::text::hex;

/// What `decrypt -` returns where the one message it was given stays locked (contract: Exit codes).
const STAYS_LOCKED: u8 = 12;

/// Runs `job` over what `input` gives, and writes the mail to `output` where there is one: what
/// could not be changed as it came. [`Job::roots`] and [`Job::out`] do not matter.
///
/// # Errors
/// As [`run`](super::run()); an `output` that goes away is an error, since mail is lost with it.
pub fn run_stream(
    job: &Job,
    context: &Context,
    input: impl Read + Send + 'static,
    output: Option<&mut dyn Write>,
    reporter: &dyn Reporter,
) -> Result<Finished> {
    let process = |message: &ops::Input<'_>| ops::process(context, message);
    stream_with(job, context, &process, input, output, reporter)
}

pub(super) fn stream_with(
    job: &Job,
    context: &Context,
    process: &Process<'_>,
    input: impl Read + Send + 'static,
    mut output: Option<&mut dyn Write>,
    reporter: &dyn Reporter,
) -> Result<Finished> {
    let begun = Instant::now();
    let (kind, messages) = archive::stdin_messages(input, &context.limits)?;
    let journal = Journal::temporary(&job.header())?;
    let mut committer = Committer::new(journal, None, &context.limits, job.hash, reporter)?;
    let stamped = |input: &ops::Input<'_>| stamped(job.stamp, process, input);
    let mill = Mill::new(&stamped, &context.limits, None, job.hash, reporter);
    let mut hasher = Hasher::new(Digest::Sha256);
    let (mut count, mut bytes) = (0, 0);
    let mut only = None;
    let mut blind = 0;
    for raw in messages {
        let raw = raw?;
        for stretch in [
            &raw.lead,
            raw.content.bytes().unwrap_or_default(),
            &raw.trail,
        ] {
            hasher.update(stretch);
            bytes += stretch.len() as u64;
        }
        let held = Held {
            kind,
            converts: false,
            known: false,
        };
        let milled = mill.message(raw, held)?;
        let outcome = milled.outcome.as_ref();
        let withheld = job.withholds && outcome.is_none_or(fails);
        if let Some(output) = output.as_deref_mut().filter(|_| !withheld) {
            let copies = outcome.map_or(&[][..], |outcome| &outcome.copies);
            blind += copies.len() as u64;
            if copies.is_empty() {
                let edits = outcome.and_then(|outcome| outcome.edits.as_deref());
                write_message(
                    output,
                    Path::new("standard output"),
                    &milled.raw,
                    kind,
                    edits,
                    &mut |_| {},
                )?;
            } else {
                write_copies(output, &milled.raw, kind, outcome)?;
            }
        }
        only = outcome
            .and_then(|outcome| outcome.findings.messages.first())
            .map(|root| {
                let perhaps = root.reason.as_deref() == Some(MAYBE_LOCKED);
                (root.action, perhaps)
            });
        count += 1;
        committer.message(milled)?;
    }
    if let Some(output) = output {
        output
            .flush()
            .map_err(Error::io("write", "standard output"))?;
    }
    if blind > 0 {
        reporter.note(&format!(
            "{} for blind recipients: what was written is an mbox that holds each of them",
            plural(blind, "message"),
        ));
    }
    let mut journal = committer.finish()?;
    journal.append(&Entry::Mailbox(Box::new(done(
        kind,
        bytes,
        hex(&hasher.finish()),
        count,
    ))))?;
    journal.commit()?;
    let mut finished = finish::finish(
        job,
        context,
        finish::Noted::from(journal),
        None,
        None,
        reporter,
        begun,
    )?;
    let locked = only.is_some_and(|(action, perhaps)| {
        (action == Action::Locked || perhaps) && !job.accept.contains(&action)
    });
    if count == 1 && locked && job.info.command == "decrypt" {
        finished.exit_code = STAYS_LOCKED;
    }
    Ok(finished)
}

/// A message and its copies. One message by itself becomes an mbox: nothing else holds several.
fn write_copies(
    output: &mut dyn Write,
    raw: &RawMessage,
    kind: Kind,
    outcome: Option<&Outcome>,
) -> Result<()> {
    let Some(outcome) = outcome else {
        return Ok(());
    };
    let mut raw = raw.clone();
    if kind != Kind::Mbox {
        let root = outcome.findings.messages.first();
        raw.lead = from_line(root.and_then(|root| root.date).unwrap_or(0));
        raw.trail = b"\n".to_vec();
        raw.meta.quoting = true;
    }
    for edits in outcome.edits.iter().chain(&outcome.copies) {
        let place = Path::new("standard output");
        write_message(output, place, &raw, Kind::Mbox, Some(edits), &mut |_| {})?;
    }
    Ok(())
}

/// The From_ line of RFC 4155 for a message whose sender's machine is not known.
fn from_line(seconds: i64) -> Vec<u8> {
    format!("From MAILER-DAEMON {}\n", crate::text::asctime(seconds)).into_bytes()
}

fn done(kind: Kind, bytes: u64, sha256: String, messages: u64) -> MailboxDone {
    let file = FileRecord {
        path: STDIN_NAME.into(),
        kind: kind.as_str().into(),
        bytes,
        sha256,
        messages,
        status: "read".into(),
        failed: false,
        out: None,
    };
    MailboxDone {
        file,
        kind: kind.as_str().into(),
        out_sha256: String::new(),
        unwrapped_sha256: String::new(),
    }
}
