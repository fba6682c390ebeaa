//! What was read is written back.

use super::*;

/// Everything below `dir`: path, bytes, modification time.
fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>, i64, i64)> {
    let mut files: Vec<_> = walkdir::WalkDir::new(dir)
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|e| e.file_type().is_file())
        .map(|e| {
            let m = e.metadata().unwrap();
            (
                e.path().strip_prefix(dir).unwrap().to_path_buf(),
                fs::read(e.path()).unwrap(),
                m.mtime(),
                m.mtime_nsec(),
            )
        })
        .collect();
    files.sort();
    files
}

fn copy_all(found: &Found, out: &Path) {
    for mailbox in &found.mailboxes {
        let mut writer = MailboxWriter::open(out, &out.join(".parts"), mailbox, None).unwrap();
        for raw in mailbox.messages(&Limits::default()).unwrap() {
            let raw = raw.unwrap();
            let mut hashed = Vec::new();
            let written = writer
                .append(&raw, None, &mut |bytes| hashed.extend_from_slice(bytes))
                .unwrap();
            assert_eq!(hashed, raw.content.bytes().unwrap());
            assert_eq!(
                (written.ordinal, written.offset, written.bytes),
                (raw.locator.ordinal, raw.locator.offset, raw.locator.bytes)
            );
        }
        writer.finish().unwrap();
    }
    for file in found.files.iter().filter(|f| f.is_copied()) {
        copy_file(out, file, &mut |_| {}).unwrap();
    }
    fs::remove_dir_all(out.join(".parts")).unwrap();
}

#[test]
fn what_is_not_changed_is_written_as_it_was_found() {
    let dir = tempfile::tempdir().unwrap();
    let (root, out) = (dir.path().join("Post"), dir.path().join("out"));
    tree(&root);
    let before = snapshot(&root);
    let found = discover(std::slice::from_ref(&root), &Limits::default()).unwrap();
    copy_all(&found, &out);
    let dropped = [
        "Mail/dovecot-uidlist",
        "Mail/dovecot.index.cache",
        "Mail/tmp/400.half",
    ];
    let expected: Vec<_> = before
        .iter()
        .filter(|f| !dropped.contains(&f.0.to_str().unwrap()))
        .cloned()
        .collect();
    assert_eq!(snapshot(&out.join("Post")), expected);
    assert_eq!(snapshot(&root), before);
    assert!(out.join("Post/Mail/.Sent.2019/tmp").is_dir());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (
            mode(&out.join("Post/INBOX")),
            mode(&out.join("Post/Mail/cur"))
        ),
        (0o600, 0o700)
    );
    // What was written is found and read alike.
    let again = discover(&[out.join("Post")], &Limits::default()).unwrap();
    assert_eq!(again.mailboxes.len(), found.mailboxes.len());
}

fn change(body: &str) -> Vec<Piece> {
    vec![Piece::Owned(
        format!("Subject: new\nContent-Length: 1\n\n{body}").into_bytes(),
    )]
}

#[test]
fn a_changed_message_stays_one_message_and_leaves_the_others_alone() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    let mailbox = Mailbox::new("INBOX".into(), dir.path().join("INBOX"), Kind::Mbox);
    let out = dir.path().join("out");
    let messages: Vec<_> = mailbox
        .messages(&Limits::default())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(messages.len(), 3);
    for changed in 0..3 {
        let mut writer = MailboxWriter::open(&out, &out.join(".parts"), &mailbox, None).unwrap();
        let edits = change(&format!("see\n\n{FROM}X: y\n\nend"));
        let mut places = Vec::new();
        for (n, raw) in messages.iter().enumerate() {
            places.push(
                writer
                    .append(raw, (n == changed).then_some(&edits[..]), &mut |_| {})
                    .unwrap(),
            );
        }
        writer.finish().unwrap();
        let made = Mailbox::new("INBOX".into(), out.join("INBOX"), Kind::Mbox);
        let made: Vec<_> = made
            .messages(&Limits::default())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(made.len(), 3);
        for (n, (new, old)) in made.iter().zip(&messages).enumerate() {
            assert_eq!(
                (new.locator.offset, new.locator.bytes),
                (places[n].offset, places[n].bytes)
            );
            if n == changed {
                let text = String::from_utf8_lossy(new.content.bytes().unwrap()).into_owned();
                assert!(text.contains("\n>From a@b.c"), "{text}");
                let body = text.split_once("\n\n").unwrap().1;
                assert!(
                    text.contains(&format!("Content-Length: {}\n", body.len())),
                    "{text}"
                );
            } else {
                assert_eq!((&new.lead, &new.content), (&old.lead, &old.content));
            }
        }
    }
}

#[test]
fn a_maildir_name_states_the_new_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let (source, out) = (dir.path().join("Mail"), dir.path().join("out"));
    for name in [
        "cur/1.a,S=10,W=12:2,S",
        "cur/1.a,S=11,W=12:2,S",
        "new/2.b,S=9,X=S=9",
        "cur/3.c:2,T",
    ] {
        put(&source.join(name), &mail(name));
    }
    let mailbox = Mailbox::new("Mail".into(), source, Kind::Maildir);
    let mut writer = MailboxWriter::open(&out, &out.join(".parts"), &mailbox, None).unwrap();
    let mut written = Vec::new();
    for raw in mailbox.messages(&Limits::default()).unwrap() {
        let raw = raw.unwrap();
        let edits = [Piece::Owned(b"A: b\r\n\nFrom x\n".to_vec())];
        written.push(writer.append(&raw, Some(&edits), &mut |_| {}).unwrap().path);
    }
    // Nothing has a final name before it is durable.
    assert_eq!(snapshot(&out.join("Mail/cur")).len(), 0);
    writer.finish().unwrap();
    assert_eq!(
        written,
        [
            "Mail/cur/1.a.p1,S=14,W=16:2,S",
            "Mail/cur/1.a.p2,S=14,W=16:2,S",
            "Mail/new/2.b,S=14,X=S=9",
            "Mail/cur/3.c:2,T"
        ]
    );
    for path in &written {
        assert_eq!(fs::read(out.join(path)).unwrap(), b"A: b\r\n\nFrom x\n");
    }
    assert_eq!(snapshot(&out.join("Mail/tmp")).len(), 0);
}

#[test]
fn a_stopped_writer_is_continued_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    let (out, golden) = (dir.path().join("out"), dir.path().join("golden"));
    for (name, kind) in [
        ("INBOX", Kind::Mbox),
        ("Mail", Kind::Maildir),
        ("deep/er/one.eml", Kind::Eml),
    ] {
        let mailbox = Mailbox::new(name.into(), dir.path().join(name), kind);
        let messages: Vec<_> = mailbox
            .messages(&Limits::default())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let write = |out: &Path, resume: Option<(u64, u64)>, upto: usize, finish: bool| {
            let mut writer =
                MailboxWriter::open(out, &out.join(".parts"), &mailbox, resume).unwrap();
            let mut ends = vec![resume.unwrap_or_default()];
            let skip = usize::try_from(ends[0].0).unwrap();
            for raw in messages.iter().take(upto).skip(skip) {
                let written = writer.append(raw, None, &mut |_| {}).unwrap();
                ends.push((written.ordinal, written.end));
            }
            if finish {
                writer.finish().unwrap();
            } else {
                writer.sync().unwrap();
            }
            ends
        };
        let ends = write(&golden, None, usize::MAX, true);
        for (stop, &committed) in ends.iter().enumerate() {
            for finish in [false, true] {
                // Committed up to `stop`, but one message more may have been written.
                write(&out, None, stop + 1, finish && stop + 1 >= messages.len());
                write(&out, Some(committed), usize::MAX, true);
                assert_eq!(
                    snapshot(&out.join(name)),
                    snapshot(&golden.join(name)),
                    "{name} {stop} {finish}"
                );
                let _ = fs::remove_dir_all(&out);
            }
        }
    }
}

#[test]
fn nothing_is_written_outside_the_output() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("box"), b"");
    for name in [
        "../box",
        "a/../../b",
        "/etc/x",
        "",
        ".",
        "a//b",
        "./a",
        "a/\\x2e\\x2e/\\x2e\\x2e/b",
        "a\\x00b",
    ] {
        let mailbox = Mailbox::new(name.into(), dir.path().join("box"), Kind::Mbox);
        let opened = MailboxWriter::open(
            &dir.path().join("out"),
            &dir.path().join("out/p"),
            &mailbox,
            None,
        );
        assert!(matches!(opened, Err(Error::Usage(_))), "{name}");
    }
    let mailbox = Mailbox::new("m".into(), dir.path().to_path_buf(), Kind::Maildir);
    let mut writer = MailboxWriter::open(
        &dir.path().join("out"),
        &dir.path().join("out/p"),
        &mailbox,
        None,
    )
    .unwrap();
    let raw = RawMessage {
        locator: Locator {
            mailbox: "m".into(),
            ordinal: 1,
            offset: 0,
            bytes: 0,
        },
        lead: Vec::new(),
        content: Content::Bytes(Vec::new()),
        trail: Vec::new(),
        meta: Meta {
            file: Some("cur/../../../x".into()),
            ..Meta::default()
        },
    };
    assert!(writer.append(&raw, None, &mut |_| {}).is_err());
}

/// Whether it is in memory or not: quoted, its lengths made true, ended so that the next is found.
#[test]
fn a_large_message_is_changed_as_one_in_memory_is() {
    let dir = tempfile::tempdir().unwrap();
    let text = "x".repeat(3 << 20);
    let large = format!("{FROM}Lines: 1\nA: b\n\n{text}\n\n{FROM}A: c\n\n");
    put(&dir.path().join("box"), large.as_bytes());
    let mailbox = Mailbox::new("box".into(), dir.path().join("box"), Kind::Mbox);
    let edits = [
        Piece::Source(0..15),
        Piece::Owned(b"\nFrom here\n".to_vec()),
        Piece::Source(20..1000),
        Piece::Owned(b"\n>From there".to_vec()),
    ];
    let written = [1000, 100 << 20].map(|message_bytes| {
        let out = dir.path().join(message_bytes.to_string());
        let mut writer = MailboxWriter::open(&out, &out.join("p"), &mailbox, None).unwrap();
        let limits = Limits {
            message_bytes,
            ..Limits::default()
        };
        let raw = mailbox.messages(&limits).unwrap().next().unwrap().unwrap();
        assert_eq!(raw.content.bytes().is_none(), message_bytes == 1000);
        writer.append(&raw, Some(&edits), &mut |_| {}).unwrap();
        writer.finish().unwrap();
        fs::read(out.join("box")).unwrap()
    });
    assert_eq!(written[0], written[1]);
    assert!(memchr::memmem::find(&written[0], b"\n>From here\n").is_some());
    assert!(written[0].ends_with(b"\n>>From there\n\n"));
}

#[test]
fn a_large_message_is_streamed_through() {
    let dir = tempfile::tempdir().unwrap();
    let large = format!("{FROM}A: b\n\n{}\n\n{FROM}A: c\n\n", "x".repeat(3 << 20));
    put(&dir.path().join("box"), large.as_bytes());
    let mailbox = Mailbox::new("box".into(), dir.path().join("box"), Kind::Mbox);
    let out = dir.path().join("out");
    let mut writer = MailboxWriter::open(&out, &out.join("p"), &mailbox, None).unwrap();
    let mut seen = 0;
    for raw in mailbox
        .messages(&Limits {
            message_bytes: 1000,
            ..Limits::default()
        })
        .unwrap()
    {
        let raw = raw.unwrap();
        writer
            .append(&raw, None, &mut |bytes| seen += bytes.len())
            .unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(fs::read(out.join("box")).unwrap(), large.as_bytes());
    assert_eq!(seen, (3 << 20) + 7 + 5);
}

#[test]
fn python_reads_the_maildir_that_is_written() {
    let dir = tempfile::tempdir().unwrap();
    tree(&dir.path().join("Post"));
    copy_all(
        &discover(&[dir.path().join("Post")], &Limits::default()).unwrap(),
        &dir.path().join("out"),
    );
    let script = "import mailbox,sys\nm=mailbox.Maildir(sys.argv[1], create=False)\nprint(sorted((x['Subject'] or '-', x.get_flags(), x.get_subdir()) for x in m), m.list_folders())";
    let Ok(python) = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(dir.path().join("out/Post/Mail"))
        .output()
    else {
        return python_is_absent();
    };
    assert_eq!(
        String::from_utf8_lossy(&python.stdout).trim(),
        "[('-', 'S', 'cur'), ('a', '', 'cur'), ('b', '', 'new'), ('c', 'RS', 'cur')] ['Sent.2019']",
        "{}",
        String::from_utf8_lossy(&python.stderr)
    );
}
