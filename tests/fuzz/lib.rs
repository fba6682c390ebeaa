//! The laws of `tests/it/fuzz`, for libFuzzer to try.

#[path = "../it/fuzz/seeds.rs"]
mod seeds;
#[path = "../it/fuzz/targets.rs"]
mod targets;

/// Panics where `data` breaks a law of that target.
pub fn check(target: &str, data: &[u8]) {
    targets::check(target, data);
}

/// Writes the target's seeds into the folder that `P7MILL_FUZZ_SEEDS` names, before libFuzzer
/// reads it. What the target loads but once is loaded here, where no time-out counts it.
pub fn prepare(target: &str) {
    check(target, b"Subject: first");
    let Some(folder) = std::env::var_os("P7MILL_FUZZ_SEEDS").map(std::path::PathBuf::from) else {
        return;
    };
    for (n, (_, bytes)) in seeds::of(target, usize::MAX).iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{n:04}")), bytes).expect("a seed is written");
    }
}
