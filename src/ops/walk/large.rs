//! Layers too large to hold: what tells their structure is walked like any other message, and what was
//! left out of it is read where its bytes count.

use std::io;
use std::sync::Arc;

use crate::bulk::{self, Bulk, Chain, Stretch};
use crate::cms;
use crate::cms::outline::{self, Outline, Trouble};
use crate::limits::LimitExceeded;
use crate::message::condensed::{Condensed, Root};
use crate::message::headers::{Headers, LineEnding};
use crate::message::parts::{Part, Tree};
use crate::message::recoded::{Base64Lines, Lines, Relined};
use crate::message::rewrite::Piece;
use crate::smime::find::{self, Beside};

use super::entity::{self, Entity, Mail, Place, Replacement};
use super::{Walker, amid, anew};

/// Something of a large message that only smaller ones are looked into for.
pub(super) const TOO_LARGE: LimitExceeded = LimitExceeded("limit-message");

/// As much of a large thing as tells what it is.
const HEAD: usize = 64 << 10;

/// What is looked into.
#[derive(Debug, Clone, Copy)]
pub(super) enum View<'a> {
    /// All of its bytes.
    Whole(&'a [u8]),
    /// Those that tell its structure.
    Condensed(&'a Condensed),
}

impl<'a> View<'a> {
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Condensed(condensed) => &condensed.bytes,
        }
    }

    /// How many bytes there are in all.
    pub(super) fn len(self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Condensed(condensed) => condensed.whole.len(),
        }
    }
}

/// An entity too large to hold.
#[derive(Debug, Clone)]
pub(super) struct LargeEntity {
    /// Its beginning, which holds all of its header.
    pub(super) head: Vec<u8>,
    pub(super) whole: Arc<dyn Bulk>,
}

impl LargeEntity {
    /// An entity as it is.
    pub(super) fn as_it_is(condensed: &Condensed) -> Self {
        Self {
            head: condensed.head(usize::MAX).to_vec(),
            whole: Arc::clone(&condensed.whole),
        }
    }

    /// A CMS object, in base64 behind a header that says so; where there is none, by itself.
    pub(super) fn of(header: Option<Vec<u8>>, object: Arc<dyn Bulk>, ending: LineEnding) -> Self {
        let Some(header) = header else {
            return Self {
                head: Vec::new(),
                whole: object,
            };
        };
        let lines = Base64Lines::new(object, ending);
        let whole = Chain(vec![Arc::new(header.clone()), Arc::new(lines)]);
        Self {
            head: header,
            whole: Arc::new(whole),
        }
    }

    /// An entity of which parts are replaced.
    pub(super) fn of_pieces(condensed: &Condensed, pieces: Vec<Piece>) -> io::Result<Self> {
        let whole = chained(condensed, pieces);
        let most = condensed.head(usize::MAX).len().max(HEAD);
        Ok(Self {
            head: bulk::head(&*whole, most)?,
            whole,
        })
    }
}

/// The whole that `pieces`, whose ranges are those of what was kept, are.
fn chained(condensed: &Condensed, pieces: Vec<Piece>) -> Arc<dyn Bulk> {
    let links = pieces.into_iter().map(|piece| match piece {
        Piece::Source(range) => condensed.stretch(&range),
        Piece::Owned(bytes) => Arc::new(bytes),
        Piece::Large(bulk) => bulk,
    });
    Arc::new(Chain(links.collect()))
}

/// What `pieces`, whose ranges are those of the whole message, make of it.
pub(in crate::ops) fn written(condensed: &Condensed, pieces: &[Piece]) -> Arc<dyn Bulk> {
    let links = pieces.iter().map(|piece| -> Arc<dyn Bulk> {
        match piece {
            Piece::Source(range) => {
                let range = range.start as u64..range.end as u64;
                Arc::new(Stretch::new(Arc::clone(&condensed.whole), range))
            }
            Piece::Owned(bytes) => Arc::new(bytes.clone()),
            Piece::Large(bulk) => Arc::clone(bulk),
        }
    });
    Arc::new(Chain(links.collect()))
}

/// `pieces`, whose ranges are those of what was kept, with those of the whole.
pub(in crate::ops) fn in_place(condensed: &Condensed, pieces: Vec<Piece>) -> Vec<Piece> {
    let place = |at| usize::try_from(condensed.place(at)).unwrap_or(usize::MAX);
    pieces
        .into_iter()
        .map(|piece| match piece {
            Piece::Source(range) => Piece::Source(place(range.start)..place(range.end)),
            other => other,
        })
        .collect()
}

impl Walker<'_> {
    /// Keeps what a reading or writing failed with: the run ends with it.
    pub(super) fn io<T>(&self, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let _ = self.trouble.set(error);
                None
            }
        }
    }

    /// What tells the structure of a layer.
    pub(super) fn condense(&self, whole: Arc<dyn Bulk>) -> Result<Condensed, LimitExceeded> {
        self.io(Condensed::of(whole, Root::Entity, &self.context.limits))
            .unwrap_or(Err(TOO_LARGE))
    }

    /// A leaf that holds an object, of which bytes were left out.
    pub(super) fn large_leaf(
        &mut self,
        mail: Mail<'_>,
        (tree, part): (&Tree<'_>, &Part),
        body: &Arc<dyn Bulk>,
        place: Place,
    ) -> Entity {
        let head = tree.body(part);
        let head = head.get(..HEAD.min(head.len())).unwrap_or_default();
        let kept = tree.condensed.map_or(0, |condensed| {
            condensed.kept_from(part.body.start, head.len())
        });
        let head = head.get(..kept).unwrap_or_default();
        let found = self.io(find::large_object(body, head, part.encoding));
        let Some(Some(found)) = found else {
            return Entity::limit(None, TOO_LARGE);
        };
        let mut beside = found.beside.max(anew::around(tree, part));
        if part.content_type.kind.starts_with("text/") {
            beside = beside.max(Beside::Shown);
        }
        let headers = Headers::parse(tree.entity(part));
        amid(beside, place, |place| {
            self.large_object(mail, &found.bytes, Some(&headers), place)
        })
    }

    /// An object without MIME headers around it.
    pub(super) fn large_bare_object(
        &mut self,
        mail: Mail<'_>,
        condensed: &Condensed,
        place: Place,
    ) -> Entity {
        use crate::message::headers::Encoding;
        let head = condensed.head(HEAD);
        let found = find::large_object(&condensed.whole, head, Encoding::Identity);
        match self.io(found) {
            Some(Some(found)) => self.large_object(mail, &found.bytes, None, place),
            _ => Entity::limit(None, TOO_LARGE),
        }
    }

    fn large_object(
        &mut self,
        mail: Mail<'_>,
        bytes: &Arc<dyn Bulk>,
        headers: Option<&Headers<'_>>,
        place: Place,
    ) -> Entity {
        match outline::outline(bytes) {
            Ok(outline) => self.outlined(mail, &outline, headers, place),
            Err(Trouble::TooLarge) => Entity::limit(None, TOO_LARGE),
            Err(Trouble::Io(error)) => {
                let _ = self.trouble.set(error);
                Entity::limit(None, TOO_LARGE)
            }
            Err(Trouble::Malformed(_)) => {
                let head = self.io(bulk::head(&**bytes, 1024)).unwrap_or_default();
                let form = cms::sniff(&head).and_then(entity::form_of_type);
                Entity::malformed(form.unwrap_or("other-encrypted"))
            }
        }
    }

    fn outlined(
        &mut self,
        mail: Mail<'_>,
        outline: &Outline,
        headers: Option<&Headers<'_>>,
        place: Place,
    ) -> Entity {
        self.object_in(mail, &outline.object, Some(outline), headers, place)
    }

    /// `entity` with the message's line ends: as [`Walker::fit`].
    pub(super) fn fit_large(&self, entity: LargeEntity) -> LargeEntity {
        if self.line_ending != LineEnding::Lf {
            return entity;
        }
        let fitted = Lines::of(&*entity.whole).and_then(|lines| {
            if lines.says_binary || !lines.all_crlf() {
                return Ok(None);
            }
            let whole = Arc::clone(&entity.whole);
            let whole = Relined::new(whole, LineEnding::Lf, lines.crlf);
            Ok(Some(LargeEntity {
                head: bulk::head(&whole, entity.head.len())?,
                whole: Arc::new(whole),
            }))
        });
        self.io(fitted).flatten().unwrap_or(entity)
    }

    /// What `replacement` makes of the content in `view`.
    pub(super) fn replaced_in(&self, replacement: &Replacement, view: View<'_>) -> Replacement {
        match (replacement, view) {
            (Replacement::Large(entity), _) => Replacement::Large(entity.clone()),
            (Replacement::Ranges(ranges), View::Condensed(condensed)) => {
                let pieces = anew::splice(condensed.bytes.len(), ranges);
                match self.io(LargeEntity::of_pieces(condensed, pieces)) {
                    Some(entity) => Replacement::Large(entity),
                    None => Replacement::Large(LargeEntity::as_it_is(condensed)),
                }
            }
            (_, view) => Replacement::Entity(replacement.apply(view.bytes())),
        }
    }
}
