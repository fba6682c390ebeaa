//! run.json: who ran what, when, with what — the part of the reports that differs from run to run.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::redact::Redactor;
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
    /// SHA-256 of the anchors of time-stamping authorities.
    pub stamping_anchors: Vec<String>,
    /// SHA-256 of the revocation lists that were named.
    pub crls: Vec<String>,
    /// How strength was graded: a profile's name, or its file's SHA-256.
    pub policy: String,
}

/// What is known of a run at its end.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// Reading, milling and writing mail, in seconds.
    pub milling: f64,
    /// The whole run, in seconds.
    pub seconds: f64,
    /// How many messages it handled.
    pub messages: u64,
    /// Of manifest.csv; empty without an output folder.
    pub manifest_sha256: &'a str,
    /// What hides names.
    pub redactor: Option<&'a Redactor>,
    /// What a retry came to, where it was one.
    pub retried: Option<&'a Retried>,
    /// run.json of each run before a retry, the first one first.
    pub earlier: &'a [serde_json::Value],
}

/// What a retry came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retried {
    /// Messages that were processed again.
    pub looked_at: u64,
    /// Those of which something else is known now.
    pub changed: u64,
    /// Those that are written otherwise now.
    pub written: u64,
}

#[derive(Serialize)]
struct RunFile<'a> {
    command: &'a str,
    command_line: Vec<String>,
    user: &'a str,
    host: &'a str,
    started: String,
    ended: String,
    seconds: f64,
    milling_seconds: f64,
    reporting_seconds: f64,
    messages: u64,
    messages_per_second: f64,
    now: String,
    p7mill: &'a str,
    openssl: &'a str,
    keys: Vec<String>,
    locked_key_files: Vec<String>,
    trust_anchors: &'a [String],
    time_stamp_anchors: &'a [String],
    crls: &'a [String],
    policy: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    manifest_sha256: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retried: Option<&'a Retried>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    earlier: &'a [serde_json::Value],
}

impl RunInfo {
    /// Writes `run.json` below `dir`.
    pub fn write(&self, dir: &Path, ended: &Ended<'_>) -> Result<()> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a run lasts less than 2^63 seconds"
        )]
        let end = self.started.saturating_add(ended.seconds as i64);
        #[expect(clippy::cast_precision_loss, reason = "a rate to be read by people")]
        let rate = ended.messages as f64 / ended.milling.max(0.001);
        let milliseconds = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
        let hidden =
            |names: &[String], hide: &dyn Fn(&Redactor, &str) -> String| match ended.redactor {
                Some(redactor) => names.iter().map(|name| hide(redactor, name)).collect(),
                None => names.to_vec(),
            };
        let command_line = ended.redactor.map_or_else(
            || self.command_line.clone(),
            |redactor| redactor.command_line(&self.command_line),
        );
        let file = RunFile {
            command: &self.command,
            command_line,
            user: &self.user,
            host: &self.host,
            started: text::rfc3339(self.started),
            ended: text::rfc3339(end),
            seconds: milliseconds(ended.seconds),
            milling_seconds: milliseconds(ended.milling),
            reporting_seconds: milliseconds(ended.seconds - ended.milling),
            messages: ended.messages,
            messages_per_second: rate.round(),
            now: text::rfc3339(self.now),
            p7mill: &self.version,
            openssl: &self.openssl_version,
            keys: hidden(&self.keys, &Redactor::key_name),
            locked_key_files: hidden(&self.locked_key_files, &Redactor::key_name),
            trust_anchors: &self.anchors,
            time_stamp_anchors: &self.stamping_anchors,
            crls: &self.crls,
            policy: &self.policy,
            manifest_sha256: ended.manifest_sha256,
            retried: ended.retried,
            earlier: ended.earlier,
        };
        write_json(&dir.join("run.json"), &file)
    }
}
