use super::*;
use crate::cms::content::{Content, ContentInfo, parse};
use crate::cms::peer::corpus;
use crate::cms::{Octets, Oid, build};

fn content<'a>(info: &ContentInfo<'a>) -> Option<Octets<'a>> {
    match &info.content {
        Content::Data(data) => Some(*data),
        Content::Signed(data) => data.content,
        Content::Enveloped(data) => data.ciphertext,
        Content::AuthEnveloped(data) => data.ciphertext,
        Content::Encrypted(data) => data.ciphertext,
        Content::Digested(data) => data.content,
        Content::Compressed(data) => data.content,
        Content::Other => None,
    }
}

/// Everything of a structure but its content and what stands around it.
fn structure(info: &ContentInfo<'_>) -> String {
    let mut info = info.clone();
    let empty = Some(Octets::from_slice(&[]));
    let dropped = |octets: &mut Option<Octets<'_>>| *octets = octets.and(empty);
    match &mut info.content {
        Content::Signed(data) => dropped(&mut data.content),
        Content::Enveloped(data) => {
            dropped(&mut data.ciphertext);
            data.tail = &[];
        }
        Content::AuthEnveloped(data) => {
            dropped(&mut data.ciphertext);
            data.tail = &[];
        }
        Content::Encrypted(data) => dropped(&mut data.ciphertext),
        Content::Digested(data) => dropped(&mut data.content),
        Content::Compressed(data) => dropped(&mut data.content),
        Content::Data(_) | Content::Other => {}
    }
    format!("{:?} {:?}", info.content_type, info.content)
}

/// Whether an object's outline says what the object says; `None` where there is none to compare.
#[track_caller]
pub(in crate::cms) fn agrees(bytes: &[u8]) -> Option<()> {
    let bulk: Arc<dyn Bulk> = Arc::new(bytes.to_vec());
    let outline = match outline(&bulk) {
        Ok(outline) => outline,
        Err(Trouble::TooLarge) => return None,
        Err(Trouble::Io(error)) => panic!("{error}"),
        Err(Trouble::Malformed(_)) => {
            assert!(parse(bytes).is_err(), "only the outline is malformed");
            return None;
        }
    };
    let Ok(read) = parse(&outline.object) else {
        assert!(
            parse(bytes).is_err(),
            "only what the outline holds is malformed"
        );
        return None;
    };
    Shape::of(read.content_type)?;
    let whole = parse(bytes).expect("only the object is malformed");
    assert_eq!(structure(&read), structure(&whole));
    let held = content(&whole);
    assert_eq!(outline.content.is_some(), held.is_some());
    if let (Some(large), Some(held)) = (&outline.content, held) {
        let held = held.cow();
        assert_eq!(large.len(), held.len() as u64);
        assert_eq!(crate::bulk::head(large, usize::MAX).unwrap(), *held);
        let [head, tail] = large.ends();
        assert!(held.starts_with(head) && held.ends_with(tail));
        let from = held.len() / 3;
        let mut rest = Vec::new();
        large
            .open_at(from as u64)
            .unwrap()
            .read_to_end(&mut rest)
            .unwrap();
        assert_eq!(rest, held[from..]);
    }
    let tail = match &whole.content {
        Content::Enveloped(data) => Some(data.tail),
        Content::AuthEnveloped(data) => Some(data.tail),
        _ => None,
    };
    let outlined = outline
        .tail
        .map(|tail| crate::bulk::head(&tail, usize::MAX).unwrap());
    assert_eq!(outlined.as_deref(), tail);
    let shown = |bytes: &[u8], trailing: usize| {
        let behind = &bytes[bytes.len() - trailing..];
        let shown = |byte: &&u8| **byte != 0 && !byte.is_ascii_whitespace();
        behind.iter().filter(shown).count().min(16)
    };
    let of_outline = shown(&outline.object, read.trailing);
    assert_eq!(of_outline, shown(bytes, whole.trailing));
    Some(())
}

/// An element of indefinite length.
fn indefinite(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag, 0x80][..], body, &[0, 0]].concat()
}

fn enveloped(content: &[u8]) -> Vec<u8> {
    let algorithm = der::algorithm(oid::AES256_CBC, Some(&der::octet_string(&[7; 16])));
    let inside = [der::oid(oid::DATA), algorithm, content.to_vec()].concat();
    let body = [
        der::integer(0),
        der::element(tag::SET, &[]),
        indefinite(tag::SEQUENCE, &inside),
    ]
    .concat();
    let structure = indefinite(tag::SEQUENCE, &body);
    let explicit = indefinite(tag::constructed(0), &structure);
    indefinite(
        tag::SEQUENCE,
        &[der::oid(oid::ENVELOPED_DATA), explicit].concat(),
    )
}

#[test]
fn a_content_in_any_form_is_found() {
    let long = vec![0x5a; 3 * PIECE + 1];
    let pieces = [
        der::octet_string(&long[..PIECE - 7]),
        indefinite(
            tag::OCTET_STRING_CONSTRUCTED,
            &[der::octet_string(b""), der::octet_string(&long)].concat(),
        ),
        der::element(tag::OCTET_STRING_CONSTRUCTED, &[&der::octet_string(b"ab")]),
    ]
    .concat();
    for content in [
        der::element(tag::primitive(0), &[&long]),
        der::element(tag::constructed(0), &[&pieces]),
        indefinite(tag::constructed(0), &pieces),
        indefinite(tag::constructed(0), b""),
        Vec::new(),
    ] {
        assert!(agrees(&enveloped(&content)).is_some());
    }
    let deep = |n: usize| [[0x24, 0x80].repeat(n), [0, 0].repeat(n)].concat();
    assert!(agrees(&enveloped(&indefinite(0xa0, &deep(7)))).is_some());
    assert!(agrees(&enveloped(&indefinite(0xa0, &deep(8)))).is_none());
    assert!(
        agrees(&enveloped(&indefinite(
            0xa0,
            &[0x24, 0x80].repeat(1_000_000)
        )))
        .is_none()
    );
}

#[test]
fn lengths_are_checked_not_believed() {
    let head = [0x84, 0xff, 0xff, 0xff, 0xff];
    for content in [
        [&[0x80][..], &head, b"x"].concat(),
        indefinite(0xa0, &[&[0x04][..], &head, b"x"].concat()),
        [&[0xa0, 5][..], &[0x04, 9, 1, 2, 3]].concat(),
        indefinite(0xa0, &[0x02, 1, 1]),
        indefinite(0x80, b"x"),
    ] {
        assert!(agrees(&enveloped(&content)).is_none());
    }
    // A structure that never ends is not held.
    let certificates = indefinite(0xa0, &der::octet_string(&vec![0; 64 << 10]).repeat(300));
    let body = [der::integer(1), certificates].concat();
    let explicit = indefinite(0xa0, &indefinite(0x30, &body));
    let object = indefinite(0x30, &[der::oid(oid::ENVELOPED_DATA), explicit].concat());
    let bulk: Arc<dyn Bulk> = Arc::new(object);
    assert!(matches!(outline(&bulk), Err(Trouble::TooLarge)));
}

#[test]
fn the_objects_of_others_are_outlined_as_they_are_read() {
    let mut agreed = 0;
    for (_, object) in corpus() {
        agreed += usize::from(agrees(&object).is_some());
        let step = (object.len() / 60).max(1);
        for cut in (0..object.len()).step_by(step) {
            agrees(&object[..cut]);
            let mut altered = object.clone();
            altered[cut] ^= 0x81;
            agrees(&altered);
        }
        let more = [&object[..], b"\0\0more than a stray byte"].concat();
        agrees(&more);
    }
    assert!(agreed > 100 || corpus().is_empty(), "{agreed}");
}

#[test]
fn types_that_are_not_read_have_no_outline_but_their_name() {
    let object = build::content_info(Oid(&[42, 3, 4]), &der::octet_string(b"x"));
    let bulk: Arc<dyn Bulk> = Arc::new(object);
    let outline = outline(&bulk).unwrap();
    assert!(outline.content.is_none());
    assert!(matches!(
        parse(&outline.object).unwrap().content,
        Content::Other
    ));
}
