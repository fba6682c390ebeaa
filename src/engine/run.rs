//! A run: from the named paths to reports, resumable at every point.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::committer::{Committer, Output};
use super::finish;
use super::ground::{self, Ground, Layout};
use super::journal::{FORMAT, Header, Journal};
use super::originals::Originals;
use super::pipeline::{self, Mill, Process};
use super::reporter::Reporter;
use super::walker::Walker;
use crate::archive::{self, Found, Kind};
use crate::cert::policy::Profile;
use crate::cert::{Crl, Trust};
use crate::error::{Error, Result};
use crate::ops::outcome::{Action, Outcome};
use crate::ops::{self, Context};
use crate::report::html::Told;
use crate::report::redact::Hidden;
use crate::report::shape::Shape;
use crate::report::{RunInfo, Totals};
use crate::store::Store;

/// What to run over, and what to write; what to do with each message is the [`Context`]'s.
#[derive(Default)]
pub struct Job {
    /// The named paths.
    pub roots: Vec<PathBuf>,
    /// The folder that receives the archive; `None` writes none.
    pub out: Option<PathBuf>,
    /// The folder that receives the reports; by default `report` below `out`, and without both
    /// there are none.
    pub report: Option<PathBuf>,
    /// Reports for spreadsheets.
    pub csv: bool,
    /// Reports with raw values.
    pub jsonl: bool,
    /// How reports are cut.
    pub shape: Shape,
    /// What reports hide.
    pub hidden: Hidden,
    /// Where the key lies that hidden values are made with; made where it is missing. By default
    /// in `out`; without both it is forgotten at the end of the run.
    pub redaction_key: Option<PathBuf>,
    /// Domains of the house.
    pub our_domains: Vec<String>,
    /// Whether changed messages get a field that names the original.
    pub stamp: bool,
    /// Whether changed messages are kept as they were.
    pub originals: bool,
    /// Whether sha256 columns are filled where nothing else needs the hashes.
    pub hash: bool,
    /// Workers; one means everything on the calling thread.
    pub threads: usize,
    /// Outcomes that do not count as failures.
    pub accept: Vec<Action>,
    /// Whether a message that failed is not written: among encrypted ones a readable one would be
    /// taken for encrypted.
    pub withholds: bool,
    /// Forget what an earlier run wrote to `out`.
    pub start_over: bool,
    /// Where chains may end.
    pub trust: Trust,
    /// Where chains of time-stamping authorities may end.
    pub trust_tsa: Trust,
    /// Revocation lists that were named.
    pub crls: Vec<Arc<Crl>>,
    /// Whether a revocation status of `unknown` keeps a verdict from `valid`.
    pub require_revocation: bool,
    /// How strength is graded.
    pub profile: Profile,
    /// Whether chains are judged; `scan` judges nothing.
    pub judges: bool,
    /// The form in which mailboxes are written; by default the one they have.
    pub to_format: Option<Kind>,
    /// Everything else that shapes the output, by name: keys and anchors by fingerprint, the
    /// clock, the mode … Two runs with the same options write the same.
    pub options: BTreeMap<String, String>,
    /// For run.json.
    pub info: RunInfo,
    /// For report.html; command, version and time are filled in from the rest.
    pub told: Told,
}

/// The option that names the form mailboxes are written in.
pub(super) const TO_FORMAT: &str = "--to-format";

/// A run that came to its end.
#[derive(Debug, Clone)]
pub struct Finished {
    /// What was counted.
    pub totals: Totals,
    /// 0, 3 or 4 (contract: Exit codes).
    pub exit_code: u8,
    /// Of manifest.csv, lower-case hex; empty without an output folder.
    pub manifest_sha256: String,
    /// The output was finished before; nothing was written.
    pub already_finished: bool,
}

/// Runs `job`. The store, where there is one, receives what was harvested.
///
/// # Errors
/// [`Error::Usage`] where the output folder cannot be used or the options differ from those it was
/// begun with, [`Error::Busy`], [`Error::Interrupted`], and whatever keeps files from being
/// written. What is wrong with a message or a source file is in the reports instead.
pub fn run(
    job: &Job,
    context: &Context,
    store: Option<&mut Store>,
    reporter: &dyn Reporter,
) -> Result<Finished> {
    let process = |input: &ops::Input<'_>| ops::process(context, input);
    run_with(job, context, &process, store, reporter)
}

/// As [`run`], with something else done to each message.
pub fn run_with(
    job: &Job,
    context: &Context,
    process: &Process<'_>,
    store: Option<&mut Store>,
    reporter: &dyn Reporter,
) -> Result<Finished> {
    let begun = Instant::now();
    guard_places(job, store.as_deref())?;
    let mut found = archive::discover(&job.roots, &context.limits)?;
    if let Some(to) = job.to_format {
        found = found.convert(to);
    }
    let layout = job.out.as_deref().map(Layout::new);
    let (_lock, journal) = match &layout {
        None => (None, Journal::temporary(&job.header())?),
        Some(layout) => match ground::take(layout, &job.header(), job.start_over)? {
            (_, Ground::Finished(end)) => {
                let end = *end;
                return Ok(Finished {
                    totals: end.totals,
                    exit_code: end.exit_code,
                    manifest_sha256: end.manifest_sha256,
                    already_finished: true,
                });
            }
            (lock, Ground::Fresh(journal)) => (Some(lock), journal),
            (lock, Ground::Begun(journal)) => {
                ground::remove_temporaries(layout)?;
                reporter.note("continuing where the last run stopped");
                (Some(lock), journal)
            }
        },
    };
    reporter.begin(Some(found.files.iter().map(|file| file.bytes).sum()));
    // The store counts a message once, by its hash.
    let hash = job.hash || layout.is_some() || store.is_some();
    let milled = mill(
        job,
        context,
        process,
        &found,
        layout.as_ref(),
        journal,
        hash,
        reporter,
    );
    reporter.end();
    finish::finish(
        job,
        context,
        milled?,
        layout.as_ref(),
        store,
        reporter,
        begun,
    )
}

/// Reads, mills and commits every message that is not committed yet.
#[expect(
    clippy::too_many_arguments,
    reason = "one caller; a struct would only rename them"
)]
fn mill(
    job: &Job,
    context: &Context,
    process: &Process<'_>,
    found: &Found,
    layout: Option<&Layout>,
    journal: Journal,
    hash: bool,
    reporter: &dyn Reporter,
) -> Result<Journal> {
    let output = layout.map(|layout| Output {
        layout: layout.clone(),
        originals: job.originals.then(|| Originals::new(&layout.out)),
        withholds: job.withholds,
        names: if job.withholds {
            found.taken()
        } else {
            HashSet::new()
        },
    });
    let mut committer = Committer::new(journal, output, &context.limits, hash, reporter)?;
    let walker = Walker::new(found, &context.limits, hash, committer.known());
    let stamped = |input: &ops::Input<'_>| stamped(job.stamp, process, input);
    let mill = Mill::new(&stamped, hash, reporter);
    let done = if job.threads > 1 {
        pipeline::parallel(walker, &mill, job.threads, &mut committer)
    } else {
        pipeline::sequential(walker, &mill, &mut committer)
    };
    match done {
        Ok(()) => committer.finish(),
        Err(Error::Interrupted(signal)) => {
            committer.commit()?;
            Err(Error::Interrupted(signal))
        }
        // What is committed stays; what is not will be done again.
        Err(error) => Err(error),
    }
}

/// What `process` makes of a message, with the original's digest in it where that was asked for.
pub(super) fn stamped(stamp: bool, process: &Process<'_>, input: &ops::Input<'_>) -> Outcome {
    let mut outcome = process(input);
    if stamp {
        ops::stamp(&mut outcome, input);
    }
    outcome
}

/// Sources are only read: nothing may be written into one.
fn guard_places(job: &Job, store: Option<&Store>) -> Result<()> {
    if let Some(out) = &job.out {
        ground::refuse_overlap(&job.roots, "--out", out)?;
    }
    if let Some(report) = &job.report {
        ground::refuse_inside(&job.roots, "--report", report)?;
    }
    if let Some(store) = store {
        ground::refuse_inside(&job.roots, "--store", store.path())?;
    }
    if let Some(key) = job.redaction_key.as_ref().filter(|_| job.hidden.any()) {
        ground::refuse_inside(&job.roots, "--redaction-key", key)?;
        let reports = job.report.clone();
        let reports = reports.or_else(|| job.out.as_deref().map(|out| Layout::new(out).report()));
        let out = job.out.clone();
        let apart: Vec<PathBuf> = reports.into_iter().chain(out).collect();
        ground::refuse_inside(&apart, "--redaction-key", key)?;
    }
    if let (Some(out), Some(report)) = (&job.out, &job.report)
        && *report != out.join(ground::REPORT)
    {
        ground::refuse_inside(std::slice::from_ref(out), "--report", report)?;
    }
    Ok(())
}

impl Job {
    pub(super) fn header(&self) -> Header {
        let mut options = self.options.clone();
        let list = |words: Vec<String>| words.join(" ");
        options.insert(
            "--accept".into(),
            list(self.accept.iter().map(ToString::to_string).collect()),
        );
        options.insert(
            "--format".into(),
            format!("csv={} jsonl={}", self.csv, self.jsonl),
        );
        if let Some(to) = self.to_format.map(Kind::as_str) {
            options.insert(TO_FORMAT.into(), to.into());
        }
        options.insert("--no-originals".into(), (!self.originals).to_string());
        options.insert("--our-domains".into(), self.our_domains.join(" "));
        options.insert("--redact".into(), self.hidden.to_string());
        options.insert("--columns or --split-rows".into(), self.shape.described());
        options.insert("--stamp".into(), self.stamp.to_string());
        let roots = self
            .roots
            .iter()
            .map(|root| root.file_name().unwrap_or(root.as_os_str()));
        options.insert(
            "PATH".into(),
            list(
                roots
                    .map(|name| crate::text::escape_path(name.as_ref()))
                    .collect(),
            ),
        );
        Header {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            command: self.info.command.clone(),
            now: self.info.now,
            options,
        }
    }
}
