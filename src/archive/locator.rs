//! Where a message lies: mailbox, ordinal, offset, length. Sorts in archive order, prints as
//! `mailbox:ordinal@offset+bytes`, and parses back.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The place of one message in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Locator {
    /// The mailbox's name.
    pub mailbox: Arc<str>,
    /// The message's number in it, from 1.
    pub ordinal: u64,
    /// Where its From_ line begins, in bytes; 0 where a message is a file of its own.
    pub offset: u64,
    /// The message's length as stored, without From_ line.
    pub bytes: u64,
}

/// Compares names component by component, as a walk through the tree would meet them: `a/b` stands
/// before `a.b`.
pub fn by_component(a: &str, b: &str) -> Ordering {
    a.split('/').cmp(b.split('/'))
}

impl Ord for Locator {
    fn cmp(&self, other: &Self) -> Ordering {
        by_component(&self.mailbox, &other.mailbox)
            .then(self.ordinal.cmp(&other.ordinal))
            .then(self.offset.cmp(&other.offset))
            .then(self.bytes.cmp(&other.bytes))
    }
}

impl PartialOrd for Locator {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}@{}+{}",
            self.mailbox, self.ordinal, self.offset, self.bytes
        )
    }
}

/// The text is not `mailbox:ordinal@offset+bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not of the form mailbox:ordinal@offset+bytes")]
pub struct NotALocator;

impl FromStr for Locator {
    type Err = NotALocator;

    /// Reads from the right, since a mailbox's name may hold any of the marks.
    fn from_str(text: &str) -> Result<Self, NotALocator> {
        let (rest, bytes) = text.rsplit_once('+').ok_or(NotALocator)?;
        let (rest, offset) = rest.rsplit_once('@').ok_or(NotALocator)?;
        let (mailbox, ordinal) = rest.rsplit_once(':').ok_or(NotALocator)?;
        Ok(Self {
            mailbox: mailbox.into(),
            ordinal: number(ordinal)?,
            offset: number(offset)?,
            bytes: number(bytes)?,
        })
    }
}

/// Only what [`fmt::Display`] prints: no sign, no leading zero.
fn number(text: &str) -> Result<u64, NotALocator> {
    let plain =
        text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if plain {
        text.parse().map_err(|_| NotALocator)
    } else {
        Err(NotALocator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prints_and_parses(mailbox in ".*", ordinal: u64, offset: u64, bytes: u64) {
            let locator = Locator { mailbox: mailbox.as_str().into(), ordinal, offset, bytes };
            prop_assert_eq!(locator.to_string().parse::<Locator>(), Ok(locator));
        }
    }

    #[test]
    fn sorts_as_a_walk_meets_them() {
        let at = |mailbox: &str, ordinal| Locator {
            mailbox: mailbox.into(),
            ordinal,
            offset: 0,
            bytes: 0,
        };
        let mut found = vec![at("a.b", 1), at("a/b", 10), at("a/b", 9), at("a", 1)];
        found.sort();
        assert_eq!(
            found,
            [at("a", 1), at("a/b", 9), at("a/b", 10), at("a.b", 1)]
        );
        assert!("a:1@0".parse::<Locator>().is_err());
        assert!("a:+1@0+1".parse::<Locator>().is_err());
    }
}
