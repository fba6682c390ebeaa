//! How an error is told: what went wrong, at which file or option, and what to do about it.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, builder::StyledStr};

use p7mill::Error;
use p7mill::text::terminal_safe;

use super::args::Cli;
use super::printer::complain;

/// Commands that the contract names and this version does not have.
const LATER_COMMANDS: &[&str] = &[
    "find", "add", "import", "merge", "approve", "block", "remove", "stats",
];

/// Options that the contract names and this version does not have.
const LATER_OPTIONS: &[&str] = &["--include", "--exclude", "--since", "--until"];

/// Tells an error that ends the run. A reader of standard output that has gone away is not told.
pub(crate) fn tell(error: &Error) {
    if let Error::Io { source, .. } = error
        && source.kind() == std::io::ErrorKind::BrokenPipe
    {
        return;
    }
    complain(&format!("p7mill: {}", terminal_safe(&error.to_string())));
    let advice = match error {
        Error::Busy(_) => "Wait for the other run to end, or stop it; nothing was changed.",
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            "Free some space and run the same command again: it continues where it stopped."
        }
        _ => return,
    };
    complain(advice);
}

/// Turns a parser's answer into one that says where the word belongs: to a later version or to
/// another command. Help and version pass through.
pub(crate) fn explain(error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::MissingRequiredArgument {
        return without_keys(error);
    }
    let (kind, known) = match error.kind() {
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, LATER_OPTIONS),
        ErrorKind::InvalidSubcommand => (ContextKind::InvalidSubcommand, LATER_COMMANDS),
        _ => return error,
    };
    let Some(ContextValue::String(word)) = error.get(kind) else {
        return error;
    };
    let word = word.split('=').next().unwrap_or_default().to_owned();
    let advice = if known.contains(&word.as_str()) {
        format!("{word} is not in this version of p7mill; it comes with a later one")
    } else {
        let homes = commands_with(&word);
        if homes.is_empty() {
            return error;
        }
        format!("{word} is an option of {}", homes.join(", "))
    };
    let mut error = error;
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![StyledStr::from(advice)]),
    );
    error.remove(ContextKind::SuggestedArg);
    error.remove(ContextKind::SuggestedSubcommand);
    error
}

/// Where `--keys` is missing, what would do as well.
fn without_keys(mut error: clap::Error) -> clap::Error {
    let names_keys = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::Strings(missing)) if missing.iter().any(|word| word.starts_with("--keys"))
    );
    let usage = error.get(ContextKind::Usage).map(ToString::to_string);
    let opens_mail = usage.is_some_and(|usage| {
        ["p7mill decrypt ", "p7mill reencrypt "]
            .iter()
            .any(|command| usage.contains(command))
    });
    if names_keys && opens_mail {
        let tip = "--message-passphrase-file FILE or --message-key-file FILE will do instead of --keys, for messages \
                   that are encrypted with a passphrase or a shared key";
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![StyledStr::from(tip)]),
        );
    }
    error
}

/// The commands that take a long option.
fn commands_with(option: &str) -> Vec<String> {
    let Some(name) = option.strip_prefix("--") else {
        return Vec::new();
    };
    let cli = Cli::command();
    let mut homes = Vec::new();
    for command in cli.get_subcommands() {
        let mut takers = vec![(command.get_name().to_owned(), command)];
        takers.extend(
            command
                .get_subcommands()
                .map(|sub| (format!("{} {}", command.get_name(), sub.get_name()), sub)),
        );
        homes.extend(
            takers
                .into_iter()
                .filter(|(_, taker)| {
                    taker
                        .get_arguments()
                        .any(|arg| arg.get_long() == Some(name))
                })
                .map(|(home, _)| home),
        );
    }
    homes
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn told(arguments: &[&str]) -> String {
        explain(Cli::try_parse_from(arguments).unwrap_err()).to_string()
    }

    #[test]
    fn what_comes_later_is_said_to_come_later() {
        for option in LATER_OPTIONS {
            let told = told(&["p7mill", "migrate", "A", "--out", "O", option, "x"]);
            assert!(
                told.contains(&format!("{option} is not in this version")),
                "{told}"
            );
        }
        let told = told(&["p7mill", "store", "merge", "B"]);
        assert!(told.contains("merge is not in this version"), "{told}");
    }

    #[test]
    fn an_option_of_another_command_is_shown_its_home() {
        let told = told(&["p7mill", "scan", "A", "--no-originals"]);
        assert!(
            told.contains(
                "--no-originals is an option of decrypt, reencrypt, sign, encrypt, migrate"
            ),
            "{told}"
        );
    }
}
