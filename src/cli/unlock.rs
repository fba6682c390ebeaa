//! Where passphrases come from, and the prompt.

use std::io::IsTerminal as _;

use p7mill::Result;
use p7mill::keys::keyring::{KeyFileStatus, KeyRing};
use p7mill::keys::passphrase::Passphrases;
use p7mill::text::{escape_path, terminal_safe};

use super::options::PassphraseArgs;
use super::settings::named;

/// The sources that the options name; without any, a prompt where a person sits at a terminal.
pub(crate) fn passphrases(options: Option<&PassphraseArgs>, wanted: bool) -> Result<Passphrases> {
    let mut passphrases = Passphrases::none();
    let Some(options) = options.filter(|_| wanted) else {
        return Ok(passphrases);
    };
    if let Some(file) = &options.passphrases {
        passphrases
            .read_table(file)
            .map_err(|error| named("--passphrases", error))?;
    }
    if let Some(file) = &options.passphrase_file {
        passphrases
            .read_file(file)
            .map_err(|error| named("--passphrase-file", error))?;
    }
    if let Some(number) = options.passphrase_fd {
        passphrases
            .read_fd(number)
            .map_err(|error| named("--passphrase-fd", error))?;
    }
    if !options.given() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        passphrases.set_prompt(Box::new(|file| {
            let question = format!(
                "Passphrase for {} (Enter leaves it locked): ",
                terminal_safe(&escape_path(file))
            );
            let answer = rpassword::prompt_password(question)
                .ok()
                .map(zeroize::Zeroizing::new)?;
            (!answer.is_empty()).then_some(answer)
        }));
    }
    Ok(passphrases)
}

/// What a person should know of a table of passphrases: rows for no key file, which are typing errors
/// more often than not, and key files that their own row does not open.
pub(crate) fn notes(passphrases: &Passphrases, ring: &KeyRing) -> Vec<String> {
    let mut notes = Vec::new();
    for name in passphrases.named() {
        let mut files = ring
            .files()
            .iter()
            .filter(|file| file.path.ends_with(name))
            .peekable();
        if files.peek().is_none() {
            notes.push(format!(
                "--passphrases has a row for {name}, and no file below --keys is called so"
            ));
        }
        for file in files.filter(|file| file.status == KeyFileStatus::Locked) {
            notes.push(format!(
                "key file {} stays locked: the passphrase in its row of --passphrases is not the file's",
                escape_path(&file.path)
            ));
        }
    }
    notes.iter().map(|note| terminal_safe(note)).collect()
}
