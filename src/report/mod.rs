//! What an auditor reads: rows and files, written once, at the end, from the journal's records.
//!
//! | file | answers |
//! |---|---|
//! | [`record`] | what is kept of a run |
//! | [`rows`] | which columns each report has |
//! | [`csv`] `sheet` | how a row becomes a line that no spreadsheet runs |
//! | `judging` | what a signature amounts to when all certificates are known |
//! | `evidence` | what the archive says of each certificate |
//! | [`missing`] | whose key files are still needed |
//! | [`advice`] | what to do about a message that failed |
//! | [`totals`] [`summary`] | how many of what; the last lines on a terminal |
//! | [`custody`] | who ran it, when, with what |
//! | [`shape`] [`redact`] | which columns, in how many files; what hides names |
//! | [`html`] | the page for people |
//! | `fill` | which finding goes into which column |
//! | [`write`](write()) | all of them, in two walks |

pub mod advice;
pub mod csv;
pub mod custody;
mod evidence;
mod fill;
pub mod html;
mod judging;
pub mod missing;
mod missing_cas;
pub mod record;
pub mod redact;
pub mod rows;
pub mod shape;
mod sheet;
pub mod summary;
#[cfg(test)]
pub(crate) mod testing;
pub mod totals;
mod write;

pub use custody::{Ended, Retried, RunInfo};
pub use judging::Judging;
pub use sheet::Target;
pub use summary::Telling;
pub(crate) use totals::MAYBE_LOCKED;
pub use totals::Totals;
pub use write::{OnSighting, Records, files_in, is_report, write};
