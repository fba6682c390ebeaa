//! A disk that is full, or broken: the run fails and says why, what has its name is whole, and the
//! next run completes it.

use rustix::io::Errno;

use super::disk::{Ground, is_temporary, is_whole, some_of};
use super::*;
use crate::fsio::fault::{Failure, Made, failing};
use crate::fsio::power::{Image, lay_out};

/// What happens on the disk that fails.
struct Work<'a> {
    ground: &'a Ground,
    does: fn(&Ground) -> crate::Result<()>,
    before: Image,
    after: Image,
}

impl Work<'_> {
    /// Lets the disk fail at the first change of a kind, then at the second, and so on.
    #[expect(clippy::print_stdout, reason = "how much was tried is told")]
    fn at_every(&self, kind: &str, failure: Failure, most: usize) {
        let mut all = 0;
        let any = Failure {
            after: usize::MAX,
            ..failure
        };
        self.lay_out();
        // How often it could: the failure itself counts, and never comes.
        let (_, made) = crate::fsio::fault::recorded(|| (self.does)(self.ground));
        assert!(any.after > made.len());
        all += made.iter().filter(|made| (failure.of)(made)).count();
        let tried = some_of(all, most);
        for after in &tried {
            self.once(
                kind,
                Failure {
                    after: *after,
                    ..failure
                },
            );
        }
        println!("{kind}: {} of {all} changes that fail", tried.len());
        assert!(tried.len() > 10);
    }

    fn lay_out(&self) {
        lay_out(&self.ground.disk(), &self.before);
    }

    fn once(&self, kind: &str, failure: Failure) {
        self.lay_out();
        let when = format!("{kind}, after {}", failure.after);
        let (done, made) = failing(failure, || (self.does)(self.ground));
        let Some(made) = made else {
            panic!("{when}: nothing failed");
        };
        match done {
            Err(Error::Io { source, .. }) => {
                assert_eq!(Errno::from_io_error(&source), Some(failure.error), "{when}");
            }
            // A write that is cut short is no failure where the rest can be written.
            Ok(()) if failure.half && !failure.for_good => {}
            other => panic!("{when}: {other:?}"),
        }
        // After a failure nothing is tried again, and nothing is called done.
        if !failure.half || failure.for_good {
            let other = made.iter().find(|made| !is_clearing(made));
            assert_eq!(other, None, "{when}");
        }
        let halves = self.ground.halves(&self.before, &self.after);
        assert_eq!(halves, [""; 0], "{when}");
        let found = self.ground.found();
        assert!(!found.keys().any(|path| is_temporary(path)), "{when}");
        (self.does)(self.ground).unwrap_or_else(|error| panic!("{when}, again: {error}"));
        assert_eq!(self.ground.differs_from_golden(), None, "{when}");
    }
}

/// Temporaries go; and what has no name yet takes what was still in memory.
fn is_clearing(made: &Made) -> bool {
    match made {
        Made::Remove(path) => is_temporary(path),
        Made::Write(path, ..) => {
            is_temporary(path) || path.to_str().unwrap().contains("/.p7mill/parts/")
        }
        _ => false,
    }
}

fn sweep(ground: &Ground, work: &Work<'_>) {
    let most = if is_whole() { usize::MAX } else { 40 };
    let full = Failure {
        of: Made::takes_room,
        after: 0,
        for_good: true,
        half: false,
        error: Errno::NOSPC,
    };
    work.at_every("full from then on", full, most);
    work.at_every(
        "full in the middle of a write",
        Failure { half: true, ..full },
        most,
    );
    let once = Failure {
        for_good: false,
        ..full
    };
    work.at_every("full for a moment", once, most);
    work.at_every("a short write", Failure { half: true, ..once }, most);
    let broken = Failure {
        of: Made::is_sync,
        error: Errno::IO,
        ..once
    };
    work.at_every("a failed sync", broken, most);
    work.at_every(
        "any failure",
        Failure {
            of: |_| true,
            ..broken
        },
        most,
    );
    assert!(ground.out().exists());
}

/// Red when a failed sync is tried again, or passed over, and when a file is written under its name.
#[test]
fn a_run_on_a_disk_that_is_full_or_broken_fails_and_the_next_completes_it() {
    for encrypts in [false, true] {
        let ground = Ground::new(12, encrypts);
        let work = Work {
            ground: &ground,
            does: |ground| ground.run().map(drop),
            before: Image::new(),
            after: ground.golden.clone(),
        };
        sweep(&ground, &work);
    }
}

#[test]
fn putting_originals_back_on_a_disk_that_is_full_or_broken_can_be_done_again() {
    let mut ground = Ground::new(12, true);
    ground.restore().unwrap();
    let restored = ground.found();
    let before = std::mem::replace(&mut ground.golden, restored);
    let work = Work {
        ground: &ground,
        does: |ground| ground.restore().map(drop),
        before,
        after: ground.golden.clone(),
    };
    sweep(&ground, &work);
}
