//! What OpenSSL says of a path, in the contract's words.

use std::collections::HashMap;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509StoreContext, X509VerifyResult};

use super::graph::Graph;
use super::{MAX_DEPTH, Usage};
use crate::cert::{Certificate, policies};
use crate::ops::outcome::ChainStatus;

/// One answer of OpenSSL.
pub(super) struct Judged {
    pub(super) status: ChainStatus,
    /// From the leaf on, as far as it was built.
    pub(super) path: Vec<Arc<Certificate>>,
    /// Whose certificate is missing at the path's end.
    pub(super) missing: Option<String>,
}

impl Graph {
    /// What OpenSSL says where it is given this path and nothing else.
    pub(super) fn judge_path(path: &[Arc<Certificate>], usage: Usage) -> Judged {
        let only = Self {
            anchors: path.last().cloned().into_iter().collect(),
            intermediates: path
                .iter()
                .skip(1)
                .take(path.len().saturating_sub(2))
                .cloned()
                .collect(),
            ..Self::default()
        };
        match path.first() {
            Some(leaf) => only.judge(leaf, usage),
            None => Judged {
                status: ChainStatus::Untrusted,
                path: Vec::new(),
                missing: None,
            },
        }
    }

    pub(super) fn judge(&self, leaf: &Arc<Certificate>, usage: Usage) -> Judged {
        // An error here is OpenSSL failing, not the path; nothing is trusted then.
        self.ask_openssl(leaf, usage).unwrap_or_else(|_| Judged {
            status: ChainStatus::Untrusted,
            path: vec![Arc::clone(leaf)],
            missing: None,
        })
    }

    fn ask_openssl(&self, leaf: &Arc<Certificate>, usage: Usage) -> Result<Judged, ErrorStack> {
        let store = self.store()?;
        let mut untrusted = Stack::new()?;
        for certificate in &self.intermediates {
            untrusted.push(certificate.x509.clone())?;
        }
        let mut context = X509StoreContext::new()?;
        let (result, digests) = context.init(&store, &leaf.x509, &untrusted, |context| {
            let holds = context.verify_cert()?;
            let chain = context.chain().into_iter().flatten();
            let digests = chain
                .map(|x509| x509.digest(MessageDigest::sha256()))
                .collect::<Result<Vec<_>, _>>()?;
            // A failure that leaves no error code must not read as success.
            let result = context.error();
            Ok(((holds, result), digests))
        })?;
        // OpenSSL hashes what it would write, which is not always the bytes that were read: bits
        // that a BIT STRING calls unused are zero there. A path must hold such a one all the same.
        let mut by_digest = HashMap::new();
        for certificate in self.anchors.iter().chain(&self.intermediates).chain([leaf]) {
            let digest = certificate.x509.digest(MessageDigest::sha256())?;
            by_digest.insert(digest.to_vec(), certificate);
        }
        let path: Vec<_> = digests
            .iter()
            .filter_map(|d| by_digest.get(&**d).map(|c| Arc::clone(c)))
            .collect();
        let mut status = match result {
            (true, X509VerifyResult::OK) => ChainStatus::Trusted,
            (_, result) => meaning(result),
        };
        // Authorities restricted to other purposes issue no mail certificates (RFC 5280 is silent,
        // OpenSSL's S/MIME purpose and all mail programs agree). Asked here rather than through
        // that purpose because it refuses anyExtendedKeyUsage, which RFC 8550 §4.4.4 allows.
        let restricted = path.iter().skip(1).any(|authority| match usage {
            Usage::Sign | Usage::Encrypt => !authority.is_for_mail(),
            Usage::StampTimes => !authority.is_for_stamps(),
            Usage::Any => false,
        });
        if restricted
            && matches!(
                status,
                ChainStatus::Trusted | ChainStatus::Expired | ChainStatus::NotYetValid
            )
        {
            status = ChainStatus::WrongUsage;
        }
        if status == ChainStatus::Trusted && !policies::hold(&path) {
            status = ChainStatus::Untrusted;
        }
        let missing = (status == ChainStatus::Incomplete)
            .then(|| path.last().map_or(&leaf.issuer, |last| &last.issuer));
        let missing = missing.cloned();
        Ok(Judged {
            status,
            path,
            missing,
        })
    }

    fn store(&self) -> Result<X509Store, ErrorStack> {
        let mut parameters = X509VerifyParam::new()?;
        parameters.set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::NO_CHECK_TIME)?;
        // Strength is judged by `policy`, with its dates; here SHA-1 and 1024 bits pass.
        parameters.set_auth_level(0);
        parameters.set_depth(MAX_DEPTH);
        let mut builder = X509StoreBuilder::new()?;
        for anchor in &self.anchors {
            builder.add_cert(anchor.x509.clone())?;
        }
        builder.set_param(&parameters)?;
        Ok(builder.build())
    }
}

/// OpenSSL's verdict in the contract's words (`X509_V_ERR_*`, `openssl/x509_vfy.h`).
fn meaning(result: X509VerifyResult) -> ChainStatus {
    match result.as_raw() {
        // unable to get (local) issuer certificate, unable to verify the first certificate
        2 | 20 | 21 => ChainStatus::Incomplete,
        9 => ChainStatus::NotYetValid,
        10 => ChainStatus::Expired,
        // unsupported certificate purpose, key usage does not include certificate signing
        26 | 32 => ChainStatus::WrongUsage,
        // self-signed, bad signature, invalid CA, path length, name constraints, critical
        // extensions, malformed times, and whatever a later version adds
        _ => ChainStatus::Untrusted,
    }
}
