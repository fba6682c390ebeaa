//! The end of a run: reports, store, manifest, the journal's last line. All of it is made from the
//! journal alone, so a run that is killed here does it again, alike.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::ground::Layout;
use super::journal::{End, Entry, Journal};
use super::reporter::Reporter;
use super::run::{Finished, Job};
use super::{manifest, proof};
use crate::cert::{Certificate, Pool};
use crate::error::{Error, Result};
use crate::ops::Context;
use crate::report::{self, Judging, Target, Totals};
use crate::store::{Sighting, Store};

type Batch = Vec<(Arc<Certificate>, Vec<Sighting>, bool)>;

/// Brings a run to its end.
pub(super) fn finish(
    job: &Job,
    context: &Context,
    mut journal: Journal,
    layout: Option<&Layout>,
    store: Option<&mut Store>,
    reporter: &dyn Reporter,
    begun: Instant,
) -> Result<Finished> {
    let dir = job.report.clone().or_else(|| layout.map(Layout::report));
    if let Some(layout) = layout {
        remove_stale(layout)?;
    }
    let totals = reports(
        job,
        context,
        &journal,
        layout,
        store,
        reporter,
        dir.as_ref(),
    )?;
    let exit_code = totals.exit_code(&job.info.command);
    if let Some(dir) = &dir {
        job.info
            .write(dir, begun.elapsed().as_secs_f64(), totals.messages)?;
    }
    if let Some(layout) = layout {
        // Everything has its final name by now.
        let _ = std::fs::remove_dir_all(layout.staging());
        let run = layout.report().join("run.json");
        let end = End {
            exit_code,
            manifest_sha256: manifest::write(layout, &journal, false)?,
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
        already_finished: false,
    })
}

/// Removes reports that a dry run, or a run that was killed here, left in the reports' place: one
/// of another format would stay and be taken for this run's.
fn remove_stale(layout: &Layout) -> Result<()> {
    let dir = layout.report();
    for name in report::files_in(&dir) {
        let path = dir.join(name);
        std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    }
    Ok(())
}

fn reports(
    job: &Job,
    context: &Context,
    journal: &Journal,
    layout: Option<&Layout>,
    store: Option<&mut Store>,
    reporter: &dyn Reporter,
    dir: Option<&PathBuf>,
) -> Result<Totals> {
    let mut pool = Pool::new();
    pool.extend(context.pool.all().iter().cloned());
    let judging = Judging {
        trust: &job.trust,
        pool,
        cache: &context.cache,
        now: context.now,
        chains: job.judges,
    };
    let target = Target {
        dir: dir.map(PathBuf::as_path),
        csv: job.csv,
        jsonl: job.jsonl,
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
