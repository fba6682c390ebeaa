//! From the reader through the workers to the committer, in order, within bounds; and a sequential
//! twin.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::reporter::Reporter;
use super::walker::{Batch, Closed, Held, Step};
use crate::archive::{Content, Kind, Mailbox, RawMessage, SourceFile};
use crate::bulk::{self, Bulk, Stoppable};
use crate::crypto::digest::{Digest, Hasher, sha256};
use crate::error::{Error, Result};
use crate::fsio::Scratch;
use crate::limits::Limits;
use crate::message::condensed::{Condensed, Root};
use crate::ops::outcome::Outcome;
use crate::ops::{self, Input};

/// Bytes of messages between reader and committer.
const IN_FLIGHT_BYTES: u64 = 256 << 20;
/// Steps between reader and committer.
const IN_FLIGHT_STEPS: usize = 1024;
/// Of a message whose structure is too large to hold, this much is looked at for its header.
const HEAD_BYTES: usize = 64 << 10;

/// What is done with each message.
pub type Process<'a> = dyn Fn(&Input<'_>) -> Outcome + Sync + 'a;

/// A message and what is to be done with it.
pub(super) struct Milled {
    pub(super) raw: RawMessage,
    pub(super) kind: Kind,
    /// Of the message as stored, where hashes were asked for.
    pub(super) sha256: Option<[u8; 32]>,
    /// `None` for a message that the journal holds already.
    pub(super) outcome: Option<Outcome>,
}

/// Takes the steps in order.
pub(super) trait Sink<'a> {
    fn open(&mut self, mailbox: &'a Mailbox) -> Result<()>;
    fn message(&mut self, milled: Milled) -> Result<()>;
    fn close(&mut self, closed: Closed<'a>) -> Result<()>;
    fn file(&mut self, file: &'a SourceFile) -> Result<()>;
}

/// What the container says of a message.
fn described(raw: &RawMessage, kind: Kind) -> Input<'static> {
    Input {
        received: raw.meta.received,
        quoting: raw.meta.quoting,
        cms: kind == Kind::Cms,
        ..Input::of(&[])
    }
}

fn hashed(content: &Content) -> Result<[u8; 32]> {
    let mut hasher = Hasher::new(Digest::Sha256);
    content.each_piece(&mut |piece| {
        hasher.update(piece);
        Ok(())
    })?;
    Ok(hasher.finish().try_into().unwrap_or_default())
}

/// What every worker needs.
pub(super) struct Mill<'a> {
    pub(super) process: &'a Process<'a>,
    limits: &'a Limits,
    /// Where large plaintexts may lie until they are written.
    scratch: Option<Scratch>,
    pub(super) hash: bool,
    pub(super) reporter: &'a dyn Reporter,
    /// Set where nobody waits for results any more.
    cancelled: Arc<AtomicBool>,
}

impl<'a> Mill<'a> {
    pub(super) fn new(
        process: &'a Process<'a>,
        limits: &'a Limits,
        scratch: Option<Scratch>,
        hash: bool,
        reporter: &'a dyn Reporter,
    ) -> Self {
        Self {
            process,
            limits,
            scratch,
            hash,
            reporter,
            cancelled: Arc::new(AtomicBool::new(false)),
        }
    }

    fn batch(&self, batch: Batch) -> Result<Vec<Milled>> {
        let Batch { messages, held } = batch;
        let mut milled = Vec::with_capacity(messages.len());
        for raw in messages {
            if self.cancelled.load(Ordering::Relaxed) {
                break;
            }
            milled.push(self.message(raw, held)?);
        }
        Ok(milled)
    }

    /// One message.
    pub(super) fn message(&self, raw: RawMessage, held: Held) -> Result<Milled> {
        let Held { kind, known, .. } = held;
        let hash = self.hash || known;
        let (sha256, outcome) = match &raw.content {
            Content::Bytes(bytes) => {
                let input = Input {
                    bytes,
                    large: None,
                    ..described(&raw, kind)
                };
                let hashed = hash.then(|| sha256(bytes));
                (hashed, (!known).then(|| self.guarded(&input)))
            }
            Content::TooLarge { origin, .. } => {
                let sha256 = if hash {
                    Some(hashed(&raw.content)?)
                } else {
                    None
                };
                let outcome = if known {
                    None
                } else {
                    let found = self.large(&raw, held, sha256);
                    Some(found.map_err(Error::io("stream through", origin.path()))?)
                };
                (sha256, outcome)
            }
        };
        Ok(Milled {
            raw,
            kind,
            sha256,
            outcome,
        })
    }

    /// A message that is too large to hold.
    fn large(
        &self,
        raw: &RawMessage,
        held: Held,
        sha256: Option<[u8; 32]>,
    ) -> std::io::Result<Outcome> {
        // Its temporaries are read between two readings of it.
        let stopped = Arc::clone(&self.cancelled);
        let whole: Arc<dyn Bulk> = Arc::new(Stoppable::new(raw.content.bulk(), stopped));
        let Ok(condensed) = Condensed::of(Arc::clone(&whole), Root::Message, self.limits)? else {
            return Ok(ops::too_large(&bulk::head(&*whole, HEAD_BYTES)?));
        };
        let input = Input {
            bytes: &condensed.bytes,
            large: Some(ops::Large {
                condensed: &condensed,
                sha256,
                scratch: self.scratch.as_ref().filter(|_| !held.converts),
            }),
            ..described(raw, held.kind)
        };
        let mut outcome = self.guarded(&input);
        if let Some(trouble) = outcome.trouble.take() {
            return Err(trouble);
        }
        // What is written in another form is put together in memory.
        Ok(match outcome.edits {
            Some(_) if held.converts => ops::left_alone(outcome, "limit-message"),
            _ => outcome,
        })
    }

    /// A panic at one message must not take the others with it, nor lose the message.
    fn guarded(&self, input: &Input<'_>) -> Outcome {
        catch_unwind(AssertUnwindSafe(|| (self.process)(input)))
            .unwrap_or_else(|_| ops::internal_error(input))
    }

    fn check_interrupt(&self) -> Result<()> {
        self.reporter
            .interrupted()
            .map_or(Ok(()), |signal| Err(Error::Interrupted(signal)))
    }
}

/// Everything on the calling thread.
pub(super) fn sequential<'a>(
    walker: impl Iterator<Item = Result<Step<'a>>>,
    mill: &Mill<'_>,
    sink: &mut dyn Sink<'a>,
) -> Result<()> {
    for step in walker {
        mill.check_interrupt()?;
        match step? {
            Step::Open(mailbox) => sink.open(mailbox)?,
            Step::Batch(Batch { messages, held }) => {
                for raw in messages {
                    mill.check_interrupt()?;
                    sink.message(mill.message(raw, held)?)?;
                }
            }
            Step::Close(closed) => sink.close(closed)?,
            Step::File(file) => sink.file(file)?,
        }
    }
    Ok(())
}

/// What the committer waits for.
enum Waiting<'a> {
    Open(&'a Mailbox),
    Batch {
        results: mpsc::Receiver<Result<Vec<Milled>>>,
        weight: u64,
    },
    Close(Closed<'a>),
    File(&'a SourceFile),
    Failed(Error),
}

/// One reader, `threads` workers, the committer on the calling thread.
pub(super) fn parallel<'a>(
    walker: impl Iterator<Item = Result<Step<'a>>> + Send,
    mill: &Mill<'_>,
    threads: usize,
    sink: &mut dyn Sink<'a>,
) -> Result<()> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("p7mill-{index}"))
        .build()
        .map_err(|e| Error::io("start threads in", "this process")(std::io::Error::other(e)))?;
    let gate = Gate::default();
    pool.in_place_scope(|workers| {
        std::thread::scope(|threads| {
            let (queue, waiting) = mpsc::sync_channel(IN_FLIGHT_STEPS);
            let gate = &gate;
            threads.spawn(move || read(walker, mill, workers, gate, &queue));
            let _release = Release { mill, gate };
            commit(&waiting, mill, gate, sink)
        })
    })
}

/// Lets reader and workers go once nobody waits for them any more, however that came about.
struct Release<'a, 'b> {
    mill: &'a Mill<'b>,
    gate: &'a Gate,
}

impl Drop for Release<'_, '_> {
    fn drop(&mut self) {
        self.mill.cancelled.store(true, Ordering::Relaxed);
        self.gate.open_for_good();
    }
}

fn read<'a, 'scope>(
    walker: impl Iterator<Item = Result<Step<'a>>>,
    mill: &'scope Mill<'scope>,
    workers: &rayon::Scope<'scope>,
    gate: &Gate,
    queue: &mpsc::SyncSender<Waiting<'a>>,
) {
    for step in walker {
        let next = match step {
            Ok(Step::Batch(batch)) => {
                let weight = batch.weight();
                gate.enter(weight);
                let (done, results) = mpsc::sync_channel(1);
                workers.spawn(move |_| {
                    let _ = done.send(mill.batch(batch));
                });
                Waiting::Batch { results, weight }
            }
            Ok(Step::Open(mailbox)) => Waiting::Open(mailbox),
            Ok(Step::Close(closed)) => Waiting::Close(closed),
            Ok(Step::File(file)) => Waiting::File(file),
            Err(error) => Waiting::Failed(error),
        };
        // Fails where the committer has gone.
        if queue.send(next).is_err() || mill.cancelled.load(Ordering::Relaxed) {
            return;
        }
    }
}

fn commit<'a>(
    waiting: &mpsc::Receiver<Waiting<'a>>,
    mill: &Mill<'_>,
    gate: &Gate,
    sink: &mut dyn Sink<'a>,
) -> Result<()> {
    const LOOK_UP: std::time::Duration = std::time::Duration::from_millis(100);
    loop {
        mill.check_interrupt()?;
        let step = match waiting.recv_timeout(LOOK_UP) {
            Ok(step) => step,
            Err(mpsc::RecvTimeoutError::Timeout) => continue,
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
        };
        match step {
            Waiting::Open(mailbox) => sink.open(mailbox)?,
            Waiting::Close(closed) => sink.close(closed)?,
            Waiting::File(file) => sink.file(file)?,
            Waiting::Failed(error) => return Err(error),
            Waiting::Batch { results, weight } => {
                let milled = loop {
                    mill.check_interrupt()?;
                    match results.recv_timeout(LOOK_UP) {
                        Ok(milled) => break milled?,
                        Err(mpsc::RecvTimeoutError::Timeout) => {}
                        Err(mpsc::RecvTimeoutError::Disconnected) => {
                            let lost = std::io::Error::other("a worker was lost");
                            return Err(Error::io("work in", "this process")(lost));
                        }
                    }
                };
                for message in milled {
                    mill.check_interrupt()?;
                    sink.message(message)?;
                }
                gate.leave(weight);
            }
        }
    }
}

/// Lets the reader run ahead by so many bytes, or by one batch, however large.
#[derive(Default)]
struct Gate {
    state: Mutex<(u64, bool)>,
    changed: Condvar,
}

impl Gate {
    fn enter(&self, weight: u64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |(inside, open): &mut (u64, bool)| {
            !*open && *inside > 0 && *inside + weight > IN_FLIGHT_BYTES
        };
        let mut state = self
            .changed
            .wait_while(state, full)
            .unwrap_or_else(PoisonError::into_inner);
        state.0 += weight;
    }

    fn leave(&self, weight: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = state.0.saturating_sub(weight);
        self.changed.notify_one();
    }

    fn open_for_good(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_one();
    }
}
