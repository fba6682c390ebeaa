//! `p7mill sign`

use std::path::PathBuf;

use p7mill::archive::{self, Content, RawMessage};
use p7mill::cert::Certificate;
use p7mill::cert::pool::Pool;
use p7mill::cert::trust::Trust;
use p7mill::keys::keyring::KeyRing;
use p7mill::limits::Limits;
use p7mill::message::headers::Headers;
use p7mill::ops::outcome::Action;
use p7mill::ops::sign::{Refusal, Signing};
use p7mill::ops::{Context, Task};
use p7mill::smime::sign::{CAPABILITIES, CAPABILITIES_CBC, Form};
use p7mill::text::{day, escape_path, terminal_safe};
use p7mill::{Error, Result};

use super::args::SignArgs;
use super::options::{Program, SigningArgs, TalkArgs};
use super::printer::Printer;
use super::request::{self, Request};
use super::{job, paths};

/// Runs it; the exit code.
pub(crate) fn run(arguments: &SignArgs, talk: &TalkArgs, printer: &Printer) -> Result<u8> {
    let sources = &arguments.source.paths;
    paths::check_sources(sources)?;
    let message = match arguments.signing.identity {
        Some(_) => Vec::new(),
        None => only_message(sources)?,
    };
    let request = Request {
        command: "sign",
        paths: sources,
        keys: &arguments.keys.keys,
        passphrases: Some(&arguments.keys.passphrases),
        trust: &arguments.trust.trust,
        judging: Some(&arguments.trust.more),
        now: arguments.trust.more.now.now,
        store: arguments.store.store.as_deref(),
        out: Some(&arguments.out),
        report: arguments.out.report.report.as_deref(),
        format: Some(arguments.out.format),
        run: Some(&arguments.run),
        task: request::Wanted::Sign(Wanted {
            arguments: &arguments.signing,
            keys: &arguments.keys.keys,
            message,
        }),
        ..Request::default()
    };
    job::run(&request, talk, printer)
}

/// What is to be signed, and by whom.
pub(crate) struct Wanted<'a> {
    /// `--as`, `--opaque`, `--for`
    pub(crate) arguments: &'a SigningArgs,
    /// `--keys`
    keys: &'a [PathBuf],
    /// The one message, as it was read, where its From signs.
    pub(crate) message: Vec<u8>,
}

impl Wanted<'_> {
    /// The task for `ops`.
    pub(crate) fn signing(&self, keyring: &KeyRing, pool: &Pool, trust: &Trust) -> Signing {
        let form = if self.arguments.opaque {
            Form::Opaque
        } else {
            Form::Detached
        };
        let capabilities = match self.arguments.program {
            None | Some(Program::Openssl) => CAPABILITIES,
            Some(_) => CAPABILITIES_CBC,
        };
        let identity = self.arguments.identity.clone();
        Signing::new(keyring, pool, trust, identity, form, capabilities)
    }

    /// Whether somebody can sign. With `--as` nothing is begun without the key; the one message is
    /// written as it came, and why is told beforehand.
    pub(crate) fn look_for_key(&self, context: &Context, notes: &mut Vec<String>) -> Result<()> {
        let Task::Sign(signing) = &context.plan.task else {
            return Ok(());
        };
        let headers = Headers::parse(&self.message);
        let (address, refusal) = match signing.address(&headers) {
            Err((_, reason)) => (String::new(), Some((Action::Refused, reason))),
            Ok(address) => {
                let refusal = signing.choose(context, &address).err();
                (address, refusal)
            }
        };
        let Some(refusal) = refusal else {
            return Ok(());
        };
        let text = terminal_safe(&self.explained(&context.keyring, &address, refusal));
        if self.arguments.identity.is_none() {
            notes.push(text);
            return Ok(());
        }
        let locked = refusal.0 == Action::Locked || refusal.1 == "maybe-in-locked-file";
        Err(if locked {
            Error::Locked(text)
        } else {
            Error::Usage(text)
        })
    }

    fn explained(&self, keyring: &KeyRing, address: &str, (_, reason): Refusal) -> String {
        let places: Vec<_> = self.keys.iter().map(|path| escape_path(path)).collect();
        let places = places.join(", ");
        match reason {
            "signing-key-locked" => format!(
                "the key of {address} is in a key file that stays locked; --passphrase-file FILE opens it"
            ),
            "maybe-in-locked-file" => format!(
                "no open key in {places} is of {address}; a key file that stays locked may hold it: \
                 --passphrase-file FILE opens it"
            ),
            "no-signing-key" => format!(
                "no private key in {places} has a certificate with the address {address}; {}name its key file with \
                 --keys, or sign as somebody else with --as ADDRESS",
                there_is(keyring, address)
            ),
            "cert-expired" => {
                let last = certificates(keyring, address)
                    .map(|known| known.not_after)
                    .max();
                format!(
                    "the certificate of {address} expired on {}; nothing is signed with it",
                    last.map(day).unwrap_or_default()
                )
            }
            "cert-not-yet-valid" => {
                let first = certificates(keyring, address)
                    .map(|known| known.not_before)
                    .min();
                format!(
                    "the certificate of {address} is valid from {} on; nothing is signed with it before",
                    first.map(day).unwrap_or_default()
                )
            }
            "cert-usage" => format!("the certificate of {address} is not for signing mail"),
            "no-from" => {
                "the message has no From that could sign; --as ADDRESS says who signs".into()
            }
            "address-ambiguous" => {
                "the message's From is not one plain address; --as ADDRESS says who signs".into()
            }
            _ => format!(
                "the key of {address} cannot sign: DSA keys and RSA keys of less than 2048 bits are refused"
            ),
        }
    }
}

/// The certificates with this address that a key answers for.
fn certificates<'a>(
    keyring: &'a KeyRing,
    address: &'a str,
) -> impl Iterator<Item = &'a Certificate> {
    let all = keyring.keys().iter().flat_map(|key| &key.certificates);
    all.map(AsRef::as_ref)
        .filter(|known: &&Certificate| known.has_address(address))
}

/// Who could sign instead: the address that was meant, if it is a typing error, else a few there are.
fn there_is(keyring: &KeyRing, address: &str) -> String {
    /// Addresses that are named.
    const NAMED: usize = 3;
    let all = keyring.keys().iter().flat_map(|key| &key.certificates);
    let mut near: Vec<(usize, &str)> = all
        .flat_map(|known| &known.addresses)
        .map(|known| {
            (
                strsim::damerau_levenshtein(&known.to_lowercase(), &address.to_lowercase()),
                &known[..],
            )
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    match &near[..] {
        [] => String::new(),
        [(distance, known), ..] if *distance <= 3 => format!("is {known} meant? Else "),
        some => {
            let named: Vec<&str> = some.iter().take(NAMED).map(|(_, known)| *known).collect();
            let more = if some.len() > NAMED {
                " and others"
            } else {
                ""
            };
            format!("there are keys of {}{more}; ", named.join(", "))
        }
    }
}

/// The one message of these paths, whose From is to sign. Standard input is read for it.
fn only_message(sources: &[PathBuf]) -> Result<Vec<u8>> {
    let limits = Limits::default();
    let mut only = None;
    if sources.iter().any(|path| paths::is_stdin(path)) {
        let (_, messages) = archive::stdin_messages(std::io::stdin(), &limits)?;
        for message in messages {
            keep_only(&mut only, message?)?;
        }
    } else {
        for mailbox in archive::discover(sources, &limits)?.mailboxes {
            let messages = mailbox.messages(&limits);
            for message in messages.into_iter().flatten().flatten() {
                keep_only(&mut only, message)?;
            }
        }
    }
    Ok(only.map(as_read).unwrap_or_default())
}

fn keep_only(only: &mut Option<RawMessage>, message: RawMessage) -> Result<()> {
    if only.replace(message).is_none() {
        return Ok(());
    }
    Err(Error::Usage(
        "sign signs one message as its From, and here are more: signing other people's old mail in their name would \
         be making evidence up. --as ADDRESS seals them all with that address's key"
            .into(),
    ))
}

fn as_read(message: RawMessage) -> Vec<u8> {
    let content = match message.content {
        Content::Bytes(bytes) => bytes,
        Content::TooLarge { .. } => Vec::new(),
    };
    [message.lead, content, message.trail].concat()
}
