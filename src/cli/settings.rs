//! From raw flags to resolved settings, in one place. Everything that the command line names is
//! read and judged here, before anything is written; an error names the option and what to do.
//! The only reader of the system clock.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use p7mill::cert::Certificate;
use p7mill::cert::cache::CertCache;
use p7mill::cert::crl;
use p7mill::cert::policy::Profile;
use p7mill::cert::pool::Pool;
use p7mill::cert::trust::{self, Trust};
use p7mill::crypto::cipher::ContentCipher;
use p7mill::engine::{self, Earlier, Job};
use p7mill::keys::MessageSecrets;
use p7mill::keys::keyring::KeyRing;
use p7mill::limits::Limits;
use p7mill::ops::encrypt::{Directory, Encrypting};
use p7mill::ops::sign::Signing;
use p7mill::ops::{self, Clock, Opening, Plan, Task};
use p7mill::report::redact::Hidden;
use p7mill::report::shape::Shape;
use p7mill::smime::seal::{self, Recipient};
use p7mill::smime::sign::{CAPABILITIES, Form};
use p7mill::store::{Status, Store};
use p7mill::text::{escape_path, hex, rfc3339};
use p7mill::{Error, Result};

use super::options::{
    Cipher, EncryptionArgs, Format, JudgingArgs, MessageKeyArgs, Mode, OutArgs, PassphraseArgs,
    Program, RunArgs, SealArgs, ShapeArgs,
};
use super::{custody, job, paths, sign, told, unlock};

/// What a command asks for, as its flags say it; what a command does not have is empty.
#[derive(Default)]
pub(crate) struct Request<'a> {
    /// The command's name.
    pub(crate) command: &'static str,
    /// PATH.
    pub(crate) paths: &'a [PathBuf],
    /// `--keys`
    pub(crate) keys: &'a [PathBuf],
    /// How to open them.
    pub(crate) passphrases: Option<&'a PassphraseArgs>,
    /// `--message-passphrase-file`, `--message-key-file`, `--open-unaddressed`
    pub(crate) messages: Option<&'a MessageKeyArgs>,
    /// `--trust`
    pub(crate) trust: &'a [OsString],
    /// `--intermediates` and the clock.
    pub(crate) judging: Option<&'a JudgingArgs>,
    /// `--now`
    pub(crate) now: Option<i64>,
    /// `--store`
    pub(crate) store: Option<&'a Path>,
    /// Whether the run fills the store.
    pub(crate) harvests: bool,
    /// `--to`
    pub(crate) to: &'a [PathBuf],
    /// `--recovery`
    pub(crate) recovery: &'a [PathBuf],
    /// `--mode`, `--cipher`, `--for`
    pub(crate) seal: Option<&'a SealArgs>,
    /// `--out` and what goes with it.
    pub(crate) out: Option<&'a OutArgs>,
    /// `--report`
    pub(crate) report: Option<&'a Path>,
    /// `--format`
    pub(crate) format: Option<Format>,
    /// `--columns`, `--redact` and so on, where there is no `out`.
    pub(crate) shape: Option<&'a ShapeArgs>,
    /// `--hash`
    pub(crate) hash: bool,
    /// `--accept`, `-j`
    pub(crate) run: Option<&'a RunArgs>,
    /// What is done to each message.
    pub(crate) task: Wanted<'a>,
}

/// What a command does to each message, before its flags are resolved.
pub(crate) enum Wanted<'a> {
    /// Layers are judged, and opened so far where there are keys; `--to` encrypts instead.
    Mill(Opening),
    /// Messages are signed.
    Sign(sign::Wanted<'a>),
    /// They are encrypted.
    Encrypt(&'a EncryptionArgs),
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Self::Mill(Opening::Keep)
    }
}

impl Request<'_> {
    /// Whether anything is named that mail could be opened with.
    fn opens(&self) -> bool {
        let secrets = |messages: &MessageKeyArgs| {
            messages.message_passphrase_file.is_some() || messages.message_key_file.is_some()
        };
        !self.keys.is_empty() || self.messages.is_some_and(secrets)
    }
}

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
        let mut recipients = recipient_files("--to", request.to, now, &mut notes)?;
        let recovery = recipient_files("--recovery", request.recovery, now, &mut notes)?;
        let store = open_store(request, earlier.is_some_and(|run| run.finished))?;
        for address in request.to.iter().filter_map(|to| address(to)) {
            recipients.push(recipient_in_store(store.as_ref(), address, now)?);
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
        let keyring = keyring(request.keys, request.passphrases)?;
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
                directory: directory(store.as_ref(), &keyring, now)?,
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
        let mut options = custody::options(&info, &intermediates, &recipients);
        options.insert("revocation".into(), require_revocation.to_string());
        options.insert("clock".into(), format!("{clock:?}"));
        options.insert("now".into(), request.now.map(rfc3339).unwrap_or_default());
        options.insert(
            "mode".into(),
            format!("{} {}", task.name(), one_cipher.name()),
        );
        options.insert("store".into(), request.store.is_some().to_string());
        // How many there are, and nothing that would help to guess them.
        options.insert(
            "message secrets".into(),
            format!("{} {}", secrets.passphrases().len(), secrets.keys().len()),
        );
        options.insert("open unaddressed".into(), open_unaddressed.to_string());
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
            trust,
            trust_tsa,
            crls,
            require_revocation,
            profile,
            judges: !matches!(request.command, "scan" | "encrypt"),
            options,
            info,
            told,
        };
        let plan = Plan {
            task,
            recipients,
            cipher: one_cipher,
            open_unaddressed,
        };
        let context = ops::Context {
            plan,
            keyring,
            secrets,
            pool,
            cache: CertCache::new(),
            limits: Limits::default(),
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

/// How reports are cut and what they hide, resolved.
#[derive(Default)]
struct Cut {
    shape: Shape,
    hidden: Hidden,
    redaction_key: Option<PathBuf>,
    our_domains: Vec<String>,
}

impl Cut {
    fn of(request: &Request<'_>) -> Result<Self> {
        let Some(told) = request.out.map(|out| &out.shape).or(request.shape) else {
            return Ok(Self::default());
        };
        let mut shape = Shape::split(told.split_rows);
        for choice in &told.columns {
            shape
                .choose(choice)
                .map_err(|why| Error::Usage(format!("--columns {choice}: {why}")))?;
        }
        let hidden =
            Hidden::named(&told.redact).map_err(|why| Error::Usage(format!("--redact {why}")))?;
        let reports = request.report.is_some() || request.out.is_some_and(|out| out.out.is_some());
        if !reports {
            let useless = [
                ("--columns", !told.columns.is_empty()),
                ("--split-rows", told.split_rows.is_some()),
                ("--redact", hidden.any()),
            ];
            if let Some((option, _)) = useless.iter().find(|(_, given)| *given) {
                return Err(Error::Usage(format!(
                    "{option} is about reports; add --report DIR"
                )));
            }
        }
        let domains = told.our_domains.iter().map(|domain| {
            let domain = domain.trim().trim_start_matches(['@', '.']).to_lowercase();
            if domain.is_empty() || domain.contains(['@', ' ', '*']) {
                Err(Error::Usage(format!(
                    "--our-domains {domain}: not a domain such as example.org, which stands for those below it too"
                )))
            } else {
                Ok(domain)
            }
        });
        Ok(Self {
            shape,
            hidden,
            redaction_key: told.redaction_key.clone(),
            our_domains: domains.collect::<Result<_>>()?,
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
pub(crate) fn keyring(keys: &[PathBuf], passphrases: Option<&PassphraseArgs>) -> Result<KeyRing> {
    let mut passphrases = unlock::passphrases(passphrases, !keys.is_empty())?;
    KeyRing::load(keys, &mut passphrases).map_err(|error| named("--keys", error))
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

fn threads(run: Option<&RunArgs>) -> usize {
    run.and_then(|run| run.jobs).map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    )
}

/// How far to open, and the cipher of what is encrypted anew.
fn opening(request: &Request<'_>, wanted: Opening) -> Result<(Opening, Cipher)> {
    let Some(seal) = request.seal.filter(|_| !request.to.is_empty()) else {
        // Looking without keys would only say `no-key` of what nobody asked to open.
        let open = if wanted == Opening::Look && !request.opens() {
            Opening::Keep
        } else {
            wanted
        };
        return Ok((open, Cipher::Aes256Gcm));
    };
    let cipher = wanted_cipher(seal.cipher, seal.program)?;
    match (seal.mode.unwrap_or(Mode::Rewrap), cipher) {
        (Mode::Rewrap, None) => Ok((Opening::Rewrap, Cipher::Aes256Gcm)),
        (Mode::Rewrap, Some(_)) => Err(Error::Usage(
            "--cipher and --for choose the cipher of new content; --mode rewrap keeps the content as it is: add \
             --mode content, or leave them out"
                .into(),
        )),
        (Mode::Content, None) => Err(Error::Usage(
            "--mode content needs a cipher: add --cipher aes-256-gcm, aes-256-cbc or auto, or --for PROGRAM".into(),
        )),
        (Mode::Content, Some(cipher)) => Ok((Opening::Content, cipher)),
    }
}

/// The cipher that `--cipher` and `--for` ask for, if they do.
fn wanted_cipher(cipher: Option<Cipher>, program: Option<Program>) -> Result<Option<Cipher>> {
    let read = program.map(cipher_of);
    match (cipher, read) {
        (Some(wanted), Some(read)) if wanted != read => Err(Error::Usage(format!(
            "--for names a program that is served with {}, --cipher says {}: leave one of them out",
            cipher_name(read),
            cipher_name(wanted)
        ))),
        (wanted, read) => Ok(wanted.or(read)),
    }
}

pub(super) fn cipher_name(cipher: Cipher) -> &'static str {
    content_cipher(cipher).map_or("auto", ContentCipher::name)
}

/// `None` for what depends on the recipients.
fn content_cipher(cipher: Cipher) -> Option<ContentCipher> {
    match cipher {
        Cipher::Aes256Gcm => Some(ContentCipher::Aes256Gcm),
        Cipher::Aes256Cbc => Some(ContentCipher::Aes256Cbc),
        Cipher::Auto => None,
    }
}

/// What a program is known to read (docs/reference/cli.md says why).
fn cipher_of(program: Program) -> Cipher {
    match program {
        Program::Outlook | Program::Thunderbird | Program::Apple | Program::Gpgsm => {
            Cipher::Aes256Cbc
        }
        Program::Openssl => Cipher::Aes256Gcm,
    }
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

/// What `--to` names, if it is an address: no file of that name, and an at sign in it.
pub(super) fn address(to: &Path) -> Option<&str> {
    to.to_str()
        .filter(|text| text.contains('@') && !to.exists())
}

/// RSA keys of fewer bits are not encrypted to,
const WEAKEST_RSA: u32 = 1024;
/// and of fewer than these not without a word (RFC 8551 §4.2).
const STRONG_RSA: u32 = 2048;

/// The certificates of the files that `option` names; an address goes only with `--to`.
fn recipient_files(
    option: &str,
    to: &[PathBuf],
    now: i64,
    notes: &mut Vec<String>,
) -> Result<Vec<Recipient>> {
    let mut recipients = Vec::new();
    let is_file = |to: &&PathBuf| option != "--to" || address(to).is_none();
    for file in to.iter().filter(is_file) {
        if file.is_dir() {
            return Err(Error::Usage(format!(
                "{option} {}: a folder; name one certificate file",
                file.display()
            )));
        }
        let found = trust::load_certificates(std::slice::from_ref(file))
            .map_err(|error| named(option, error))?;
        let certificate = the_one(&found)
            .ok_or_else(|| {
                Error::Usage(format!(
                    "{option} {}: holds several people's certificates; name a file for each",
                    file.display()
                ))
            })?
            .clone();
        if !certificate.can_encrypt_mail() {
            return Err(Error::Usage(format!(
                "{option} {}: the certificate of {} is not for encrypting mail",
                file.display(),
                certificate.subject
            )));
        }
        look_at_key(option, file, &certificate, notes)?;
        if !(certificate.not_before..=certificate.not_after).contains(&now) {
            notes.push(format!(
                "{option} {}: the certificate is valid from {} to {}, not now; it is used since it was named",
                escape_path(file),
                rfc3339(certificate.not_before),
                rfc3339(certificate.not_after),
            ));
        }
        recipients.push(certificate.into());
    }
    Ok(recipients)
}

/// Whether a named certificate is a person's, and its key strong enough to keep mail secret.
///
/// # Errors
/// [`Error::Usage`] for a CA that no mail goes to, and for an RSA key of less than 1024 bits.
fn look_at_key(
    option: &str,
    file: &Path,
    certificate: &Certificate,
    notes: &mut Vec<String>,
) -> Result<()> {
    if certificate.is_ca && certificate.addresses.is_empty() {
        return Err(Error::Usage(format!(
            "{option} {}: the certificate of {} is a CA's, not a person's; name the certificate of who is to read",
            file.display(),
            certificate.subject
        )));
    }
    let bits = certificate
        .key_name
        .strip_prefix("rsa-")
        .and_then(|bits| bits.parse::<u32>().ok());
    match bits {
        Some(bits) if bits < WEAKEST_RSA => Err(Error::Usage(format!(
            "{option} {}: its RSA key has {bits} bits; anyone can read what is encrypted to it",
            file.display()
        ))),
        Some(bits) if bits < STRONG_RSA => {
            notes.push(format!(
                "{option} {}: its RSA key has {bits} bits, which is weak (2048 are asked for); it is used since it was named",
                escape_path(file)
            ));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The person's certificate of a file that may hold the CAs above it too.
fn the_one(found: &[Arc<Certificate>]) -> Option<&Arc<Certificate>> {
    if let [only] = found {
        return Some(only);
    }
    let mut people = found.iter().filter(|certificate| !certificate.is_ca);
    people.next().filter(|_| people.next().is_none())
}

/// What the store and the certificates beside the keys say of addresses.
fn directory(store: Option<&Store>, keyring: &KeyRing, now: i64) -> Result<Directory> {
    let mut directory = Directory::default();
    if let Some(store) = store {
        for (address, choice) in store.choices(now)? {
            if let Some(best) = choice.candidates.into_iter().next() {
                let recipient = Recipient::new(best.certificate, best.capabilities);
                directory.add(&address, recipient);
            }
            for refused in choice.refused {
                directory.refuse(&address, refused.reasons);
            }
        }
    }
    directory.add_given(keyring, now);
    Ok(directory)
}

fn recipient_in_store(store: Option<&Store>, address: &str, now: i64) -> Result<Recipient> {
    let Some(store) = store else {
        return Err(Error::Usage(format!(
            "--to {address}: an address is looked up in the certificate store; add --store FILE, or name a \
             certificate file"
        )));
    };
    let choice = store.choose(address, now)?;
    if let Some(best) = choice.candidates.into_iter().next() {
        return Ok(Recipient::new(best.certificate, best.capabilities));
    }
    let store = store.path().display();
    let mut why =
        format!("--to {address}: {store} holds no certificate that may be used for it now");
    for refused in choice.refused.iter().take(3) {
        let digits: String = hex(&refused.sha256).chars().take(16).collect();
        let _ = write!(why, "; {digits}… is {}", refused.reasons.join(", "));
    }
    Err(Error::Usage(format!(
        "{why}. A certificate file can be named instead"
    )))
}
