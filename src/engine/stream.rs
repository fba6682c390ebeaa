//! Standard input: one message, or an mbox, and out again what was made of it.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use super::committer::Committer;
use super::finish;
use super::journal::{Entry, Journal, MailboxDone};
use super::pipeline::{Mill, Process, Sink as _};
use super::reporter::Reporter;
use super::run::{Finished, Job};
use crate::archive::{self, Kind, STDIN_NAME, write::write_message};
use crate::crypto::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::ops::outcome::Action;
use crate::ops::{self, Context};
use crate::report::record::FileRecord;
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
    let mill = Mill::new(process, job.hash, reporter);
    let mut hasher = Hasher::new(Digest::Sha256);
    let (mut count, mut bytes) = (0, 0);
    let mut only = None;
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
        let milled = mill.message(raw, kind, false)?;
        let outcome = milled.outcome.as_ref();
        if let Some(output) = output.as_deref_mut() {
            let edits = outcome.and_then(|outcome| outcome.edits.as_deref());
            write_message(
                output,
                Path::new("standard output"),
                &milled.raw,
                kind,
                edits,
                &mut |_| {},
            )?;
        }
        only = outcome
            .and_then(|outcome| outcome.findings.messages.first())
            .map(|root| root.action);
        count += 1;
        committer.message(milled)?;
    }
    if let Some(output) = output {
        output
            .flush()
            .map_err(Error::io("write", "standard output"))?;
    }
    let mut journal = committer.finish()?;
    journal.append(&Entry::Mailbox(Box::new(done(
        kind,
        bytes,
        hex(&hasher.finish()),
        count,
    ))))?;
    journal.commit()?;
    let mut finished = finish::finish(job, context, journal, None, None, reporter, begun)?;
    let locked =
        count == 1 && only == Some(Action::Locked) && !job.accept.contains(&Action::Locked);
    if locked && job.info.command == "decrypt" {
        finished.exit_code = STAYS_LOCKED;
    }
    Ok(finished)
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
    }
}
