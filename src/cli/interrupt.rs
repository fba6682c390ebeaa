//! SIGINT and SIGTERM: the first asks the run to stop in good order, the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use p7mill::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Which signal has asked the run to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Takes the two signals over. Before this they end the process as ever, which is right while
    /// a passphrase is asked for and nothing has begun.
    pub(crate) fn watch() -> Result<Self> {
        let asked = Self::default();
        let armed = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let number = usize::try_from(signal).unwrap_or_default();
            // In this order: the second signal finds `armed` set by the first.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                128 + signal,
                Arc::clone(&armed),
            )
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&armed)))
            .and_then(|_| signal_hook::flag::register_usize(signal, Arc::clone(&asked.0), number))
            .map_err(Error::io("watch for signals in", "this process"))?;
        }
        Ok(asked)
    }

    /// The signal that asked, if one did.
    pub(crate) fn signal(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => i32::try_from(signal).ok(),
        }
    }
}
