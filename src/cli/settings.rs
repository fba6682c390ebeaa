//! From raw flags to resolved settings, in one place. Everything that the command line names is
//! read and judged here, before anything is written; an error names the option and what to do.
//! The only reader of the system clock.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use p7mill::cert::Certificate;
use p7mill::cert::cache::CertCache;
use p7mill::cert::crl;
use p7mill::cert::policy::Profile;
use p7mill::cert::pool::Pool;
use p7mill::cert::trust::{self, Trust};
use p7mill::engine::{self, Earlier, Job};
use p7mill::keys::MessageSecrets;
use p7mill::keys::keyring::KeyRing;
use p7mill::limits::Limits;
use p7mill::ops::encrypt::Encrypting;
use p7mill::ops::sign::Signing;
use p7mill::ops::{self, Clock, Opening, Plan, Task};
use p7mill::smime::seal;
use p7mill::smime::sign::{CAPABILITIES, Form};
use p7mill::store::{Status, Store};
use p7mill::text::{escape_path, rfc3339};
use p7mill::{Error, Result};

use super::cipher::{cipher_name, content_cipher, opening, wanted_cipher};
use super::cut::Cut;
use super::options::{Cipher, Format, MessageKeyArgs, PassphraseArgs, RunArgs};
use super::request::{Request, Wanted};
use super::{custody, job, paths, recipients, told, unlock};

/// What a run needs, resolved.
pub(crate) struct Settings {
    /// What the engine is given.
    pub(crate) job: Job,
    /// What `ops` is given.
    pub(crate) context: ops::Context,
    /// What receives the harvest.
    pub(crate) store: Option<Store>,
    /// What a person should know before the run.
    pub(crate) notes: Vec<String>,
}

impl Settings {
    /// Resolves a request. Whatever can fail without a passphrase fails before one is asked for.
    pub(crate) fn resolve(request: &Request<'_>) -> Result<Self> {
        paths::check_targets(request)?;
        let started = system_now();
        let earlier = earlier(request)?;
        let now = request
            .now
            .or(earlier.map(|run| run.now))
            .unwrap_or(started);
        let mut notes = Vec::new();
        let cut = Cut::of(request)?;
        let (opening, cipher) = match &request.task {
            Wanted::Mill(wanted) => opening(request, *wanted)?,
            Wanted::Sign(_) => (Opening::Keep, Cipher::Aes256Gcm),
            Wanted::Encrypt(wanted) => {
                let cipher = wanted_cipher(wanted.cipher, wanted.program)?;
                (Opening::Keep, cipher.unwrap_or(Cipher::Auto))
            }
        };
        let anchors = anchors(request.trust)?;
        let intermediates = match request.judging {
            Some(judging) => trust::load_certificates(&judging.intermediates)
                .map_err(|e| named("--intermediates", e))?,
            None => Vec::new(),
        };
        let stamping = request
            .judging
            .map_or(Ok(Vec::new()), |judging| {
                trust::load_certificates(&judging.trust_tsa)
            })
            .map_err(|error| named("--trust-tsa", error))?;
        let crls = request
            .judging
            .map_or(Ok(Vec::new()), |judging| crl::load(&judging.crl))
            .map_err(|error| named("--crl", error))?;
        let profile = request.judging.map_or_else(
            || Ok(Profile::default()),
            |judging| profile(&judging.policy),
        )?;
        let require_revocation = request
            .judging
            .is_some_and(|judging| judging.require_revocation);
        let mut recipients = recipients::files("--to", request.to, now, &mut notes)?;
        let recovery = recipients::files("--recovery", request.recovery, now, &mut notes)?;
        let store = open_store(
            request,
            earlier.is_some_and(|run| run.finished) && !request.retry,
        )?;
        for address in request.to.iter().filter_map(|to| recipients::address(to)) {
            recipients.push(recipients::in_store(store.as_ref(), address, now)?);
        }
        let by_option: Vec<_> = recipients
            .iter()
            .map(|to| ("--to", to.clone()))
            .chain(recovery.iter().map(|to| ("--recovery", to.clone())))
            .collect();
        let secrets = secrets(request.messages)?;
        let open_unaddressed = request
            .messages
            .is_some_and(|messages| messages.open_unaddressed);
        let keyring = keyring(request.keys, request.passphrases, &mut notes)?;
        job::look_at_keys(request, &keyring, &mut notes)?;
        if matches!(request.task, Wanted::Mill(_)) {
            recipients.extend(recovery.iter().cloned());
        }
        let one_cipher = content_cipher(cipher).unwrap_or_else(|| seal::common_cipher(&recipients));
        // What the command line names goes before what was harvested.
        let mut pool = Pool::new();
        let named = anchors.iter().chain(&intermediates);
        pool.extend(named.chain(keyring.certificates()).cloned());
        if let Some(store) = &store {
            // What nothing speaks for goes last: it must not stand before anyone's own.
            let (last, first): (Vec<_>, Vec<_>) = store
                .certificates()?
                .into_iter()
                .partition(|stored| stored.status == Status::Quarantined);
            for stored in first.into_iter().chain(last) {
                pool.extend(Certificate::decode(&stored.der).ok().map(Arc::new));
            }
        }

        let trust = Trust::new(anchors.iter().cloned());
        let task = match &request.task {
            Wanted::Mill(_) => Task::Mill(opening),
            Wanted::Sign(wanted) => Task::Sign(wanted.signing(&keyring, &pool, &trust)),
            Wanted::Encrypt(wanted) => Task::Encrypt(Encrypting {
                to_recipients: wanted.to_recipients,
                to_self: wanted.to_self,
                recovery,
                cipher: content_cipher(cipher),
                directory: recipients::directory(store.as_ref(), &keyring, now)?,
                signing: wanted.sign.then(|| {
                    let identity = wanted.identity.clone();
                    Signing::new(
                        &keyring,
                        &pool,
                        &trust,
                        identity,
                        Form::Detached,
                        CAPABILITIES,
                    )
                }),
            }),
        };
        let clock = request
            .judging
            .map_or(Clock::Received, |judging| judging.clock);
        let dry_run = request.out.is_some_and(|out| out.dry_run);
        let format = request.format.unwrap_or(Format::Csv);
        let mut info = custody::info(request.command, started, now, &keyring, &anchors);
        custody::add_judging(&mut info, &stamping, &crls, &profile);
        let mut options = custody::options(&info, &intermediates, &by_option);
        let mut told_so = |option: &str, value: String| options.insert(option.into(), value);
        told_so("--require-revocation", require_revocation.to_string());
        told_so("--clock", format!("{clock:?}"));
        told_so("--now", request.now.map(rfc3339).unwrap_or_default());
        told_so("--store", request.store.is_some().to_string());
        let limits = limits(request.run);
        told_so("--max-message", limits.message_bytes.to_string());
        // How many there are, and nothing that would help to guess them.
        let (passphrases, keys) = (secrets.passphrases().len(), secrets.keys().len());
        told_so("--message-passphrase-file", passphrases.to_string());
        told_so("--message-key-file", keys.to_string());
        told_so("--open-unaddressed", open_unaddressed.to_string());
        told_so(
            "--cipher",
            format!("{} {}", cipher_name(cipher), one_cipher.name()),
        );
        if let Some(ratio) = request.run.and_then(|run| run.max_unpack) {
            told_so("--max-unpack", ratio.to_string());
        }
        options.extend(custody::task(&request.task, opening));
        let trust_tsa = Trust::new(stamping);
        let told = told::told(
            request,
            &told::Found {
                keyring: &keyring,
                secrets: &secrets,
                anchors: trust.anchors(),
                stamping: trust_tsa.anchors(),
                crls: &crls,
                profile: &profile,
                recipients: &by_option,
            },
        );
        let job = Job {
            roots: request.paths.to_vec(),
            out: request
                .out
                .and_then(|out| out.out.clone())
                .filter(|_| !dry_run),
            report: request
                .report
                .map(Path::to_path_buf)
                .or_else(|| paths::report_of_dry_run(request)),
            csv: format != Format::Jsonl,
            jsonl: format != Format::Csv,
            shape: cut.shape,
            hidden: cut.hidden,
            redaction_key: cut.redaction_key,
            our_domains: cut.our_domains,
            to_format: request.out.and_then(|out| Some(out.to_format?.kind())),
            stamp: request.out.is_some_and(|out| out.stamp),
            originals: request.out.is_some_and(|out| !out.no_originals),
            // Sightings in the store are told apart by the message's hash.
            hash: request.hash || request.command != "scan",
            threads: threads(request.run),
            accept: request
                .run
                .map(|run| run.accept.clone())
                .unwrap_or_default(),
            withholds: matches!(task, Task::Encrypt(_)),
            start_over: request.out.is_some_and(|out| out.start_over),
            retry_failed: request.retry,
            trust,
            trust_tsa,
            crls,
            require_revocation,
            profile,
            judges: !matches!(request.command, "scan" | "sign" | "encrypt"),
            options,
            info,
            told,
        };
        let context = ops::Context {
            plan: Plan {
                task,
                recipients,
                cipher: one_cipher,
                open_unaddressed,
            },
            keyring,
            secrets,
            pool,
            cache: CertCache::new(),
            limits,
            now,
            clock,
        };
        if let Wanted::Sign(wanted) = &request.task {
            wanted.look_for_key(&context, &mut notes)?;
        }
        Ok(Self {
            job,
            context,
            store: store.filter(|_| request.harvests && !dry_run),
            notes,
        })
    }
}

/// The run that this one continues.
fn earlier(request: &Request<'_>) -> Result<Option<Earlier>> {
    match request.out {
        Some(out) if !out.dry_run && !out.start_over => {
            out.out.as_deref().map_or(Ok(None), engine::earlier)
        }
        _ => Ok(None),
    }
}

/// The store, if one is named; made where the run is to fill it.
fn open_store(request: &Request<'_>, finished: bool) -> Result<Option<Store>> {
    let Some(file) = request.store else {
        return Ok(None);
    };
    let fills = request.harvests && !finished && !request.out.is_some_and(|out| out.dry_run);
    if !fills && !file.exists() {
        if request.harvests {
            return Ok(None);
        }
        return Err(Error::Usage(format!(
            "--store {}: there is no such store",
            file.display()
        )));
    }
    Store::open(file, fills).map(Some)
}

/// The keys that `--keys` names, opened as far as passphrases go.
pub(crate) fn keyring(
    keys: &[PathBuf],
    passphrases: Option<&PassphraseArgs>,
    notes: &mut Vec<String>,
) -> Result<KeyRing> {
    let mut passphrases = unlock::passphrases(passphrases, !keys.is_empty())?;
    let ring = KeyRing::load(keys, &mut passphrases).map_err(|error| named("--keys", error))?;
    notes.extend(unlock::notes(&passphrases, &ring));
    Ok(ring)
}

/// The passphrases and keys of messages that no certificate is behind.
fn secrets(options: Option<&MessageKeyArgs>) -> Result<MessageSecrets> {
    let mut secrets = MessageSecrets::default();
    if let Some(file) = options.and_then(|options| options.message_passphrase_file.as_deref()) {
        secrets
            .read_passphrases(file)
            .map_err(|error| named("--message-passphrase-file", error))?;
    }
    if let Some(file) = options.and_then(|options| options.message_key_file.as_deref()) {
        secrets
            .read_keys(file)
            .map_err(|error| named("--message-key-file", error))?;
    }
    Ok(secrets)
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub(crate) fn system_now() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// An input that an option names and that cannot be read is a usage error that names the option.
pub(crate) fn named(option: &str, error: Error) -> Error {
    match error {
        Error::Usage(text) if text.contains(option) => Error::Usage(text),
        Error::Io { .. } | Error::Usage(_) => Error::Usage(format!("{option}: {error}")),
        other => other,
    }
}

fn limits(run: Option<&RunArgs>) -> Limits {
    let limits = Limits::default();
    Limits {
        message_bytes: run
            .and_then(|run| run.max_message)
            .unwrap_or(limits.message_bytes),
        unpacked_ratio: run
            .and_then(|run| run.max_unpack)
            .unwrap_or(limits.unpacked_ratio),
        ..limits
    }
}

fn threads(run: Option<&RunArgs>) -> usize {
    run.and_then(|run| run.jobs).map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    )
}

/// `--policy`: a name, else a file.
fn profile(word: &Path) -> Result<Profile> {
    /// Tables fit in a fraction of this.
    const LARGEST: u64 = 1 << 20;
    if let Some(profile) = word.to_str().and_then(Profile::built_in) {
        return Ok(profile);
    }
    let wrong = |why: &str| Error::Usage(format!("--policy {}: {why}", escape_path(word)));
    let length = std::fs::metadata(word).map_err(|error| {
        let names: Vec<_> = Profile::names().collect();
        wrong(&format!(
            "{error}; it is {}, or a TOML file",
            names.join(", ")
        ))
    })?;
    if length.len() > LARGEST {
        return Err(wrong("over 1 MiB"));
    }
    let text = std::fs::read_to_string(word).map_err(|error| wrong(&error.to_string()))?;
    Profile::from_toml(&text).map_err(|why| wrong(&why))
}

fn anchors(words: &[OsString]) -> Result<Vec<Arc<Certificate>>> {
    let mut files = Vec::new();
    for word in words {
        if word == "system" {
            files.push(trust::system_bundle().ok_or_else(|| {
                Error::Usage(
                    "--trust system: this system has no bundle of CA certificates; name a file"
                        .into(),
                )
            })?);
        } else {
            files.push(PathBuf::from(word));
        }
    }
    trust::load_certificates(&files).map_err(|error| named("--trust", error))
}
