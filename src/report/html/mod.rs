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

use std::collections::BTreeMap;

pub(super) use gather::Gathered;
pub(super) use page::{Facts, render};

/// What a run was told, as far as it shapes the reports.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Such as `migrate`.
    pub command: String,
    /// Of p7mill.
    pub version: String,
    /// What "now" was, Unix seconds.
    pub now: i64,
    /// Options by name, as two runs are compared by them.
    pub options: BTreeMap<String, String>,
    /// How the reports are split and cut; empty where they are not.
    pub shape: String,
}
