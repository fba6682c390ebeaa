//! Certificate revocation lists (RFC 5280 §5): read once into a compact index, so that a list of
//! millions costs one walk and then a binary search a question.
//!
//! What a list *means* for a certificate at a time is for [`super::revocation`].

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::der::{Reader, Tlv, time};
use super::{Certificate, KeyUsage, name, trust};
use crate::cms::AlgorithmIdentifier;
use crate::crypto::digest::Digest;
use crate::crypto::signature::{self, Signed};
use crate::error::{Error, Result};

/// Lists beyond this many bytes are not read.
const MAX_BYTES: usize = 256 << 20;
/// Issuers that one indirect list may speak for.
const MAX_ISSUERS: usize = 10_000;
/// Names that one distribution point may hold.
const MAX_NAMES: usize = 100;

const DELTA_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
const AUTHORITY_KEY: &[u8] = &[0x55, 0x1d, 35];
const EXPIRED_CERTS: &[u8] = &[0x55, 0x1d, 60];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
const DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];

/// Reasons for revocation as a set: bit *n* is that of `ReasonFlags` (RFC 5280 §4.2.1.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reasons(u16);

impl Reasons {
    /// keyCompromise to aACompromise.
    pub(super) const ALL: Self = Self(0x1fe);
    pub(super) const NONE: Self = Self(0);

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn from_bits(body: &[u8]) -> Self {
        let bit = |byte: Option<&u8>| byte.map_or(0, |byte| u16::from(byte.reverse_bits()));
        Self((bit(body.get(1)) | bit(body.get(2)) << 8) & Self::ALL.0)
    }
}

/// A revocation list.
pub struct Crl {
    /// Exactly the list's TLV.
    pub der: Arc<[u8]>,
    /// SHA-256 of `der`.
    pub sha256: [u8; 32],
    /// RFC 4514.
    pub issuer: String,
    /// When it was issued, Unix seconds.
    pub this_update: i64,
    /// When the next one was due.
    pub next_update: Option<i64>,
    /// [`name::canonical`] of the issuer.
    pub(super) issuer_key: String,
    /// The issuer's key identifier, where the list names it.
    pub(super) authority_key: Option<Vec<u8>>,
    /// It only tells what changed since another list.
    pub(super) is_delta: bool,
    /// It keeps certificates that expired since then (expiredCertsOnCRL).
    pub(super) keeps_expired_since: Option<i64>,
    pub(super) scope: Scope,
    /// It holds a critical extension that is not known: nothing in it counts (RFC 5280 §5.2).
    pub(super) unsupported: bool,
    tbs: Range<usize>,
    algorithm: Range<usize>,
    signature: Range<usize>,
    /// Canonical names of the issuers that entries belong to; the first is the list's own.
    issuers: Vec<String>,
    /// Sorted by hash of the serial.
    index: Vec<Slot>,
}

/// Where an entry lies.
struct Slot {
    serial: u32,
    issuer: u32,
    offset: u32,
}

/// What a list is about (issuingDistributionPoint, RFC 5280 §5.2.5).
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// Names of the distribution point; `None` where none is named.
    pub(super) names: Option<Vec<String>>,
    pub(super) only_users: bool,
    pub(super) only_authorities: bool,
    pub(super) only_attributes: bool,
    pub(super) reasons: Reasons,
    /// It may speak for certificates of other issuers.
    pub(super) indirect: bool,
}

/// Why an entry stands in a list (RFC 5280 §5.3.1), as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// A key was, or may have been, in other hands: no signature of any time can be relied on.
    Compromise,
    /// It may be taken back.
    Hold,
    /// In a delta list: it was taken back.
    Removed,
    /// Anything else: what was signed before is not touched.
    Other,
}

/// One entry of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// From when on the certificate is revoked: the earlier of revocationDate and invalidityDate.
    pub(super) from: i64,
    pub(super) why: Why,
}

impl Crl {
    /// Reads one list in DER; bytes after it are left out.
    ///
    /// # Errors
    /// What is wrong with it, as a phrase.
    pub fn decode(bytes: &[u8]) -> std::result::Result<Self, &'static str> {
        let outer = Reader::new(bytes).expect(0x30).ok_or("no DER sequence")?;
        if outer.raw.len() > MAX_BYTES {
            return Err("over 256 MiB");
        }
        Self::read(outer).ok_or("malformed structure")
    }

    fn read(outer: Tlv<'_>) -> Option<Self> {
        let within = |part: &[u8]| -> Range<usize> {
            // Both are slices of one allocation.
            let start = part.as_ptr() as usize - outer.raw.as_ptr() as usize;
            start..start + part.len()
        };
        let mut fields = Reader::new(outer.body);
        let tbs = fields.expect(0x30)?;
        let algorithm = fields.expect(0x30)?.raw;
        // No signature has bits to spare.
        let (0, signature) = fields.expect(3)?.body.split_first().map(|(n, s)| (*n, s))? else {
            return None;
        };
        fields.is_empty().then_some(())?;
        let mut body = Reader::new(tbs.body);
        let _version = body.optional(2);
        // The algorithm is told twice, and only once under the signature (§5.1.1.2).
        (body.expect(0x30)?.raw == algorithm).then_some(())?;
        let issuer = body.expect(0x30)?.raw;
        let issuer_key = name::canonical(issuer)?;
        let this_update = time(body.next()?)?;
        let next_update = match body.peek() {
            Some(0x17 | 0x18) => Some(time(body.next()?)?),
            _ => None,
        };
        let entries = body.optional(0x30).map(|list| list.body);
        let mut crl = Self {
            der: Arc::from(outer.raw),
            sha256: openssl::sha::sha256(outer.raw),
            issuer: name::rfc4514(issuer)?,
            this_update,
            next_update,
            authority_key: None,
            is_delta: false,
            keeps_expired_since: None,
            scope: Scope {
                names: None,
                only_users: false,
                only_authorities: false,
                only_attributes: false,
                reasons: Reasons::ALL,
                indirect: false,
            },
            unsupported: false,
            tbs: within(tbs.raw),
            algorithm: within(algorithm),
            signature: within(signature),
            issuers: vec![issuer_key.clone()],
            issuer_key,
            index: Vec::new(),
        };
        if let Some(extensions) = body.optional(0xa0) {
            crl.read_extensions(extensions.body, issuer)?;
        }
        body.is_empty().then_some(())?;
        if let Some(entries) = entries {
            crl.index_entries(entries, within(entries).start)?;
        }
        Some(crl)
    }

    fn read_extensions(&mut self, list: &[u8], issuer: &[u8]) -> Option<()> {
        for (oid, critical, value) in extensions(Reader::new(list).expect(0x30)?.body)? {
            match oid {
                DELTA_INDICATOR => self.is_delta = true,
                AUTHORITY_KEY => {
                    let mut fields = Reader::new(Reader::new(value).expect(0x30)?.body);
                    self.authority_key = fields.optional(0x80).map(|id| id.body.to_vec());
                }
                EXPIRED_CERTS => self.keeps_expired_since = time(Reader::new(value).next()?),
                ISSUING_DISTRIBUTION_POINT => self.scope = Scope::read(value, issuer)?,
                _ if critical => self.unsupported = true,
                _ => {}
            }
        }
        Some(())
    }

    /// One walk over all entries; nothing of them is kept but where they are.
    fn index_entries(&mut self, entries: &[u8], start: usize) -> Option<()> {
        let mut issuer = 0;
        let mut offset = start;
        let mut list = Reader::new(entries);
        // About 40 bytes an entry; a list of short ones grows a little more.
        self.index.reserve_exact(entries.len() / 40);
        while !list.is_empty() {
            let entry = list.expect(0x30)?;
            let mut fields = Reader::new(entry.body);
            let serial = fields.expect(2)?.body;
            time(fields.next()?)?;
            if let Some(more) = fields.optional(0x30) {
                for (oid, critical, value) in extensions(more.body)? {
                    match oid {
                        CERTIFICATE_ISSUER => {
                            let named = directory_name(Reader::new(value).expect(0x30)?.body)?;
                            let known = self.issuers.iter().position(|known| *known == named);
                            issuer = match known {
                                Some(index) => index,
                                None if self.issuers.len() < MAX_ISSUERS => {
                                    self.issuers.push(named);
                                    self.issuers.len() - 1
                                }
                                None => return None,
                            };
                        }
                        REASON_CODE | INVALIDITY_DATE => {}
                        _ if critical => self.unsupported = true,
                        _ => {}
                    }
                }
            }
            self.index.push(Slot {
                serial: hash(number(serial)),
                issuer: u32::try_from(issuer).ok()?,
                offset: u32::try_from(offset).ok()?,
            });
            offset += entry.raw.len();
        }
        self.index
            .sort_unstable_by_key(|slot| (slot.serial, slot.offset));
        self.index.shrink_to_fit();
        Some(())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// What the list says of a certificate by name: every entry for it.
    pub(super) fn entries(&self, certificate: &Certificate) -> Vec<Entry> {
        let serial = number(&certificate.serial);
        let wanted = hash(serial);
        let first = self.index.partition_point(|slot| slot.serial < wanted);
        self.index
            .iter()
            .skip(first)
            .take_while(|slot| slot.serial == wanted)
            .filter(|slot| self.issuers.get(slot.issuer as usize) == Some(&certificate.issuer_key))
            .filter_map(|slot| self.entry(slot.offset as usize, serial))
            .collect()
    }

    fn entry(&self, offset: usize, wanted: &[u8]) -> Option<Entry> {
        let mut fields = Reader::new(Reader::new(self.der.get(offset..)?).expect(0x30)?.body);
        (number(fields.expect(2)?.body) == wanted).then_some(())?;
        let mut entry = Entry {
            from: time(fields.next()?)?,
            why: Why::Other,
        };
        let more = fields.optional(0x30).map_or(&[][..], |more| more.body);
        for (oid, _, value) in extensions(more)? {
            match oid {
                REASON_CODE => {
                    entry.why = match Reader::new(value).expect(10)?.body {
                        [1 | 2 | 10] => Why::Compromise,
                        [6] => Why::Hold,
                        [8] => Why::Removed,
                        _ => Why::Other,
                    }
                }
                INVALIDITY_DATE => {
                    let date = Reader::new(value).next().and_then(time);
                    entry.from = date.map_or(entry.from, |date| date.min(entry.from));
                }
                _ => {}
            }
        }
        Some(entry)
    }

    /// Whether `certificate` may sign lists, and has the issuer's name and key identifier.
    pub(super) fn could_be_signed_by(&self, certificate: &Certificate) -> bool {
        let may = certificate
            .key_usage
            .is_none_or(|usage| usage.any(KeyUsage::CRL_SIGN));
        let fits = match (&self.authority_key, &certificate.ski) {
            (Some(wanted), Some(has)) => wanted == has,
            _ => true,
        };
        may && fits && self.issuer_key == certificate.subject_key
    }

    /// Whether the key of `certificate` signed this list. One signature check.
    pub(super) fn signed_by(&self, certificate: &Certificate) -> bool {
        self.verifies(certificate).unwrap_or(false)
    }

    fn verifies(&self, certificate: &Certificate) -> Option<bool> {
        let key = certificate.public_key.as_ref()?;
        let algorithm = AlgorithmIdentifier::parse(self.der.get(self.algorithm.clone())?).ok()?;
        // Algorithms that name none take the bytes themselves.
        let digest = signature::named_digest(&algorithm).unwrap_or(Digest::Sha512);
        let tbs = [self.der.get(self.tbs.clone())?];
        let signature = self.der.get(self.signature.clone())?;
        signature::verify(key, &algorithm, digest, Signed::Bytes(&tbs), signature).ok()
    }
}

impl std::fmt::Debug for Crl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crl")
            .field("issuer", &self.issuer)
            .field("this_update", &self.this_update)
            .field("entries", &self.index.len())
            .finish_non_exhaustive()
    }
}

impl Scope {
    fn read(value: &[u8], issuer: &[u8]) -> Option<Self> {
        let mut scope = Self {
            names: None,
            only_users: false,
            only_authorities: false,
            only_attributes: false,
            reasons: Reasons::ALL,
            indirect: false,
        };
        let mut fields = Reader::new(Reader::new(value).expect(0x30)?.body);
        while !fields.is_empty() {
            let field = fields.next()?;
            let yes = field.body.first().is_some_and(|byte| *byte != 0);
            match field.tag {
                0xa0 => scope.names = Some(point_names(field.body, issuer)?),
                0x81 => scope.only_users = yes,
                0x82 => scope.only_authorities = yes,
                0x83 => scope.reasons = Reasons::from_bits(field.body),
                0x84 => scope.indirect = yes,
                0x85 => scope.only_attributes = yes,
                _ => return None,
            }
        }
        Some(scope)
    }
}

/// Where a certificate says that lists for it are (cRLDistributionPoints, RFC 5280 §4.2.1.13).
#[derive(Debug)]
pub(super) struct Point {
    /// `None` where only an issuer is named.
    pub(super) names: Option<Vec<String>>,
    pub(super) reasons: Reasons,
    /// Canonical names of the lists' issuers, where they are not the certificate's.
    pub(super) issuers: Vec<String>,
}

/// The distribution points of a certificate; empty where it names none, or none that can be read.
pub(super) fn points(certificate: &Certificate) -> Vec<Point> {
    let read = || {
        let value = certificate_extension(&certificate.der, DISTRIBUTION_POINTS)?;
        let mut list = Reader::new(Reader::new(value).expect(0x30)?.body);
        let mut points = Vec::new();
        while !list.is_empty() && points.len() < MAX_NAMES {
            points.push(Point::read(list.expect(0x30)?.body, certificate)?);
        }
        Some(points)
    };
    read().unwrap_or_default()
}

impl Point {
    fn read(body: &[u8], certificate: &Certificate) -> Option<Self> {
        let mut fields = Reader::new(body);
        let name = fields.optional(0xa0);
        let reasons = fields.optional(0x81);
        let mut issuers = Vec::new();
        let mut relative_to = certificate.issuer_der.as_slice();
        if let Some(list) = fields.optional(0xa2) {
            let mut list = Reader::new(list.body);
            while !list.is_empty() && issuers.len() < MAX_NAMES {
                let general = list.next()?;
                if general.tag == 0xa4 {
                    relative_to = general.body;
                    issuers.push(name::canonical(general.body)?);
                }
            }
        }
        Some(Self {
            names: match name {
                Some(name) => Some(point_names(name.body, relative_to)?),
                None => None,
            },
            reasons: reasons.map_or(Reasons::ALL, |bits| Reasons::from_bits(bits.body)),
            issuers,
        })
    }
}

/// A `DistributionPointName` as strings that are equal where the names are.
fn point_names(body: &[u8], issuer: &[u8]) -> Option<Vec<String>> {
    let choice = Reader::new(body).next()?;
    let mut names = Vec::new();
    if choice.tag == 0xa1 {
        // nameRelativeToCRLIssuer: one more RDN below the issuer's name.
        let rdns = Reader::new(issuer).expect(0x30)?.body;
        let last = crate::cms::der::element(0x31, &[choice.body]);
        let whole = crate::cms::der::element(0x30, &[rdns, &last]);
        names.push(directory(&whole)?);
        return Some(names);
    }
    let mut list = Reader::new(choice.body);
    while !list.is_empty() && names.len() < MAX_NAMES {
        let general = list.next()?;
        names.push(match general.tag {
            0xa4 => directory(general.body)?,
            _ => crate::text::hex(general.raw),
        });
    }
    Some(names)
}

/// How [`point_names`] spells a directoryName.
fn directory(name: &[u8]) -> Option<String> {
    name::canonical(name).map(|name| as_point(&name))
}

/// How the names of distribution points spell a canonical name.
pub(super) fn as_point(canonical: &str) -> String {
    format!("dir:{canonical}")
}

/// The canonical name that a `GeneralNames`' body holds.
fn directory_name(body: &[u8]) -> Option<String> {
    let mut list = Reader::new(body);
    while !list.is_empty() {
        let general = list.next()?;
        if general.tag == 0xa4 {
            return name::canonical(general.body);
        }
    }
    None
}

/// OID, criticality and value.
type Extension<'a> = (&'a [u8], bool, &'a [u8]);

/// Every extension of a list of them.
fn extensions(list: &[u8]) -> Option<Vec<Extension<'_>>> {
    let mut list = Reader::new(list);
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut fields = Reader::new(list.expect(0x30)?.body);
        let oid = fields.expect(6)?.body;
        let critical = fields
            .optional(1)
            .is_some_and(|value| value.body.first().is_some_and(|byte| *byte != 0));
        found.push((oid, critical, fields.expect(4)?.body));
    }
    Some(found)
}

/// The value of a certificate's extension.
pub(super) fn certificate_extension<'a>(der: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut tbs = Reader::new(
        Reader::new(Reader::new(der).expect(0x30)?.body)
            .expect(0x30)?
            .body,
    );
    while !tbs.is_empty() {
        let field = tbs.next()?;
        if field.tag == 0xa3 {
            let list = Reader::new(field.body).expect(0x30)?.body;
            return extensions(list)?
                .into_iter()
                .find(|(oid, ..)| *oid == wanted)
                .map(|(_, _, value)| value);
        }
    }
    None
}

/// A serial number's bytes without those that say nothing. Its sign stays: −1 and 255 differ.
fn number(integer: &[u8]) -> &[u8] {
    let mut rest = integer;
    while let [0, next, ..] = rest
        && *next < 0x80
    {
        rest = rest.get(1..).unwrap_or_default();
    }
    rest
}

/// FNV-1a. Entries are compared whole; an issuer who makes its serials collide slows down the
/// questions about its own certificates, to one walk over its list.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// Every list in `paths`: files in PEM (any number in one) or DER, and folders of such files at any
/// depth, in the order of their names. Each list once.
///
/// # Errors
/// [`Error::Usage`] where a path holds no readable list: what is named must mean something.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Arc<Crl>>> {
    let mut found: Vec<Arc<Crl>> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for path in paths {
        let mut trouble = "no revocation list found";
        let mut any = false;
        for file in trust::files_below(path)? {
            let length = std::fs::metadata(&file)
                .map_err(Error::io("read", &file))?
                .len();
            // PEM is a third longer.
            if length > (MAX_BYTES as u64) * 3 / 2 {
                trouble = "over 256 MiB";
                continue;
            }
            for crl in lists_in(&crate::fsio::read(&file)?) {
                match crl {
                    Ok(crl) => {
                        any = true;
                        if known.insert(crl.sha256) {
                            found.push(Arc::new(crl));
                        }
                    }
                    Err(why) => trouble = why,
                }
            }
        }
        if !any {
            return Err(Error::Usage(format!("{}: {trouble}", path.display())));
        }
    }
    Ok(found)
}

/// What a file's bytes hold: PEM blocks, else one DER list. Files that are neither give nothing.
fn lists_in(bytes: &[u8]) -> Vec<std::result::Result<Crl, &'static str>> {
    let blocks = trust::pem_blocks(bytes, &[b"X509 CRL", b"CRL"]);
    if !blocks.is_empty() {
        return blocks.iter().map(|der| Crl::decode(der)).collect();
    }
    match Crl::decode(bytes) {
        Err("no DER sequence") => Vec::new(),
        // A certificate in a folder of lists is no broken list.
        Err(_) if !trust::certificates_in(bytes).is_empty() => Vec::new(),
        other => vec![other],
    }
}
