//! Other programs as judges. One that is not installed is said, and is a failure where
//! `P7MILL_REQUIRE_PEERS=1`.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use super::{Ran, Sandbox};

/// A command that runs `program`, or `None` where it is not installed, which is said.
pub(crate) fn peer(program: &str) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| is_program(file));
    match found {
        Some(file) => {
            let mut command = Command::new(file);
            command.stdin(Stdio::null());
            Some(command)
        }
        None if std::env::var_os("P7MILL_REQUIRE_PEERS").is_some_and(|value| value == "1") => {
            panic!("{program} is not installed, and P7MILL_REQUIRE_PEERS=1")
        }
        None => {
            skipped(program);
            None
        }
    }
}

/// p7mill with `words` under `strace`, whose options come first; `None` where it is not installed, which is said.
/// What it saw is in the file `trace`.
pub(crate) fn traced<W: AsRef<OsStr>>(
    sandbox: &Sandbox,
    options: &[&str],
    words: &[W],
) -> Option<Ran> {
    let mut strace = peer("strace")?;
    let command = sandbox.command(words);
    strace
        .args(["-f", "-qq", "-o", "trace"])
        .args(options)
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .current_dir(sandbox.path());
    Some(Ran::of(&strace.output().unwrap()))
}

/// Whether Python can import `module`; if not, that is said, or a failure, as for a program.
pub(crate) fn python_module(module: &str) -> bool {
    let Some(mut python) = peer("python3") else {
        return false;
    };
    let import = python.args(["-c", &format!("import {module}")]);
    if import
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        return true;
    }
    let name = format!("python3's module {module}");
    assert!(
        std::env::var_os("P7MILL_REQUIRE_PEERS").is_none_or(|value| value != "1"),
        "{name} is not installed, and P7MILL_REQUIRE_PEERS=1"
    );
    skipped(&name);
    false
}

fn is_program(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[expect(
    clippy::print_stderr,
    reason = "a judge that is missing must be seen in the test's output"
)]
fn skipped(program: &str) {
    eprintln!("SKIPPED: {program} is not installed");
}
