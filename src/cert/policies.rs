//! Certificate policies along a path (RFC 5280 §6.1) with the inputs of §6.1.1 as they are by
//! default: any policy will do. Then all that can fail is a path that demands an explicit policy
//! and has none left. OpenSSL takes a demand for any policy only through a call that its bindings do
//! not have, so this part of path validation is here.
//!
//! As only that matters, no tree is kept: of each level the policies that are still valid, with what
//! the next level may call them. Nothing grows beyond the policies that certificates name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Certificate;
use super::crl::certificate_extension;
use super::der::Reader;

/// Policies and mappings of one certificate; no honest one has as many.
const MOST: usize = 1_000;

const POLICIES: &[u8] = &[0x55, 0x1d, 32];
const MAPPINGS: &[u8] = &[0x55, 0x1d, 33];
const CONSTRAINTS: &[u8] = &[0x55, 0x1d, 36];
const INHIBIT_ANY: &[u8] = &[0x55, 0x1d, 54];
const ANY: &[u8] = &[0x55, 0x1d, 32, 0];

/// An OBJECT IDENTIFIER's value.
type Oid<'a> = &'a [u8];

/// What certificates of a path say about policies.
struct Said<'a> {
    policies: Option<BTreeSet<Oid<'a>>>,
    mappings: Vec<(Oid<'a>, Oid<'a>)>,
    require_explicit: Option<usize>,
    inhibit_mapping: Option<usize>,
    inhibit_any: Option<usize>,
}

/// Whether policies let `path` hold, from the certificate to its anchor.
pub(super) fn hold(path: &[Arc<Certificate>]) -> bool {
    check(path).is_some()
}

/// `None` where they do not, or where an extension cannot be read.
fn check(path: &[Arc<Certificate>]) -> Option<()> {
    let count = path.len().saturating_sub(1);
    let (mut explicit, mut mapping, mut any) = (count + 1, count + 1, count + 1);
    let mut valid: BTreeMap<Oid<'_>, BTreeSet<Oid<'_>>> =
        BTreeMap::from([(ANY, BTreeSet::from([ANY]))]);
    // From below the anchor to the certificate.
    for (left, certificate) in path.iter().take(count).enumerate().rev() {
        let said = Said::by(certificate)?;
        let is_last = left == 0;
        let self_issued = certificate.is_self_issued();
        valid = match &said.policies {
            Some(policies) => next(&valid, policies, any > 0 || (!is_last && self_issued)),
            None => BTreeMap::new(),
        };
        if explicit == 0 && valid.is_empty() {
            return None;
        }
        if is_last {
            explicit = explicit.saturating_sub(1);
            if said.require_explicit == Some(0) {
                explicit = 0;
            }
            break;
        }
        map(&mut valid, &said.mappings, mapping > 0)?;
        if !self_issued {
            explicit = explicit.saturating_sub(1);
            mapping = mapping.saturating_sub(1);
            any = any.saturating_sub(1);
        }
        explicit = said.require_explicit.map_or(explicit, |n| n.min(explicit));
        mapping = said.inhibit_mapping.map_or(mapping, |n| n.min(mapping));
        any = said.inhibit_any.map_or(any, |n| n.min(any));
    }
    (explicit > 0 || !valid.is_empty()).then_some(())
}

/// §6.1.3 d.
fn next<'a>(
    valid: &BTreeMap<Oid<'a>, BTreeSet<Oid<'a>>>,
    policies: &BTreeSet<Oid<'a>>,
    any_counts: bool,
) -> BTreeMap<Oid<'a>, BTreeSet<Oid<'a>>> {
    let expected: BTreeSet<Oid<'a>> = valid.values().flatten().copied().collect();
    let mut next = BTreeMap::new();
    for policy in policies.iter().filter(|policy| **policy != ANY) {
        if expected.contains(policy) || valid.contains_key(ANY) {
            next.insert(*policy, BTreeSet::from([*policy]));
        }
    }
    if any_counts && policies.contains(ANY) {
        for policy in expected {
            next.entry(policy)
                .or_insert_with(|| BTreeSet::from([policy]));
        }
    }
    next
}

/// §6.1.4 a and b.
fn map<'a>(
    valid: &mut BTreeMap<Oid<'a>, BTreeSet<Oid<'a>>>,
    mappings: &[(Oid<'a>, Oid<'a>)],
    allowed: bool,
) -> Option<()> {
    let mut mapped: BTreeMap<Oid<'a>, BTreeSet<Oid<'a>>> = BTreeMap::new();
    for (from, to) in mappings {
        if *from == ANY || *to == ANY {
            return None;
        }
        mapped.entry(from).or_default().insert(to);
    }
    for (from, to) in mapped {
        if !allowed {
            valid.remove(from);
        } else if valid.contains_key(from) || valid.contains_key(ANY) {
            valid.insert(from, to);
        }
    }
    Some(())
}

impl<'a> Said<'a> {
    fn by(certificate: &'a Certificate) -> Option<Self> {
        let value = |oid| certificate_extension(&certificate.der, oid);
        let mut said = Self {
            policies: None,
            mappings: Vec::new(),
            require_explicit: None,
            inhibit_mapping: None,
            inhibit_any: None,
        };
        if let Some(list) = value(POLICIES) {
            let mut list = Reader::new(Reader::new(list).expect(0x30)?.body);
            let mut policies = BTreeSet::new();
            while !list.is_empty() {
                policies.insert(Reader::new(list.expect(0x30)?.body).expect(6)?.body);
                (policies.len() <= MOST).then_some(())?;
            }
            said.policies = Some(policies);
        }
        if let Some(list) = value(MAPPINGS) {
            let mut list = Reader::new(Reader::new(list).expect(0x30)?.body);
            while !list.is_empty() {
                let mut pair = Reader::new(list.expect(0x30)?.body);
                said.mappings
                    .push((pair.expect(6)?.body, pair.expect(6)?.body));
                (said.mappings.len() <= MOST).then_some(())?;
            }
        }
        if let Some(list) = value(CONSTRAINTS) {
            let mut list = Reader::new(Reader::new(list).expect(0x30)?.body);
            said.require_explicit = list.optional(0x80).map(|field| skip(field.body));
            said.inhibit_mapping = list.optional(0x81).map(|field| skip(field.body));
            list.is_empty().then_some(())?;
        }
        if let Some(number) = value(INHIBIT_ANY) {
            said.inhibit_any = Some(skip(Reader::new(number).expect(2)?.body));
        }
        Some(said)
    }
}

/// `SkipCerts`: more than a path is long is all the same.
fn skip(integer: &[u8]) -> usize {
    match integer {
        [small] if *small < 0x80 => usize::from(*small),
        _ => usize::from(u8::MAX),
    }
}
