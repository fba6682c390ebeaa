//! Many messages: one reader, many workers, one committer.
//!
//! | file | answers |
//! |---|---|
//! | [`run`](mod@run) | what a run is, from its job to its exit code |
//! | `stream` | the same for standard input |
//! | `ground` `apart` | whether an output folder may be used, and what is there already |
//! | `layout` | where things lie below it |
//! | `walker` | what comes next in the sources |
//! | `pipeline` | how it passes the workers and keeps its order |
//! | `committer` `originals` `proof` | what is written, and when it counts as written |
//! | [`journal`] | what is committed; how a run goes on after a crash |
//! | `retry` | how what stayed closed is processed again, once there are more keys |
//! | `finish` `manifest` `redaction` | reports, store and manifest at the end; the key of pseudonyms |
//! | [`check`](mod@check) [`restore`](mod@restore) | whether it still is so; how it is undone |
//! | [`reporter`] | how it is watched |

mod apart;
pub mod check;
mod committer;
mod finish;
mod ground;
pub mod journal;
mod layout;
mod manifest;
mod originals;
mod pipeline;
mod proof;
mod redaction;
pub mod reporter;
pub mod restore;
mod retry;
pub mod run;
mod stream;
#[cfg(test)]
mod tests;
mod walker;

pub use apart::{refuse_inside, refuse_overlap};
pub use check::{Difference, What, check};
pub use ground::{Earlier, earlier};
pub use pipeline::Process;
pub use reporter::{Reporter, Silent};
pub use restore::{Restored, restore};
pub use run::{Finished, Job, run, run_with};
pub use stream::run_stream;
