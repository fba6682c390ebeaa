//! TNEF, the `winmail.dat` in which Outlook and Exchange wrap a message and its attachments
//! (MS-OXTNEF): as much of it as tells whether S/MIME is inside.
//!
//! Read in one pass, without copies; a stream that breaks off gives what stands before.

/// The first four bytes.
pub const MAGIC: &[u8] = &[0x78, 0x9f, 0x3e, 0x22];

/// Attachments that are read; no honest message has more.
const MOST_ATTACHMENTS: usize = 1_000;

/// What a stream holds.
#[derive(Debug, Default)]
pub struct Tnef<'a> {
    /// The message class, such as `IPM.Note.SMIME` (MS-OXOSMIME §2.1.3); may be empty.
    pub class: String,
    /// It holds text of its own.
    pub has_body: bool,
    /// In order.
    pub attachments: Vec<Attachment<'a>>,
}

/// A file in a stream.
#[derive(Debug, Default)]
pub struct Attachment<'a> {
    /// In lower case; may be empty.
    pub name: String,
    /// Its media type, in lower case; may be empty.
    pub media_type: String,
    /// Its content; of an embedded message that message's stream.
    pub data: &'a [u8],
}

/// Attributes (MS-OXTNEF §2.1.3.2) and properties (MS-OXPROPS) that are read.
mod id {
    pub(super) const MESSAGE_CLASS: u32 = 0x0007_8008;
    pub(super) const BODY: u32 = 0x0002_800c;
    pub(super) const MESSAGE_PROPERTIES: u32 = 0x0006_9003;
    pub(super) const ATTACHMENT_BEGINS: u32 = 0x0006_9002;
    pub(super) const ATTACHMENT_TITLE: u32 = 0x0001_8010;
    pub(super) const ATTACHMENT_DATA: u32 = 0x0006_800f;
    pub(super) const ATTACHMENT_PROPERTIES: u32 = 0x0006_9005;

    pub(super) const PR_MESSAGE_CLASS: u16 = 0x001a;
    pub(super) const PR_BODY: u16 = 0x1000;
    pub(super) const PR_RTF_COMPRESSED: u16 = 0x1009;
    pub(super) const PR_HTML: u16 = 0x1013;
    pub(super) const PR_ATTACH_DATA: u16 = 0x3701;
    pub(super) const PR_ATTACH_FILENAME: u16 = 0x3704;
    pub(super) const PR_ATTACH_LONG_FILENAME: u16 = 0x3707;
    pub(super) const PR_ATTACH_MIME_TAG: u16 = 0x370e;
}

impl<'a> Tnef<'a> {
    /// Reads a stream; `None` where `bytes` do not begin like one.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes.strip_prefix(MAGIC)?);
        cursor.take(2)?;
        let mut found = Self::default();
        while found.attachments.len() <= MOST_ATTACHMENTS
            && let Some((id, data)) = cursor.attribute()
        {
            found.attribute(id, data);
        }
        Some(found)
    }

    fn attribute(&mut self, id: u32, data: &'a [u8]) {
        match id {
            id::MESSAGE_CLASS if self.class.is_empty() => self.class = latin(data),
            id::BODY => self.has_body |= !latin(data).trim().is_empty(),
            id::MESSAGE_PROPERTIES => {
                for (property, value) in Properties::of(data) {
                    match property {
                        id::PR_MESSAGE_CLASS => self.class = value.text(),
                        id::PR_BODY | id::PR_RTF_COMPRESSED | id::PR_HTML => {
                            self.has_body |= !value.bytes.is_empty();
                        }
                        _ => {}
                    }
                }
            }
            id::ATTACHMENT_BEGINS => self.attachments.push(Attachment::default()),
            _ => {
                if let Some(last) = self.attachments.last_mut() {
                    last.attribute(id, data);
                }
            }
        }
    }
}

impl<'a> Attachment<'a> {
    fn attribute(&mut self, id: u32, data: &'a [u8]) {
        match id {
            id::ATTACHMENT_TITLE if self.name.is_empty() => {
                self.name = latin(data).to_ascii_lowercase();
            }
            id::ATTACHMENT_DATA if !data.is_empty() => self.data = data,
            id::ATTACHMENT_PROPERTIES => {
                for (property, value) in Properties::of(data) {
                    match property {
                        id::PR_ATTACH_DATA => self.data = value.stream(),
                        id::PR_ATTACH_LONG_FILENAME => {
                            self.name = value.text().to_ascii_lowercase();
                        }
                        id::PR_ATTACH_FILENAME if self.name.is_empty() => {
                            self.name = value.text().to_ascii_lowercase();
                        }
                        id::PR_ATTACH_MIME_TAG => {
                            self.media_type = value.text().to_ascii_lowercase();
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// A property's value: its type and its bytes.
#[derive(Debug, Clone, Copy)]
struct Value<'a> {
    kind: u16,
    bytes: &'a [u8],
}

impl<'a> Value<'a> {
    fn text(self) -> String {
        /// Longer than any name.
        const LONGEST: usize = 4 << 10;
        let bytes = self.bytes.get(..LONGEST).unwrap_or(self.bytes);
        if self.kind != kind::UNICODE {
            return latin(bytes);
        }
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?)))
            .take_while(|unit| *unit != 0)
            .collect();
        String::from_utf16_lossy(&units)
    }

    /// Of an embedded object, without its interface's identifier.
    fn stream(self) -> &'a [u8] {
        const IDENTIFIER: usize = 16;
        match self.bytes.get(IDENTIFIER..) {
            Some(stream) if self.kind == kind::OBJECT => stream,
            _ => self.bytes,
        }
    }
}

/// Property types (MS-OXCDATA §2.11.1).
mod kind {
    pub(super) const MULTIPLE: u16 = 0x1000;
    pub(super) const OBJECT: u16 = 0x000d;
    pub(super) const STRING: u16 = 0x001e;
    pub(super) const UNICODE: u16 = 0x001f;
    pub(super) const BINARY: u16 = 0x0102;

    /// Bytes that a value of fixed size takes, padded to four.
    pub(super) fn size(kind: u16) -> Option<usize> {
        match kind {
            0x0002 | 0x0003 | 0x0004 | 0x000a | 0x000b => Some(4),
            0x0005 | 0x0006 | 0x0007 | 0x0014 | 0x0040 => Some(8),
            0x0048 => Some(16),
            _ => None,
        }
    }
}

/// The properties of a list (MS-OXTNEF §2.1.3.4); it ends at the first that cannot be read.
struct Properties<'a> {
    cursor: Cursor<'a>,
    left: u32,
}

impl<'a> Properties<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let mut cursor = Cursor(bytes);
        let left = cursor.u32().unwrap_or(0);
        Self { cursor, left }
    }

    fn property(&mut self) -> Option<(u16, Value<'a>)> {
        let kind = self.cursor.u16()?;
        let property = self.cursor.u16()?;
        if property >= 0x8000 {
            self.cursor.take(16)?;
            if self.cursor.u32()? == 0 {
                self.cursor.u32()?;
            } else {
                self.cursor.counted()?;
            }
        }
        let single = kind & !kind::MULTIPLE;
        let variable = matches!(
            single,
            kind::OBJECT | kind::STRING | kind::UNICODE | kind::BINARY
        );
        let mut bytes = None;
        if variable {
            // Each takes four bytes at least: a count that lies ends with the stream.
            for _ in 0..self.cursor.u32()? {
                let value = self.cursor.counted()?;
                bytes.get_or_insert(value);
            }
        } else {
            let count = if kind & kind::MULTIPLE == 0 {
                1
            } else {
                usize::try_from(self.cursor.u32()?).ok()?
            };
            let size = kind::size(single)?.checked_mul(count)?;
            bytes = Some(self.cursor.take(size)?);
        }
        let bytes = bytes.unwrap_or_default();
        Some((
            property,
            Value {
                kind: single,
                bytes,
            },
        ))
    }
}

impl<'a> Iterator for Properties<'a> {
    type Item = (u16, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.property()
    }
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    /// A length, as many bytes, and what pads them to four.
    fn counted(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        let value = self.take(length)?;
        let padding = length.next_multiple_of(4) - length;
        self.0 = self.0.get(padding..).unwrap_or_default();
        Some(value)
    }

    /// The next attribute; the last one may be cut off.
    fn attribute(&mut self) -> Option<(u32, &'a [u8])> {
        self.take(1)?;
        let id = self.u32()?;
        let length = usize::try_from(self.u32()?).ok()?;
        let data = self.take(length).or_else(|| self.take(self.0.len()))?;
        // The checksum; nothing is proven by it.
        self.0 = self.0.get(2..).unwrap_or_default();
        Some((id, data))
    }
}

/// Text up to its NUL.
fn latin(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take_while(|byte| **byte != 0)
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(id: u32, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_le_bytes();
        [&[1][..], &id.to_le_bytes(), &length, data, &[0, 0]].concat()
    }

    fn properties(list: &[(u16, u16, &[u8])]) -> Vec<u8> {
        let mut out = u32::try_from(list.len()).unwrap().to_le_bytes().to_vec();
        for (kind, property, value) in list {
            out.extend(kind.to_le_bytes());
            out.extend(property.to_le_bytes());
            if kind::size(*kind).is_none() {
                out.extend(1_u32.to_le_bytes());
                out.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
            }
            out.extend(*value);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    fn stream() -> Vec<u8> {
        let of_message = properties(&[
            (0x0003, 0x0017, &[1, 0, 0, 0]),
            (0x001e, 0x001a, b"IPM.Note.SMIME\0"),
        ]);
        let name: Vec<u8> = "SMIME.p7m\0"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let of_file = properties(&[
            (0x001f, 0x3707, &name),
            (0x001e, 0x370e, b"multipart/signed\0"),
        ]);
        [
            MAGIC,
            &[1, 0],
            &attribute(id::MESSAGE_CLASS, b"IPM.Microsoft Mail.Note\0"),
            &attribute(id::MESSAGE_PROPERTIES, &of_message),
            &attribute(id::ATTACHMENT_BEGINS, &[0; 14]),
            &attribute(id::ATTACHMENT_TITLE, b"SMIME~1.P7M\0"),
            &attribute(id::ATTACHMENT_DATA, b"the object"),
            &attribute(id::ATTACHMENT_PROPERTIES, &of_file),
        ]
        .concat()
    }

    #[test]
    fn a_stream_is_read_and_cut_anywhere_it_does_no_harm() {
        let stream = stream();
        let found = Tnef::read(&stream).unwrap();
        assert_eq!(found.class, "IPM.Note.SMIME");
        assert!(!found.has_body);
        let [file] = &found.attachments[..] else {
            panic!("{found:?}")
        };
        assert_eq!(file.name, "smime.p7m");
        assert_eq!(file.media_type, "multipart/signed");
        assert_eq!(file.data, b"the object");
        for cut in 0..stream.len() {
            let _ = Tnef::read(&stream[..cut]);
            let mut altered = stream.clone();
            altered[cut] = 0xff;
            let _ = Tnef::read(&altered);
        }
    }

    #[test]
    fn counts_are_not_believed() {
        let huge = properties(&[(0x0102, 0x3701, b"x")]);
        let mut lying = huge.clone();
        lying[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Properties::of(&lying).count(), 0);
        let mut many = huge;
        many[0..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Properties::of(&many).count(), 1);
    }
}
