//! A tree is discovered and read.

mod written;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::*;
use crate::fsio;
use crate::message::rewrite::Piece;

/// Says that Python did not judge; a failure where peers are required.
pub(super) fn python_is_absent() {
    let _ = writeln!(std::io::stderr(), "skipped: python3 is not installed");
    let required = std::env::var("P7MILL_REQUIRE_PEERS").is_ok_and(|value| value == "1");
    assert!(!required, "python3 is required");
}

const FROM: &str = "From a@b.c Thu Jul 16 03:13:49 1998\n";

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fsio::create(path).unwrap().write_all(bytes).unwrap();
}

fn mail(subject: &str) -> Vec<u8> {
    format!("From: a@b.c\nSubject: {subject}\n\nbody of {subject}\n").into_bytes()
}

/// A tree with one of everything.
fn tree(root: &Path) {
    let mbox = format!(
        "{FROM}Subject: 1\n\none\n\n{FROM}Subject: 2\nContent-Length: 9\nLines: 1\n\ntwo\n\n{FROM}Subject: 3\n\nthree"
    );
    put(&root.join("INBOX"), mbox.as_bytes());
    put(&root.join("Drafts"), b"");
    put(&root.join("deep/er/one.eml"), &mail("eml"));
    put(
        &root.join("deep/smime.p7m"),
        b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0\x80\0\0\0\0",
    );
    put(&root.join("notes.txt"), b"hello\n");
    put(&root.join("old.mbox.gz"), b"\x1f\x8b\x08rest");
    let maildir = root.join("Mail");
    put(&maildir.join("cur/200.M2.host,S=33,W=36:2,RS"), &mail("c"));
    put(&maildir.join("cur/100.M1.host:2,"), &mail("a"));
    put(&maildir.join("cur/300.M3.host:2,S"), b"\x1f\x8b\x08zipped");
    put(&maildir.join("new/150.M9.host"), &mail("b"));
    put(&maildir.join("tmp/400.half"), b"ha");
    put(&maildir.join("dovecot-keywords"), b"0 Important\n");
    put(&maildir.join("dovecot-uidlist"), b"3 V1 N2\n");
    put(&maildir.join("dovecot.index.cache"), b"x");
    put(&maildir.join("maildirfolder"), b"");
    put(&maildir.join(".Sent.2019/cur/1.x:2,S"), &mail("sent"));
    fs::create_dir_all(maildir.join(".Sent.2019/new")).unwrap();
    put(&maildir.join("Sub/cur/1.y:2,S"), &mail("sub"));
    fs::create_dir_all(maildir.join("Sub/new")).unwrap();
    symlink("/etc/passwd", root.join("out-link")).unwrap();
    symlink("INBOX", root.join("in-link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("fifo"), 0o600.into()).unwrap();
}

fn statuses(found: &Found) -> Vec<(String, String, FileStatus)> {
    found
        .files
        .iter()
        .map(|f| (f.name.clone(), f.kind.clone(), f.status))
        .collect()
}

#[test]
fn every_file_is_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("Post");
    tree(&root);
    let found = discover(&[root], &Limits::default()).unwrap();
    let mailboxes: Vec<_> = found
        .mailboxes
        .iter()
        .map(|m| (m.name.as_str(), m.kind))
        .collect();
    assert_eq!(
        mailboxes,
        [
            ("Post/Drafts", Kind::Mbox),
            ("Post/INBOX", Kind::Mbox),
            ("Post/Mail", Kind::Maildir),
            ("Post/Mail/.Sent.2019", Kind::Maildir),
            ("Post/Mail/Sub", Kind::Maildir),
            ("Post/deep/er/one.eml", Kind::Eml),
            ("Post/deep/smime.p7m", Kind::Cms),
        ]
    );
    let rest: Vec<_> = statuses(&found)
        .into_iter()
        .filter(|(.., status)| *status != FileStatus::Read)
        .map(|(name, kind, status)| {
            let status = match status {
                FileStatus::Read => "read",
                FileStatus::Copied => "copied",
                FileStatus::Skipped(_) => "skipped",
                FileStatus::Dropped(_) => "dropped",
                FileStatus::Unpacked(_) => "unpacked",
            };
            format!("{} {kind} {status}", name.trim_start_matches("Post/"))
        })
        .collect();
    assert_eq!(
        rest,
        [
            "Mail/cur/300.M3.host:2,S gzip skipped",
            "Mail/dovecot-keywords mail-settings copied",
            "Mail/dovecot-uidlist dovecot-index dropped",
            "Mail/dovecot.index.cache dovecot-index dropped",
            "Mail/maildirfolder mail-settings copied",
            "Mail/tmp/400.half maildir-tmp dropped",
            "fifo fifo skipped",
            "in-link symlink skipped",
            "notes.txt text copied",
            "old.mbox.gz gzip skipped",
            "out-link symlink skipped",
        ]
    );
}

#[test]
fn named_paths_are_judged_as_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    put(&at("a/mail.txt"), &mail("x"));
    put(&at("b/mail.txt"), &mail("y"));
    let Err(Error::Usage(text)) =
        discover(&[at("a/mail.txt"), at("b/mail.txt")], &Limits::default())
    else {
        panic!()
    };
    assert!(text.contains("mail.txt"));
    let Err(Error::Usage(text)) = discover(&[at("nowhere")], &Limits::default()) else {
        panic!()
    };
    assert!(text.contains("nowhere"));
    assert_eq!(
        discover(&[at("a/mail.txt")], &Limits::default())
            .unwrap()
            .mailboxes[0]
            .kind,
        Kind::Eml
    );
    // A root that is a link is followed, and keeps the link's name.
    symlink(at("a"), at("link")).unwrap();
    assert_eq!(
        discover(&[at("link")], &Limits::default())
            .unwrap()
            .mailboxes[0]
            .name,
        "link/mail.txt"
    );
    assert_eq!(
        discover(&[at("a/.")], &Limits::default())
            .unwrap()
            .mailboxes[0]
            .name,
        "a/mail.txt"
    );
    assert_eq!(
        discover(&[at("a/../b")], &Limits::default())
            .unwrap()
            .mailboxes[0]
            .name,
        "b/mail.txt"
    );
}

#[test]
fn a_tree_deeper_than_any_stack_is_walked() {
    let dir = tempfile::tempdir().unwrap();
    let deep = vec!["d"; 1500].join("/");
    fs::create_dir_all(dir.path().join("r").join(&deep)).unwrap();
    put(
        &dir.path().join("r").join(&deep).join("a.eml"),
        &mail("deep"),
    );
    assert_eq!(
        discover(&[dir.path().join("r")], &Limits::default())
            .unwrap()
            .mailboxes
            .len(),
        1
    );
}

#[test]
fn a_maildir_is_read_in_order_of_delivery_with_its_flags() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    let mailbox = Mailbox::new("Mail".into(), dir.path().join("Mail"), Kind::Maildir);
    let messages: Vec<_> = mailbox
        .messages(&Limits::default())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let seen: Vec<_> = messages
        .iter()
        .map(|m| {
            (
                m.locator.ordinal,
                m.meta.file.clone().unwrap(),
                m.meta.flags.as_str(),
                m.meta.received,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (1, PathBuf::from("cur/100.M1.host:2,"), "", Some(100)),
            (2, PathBuf::from("new/150.M9.host"), "", Some(150)),
            (
                3,
                PathBuf::from("cur/200.M2.host,S=33,W=36:2,RS"),
                "RS",
                Some(200)
            ),
        ]
    );
    assert_eq!(messages[1].content.bytes().unwrap(), mail("b"));
}

#[test]
fn a_message_that_is_renamed_while_reading_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    let path = dir.path().join("Mail");
    let mailbox = Mailbox::new("Mail".into(), path.clone(), Kind::Maildir);
    let mut messages = mailbox.messages(&Limits::default()).unwrap();
    messages.next().unwrap().unwrap();
    fs::rename(
        path.join("new/150.M9.host"),
        path.join("cur/150.M9.host:2,S"),
    )
    .unwrap();
    fs::remove_file(path.join("cur/200.M2.host,S=33,W=36:2,RS")).unwrap();
    put(&path.join("new/999.late"), &mail("late"));
    let moved = messages.next().unwrap().unwrap();
    assert_eq!(
        moved.meta.file.as_deref(),
        Some(Path::new("cur/150.M9.host:2,S"))
    );
    assert!(messages.next().unwrap().is_err());
    assert!(messages.next().is_none());
}

#[test]
fn standard_input_is_one_message_or_an_mbox() {
    let read = |bytes: &[u8]| {
        let input = std::io::Cursor::new(bytes.to_vec());
        let (kind, messages) = stdin_messages(
            input,
            &Limits {
                message_bytes: 100_000,
                ..Limits::default()
            },
        )?;
        messages
            .collect::<Result<Vec<_>>>()
            .map(|messages| (kind, messages))
    };
    let (kind, messages) = read(&mail("x")).unwrap();
    assert_eq!(
        (kind, messages[0].content.bytes().unwrap()),
        (Kind::Eml, &mail("x")[..])
    );
    let (kind, messages) = read(format!("{FROM}A: b\n\nx\n\n{FROM}A: c\n\n").as_bytes()).unwrap();
    assert_eq!((kind, messages.len()), (Kind::Mbox, 2));
    assert_eq!(messages[1].locator.to_string(), "-:2@45+5");
    assert!(matches!(read(b""), Err(Error::Usage(_))));
    assert!(matches!(read(&vec![b'x'; 200_000]), Err(Error::Usage(_))));
}

#[test]
fn messages_may_be_read_by_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Messages>();
    is_send::<MailboxWriter>();
}
