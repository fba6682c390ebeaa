//! How a run is seen while it goes: a bar on a terminal, lines where asked for, or nothing.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{
    HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle,
};
use p7mill::engine::Reporter;
use p7mill::ops::outcome::Action;

use super::interrupt::Interrupt;
use super::options::{TalkArgs, When};
use super::printer::Printer;

/// Time between two lines of `--progress plain`.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Time between two changes of the bar's text.
const TEXT_EVERY: Duration = Duration::from_millis(200);

/// Counts, and shows what it counts.
pub(crate) struct Progress {
    style: Style,
    printer: Printer,
    interrupt: Interrupt,
    started: Instant,
    last: Mutex<Duration>,
    total: OnceLock<u64>,
    bar: OnceLock<ProgressBar>,
    messages: AtomicU64,
    bytes: AtomicU64,
    failures: [AtomicU64; Action::ALL.len()],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bar,
    Lines,
    Nothing,
}

impl Progress {
    /// As the command line asks.
    pub(crate) fn new(talk: &TalkArgs, printer: &Printer, interrupt: &Interrupt) -> Self {
        let style = match talk.progress {
            When::Auto if std::io::stderr().is_terminal() && !talk.quiet => Style::Bar,
            When::Plain => Style::Lines,
            When::Auto | When::Never => Style::Nothing,
        };
        Self {
            style,
            printer: printer.clone(),
            interrupt: interrupt.clone(),
            started: Instant::now(),
            last: Mutex::new(Duration::ZERO),
            total: OnceLock::new(),
            bar: OnceLock::new(),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            failures: [const { AtomicU64::new(0) }; Action::ALL.len()],
        }
    }

    /// Whether it is time to show something again; if so, it is taken as shown.
    fn due(&self, every: Duration) -> bool {
        let now = self.started.elapsed();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now.saturating_sub(*last) >= every;
        if due {
            *last = now;
        }
        due
    }

    fn pace(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let messages = self.messages.load(Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed);
        let mut text = format!(
            "{} messages  {}/s  {}/s",
            HumanCount(messages),
            HumanCount(per_second(messages, seconds)),
            HumanBytes(per_second(bytes, seconds)),
        );
        let failed: Vec<String> = Action::ALL
            .iter()
            .zip(&self.failures)
            .map(|(action, count)| (action, count.load(Ordering::Relaxed)))
            .filter(|&(_, count)| count > 0)
            .map(|(action, count)| format!("{action} {}", HumanCount(count)))
            .collect();
        if !failed.is_empty() {
            let _ = write!(text, "  failed so far: {}", failed.join(", "));
        }
        text
    }

    fn line(&self) -> String {
        let done = self.bytes.load(Ordering::Relaxed);
        let mut line = format!("p7mill: {}", HumanBytes(done));
        if let Some(&total) = self.total.get() {
            let _ = write!(line, " of {}", HumanBytes(total));
        }
        let _ = write!(line, "  {}", self.pace());
        if let Some(&total) = self.total.get()
            && let Some(left) = time_left(self.started.elapsed(), done, total)
        {
            let _ = write!(line, "  about {} left", HumanDuration(left));
        }
        line
    }
}

impl Reporter for Progress {
    fn begin(&self, total: Option<u64>) {
        if let Some(total) = total {
            let _ = self.total.set(total);
        }
        if self.style == Style::Bar {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            let template = if total.is_some() {
                "{bar:24} {percent:>3} %  {bytes} of {total_bytes}  {msg}  {eta} left"
            } else {
                "{spinner} {bytes}  {msg}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(500));
            let _ = self.bar.set(bar);
        }
    }

    fn message(&self, bytes: u64, failure: Option<Action>) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(action) = failure
            && let Some(counter) = self.failures.get(action as usize)
        {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        match self.style {
            Style::Bar => {
                if let Some(bar) = self.bar.get() {
                    bar.inc(bytes);
                    if self.due(TEXT_EVERY) {
                        bar.set_message(self.pace());
                    }
                }
            }
            Style::Lines => {
                if self.due(LINE_EVERY) {
                    super::printer::complain(&self.line());
                }
            }
            Style::Nothing => {}
        }
    }

    fn interrupted(&self) -> Option<i32> {
        self.interrupt.signal()
    }

    fn note(&self, text: &str) {
        match self.bar.get() {
            Some(bar) => bar.suspend(|| self.printer.note(text)),
            None => self.printer.note(text),
        }
    }

    fn end(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rate for people"
)]
fn per_second(count: u64, seconds: f64) -> u64 {
    (count as f64 / seconds) as u64
}

/// What is left at the pace so far; `None` where nothing can be said.
#[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
fn time_left(elapsed: Duration, done: u64, total: u64) -> Option<Duration> {
    let left = total.checked_sub(done)?;
    (done > 0)
        .then(|| elapsed.as_secs_f64() * left as f64 / done as f64)
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_the_pace() {
        assert_eq!(
            time_left(Duration::from_secs(10), 25, 100),
            Some(Duration::from_secs(30))
        );
        assert_eq!(time_left(Duration::from_secs(10), 0, 100), None);
        assert_eq!(time_left(Duration::from_secs(10), 101, 100), None);
    }
}
