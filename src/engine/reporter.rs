//! How a run is seen from outside. The library knows no terminal.

use crate::ops::outcome::Action;

/// Watches a run and may ask it to stop.
pub trait Reporter: Sync {
    /// A run begins; `total_bytes` is how much there is to read, where that is known.
    fn begin(&self, total_bytes: Option<u64>);
    /// A message of `bytes` bytes is done.
    fn message(&self, bytes: u64, failure: Option<Action>);
    /// Something that an administrator should know now.
    fn note(&self, text: &str);
    /// The signal that asks the run to stop, if one came.
    fn interrupted(&self) -> Option<i32>;
    /// The run has ended, well or not.
    fn end(&self);
}

/// Says nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn begin(&self, _total_bytes: Option<u64>) {}
    fn message(&self, _bytes: u64, _failure: Option<Action>) {}
    fn note(&self, _text: &str) {}
    fn interrupted(&self) -> Option<i32> {
        None
    }
    fn end(&self) {}
}
