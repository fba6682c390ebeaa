//! The options, in groups that commands take whole.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use p7mill::archive::Kind;
use p7mill::ops::outcome::Action;

use super::values;

/// Where mail lies.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// An mbox, a Maildir, an .eml, a raw CMS file, a folder of these at any depth, or - for standard input
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

/// The same where standard input makes no sense: what is read is gathered from many messages, or written
/// to a folder.
#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    /// An mbox, a Maildir, an .eml, a raw CMS file, or a folder of these at any depth
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

/// Private keys and how to open them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys")]
pub(crate) struct KeyArgs {
    /// File or folder of .p12 .pfx .pem .key .der files; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) keys: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseArgs,
    #[command(flatten)]
    pub(crate) messages: MessageKeyArgs,
}

/// The same where opening mail is what the command is about.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys")]
pub(crate) struct RequiredKeyArgs {
    /// File or folder of .p12 .pfx .pem .key .der files; may be given several times
    #[arg(
        long,
        value_name = "PATH",
        required_unless_present_any = ["message_passphrase_file", "message_key_file"]
    )]
    pub(crate) keys: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseArgs,
    #[command(flatten)]
    pub(crate) messages: MessageKeyArgs,
}

/// The same where key files are what the command is about.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys")]
pub(crate) struct KeyFileArgs {
    /// File or folder of .p12 .pfx .pem .key .der files; may be given several times
    #[arg(long, value_name = "PATH", required = true)]
    pub(crate) keys: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseArgs,
}

/// What opens messages that no certificate is behind, and how far keys reach.
#[derive(Debug, Args)]
pub(crate) struct MessageKeyArgs {
    /// Passphrases, one a line, for messages that are encrypted with a password; nobody else may be able to read FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) message_passphrase_file: Option<PathBuf>,
    /// Keys in hexadecimal, one a line, for messages that are encrypted with a shared key; nobody else may be able to read FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) message_key_file: Option<PathBuf>,
    /// Open attached and embedded ciphertexts with any key, even where the message is not addressed to its owner
    #[arg(long)]
    pub(crate) open_unaddressed: bool,
}

impl MessageKeyArgs {
    /// Whether there is anything to open messages with.
    pub(crate) fn given(&self) -> bool {
        self.message_passphrase_file.is_some() || self.message_key_file.is_some()
    }
}

/// Where passphrases come from; without any of these, a prompt on a terminal and none elsewhere.
#[derive(Debug, Args)]
pub(crate) struct PassphraseArgs {
    /// Read one passphrase from this file descriptor; it is tried on every locked key file
    #[arg(long, value_name = "N", conflicts_with = "passphrase_file", requires = "keys", value_parser = values::descriptor)]
    pub(crate) passphrase_fd: Option<u32>,
    /// The first line of FILE is tried on every locked key file; nobody else may be able to read FILE
    #[arg(long, value_name = "FILE", requires = "keys")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// A table with the header file,passphrase; file is a key file's name or the tail of its path
    #[arg(long, value_name = "FILE.csv", requires = "keys")]
    pub(crate) passphrases: Option<PathBuf>,
}

impl PassphraseArgs {
    /// Whether any of them is used.
    pub(crate) fn given(&self) -> bool {
        self.passphrases.is_some() || self.passphrase_file.is_some() || self.passphrase_fd.is_some()
    }
}

/// Whom to trust.
#[derive(Debug, Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct TrustArgs {
    /// CA certificates, PEM or DER, file or folder, or the word system; may be given several times
    #[arg(long, value_name = "PATH|system")]
    pub(crate) trust: Vec<OsString>,
    #[command(flatten)]
    pub(crate) more: JudgingArgs,
}

/// The same where a judgement is what the command is about.
#[derive(Debug, Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct RequiredTrustArgs {
    /// CA certificates, PEM or DER, file or folder, or the word system; may be given several times
    #[arg(long, value_name = "PATH|system", required = true)]
    pub(crate) trust: Vec<OsString>,
    #[command(flatten)]
    pub(crate) more: JudgingArgs,
}

/// What else a judgement rests on.
#[derive(Debug, Args)]
pub(crate) struct JudgingArgs {
    /// Further certificates that paths may go through; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) intermediates: Vec<PathBuf>,
    /// The time a chain is judged at: received, signing, now, or a time such as 2024-05-01T12:00:00Z
    #[arg(long, value_name = "CLOCK", default_value = "received", value_parser = values::clock)]
    pub(crate) clock: p7mill::ops::Clock,
    /// Revocation lists, PEM or DER, file or folder; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) crl: Vec<PathBuf>,
    /// A signature whose certificates' revocation is unknown is not valid
    #[arg(long)]
    pub(crate) require_revocation: bool,
    /// Authorities of time-stamps (RFC 3161), PEM or DER, file or folder; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) trust_tsa: Vec<PathBuf>,
    /// How strength is graded: at-the-time, today, strict, or a TOML file
    #[arg(long, value_name = "POLICY", default_value = "at-the-time")]
    pub(crate) policy: PathBuf,
    #[command(flatten)]
    pub(crate) now: NowArgs,
}

/// What "now" is.
#[derive(Debug, Args)]
pub(crate) struct NowArgs {
    /// What "now" is, such as 2024-05-01T12:00:00Z [default: the system clock]
    #[arg(long, value_name = "RFC3339", value_parser = values::time, help_heading = "Trust")]
    pub(crate) now: Option<i64>,
}

/// The certificate store, where a command fills it but can do without.
#[derive(Debug, Args)]
pub(crate) struct FilledStoreArgs {
    /// The certificate store that receives the harvest; made if it does not exist
    #[arg(long, value_name = "FILE", help_heading = "Certificates")]
    pub(crate) store: Option<PathBuf>,
}

/// The certificate store, where a command looks into it but can do without.
#[derive(Debug, Args)]
pub(crate) struct ReadStoreArgs {
    /// The certificate store to look certificates up in; must exist, is only read
    #[arg(long, value_name = "FILE", help_heading = "Certificates")]
    pub(crate) store: Option<PathBuf>,
}

/// The certificate store, where filling it is what the command is about.
#[derive(Debug, Args)]
pub(crate) struct HarvestStoreArgs {
    /// The certificate store that receives the harvest; made if it does not exist
    #[arg(
        long,
        value_name = "FILE",
        required = true,
        help_heading = "Certificates"
    )]
    pub(crate) store: PathBuf,
}

/// The certificate store, where looking into it is what the command is about.
#[derive(Debug, Args)]
pub(crate) struct RequiredStoreArgs {
    /// The certificate store; must exist, is only read
    #[arg(
        long,
        value_name = "FILE",
        required = true,
        help_heading = "Certificates"
    )]
    pub(crate) store: PathBuf,
}

/// How to re-encrypt, once there is a `--to`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Re-encryption")]
pub(crate) struct SealArgs {
    /// rewrap keeps the ciphertext and replaces its recipients; content decrypts and encrypts anew [default: rewrap]
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        requires = "to",
        hide_possible_values = true
    )]
    pub(crate) mode: Option<Mode>,
    /// For --mode content: aes-256-gcm, aes-256-cbc, or auto: GCM where every recipient says that it reads it
    #[arg(long, value_name = "CIPHER", requires = "to", value_parser = values::cipher)]
    pub(crate) cipher: Option<Cipher>,
    /// For --mode content: a cipher that this program reads: outlook, thunderbird, apple, gpgsm or openssl
    #[arg(
        long = "for",
        value_enum,
        value_name = "PROGRAM",
        requires = "to",
        hide_possible_values = true
    )]
    pub(crate) program: Option<Program>,
    /// Encrypt to this certificate as well as to --to; may be given several times
    #[arg(long, value_name = "CERTFILE", requires = "to")]
    pub(crate) recovery: Vec<PathBuf>,
}

/// Whom `encrypt` encrypts to, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Encryption")]
pub(crate) struct EncryptionArgs {
    /// Encrypt to this certificate file, or this address that is looked up in --store; may be given several times
    #[arg(long, value_name = "CERTFILE|ADDRESS")]
    pub(crate) to: Vec<PathBuf>,
    /// Encrypt to each message's To, Cc and Bcc, looked up in --store; --to names certificates of theirs
    #[arg(long)]
    pub(crate) to_recipients: bool,
    /// Encrypt to the address in From as well
    #[arg(long)]
    pub(crate) to_self: bool,
    /// Encrypt to this certificate as well; may be given several times
    #[arg(long, value_name = "CERTFILE")]
    pub(crate) recovery: Vec<PathBuf>,
    /// Sign what is encrypted, inside, as --as
    #[arg(long, requires_all = ["keys", "identity"])]
    pub(crate) sign: bool,
    /// Whose key of --keys signs
    #[arg(long = "as", value_name = "ADDRESS", requires = "sign")]
    pub(crate) identity: Option<String>,
    /// Key files, to sign with; their certificates are known to --to-recipients and --to-self
    #[arg(long, value_name = "PATH", help_heading = "Keys")]
    pub(crate) keys: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseArgs,
    /// aes-256-gcm, aes-256-cbc, or auto: GCM where every recipient says that it reads it [default: auto]
    #[arg(long, value_name = "CIPHER", value_parser = values::cipher)]
    pub(crate) cipher: Option<Cipher>,
    /// A cipher that this program reads: outlook, thunderbird, apple, gpgsm or openssl
    #[arg(
        long = "for",
        value_enum,
        value_name = "PROGRAM",
        hide_possible_values = true
    )]
    pub(crate) program: Option<Program>,
}

/// Who signs, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signature")]
pub(crate) struct SigningArgs {
    /// Sign every message with this address's key, whoever wrote it: the seal of an archive
    #[arg(long = "as", value_name = "ADDRESS", value_parser = values::mail_address)]
    pub(crate) identity: Option<String>,
    /// Put the content into the signature; only S/MIME programs can read it then
    #[arg(long)]
    pub(crate) opaque: bool,
    /// The program that answers are read with: outlook, thunderbird, apple, gpgsm or openssl [default: p7mill]
    #[arg(
        long = "for",
        value_enum,
        value_name = "PROGRAM",
        hide_possible_values = true
    )]
    pub(crate) program: Option<Program>,
}

/// How the readable copy of a message is protected anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Same ciphertext, new recipients.
    Rewrap,
    /// Decrypt, encrypt anew.
    Content,
}

/// A content cipher that p7mill writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cipher {
    /// AuthEnvelopedData.
    Aes256Gcm,
    /// EnvelopedData.
    Aes256Cbc,
    /// What every recipient says it reads.
    Auto,
}

/// A program that has to read what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Program {
    /// Microsoft Outlook.
    Outlook,
    /// Mozilla Thunderbird.
    Thunderbird,
    /// Apple Mail.
    Apple,
    /// `GnuPG`'s gpgsm.
    Gpgsm,
    /// OpenSSL 3.0 or newer.
    Openssl,
}

/// What a command that writes an archive writes, and where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutArgs {
    /// The folder that receives the archive; running the same command again continues or does nothing
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) report: ReportDirArgs,
    /// csv, jsonl or both
    #[arg(long, value_enum, default_value_t = Format::Csv, value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// Write every mailbox as mbox, maildir or eml instead of as it was found
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) to_format: Option<MailFormat>,
    /// Put a field into each changed message that names the original's sha256
    #[arg(long)]
    pub(crate) stamp: bool,
    /// Do not keep changed messages as they were in DIR/originals
    #[arg(long)]
    pub(crate) no_originals: bool,
    /// Do all the work and write only reports
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Forget what an earlier run wrote to DIR and begin anew
    #[arg(long)]
    pub(crate) start_over: bool,
}

/// Trying again, with more keys, what an earlier run could not open.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct RetryArgs {
    /// Open, with more keys than before, what stayed closed in the finished DIR
    #[arg(long, requires = "out", conflicts_with_all = ["start_over", "dry_run"])]
    pub(crate) retry_failed: bool,
}

/// Where reports go.
#[derive(Debug, Args)]
pub(crate) struct ReportDirArgs {
    /// The folder that receives the reports [default: DIR/report below --out]
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
}

/// Reports of a command that writes no archive.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct ReportArgs {
    /// Write reports to this folder; without it only a summary is printed
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// csv, jsonl or both
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        requires = "report",
        hide_possible_values = true
    )]
    pub(crate) format: Option<Format>,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
}

/// What reports hold, and how they are cut.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reports")]
pub(crate) struct ShapeArgs {
    /// Which columns of a report, in which order, such as messages=mailbox,ordinal,verdict; may be given several times
    #[arg(long, value_name = "REPORT=COLUMN,…")]
    pub(crate) columns: Vec<String>,
    /// Begin a new CSV file after so many rows: messages.csv, messages-2.csv …
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) split_rows: Option<u64>,
    /// Pseudonyms instead of: subject, addresses, paths
    #[arg(long, value_name = "WHAT,…", value_delimiter = ',')]
    pub(crate) redact: Vec<String>,
    /// The key that pseudonyms are made with; made if it does not exist [default: DIR/.p7mill/redaction.key below --out]
    #[arg(long, value_name = "FILE", requires = "redact")]
    pub(crate) redaction_key: Option<PathBuf>,
    /// The house's own domains: which missing keys could be found there
    #[arg(long, value_name = "DOMAIN,…", value_delimiter = ',')]
    pub(crate) our_domains: Vec<String>,
}

/// Which reports are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For spreadsheets.
    Csv,
    /// Raw values, a JSON object a line.
    Jsonl,
    /// Both.
    Both,
}

/// `--to-format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MailFormat {
    /// One file a mailbox.
    Mbox,
    /// One folder a mailbox, one file a message.
    Maildir,
    /// One file a message.
    Eml,
}

impl MailFormat {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Mbox => Kind::Mbox,
            Self::Maildir => Kind::Maildir,
            Self::Eml => Kind::Eml,
        }
    }
}

/// How a run goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct RunArgs {
    /// Outcomes that do not count as failures, such as no-key,locked
    #[arg(long, value_name = "OUTCOME,…", value_delimiter = ',', value_parser = values::accepted)]
    pub(crate) accept: Vec<Action>,
    /// How many bytes a compressed file or archive may unpack to for each of its own, past 256 MiB
    #[arg(long, value_name = "RATIO", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) max_unpack: Option<u64>,
    /// How many threads work [default: one a processor]
    #[arg(short = 'j', value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
    /// The largest message that is read into memory; larger ones are read in pieces [default: 128MiB]
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub(crate) max_message: Option<u64>,
}

/// How p7mill talks.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Talk")]
pub(crate) struct TalkArgs {
    /// No summary, no progress; errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// auto (a bar on a terminal), plain (a line every few seconds) or never
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, value_name = "WHEN", hide_possible_values = true)]
    pub(crate) progress: When,
    /// auto, always or never
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN", hide_possible_values = true)]
    pub(crate) color: Color,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// A bar on a terminal, nothing elsewhere.
    Auto,
    /// Lines on standard error.
    Plain,
    /// Not at all.
    Never,
}

/// Whether results are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
