//! report.html: one page for people, which needs no network, no script and no other file.
//!
//! It is made from the same rows as the other reports, in one walk with them, and holds counts and
//! short lists only, so its size does not grow with the archive. Everything on it that comes from
//! mail is hostile: it is escaped, what is invisible or would turn text round is spelled out, and
//! long values are cut.
//!
//! | file | answers |
//! |---|---|
//! | `gather` | what is counted along the walk |
//! | `chart` | how counts become a picture |
//! | `page` | how it all stands on the page |

mod chart;
mod gather;
mod page;

pub(super) use gather::Gathered;
pub(super) use page::{Facts, render};

use super::redact::Hiding;

/// What a run was told, as far as it shapes the reports, in words of the command line.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Such as `migrate`.
    pub command: String,
    /// Of p7mill.
    pub version: String,
    /// What "now" was, Unix seconds.
    pub now: i64,
    /// Options with their values, as they are typed.
    pub options: Vec<(String, Vec<Value>)>,
    /// What stood in the files that options name: keys, certificates, revocation lists.
    pub tables: Vec<Table>,
}

/// Things of one kind, a row each.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// What they are.
    pub caption: &'static str,
    /// A heading a column.
    pub columns: &'static [&'static str],
    /// As many values each as there are columns.
    pub rows: Vec<Vec<Value>>,
}

/// Something that was said, by what hides it and how it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A word.
    Word(String),
    /// A file or folder.
    Path(String),
    /// A file of keys or of somebody's certificate.
    KeyFile(String),
    /// The name of an authority, or of somebody in an authority's place (RFC 4514).
    Authority(String),
    /// A domain of addresses.
    Domain(String),
    /// A person's addresses, joined by a space, or name.
    Person(String),
    /// Hexadecimal.
    Digest(String),
    /// Unix seconds; `None` where there is no such day.
    Day(Option<i64>),
}

impl Value {
    fn redacted(&self, hiding: &Hiding<'_>) -> Self {
        let Some(redactor) = hiding.redactor() else {
            return self.clone();
        };
        match self {
            Self::Word(word) => Self::Word(redactor.free(word).into_owned()),
            Self::Path(path) => Self::Path(redactor.path(path)),
            Self::KeyFile(name) => Self::KeyFile(redactor.key_name(name)),
            Self::Authority(name) => Self::Authority(hiding.issuer(name)),
            Self::Domain(domain) => Self::Domain(redactor.domain(domain)),
            Self::Person(person) => Self::Person(redactor.person(person)),
            Self::Digest(_) | Self::Day(_) => self.clone(),
        }
    }
}

impl Told {
    /// The same with names hidden.
    #[must_use]
    pub(super) fn redacted(mut self, hiding: &Hiding<'_>) -> Self {
        let options = self.options.iter_mut().flat_map(|(_, values)| values);
        let cells = self.tables.iter_mut().flat_map(|table| &mut table.rows);
        for value in options.chain(cells.flatten()) {
            *value = value.redacted(hiding);
        }
        self
    }

    /// Whether an option is among them.
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|(name, _)| name == option)
    }

    /// Whether the command is one that looks for the keys of what is encrypted.
    fn looks_for_keys(&self) -> bool {
        !matches!(self.command.as_str(), "sign" | "encrypt")
    }
}
