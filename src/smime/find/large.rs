//! The CMS object of a body that is too large to hold.

use std::io;
use std::sync::Arc;

use super::{Beside, OTHERS};
use crate::bulk::Bulk;
use crate::cms;
use crate::message::headers::Encoding;
use crate::message::recoded::{Decoded, Reading};
use crate::message::transfer::{self, Way};

/// A CMS object where it was found.
#[derive(Debug)]
pub struct LargeObject {
    /// Transfer encoding removed; what follows the object's end is still there.
    pub bytes: Arc<dyn Bulk>,
    /// As in [`Object`](super::Object).
    pub beside: Beside,
}

/// As [`object`](super::object) for a `body` too large to hold, of which `head` is the beginning.
/// `None` where no way to read it shows a binary object.
pub fn large_object(
    body: &Arc<dyn Bulk>,
    head: &[u8],
    encoding: Encoding,
) -> io::Result<Option<LargeObject>> {
    let others = OTHERS.into_iter().filter(|other| *other != encoding);
    let ways = std::iter::once(encoding)
        .chain(others)
        .map(Way::As)
        .chain([Way::AmongOthers]);
    for way in ways.filter(|way| shows_object(*way, head)) {
        if matches!(way, Way::As(Encoding::Identity | Encoding::Binary)) {
            return Ok(Some(LargeObject {
                bytes: Arc::clone(body),
                beside: Beside::Nothing,
            }));
        }
        let Ok(reading) = Decoded::of(Arc::clone(body), way)? else {
            continue;
        };
        return Ok(Some(LargeObject {
            beside: beside(way, &reading),
            bytes: reading.bytes,
        }));
    }
    Ok(None)
}

fn shows_object(way: Way, head: &[u8]) -> bool {
    let mut decoded = Vec::new();
    let mut decoder = transfer::Decoder::new(way);
    decoder.push(head, &mut decoded);
    let is_binary = decoded.first() == Some(&cms::ber::tag::SEQUENCE);
    is_binary && cms::sniff(&decoded).and_then(cms::Oid::known).is_some()
}

fn beside(way: Way, reading: &Reading) -> Beside {
    match way {
        Way::AmongOthers if reading.ascii => Beside::Shown,
        Way::AmongOthers => Beside::Words,
        Way::As(_) if reading.trailing_text => Beside::Words,
        Way::As(_) => Beside::Nothing,
    }
}
