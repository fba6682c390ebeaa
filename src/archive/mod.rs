//! Where mail lies, and how it is written back.
//!
//! [`discover()`] walks the named paths and accounts for every file it meets; [`Mailbox::messages`]
//! streams a mailbox's messages in a fixed order; [`write::MailboxWriter`] puts them back in the
//! form they came in. Sources are only ever opened for reading.
//!
//! The law the mbox reader keeps, whatever the bytes: `lead + content + trail` of all messages, in
//! order, is the file.

mod beside;
mod content;
pub mod convert;
pub mod dialect;
pub mod discover;
pub mod eml;
pub mod from_line;
mod gather;
mod header;
mod large;
pub mod locator;
pub mod maildir;
pub mod mbox;
mod members;
mod origin;
pub mod packed;
pub mod quoted;
pub mod sniff;
mod source;
mod tar;
mod window;
pub mod write;
mod zip;

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

pub use content::Content;
pub use discover::{FileStatus, Found, SourceFile, discover};
pub use locator::{Locator, by_component};
pub use origin::Origin;
pub(crate) use write::loose_files;
pub use write::{MailboxWriter, Written, copy_file, write_beside};

use crate::error::{Error, Result};
use crate::limits::Limits;

/// How a mailbox is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Messages one after another, each behind a From_ line (RFC 4155 and its elder dialects).
    Mbox,
    /// A folder with `cur` and `new`, a file per message.
    Maildir,
    /// A file that is one RFC 5322 message.
    Eml,
    /// A file that is one CMS object, DER or PEM; it counts as one message.
    Cms,
}

impl Kind {
    /// The word for it in `sources.csv`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mbox => "mbox",
            Self::Maildir => "maildir",
            Self::Eml => "eml",
            Self::Cms => "cms",
        }
    }

    /// The kind of that word.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Mbox, Self::Maildir, Self::Eml, Self::Cms]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// One place that holds messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Relative to the named path's parent, `/`-joined, escaped by [`crate::text::escape_path`].
    pub name: String,
    /// Its name below the output folder: the same, but for what is written otherwise than it was
    /// found, as what was compressed is.
    pub out: String,
    /// Its bytes; of a Maildir the folder.
    pub origin: Origin,
    /// How it is stored.
    pub kind: Kind,
    /// How it is written.
    pub to: Kind,
    /// The messages that are gathered in it, each a file of its own; none where it is one mailbox.
    pub parts: Vec<Mailbox>,
    /// What lies beside a single message and says more about it.
    pub said: Said,
}

/// What is said of a single message where it lies, outside of it: by an MH folder's sequences, in
/// an .emlx file's end, in the name a Maildir gave it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Maildir info letters.
    pub flags: String,
    /// Unix seconds.
    pub received: Option<i64>,
}

impl Mailbox {
    /// The mailbox that is the file or Maildir at `path`, written under its own name.
    pub fn new(name: String, path: PathBuf, kind: Kind) -> Self {
        Self {
            out: name.clone(),
            name,
            origin: Origin::file(path),
            kind,
            to: kind,
            parts: Vec::new(),
            said: Said::default(),
        }
    }

    /// Whether it is written in another form than it has.
    pub fn converts(&self) -> bool {
        self.to != self.kind || !self.parts.is_empty()
    }

    /// Whether it is a file with one message, and is written as one.
    pub fn holds_one(&self) -> bool {
        matches!(self.kind, Kind::Eml | Kind::Cms) && !self.converts()
    }

    /// The messages, in archive order. Fails where the mailbox cannot be opened at all; what goes
    /// wrong later is an item of the iterator.
    pub fn messages(&self, limits: &Limits) -> Result<Messages> {
        self.messages_unless(limits, &|| false)
    }

    /// As [`Mailbox::messages`]; a wait for whoever is writing to it ends when `give_up` says so.
    pub fn messages_unless(&self, limits: &Limits, give_up: &dyn Fn() -> bool) -> Result<Messages> {
        let name: Arc<str> = self.name.as_str().into();
        if !self.parts.is_empty() {
            return Ok(Messages(Source::Several(Box::new(Several {
                parts: self.parts.clone().into_iter(),
                mailbox: name,
                limits: limits.clone(),
                ordinal: 0,
            }))));
        }
        let source = match self.kind {
            Kind::Mbox if self.origin.is_file() => {
                let reader = mbox::Reader::open(self.origin.path(), name, limits, give_up)?;
                Messages(Source::Mbox(Box::new(reader)))
            }
            Kind::Mbox => {
                let reader = mbox::Reader::unwrap(&self.origin, name, limits)?;
                Messages(Source::Unwrapped(Box::new(reader)))
            }
            Kind::Maildir => {
                let reader = maildir::Reader::open(self.origin.path(), name, limits)?;
                Messages(Source::Maildir(Box::new(reader)))
            }
            Kind::Eml | Kind::Cms => {
                let single = eml::Single::new(self, name, limits);
                Messages(Source::Single(Some(Box::new(single))))
            }
        };
        Ok(source)
    }
}

impl Meta {
    /// As reading the container gives it, for a message that lies where a run has written it:
    /// behind `lead` in an mbox, in `file` (escaped) in a Maildir.
    pub fn of_written(kind: Kind, lead: &[u8], flags: &str, file: &str, unquoted: bool) -> Self {
        let file = (kind == Kind::Maildir).then(|| crate::text::unescape_path(file));
        let from_line = lead.get(sniff::leading_blanks(lead)..).unwrap_or_default();
        let received = match &file {
            Some(file) => maildir::delivered(file),
            None => from_line::parse(from_line).map(|from| from.date),
        };
        Self {
            flags: flags.to_owned(),
            received,
            quoting: kind == Kind::Mbox && !unquoted,
            file,
            ..Self::default()
        }
    }
}

/// What the container says about a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// Maildir info letters, or the letters of an mbox message's `Status` and `X-Status`.
    pub flags: String,
    /// Unix seconds of the From_ line, or of the Maildir file name; neither is authenticated.
    pub received: Option<i64>,
    /// Whether the container marks body lines that begin with `From ` by a `>`.
    pub quoting: bool,
    /// Maildir: the file below the folder, such as `cur/123.host:2,S`.
    pub file: Option<PathBuf>,
    /// When the file was last modified (Maildir and single messages).
    pub modified: Option<SystemTime>,
    /// Whether its content has to be quoted as it is written.
    pub unquoted: bool,
    /// Lines in an mbox message that look like From_ lines and were judged to be its content.
    pub enclosed_from_lines: u64,
}

/// One message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// Where it lies.
    pub locator: Locator,
    /// Everything between the previous message and this one's first byte: the From_ line, and
    /// before the first one whatever blank lines the file begins with. Empty outside mbox.
    pub lead: Vec<u8>,
    /// The message as stored (still quoted), without From_ line and separating blank line.
    pub content: Content,
    /// The separating blank line, where there is one.
    pub trail: Vec<u8>,
    /// What the container says about it.
    pub meta: Meta,
}

/// The messages of one mailbox, in archive order.
///
/// After an error in an mbox nothing more comes; in a Maildir the next message does.
#[derive(Debug)]
pub struct Messages(Source);

#[derive(Debug)]
enum Source {
    Mbox(Box<mbox::Reader<mbox::Snapshot>>),
    Unwrapped(Box<mbox::Reader<mbox::Unwrapped>>),
    Stream(Box<mbox::Reader<Box<dyn ReadSend>>>),
    Maildir(Box<maildir::Reader>),
    Single(Option<Box<eml::Single>>),
    Several(Box<Several>),
    Ready(Option<Box<RawMessage>>),
}

impl Iterator for Messages {
    type Item = Result<RawMessage>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Mbox(reader) => reader.next(),
            Source::Unwrapped(reader) => reader.next(),
            Source::Stream(reader) => reader.next(),
            Source::Maildir(reader) => reader.next(),
            Source::Single(single) => single.take().map(|single| single.read()),
            Source::Several(several) => several.next(),
            Source::Ready(message) => message.take().map(|message| Ok(*message)),
        }
    }
}

/// Messages that are files of their own, as if they lay in one mailbox.
#[derive(Debug)]
struct Several {
    parts: std::vec::IntoIter<Mailbox>,
    mailbox: Arc<str>,
    limits: Limits,
    ordinal: u64,
}

impl Iterator for Several {
    type Item = Result<RawMessage>;

    fn next(&mut self) -> Option<Self::Item> {
        let part = self.parts.next()?;
        let read = eml::Single::new(&part, Arc::clone(&self.mailbox), &self.limits).read();
        Some(read.map(|mut message| {
            self.ordinal += 1;
            message.locator.ordinal = self.ordinal;
            message
        }))
    }
}

/// A stream that another thread may read.
pub(crate) trait ReadSend: Read + Send {}

impl<R: Read + Send> ReadSend for R {}

impl std::fmt::Debug for dyn ReadSend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stream")
    }
}

/// The mailbox name of standard input.
pub const STDIN_NAME: &str = "-";

/// The messages on a stream: an mbox where it begins with a From_ line, else one message of all
/// its bytes. An empty stream is an [`Error::Usage`]: on a pipe that is a program before this one that
/// failed, not mail. So is what is packed or binary, which files may be, and a message over [`Limits::message_bytes`], since a stream cannot be read
/// twice.
pub fn stdin_messages(
    mut input: impl Read + Send + 'static,
    limits: &Limits,
) -> Result<(Kind, Messages)> {
    let name: Arc<str> = STDIN_NAME.into();
    let mut head = Vec::new();
    let read_error = || Error::io("read", "standard input");
    (&mut input)
        .take(sniff::HEAD_BYTES as u64)
        .read_to_end(&mut head)
        .map_err(read_error())?;
    if head.is_empty() {
        return Err(Error::Usage(
            "standard input was empty; it has to be a message or an mbox".into(),
        ));
    }
    if let Some(what) = sniff::not_a_message(&head) {
        return Err(Error::Usage(format!(
            "standard input is {what}; it has to be a message or an mbox. Name the file instead"
        )));
    }
    if sniff::is_mbox(&head) {
        let stream: Box<dyn ReadSend> = Box::new(std::io::Cursor::new(head).chain(input));
        let reader = mbox::Reader::stream(stream, name, limits);
        return Ok((Kind::Mbox, Messages(Source::Stream(Box::new(reader)))));
    }
    let kind = if sniff::is_cms(&head) {
        Kind::Cms
    } else {
        Kind::Eml
    };
    let mut bytes = head;
    let room = limits
        .message_bytes
        .saturating_add(1)
        .saturating_sub(bytes.len() as u64);
    input
        .take(room)
        .read_to_end(&mut bytes)
        .map_err(read_error())?;
    if bytes.len() as u64 > limits.message_bytes {
        return Err(too_large_for_a_stream());
    }
    let locator = Locator {
        mailbox: name,
        ordinal: 1,
        offset: 0,
        bytes: bytes.len() as u64,
    };
    let (lead, trail, meta) = (Vec::new(), Vec::new(), Meta::default());
    let message = RawMessage {
        locator,
        lead,
        content: Content::Bytes(bytes),
        trail,
        meta,
    };
    Ok((kind, Messages(Source::Ready(Some(Box::new(message))))))
}

pub(crate) fn too_large_for_a_stream() -> Error {
    Error::Usage(
        "a message on standard input is larger than --max-message; name the file instead".into(),
    )
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
