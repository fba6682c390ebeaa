//! Where passphrases come from, and the prompt.

use std::io::IsTerminal as _;

use p7mill::Result;
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
