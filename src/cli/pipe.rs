//! PATH `-`: standard input, message by message, the result to standard output.

use std::collections::HashSet;

use p7mill::archive::{self, Kind, RawMessage, dialect};
use p7mill::cert::Pool;
use p7mill::ops::outcome::{Action, Outcome};
use p7mill::ops::{self, Input};
use p7mill::report::record::{CertificateRecord, FileRecord, MessageRecord, Record};
use p7mill::report::{Judging, Target};
use p7mill::text::hex;
use p7mill::{Error, Result, report};

use super::printer::Printer;
use super::settings::{Request, Settings};

/// The key that a single message needs stays locked.
const STAYS_LOCKED: u8 = 12;

/// Refuses what makes no sense on a pipe, before anything is opened.
pub(crate) fn check(request: &Request<'_>) -> Result<()> {
    if !matches!(request.command, "scan" | "verify" | "decrypt" | "reencrypt") {
        return Err(Error::Usage(format!(
            "{} does not read standard input; name a file or a folder (decrypt - and reencrypt - do)",
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

/// Runs a command on standard input; the exit code.
pub(crate) fn run(request: &Request<'_>, settings: &Settings, printer: &Printer) -> Result<u8> {
    let writes = matches!(request.command, "decrypt" | "reencrypt");
    let dry_run = request.out.is_some_and(|out| out.dry_run);
    let begun = std::time::Instant::now();
    let (kind, messages) = archive::stdin_messages(std::io::stdin(), &settings.context.limits)?;
    let mut records = Vec::new();
    let mut known = HashSet::new();
    let mut count = 0;
    for raw in messages {
        let raw = raw?;
        count += 1;
        let outcome = process(settings, kind, &raw);
        if writes && !dry_run {
            write(kind, &raw, &outcome, printer)?;
        }
        remember(&raw, outcome, &mut known, &mut records);
    }
    records.push(Record::File(FileRecord {
        path: archive::STDIN_NAME.to_owned(),
        kind: if kind == Kind::Mbox {
            "mbox"
        } else {
            "message"
        }
        .to_owned(),
        bytes: 0,
        sha256: String::new(),
        messages: count,
        status: "read".to_owned(),
        failed: false,
        out: None,
    }));
    let mut pool = Pool::new();
    pool.extend(settings.context.pool.all().iter().cloned());
    let judging = Judging {
        trust: &settings.job.trust,
        pool,
        cache: &settings.context.cache,
        now: settings.context.now,
        chains: settings.job.judges,
    };
    let job = &settings.job;
    let target = Target {
        dir: job.report.as_deref(),
        csv: job.csv,
        jsonl: job.jsonl,
    };
    let again = || -> Result<Box<dyn Iterator<Item = Result<Record>> + '_>> {
        Ok(Box::new(records.iter().cloned().map(Ok)))
    };
    let keyring = &settings.context.keyring;
    let totals = report::write(
        &again,
        judging,
        target,
        keyring,
        &job.accept,
        false,
        &mut |_, _| Ok(()),
    )?;
    if let Some(dir) = target.dir {
        job.info
            .write(dir, begun.elapsed().as_secs_f64(), totals.messages)?;
    }
    let lines = totals.lines(request.command).join("\n");
    if writes {
        printer.note(&lines);
    } else {
        printer.summary(&format!("{lines}\n"))?;
    }
    let locked = totals.failures.contains_key(Action::Locked.as_str());
    if request.command == "decrypt" && kind != Kind::Mbox && locked {
        return Ok(STAYS_LOCKED);
    }
    Ok(totals.exit_code(request.command))
}

fn process(settings: &Settings, kind: Kind, raw: &RawMessage) -> Outcome {
    // A stream holds no message that is too large to be read: that ended the run.
    let bytes = raw.content.bytes().unwrap_or_default();
    let input = Input {
        bytes,
        received: raw.meta.received,
        quoting: raw.meta.quoting,
        cms: kind == Kind::Cms,
    };
    ops::process(&settings.context, &input)
}

/// Writes a message to standard output, changed or as it came.
fn write(kind: Kind, raw: &RawMessage, outcome: &Outcome, printer: &Printer) -> Result<()> {
    let changed = outcome
        .edits
        .as_deref()
        .and_then(|edits| dialect::render(raw, kind, edits));
    printer.bytes(&raw.lead)?;
    let (content, trail) = match &changed {
        Some(rendered) => (rendered.content.as_slice(), rendered.trail.as_slice()),
        None => (raw.content.bytes().unwrap_or_default(), raw.trail.as_slice()),
    };
    printer.bytes(content)?;
    printer.bytes(trail)
}

/// Keeps what reports are made of.
fn remember(
    raw: &RawMessage,
    outcome: Outcome,
    known: &mut HashSet<[u8; 32]>,
    records: &mut Vec<Record>,
) {
    for seen in &outcome.certificates {
        if known.insert(seen.sha256) {
            records.push(Record::Certificate(CertificateRecord {
                sha256: hex(&seen.sha256),
                der: base64_simd::STANDARD.encode_to_string(&seen.der),
            }));
        }
    }
    records.push(Record::Message(Box::new(MessageRecord {
        mailbox: raw.locator.mailbox.to_string(),
        ordinal: raw.locator.ordinal,
        offset: raw.locator.offset,
        bytes: raw.locator.bytes,
        sha256: hex(&p7mill::crypto::digest::sha256(
            raw.content.bytes().unwrap_or_default(),
        )),
        flags: raw.meta.flags.clone(),
        findings: outcome.findings,
        file: String::new(),
        out: None,
    })));
}
