//! The harness: the built binary, run with nothing of the machine around it, and the programs that
//! judge what it wrote.

pub(crate) mod der;
pub(crate) mod page;
pub(crate) mod peers;
pub(crate) mod readers;
pub(crate) mod sample;
pub(crate) mod signed;
pub(crate) mod table;
pub(crate) mod tools;
pub(crate) mod trees;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What "now" is in every run that is not told otherwise.
pub(crate) const NOW: &str = "2026-11-23T00:00:00Z";

/// The commands that have a clock.
const WITH_CLOCK: [&str; 8] = [
    "encrypt",
    "scan",
    "verify",
    "harvest",
    "decrypt",
    "reencrypt",
    "sign",
    "migrate",
];

/// A folder to run in, gone when dropped.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
}

impl Sandbox {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// A folder with `sample-data` in it, as a clone of the repository has it.
    pub(crate) fn with_sample() -> Self {
        let sandbox = Self::new();
        std::os::unix::fs::symlink(
            repository().join("sample-data"),
            sandbox.path().join("sample-data"),
        )
        .expect("a link to sample-data");
        sandbox
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file, with its parents, readable by its owner only.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("parents");
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(content.as_ref()))
            .expect("a file of the test");
        path
    }

    /// A run of p7mill here: cleared environment, [`NOW`], standard input empty.
    pub(crate) fn command<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let arguments: Vec<_> = arguments
            .into_iter()
            .map(|a| a.as_ref().to_os_string())
            .collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_p7mill"));
        command
            .env_clear()
            .current_dir(self.path())
            .stdin(Stdio::null())
            .args(&arguments);
        let has_clock = arguments
            .first()
            .and_then(|a| a.to_str())
            .is_some_and(|name| WITH_CLOCK.contains(&name));
        let asks_for_help = arguments.iter().any(|a| a == "--help" || a == "-h");
        if has_clock && !asks_for_help && !arguments.iter().any(|a| a == "--now") {
            command.args(["--now", NOW]);
        }
        command
    }

    /// Runs p7mill to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        Ran::of(&self.command(arguments).output().expect("p7mill runs"))
    }

    /// The same for a line of words.
    pub(crate) fn line(&self, line: &str) -> Ran {
        self.run(line.split_whitespace())
    }

    /// The same with standard input.
    pub(crate) fn line_with_input(&self, line: &str, input: &[u8]) -> Ran {
        use std::io::Write as _;
        let mut command = self.command(line.split_whitespace());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("p7mill starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // A program that does not read all of its input is for the test to notice.
            let _ = pipe.write_all(&input);
        });
        let output = child.wait_with_output().expect("p7mill ends");
        writer.join().expect("the writer ends");
        Ran::of(&output)
    }
}

/// How a run ended and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Ran {
    /// What a program that was run said.
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails with all that was said unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        assert!(!self.stderr.contains("internal error"), "{}", self.stderr);
        self
    }
}

/// Where the repository is.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
