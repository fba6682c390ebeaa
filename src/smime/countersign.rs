//! Countersignatures (RFC 5652 §11.4): SignerInfos over another one's signature, in its unsigned
//! attributes. They say that somebody saw the signature, and nothing about the message.

use crate::cms::SignerInfo;
use crate::cms::oid;
use crate::limits::{Budget, LimitExceeded};

use super::check::{Checking, Known, SignerCheck};
use super::readings::{Covered, Readings};

/// Countersignatures of countersignatures are followed this far.
const DEEPEST: usize = 4;

/// How many are checked in one SignedData.
pub const MOST: usize = 32;

/// The countersignatures of `signer` and of those in turn, each with what it amounts to. `left`
/// says how many more may be checked.
pub fn signatures<'a>(
    signer: &SignerInfo<'a>,
    known: Known<'_>,
    left: &mut usize,
    budget: &mut Budget,
) -> Result<Vec<(SignerInfo<'a>, SignerCheck)>, LimitExceeded> {
    let mut found = Vec::new();
    let mut open = vec![(signer.clone(), 0)];
    while let Some((signer, depth)) = open.pop() {
        let Some(attributes) = signer.unsigned_attributes.filter(|_| depth < DEEPEST) else {
            continue;
        };
        for value in attributes.values(oid::COUNTERSIGNATURE) {
            if *left == 0 {
                return Ok(found);
            }
            let Ok(counter) = SignerInfo::parse(value) else {
                continue;
            };
            *left -= 1;
            let candidates = known.named(&counter.sid);
            let mut check = SignerCheck::of(&counter, &candidates);
            check.note("countersignature");
            let mut readings =
                Readings::new(Covered::Opaque(&signer.signature), budget.hashed_left());
            let mut checking = Checking {
                signer: &counter,
                candidates,
                known,
                content_type: None,
                readings: &mut readings,
            };
            if let Some(claims) = checking.run(&mut check) {
                super::claims::check(&mut check, &claims, &counter);
            }
            budget.hashed_bytes(readings.spent())?;
            open.push((counter.clone(), depth + 1));
            found.push((counter, check));
        }
    }
    Ok(found)
}
