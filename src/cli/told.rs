//! What a run was told, in the words of its command line, for report.html: only what shapes the
//! output and goes with the command. Where the output goes, and how many threads work, does not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use p7mill::cert::policy::Profile;
use p7mill::cert::{Certificate, Crl};
use p7mill::keys::MessageSecrets;
use p7mill::keys::keyring::{KeyFileStatus, KeyRing};
use p7mill::ops::Clock;
use p7mill::report::html::{Table, Told, Value};
use p7mill::report::summary::plural;
use p7mill::smime::seal::Recipient;
use p7mill::text::{escape_path, hex, rfc3339};

use super::options::{Cipher, JudgingArgs, Mode, OutArgs, Program, ShapeArgs};
use super::request::{Request, Wanted};
use super::{cipher, recipients};

/// What was found where the command line pointed.
pub(crate) struct Found<'a> {
    pub(crate) keyring: &'a KeyRing,
    pub(crate) secrets: &'a MessageSecrets,
    pub(crate) anchors: &'a [Arc<Certificate>],
    pub(crate) stamping: &'a [Arc<Certificate>],
    pub(crate) crls: &'a [Arc<Crl>],
    pub(crate) profile: &'a Profile,
    /// By option.
    pub(crate) recipients: &'a [(&'static str, Recipient)],
}

/// Options as a person would type them, and what they led to.
pub(crate) fn told(request: &Request<'_>, found: &Found<'_>) -> Told {
    let mut options = Options::default();
    options.paths("PATH", request.paths);
    options.key_files("--keys", request.keys);
    if let Some(given) = request.passphrases {
        let given = [
            ("--passphrases", given.passphrases.is_some()),
            ("--passphrase-file", given.passphrase_file.is_some()),
            ("--passphrase-fd", given.passphrase_fd.is_some()),
        ];
        for (option, given) in given {
            options.word(option, given.then(|| "given".to_owned()));
        }
    }
    if let Some(given) = request.messages {
        // How many there are, and nothing that would help to guess them.
        let many = |number: usize, noun| plural(number as u64, noun);
        let file = given.message_passphrase_file.as_ref();
        let passphrases = file.map(|_| many(found.secrets.passphrases().len(), "passphrase"));
        options.word("--message-passphrase-file", passphrases);
        let file = given.message_key_file.as_ref();
        let keys = file.map(|_| many(found.secrets.keys().len(), "key"));
        options.word("--message-key-file", keys);
        options.flag("--open-unaddressed", given.open_unaddressed);
    }
    options.task(request);
    options.paths("--store", request.store);
    if let Some(judging) = request.judging {
        options.judging(request, judging, found.profile);
    }
    let now = request.now;
    options.word("--now", now.map(rfc3339));
    if let Some(format) = request.format {
        options.word("--format", name_of(&format));
    }
    if let Some(out) = request.out {
        options.out(out);
    }
    if let Some(shape) = request.out.map(|out| &out.shape).or(request.shape) {
        options.shape(shape);
    }
    options.flag("--hash", request.hash);
    let accept = request.run.map(|run| run.accept.as_slice());
    let accept = accept.unwrap_or_default().iter().map(ToString::to_string);
    options.words("--accept", accept);
    let ratio = request.run.and_then(|run| run.max_unpack);
    options.word("--max-unpack", ratio.map(|ratio| ratio.to_string()));
    Told {
        options: options.0,
        tables: tables(found),
        ..Told::default()
    }
}

/// Options with what was said, in the order of the help.
#[derive(Default)]
struct Options(Vec<(String, Vec<Value>)>);

impl Options {
    /// What was not said is left out.
    fn add(&mut self, option: &str, values: Vec<Value>) {
        if !values.is_empty() {
            self.0.push((option.to_owned(), values));
        }
    }

    fn paths(&mut self, option: &str, paths: impl IntoIterator<Item = impl AsRef<Path>>) {
        let paths = paths.into_iter();
        self.add(
            option,
            paths
                .map(|path| Value::Path(escape_path(path.as_ref())))
                .collect(),
        );
    }

    fn key_files(&mut self, option: &str, paths: &[PathBuf]) {
        let value = |path: &PathBuf| Value::KeyFile(escape_path(path));
        self.add(option, paths.iter().map(value).collect());
    }

    fn words(&mut self, option: &str, words: impl IntoIterator<Item = String>) {
        self.add(option, words.into_iter().map(Value::Word).collect());
    }

    fn word(&mut self, option: &str, word: Option<String>) {
        self.words(option, word);
    }

    fn flag(&mut self, option: &str, given: bool) {
        self.word(option, given.then(|| "yes".to_owned()));
    }

    fn person(&mut self, option: &str, address: Option<&String>) {
        self.add(
            option,
            address.cloned().map(Value::Person).into_iter().collect(),
        );
    }

    /// What is done to each message.
    fn task(&mut self, request: &Request<'_>) {
        let cipher = |cipher: Cipher| cipher::cipher_name(cipher).to_owned();
        let program = |program: Option<Program>| program.as_ref().and_then(name_of);
        match &request.task {
            Wanted::Mill(_) => {
                let Some(seal) = request.seal.filter(|_| !request.to.is_empty()) else {
                    return;
                };
                self.to(request.to);
                self.key_files("--recovery", request.recovery);
                let mode = match seal.mode {
                    None => "rewrap, the default",
                    Some(Mode::Rewrap) => "rewrap",
                    Some(Mode::Content) => "content",
                };
                self.word("--mode", Some(mode.to_owned()));
                self.word("--cipher", seal.cipher.map(cipher));
                self.word("--for", program(seal.program));
            }
            Wanted::Sign(wanted) => {
                let signing = wanted.arguments;
                self.person("--as", signing.identity.as_ref());
                self.flag("--opaque", signing.opaque);
                self.word("--for", program(signing.program));
            }
            Wanted::Encrypt(wanted) => {
                self.to(request.to);
                self.flag("--to-recipients", wanted.to_recipients);
                self.flag("--to-self", wanted.to_self);
                self.key_files("--recovery", request.recovery);
                self.flag("--sign", wanted.sign);
                self.person("--as", wanted.identity.as_ref());
                let default = wanted.program.is_none().then(|| "auto, the default".into());
                self.word("--cipher", wanted.cipher.map(cipher).or(default));
                self.word("--for", program(wanted.program));
            }
        }
    }

    fn to(&mut self, to: &[PathBuf]) {
        let value = |to: &PathBuf| match recipients::address(to) {
            Some(address) => Value::Person(address.to_owned()),
            None => Value::KeyFile(escape_path(to)),
        };
        self.add("--to", to.iter().map(value).collect());
    }

    fn judging(&mut self, request: &Request<'_>, judging: &JudgingArgs, profile: &Profile) {
        let anchor = |word: &std::ffi::OsString| {
            if word == "system" {
                Value::Word("system".into())
            } else {
                Value::Path(escape_path(word.as_ref()))
            }
        };
        self.add("--trust", request.trust.iter().map(anchor).collect());
        self.paths("--intermediates", &judging.intermediates);
        let clock = match judging.clock {
            Clock::Received => "received".to_owned(),
            Clock::Signing => "signing".to_owned(),
            Clock::Now => "now".to_owned(),
            Clock::At(time) => rfc3339(time),
        };
        self.word("--clock", Some(clock));
        self.paths("--crl", &judging.crl);
        self.flag("--require-revocation", judging.require_revocation);
        self.paths("--trust-tsa", &judging.trust_tsa);
        let mut policy = vec![Value::Path(escape_path(&judging.policy))];
        if judging.policy.to_str() == Some(profile.name.as_str()) {
            policy = vec![Value::Word(profile.name.clone())];
        } else {
            policy.push(Value::Word(profile.name.clone()));
        }
        self.add("--policy", policy);
    }

    fn out(&mut self, out: &OutArgs) {
        let to = out.to_format.and_then(|to| name_of(&to));
        self.word("--to-format", to);
        self.flag("--stamp", out.stamp);
        self.flag("--no-originals", out.no_originals);
        self.flag("--dry-run", out.dry_run);
    }

    /// Where the key of pseudonyms lies changes nothing in the reports.
    fn shape(&mut self, shape: &ShapeArgs) {
        self.words("--columns", shape.columns.iter().cloned());
        let rows = shape.split_rows.map(|rows| rows.to_string());
        self.word("--split-rows", rows);
        self.words("--redact", shape.redact.iter().cloned());
        let domains = shape.our_domains.iter().cloned().map(Value::Domain);
        self.add("--our-domains", domains.collect());
    }
}

/// A choice, as it is typed.
fn name_of(value: &impl ValueEnum) -> Option<String> {
    let value = value.to_possible_value()?;
    Some(value.get_name().to_owned())
}

fn tables(found: &Found<'_>) -> Vec<Table> {
    let tables = [
        keys(found.keyring),
        recipients(found.recipients),
        authorities("Trust anchors (--trust)", found.anchors),
        authorities("Authorities of time-stamps (--trust-tsa)", found.stamping),
        lists(found.crls),
    ];
    let filled = tables.into_iter().filter(|table| !table.rows.is_empty());
    filled.collect()
}

fn whose(certificate: &Certificate) -> Value {
    Value::Person(if certificate.addresses.is_empty() {
        certificate.subject.clone()
    } else {
        certificate.addresses.join(" ")
    })
}

fn digest(sha256: &[u8; 32]) -> Value {
    Value::Digest(hex(sha256))
}

fn keys(keyring: &KeyRing) -> Table {
    let row = |file: &str, state: &str, whose, digest| {
        let state = Value::Word(state.to_owned());
        vec![Value::KeyFile(file.to_owned()), state, whose, digest]
    };
    let unknown = || Value::Word("no certificate is with it".into());
    let mut rows = Vec::new();
    for key in keyring.keys() {
        if key.certificates.is_empty() {
            rows.push(row(
                &key.name,
                "open",
                unknown(),
                Value::Word(String::new()),
            ));
        }
        for certificate in &key.certificates {
            let sha256 = digest(&certificate.sha256);
            rows.push(row(&key.name, "open", whose(certificate), sha256));
        }
    }
    for file in keyring.files() {
        if file.status != KeyFileStatus::Locked {
            continue;
        }
        let name = file.path.file_name().unwrap_or(file.path.as_os_str());
        let name = escape_path(name.as_ref());
        let person = file.certificates.iter().find(|known| !known.is_ca);
        rows.push(match person {
            Some(known) => row(&name, "locked", whose(known), digest(&known.sha256)),
            None => row(&name, "locked", unknown(), Value::Word(String::new())),
        });
    }
    Table {
        caption: "Key files (--keys)",
        columns: &["File", "Key", "Whose", "Certificate’s SHA-256"],
        rows,
    }
}

fn recipients(recipients: &[(&'static str, Recipient)]) -> Table {
    let row = |(option, to): &(&'static str, Recipient)| {
        let certificate = &to.certificate;
        let option = Value::Word((*option).to_owned());
        vec![option, whose(certificate), digest(&certificate.sha256)]
    };
    Table {
        caption: "Certificates to encrypt to (--to, --recovery)",
        columns: &["Option", "Whose", "SHA-256"],
        rows: recipients.iter().map(row).collect(),
    }
}

fn authorities(caption: &'static str, anchors: &[Arc<Certificate>]) -> Table {
    let row = |anchor: &Arc<Certificate>| {
        vec![
            Value::Authority(anchor.subject.clone()),
            Value::Day(Some(anchor.not_after)),
            digest(&anchor.sha256),
        ]
    };
    Table {
        caption,
        columns: &["Subject", "Valid until", "SHA-256"],
        rows: anchors.iter().map(row).collect(),
    }
}

fn lists(crls: &[Arc<Crl>]) -> Table {
    let row = |list: &Arc<Crl>| {
        vec![
            Value::Authority(list.issuer.clone()),
            Value::Day(Some(list.this_update)),
            Value::Day(list.next_update),
            digest(&list.sha256),
        ]
    };
    Table {
        caption: "Revocation lists (--crl)",
        columns: &["Issuer", "Issued", "Next due", "SHA-256"],
        rows: crls.iter().map(row).collect(),
    }
}
