//! Files of other programs: compressed ones, stores that are not read, what lies beside mail.

use super::{Judgement, is_message};

/// The word for a compressed file and why it is not read.
pub fn compressed(head: &[u8]) -> Option<(&'static str, &'static str)> {
    const TABLE: &[(&[u8], &str, &str)] = &[
        (
            b"\x1f\x8b",
            "gzip",
            "gzip-compressed; decompress it and run again",
        ),
        (
            b"BZh",
            "bzip2",
            "bzip2-compressed; decompress it and run again",
        ),
        (
            b"\xfd7zXZ\0",
            "xz",
            "xz-compressed; decompress it and run again",
        ),
        (
            b"\x28\xb5\x2f\xfd",
            "zstd",
            "zstd-compressed; decompress it and run again",
        ),
        (
            b"\x04\x22\x4d\x18",
            "lz4",
            "lz4-compressed; decompress it and run again",
        ),
        (
            b"LZIP",
            "lzip",
            "lzip-compressed; decompress it and run again",
        ),
        (
            b"\x1f\x9d",
            "compress",
            "compressed by compress; decompress it and run again",
        ),
        (b"PK\x03\x04", "zip", "ZIP archive; unpack it and run again"),
        (b"PK\x05\x06", "zip", "ZIP archive; unpack it and run again"),
        (
            b"7z\xbc\xaf\x27\x1c",
            "7z",
            "7-Zip archive; unpack it and run again",
        ),
        (
            b"Rar!\x1a\x07",
            "rar",
            "RAR archive; unpack it and run again",
        ),
        (
            b"MSCF\0\0\0\0",
            "cab",
            "cabinet archive; unpack it and run again",
        ),
    ];
    let found = TABLE
        .iter()
        .find(|(magic, ..)| head.starts_with(magic))
        .map(|&(_, word, why)| (word, why));
    // "BZh" is followed by a level, so that a text about BZh is none.
    found.filter(|&(word, _)| {
        word != "bzip2"
            || head
                .get(3)
                .is_some_and(|level| (b'1'..=b'9').contains(level))
    })
}

/// A store of another program.
pub(super) fn foreign(head: &[u8], extension: &str) -> Option<(&'static str, &'static str)> {
    const TABLE: &[(&[u8], &str, &str)] = &[
        (
            b"!BDN",
            "pst",
            "Outlook data file (.pst, .ost) is not read; export it to mbox or .eml",
        ),
        (
            b"\xcf\xad\x12\xfe",
            "dbx",
            "Outlook Express store (.dbx) is not read; export it",
        ),
        (
            b"\x1a\x00\x00\x04\x00\x00",
            "nsf",
            "Notes database (.nsf) is not read; export it",
        ),
        (
            b"SQLite format 3\0",
            "sqlite",
            "SQLite database is not read",
        ),
        (
            b"\x78\x9f\x3e\x22",
            "tnef",
            "TNEF (winmail.dat) is not read",
        ),
        (
            b"\x01\x01\x01\x01\n",
            "mmdf",
            "MMDF mailbox is not read; convert it to mbox",
        ),
        (
            b"\x01\x01\x01\x01\r\n",
            "mmdf",
            "MMDF mailbox is not read; convert it to mbox",
        ),
        (
            b"*mbx*\r\n",
            "mbx",
            "c-client mbx mailbox is not read; convert it to mbox",
        ),
        (
            b"BABYL OPTIONS:",
            "babyl",
            "Babyl mailbox is not read; convert it to mbox",
        ),
        (
            b"\x21\x09\x70\x19",
            "tbb",
            "The Bat! message base is not read; export it",
        ),
        (
            b"\x01\x02",
            "dbox",
            "Dovecot dbox is not read; convert it with doveadm",
        ),
    ];
    if let Some(&(_, word, why)) = TABLE.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return Some((word, why));
    }
    // Dovecot's sdbox and mdbox: a line "2 M… C…", then a message head of 0x01 0x02.
    let dbox_head = head.get(..head.len().min(256)).unwrap_or_default();
    if dbox_head.starts_with(b"2 M") && memchr::memmem::find(dbox_head, b"\n\x01\x02").is_some() {
        return Some(("dbox", "Dovecot dbox is not read; convert it with doveadm"));
    }
    if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
        && !matches!(extension, "doc" | "xls" | "ppt" | "msi" | "vsd")
    {
        return Some((
            "msg",
            "Outlook message (.msg) is not read; export it as .eml",
        ));
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(("tar", "tar archive; unpack it and run again"));
    }
    if head.get(4..8) == Some(b"\xef\xcd\xab\x89") {
        return Some(("edb", "Exchange database (.edb) is not read; export it"));
    }
    // Apple Mail: a line with the message's length, then the message.
    let line = memchr::memchr(b'\n', head.get(..head.len().min(24))?)?;
    let (count, rest) = head.split_at(line);
    let digits = count.trim_ascii();
    if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) && is_message(rest.get(1..)?) {
        return Some((
            "emlx",
            "Apple Mail message (.emlx) is not read; export it as mbox",
        ));
    }
    None
}

/// Whether a ZIP is a document: its first entry is one that the office formats begin with.
pub(super) fn is_document(head: &[u8]) -> bool {
    let name = head.get(30..).unwrap_or_default();
    [
        &b"[Content_Types].xml"[..],
        b"mimetype",
        b"META-INF/",
        b"_rels/",
        b"word/",
        b"xl/",
        b"ppt/",
        b"docProps/",
    ]
    .iter()
    .any(|entry| name.starts_with(entry))
}

/// What mail programs keep beside mail. Indexes name offsets, sizes and UIDs that a changed
/// archive no longer has, and are rebuilt by their programs; the rest is the user's.
pub(super) fn known_by_name(name: &str) -> Option<Judgement> {
    const CARRIED: &[&str] = &[
        "dovecot-keywords",
        "dovecot-acl",
        "dovecot-acl-list",
        "subscriptions",
        "maildirfolder",
        "courierimapsubscribed",
        "courierimapacl",
        "courierimapkeywords",
        ".mailboxlist",
        ".subscriptions",
        "shared-maildirs",
    ];
    const INDEXES: &[&str] = &[
        "dovecot-uidlist",
        "dovecot-uidlist.lock",
        "courierimapuiddb",
        "courierpop3dsizelist",
        "courierimaphieracl",
        "maildirsize",
        "dovecot.list.index",
        "dovecot.mailbox.log",
        "dovecot.mailbox.log.2",
        ".uidvalidity",
    ];
    const INDEX_PREFIXES: &[&str] = &[
        "dovecot.index",
        "dovecot-uidvalidity",
        "dovecot.list.index",
        "dovecot.map.index",
    ];
    if CARRIED.contains(&name) {
        return Some(Judgement::Ordinary("mail-settings"));
    }
    if INDEXES.contains(&name) || INDEX_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Some(Judgement::Index(if name.starts_with("dovecot") {
            "dovecot-index"
        } else {
            "mail-index"
        }));
    }
    None
}
