//! What an earlier run committed, met again.

use super::Committer;
use crate::archive::Kind;
use crate::engine::journal::{Entries, Entry};
use crate::engine::pipeline::Milled;
use crate::error::{Error, Result};
use crate::report::record::Record;
use crate::text::hex;

impl Committer<'_> {
    /// A message that the journal holds must still be what it was.
    pub(super) fn recall(&mut self, milled: &Milled) -> Result<()> {
        let at = &milled.raw.locator;
        let name = format!("message {} of {}", at.ordinal, at.mailbox);
        let Some(Entry::Record(Record::Message(record))) = self.past.next().transpose()? else {
            return Err(changed(&name));
        };
        let sha256 = milled.sha256.map(|sum| hex(&sum)).unwrap_or_default();
        if *record.mailbox != *at.mailbox || record.ordinal != at.ordinal || record.sha256 != sha256
        {
            return Err(changed(&name));
        }
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        current.count(&milled.raw);
        for out in record
            .places()
            .filter(|out| out.mailbox == current.mailbox.out)
        {
            current.written += 1;
            current.end = out.end;
            current.sum.add(&out.sha256);
            if current.mailbox.to == Kind::Maildir {
                current.paths.insert(out.path.clone());
            }
        }
        Ok(())
    }
}

/// The journal's lines that a run goes through again.
pub(super) struct Past(pub(super) Entries);

impl Iterator for Past {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.find(|entry| {
            !matches!(
                entry,
                Ok(Entry::Header(_) | Entry::Record(Record::Certificate(_) | Record::Crl(_)))
            )
        })
    }
}

pub(super) fn changed(what: &str) -> Error {
    Error::Usage(format!(
        "{what} is not what it was when this run began; --start-over begins anew"
    ))
}

pub(super) fn describe(entry: &Entry) -> String {
    match entry {
        Entry::Record(Record::Message(record)) => {
            format!("message {} of {}", record.ordinal, record.mailbox)
        }
        Entry::Record(Record::File(record)) => record.path.clone(),
        Entry::Mailbox(done) => done.file.path.clone(),
        _ => "the archive".into(),
    }
}
