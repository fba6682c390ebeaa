//! The vocabulary of the contract, once: what can be said about a message, its signatures and its
//! recipients. Everything here is plain data; it is what the journal keeps and the reports show.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::message::rewrite::Piece;

/// Declares a closed set of words, their spelling in reports, and their order of declaration.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every word, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it stands in reports.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What became of a message.
    Action {
        /// Nothing to do.
        Plain = "plain",
        /// S/MIME, nothing to change.
        Kept = "kept",
        /// Written readable.
        Decrypted = "decrypted",
        /// Same ciphertext, new recipients.
        Rewrapped = "rewrapped",
        /// Decrypted and encrypted anew.
        Reencrypted = "reencrypted",
        /// Encrypted.
        Encrypted = "encrypted",
        /// Signed.
        Signed = "signed",
        /// Left out by a filter; copied.
        NotSelected = "not-selected",
        /// No key for any recipient.
        NoKey = "no-key",
        /// A key that would open it is in a locked file.
        Locked = "locked",
        /// A key was there and did not open it.
        Undecryptable = "undecryptable",
        /// Not what its structure claims.
        Malformed = "malformed",
        /// An algorithm or form that this version does not know.
        Unsupported = "unsupported",
        /// A policy or limit, named in the reason.
        Refused = "refused",
    }
}

impl Action {
    /// Whether the message was copied unchanged because something is wrong with it.
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            Self::NoKey
                | Self::Locked
                | Self::Undecryptable
                | Self::Malformed
                | Self::Unsupported
                | Self::Refused
        )
    }

    /// Whether the written message differs from the source.
    pub const fn is_change(self) -> bool {
        matches!(
            self,
            Self::Decrypted | Self::Rewrapped | Self::Reencrypted | Self::Encrypted | Self::Signed
        )
    }
}

words! {
    /// What a signature amounts to (ETSI EN 319 102-1: TOTAL-PASSED, INDETERMINATE, TOTAL-FAILED).
    Verdict {
        /// Intact, trusted at the clock, From's own, over the whole message.
        Valid = "valid",
        /// Nothing is broken, but an axis is not satisfied or cannot be judged.
        Indeterminate = "indeterminate",
        /// Broken or malformed.
        Invalid = "invalid",
    }
}

words! {
    /// What the mathematics says.
    Integrity {
        /// The signature is over these bytes.
        Intact = "intact",
        /// It is not.
        Broken = "broken",
        /// It could not be computed.
        Unchecked = "unchecked",
    }
}

words! {
    /// What the certification path says at one time.
    ChainStatus {
        /// A path to an anchor holds.
        Trusted = "trusted",
        /// The path ends at a root that is no anchor.
        Untrusted = "untrusted",
        /// An issuer is missing.
        Incomplete = "incomplete",
        /// A certificate of the path was over.
        Expired = "expired",
        /// A certificate of the path had not begun.
        NotYetValid = "not-yet-valid",
        /// The certificate is not for signing mail.
        WrongUsage = "wrong-usage",
        /// There is no certificate to build a path from.
        Unchecked = "unchecked",
    }
}

words! {
    /// What is known of revocation.
    Revocation {
        /// A CRL says so.
        Good = "good",
        /// A CRL lists it.
        Revoked = "revoked",
        /// Nothing is known.
        Unknown = "unknown",
    }
}

words! {
    /// Where the time of a verdict comes from.
    TimeSource {
        /// The command line names it.
        Pinned = "pinned",
        /// A verified RFC 3161 token.
        Timestamp = "timestamp",
        /// The top Received field or the container; unauthenticated.
        Received = "received",
        /// Claimed by the signer.
        Signing = "signing",
        /// There is no other.
        Now = "now",
    }
}

words! {
    /// Whose address the signer's certificate holds.
    AddressMatch {
        /// The one From address.
        From = "from",
        /// Only the Sender field has it.
        Sender = "sender",
        /// The message comes from another address.
        Mismatch = "mismatch",
        /// There are several From addresses.
        Ambiguous = "ambiguous",
        /// The certificate or the message has none.
        None = "none",
    }
}

words! {
    /// How much of the message a signature covers.
    Coverage {
        /// The root entity.
        Full = "full",
        /// Only a part of it.
        Partial = "partial",
    }
}

words! {
    /// How strong an algorithm was at the clock.
    Strength {
        /// Nothing was held against it.
        Strong = "strong",
        /// Deprecated.
        Weak = "weak",
        /// Forgeable.
        Broken = "broken",
    }
}

words! {
    /// What protects encrypted content from being altered.
    ContentIntegrity {
        /// An authentication tag.
        Aead = "aead",
        /// A signature inside.
        Signed = "signed",
        /// Nothing.
        None = "none",
    }
}

words! {
    /// Whether the key of a recipient is at hand.
    KeyStatus {
        /// It is.
        Open = "open",
        /// It is in a file that did not open.
        Locked = "locked",
        /// It is not.
        Missing = "missing",
        /// The recipient is a password or shared key.
        Password = "password",
    }
}

words! {
    /// Where a recipient's address stands in the message.
    Role {
        /// In the To field.
        To = "to",
        /// In the Cc field.
        Cc = "cc",
        /// In neither: a blind copy.
        Hidden = "hidden",
        /// The sender, or nobody known.
        Other = "other",
    }
}

words! {
    /// How a RecipientInfo names and reaches its recipient (RFC 5652 §6.2).
    RecipientKind {
        /// Key transport.
        Ktri = "ktri",
        /// Key agreement.
        Kari = "kari",
        /// A shared key-encryption key.
        Kekri = "kekri",
        /// A password.
        Pwri = "pwri",
        /// Anything else.
        Ori = "ori",
    }
}

/// A stable reason code, listed in `docs/reference/reasons.md`.
pub type Reason = std::borrow::Cow<'static, str>;

/// What `ops` says about one message.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The facts that the journal keeps.
    pub findings: Findings,
    /// Certificates that the message carries; `Findings` name them by SHA-256.
    pub certificates: Vec<SeenCertificate>,
    /// Revocation lists that the message carries.
    pub crls: Vec<SeenCrl>,
    /// The message as it is to be written; `None` means as it was.
    pub edits: Option<Vec<Piece>>,
    /// Signatures (indices into [`Findings::signatures`]) that the message keeps as it is to be
    /// written: the layers inside what was opened.
    pub surviving: Vec<usize>,
    /// Further messages that are made of this one and written behind it: copies for recipients
    /// whom the others must not see.
    pub copies: Vec<Vec<Piece>>,
    /// What kept a message too large to hold from being read, or its plaintext from being written: the
    /// run ends with it, and the rest of this is void.
    pub trouble: Option<std::io::Error>,
}

/// Everything about one message that reports are made of. It is complete but for chains, which
/// are judged when every certificate of the archive is known.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Findings {
    /// The message itself, then each attached message that holds S/MIME.
    pub messages: Vec<MessageFinding>,
    /// Every SignerInfo met.
    pub signatures: Vec<SignatureFinding>,
    /// Every RecipientInfo met.
    pub recipients: Vec<RecipientFinding>,
    /// Every certificate met in the message.
    pub certificates: Vec<CertificateFinding>,
}

impl Findings {
    /// Whether a signature over this part was met.
    pub fn is_signed(&self, part: &str) -> bool {
        self.signatures
            .iter()
            .any(|signature| signature.part == part && !signature.is_countersignature())
    }
}

/// A certificate and its SHA-256.
#[derive(Debug, Clone)]
pub struct SeenCertificate {
    /// SHA-256 of the DER.
    pub sha256: [u8; 32],
    /// The certificate as it came.
    pub der: Arc<[u8]>,
}

/// A revocation list and its SHA-256.
#[derive(Debug, Clone)]
pub struct SeenCrl {
    /// SHA-256 of the DER.
    pub sha256: [u8; 32],
    /// The list as it came.
    pub der: Arc<[u8]>,
}

/// A time-stamp on a signature, but for its authority's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimestampFinding {
    /// When the authority saw the signature, Unix seconds.
    pub time: i64,
    /// Of the authority's certificate, lower-case hex.
    pub cert_sha256: String,
    /// Names of the digests that the token rests on.
    pub digests: Vec<String>,
    /// Such as `rsa-pkcs1`.
    pub algorithm: String,
    /// Why it proves nothing.
    pub problem: Option<Reason>,
}

/// One row of messages.csv, but for what the archive knows (mailbox, ordinal, offset …) and for
/// the verdict.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MessageFinding {
    /// IMAP section number; empty for the message itself.
    pub part: String,
    /// Without angle brackets.
    pub message_id: String,
    /// The Date field as Unix seconds.
    pub date: Option<i64>,
    /// Every From address, decoded.
    pub from: Vec<String>,
    /// To whom an encrypted message was sent, as its header says, where these are few: it tells
    /// whose the keys are that are missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent_to: Vec<String>,
    /// Decoded.
    pub subject: String,
    /// Layers from the outside in, as in the contract.
    pub form: String,
    /// How many S/MIME parts lie below the root.
    pub parts: u32,
    /// What became of it.
    pub action: Action,
    /// Why, where that is not plain from the action.
    pub reason: Option<Reason>,
    /// The time its signatures are judged at.
    pub verdict_time: Option<i64>,
    /// Where that time comes from.
    pub time_source: Option<TimeSource>,
    /// How its signatures make its verdict.
    pub judgement: Judgement,
    /// Bytes of the message's body that no intact signature covers, where there is a signature.
    pub unsigned_bytes: Option<u64>,
    /// Content cipher of the outermost encrypted layer.
    pub content_encryption: Option<String>,
    /// What protects that content.
    pub content_integrity: Option<ContentIntegrity>,
    /// How strong its encryption is; graded with the signatures.
    #[serde(skip)]
    pub content_strength: Option<Strength>,
    /// SHA-256 of the certificate, or the name of the key file.
    pub opened_with: Option<String>,
    /// Addresses of the key's owner.
    pub opened_for: Vec<String>,
    /// Fields whose protected and outer values differ; `None` where an encrypted layer, in which
    /// the protected ones would lie, stayed closed.
    pub header_conflicts: Option<u32>,
    /// Addresses that the outcome is about, such as those whose certificate is not known, each with
    /// why where that is not plain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concerns: Vec<String>,
}

/// Which signatures (indices into [`Findings::signatures`]) make a message's verdict.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Judgement {
    /// SignerInfos of the innermost signed layer on the root's chain (or, where `partial`, of
    /// all signed parts below the root).
    pub deciding: Vec<usize>,
    /// SignerInfos of outer layers: an `invalid` one makes the message `invalid`.
    pub outer: Vec<usize>,
    /// Only deeper parts are signed: at best `indeterminate`.
    pub partial: bool,
    /// The layer is malformed or has no SignerInfo: `invalid`, whatever else there is.
    pub invalid: bool,
}

/// One row of signatures.csv, but for what chains say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignatureFinding {
    /// IMAP section number of the judged message, empty for the root's.
    pub part: String,
    /// From the outside in, counted from 1.
    pub layer: u32,
    /// Of the judged message.
    pub message_id: String,
    /// Addresses of the certificate, or its subject's common name.
    pub signer: String,
    /// RFC 4514, empty without a certificate.
    pub subject: String,
    /// RFC 4514.
    pub issuer: String,
    /// Lower-case hex.
    pub serial: String,
    /// Lower-case hex; empty where the certificate is not known.
    pub cert_sha256: String,
    /// Such as `rsa-2048` or `ec-p256`.
    pub key: String,
    /// Such as `sha256`.
    pub digest: String,
    /// Another digest that the signature rests on as well; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub other_digest: String,
    /// Such as `rsa-pkcs1`, `rsa-pss`, `ecdsa`.
    pub algorithm: String,
    /// Claimed, Unix seconds.
    pub signing_time: Option<i64>,
    /// What the mathematics says.
    pub integrity: Integrity,
    /// Malformed attributes or the like: `invalid` though intact.
    pub malformed: bool,
    /// Whose address the certificate holds.
    pub address: AddressMatch,
    /// How much of the message is covered.
    pub coverage: Coverage,
    /// At the clock.
    pub strength: Strength,
    /// The clock's time, and where it comes from.
    pub verdict_time: i64,
    /// See `verdict_time`.
    pub time_source: TimeSource,
    /// The time is claimed by the signer alone, and nobody asked for that.
    pub time_is_claim: bool,
    /// The command line says which time counts, whatever evidence there is.
    #[serde(default)]
    pub time_is_pinned: bool,
    /// The message's arrival, where known.
    pub received: Option<i64>,
    /// Time-stamps on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timestamps: Vec<TimestampFinding>,
    /// Reasons known without the chain.
    pub reasons: Vec<Reason>,
    /// `SMIMECapabilities` that an intact signature covers: base64 of their DER.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub capabilities: String,
}

impl SignatureFinding {
    /// Whether it is over another signature and not over the message.
    pub fn is_countersignature(&self) -> bool {
        self.reasons
            .iter()
            .any(|reason| reason == "countersignature")
    }
}

/// One row of recipients.csv.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecipientFinding {
    /// As in [`SignatureFinding::part`].
    pub part: String,
    /// As in [`SignatureFinding::layer`].
    pub layer: u32,
    /// Of the judged message.
    pub message_id: String,
    /// Which RecipientInfo.
    pub kind: RecipientKind,
    /// RFC 4514, empty where the recipient is named by SKI.
    pub issuer: String,
    /// Lower-case hex.
    pub serial: String,
    /// Lower-case hex.
    pub ski: String,
    /// Such as `rsa-pkcs1`, `rsa-oaep`, `ecdh-sha256`.
    pub key_encryption: String,
    /// Such as `aes-256-gcm`.
    pub content_encryption: String,
    /// Whether the key is at hand.
    pub key_status: KeyStatus,
    /// Of the recipient's certificate, where known.
    pub cert_sha256: String,
    /// Its first address, where known.
    pub address: String,
    /// Where that address stands in the message.
    pub role: Role,
    /// `encrypt`: which of the copies for blind recipients it belongs to, from 1; 0 for the message
    /// itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub copy: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(copy: &u32) -> bool {
    *copy == 0
}

/// A certificate met in a message, and what the message says for or against it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CertificateFinding {
    /// Lower-case hex.
    pub sha256: String,
    /// The SignerInfos (indices into [`Findings::signatures`]) it made; none for chain members
    /// and bystanders.
    pub signed: Vec<usize>,
}
