//! The p7mill program: parse, run, exit code.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;
use cli::args::Cli;
use cli::{diagnostic, printer};
use p7mill::text::terminal_safe;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

fn main() -> ExitCode {
    keep_keys_out_of_core_dumps();
    tell_panics_without_their_text();
    let arguments = match Cli::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return answer(&diagnostic::explain(error)),
    };
    match cli::run(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            diagnostic::tell(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Shows help, version or what is wrong with the command line.
fn answer(error: &clap::Error) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    let text = error.to_string();
    let safe: Vec<String> = text.lines().map(terminal_safe).collect();
    if error.use_stderr() && safe.join("\n") != text.trim_end_matches('\n') {
        // A word of the command line would act on the terminal; a shell may have made it of a
        // file's name.
        printer::complain(safe.join("\n").trim_end());
        return ExitCode::from(code);
    }
    match error.print() {
        // Help that cannot be written is a failure; help that nobody reads to its end is not.
        Err(failed) if failed.kind() != std::io::ErrorKind::BrokenPipe => {
            ExitCode::from(code.max(1))
        }
        _ => ExitCode::from(code),
    }
}

/// Private keys are in memory from here on: no core image of this process, and nobody but root may
/// look into it. Where the system refuses, the work goes on all the same.
fn keep_keys_out_of_core_dumps() {
    let _ = rustix::process::setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// A panic's own text could hold mail; where it happened is enough to find it.
fn tell_panics_without_their_text() {
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        printer::complain(&format!(
            "p7mill: internal error at {place}; please report it"
        ));
    }));
}
