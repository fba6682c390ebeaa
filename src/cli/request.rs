//! What a command asks for, before anything is resolved.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use p7mill::ops::Opening;

use super::options::{
    EncryptionArgs, Format, JudgingArgs, MessageKeyArgs, OutArgs, PassphraseArgs, RunArgs,
    SealArgs, ShapeArgs,
};
use super::sign;

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
    /// `--retry-failed`
    pub(crate) retry: bool,
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
    pub(crate) fn opens(&self) -> bool {
        !self.keys.is_empty() || self.messages.is_some_and(MessageKeyArgs::given)
    }
}
