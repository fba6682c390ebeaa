//! What a tar archive holds: ustar (POSIX.1-1988), pax (POSIX.1-2001) and GNU tar's long names.
//!
//! Read here and not by a crate, because only a list is needed, and a hostile archive may state names
//! of any length: here none is held that is longer than [`MAX_EXTENDED`].

use std::io::{self, Read};

use super::Origin;
use super::members::{Listing, Member, REFUSED};
use super::packed::Damage;
use super::sniff::{self, Judgement};
use crate::limits::Limits;

const BLOCK: usize = 512;
/// How long what a header says in an extension of its own may be.
const MAX_EXTENDED: u64 = 64 << 10;
/// From here on what is not looked at is jumped over rather than read, where that can be done.
const JUMP: u64 = 1 << 20;

/// The members of the tar archive in `origin`.
pub(super) fn list(origin: &Origin, limits: &Limits) -> Listing {
    let mut listing = Listing::default();
    let mut list = List {
        origin,
        input: Box::new(io::empty()),
        at: 0,
    };
    if list.jump(0).is_ok()
        && let Err(trouble) = list.members(limits, &mut listing)
    {
        listing.trouble = Some(trouble.0);
    }
    listing
}

struct Trouble(&'static str);

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self(Damage::of(&error).map_or("it cannot be read to its end", Damage::why))
    }
}

const CUT: Trouble = Trouble("it ends too early");
const DAMAGED: Trouble = Trouble("it is damaged");

/// What headers before a member say of it.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    modified: Option<u64>,
    sparse: bool,
}

struct List<'a> {
    origin: &'a Origin,
    input: Box<dyn Read + Send>,
    at: u64,
}

impl List<'_> {
    fn members(&mut self, limits: &Limits, listing: &mut Listing) -> Result<(), Trouble> {
        let mut extended = Extended::default();
        loop {
            let header = self.read(BLOCK as u64)?;
            if header.is_empty() || header.iter().all(|&byte| byte == 0) {
                return Ok(());
            }
            if header.len() < BLOCK {
                return Err(CUT);
            }
            if !sums_up(&header) {
                return Err(DAMAGED);
            }
            let size = number(field(&header, 124, 12)).ok_or(DAMAGED)?;
            match header.get(156) {
                Some(b'L') => {
                    let mut name = self.extension(size)?;
                    name.truncate(name.iter().position(|&b| b == 0).unwrap_or(name.len()));
                    extended.name = Some(name);
                }
                Some(b'x') => pax(&self.extension(size)?, &mut extended).ok_or(DAMAGED)?,
                Some(b'K' | b'g') => self.skip(size)?,
                Some(&kind) => {
                    if listing.members.len() as u64 >= limits.members {
                        return Err(Trouble("it holds more members than are looked at"));
                    }
                    let extended = std::mem::take(&mut extended);
                    let member = self.member(&header, kind, size, extended, listing)?;
                    debug_assert!(member <= self.at);
                }
                None => return Err(DAMAGED),
            }
        }
    }

    /// Lists one member, and gives where its bytes begin.
    fn member(
        &mut self,
        header: &[u8],
        kind: u8,
        size: u64,
        extended: Extended,
        listing: &mut Listing,
    ) -> Result<u64, Trouble> {
        let name = extended.name.unwrap_or_else(|| ustar_name(header));
        let size = extended.size.unwrap_or(size);
        let begin = self.at;
        begin.checked_add(size).ok_or(DAMAGED)?;
        let refused = match kind {
            // An old tar marks a folder by its name alone.
            b'5' => None,
            b'0' | 0 | b'7' if name.ends_with(b"/") => None,
            b'0' | 0 | b'7' if !extended.sparse => {
                let modified = extended
                    .modified
                    .or_else(|| number(field(header, 136, 12)))
                    .unwrap_or(0);
                let mut member = Member {
                    name,
                    origin: self.origin.stretch(begin, size).with_time(modified),
                    len: size,
                    found: Judgement::Unread(REFUSED, ""),
                };
                let head = self.read(size.min(sniff::HEAD_BYTES as u64));
                let bytes = head.as_deref().unwrap_or_default();
                member.judge(bytes, head.is_err());
                listing.push(member).map_err(Trouble)?;
                head?;
                let end = padded(begin, size).ok_or(DAMAGED)?;
                self.skip_to(end)?;
                return Ok(begin);
            }
            b'1' | b'2' => Some(("symlink", "a link in an archive, not followed")),
            b'3' | b'4' | b'6' => Some(("device", "a device or FIFO in an archive, not made")),
            b'0' | 0 | b'7' | b'S' => Some((REFUSED, "a sparse file in an archive is not read")),
            _ => Some((REFUSED, "an unknown kind of member in an archive")),
        };
        if let Some((word, why)) = refused {
            let member = Member {
                name,
                origin: self.origin.stretch(begin, 0),
                len: size,
                found: Judgement::Unread(word, why),
            };
            listing.push(member).map_err(Trouble)?;
        }
        // A link states the size of what it leads to, and has none of it.
        if !matches!(kind, b'1'..=b'6') {
            self.skip_to(padded(begin, size).ok_or(DAMAGED)?)?;
        }
        Ok(begin)
    }

    /// What a header says of the next member.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, Trouble> {
        if size > MAX_EXTENDED {
            return Err(DAMAGED);
        }
        let end = padded(self.at, size).ok_or(DAMAGED)?;
        let bytes = self.read(size)?;
        if (bytes.len() as u64) < size {
            return Err(CUT);
        }
        self.skip_to(end)?;
        Ok(bytes)
    }

    fn skip(&mut self, size: u64) -> Result<(), Trouble> {
        self.skip_to(padded(self.at, size).ok_or(DAMAGED)?)
    }

    /// Up to `len` bytes, fewer at the end.
    fn read(&mut self, len: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = (&mut self.input).take(len).read_to_end(&mut bytes);
        self.at += bytes.len() as u64;
        read.map(|_| bytes)
    }

    fn skip_to(&mut self, end: u64) -> Result<(), Trouble> {
        let left = end.saturating_sub(self.at);
        if left > JUMP && self.origin.is_file() {
            if self.origin.stated_len().is_some_and(|len| len < end) {
                return Err(CUT);
            }
            return self.jump(end);
        }
        let skipped = io::copy(&mut (&mut self.input).take(left), &mut io::sink())?;
        self.at += skipped;
        if skipped < left { Err(CUT) } else { Ok(()) }
    }

    fn jump(&mut self, to: u64) -> Result<(), Trouble> {
        let input = self.origin.open_at(to).map_err(|_| CUT)?;
        self.input = Box::new(io::BufReader::with_capacity(1 << 16, input));
        self.at = to;
        Ok(())
    }
}

/// Where the block behind `size` bytes at `at` begins.
fn padded(at: u64, size: u64) -> Option<u64> {
    size.checked_next_multiple_of(BLOCK as u64)?.checked_add(at)
}

fn field(header: &[u8], at: usize, len: usize) -> &[u8] {
    header.get(at..at + len).unwrap_or_default()
}

/// Whether the header's checksum fits: of all bytes, its own taken for blanks.
fn sums_up(header: &[u8]) -> bool {
    let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
    let own: u64 = field(header, 148, 8)
        .iter()
        .map(|&byte| u64::from(byte))
        .sum();
    number(field(header, 148, 8)) == Some(sum - own + 8 * u64::from(b' '))
}

/// Octal digits, or GNU tar's binary form.
fn number(field: &[u8]) -> Option<u64> {
    if field.first() == Some(&0x80) {
        return field.get(1..)?.iter().try_fold(0_u64, |sum, &byte| {
            sum.checked_mul(256)?.checked_add(u64::from(byte))
        });
    }
    let digits = field
        .split(|&b| b == 0)
        .next()
        .unwrap_or_default()
        .trim_ascii();
    digits.iter().try_fold(0_u64, |sum, &digit| {
        matches!(digit, b'0'..=b'7').then_some(())?;
        sum.checked_mul(8)?.checked_add(u64::from(digit - b'0'))
    })
}

fn ustar_name(header: &[u8]) -> Vec<u8> {
    let text = |at, len| {
        let field = field(header, at, len);
        field.split(|&b| b == 0).next().unwrap_or_default()
    };
    let (name, prefix) = (text(0, 100), text(345, 155));
    // GNU tar keeps times where POSIX has the prefix.
    if prefix.is_empty() || field(header, 257, 6) != b"ustar\0" {
        name.to_vec()
    } else {
        [prefix, b"/", name].concat()
    }
}

/// Records `LENGTH KEY=VALUE\n`.
fn pax(mut records: &[u8], extended: &mut Extended) -> Option<()> {
    while !records.is_empty() {
        let blank = memchr::memchr(b' ', records)?;
        let length: usize = std::str::from_utf8(records.get(..blank)?)
            .ok()?
            .parse()
            .ok()?;
        let record = records.get(blank + 1..length)?.strip_suffix(b"\n")?;
        records = records.get(length..)?;
        let equals = memchr::memchr(b'=', record)?;
        let (key, value) = (record.get(..equals)?, record.get(equals + 1..)?);
        let whole = || {
            let text = value.split(|&b| b == b'.').next()?;
            std::str::from_utf8(text).ok()?.parse().ok()
        };
        match key {
            b"path" => extended.name = Some(value.to_vec()),
            b"size" => extended.size = Some(whole()?),
            b"mtime" => extended.modified = whole(),
            _ if key.starts_with(b"GNU.sparse") => extended.sparse = true,
            _ => {}
        }
    }
    Some(())
}
