//! What a message's own header says, as far as reports and verdicts use it.

use crate::message::addresses;
use crate::message::headers::{Field, Headers};

use super::outcome::{Action, Judgement, MessageFinding, Role, TimeSource};
use super::{Clock, Context};

/// Fields whose protected values are compared and make no column.
const REMARKS: [&str; 2] = ["Keywords", "Comments"];

/// More recipients than these are not kept.
const SENT_TO: usize = 16;

/// The header of one judged message, the root's or an attached one's.
#[derive(Debug, Clone)]
pub struct Facts {
    /// IMAP section number; empty for the root.
    pub part: String,
    /// Without angle brackets.
    pub message_id: String,
    /// The Date field, Unix seconds.
    pub date: Option<i64>,
    /// Every address of every From field.
    pub from: Vec<String>,
    /// How many From fields there are: one, in an honest message.
    pub from_fields: usize,
    /// A From field holds something that is no address list, so another reader may see another
    /// address in it.
    pub from_malformed: bool,
    /// Every address of every Sender field.
    pub sender: Vec<String>,
    /// To.
    pub to: Vec<String>,
    /// Cc.
    pub cc: Vec<String>,
    /// Bcc, and where the server that delivered the message says it went: above the top Received
    /// field, since what stands below it the sender may have written.
    pub hidden: Vec<String>,
    /// Those of To, Cc and [`hidden`](Self::hidden) that every reader sees there.
    addressed: Vec<String>,
    /// Decoded.
    pub subject: String,
    /// Reply-To.
    pub reply_to: Vec<String>,
    /// Keywords and Comments, decoded.
    pub remarks: [String; 2],
    /// Arrival, Unix seconds: the top Received field's time, else the container's.
    pub received: Option<i64>,
}

impl Facts {
    /// Reads `headers`; `received` is when the container says the message arrived.
    pub fn of(headers: &Headers<'_>, part: String, received: Option<i64>) -> Self {
        let from = headers.address_list("From");
        Self {
            part,
            message_id: headers.message_id(),
            date: headers.date(),
            from_fields: headers.count("From"),
            from_malformed: from.malformed
                || headers
                    .all("From")
                    .any(|raw| shows_other_addresses(raw, &from.addresses)),
            from: from.addresses,
            sender: headers.addresses("Sender"),
            to: headers.addresses("To"),
            cc: headers.addresses("Cc"),
            hidden: headers
                .addresses("Bcc")
                .into_iter()
                .chain(delivered_to(headers))
                .collect(),
            addressed: addressed(headers),
            subject: headers.text("Subject"),
            reply_to: headers.addresses("Reply-To"),
            remarks: REMARKS.map(|name| headers.text(name)),
            received: headers.received_time().or(received),
        }
    }

    /// Whether the message was sent to one of `addresses`, as its header tells. A field that only some
    /// readers see does not count: who gets the message would not learn for whom it is opened.
    pub fn addresses_any(&self, addresses: &[String]) -> bool {
        addresses
            .iter()
            .any(|address| holds(&self.addressed, address))
    }

    /// How many of the fields that `protected` holds say something else than this header.
    pub fn conflicts(&self, protected: &Headers<'_>) -> u32 {
        let addresses = [
            ("From", &self.from),
            ("Sender", &self.sender),
            ("To", &self.to),
            ("Cc", &self.cc),
            ("Reply-To", &self.reply_to),
        ];
        let differing = addresses
            .into_iter()
            .filter(|(name, own)| {
                protected.first(name).is_some() && protected.addresses(name) != **own
            })
            .count();
        let differs = |name: &str, same: bool| u32::from(protected.first(name).is_some() && !same);
        u32::try_from(differing).unwrap_or(u32::MAX)
            + REMARKS
                .into_iter()
                .zip(&self.remarks)
                .map(|(name, own)| differs(name, protected.text(name) == *own))
                .sum::<u32>()
            + differs("Subject", protected.text("Subject") == self.subject)
            + differs("Date", protected.date() == self.date)
            + differs("Message-ID", protected.message_id() == self.message_id)
    }

    /// Whether `protected` has a From field of which a reader may take another address than this
    /// header's.
    pub fn other_from(&self, protected: &Headers<'_>) -> bool {
        let inner = Self::of(protected, String::new(), None);
        let same = inner.from.len() == self.from.len()
            && inner
                .from
                .iter()
                .zip(&self.from)
                .all(|(inner, own)| crate::cert::same_address(inner, own));
        inner.from_fields > 0 && (!same || inner.from_fields > 1 || inner.from_malformed)
    }

    /// Where the owner of `addresses` stands in the message.
    pub fn role(&self, addresses: &[String]) -> Role {
        let stands_in = |list: &[String]| addresses.iter().any(|address| holds(list, address));
        let headless = self.to.is_empty() && self.cc.is_empty() && self.from.is_empty();
        if addresses.is_empty() || headless {
            Role::Other
        } else if stands_in(&self.to) {
            Role::To
        } else if stands_in(&self.cc) {
            Role::Cc
        } else if stands_in(&self.from) || stands_in(&self.sender) {
            Role::Other
        } else {
            Role::Hidden
        }
    }

    /// The time a signature is judged at, and where it comes from. Received times are as
    /// unauthenticated as the header they stand in; the contract says so.
    pub fn verdict_time(&self, context: &Context, signing: Option<i64>) -> (i64, TimeSource) {
        let received = self.received.map(|time| (time, TimeSource::Received));
        let signing = signing.map(|time| (time, TimeSource::Signing));
        let now = (context.now, TimeSource::Now);
        match context.clock {
            Clock::At(time) => (time, TimeSource::Pinned),
            Clock::Now => now,
            Clock::Received => received.or(signing).unwrap_or(now),
            Clock::Signing => signing.or(received).unwrap_or(now),
        }
    }

    /// Everybody to whom the message was sent; nobody where they are so many that it tells nothing.
    pub fn sent_to(&self) -> Vec<String> {
        let all = [&self.to, &self.cc, &self.hidden];
        if all.iter().map(|list| list.len()).sum::<usize>() > SENT_TO {
            return Vec::new();
        }
        all.into_iter().flatten().cloned().collect()
    }

    /// The finding of a plain message.
    pub fn finding(self) -> MessageFinding {
        MessageFinding {
            part: self.part,
            message_id: self.message_id,
            date: self.date,
            from: self.from,
            sent_to: Vec::new(),
            subject: self.subject,
            form: "plain".into(),
            parts: 0,
            action: Action::Plain,
            reason: None,
            verdict_time: None,
            time_source: None,
            judgement: Judgement::default(),
            unsigned_bytes: None,
            content_encryption: None,
            content_integrity: None,
            content_strength: None,
            opened_with: None,
            opened_for: Vec::new(),
            header_conflicts: Some(0),
            concerns: Vec::new(),
        }
    }
}

/// Delivered-To above the top Received field.
fn delivered_to(headers: &Headers<'_>) -> Vec<String> {
    delivery_fields(headers)
        .flat_map(|field| read(&field))
        .collect()
}

fn delivery_fields<'a>(headers: &'a Headers<'_>) -> impl Iterator<Item = Field<'a>> {
    let received = headers.fields().position(|field| field.is("Received"));
    headers
        .fields()
        .take(received.unwrap_or(0))
        .filter(|field| field.is("Delivered-To"))
}

fn addressed(headers: &Headers<'_>) -> Vec<String> {
    headers
        .fields()
        .filter(|field| ["To", "Cc", "Bcc"].iter().any(|name| field.is(name)))
        .chain(delivery_fields(headers))
        .filter(Field::is_plain)
        .flat_map(|field| read(&field))
        .collect()
}

fn read(field: &Field<'_>) -> Vec<String> {
    addresses::parse(field.value).addresses
}

/// Whether a From field shows, outside of quotes, an address that is not one of `addresses`: a
/// group's name, a route, words behind the angle bracket. Readers differ in what they take of it.
fn shows_other_addresses(raw: &[u8], addresses: &[String]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    let mut shown = Vec::with_capacity(raw.len().min(1024));
    for &byte in raw {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            _ => shown.push(byte.to_ascii_lowercase()),
        }
    }
    let own: usize = addresses
        .iter()
        .map(|address| {
            memchr::memmem::find_iter(&shown, address.to_ascii_lowercase().as_bytes()).count()
        })
        .sum();
    memchr::memchr_iter(b'@', &shown).count() > own || memchr::memchr(0, &shown).is_some()
}

/// Whether `list` holds `address`, as addresses are compared (RFC 8550 §3).
pub fn holds(list: &[String], address: &str) -> bool {
    list.iter()
        .any(|known| crate::cert::same_address(known, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_field_that_every_reader_sees_says_for_whom_a_message_is() {
        for (header, counts) in [
            ("To: bob@example.org\n\n", true),
            ("To : bob@example.org\n\n", true),
            ("T\u{1}o: bob@example.org\n\n", false),
            ("X: y\rTo: bob@example.org\n\n", false),
            ("Cc: bob@example.org\n\n", true),
            ("C\u{0}c: bob@example.org\n\n", false),
            ("Bcc: bob@example.org\n\n", true),
            ("X: y\rBcc: bob@example.org\n\n", false),
            ("Delivered-To: bob@example.org\nReceived: x\n\n", true),
            ("D\u{1}elivered-To: bob@example.org\nReceived: x\n\n", false),
            ("Received: x\nDelivered-To: bob@example.org\n\n", false),
        ] {
            let facts = Facts::of(&Headers::parse(header.as_bytes()), String::new(), None);
            let said = facts.addresses_any(&["bob@example.org".into()]);
            assert_eq!(said, counts, "{header:?}");
        }
    }
}
