//! What a file is, told by its first bytes; its name is asked only where content cannot tell.

use std::path::Path;

use super::{Kind, from_line, header};

/// How many bytes of a file a judgement needs.
pub const HEAD_BYTES: usize = 64 << 10;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Mail that can be read.
    Mail(Kind),
    /// Not mail: an ordinary file, with a word for it.
    Ordinary(&'static str),
    /// Mail, or what may hold mail, in a form that is not read: a word for it, and why.
    Unread(&'static str, &'static str),
    /// An index that another program keeps about mail, and that a changed archive makes wrong.
    Index(&'static str),
}

/// Judges a file by `head`, its first [`HEAD_BYTES`] or all of it, and where that says nothing by
/// its name.
pub fn judge(head: &[u8], path: &Path) -> Judgement {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    if let Some((word, why)) = compressed(head) {
        return if word == "zip" && is_document(head) {
            Judgement::Ordinary("document")
        } else {
            Judgement::Unread(word, why)
        };
    }
    if let Some((word, why)) = foreign(head, &extension) {
        return Judgement::Unread(word, why);
    }
    if is_mbox(head) {
        return Judgement::Mail(Kind::Mbox);
    }
    if let Some(judgement) = known_by_name(&name) {
        return judgement;
    }
    if head.is_empty() {
        let may_be_mbox = extension == "mbox" || (extension.is_empty() && !name.starts_with('.'));
        return if may_be_mbox {
            Judgement::Mail(Kind::Mbox)
        } else {
            Judgement::Ordinary("empty")
        };
    }
    if is_message(head) {
        return Judgement::Mail(Kind::Eml);
    }
    if is_cms(head) {
        return Judgement::Mail(Kind::Cms);
    }
    match extension.as_str() {
        "eml" => Judgement::Unread("eml", "named .eml, but does not begin like a message"),
        "mbox" => Judgement::Unread("mbox", "named .mbox, but does not begin like one"),
        "p7m" | "p7s" | "p7c" | "p7b" => Judgement::Unread(
            "cms",
            "named like a CMS object, but does not begin like one",
        ),
        _ if head.contains(&0) => Judgement::Ordinary("binary"),
        _ => Judgement::Ordinary("text"),
    }
}

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
fn foreign(head: &[u8], extension: &str) -> Option<(&'static str, &'static str)> {
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
fn is_document(head: &[u8]) -> bool {
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
fn known_by_name(name: &str) -> Option<Judgement> {
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

/// How many bytes of byte order mark and blank lines `head` begins with.
pub(crate) fn leading_blanks(head: &[u8]) -> usize {
    let mark = if head.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    let rest = head.get(mark..).unwrap_or_default();
    mark + rest
        .iter()
        .position(|b| !matches!(b, b'\r' | b'\n'))
        .unwrap_or(rest.len())
}

/// Whether the first line that is not blank is a From_ line: one with a date, or any with a
/// header behind it.
pub fn is_mbox(head: &[u8]) -> bool {
    let text = head.get(leading_blanks(head)..).unwrap_or_default();
    if !text.starts_with(b"From ") {
        return false;
    }
    let mut lines = text.split_inclusive(|&b| b == b'\n');
    let Some(first) = lines
        .next()
        .filter(|line| line.len() <= from_line::MAX_LINE)
    else {
        return false;
    };
    if from_line::parse(first).is_some() {
        return true;
    }
    let second = lines.next().is_some_and(header::starts_header);
    let third = lines.next().is_none_or(|line| {
        header::starts_header(line) || line.first().is_some_and(u8::is_ascii_whitespace)
    });
    second && third
}

/// Whether `head` begins like an RFC 5322 message: header fields, one of them a field of mail.
pub fn is_message(head: &[u8]) -> bool {
    let text = head.get(leading_blanks(head)..).unwrap_or_default();
    let (mut fields, mut of_mail, mut content_type) = (0, 0, false);
    for line in text.split_inclusive(|&b| b == b'\n') {
        let folded = matches!(line.first(), Some(b' ' | b'\t')) && fields > 0;
        if line.trim_ascii().is_empty() {
            break;
        }
        if folded || line.starts_with(b">From ") {
            continue;
        }
        let Some(name) = header::field_name(line) else {
            // A header may lack its blank line; a text may not pass for one by a single colon.
            return fields >= 3 && of_mail >= 2;
        };
        fields += 1;
        of_mail += u32::from(is_mail_field(name));
        content_type |= [
            &b"Content-Type"[..],
            b"MIME-Version",
            b"Received",
            b"Return-Path",
            b"From",
        ]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known));
    }
    of_mail >= 1 && (fields >= 2 || content_type)
}

fn is_mail_field(name: &[u8]) -> bool {
    const FIELDS: &[&[u8]] = &[
        b"From",
        b"To",
        b"Cc",
        b"Bcc",
        b"Subject",
        b"Date",
        b"Received",
        b"Message-ID",
        b"Return-Path",
        b"MIME-Version",
        b"Content-Type",
        b"Content-Transfer-Encoding",
        b"Delivered-To",
        b"Sender",
        b"Reply-To",
        b"In-Reply-To",
        b"References",
        b"DKIM-Signature",
        b"X-Mailer",
        b"X-Original-To",
        b"Envelope-To",
        b"Delivery-Date",
        b"Resent-From",
        b"Status",
        b"X-Mozilla-Status",
        b"Newsgroups",
        b"Content-Disposition",
    ];
    FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field))
}

/// Whether `head` begins like a CMS object (RFC 5652 §3): a SEQUENCE and one of the content types
/// of PKCS #7 or S/MIME, or the PEM label of one, at most a page of text before it.
pub fn is_cms(head: &[u8]) -> bool {
    is_der_cms(head) || is_pem_cms(head)
}

fn is_der_cms(head: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = head else {
        return false;
    };
    let skip = if *length < 0x80 {
        0
    } else {
        usize::from(length & 0x7f)
    };
    if skip > 8 {
        return false;
    }
    let Some(oid) = rest.get(skip..) else {
        return false;
    };
    // 1.2.840.113549.1.7.x and 1.2.840.113549.1.9.16.1.x
    oid.starts_with(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07")
        || oid.starts_with(b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01")
}

fn is_pem_cms(head: &[u8]) -> bool {
    // The last two are gpgsm's.
    const LABELS: &[&[u8]] = &[
        b"PKCS7",
        b"CMS",
        b"PKCS #7 SIGNED DATA",
        b"SIGNED MESSAGE",
        b"ENCRYPTED MESSAGE",
    ];
    const BEGIN: &[u8] = b"-----BEGIN ";
    let page = head.get(..head.len().min(4096)).unwrap_or_default();
    page.split(|&b| b == b'\n').any(|line| {
        let label = line
            .trim_ascii_end()
            .strip_prefix(BEGIN)
            .and_then(|line| line.strip_suffix(b"-----"));
        label.is_some_and(|label| LABELS.contains(&label))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(head: &[u8], name: &str) -> Judgement {
        judge(head, Path::new(name))
    }

    #[test]
    fn content_decides_before_the_name() {
        let mail = b"From: a@b.c\nTo: d@e.f\n\nhello";
        assert_eq!(kind(mail, "notes.txt"), Judgement::Mail(Kind::Eml));
        assert_eq!(
            kind(b"From a@b.c Thu Jul 16 03:13:49 1998\nTo: x\n\n", "a.pdf"),
            Judgement::Mail(Kind::Mbox)
        );
        assert_eq!(
            kind(b"\r\n\nFrom nobody\nSubject: x\n\n", "a"),
            Judgement::Mail(Kind::Mbox)
        );
        assert_eq!(
            kind(
                b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0",
                "x.bin"
            ),
            Judgement::Mail(Kind::Cms)
        );
        assert_eq!(
            kind(b"-----BEGIN PKCS7-----\nMII", "x"),
            Judgement::Mail(Kind::Cms)
        );
        assert_eq!(
            kind(b"-----BEGIN CERTIFICATE-----\nMII", "x.pem"),
            Judgement::Ordinary("text")
        );
    }

    #[test]
    fn text_is_not_mail() {
        for text in [
            &b"From here on, all is well: really\n\nyes"[..],
            b"Dear all,\n\nSubject: none",
            b"note: buy milk\n\n",
            b"Subject: a title and nothing else\n\ntext",
            b"key: value\nother: value\n\n",
        ] {
            assert_eq!(
                kind(text, "x.txt"),
                Judgement::Ordinary("text"),
                "{}",
                String::from_utf8_lossy(text)
            );
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        let unread = |head: &[u8], name: &str| match kind(head, name) {
            Judgement::Unread(word, _) => word,
            other => panic!("{other:?}"),
        };
        assert_eq!(unread(b"\x1f\x8b\x08", "a.eml"), "gzip");
        assert_eq!(unread(b"!BDN....", "a.pst"), "pst");
        assert_eq!(unread(b"2 M1a C4b5\n\x01\x02N ", "u.1"), "dbox");
        assert_eq!(unread(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a"), "msg");
        assert_eq!(
            unread(b"123       \nFrom: a@b\nTo: c\n\n", "1.emlx"),
            "emlx"
        );
        assert_eq!(unread(b"hello", "a.eml"), "eml");
        assert_eq!(
            kind(
                b"PK\x03\x04..........................[Content_Types].xml",
                "a.docx"
            ),
            Judgement::Ordinary("document")
        );
        assert_eq!(
            kind(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "a.doc"),
            Judgement::Ordinary("binary")
        );
    }

    #[test]
    fn empty_files_are_judged_by_name() {
        assert_eq!(kind(b"", "INBOX"), Judgement::Mail(Kind::Mbox));
        assert_eq!(kind(b"", "a.mbox"), Judgement::Mail(Kind::Mbox));
        assert_eq!(kind(b"", "a.eml"), Judgement::Ordinary("empty"));
        assert_eq!(
            kind(b"", "maildirfolder"),
            Judgement::Ordinary("mail-settings")
        );
        assert_eq!(
            kind(b"", "dovecot.index.cache"),
            Judgement::Index("dovecot-index")
        );
    }
}
