//! Messages that are made to cost: the walk ends at its limits, and time grows with size alone.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::headers::Headers;
use super::laws::tree;
use super::parts::parse;
use crate::limits::{Budget, LimitExceeded, Limits};

#[test]
fn the_budget_ends_the_walk() {
    let deep: String = (0..100_000).fold(String::new(), |mut out, i| {
        let _ = write!(
            out,
            "Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n"
        );
        out
    });
    assert_eq!(
        tree(deep.as_bytes()).limit,
        Some(LimitExceeded("limit-depth"))
    );
    let attached = "Content-Type: message/rfc822\n\n".repeat(100_000);
    assert_eq!(
        tree(attached.as_bytes()).limit,
        Some(LimitExceeded("limit-depth"))
    );
    let wide = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}",
        "--b\n\n".repeat(1_000_000)
    );
    let start = Instant::now();
    assert_eq!(
        tree(wide.as_bytes()).limit,
        Some(LimitExceeded("limit-parts"))
    );
    assert!(start.elapsed() < Duration::from_secs(2));
    let header = "X: y\n".repeat(4_000_000);
    assert_eq!(
        tree(header.as_bytes()).limit,
        Some(LimitExceeded("limit-header"))
    );
}

/// What this thread has spent, so that other tests beside it do not count; the wall's time where
/// the kernel does not say.
fn spent() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = schedstat
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// Runs on `n` and `2n` and compares: no worse than 2.5×. A busy machine gets more than one try.
fn linear(what: &str, make: impl Fn(usize) -> Vec<u8>, n: usize) {
    let generous = Limits {
        parts: u32::MAX,
        header_bytes: u64::MAX,
        ..Limits::default()
    };
    let time = |message: &[u8]| {
        let start = spent();
        let tree = parse(message, &mut Budget::new(&generous));
        std::hint::black_box((
            tree.parts.len(),
            Headers::parse(message).addresses("to").len(),
        ));
        spent().saturating_sub(start)
    };
    let (small, large) = (make(n), make(2 * n));
    let (mut once, mut twice) = (time(&small), time(&large));
    for _ in 0..8 {
        if twice < once.mul_f64(2.5) + Duration::from_millis(10) {
            break;
        }
        once = once.min(time(&small));
        twice = twice.min(time(&large));
    }
    assert!(
        twice < once.mul_f64(2.5) + Duration::from_millis(10),
        "{what}: {once:?}, then {twice:?}"
    );
    assert!(once < Duration::from_secs(4), "{what}: {once:?}");
}

#[test]
fn twice_the_input_takes_twice_the_time() {
    // Sizes lie on one side of where the allocator begins to take fresh pages for each vector.
    let multipart = "Content-Type: multipart/mixed; boundary=b\n\n";
    linear(
        "long header",
        |n| "X: y\n".repeat(n).into_bytes(),
        2_000_000,
    );
    linear(
        "one long field",
        |n| format!("To: {}\n\n", "a, \n ".repeat(n)).into_bytes(),
        1_000_000,
    );
    linear(
        "parameters",
        |n| format!("Content-Type: a/b{}\n\n", "; a=b".repeat(n)).into_bytes(),
        100_000,
    );
    linear(
        "continuations",
        |n| format!("Content-Type: a/b{}\n\n", "; a*1=b".repeat(n)).into_bytes(),
        100_000,
    );
    linear(
        "parts",
        |n| format!("{multipart}{}", "--b\n\n\n".repeat(n)).into_bytes(),
        400_000,
    );
    linear(
        "no blank lines",
        |n| format!("{multipart}{}", "--b\nX: y\n".repeat(n)).into_bytes(),
        400_000,
    );
    linear(
        "near boundaries",
        |n| format!("{multipart}{}", "--bb\n--\n".repeat(n)).into_bytes(),
        1_000_000,
    );
    linear(
        "bare CR",
        |n| format!("A: b{}\n\n", "\rX: y".repeat(n)).into_bytes(),
        1_000_000,
    );
    linear("blank lines", |n| "\n".repeat(n).into_bytes(), 4_000_000);
    linear(
        "foreign lines",
        |n| format!("A: b\n{}", "x\nX: y\n".repeat(n)).into_bytes(),
        500_000,
    );
}
