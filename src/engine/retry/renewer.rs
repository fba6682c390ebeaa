//! The committer of a retry: writes the journal anew, line by line, and whatever is written otherwise
//! aside. Nothing that is there is touched.

use std::collections::HashSet;

use super::box_anew::BoxAnew;
use super::walk::Place;
use crate::archive::write::{Renewal, renew, write_message};
use crate::archive::{Kind, Mailbox, RawMessage, SourceFile, dialect, sniff};
use crate::crypto::digest::{Digest, Hasher, sha256};
use crate::engine::journal::{Entries, Entry, Journal, MailboxDone, Superseded};
use crate::engine::layout::Layout;
use crate::engine::originals::Originals;
use crate::engine::pipeline::{Milled, Sink};
use crate::engine::proof;
use crate::engine::reporter::Reporter;
use crate::engine::walker::Closed;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::message::rewrite::Piece;
use crate::ops::outcome::{Action, Findings, Outcome, SeenCertificate, SeenCrl};
use crate::report::Retried;
use crate::report::record::{CertificateRecord, CrlRecord, MessageRecord, OutPlace, Record};
use crate::text::hex;

/// Bytes of journal between two writes, and originals between two syncs.
const WRITE_BYTES: usize = 8 << 20;
const SYNC_ORIGINALS: u64 = 2000;

/// Writes and notes.
pub(super) struct Renewer<'a> {
    layout: &'a Layout,
    limits: &'a Limits,
    reporter: &'a dyn Reporter,
    old: &'a Journal,
    past: Entries,
    next: Journal,
    place: Place,
    originals: Option<Originals>,
    /// The mailbox's file, from its first message on that is written otherwise.
    anew: Option<BoxAnew>,
    /// Whether a mailbox that is one message is written otherwise.
    single: bool,
    /// What reading the mailbox back must give.
    messages: u64,
    sum: proof::Sum,
    /// Certificates and lists that the new journal holds, by SHA-256.
    seen: HashSet<String>,
    /// Lines of such as stand before the next message, with their SHA-256.
    held: Vec<(String, Vec<u8>)>,
    retried: Retried,
}

impl<'a> Renewer<'a> {
    pub(super) fn new(
        layout: &'a Layout,
        limits: &'a Limits,
        reporter: &'a dyn Reporter,
        old: &'a Journal,
        next: Journal,
        originals: Option<Originals>,
    ) -> Result<Self> {
        Ok(Self {
            layout,
            limits,
            reporter,
            old,
            past: old.entries()?,
            next,
            place: Place::default(),
            originals,
            anew: None,
            single: false,
            messages: 0,
            sum: proof::Sum::default(),
            seen: HashSet::new(),
            held: Vec::new(),
            retried: Retried::default(),
        })
    }

    /// Notes the rest. The journal is whole then, but for the line that says so.
    pub(super) fn finish(mut self) -> Result<(Journal, Retried)> {
        self.keep_until(None)?;
        if let Some(originals) = &mut self.originals {
            originals.sync()?;
        }
        self.next.commit()?;
        Ok((self.next, self.retried))
    }

    /// Notes what is as it was, up to the message that is sought, and gives that.
    fn keep_until(&mut self, sought: Option<&RawMessage>) -> Result<Option<MessageRecord>> {
        while let Some(entry) = self.past.next().transpose()? {
            match entry {
                Entry::Record(
                    Record::Certificate(CertificateRecord { sha256, .. })
                    | Record::Crl(CrlRecord { sha256, .. }),
                ) => {
                    self.held.push((sha256, self.past.line().to_vec()));
                }
                Entry::Record(Record::Message(record)) => {
                    self.place.enter(&record, self.past.offset());
                    let at = sought.map(|raw| &raw.locator);
                    if at.is_some_and(|at| {
                        at.ordinal == record.ordinal && *at.mailbox == *record.mailbox
                    }) {
                        return Ok(Some(*record));
                    }
                    self.keep(*record)?;
                }
                Entry::Record(Record::File(_)) => self.next.append_line(self.past.line()),
                Entry::Mailbox(done) => self.close_mailbox(*done)?,
                Entry::Header(_)
                | Entry::End(_)
                | Entry::Restored(_)
                | Entry::Superseded(_)
                | Entry::Retried(_) => {}
            }
            if self.next.pending() >= WRITE_BYTES {
                self.next.commit()?;
            }
        }
        match sought {
            Some(raw) => Err(Error::Usage(format!(
                "message {} of {} is not in the journal",
                raw.locator.ordinal, raw.locator.mailbox
            ))),
            None => Ok(None),
        }
    }

    /// Notes a message as it was, at the place where it is now.
    fn keep(&mut self, record: MessageRecord) -> Result<()> {
        for (sha256, line) in std::mem::take(&mut self.held) {
            if self.seen.insert(sha256) {
                self.next.append_line(&line);
            }
        }
        self.place.pass(&record);
        if self.anew.as_ref().is_some_and(|anew| anew.shift() != 0) {
            return self.note(record);
        }
        self.count(&record);
        self.next.append_line(self.past.line());
        Ok(())
    }

    /// Notes a message whose bytes are as they were.
    fn note(&mut self, mut record: MessageRecord) -> Result<()> {
        let shift = self.anew.as_ref().map_or(0, BoxAnew::shift);
        for place in record.out.iter_mut().chain(&mut record.copies) {
            if place.end > 0 {
                place.offset = place.offset.saturating_add_signed(shift);
                place.end = place.end.saturating_add_signed(shift);
            }
        }
        self.append(record)
    }

    fn append(&mut self, record: MessageRecord) -> Result<()> {
        self.count(&record);
        self.next
            .append(&Entry::Record(Record::Message(Box::new(record))))
    }

    fn count(&mut self, record: &MessageRecord) {
        for place in record.places() {
            self.messages += 1;
            self.sum.add(&place.sha256);
        }
    }

    fn note_certificates(&mut self, seen: &[SeenCertificate], lists: &[SeenCrl]) -> Result<()> {
        let base64 = |der: &[u8]| base64_simd::STANDARD.encode_to_string(der);
        for certificate in seen {
            let sha256 = hex(&certificate.sha256);
            if self.seen.insert(sha256.clone()) {
                let der = base64(&certificate.der);
                let record = Record::Certificate(CertificateRecord { sha256, der });
                self.next.append(&Entry::Record(record))?;
            }
        }
        for list in lists {
            let sha256 = hex(&list.sha256);
            if self.seen.insert(sha256.clone()) {
                let der = base64(&list.der);
                let record = Record::Crl(CrlRecord { sha256, der });
                self.next.append(&Entry::Record(record))?;
            }
        }
        Ok(())
    }

    /// Notes what is known of a message now, and writes it where it comes out otherwise.
    fn renew(&mut self, raw: &RawMessage, old: MessageRecord, outcome: Outcome) -> Result<()> {
        let Some(out) = old.out.clone() else {
            return self.keep(old);
        };
        let was_changed = out.sha256 != old.sha256;
        if was_changed && outcome.edits.is_none() {
            // What was opened once is not closed again.
            return self.keep(old);
        }
        self.held.clear();
        let Outcome {
            findings,
            certificates,
            crls,
            edits,
            ..
        } = outcome;
        self.note_certificates(&certificates, &crls)?;
        let kind = self.place.ahead(self.old)?.kind;
        self.retried.changed += u64::from(!same(&old.findings, &findings)?);
        let edits = edits.as_deref().filter(|edits| {
            !was_changed || comes_out_otherwise(raw, kind, edits, &out, &old, &findings)
        });
        let record = MessageRecord {
            findings,
            ..old.clone()
        };
        let Some(edits) = edits else {
            self.place.pass(&old);
            return self.note(record);
        };
        let place = self.write(raw, kind, &out, edits)?;
        if let Some(originals) = &mut self.originals {
            originals.keep(&old.sha256, &raw.content)?;
        }
        self.retried.written += 1;
        if self.retried.written.is_multiple_of(SYNC_ORIGINALS)
            && let Some(originals) = &mut self.originals
        {
            originals.sync()?;
        }
        self.place.pass(&old);
        let moved = place.path != out.path;
        self.append(MessageRecord {
            trail: (raw.trail != b"\n").then(|| base64_simd::STANDARD.encode_to_string(&raw.trail)),
            out: Some(place),
            ..record
        })?;
        if moved {
            self.next
                .append(&Entry::Superseded(Superseded { path: out.path }))?;
        }
        Ok(())
    }

    /// Writes a message aside; gives its place in OUT.
    fn write(
        &mut self,
        raw: &RawMessage,
        kind: Kind,
        out: &OutPlace,
        edits: &[Piece],
    ) -> Result<OutPlace> {
        let mut hasher = Hasher::new(Digest::Sha256);
        let mut on_content = |bytes: &[u8]| hasher.update(bytes);
        let staging = self.layout.staging();
        let from = self.layout.below(&out.path)?;
        if kind == Kind::Mbox {
            let begins = self.place.begins;
            let anew = match &mut self.anew {
                Some(anew) => anew,
                None => self
                    .anew
                    .insert(BoxAnew::begin(from, &staging, &out.mailbox)?),
            };
            anew.copy_to(begins)?;
            let at = anew.written();
            let mut bytes = 0;
            anew.replace_to(out.end, |file, path| {
                let size = write_message(file, path, raw, kind, Some(edits), &mut on_content)?;
                bytes = size.content;
                Ok(size.whole)
            })?;
            return Ok(OutPlace {
                offset: at + sniff::leading_blanks(&raw.lead) as u64,
                bytes,
                sha256: hex(&hasher.finish()),
                end: anew.written(),
                ..out.clone()
            });
        }
        let ahead = self.place.ahead(self.old)?;
        let renewal = Renewal {
            staging: &staging,
            mailbox: &out.mailbox,
            kind,
            modified: std::fs::symlink_metadata(&from)
                .and_then(|found| found.modified())
                .ok(),
            shared_stems: &ahead.shared_stems,
        };
        let written = renew(&renewal, raw, out.ordinal, edits, &mut on_content)?;
        let sha256 = hex(&hasher.finish());
        let staged = staging.join(crate::text::unescape_path(&written.path));
        if proof::hash_file(&staged)? != sha256 {
            return Err(Error::Damaged {
                path: staged,
                what: "it does not read back as it was written".into(),
            });
        }
        self.single = kind != Kind::Maildir;
        Ok(OutPlace {
            path: written.path,
            bytes: written.bytes,
            end: written.end,
            sha256,
            ..out.clone()
        })
    }

    /// Ends a mailbox; one whose file is written anew is read back.
    fn close_mailbox(&mut self, mut done: MailboxDone) -> Result<()> {
        let messages = std::mem::take(&mut self.messages);
        let sum = std::mem::take(&mut self.sum);
        self.place = Place::default();
        let anew = self.anew.take();
        if !std::mem::take(&mut self.single) && anew.is_none() {
            self.next.append_line(self.past.line());
            return Ok(());
        }
        if let Some(anew) = anew {
            anew.finish(&done.out_sha256)?;
        }
        let staging = self.layout.staging();
        let written = Mailbox::new(
            done.file.out.clone().unwrap_or_default(),
            staging.clone(),
            Kind::named(&done.kind).unwrap_or(Kind::Mbox),
        );
        let proof = proof::read_back(&staging, &written, self.limits, messages, &sum)?;
        let unread = done.file.status.starts_with("skipped");
        if !unread {
            done.file.status = match &proof.difference {
                Some(difference) => format!("read: {difference}"),
                None => "read".into(),
            };
        }
        done.file.failed = unread || proof.difference.is_some();
        done.out_sha256 = proof.sha256;
        self.next.append(&Entry::Mailbox(Box::new(done)))
    }
}

impl<'a> Sink<'a> for Renewer<'_> {
    fn open(&mut self, _mailbox: &'a Mailbox) -> Result<()> {
        Ok(())
    }

    fn message(&mut self, milled: Milled) -> Result<()> {
        let Milled { raw, outcome, .. } = milled;
        let Some(outcome) = outcome else {
            return Ok(());
        };
        let Some(old) = self.keep_until(Some(&raw))? else {
            return Ok(());
        };
        self.retried.looked_at += 1;
        let action = outcome.findings.messages.first().map(|root| root.action);
        let bytes = raw.locator.bytes;
        self.renew(&raw, old, outcome)?;
        self.reporter
            .message(bytes, action.filter(|action| action.is_failure()));
        Ok(())
    }

    fn close(&mut self, _closed: Closed<'a>) -> Result<()> {
        Ok(())
    }

    fn file(&mut self, _file: &'a SourceFile) -> Result<()> {
        Ok(())
    }
}

/// Whether a message that was changed before comes out otherwise now. What is encrypted is new each
/// time, so for that the words decide.
fn comes_out_otherwise(
    raw: &RawMessage,
    kind: Kind,
    edits: &[Piece],
    out: &OutPlace,
    old: &MessageRecord,
    findings: &Findings,
) -> bool {
    let words = |findings: &Findings| -> Vec<_> {
        let messages = findings.messages.iter();
        messages
            .map(|message| (message.action, message.reason.clone()))
            .collect()
    };
    let random = findings
        .messages
        .iter()
        .any(|message| matches!(message.action, Action::Rewrapped | Action::Reencrypted));
    if random {
        return words(&old.findings) != words(findings);
    }
    dialect::render(raw, kind, edits)
        .is_none_or(|rendered| hex(&sha256(&rendered.content)) != out.sha256)
}

fn same(a: &Findings, b: &Findings) -> Result<bool> {
    let json = |findings: &Findings| {
        serde_json::to_vec(findings).map_err(|e| Error::io("compare", "findings")(e.into()))
    };
    Ok(json(a)? == json(b)?)
}
