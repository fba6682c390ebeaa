//! The command line: commands, their options, their help.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::options::{
    ArchiveArgs, EncryptionArgs, FilledStoreArgs, HarvestStoreArgs, KeyArgs, KeyFileArgs, NowArgs,
    OutArgs, ReadStoreArgs, ReportArgs, RequiredKeyArgs, RequiredStoreArgs, RequiredTrustArgs,
    RetryArgs, RunArgs, SealArgs, SigningArgs, SourceArgs, TalkArgs, TrustArgs,
};
use super::values::{self, ExportFormat};

/// Migrates mail archives full of S/MIME: scan, verify, harvest, decrypt, re-encrypt, report.
#[derive(Debug, Parser)]
#[command(
    name = "p7mill",
    version,
    about,
    max_term_width = 100,
    after_help = "\
The main job, in one pass:
  p7mill migrate ARCHIVE --keys KEYS --trust CA --store certs.db --out OUT

Exit codes: 0 all well; 1 the run failed; 2 usage; 3 finished, but some messages or files failed;
4 verify: a signature is not valid; 11 OUT or the store is in use; 12 the one key stays locked;
130, 143 interrupted: run the same command again to continue."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says what is in archives, and whose keys are still missing
    ///
    /// Reads every message and says what it is: its form, who signed, for whom it is encrypted and how. Nothing is
    /// opened or judged. With --keys the missing keys are counted from what those do not open.
    #[command(
        after_help = "Example:\n  p7mill scan sample-data/archive --keys sample-data/keys --report report"
    )]
    Scan(ScanArgs),
    /// Judges every signature
    ///
    /// Checks each signature's mathematics, its certificate's path to --trust at the clock, whose address it holds and
    /// what it covers. Ends with 4 where a signature is not valid.
    #[command(
        after_help = "Example:\n  p7mill verify sample-data/archive --trust sample-data/ca --report report"
    )]
    Verify(VerifyArgs),
    /// Collects signers' certificates in a store
    ///
    /// A certificate becomes usable only from an intact signature whose address is the sender's and whose chain is
    /// trusted; without --trust none does. All others are kept with the reason.
    #[command(
        after_help = "Example:\n  p7mill harvest sample-data/archive --trust sample-data/ca --store certs.db"
    )]
    Harvest(HarvestArgs),
    /// Writes archives readable
    ///
    /// Every message whose key is at hand is written decrypted, every other byte for byte as it was, with a row that
    /// says why. PATH - reads one message or an mbox and writes it to standard output.
    #[command(
        override_usage = "p7mill decrypt [OPTIONS] --keys <PATH> --out <DIR> <PATH>...\n       p7mill decrypt [OPTIONS] --keys <PATH> -",
        after_help = "Example:\n  p7mill decrypt sample-data/archive --keys sample-data/keys --out OUT"
    )]
    Decrypt(DecryptArgs),
    /// Writes archives readable by others
    ///
    /// The recipients of every encrypted message are replaced by those named with --to.
    #[command(
        override_usage = "p7mill reencrypt [OPTIONS] --keys <PATH> --to <CERTFILE|ADDRESS> --out <DIR> <PATH>...\n       p7mill reencrypt [OPTIONS] --keys <PATH> --to <CERTFILE|ADDRESS> -",
        after_help = "Example:\n  p7mill reencrypt sample-data/archive --keys sample-data/keys \\\n    \
                      --to sample-data/keys/e.kovac.pem --out OUT"
    )]
    Reencrypt(ReencryptArgs),
    /// Signs one message as its From, or an archive as one address
    ///
    /// The key is found by the address; the certificate and its path go along, and the time is now. More than one
    /// message is signed only with --as, which seals an archive: signing other people's old mail in their name
    /// would be making evidence up. PATH - reads one message and writes it to standard output.
    #[command(
        override_usage = "p7mill sign [OPTIONS] --keys <PATH> --out <DIR> <PATH>\n       p7mill sign [OPTIONS] --keys <PATH> -\n       p7mill sign [OPTIONS] --keys <PATH> --as <ADDRESS> --out <DIR> <PATH>...",
        after_help = "Example:\n  p7mill sign sample-data/archive --as m.brandt@nordhafen.example \\\n    \
                      --keys sample-data/keys --now 2024-06-01T00:00:00Z --out OUT"
    )]
    Sign(SignArgs),
    /// Encrypts messages
    ///
    /// To those whom --to names, or with --to-recipients to each message's To, Cc and Bcc, whose certificates --store
    /// holds, --to names or lie beside --keys. A message is not written while a certificate is missing; the addresses are named. Blind recipients
    /// get messages of their own. What is encrypted already stays as it is.
    #[command(
        mut_arg("stamp", |arg| arg.hide(true)),
        override_usage = "p7mill encrypt [OPTIONS] --to <CERTFILE|ADDRESS> --out <DIR> <PATH>...\n       p7mill encrypt [OPTIONS] --to-recipients --out <DIR> <PATH>...\n       p7mill encrypt [OPTIONS] --to <CERTFILE|ADDRESS> -\n       p7mill encrypt [OPTIONS] --to-recipients -",
        after_help = "Example:\n  p7mill encrypt sample-data/archive --to sample-data/keys/e.kovac.pem --out OUT"
    )]
    Encrypt(EncryptArgs),
    /// The main job, in one pass: harvest, verify, decrypt or re-encrypt, report
    ///
    /// Without --keys nothing is opened, without --trust no chain is trusted, without --store nothing is harvested;
    /// with --to encrypted messages are re-encrypted instead of decrypted.
    #[command(
        override_usage = "p7mill migrate [OPTIONS] --out <DIR> <PATH>...",
        after_help = "Example:\n  p7mill migrate sample-data/archive --keys sample-data/keys \\\n    \
                      --trust sample-data/ca --store certs.db --out OUT"
    )]
    Migrate(MigrateArgs),
    /// Says whether an output tree still matches its manifest
    ///
    /// Names every file that is missing, changed or not listed; ends with 3 where there is one.
    #[command(after_help = "Example:\n  p7mill check OUT")]
    Check(CheckArgs),
    /// Gives changed messages back as they were
    #[command(after_help = "Example:\n  p7mill restore OUT")]
    Restore(RestoreArgs),
    /// Looks into the certificate store
    #[command(subcommand)]
    Store(StoreCommand),
    /// Looks at key files
    #[command(subcommand)]
    Keys(KeysCommand),
}

/// `p7mill scan`
#[derive(Debug, clap::Args)]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) now: NowArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    /// Fill the sha256 columns
    #[arg(long, requires = "report", help_heading = "Output")]
    pub(crate) hash: bool,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// `p7mill verify`
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) trust: RequiredTrustArgs,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) store: ReadStoreArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// `p7mill harvest`
#[derive(Debug, clap::Args)]
pub(crate) struct HarvestArgs {
    #[command(flatten)]
    pub(crate) source: ArchiveArgs,
    #[command(flatten)]
    pub(crate) store: HarvestStoreArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// `p7mill decrypt`
#[derive(Debug, clap::Args)]
pub(crate) struct DecryptArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) keys: RequiredKeyArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) out: OutArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// `p7mill reencrypt`
#[derive(Debug, clap::Args)]
pub(crate) struct ReencryptArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) keys: RequiredKeyArgs,
    /// Who shall read the messages: a certificate file, or an address that is looked up in --store
    #[arg(
        long,
        value_name = "CERTFILE|ADDRESS",
        required = true,
        help_heading = "Re-encryption"
    )]
    pub(crate) to: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) seal: SealArgs,
    #[command(flatten)]
    pub(crate) store: ReadStoreArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) out: OutArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// `p7mill sign`
#[derive(Debug, clap::Args)]
pub(crate) struct SignArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) keys: KeyFileArgs,
    #[command(flatten)]
    pub(crate) signing: SigningArgs,
    #[command(flatten)]
    pub(crate) store: ReadStoreArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) out: OutArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// `p7mill encrypt`
#[derive(Debug, clap::Args)]
pub(crate) struct EncryptArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) encryption: EncryptionArgs,
    #[command(flatten)]
    pub(crate) store: ReadStoreArgs,
    #[command(flatten)]
    pub(crate) now: NowArgs,
    #[command(flatten)]
    pub(crate) out: OutArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// `p7mill migrate`
#[derive(Debug, clap::Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) source: ArchiveArgs,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) store: FilledStoreArgs,
    /// Re-encrypt instead of decrypting: a certificate file, or an address that is looked up in --store
    #[arg(
        long,
        value_name = "CERTFILE|ADDRESS",
        requires = "keys",
        help_heading = "Re-encryption"
    )]
    pub(crate) to: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) seal: SealArgs,
    #[command(flatten)]
    pub(crate) out: OutArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// `p7mill check`
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The folder that a run wrote
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,
}

/// `p7mill restore`
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// The folder that a run wrote
    #[arg(value_name = "OUT")]
    pub(crate) tree: PathBuf,
    /// Write the archive as it was to this folder
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
}

/// `p7mill store …`
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// A line a certificate: status, address, validity, subject
    #[command(after_help = "Example:\n  p7mill store list --store certs.db")]
    List(StoreListArgs),
    /// Everything known of the certificates of an address or with a fingerprint
    #[command(
        after_help = "Example:\n  p7mill store show --store certs.db m.brandt@nordhafen.example"
    )]
    Show(StoreShowArgs),
    /// Writes the usable certificates to standard output
    #[command(
        after_help = "Example:\n  p7mill store export --store certs.db --format pem > certs.pem"
    )]
    Export(StoreExportArgs),
}

/// `p7mill store list`
#[derive(Debug, clap::Args)]
pub(crate) struct StoreListArgs {
    #[command(flatten)]
    pub(crate) store: RequiredStoreArgs,
}

/// `p7mill store show`
#[derive(Debug, clap::Args)]
pub(crate) struct StoreShowArgs {
    #[command(flatten)]
    pub(crate) store: RequiredStoreArgs,
    /// An address, or the first digits (at least 8) of a certificate's sha256
    #[arg(value_name = "ADDRESS|SHA256", required = true)]
    pub(crate) who: Vec<String>,
}

/// `p7mill store export`
#[derive(Debug, clap::Args)]
pub(crate) struct StoreExportArgs {
    #[command(flatten)]
    pub(crate) store: RequiredStoreArgs,
    /// pem
    #[arg(long, value_name = "FORMAT", required = true, value_parser = values::export_format)]
    pub(crate) format: ExportFormat,
}

/// `p7mill keys …`
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Which key files open, which are locked, whose they are
    #[command(after_help = "Example:\n  p7mill keys list --keys sample-data/keys")]
    List(KeysListArgs),
}

/// `p7mill keys list`
#[derive(Debug, clap::Args)]
pub(crate) struct KeysListArgs {
    #[command(flatten)]
    pub(crate) keys: KeyFileArgs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
