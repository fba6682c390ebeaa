//! What is kept of a run: the records of the journal, from which every report is made.

use serde::{Deserialize, Serialize};

use crate::ops::outcome::Findings;

/// One message, as it was found and where it was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MessageRecord {
    /// The source mailbox's name.
    pub mailbox: String,
    /// From 1.
    pub ordinal: u64,
    /// Of the From_ line, in bytes.
    pub offset: u64,
    /// Of the message as stored.
    pub bytes: u64,
    /// Of the message as stored, lower-case hex; empty where it was not computed.
    pub sha256: String,
    /// Maildir info letters or mbox Status letters.
    pub flags: String,
    /// Maildir: the message's file below the mailbox, escaped; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// mbox: what separates a changed message from the next one in the source, base64; the usual
    /// line feed is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<String>,
    /// mbox: lines of it that begin with `From ` are not marked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unquoted: bool,
    /// A file that is one message: when it arrived, as what lies beside it says, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived: Option<i64>,
    /// What `ops` says.
    pub findings: Findings,
    /// Where it was written; `None` without an output folder, and where it was withheld.
    pub out: Option<OutPlace>,
    /// Where copies of it for blind recipients were written, behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<OutPlace>,
    /// It was not written, since it would have been readable.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
}

impl MessageRecord {
    /// Every message that was written for it.
    pub fn places(&self) -> impl Iterator<Item = &OutPlace> {
        self.out.iter().chain(&self.copies)
    }
}

/// Where a message was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutPlace {
    /// The mailbox's name below OUT.
    pub mailbox: String,
    /// The file that holds it, below OUT.
    pub path: String,
    /// From 1.
    pub ordinal: u64,
    /// Of the From_ line, in bytes.
    pub offset: u64,
    /// Of the message as written.
    pub bytes: u64,
    /// Of the message as written, lower-case hex.
    pub sha256: String,
    /// Length of the file afterwards.
    pub end: u64,
}

/// The status of a file that may hold mail, was not read, and so has no place among encrypted mail.
pub const LEFT_OUT: &str = "left out";

/// A file met that is not a message of a mailbox, or a mailbox that was read to its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileRecord {
    /// Relative to the PATH's parent.
    pub path: String,
    /// What it was recognised as.
    pub kind: String,
    /// Its size.
    pub bytes: u64,
    /// Of the file, lower-case hex; empty where it was not computed.
    pub sha256: String,
    /// How many messages it held.
    pub messages: u64,
    /// `read`, `read in part: why`, `copied`, `dropped: why`, `skipped: why` or `left out: why`.
    pub status: String,
    /// Whether it counts as a failure of the run.
    pub failed: bool,
    /// Where it was written below OUT, if it was.
    pub out: Option<String>,
}

impl FileRecord {
    /// Whether it was kept out of the archive that is written: only the source has it.
    pub fn is_left_out(&self) -> bool {
        self.status.split(':').next() == Some(LEFT_OUT)
    }
}

/// A certificate met for the first time in a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CertificateRecord {
    /// Of the DER, lower-case hex.
    pub sha256: String,
    /// The DER, base64.
    pub der: String,
}

/// A revocation list met for the first time in a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CrlRecord {
    /// Of the DER, lower-case hex.
    pub sha256: String,
    /// The DER, base64.
    pub der: String,
}

/// What the journal keeps for the reports, in the order it happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// One message.
    Message(Box<MessageRecord>),
    /// A certificate, before the first message that holds it.
    Certificate(CertificateRecord),
    /// A revocation list, before the first message that holds it.
    Crl(CrlRecord),
    /// A file, or a mailbox after its last message.
    File(FileRecord),
}
