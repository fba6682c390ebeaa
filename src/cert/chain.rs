//! Whether a certification path from a certificate to a trust anchor holds at a given time.
//!
//! OpenSSL validates paths (RFC 5280 §6), but it builds exactly one: where several authorities
//! have one name it may take the wrong one and report a bad signature. So the candidates are
//! sought here, and only issuers whose signature holds are handed over; OpenSSL then judges
//! constraints, critical extensions and times among them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509StoreContext, X509VerifyResult};

use super::{Certificate, Pool, Trust, policies};
use crate::ops::outcome::ChainStatus;

/// Intermediates that are looked at for one certificate.
const MAX_CANDIDATES: usize = 32;
/// Signatures that are checked in seeking them; OpenSSL then checks one for each link again.
const MAX_SIGNATURE_CHECKS: usize = 100;
/// Links between a certificate and its anchor.
const MAX_DEPTH: i32 = 16;
/// Paths of one certificate that are tried one by one where the first one built does not hold.
const MAX_PATHS: usize = 8;
/// Steps that finding them may take.
const MAX_STEPS: usize = 1_000;

/// A path: from the certificate to its anchor.
pub type CertPath = Vec<Arc<Certificate>>;

/// OpenSSL computes with the years 1900 to 9999 only.
const EARLIEST: i64 = -2_208_988_800;
const LATEST: i64 = 253_402_300_799;

/// What a certificate is to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// [`Certificate::can_sign_mail`].
    Sign,
    /// [`Certificate::can_encrypt_mail`].
    Encrypt,
    /// [`Certificate::can_stamp_times`], by authorities that are not kept from it.
    StampTimes,
    /// Anything: what it may do is asked elsewhere.
    Any,
}

/// Judges chains and remembers what it found. A verdict depends on the certificate, the anchors,
/// the pool and the time, never on the order of the questions.
pub struct ChainJudge<'a> {
    trust: &'a Trust,
    pool: &'a Pool,
    usage: Usage,
    known: Mutex<HashMap<[u8; 32], Arc<Mutex<Known>>>>,
}

/// What is known of one certificate's paths.
#[derive(Default)]
struct Known {
    graph: Graph,
    /// Every time at which a verdict can change, sorted.
    bounds: Vec<i64>,
    /// The verdict before the first bound, between the first and the second, and so on.
    verdicts: Vec<Option<Verdict>>,
    timeless: Option<Judged>,
}

/// What holds between two bounds.
#[derive(Clone)]
struct Verdict {
    status: ChainStatus,
    /// Paths that hold, the one that OpenSSL built first; the rest only once they were asked for.
    holding: Vec<CertPath>,
    sought: bool,
}

/// Certificates that can be part of a path, the leaf aside.
#[derive(Default)]
struct Graph {
    anchors: Vec<Arc<Certificate>>,
    intermediates: Vec<Arc<Certificate>>,
    /// Whose signatures hold: issuers by the SHA-256 of what they issued.
    issuers: HashMap<[u8; 32], Vec<Arc<Certificate>>>,
    /// Signatures checked in seeking them.
    checks: usize,
}

/// One answer of OpenSSL.
struct Judged {
    status: ChainStatus,
    /// From the leaf on, as far as it was built.
    path: Vec<Arc<Certificate>>,
    /// Whose certificate is missing at the path's end.
    missing: Option<String>,
}

impl<'a> ChainJudge<'a> {
    /// A judge with these anchors and these candidates. The pool needs authorities only; where
    /// many have one name, those added first are looked at first.
    pub fn new(trust: &'a Trust, pool: &'a Pool) -> Self {
        Self::for_usage(trust, pool, Usage::Sign)
    }

    /// The same for certificates that are used for something else than signing mail.
    pub fn for_usage(trust: &'a Trust, pool: &'a Pool, usage: Usage) -> Self {
        Self {
            trust,
            pool,
            usage,
            known: Mutex::default(),
        }
    }

    /// What the chain of a certificate says at `at` (Unix seconds) for the judge's usage.
    pub fn status(&self, leaf: &Arc<Certificate>, at: i64) -> ChainStatus {
        self.status_for(leaf, at, self.usage)
    }

    /// The paths that hold at `at`: none, or one; with `all` every one, up to eight.
    pub fn holding(&self, leaf: &Arc<Certificate>, at: i64, all: bool) -> Vec<CertPath> {
        self.with_known(leaf, |known| known.holding(leaf, at, all, self.usage))
    }

    /// Every certificate that may have issued a list or a certificate under this canonical name,
    /// anchors first.
    pub(super) fn named(&self, subject_key: &str) -> impl Iterator<Item = &Arc<Certificate>> {
        let anchors = self.trust.with_subject_key(subject_key);
        let known = self.pool.with_subject_key(subject_key);
        anchors.chain(known.filter(|known| !self.trust.contains(known)))
    }

    /// What the chain of a certificate says at `at` for `usage`.
    ///
    /// `incomplete`: an issuer is not known. `untrusted`: the path ends at a self-signed
    /// certificate that is no anchor, or breaks a rule other than those of time and usage.
    /// `wrong-usage` goes before `expired` and `not-yet-valid`, as time cannot mend it.
    pub fn status_for(&self, leaf: &Arc<Certificate>, at: i64, usage: Usage) -> ChainStatus {
        let fits = match usage {
            Usage::Sign => leaf.can_sign_mail(),
            Usage::Encrypt => leaf.can_encrypt_mail(),
            Usage::StampTimes => leaf.can_stamp_times(),
            Usage::Any => true,
        };
        match self.with_known(leaf, |known| known.at(leaf, at, self.usage).status) {
            ChainStatus::Trusted | ChainStatus::Expired | ChainStatus::NotYetValid if !fits => {
                ChainStatus::WrongUsage
            }
            status => status,
        }
    }

    /// The path from the certificate on as far as it goes, whatever the time; the last one is the
    /// anchor where there is one.
    pub fn path(&self, leaf: &Arc<Certificate>) -> Vec<Arc<Certificate>> {
        self.with_known(leaf, |known| known.timeless(leaf, self.usage).path.clone())
    }

    /// The name (RFC 4514) of the authority whose certificate is missing for a complete path.
    pub fn missing_issuer(&self, leaf: &Arc<Certificate>) -> Option<String> {
        self.with_known(leaf, |known| {
            known.timeless(leaf, self.usage).missing.clone()
        })
    }

    fn with_known<T>(&self, leaf: &Arc<Certificate>, ask: impl FnOnce(&mut Known) -> T) -> T {
        let known = {
            let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(leaf.sha256).or_default())
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.verdicts.is_empty() {
            *known = Known::new(Graph::around(leaf, self.trust, self.pool), leaf);
        }
        ask(&mut known)
    }
}

impl Known {
    fn new(graph: Graph, leaf: &Certificate) -> Self {
        let everyone = graph
            .anchors
            .iter()
            .chain(&graph.intermediates)
            .map(|c| (c.not_before, c.not_after));
        // Whether the last second still counts differs between versions of OpenSSL (RFC 5280
        // §4.1.2.5 says it does), so it is a stretch of its own.
        let mut bounds: Vec<i64> = everyone
            .chain([(leaf.not_before, leaf.not_after)])
            .flat_map(|(from, to)| [from, to, to.saturating_add(1)])
            .collect();
        bounds.sort_unstable();
        bounds.dedup();
        let verdicts = vec![None; bounds.len() + 1];
        Self {
            graph,
            bounds,
            verdicts,
            timeless: None,
        }
    }

    fn at(&mut self, leaf: &Arc<Certificate>, at: i64, usage: Usage) -> Verdict {
        let at = at.clamp(EARLIEST, LATEST);
        let segment = self.bounds.partition_point(|bound| *bound <= at);
        if let Some(Some(verdict)) = self.verdicts.get(segment) {
            return verdict.clone();
        }
        let mut verdict = Verdict::of(self.graph.judge(leaf, Some(at), usage));
        if verdict.status != ChainStatus::Trusted {
            // OpenSSL builds one path; where there are more, any that holds will do.
            let other = self.graph.paths(leaf).into_iter().find_map(|path| {
                let judged = Graph::judge_path(&path, at, usage);
                (judged.status == ChainStatus::Trusted).then_some(judged)
            });
            if let Some(judged) = other {
                verdict = Verdict::of(judged);
            }
        }
        if let Some(known) = self.verdicts.get_mut(segment) {
            *known = Some(verdict.clone());
        }
        verdict
    }

    fn holding(
        &mut self,
        leaf: &Arc<Certificate>,
        at: i64,
        all: bool,
        usage: Usage,
    ) -> Vec<CertPath> {
        let mut verdict = self.at(leaf, at, usage);
        if !all || verdict.sought || verdict.holding.is_empty() {
            return verdict.holding;
        }
        let at = at.clamp(EARLIEST, LATEST);
        for path in self.graph.paths(leaf) {
            if !verdict.holding.contains(&path)
                && Graph::judge_path(&path, at, usage).status == ChainStatus::Trusted
            {
                verdict.holding.push(path);
            }
        }
        verdict.sought = true;
        let segment = self.bounds.partition_point(|bound| *bound <= at);
        if let Some(known) = self.verdicts.get_mut(segment) {
            *known = Some(verdict.clone());
        }
        verdict.holding
    }

    fn timeless(&mut self, leaf: &Arc<Certificate>, usage: Usage) -> &Judged {
        let graph = &self.graph;
        self.timeless
            .get_or_insert_with(|| graph.judge(leaf, None, usage))
    }
}

impl Verdict {
    fn of(judged: Judged) -> Self {
        let holding = match judged.status {
            ChainStatus::Trusted => vec![judged.path],
            _ => Vec::new(),
        };
        Self {
            status: judged.status,
            holding,
            sought: false,
        }
    }
}

impl Graph {
    /// Seeks issuers breadth first, by name, key identifier and signature.
    fn around(leaf: &Arc<Certificate>, trust: &Trust, pool: &Pool) -> Self {
        let mut graph = Self::default();
        let mut seen = HashSet::from([leaf.sha256]);
        let mut queue = VecDeque::from([Arc::clone(leaf)]);
        while let Some(child) = queue.pop_front() {
            if trust.contains(&child) {
                graph.anchors.push(child);
                continue;
            }
            let mut proven = false;
            let mut second_choice = None;
            let anchors = trust.with_subject_key(&child.issuer_key);
            let known = pool.with_subject_key(&child.issuer_key);
            for candidate in anchors
                .chain(known)
                .filter(|candidate| could_have_issued(candidate, &child))
            {
                if !candidate.is_ca && !trust.contains(candidate) {
                    second_choice = second_choice.or(Some(candidate));
                    continue;
                }
                if graph.checks == MAX_SIGNATURE_CHECKS
                    || graph.intermediates.len() == MAX_CANDIDATES
                {
                    break;
                }
                graph.checks += 1;
                if !signed_by(&child, candidate) {
                    second_choice = second_choice.or(Some(candidate));
                    continue;
                }
                proven = true;
                graph
                    .issuers
                    .entry(child.sha256)
                    .or_default()
                    .push(Arc::clone(candidate));
                if seen.insert(candidate.sha256) {
                    if !trust.contains(candidate) {
                        graph.intermediates.push(Arc::clone(candidate));
                    }
                    queue.push_back(Arc::clone(candidate));
                }
            }
            // Where an issuer is known but its signature does not hold, or it is no authority,
            // OpenSSL shall say so: that is worse than an issuer that is not known.
            if !proven && let Some(candidate) = second_choice.filter(|c| seen.insert(c.sha256)) {
                if !trust.contains(candidate) && graph.intermediates.len() < MAX_CANDIDATES {
                    graph.intermediates.push(Arc::clone(candidate));
                }
                queue.push_back(Arc::clone(candidate));
            }
        }
        graph
    }

    /// The paths from `leaf` to an anchor over issuers whose signatures hold, shortest first, a few.
    fn paths(&self, leaf: &Arc<Certificate>) -> Vec<CertPath> {
        let mut found: Vec<CertPath> = Vec::new();
        let mut queue = VecDeque::from([vec![Arc::clone(leaf)]]);
        let mut steps = 0;
        while let Some(path) = queue.pop_front() {
            steps += 1;
            let Some(last) = path.last() else { continue };
            if self.anchors.contains(last) {
                found.push(path);
                if found.len() == MAX_PATHS {
                    break;
                }
                continue;
            }
            if steps > MAX_STEPS || path.len() > usize::try_from(MAX_DEPTH).unwrap_or(0) {
                continue;
            }
            for issuer in self.issuers.get(&last.sha256).into_iter().flatten() {
                if !path.contains(issuer) && queue.len() < MAX_STEPS {
                    let mut longer = path.clone();
                    longer.push(Arc::clone(issuer));
                    queue.push_back(longer);
                }
            }
        }
        found
    }

    /// What OpenSSL says where it is given this path and nothing else.
    fn judge_path(path: &[Arc<Certificate>], at: i64, usage: Usage) -> Judged {
        let only = Self {
            anchors: path.last().cloned().into_iter().collect(),
            intermediates: path
                .iter()
                .skip(1)
                .take(path.len().saturating_sub(2))
                .cloned()
                .collect(),
            issuers: HashMap::new(),
            checks: 0,
        };
        match path.first() {
            Some(leaf) => only.judge(leaf, Some(at), usage),
            None => Judged {
                status: ChainStatus::Untrusted,
                path: Vec::new(),
                missing: None,
            },
        }
    }

    fn judge(&self, leaf: &Arc<Certificate>, at: Option<i64>, usage: Usage) -> Judged {
        // An error here is OpenSSL failing, not the path; nothing is trusted then.
        self.ask_openssl(leaf, at, usage)
            .unwrap_or_else(|_| Judged {
                status: ChainStatus::Untrusted,
                path: vec![Arc::clone(leaf)],
                missing: None,
            })
    }

    fn ask_openssl(
        &self,
        leaf: &Arc<Certificate>,
        at: Option<i64>,
        usage: Usage,
    ) -> Result<Judged, ErrorStack> {
        let store = self.store(at)?;
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

    fn store(&self, at: Option<i64>) -> Result<X509Store, ErrorStack> {
        let mut parameters = X509VerifyParam::new()?;
        parameters.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
        // Strength is judged by `policy`, with its dates; here SHA-1 and 1024 bits pass.
        parameters.set_auth_level(0);
        parameters.set_depth(MAX_DEPTH);
        match at {
            Some(at) => parameters.set_time(at),
            None => parameters.set_flags(X509VerifyFlags::NO_CHECK_TIME)?,
        }
        let mut builder = X509StoreBuilder::new()?;
        for anchor in &self.anchors {
            builder.add_cert(anchor.x509.clone())?;
        }
        builder.set_param(&parameters)?;
        Ok(builder.build())
    }
}

/// Whether key identifiers let `issuer`, whose name fits, be the child's issuer, and its key is
/// one that is computed with.
fn could_have_issued(issuer: &Certificate, child: &Certificate) -> bool {
    issuer.sha256 != child.sha256
        && issuer.public_key.is_some()
        && match (&child.aki, &issuer.ski) {
            (Some(wanted), Some(has)) => wanted == has,
            _ => true,
        }
}

fn signed_by(child: &Certificate, issuer: &Certificate) -> bool {
    issuer
        .public_key
        .as_ref()
        .is_some_and(|key| child.x509.verify(key).unwrap_or(false))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::testing::{MID_2021, Pki, Spec};
    use ChainStatus::{Expired, Incomplete, NotYetValid, Trusted, Untrusted, WrongUsage};

    const Y2010: i64 = 1_262_304_000;
    const Y2018: i64 = 1_514_764_800;
    const Y2023: i64 = 1_672_531_200;
    const Y2040: i64 = 2_208_988_800;

    /// The verdict of our judge, and that of `openssl verify` in the same words.
    fn both(
        pki: &Pki,
        leaf: &str,
        trust: &[&str],
        pool: &[&str],
        at: i64,
    ) -> (ChainStatus, ChainStatus) {
        let anchors = Trust::new(trust.iter().map(|name| pki.load(name)));
        let mut known = Pool::new();
        known.extend(pool.iter().map(|name| pki.load(name)));
        let ours = ChainJudge::new(&anchors, &known).status(&pki.load(leaf), at);

        let time = at.to_string();
        let mut arguments: Vec<String> = [
            "verify",
            "-attime",
            &time,
            "-partial_chain",
            "-purpose",
            "smimesign",
        ]
        .into_iter()
        .chain([
            "-auth_level",
            "0",
            "-no-CApath",
            "-no-CAfile",
            "-no-CAstore",
        ])
        .map(str::to_owned)
        .collect();
        for name in trust {
            arguments.extend(["-trusted".to_owned(), format!("{name}.pem")]);
        }
        for name in pool {
            arguments.extend(["-untrusted".to_owned(), format!("{name}.pem")]);
        }
        arguments.push(format!("{leaf}.pem"));
        let output = pki.try_openssl(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let text = String::from_utf8_lossy(&output.stderr);
        let theirs = if output.status.success() {
            Trusted
        } else {
            let code = text
                .split("error ")
                .nth(1)
                .and_then(|rest| rest.split(' ').next())
                .unwrap();
            match code.parse::<i32>().unwrap() {
                2 | 20 | 21 => Incomplete,
                9 => NotYetValid,
                10 => Expired,
                26 | 32 => WrongUsage,
                _ => Untrusted,
            }
        };
        (ours, theirs)
    }

    #[test]
    fn openssl_verify_says_the_same() {
        let pki = Pki::new();
        pki.issue(&Spec::root("root"));
        pki.issue(&Spec::root("other"));
        pki.issue(&Spec::ca("sub", "root"));
        pki.issue(&Spec::ca("short", "root").dates("20160101000000Z", "20200601000000Z"));
        pki.issue(&Spec::ca("web", "root").extension("extendedKeyUsage", "serverAuth,clientAuth"));
        pki.issue(
            &Spec::ca("nolen", "root").extension("basicConstraints", "critical,CA:TRUE,pathlen:0"),
        );
        pki.issue(&Spec::ca("toodeep", "nolen"));
        pki.issue(&Spec::ca("nosign", "root").extension("keyUsage", "critical,cRLSign"));
        pki.issue(
            &Spec::ca("names", "root")
                .extension("nameConstraints", "critical,permitted;email:example.com"),
        );
        for (name, issuer) in [
            ("a", "sub"),
            ("b", "short"),
            ("c", "web"),
            ("d", "toodeep"),
            ("e", "nosign"),
            ("f", "names"),
        ] {
            pki.issue(&Spec::leaf(name, issuer));
        }
        pki.issue(&Spec::leaf("astray", "names").address("x@example.org"));
        pki.issue(&Spec::leaf("byleaf", "a"));
        let leaf = |name: &str| Spec::leaf(name, "sub");
        pki.issue(
            &leaf("bare")
                .extension("keyUsage", "")
                .extension("extendedKeyUsage", ""),
        );
        pki.issue(&leaf("client").extension("extendedKeyUsage", "clientAuth"));
        pki.issue(&leaf("agree").extension("keyUsage", "critical,keyAgreement"));
        pki.issue(&leaf("repudiate").extension("keyUsage", "critical,nonRepudiation"));
        pki.issue(&leaf("critical").extension("1.2.3.4", "critical,ASN1:UTF8String:x"));
        pki.issue(&leaf("sha1").digest("sha1"));
        pki.issue(
            &Spec::root("self")
                .dates("20200101000000Z", "20220101000000Z")
                .extension("basicConstraints", ""),
        );

        let now = MID_2021;
        let root: &[&str] = &["root"];
        for (leaf, trust, pool, at, expected) in [
            ("a", root, &["sub"][..], now, Trusted),
            ("a", root, &["sub", "root", "other"], now, Trusted),
            ("a", &["sub"], &[], now, Trusted),
            ("a", &["a"], &[], now, Trusted),
            ("a", &["a"], &[], Y2023, Expired),
            ("a", root, &[], now, Incomplete),
            ("a", &[], &["sub"], now, Incomplete),
            ("a", &[], &["sub", "root"], now, Untrusted),
            ("a", &["other"], &["sub", "root"], now, Untrusted),
            ("a", root, &["sub"], Y2023, Expired),
            ("a", root, &["sub"], Y2018, NotYetValid),
            ("a", root, &["sub"], Y2010, NotYetValid),
            ("a", root, &["sub"], Y2040, Expired),
            ("a", root, &["sub"], 1_577_836_800, Trusted),
            ("a", root, &["sub"], 1_577_836_799, NotYetValid),
            ("a", root, &["sub"], 1_640_995_201, Expired),
            ("b", root, &["short"], now, Expired),
            ("b", root, &["short"], 1_580_000_000, Trusted),
            ("c", root, &["web"], now, WrongUsage),
            ("d", root, &["nolen", "toodeep"], now, Untrusted),
            ("e", root, &["nosign"], now, Untrusted),
            ("f", root, &["names"], now, Trusted),
            ("astray", root, &["names"], now, Untrusted),
            ("byleaf", root, &["sub", "a"], now, Untrusted),
            ("bare", root, &["sub"], now, Trusted),
            ("client", root, &["sub"], now, WrongUsage),
            ("client", root, &["sub"], Y2023, WrongUsage),
            ("client", &["other"], &["sub"], now, Incomplete),
            ("agree", root, &["sub"], now, WrongUsage),
            ("repudiate", root, &["sub"], now, Trusted),
            ("critical", root, &["sub"], now, Untrusted),
            ("sha1", root, &["sub"], now, Trusted),
            ("self", &["self"], &[], now, Trusted),
            ("self", root, &[], now, Untrusted),
            ("self", &["self"], &[], Y2023, Expired),
        ] {
            let (ours, theirs) = both(&pki, leaf, trust, pool, at);
            assert_eq!(
                (ours, theirs),
                (expected, expected),
                "{leaf} {trust:?} {pool:?} {at}"
            );
        }

        // RFC 8550 §4.4.4 allows anyExtendedKeyUsage; OpenSSL's purpose does not know it.
        pki.issue(&leaf("any").extension("extendedKeyUsage", "anyExtendedKeyUsage"));
        assert_eq!(
            both(&pki, "any", root, &["sub"], now),
            (Trusted, WrongUsage)
        );
    }

    #[test]
    fn the_right_one_of_several_authorities_of_one_name_is_found() {
        let pki = Pki::new();
        let same = |spec: Spec| {
            spec.subject("/O=Test/CN=Authority")
                .extension("authorityKeyIdentifier", "none")
        };
        pki.issue(&Spec::root("root"));
        for name in ["old", "new", "newer"] {
            pki.issue(&same(Spec::ca(name, "root")).extension("subjectKeyIdentifier", "none"));
        }
        pki.issue(&Spec::leaf("leaf", "newer").extension("authorityKeyIdentifier", "none"));
        let (ours, _) = both(&pki, "leaf", &["root"], &["old", "new", "newer"], MID_2021);
        assert_eq!(ours, Trusted);
        // The same name, but not the issuer: what OpenSSL says of its signature counts.
        assert_eq!(
            both(&pki, "leaf", &["root"], &["old"], MID_2021),
            (Untrusted, Untrusted)
        );
    }

    #[test]
    fn verdicts_are_those_of_a_fresh_judge_at_every_time() {
        let pki = Pki::new();
        pki.issue(&Spec::root("root"));
        // One key, two certificates for it with a gap between them.
        pki.issue(
            &Spec::ca("first", "root")
                .subject("/CN=Sub")
                .dates("20200101000000Z", "20200601000000Z"),
        );
        pki.issue(
            &Spec::ca("second", "root")
                .subject("/CN=Sub")
                .key_of("first")
                .dates("20210101000000Z", "20210601000000Z"),
        );
        let leaf = pki.issue(&Spec::leaf("leaf", "first"));
        let trust = Trust::new([pki.load("root")]);
        let mut pool = Pool::new();
        pool.extend([pki.load("first"), pki.load("second")]);
        let judge = ChainJudge::new(&trust, &pool);
        let mut trusted = 0;
        for day in 0..900 {
            let at = 1_572_566_400 + 3_600 + day * 86_400;
            let status = judge.status(&leaf, at);
            assert_eq!(
                status,
                ChainJudge::new(&trust, &pool).status(&leaf, at),
                "{at}"
            );
            trusted += i32::from(status == Trusted);
        }
        assert_eq!(trusted, 152 + 151);
        assert_eq!(judge.status(&leaf, i64::MIN), NotYetValid);
        assert_eq!(judge.status(&leaf, i64::MAX), Expired);
    }

    #[test]
    fn paths_and_missing_issuers_are_named() {
        let pki = Pki::new();
        let root = pki.issue(&Spec::root("root"));
        let sub = pki.issue(&Spec::ca("sub", "root"));
        let leaf = pki.issue(&Spec::leaf("leaf", "sub"));
        let trust = Trust::new([Arc::clone(&root)]);
        let mut pool = Pool::new();
        let names = |path: Vec<Arc<Certificate>>| {
            path.iter().map(|c| c.subject.clone()).collect::<Vec<_>>()
        };
        {
            let judge = ChainJudge::new(&trust, &pool);
            assert_eq!(
                judge.missing_issuer(&leaf).as_deref(),
                Some("CN=sub,O=Test,C=DE")
            );
            assert_eq!(
                names(judge.path(&leaf)),
                std::slice::from_ref(&leaf.subject)
            );
        }
        pool.add(Arc::clone(&sub));
        let judge = ChainJudge::new(&trust, &pool);
        assert_eq!(judge.missing_issuer(&leaf), None);
        assert_eq!(
            names(judge.path(&leaf)),
            [&leaf, &sub, &root].map(|c| c.subject.clone())
        );
        assert_eq!(judge.status_for(&leaf, MID_2021, Usage::Encrypt), Trusted);
        let nobody = Trust::empty();
        let judge = ChainJudge::new(&nobody, &pool);
        assert_eq!(
            judge.missing_issuer(&leaf).as_deref(),
            Some("CN=root,O=Test,C=DE")
        );
        assert_eq!(judge.status(&leaf, MID_2021), Incomplete);
    }

    /// One certificate in two encodings, of which OpenSSL writes one: the last bit of its signature
    /// is called unused, and set.
    #[test]
    fn an_authority_in_another_encoding_stays_restricted() {
        let pki = Pki::new();
        pki.issue(&Spec::root("root"));
        let restricted = Spec::ca("web", "root").extension("extendedKeyUsage", "serverAuth");
        let (web, der) = loop {
            let web = pki.issue(&restricted);
            let mut der = web.der.to_vec();
            let end = der.len();
            // A P-256 signature: BIT STRING, unused bits, SEQUENCE.
            let unused = (end - 76..end - 66)
                .find(|at| {
                    der[at - 2] == 3 && usize::from(der[at - 1]) == end - at && der[at + 1] == 0x30
                })
                .expect("a signature");
            if der[end - 1] & 1 == 0 {
                der[unused] = 1;
                der[end - 1] |= 1;
                break (web, der);
            }
        };
        let other = Arc::new(Certificate::decode(&der).expect("OpenSSL reads it"));
        assert_ne!(other.sha256, web.sha256);
        let leaf = pki.issue(&Spec::leaf("leaf", "web"));
        let trust = Trust::new([pki.load("root")]);
        for authority in [&web, &other] {
            let mut pool = Pool::new();
            pool.add(Arc::clone(authority));
            let judge = ChainJudge::new(&trust, &pool);
            let status = judge.status(&leaf, MID_2021);
            assert!(
                matches!(status, WrongUsage | Untrusted),
                "{}",
                status.as_str()
            );
            assert_eq!(judge.path(authority)[0].sha256, authority.sha256);
        }
    }

    #[test]
    fn a_maze_of_cross_certificates_is_left_in_time() {
        let pki = Pki::new();
        let layers = 4;
        let width = 5;
        pki.issue(&Spec::root("r"));
        let mut pool = Pool::new();
        for layer in 0..layers {
            for i in 0..width {
                let issuer = if layer == 0 {
                    "r".to_owned()
                } else {
                    format!("c{}x{i}", layer - 1)
                };
                let spec = Spec::ca(&format!("c{layer}x{i}"), &issuer)
                    .subject(&format!("/CN=layer {layer}"));
                let spec = if i > 0 {
                    spec.key_of(&format!("c{layer}x0"))
                } else {
                    spec
                };
                pool.add(pki.issue(&spec));
            }
        }
        let leaf = pki.issue(&Spec::leaf("leaf", "c3x2"));
        let nobody = Trust::empty();
        let graph = Graph::around(&leaf, &nobody, &pool);
        assert!(graph.intermediates.len() <= MAX_CANDIDATES);
        assert!(
            width < graph.checks && graph.checks <= 100,
            "{}",
            graph.checks
        );
        assert_eq!(
            ChainJudge::new(&nobody, &pool).status(&leaf, MID_2021),
            Incomplete
        );
        let trust = Trust::new([pki.load("r")]);
        assert_eq!(
            ChainJudge::new(&trust, &pool).status(&leaf, MID_2021),
            Trusted
        );
    }
}
