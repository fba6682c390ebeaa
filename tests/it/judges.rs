//! What p7mill wrote, judged by parsers and verifiers that are not its own.

use crate::support::sample::migrated;
use crate::support::table::rows;
use crate::support::tools::{has, judge};

#[test]
fn python_and_openssl_read_every_message_that_was_written() {
    if !(has("python3") && has("openssl")) {
        return;
    }
    let migrated = migrated();
    let sample = migrated.sandbox.path().join("sample-data");
    // The judge takes `archive/…` below both: the sample's parent folder and OUT.
    println!(
        "{}",
        judge("written.py", &[sample.as_path(), &migrated.out()])
    );
}

#[test]
fn every_changed_message_has_its_original_kept_under_its_hash() {
    let migrated = migrated();
    for row in rows(&migrated.report("messages.csv")) {
        if row.at("part").is_empty() && row.at("outcome") == "decrypted" {
            let hash = row.at("sha256");
            let found = walkdir::WalkDir::new(migrated.out().join("originals"))
                .into_iter()
                .filter_map(Result::ok)
                .any(|entry| {
                    entry.file_type().is_file()
                        && entry
                            .path()
                            .to_string_lossy()
                            .replace('/', "")
                            .contains(hash)
                });
            assert!(found, "{:?}: no original {hash}", row.key());
        }
    }
}
