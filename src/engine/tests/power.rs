//! A power cut at any moment: what the journal claims is there, and the next run completes it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::disk::{Ground, is_whole, some_of};
use crate::fsio::fault::{Made, recorded};
use crate::fsio::power::{History, Image, lay_out};

/// Moments between two changes: around everything that is to make something durable, or all.
fn moments(made: &[Made], most: usize) -> Vec<usize> {
    let all: Vec<usize> = (0..=made.len())
        .filter(|at| {
            let around = made[at.saturating_sub(1)..].iter().take(2);
            is_whole() || around.into_iter().any(Made::is_sync)
        })
        .collect();
    some_of(all.len(), most)
        .into_iter()
        .map(|at| all[at])
        .collect()
}

#[derive(Default)]
struct Tried {
    moments: usize,
    images: HashSet<u64>,
    wrong: Vec<String>,
}

impl Tried {
    /// Lays out each image that a power cut may leave here, looks whether the journal tells the
    /// truth, and runs again.
    fn power_cut(&mut self, ground: &Ground, history: &History, most: usize, when: &str) {
        self.moments += 1;
        for image in history.after_power_cut(most) {
            if self.images.insert(hash_of(&image)) {
                lay_out(&ground.disk(), &image);
                let wrong = run_again(ground, &image);
                self.wrong
                    .extend(wrong.map(|wrong| format!("{when}: {wrong}")));
            }
        }
    }

    #[expect(clippy::print_stdout, reason = "how much was tried is told")]
    fn end(self, what: &str, at_least: usize) {
        println!(
            "{what}: {} moments, {} different disks",
            self.moments,
            self.images.len()
        );
        assert!(
            self.images.len() >= at_least,
            "too few: {}",
            self.images.len()
        );
        let wrong = &self.wrong;
        assert!(
            wrong.is_empty(),
            "{} went wrong, among them\n{}",
            wrong.len(),
            wrong
                .iter()
                .take(10)
                .cloned()
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
}

fn hash_of(image: &Image) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    hasher.finish()
}

fn run_again(ground: &Ground, image: &Image) -> Option<String> {
    if let Some(claim) = ground.false_claims(image).into_iter().next() {
        return Some(claim);
    }
    match ground.run() {
        Err(error) => Some(format!("the next run fails: {error}")),
        Ok(_) => ground.differs_from_golden(),
    }
}

fn sweep(messages: usize, encrypts: bool, moments_at_most: usize, images_at_most: usize) {
    let ground = Ground::new(messages, encrypts);
    let mut tried = Tried::default();
    for at in moments(&ground.made, moments_at_most) {
        let mut history = History::below(&ground.disk());
        history.add(&ground.made[..at]);
        let when = format!("behind change {at} ({:?})", name(&ground.made, at));
        tried.power_cut(&ground, &history, images_at_most, &when);
    }
    tried.end("power cuts", 100);
}

/// The change before a moment, without its bytes.
fn name(made: &[Made], at: usize) -> String {
    let change = at.checked_sub(1).map(|before| match &made[before] {
        Made::Write(path, at, bytes) => {
            format!("{} bytes to {} at {at}", bytes.len(), path.display())
        }
        other => format!("{other:?}"),
    });
    change.unwrap_or_default()
}

/// Red when the journal's lines are written before what they claim is synced, and when a mailbox,
/// an original, a Maildir's message, a new folder or a final name is not synced itself.
#[test]
fn a_power_cut_takes_nothing_that_the_journal_claims() {
    if is_whole() {
        sweep(60, false, usize::MAX, 60);
    } else {
        sweep(12, false, 150, 5);
    }
}

#[test]
fn a_power_cut_takes_no_copies_for_blind_recipients() {
    if is_whole() {
        sweep(60, true, usize::MAX, 60);
    } else {
        sweep(8, true, 100, 5);
    }
}

/// Red when what a killed run left is taken for durable without a sync.
#[test]
fn a_power_cut_after_a_kill_takes_nothing_either() {
    let (kills, cuts, images) = if is_whole() { (80, 60, 6) } else { (40, 10, 2) };
    let ground = Ground::new(12, false);
    let mut tried = Tried::default();
    for kill in moments(&ground.made, kills) {
        let mut killed = History::below(&ground.disk());
        killed.add(&ground.made[..kill]);
        lay_out(&ground.disk(), &killed.now());
        let (done, made) = recorded(|| ground.run());
        done.unwrap();
        for cut in moments(&made, cuts) {
            let mut history = History::below(&ground.disk());
            history.add(&ground.made[..kill]);
            history.add(&made[..cut]);
            let when = format!(
                "killed behind change {kill}, cut behind {cut} ({})",
                name(&made, cut)
            );
            tried.power_cut(&ground, &history, images, &when);
        }
    }
    tried.end("kills with a power cut in the next run", 100);
}

/// Red when a broken-off note of a restore keeps the next one from its work, and when an mbox that
/// was put back is counted with the copies that it no longer holds.
#[test]
fn a_power_cut_while_originals_are_put_back_leaves_nothing_undone() {
    for encrypts in [false, true] {
        let mut ground = Ground::new(12, encrypts);
        let (done, made) = recorded(|| ground.restore());
        done.unwrap();
        let restored = ground.found();
        let run = std::mem::replace(&mut ground.golden, restored);
        let mut tried = Tried::default();
        let (cuts, images) = if is_whole() {
            (usize::MAX, 60)
        } else {
            (40, 4)
        };
        for at in moments(&made, cuts) {
            let mut history = History::below(&ground.disk());
            history.add(&ground.made);
            history.add(&made[..at]);
            for image in history.after_power_cut(images) {
                lay_out(&ground.disk(), &image);
                let when = format!("behind change {at} ({})", name(&made, at));
                assert_eq!(ground.halves(&run, &ground.golden), [""; 0], "{when}");
                if let Err(error) = ground.restore() {
                    panic!("{when}: the next one fails: {error}");
                }
                assert_eq!(ground.differs_from_golden(), None, "{when}");
                tried.images.insert(hash_of(&image));
            }
            tried.moments += 1;
        }
        tried.end("power cuts while originals are put back", 15);
    }
}

/// Red when the folder in which mailboxes grew is removed without a sync.
#[test]
fn what_a_finished_run_wrote_survives_a_power_cut() {
    for encrypts in [false, true] {
        let ground = Ground::new(12, encrypts);
        let mut history = History::below(&ground.disk());
        history.add(&ground.made);
        for image in history.after_power_cut(usize::MAX) {
            lay_out(&ground.disk(), &image);
            assert_eq!(ground.differs_from_golden(), None);
        }
    }
}
