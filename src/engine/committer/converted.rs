//! Messages that are written in another form than they were found in.

use super::{Current, Output, Places, changed, place};
use crate::archive::RawMessage;
use crate::archive::convert;
use crate::crypto::digest::{Digest, Hasher};
use crate::engine::pipeline::Milled;
use crate::error::Result;
use crate::ops::outcome::Outcome;
use crate::report::summary::plural;
use crate::text::hex;

impl Current<'_> {
    /// Counts a message, and what of it has no place where it is written.
    pub(super) fn count(&mut self, raw: &RawMessage) {
        self.messages += 1;
        if self.mailbox.converts() {
            for what in convert::unheld(self.mailbox, &raw.meta, &self.legend) {
                *self.unheld.entry(what).or_default() += 1;
            }
        }
    }

    /// What was lost, for the mailbox's row.
    pub(super) fn unheld(&self) -> String {
        if self.unheld.is_empty() {
            return String::new();
        }
        let counted = self.unheld.iter();
        let counted: Vec<String> = counted
            .map(|(what, messages)| format!("{what} ({})", plural(*messages, "message")))
            .collect();
        let to = self.mailbox.to.as_str();
        format!(": {to} has no place for {}", counted.join(", "))
    }

    /// Writes a message, and its copies, in the form of another kind of mailbox.
    pub(super) fn write_converted(
        &mut self,
        output: &mut Output,
        milled: &Milled,
        outcome: &Outcome,
        in_sha256: &str,
    ) -> Result<Places> {
        let root = outcome.findings.messages.first();
        let date = root.and_then(|root| root.date);
        let mut places = Places::default();
        let first = std::iter::once(outcome.edits.as_deref());
        let copies = outcome.copies.iter().map(|edits| Some(edits.as_slice()));
        for edits in first.chain(copies) {
            let (raw, legend) = (&milled.raw, &self.legend);
            let made = convert::convert(self.mailbox, raw, edits, date, legend)
                .ok_or_else(|| changed(&self.mailbox.name))?;
            let mut hasher = Hasher::new(Digest::Sha256);
            let writer = self.writer(&output.layout)?;
            let written = writer.append(&made, None, &mut |bytes| hasher.update(bytes))?;
            let sha256 = hex(&hasher.finish());
            self.written += 1;
            self.sum.add(&sha256);
            if sha256 != in_sha256
                && let Some(originals) = &mut output.originals
            {
                originals.keep(in_sha256, &milled.raw.content)?;
            }
            let place = place(written, sha256);
            if places.out.is_none() {
                places.out = Some(place);
            } else {
                places.copies.push(place);
            }
        }
        Ok(places)
    }
}
