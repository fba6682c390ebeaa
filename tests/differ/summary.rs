//! What a reader says about a CMS object, in words that every reader can be brought to.

/// A reading, or why there is none.
pub(crate) type Read = Result<Summary, String>;

/// Lists are sorted: the order of a SET says nothing. `None`: this reader does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The outer content type, dotted.
    pub(crate) content_type: String,
    /// What is inside, dotted.
    pub(crate) inner_type: Option<String>,
    /// SHA-256 of the content or ciphertext; `Some("")` where there is none.
    pub(crate) content: Option<String>,
    /// `serial …`, `ski …` or a kind that has neither.
    pub(crate) recipients: Vec<String>,
    /// As `recipients`.
    pub(crate) signers: Vec<String>,
    /// How many X.509 certificates.
    pub(crate) certificates: Option<usize>,
    /// Whether `recipients` and `signers` are counts only.
    pub(crate) counts_only: bool,
}

impl Summary {
    /// What two readers see differently.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut out = Vec::new();
        let mut differs = |what: &str, differs: bool| {
            if differs {
                out.push(format!("{what} differ"));
            }
        };
        let both =
            |a: &Option<String>, b: &Option<String>| matches!((a, b), (Some(a), Some(b)) if a != b);
        differs("content types", self.content_type != other.content_type);
        differs("inner types", both(&self.inner_type, &other.inner_type));
        differs("contents", both(&self.content, &other.content));
        let counts = self.counts_only || other.counts_only;
        let lists = |a: &[String], b: &[String]| a.len() != b.len() || !counts && a != b;
        differs("recipients", lists(&self.recipients, &other.recipients));
        differs("signers", lists(&self.signers, &other.signers));
        let certificates =
            matches!((self.certificates, other.certificates), (Some(a), Some(b)) if a != b);
        differs("certificates", certificates);
        out
    }

    /// In order.
    pub(crate) fn sorted(mut self) -> Self {
        self.recipients.sort();
        self.signers.sort();
        self
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A serial number without what means nothing in front of it.
pub(crate) fn serial(body: &[u8]) -> String {
    let mut body = body;
    while let [first, second, ..] = body {
        let padding = (*first == 0 && second & 0x80 == 0) || (*first == 0xff && second & 0x80 != 0);
        if !padding {
            break;
        }
        body = &body[1..];
    }
    format!("serial {}", hex(body))
}

/// SHA-256, or nothing of nothing.
#[expect(
    clippy::unnecessary_wraps,
    reason = "`None` is what a reader says that does not tell"
)]
pub(crate) fn digest(content: Option<&[u8]>) -> Option<String> {
    Some(content.map_or_else(String::new, |content| {
        hex(&p7mill::crypto::digest::sha256(content))
    }))
}
