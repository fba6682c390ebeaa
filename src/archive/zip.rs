//! What a ZIP archive holds (PKWARE's APPNOTE 6.3.10): its central directory, with ZIP64.
//!
//! Read here and not by a crate, because only a list is needed, in bounded memory, and because each
//! member is read later on, by itself, from an origin that can be opened again. The central directory
//! alone counts, as for other programs; two members may not share bytes, nor all of them together
//! unpack to more than the budget, whatever sizes they state: one that gives another number of bytes
//! than stated is damaged.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::members::{Listing, Member, REFUSED};
use super::packed::{Cursors, Packed, Packing};
use super::sniff::{self, Judgement};
use super::{Origin, source};
use crate::limits::Limits;

const DAMAGED: &str = "it is damaged";
const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

/// The members of the ZIP archive at `path`, places in which are kept open among `cursors`.
pub(super) fn list(path: &Path, limits: &Limits, cursors: &Cursors) -> Listing {
    let mut listing = Listing::default();
    if let Err(why) = members(path, limits, cursors, &mut listing) {
        listing.trouble = Some(why);
    }
    listing
}

/// Whether a file ends like a ZIP archive, whatever it begins with, as those do that unpack
/// themselves.
pub(super) fn ends_like_one(path: &Path) -> bool {
    let directory = || {
        let file = source::open_regular(path).ok()?;
        let directory = directory(&file, file.metadata().ok()?.len())?;
        let first = bytes_at(&file, directory.begin, ENTRY.len() as u64)?;
        Some(directory.entries > 0 && first == ENTRY)
    };
    directory().unwrap_or(false)
}

/// Where the central directory lies.
struct Directory {
    entries: u64,
    begin: u64,
    size: u64,
    /// How many bytes precede the archive in its file.
    before: u64,
}

/// A member as the directory has it.
struct Entry {
    name: Vec<u8>,
    flags: u64,
    method: u64,
    crc: u32,
    packed: u64,
    size: u64,
    local: u64,
    /// Of a Unix file.
    mode: u64,
    modified: u64,
}

fn members(
    path: &Path,
    limits: &Limits,
    cursors: &Cursors,
    listing: &mut Listing,
) -> Result<(), &'static str> {
    let file = source::open_regular(path).map_err(|_| "it cannot be read")?;
    let len = file.metadata().map_err(|_| "it cannot be read")?.len();
    let directory = directory(&file, len).ok_or("its directory is damaged")?;
    let stretch = Stretch {
        file: &file,
        at: directory.begin,
        left: directory.size,
    };
    let mut input = BufReader::with_capacity(1 << 16, stretch);
    let mut left = limits.unpacked(len);
    let mut places = Vec::new();
    let mut trouble = None;
    for _ in 0..directory.entries {
        if listing.members.len() as u64 >= limits.members {
            trouble = Some("it holds more members than are looked at");
            break;
        }
        let Some(entry) = entry(&mut input) else {
            trouble = Some("its directory is damaged");
            break;
        };
        if entry.name.ends_with(b"/") && entry.size == 0 {
            continue;
        }
        let (member, place) = member(path, &file, len, &directory, entry, &mut left, cursors);
        if let Some((begin, end)) = place {
            places.push((begin, end, listing.members.len()));
        }
        if let Err(why) = listing.push(member) {
            trouble = Some(why);
            break;
        }
    }
    refuse_overlaps(places, &mut listing.members);
    for member in &mut listing.members {
        if matches!(member.found, Judgement::Ordinary(_)) {
            match member.origin.head(sniff::HEAD_BYTES) {
                Ok((head, error)) => member.judge(&head, error.is_some()),
                Err(_) => member.judge(&[], true),
            }
        }
    }
    trouble.map_or(Ok(()), Err)
}

/// Not judged yet.
const UNJUDGED: Judgement = Judgement::Ordinary("");

/// A member, and where in the file its bytes lie.
fn member(
    path: &Path,
    file: &File,
    len: u64,
    directory: &Directory,
    entry: Entry,
    left: &mut u64,
    cursors: &Cursors,
) -> (Member, Option<(u64, u64)>) {
    let refuse = |entry: Entry, word, why| {
        let member = Member {
            name: entry.name,
            origin: Origin::file(path.to_path_buf()).stretch(0, 0),
            len: entry.size,
            found: Judgement::Unread(word, why),
        };
        (member, None)
    };
    let why = if entry.flags & 1 != 0 {
        Some("encrypted; unpack it with its password and run again")
    } else if !matches!(entry.method, 0 | 8) {
        Some("compressed in a way that is not read; unpack it and run again")
    } else if entry.method == 0 && entry.packed != entry.size {
        Some(DAMAGED)
    } else {
        None
    };
    if entry.mode & 0o170_000 == 0o120_000 {
        return refuse(entry, "symlink", "a link in an archive, not followed");
    }
    if let Some(why) = why {
        return refuse(entry, REFUSED, why);
    }
    let begin = data_begin(file, entry.local.saturating_add(directory.before));
    let end = begin.and_then(|begin| begin.checked_add(entry.packed));
    let (Some(begin), Some(end)) = (begin, end.filter(|&end| end <= len)) else {
        return refuse(entry, REFUSED, DAMAGED);
    };
    let Some(rest) = left.checked_sub(entry.size) else {
        let why = "it unpacks to more than --max-unpack allows";
        return refuse(entry, REFUSED, why);
    };
    *left = rest;
    let packing = Packing::Zip {
        deflated: entry.method == 8,
        crc: entry.crc,
        size: entry.size,
    };
    let packed = Packed::new(
        PathBuf::from(path),
        (begin, entry.packed),
        packing,
        entry.size,
    );
    let member = Member {
        name: entry.name,
        origin: Origin::packed(packed.sharing(cursors)).with_time(entry.modified),
        len: entry.size,
        found: UNJUDGED,
    };
    (member, Some((begin, end)))
}

/// Of members that share bytes only the first is read: no honest archive has such, and bombs do.
fn refuse_overlaps(mut places: Vec<(u64, u64, usize)>, members: &mut [Member]) {
    places.sort_unstable();
    let mut reached = 0;
    for (begin, end, index) in places {
        if begin < reached
            && end > begin
            && let Some(member) = members.get_mut(index)
        {
            let why = "it shares its bytes with another member";
            member.found = Judgement::Unread(REFUSED, why);
        }
        reached = reached.max(end);
    }
}

fn directory(file: &File, len: u64) -> Option<Directory> {
    let tail_len = len.min(22 + 0xffff + 20);
    let tail_at = len - tail_len;
    let tail = bytes_at(file, tail_at, tail_len)?;
    let found = memchr::memmem::rfind_iter(&tail, END).find(|&at| {
        let comment = number(&tail, at + 20, 2);
        comment.is_some_and(|comment| at as u64 + 22 + comment == tail_len)
    })?;
    let end_at = tail_at + found as u64;
    let mut directory = Directory {
        entries: number(&tail, found + 10, 2)?,
        size: number(&tail, found + 12, 4)?,
        begin: number(&tail, found + 16, 4)?,
        before: 0,
    };
    let mut behind = end_at;
    let locator = end_at
        .checked_sub(20)
        .and_then(|at| bytes_at(file, at, 20))
        .filter(|locator| locator.starts_with(LOCATOR64));
    if let Some(locator) = locator {
        let stated = number(&locator, 8, 8)?;
        // Where bytes precede the archive the place stated is not where it is.
        let usual = end_at.checked_sub(20 + 56);
        let (at, record) = [Some(stated), usual].into_iter().flatten().find_map(|at| {
            let record = bytes_at(file, at, 56)?;
            record.starts_with(END64).then_some((at, record))
        })?;
        directory.entries = number(&record, 32, 8)?;
        directory.size = number(&record, 40, 8)?;
        directory.begin = number(&record, 48, 8)?;
        behind = at;
    }
    let begin = behind.checked_sub(directory.size)?;
    directory.before = begin.checked_sub(directory.begin)?;
    directory.begin = begin;
    Some(directory)
}

fn entry(input: &mut impl Read) -> Option<Entry> {
    let mut fixed = [0; 46];
    input.read_exact(&mut fixed).ok()?;
    if !fixed.starts_with(ENTRY) {
        return None;
    }
    let number = |at, len| number(&fixed, at, len);
    let mut take = |len: u64| {
        let mut bytes = Vec::new();
        input.take(len).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 == len).then_some(bytes)
    };
    let name = take(number(28, 2)?)?;
    let extra = take(number(30, 2)?)?;
    take(number(32, 2)?)?;
    let is_unix = fixed.get(5) == Some(&3);
    let mut entry = Entry {
        name,
        flags: number(8, 2)?,
        method: number(10, 2)?,
        crc: u32::try_from(number(16, 4)?).ok()?,
        packed: number(20, 4)?,
        size: number(24, 4)?,
        local: number(42, 4)?,
        mode: if is_unix { number(38, 4)? >> 16 } else { 0 },
        modified: dos_time(number(14, 2)?, number(12, 2)?),
    };
    extend(&mut entry, &extra);
    Some(entry)
}

/// What extra fields say better: ZIP64 sizes, and Unix time.
fn extend(entry: &mut Entry, mut extra: &[u8]) {
    while let (Some(id), Some(len)) = (number(extra, 0, 2), number(extra, 2, 2)) {
        let end = 4 + usize::try_from(len).unwrap_or(usize::MAX - 4);
        let Some(field) = extra.get(4..end) else {
            return;
        };
        extra = extra.get(end..).unwrap_or_default();
        if id == 1 {
            let mut at = 0;
            for value in [&mut entry.size, &mut entry.packed, &mut entry.local] {
                if *value == 0xffff_ffff
                    && let Some(long) = number(field, at, 8)
                {
                    *value = long;
                    at += 8;
                }
            }
        } else if id == 0x5455 && field.first().is_some_and(|flags| flags & 1 != 0) {
            entry.modified = number(field, 1, 4).unwrap_or(entry.modified);
        }
    }
}

/// A time without a zone, taken for UTC: Unix seconds.
fn dos_time(date: u64, time: u64) -> u64 {
    let part = |value: u64, shift: u32, mask: u64| i8::try_from((value >> shift) & mask).ok();
    let civil = || {
        let year = i16::try_from(1980 + (date >> 9)).ok()?;
        let (month, day) = (part(date, 5, 15)?, part(date, 0, 31)?);
        let (hour, minute) = (part(time, 11, 31)?, part(time, 5, 63)?);
        let second = part(time, 0, 31)? * 2;
        let civil = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        let timestamp = jiff::tz::Offset::UTC.to_timestamp(civil).ok()?;
        u64::try_from(timestamp.as_second()).ok()
    };
    civil().unwrap_or(0)
}

/// Where a member's bytes begin, behind its local header.
fn data_begin(file: &File, local: u64) -> Option<u64> {
    let header = bytes_at(file, local, 30)?;
    if !header.starts_with(LOCAL) {
        return None;
    }
    let (name, extra) = (number(&header, 26, 2)?, number(&header, 28, 2)?);
    local.checked_add(30 + name + extra)
}

fn bytes_at(file: &File, at: u64, len: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes)
}

/// Little-endian.
fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(len)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
    )
}

struct Stretch<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Stretch<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(space.len());
        let got = self
            .file
            .read_at(space.get_mut(..room).unwrap_or_default(), self.at)?;
        self.at += got as u64;
        self.left -= got as u64;
        Ok(got)
    }
}
