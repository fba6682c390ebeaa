//! A run: from the named paths to reports, resumable at every point.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::committer::{Committer, Output};
use super::ground::{self, Approach, Ground};
use super::journal::{End, FORMAT, Header, Journal};
use super::layout::Layout;
use super::originals::Originals;
use super::pipeline::{self, Mill, Process};
use super::reporter::Reporter;
use super::walker::Walker;
use super::{apart, finish, retry};
use crate::archive::{self, Found, Kind};
use crate::cert::policy::Profile;
use crate::cert::{Crl, Trust};
use crate::error::{Error, Result};
use crate::fsio::Scratch;
use crate::ops::outcome::{Action, Outcome};
use crate::ops::{self, Context};
use crate::report::html::Told;
use crate::report::redact::Hidden;
use crate::report::shape::Shape;
use crate::report::{Retried, RunInfo, Totals};
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
    /// Process again, with the keys at hand now, what stayed closed in the finished run in `out`.
    pub retry_failed: bool,
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
    /// Whether chains are judged; `scan`, `sign` and `encrypt` judge nothing.
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
    /// What a retry came to, where it was one.
    pub retried: Option<Retried>,
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
    let layout = job.out.as_deref().map(Layout::new);
    // A retry takes messages from OUT: the sources may be gone.
    let found = (!job.retry_failed).then(|| discover(job, context));
    let found = found.transpose()?;
    let run = Run {
        job,
        context,
        process,
        // The store counts a message once, by its hash.
        hash: job.hash || layout.is_some() || store.is_some(),
        reporter,
    };
    let (_lock, journal, retried) = match &layout {
        None => {
            let journal = Journal::temporary(&job.header())?;
            (None, run.mill(found, None, journal)?, None)
        }
        Some(layout) => {
            let (lock, ground) =
                ground::take(layout, &job.header(), job.approach(), found.as_ref())?;
            match run.settle(found, layout, ground)? {
                Settled::Noted(journal, retried) => (Some(lock), journal, retried),
                Settled::Finished(end) => {
                    return Ok(Finished {
                        totals: end.totals,
                        exit_code: end.exit_code,
                        manifest_sha256: end.manifest_sha256,
                        already_finished: true,
                        retried: None,
                    });
                }
            }
        }
    };
    let noted = finish::Noted { journal, retried };
    finish::finish(job, context, noted, layout.as_ref(), store, reporter, begun)
}

/// What there is to read, and the form in which it is written.
fn discover(job: &Job, context: &Context) -> Result<Found> {
    let found = archive::discover(&job.roots, &context.limits)?;
    Ok(match job.to_format {
        Some(to) => found.convert(to),
        None => found,
    })
}

/// A run on its way to a whole journal.
pub(super) struct Run<'a> {
    pub(super) job: &'a Job,
    pub(super) context: &'a Context,
    pub(super) process: &'a Process<'a>,
    pub(super) hash: bool,
    pub(super) reporter: &'a dyn Reporter,
}

/// What a run has to do with its output folder once the mail is through.
enum Settled {
    /// Every message is noted; reports, store and manifest are to be made.
    Noted(Journal, Option<Retried>),
    /// Nothing.
    Finished(Box<End>),
}

impl Run<'_> {
    fn settle(&self, found: Option<Found>, layout: &Layout, ground: Ground) -> Result<Settled> {
        match ground {
            Ground::Finished(end) => Ok(Settled::Finished(end)),
            Ground::Fresh(journal) => {
                let journal = self.mill(found, Some(layout), journal)?;
                Ok(Settled::Noted(journal, None))
            }
            Ground::Begun(journal) => {
                ground::settle(layout)?;
                self.reporter.note("continuing where the last run stopped");
                let journal = self.mill(found, Some(layout), journal)?;
                Ok(Settled::Noted(journal, None))
            }
            Ground::Retry(past) => {
                self.reporter.begin(None);
                let retried = retry::retry(self, layout, &past);
                self.reporter.end();
                Ok(match retried? {
                    Some((journal, retried)) => Settled::Noted(journal, Some(retried)),
                    None => Settled::Finished(Box::new(past.end)),
                })
            }
            Ground::Retried(journal, retried) => {
                self.reporter.note("continuing where the last run stopped");
                retry::publish(layout, &journal)?;
                ground::settle(layout)?;
                Ok(Settled::Noted(journal, Some(retried)))
            }
        }
    }

    /// Reads, mills and commits every message that is not committed yet.
    fn mill(
        &self,
        found: Option<Found>,
        layout: Option<&Layout>,
        journal: Journal,
    ) -> Result<Journal> {
        let job = self.job;
        let found = found.map_or_else(|| discover(job, self.context), Ok)?;
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
        self.reporter
            .begin(Some(found.files.iter().map(|file| file.bytes).sum()));
        let scratch = layout.map(|layout| Scratch::new(layout.scratch()));
        let milled = self.mill_all(&found, output, scratch, journal);
        self.reporter.end();
        milled
    }

    fn mill_all(
        &self,
        found: &Found,
        output: Option<Output>,
        scratch: Option<Scratch>,
        journal: Journal,
    ) -> Result<Journal> {
        let limits = &self.context.limits;
        let mut committer = Committer::new(journal, output, limits, self.hash, self.reporter)?;
        let walker = Walker::new(found, limits, self.reporter, self.hash, committer.known());
        let stamped = |input: &ops::Input<'_>| stamped(self.job.stamp, self.process, input);
        let mill = Mill::new(&stamped, limits, scratch, self.hash, self.reporter);
        let done = if self.job.threads > 1 {
            pipeline::parallel(walker, &mill, self.job.threads, &mut committer)
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
        apart::refuse_overlap(&job.roots, "--out", out)?;
    }
    if let Some(report) = &job.report {
        apart::refuse_inside(&job.roots, "--report", report)?;
    }
    if let Some(store) = store {
        apart::refuse_inside(&job.roots, "--store", store.path())?;
    }
    if let Some(key) = job.redaction_key.as_ref().filter(|_| job.hidden.any()) {
        apart::refuse_inside(&job.roots, "--redaction-key", key)?;
        let reports = job.report.clone();
        let reports = reports.or_else(|| job.out.as_deref().map(|out| Layout::new(out).report()));
        let out = job.out.clone();
        let apart: Vec<PathBuf> = reports.into_iter().chain(out).collect();
        apart::refuse_inside(&apart, "--redaction-key", key)?;
    }
    if let (Some(out), Some(report)) = (&job.out, &job.report)
        && *report != Layout::new(out).report()
    {
        apart::refuse_inside(std::slice::from_ref(out), "--report", report)?;
    }
    Ok(())
}

impl Job {
    fn approach(&self) -> Approach {
        if self.start_over {
            Approach::StartOver
        } else if self.retry_failed {
            Approach::Retry
        } else {
            Approach::Continue
        }
    }

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
            earlier: Vec::new(),
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            command: self.info.command.clone(),
            now: self.info.now,
            options,
        }
    }
}
