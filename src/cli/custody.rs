//! Who runs what with what: for run.json, and to tell whether a run continues another.

use std::collections::BTreeMap;
use std::sync::Arc;

use p7mill::cert::policy::Profile;
use p7mill::cert::{Certificate, Crl};
use p7mill::crypto::provider;
use p7mill::keys::keyring::{KeyFileStatus, KeyRing};
use p7mill::ops::Opening;
use p7mill::report::RunInfo;
use p7mill::smime::seal::Recipient;
use p7mill::text::{escape_path, hex};

use super::request::Wanted;

/// What is known of a run before it begins. Passphrases never are on the command line, and keys are
/// named by their certificates: nothing here is secret.
pub(crate) fn info(
    command: &str,
    started: i64,
    now: i64,
    keyring: &KeyRing,
    anchors: &[Arc<Certificate>],
) -> RunInfo {
    let locked = keyring
        .files()
        .iter()
        .filter(|file| file.status == KeyFileStatus::Locked);
    let keys = keyring
        .keys()
        .iter()
        .flat_map(|key| match key.certificates.as_slice() {
            [] => vec![key.name.clone()],
            certificates => certificates
                .iter()
                .map(|certificate| hex(&certificate.sha256))
                .collect(),
        });
    RunInfo {
        command: command.to_owned(),
        command_line: std::env::args_os()
            .map(|word| escape_path(word.as_ref()))
            .collect(),
        started,
        now,
        host: std::fs::read_to_string("/proc/sys/kernel/hostname")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        user: user(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        openssl_version: provider::version().to_owned(),
        keys: sorted(keys),
        locked_key_files: sorted(locked.map(|file| {
            file.path
                .file_name()
                .map(|name| escape_path(name.as_ref()))
                .unwrap_or_default()
        })),
        anchors: sorted(anchors.iter().map(|anchor| hex(&anchor.sha256))),
        ..RunInfo::default()
    }
}

/// Adds what verdicts rest on beside the anchors.
pub(crate) fn add_judging(
    info: &mut RunInfo,
    stamping: &[Arc<Certificate>],
    crls: &[Arc<Crl>],
    profile: &Profile,
) {
    info.stamping_anchors = sorted(stamping.iter().map(|anchor| hex(&anchor.sha256)));
    info.crls = sorted(crls.iter().map(|crl| hex(&crl.sha256)));
    info.policy.clone_from(&profile.name);
}

/// What shapes the output, by option: where one of these differs, a run does not continue another.
pub(crate) fn options(
    info: &RunInfo,
    intermediates: &[Arc<Certificate>],
    recipients: &[(&'static str, Recipient)],
) -> BTreeMap<String, String> {
    let fingerprints = |certificates: &[Arc<Certificate>]| {
        sorted(
            certificates
                .iter()
                .map(|certificate| hex(&certificate.sha256)),
        )
        .join(" ")
    };
    let named_by = |wanted: &str| {
        let named = recipients.iter().filter(|(option, _)| *option == wanted);
        sorted(named.map(|(_, to)| hex(&to.certificate.sha256))).join(" ")
    };
    BTreeMap::from([
        ("--keys".into(), info.keys.join(" ")),
        (
            "key files that stay locked".into(),
            info.locked_key_files.join(" "),
        ),
        ("--trust".into(), info.anchors.join(" ")),
        ("--trust-tsa".into(), info.stamping_anchors.join(" ")),
        ("--crl".into(), info.crls.join(" ")),
        ("--policy".into(), info.policy.clone()),
        ("--intermediates".into(), fingerprints(intermediates)),
        ("--to".into(), named_by("--to")),
        ("--recovery".into(), named_by("--recovery")),
    ])
}

/// The same of what is done to each message.
pub(crate) fn task(wanted: &Wanted<'_>, opening: Opening) -> Vec<(String, String)> {
    let identity = |address: &Option<String>| address.clone().unwrap_or_default();
    let said: Vec<(&str, String)> = match wanted {
        Wanted::Mill(_) => vec![("--mode", format!("{opening:?}"))],
        Wanted::Sign(wanted) => vec![
            ("--as", identity(&wanted.arguments.identity)),
            ("--opaque", wanted.arguments.opaque.to_string()),
            ("--for", format!("{:?}", wanted.arguments.program)),
        ],
        Wanted::Encrypt(wanted) => vec![
            ("--to-recipients", wanted.to_recipients.to_string()),
            ("--to-self", wanted.to_self.to_string()),
            ("--sign", wanted.sign.to_string()),
            ("--as", identity(&wanted.identity)),
        ],
    };
    let named = said
        .into_iter()
        .map(|(option, value)| (option.to_owned(), value));
    named.collect()
}

fn sorted(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut words: Vec<_> = words.collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Who runs it: the name in the environment, and the number that the system goes by.
fn user() -> String {
    let number = rustix::process::getuid().as_raw();
    match std::env::var("USER").or_else(|_| std::env::var("LOGNAME")) {
        Ok(name) if !name.is_empty() => format!("{name} ({number})"),
        _ => number.to_string(),
    }
}
