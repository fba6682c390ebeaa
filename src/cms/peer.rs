//! For tests: the OpenSSL program as a judge, and the objects of others.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::armor;

/// What the program writes when fed with `input`, or `None` where it fails. Where it is not
/// installed the test says so, and fails if `P7MILL_REQUIRE_PEERS=1`.
pub(super) fn openssl(args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let spawned = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = spawned else {
        skipped("openssl is not installed");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may end before it has read everything.
    let feeder = std::thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output.status.success().then_some(output.stdout)
}

/// Whether the program is there.
pub(super) fn has_openssl() -> bool {
    openssl(&["version"], &[]).is_some()
}

/// Says that a test did nothing, and why; for what may be absent even where peers are required.
pub(super) fn not_shown(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// The same for a peer.
fn skipped(why: &str) {
    not_shown(why);
    assert_ne!(
        std::env::var("P7MILL_REQUIRE_PEERS").as_deref(),
        Ok("1"),
        "{why}"
    );
}

/// Every CMS object in `../shared/corpora`, with the file's name: as it is, out of PEM, or out of
/// base64 in mail.
pub(super) fn corpus() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    if files.is_empty() {
        not_shown("../shared/corpora is absent");
    }
    files.iter().flat_map(|file| objects(&root, file)).collect()
}

fn objects(root: &Path, file: &PathBuf) -> Vec<(String, Vec<u8>)> {
    let name = file.strip_prefix(root).unwrap().display().to_string();
    let bytes = std::fs::read(file).unwrap();
    let found = if bytes.first() == Some(&0x30) && armor::sniff(&bytes).is_some() {
        vec![bytes]
    } else if let Some(inside) = armor::unarmor(&bytes) {
        vec![inside]
    } else {
        base64_blocks(&bytes)
    };
    found
        .into_iter()
        .filter(|object| armor::sniff(object).is_some())
        .enumerate()
        .map(|(n, object)| (format!("{name}#{n}"), object))
        .collect()
}

/// Runs of base64 lines that start like a SEQUENCE.
fn base64_blocks(bytes: &[u8]) -> Vec<Vec<u8>> {
    let is_base64 = |line: &[u8]| {
        !line.is_empty()
            && line
                .iter()
                .all(|letter| letter.is_ascii_alphanumeric() || b"+/=".contains(letter))
    };
    let lines: Vec<&[u8]> = bytes
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .collect();
    lines
        .chunk_by(|a, b| is_base64(a) == is_base64(b))
        .filter(|run| run[0].starts_with(b"MI"))
        .filter_map(|run| base64_simd::forgiving_decode_to_vec(&run.concat()).ok())
        .collect()
}
