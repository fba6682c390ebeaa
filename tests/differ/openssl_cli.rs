//! What the program `openssl` prints of an object.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::summary::{Read, Summary};

/// `None` where it is not installed, which is said.
pub(crate) fn read(object: &[u8]) -> Option<Read> {
    let arguments = ["cms", "-cmsout", "-noout", "-print", "-inform", "DER"];
    let spawned = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = spawned else {
        assert!(
            std::env::var_os("P7MILL_REQUIRE_PEERS").is_none_or(|value| value != "1"),
            "openssl is not installed, and P7MILL_REQUIRE_PEERS=1"
        );
        println!("SKIPPED: openssl is not installed");
        return None;
    };
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = object.to_vec();
    // It may end before it has read everything.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("openssl ends");
    feeder.join().expect("the feeder ends");
    if !output.status.success() {
        return Some(Err("the program fails".to_owned()));
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    if breaks_off(&printed) {
        return Some(Err("its print breaks off".to_owned()));
    }
    Some(Ok(summary(&printed)))
}

/// Whether a SignerInfo was begun and not ended: an attribute whose value is no element stops the
/// program, which then reports success.
fn breaks_off(printed: &str) -> bool {
    lines(printed, 8, &["digestAlgorithm"]) != lines(printed, 8, &["signatureAlgorithm"])
}

/// How many lines at an indent are one of `words`.
fn lines(printed: &str, indent: usize, words: &[&str]) -> usize {
    printed
        .lines()
        .filter(|line| line.len() - line.trim_start().len() == indent)
        .filter(|line| words.contains(&line.trim().trim_end_matches(':')))
        .count()
}

fn summary(printed: &str) -> Summary {
    let count = |indent: usize, words: &[&str]| vec![String::new(); lines(printed, indent, words)];
    let dotted = |field: &str| {
        let line = printed
            .lines()
            .find(|line| line.trim_start().starts_with(field))?;
        let from = line.rfind('(')?;
        Some(line[from + 1..].trim_end_matches(')').to_owned())
    };
    Summary {
        content_type: dotted("contentType: ").unwrap_or_default(),
        inner_type: dotted("eContentType: "),
        recipients: count(6, &["d.ktri", "d.kari", "d.kekri", "d.pwri", "d.ori"]),
        signers: count(8, &["signatureAlgorithm"]),
        certificates: dotted("eContentType: ").map(|_| count(6, &["d.certificate"]).len()),
        counts_only: true,
        ..Summary::default()
    }
}
