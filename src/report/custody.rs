//! run.json: who ran what, when, with what — the part of the reports that differs from run to run.

use std::path::Path;

use serde::Serialize;

use super::sheet::write_json;
use crate::error::Result;
use crate::text;

/// How a run came about. Nothing in it is secret: passphrases never are on the command line, and
/// keys are named by their certificates.
#[derive(Debug, Clone, Default)]
pub struct RunInfo {
    /// Such as `migrate`.
    pub command: String,
    /// As typed, lossily where it is not UTF-8.
    pub command_line: Vec<String>,
    /// When the run began, Unix seconds.
    pub started: i64,
    /// What "now" was for verdicts, Unix seconds.
    pub now: i64,
    /// The name of the machine.
    pub host: String,
    /// Who ran it.
    pub user: String,
    /// p7mill's own version.
    pub version: String,
    /// As the library names itself.
    pub openssl_version: String,
    /// SHA-256 of the certificates whose keys were at hand.
    pub keys: Vec<String>,
    /// Key files that stayed locked.
    pub locked_key_files: Vec<String>,
    /// SHA-256 of the trust anchors.
    pub anchors: Vec<String>,
}

#[derive(Serialize)]
struct RunFile<'a> {
    command: &'a str,
    command_line: &'a [String],
    user: &'a str,
    host: &'a str,
    started: String,
    ended: String,
    seconds: f64,
    messages: u64,
    messages_per_second: f64,
    now: String,
    p7mill: &'a str,
    openssl: &'a str,
    keys: &'a [String],
    locked_key_files: &'a [String],
    trust_anchors: &'a [String],
}

impl RunInfo {
    /// Writes `run.json` below `dir`; `seconds` is how long the run took, `messages` how many it
    /// handled.
    pub fn write(&self, dir: &Path, seconds: f64, messages: u64) -> Result<()> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a run lasts less than 2^63 seconds"
        )]
        let ended = self.started.saturating_add(seconds as i64);
        #[expect(clippy::cast_precision_loss, reason = "a rate to be read by people")]
        let rate = messages as f64 / seconds.max(0.001);
        let file = RunFile {
            command: &self.command,
            command_line: &self.command_line,
            user: &self.user,
            host: &self.host,
            started: text::rfc3339(self.started),
            ended: text::rfc3339(ended),
            seconds: (seconds * 1000.0).round() / 1000.0,
            messages,
            messages_per_second: rate.round(),
            now: text::rfc3339(self.now),
            p7mill: &self.version,
            openssl: &self.openssl_version,
            keys: &self.keys,
            locked_key_files: &self.locked_key_files,
            trust_anchors: &self.anchors,
        };
        write_json(&dir.join("run.json"), &file)
    }
}
