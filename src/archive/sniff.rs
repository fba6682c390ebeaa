//! What a file is, told by its first bytes; its name is asked only where content cannot tell.

mod foreign;

use std::path::Path;

pub use foreign::compressed;
use foreign::{foreign, is_document, known_by_name};

use super::{Kind, from_line, header};

/// How many bytes of a file a judgement needs.
pub const HEAD_BYTES: usize = 64 << 10;

/// Why a compressed file is not read.
pub(super) const PACKED_DAMAGED: &str = "compressed, and damaged from the start";
/// The word for a document that holds messages: it is no archive of them, and yet shows them.
pub(super) const WITH_MAIL: &str = "document-with-mail";
/// The word for a document.
pub(super) const DOCUMENT: &str = "document";
pub(super) const PACKED_TWICE: &str = "compressed twice; decompress it and run again";

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
            Judgement::Ordinary(DOCUMENT)
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
        // A damaged object is still one: its outcome says what is wrong with it.
        "p7m" | "p7s" | "p7c" | "p7b" | "cms" if head.first() == Some(&0x30) => {
            Judgement::Mail(Kind::Cms)
        }
        "p7m" | "p7s" | "p7c" | "p7b" | "cms" => Judgement::Unread(
            "cms",
            "named like a CMS object, but does not begin like one",
        ),
        _ if head.contains(&0) => Judgement::Ordinary("binary"),
        _ => Judgement::Ordinary("text"),
    }
}

/// What a stream is that is neither a message nor an mbox nor a CMS object: a word for people.
pub(super) fn not_a_message(head: &[u8]) -> Option<&'static str> {
    match compressed(head).or_else(|| foreign(head, "")) {
        Some((word, _)) => Some(word),
        None if is_mbox(head) || is_message(head) || is_cms(head) => None,
        None => head.contains(&0).then_some("binary"),
    }
}

/// Whether `head` begins a ZIP archive that is no document of an office program.
pub(super) fn is_zip(head: &[u8]) -> bool {
    compressed(head).is_some_and(|(word, _)| word == "zip") && !is_document(head)
}

/// Whether `head` begins a tar archive.
pub(super) fn is_tar(head: &[u8]) -> bool {
    foreign(head, "").is_some_and(|(word, _)| word == "tar")
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

    #[test]
    fn every_case_of_the_corpora_is_mail() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
        let Ok(table) = std::fs::read_to_string(corpora.join("cases.tsv")) else {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "skipped: ../shared/corpora is absent");
            return;
        };
        let mut other = Vec::new();
        for row in table.lines().skip(1) {
            let path = row.split('\t').nth(1).unwrap();
            let Ok(bytes) = std::fs::read(corpora.join(path)) else {
                continue;
            };
            for end in 0..bytes.len().min(2000) {
                let _ = judge(&bytes[..end], Path::new(path));
            }
            if !matches!(judge(&bytes, Path::new(path)), Judgement::Mail(_)) {
                other.push(path.to_string());
            }
        }
        // A list of SignerInfos without the object around it: nothing says that it is mail.
        let fragment = "rustcrypto/cms/tests/examples/signer_info_sequence_not_set.bin";
        other.retain(|path| path != fragment);
        assert_eq!(other, Vec::<String>::new());
    }
}
