//! The end of a run: reports, store, manifest, the journal's last line. All of it is made from the
//! journal alone, so a run that is killed here does it again, alike.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::ground;
use super::journal::{End, Entry, Journal};
use super::layout::Layout;
use super::reporter::Reporter;
use super::run::{Finished, Job};
use super::{manifest, proof, redaction};
use crate::cert::{Certificate, Pool};
use crate::error::{Error, Result};
use crate::fsio;
use crate::ops::Context;
use crate::report::html::Told;
use crate::report::redact::Redactor;
use crate::report::{self, Ended, Judging, Retried, Target, Totals};
use crate::store::{Sighting, Store};

type Batch = Vec<(Arc<Certificate>, Vec<Sighting>, bool)>;

/// A run whose messages are all noted.
pub(super) struct Noted {
    pub(super) journal: Journal,
    pub(super) retried: Option<Retried>,
}

impl From<Journal> for Noted {
    fn from(journal: Journal) -> Self {
        Self {
            journal,
            retried: None,
        }
    }
}

/// Brings a run to its end.
pub(super) fn finish(
    job: &Job,
    context: &Context,
    noted: Noted,
    layout: Option<&Layout>,
    store: Option<&mut Store>,
    reporter: &dyn Reporter,
    begun: Instant,
) -> Result<Finished> {
    let Noted {
        mut journal,
        retried,
    } = noted;
    let dir = job.report.clone().or_else(|| layout.map(Layout::report));
    if let Some(layout) = layout {
        remove_stale(layout)?;
    }
    let milling = begun.elapsed().as_secs_f64();
    let redactor = redaction::redactor(job, layout)?;
    let totals = reports(
        job,
        context,
        &journal,
        layout,
        store,
        reporter,
        Place {
            dir: dir.as_deref(),
            redactor: redactor.as_ref(),
        },
    )?;
    let exit_code = totals.exit_code(&job.info.command);
    let manifest_sha256 = match layout {
        Some(layout) => {
            ground::remove_staging(layout)?;
            manifest::write(layout, &journal, false)?
        }
        None => String::new(),
    };
    if let Some(dir) = &dir {
        let ended = Ended {
            milling,
            seconds: begun.elapsed().as_secs_f64(),
            messages: totals.messages,
            manifest_sha256: &manifest_sha256,
            redactor: redactor.as_ref(),
            retried: retried.as_ref(),
            earlier: &journal
                .header()?
                .map(|header| header.earlier)
                .unwrap_or_default(),
        };
        job.info.write(dir, &ended)?;
    }
    if let Some(layout) = layout {
        let run = layout.report().join("run.json");
        let end = End {
            exit_code,
            manifest_sha256: manifest_sha256.clone(),
            run_sha256: if run.is_file() {
                proof::hash_file(&run)?
            } else {
                String::new()
            },
            totals: totals.clone(),
        };
        journal.append(&Entry::End(Box::new(end)))?;
        journal.commit()?;
    }
    Ok(Finished {
        totals,
        exit_code,
        manifest_sha256,
        already_finished: false,
        retried,
    })
}

/// Removes reports that a dry run, or a run that was killed here, left in the reports' place: one
/// of another format would stay and be taken for this run's.
fn remove_stale(layout: &Layout) -> Result<()> {
    let dir = layout.report();
    for name in report::files_in(&dir) {
        let path = dir.join(name);
        fsio::remove(&path)?;
    }
    Ok(())
}

/// Where reports go, and what hides names in them.
#[derive(Clone, Copy)]
struct Place<'a> {
    dir: Option<&'a Path>,
    redactor: Option<&'a Redactor>,
}

/// What the run was told.
fn told(job: &Job) -> Told {
    let header = job.header();
    Told {
        command: header.command,
        version: header.version,
        now: header.now,
        ..job.told.clone()
    }
}

fn reports(
    job: &Job,
    context: &Context,
    journal: &Journal,
    layout: Option<&Layout>,
    store: Option<&mut Store>,
    reporter: &dyn Reporter,
    place: Place<'_>,
) -> Result<Totals> {
    let mut pool = Pool::new();
    pool.extend(context.pool.all().iter().cloned());
    let judging = Judging {
        trust: &job.trust,
        trust_tsa: &job.trust_tsa,
        crls: job.crls.clone(),
        require_revocation: job.require_revocation,
        profile: &job.profile,
        pool,
        cache: &context.cache,
        now: context.now,
        chains: job.judges,
    };
    let told = told(job);
    let target = Target {
        dir: place.dir,
        csv: job.csv,
        jsonl: job.jsonl,
        shape: Some(&job.shape),
        redactor: place.redactor,
        our_domains: &job.our_domains,
        told: Some(&told),
    };
    let mut batch = Batch::new();
    let mut places: HashMap<[u8; 32], usize> = HashMap::new();
    let gathers = store.is_some();
    let mut on_sighting = |certificate: &Arc<Certificate>, sighting: Sighting| {
        if gathers {
            let place = *places.entry(certificate.sha256).or_insert(batch.len());
            if place == batch.len() {
                batch.push((Arc::clone(certificate), Vec::new(), certificate.is_ca));
            }
            if let Some((_, sightings, _)) = batch.get_mut(place) {
                sightings.push(sighting);
            }
        }
        Ok(())
    };
    let records = || -> Result<Box<dyn Iterator<Item = Result<report::record::Record>> + '_>> {
        let until_asked = |record| match reporter.interrupted() {
            Some(signal) => Err(Error::Interrupted(signal)),
            None => record,
        };
        Ok(Box::new(journal.records()?.map(until_asked)))
    };
    let accept = &job.accept;
    let totals = report::write(
        &records,
        judging,
        target,
        &context.keyring,
        accept,
        layout.is_some(),
        &mut on_sighting,
    )?;
    if let Some(store) = store {
        // One transaction: a killed run never half-counts, and a rerun counts nothing twice.
        store.insert(&batch)?;
        store.insert_given(context.keyring.certificates())?;
    }
    Ok(totals)
}
