//! What lies beside a message and says more about it: the sequences of an MH folder, the end of an
//! Apple Mail file.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;

use memchr::memmem;

use super::{Origin, Said, source};

/// The word for a message of Apple Mail.
pub(super) const EMLX: &str = "emlx";
/// How much of such a file's end is read, and of a folder's sequences.
const MAX_TRAILER: u64 = 1 << 20;
const MAX_SEQUENCES: usize = 4 << 20;

/// The sequences of an MH folder (`.mh_sequences`), as Python's `mailbox` reads them too: `unseen`,
/// `replied`, `flagged`.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    is_mh: bool,
    ranges: HashMap<&'static str, Vec<(u64, u64)>>,
}

impl Sequences {
    /// Those of the folder at `path`; none where it is no MH folder.
    pub(super) fn read(path: &Path) -> Self {
        match source::head(&path.join(".mh_sequences"), MAX_SEQUENCES) {
            Ok((bytes, _)) => Self::parse(&String::from_utf8_lossy(&bytes)),
            Err(_) => Self::default(),
        }
    }

    fn parse(text: &str) -> Self {
        let mut sequences = Self {
            is_mh: true,
            ranges: HashMap::new(),
        };
        for line in text.lines() {
            let Some((name, numbers)) = line.split_once(':') else {
                continue;
            };
            let known = ["unseen", "replied", "flagged"];
            let Some(name) = known.into_iter().find(|known| *known == name.trim()) else {
                continue;
            };
            let ranges = numbers.split_whitespace().filter_map(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                Some((first.parse().ok()?, last.parse().ok()?))
            });
            sequences.ranges.insert(name, ranges.collect());
        }
        sequences
    }

    /// What they say of the message in the file `name`: nothing, if that is no number.
    pub(super) fn said(&self, name: &OsStr) -> Said {
        let number = name.to_str().and_then(|name| name.parse::<u64>().ok());
        let Some(number) = number.filter(|_| self.is_mh) else {
            return Said::default();
        };
        let holds = |sequence| {
            let ranges = self.ranges.get(sequence).map(Vec::as_slice);
            let mut ranges = ranges.unwrap_or_default().iter();
            ranges.any(|&(first, last)| (first..=last).contains(&number))
        };
        let flags = [
            ('F', holds("flagged")),
            ('R', holds("replied")),
            ('S', !holds("unseen")),
        ];
        Said {
            flags: letters(&flags),
            received: None,
        }
    }
}

/// The message in a file of Apple Mail, `bytes` long, that begins with `head`: a line with the
/// message's length, the message, and a property list. Fails, and says why, where there is none.
pub(super) fn emlx(file: &Origin, head: &[u8], bytes: u64) -> Result<(Origin, Said), &'static str> {
    const DAMAGED: &str = "Apple Mail message that is shorter than it says";
    let name = file.path().file_name().unwrap_or_default();
    if name.to_string_lossy().ends_with(".partial.emlx") {
        return Err("part of an Apple Mail message; its attachments lie elsewhere");
    }
    let line = memchr::memchr(b'\n', head).ok_or(DAMAGED)?;
    let (count, _) = head.split_at(line);
    let count = std::str::from_utf8(count.trim_ascii()).map_err(|_| DAMAGED)?;
    let len: u64 = count.parse().map_err(|_| DAMAGED)?;
    let begin = line as u64 + 1;
    let end = begin.checked_add(len).filter(|&end| end <= bytes);
    let end = end.ok_or(DAMAGED)?;
    let mut trailer = Vec::new();
    if let Ok(input) = file.open_at(end) {
        // Without its property list the message is still one.
        let _ = input.take(MAX_TRAILER).read_to_end(&mut trailer);
    }
    if bytes - end > MAX_TRAILER || !is_trailer(&trailer) {
        return Err("Apple Mail message that is longer than it says");
    }
    Ok((file.stretch(begin, len), property_list(&trailer)))
}

/// Whether `text` is a property list, XML or binary, or nothing.
fn is_trailer(text: &[u8]) -> bool {
    const END: &[u8] = b"</plist>";
    let text = text.trim_ascii();
    let begins = ["<?xml", "<!DOCTYPE plist", "<plist", "<dict", "bplist"]
        .iter()
        .any(|begin| text.starts_with(begin.as_bytes()));
    let behind = memmem::find(text, END).is_some_and(|at| at + END.len() < text.len());
    text.is_empty() || begins && !behind
}

fn property_list(text: &[u8]) -> Said {
    let integer = |key: &str| {
        let key = format!("<key>{key}</key>");
        let at = memmem::find(text, key.as_bytes())? + key.len();
        let value = text.get(at..)?.trim_ascii_start();
        let value = ["<integer>", "<real>"]
            .iter()
            .find_map(|tag| value.strip_prefix(tag.as_bytes()))?;
        let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
        let digits = value.get(..digits)?;
        std::str::from_utf8(digits).ok()?.parse::<u64>().ok()
    };
    let bits = integer("flags").unwrap_or(0);
    let is = |bit: u32| bits >> bit & 1 == 1;
    let flags = [
        ('D', is(6)),
        ('F', is(4)),
        ('P', is(8)),
        ('R', is(2)),
        ('S', is(0)),
        ('T', is(1)),
    ];
    Said {
        flags: letters(&flags),
        received: integer("date-received").and_then(|at| i64::try_from(at).ok()),
    }
}

fn letters(flags: &[(char, bool)]) -> String {
    let set = flags.iter().filter(|(_, set)| *set);
    set.map(|(letter, _)| *letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_say_what_was_seen() {
        let sequences = Sequences::parse("unseen: 2 5-7\nflagged: 1\ncur: 1\nreplied: x 1-2\n");
        let flags = |name: &str| sequences.said(OsStr::new(name)).flags;
        assert_eq!(flags("1"), "FRS");
        assert_eq!(flags("2"), "R");
        assert_eq!(flags("6"), "");
        assert_eq!(flags("8"), "S");
        assert_eq!(flags("note"), "");
        assert_eq!(Sequences::default().said(OsStr::new("1")).flags, "");
    }

    #[test]
    fn nothing_but_a_property_list_follows_a_message_of_apple_mail() {
        for (text, is) in [
            ("", true),
            ("\n\n", true),
            ("<?xml?><plist><dict/></plist>\n", true),
            ("bplist00\0", true),
            ("rest of the message\n<?xml?><plist/>", false),
            ("<?xml?><plist></plist>\nrest", false),
        ] {
            assert_eq!(is_trailer(text.as_bytes()), is, "{text}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.emlx");
        let text = b"19\nFrom: a@b\nTo: c\n\nbody that is longer\n<?xml?><plist/>";
        crate::fsio::write_atomic(&path, |out| out.write_all(text)).unwrap();
        let read = emlx(&Origin::file(path), text, text.len() as u64);
        assert_eq!(
            read.unwrap_err(),
            "Apple Mail message that is longer than it says"
        );
    }

    #[test]
    fn the_property_list_of_apple_mail_gives_flags_and_time() {
        let text = b"<dict>\n\t<key>date-received</key>\n\t<integer>1378723013</integer>\n\
            \t<key>flags</key>\n\t<integer>8590195717</integer>\n</dict>";
        let said = property_list(text);
        assert_eq!(said.flags, "RS");
        assert_eq!(said.received, Some(1_378_723_013));
    }
}
