//! Output folders that somebody else has written into: names, links and special files that would lead
//! elsewhere.

use super::*;

/// Writes the journal of `out` anew with `edit` applied to each line, checksums and all: what
/// somebody who sends an output folder can do.
fn forge(out: &Path, edit: &dyn Fn(&mut serde_json::Value)) {
    let path = out.join(".p7mill/journal");
    let mut forged = String::new();
    for line in std::fs::read_to_string(&path).unwrap().lines() {
        let mut entry: serde_json::Value = serde_json::from_str(&line[17..]).unwrap();
        edit(&mut entry);
        let json = entry.to_string();
        let sum = crate::text::hex(&crate::crypto::digest::sha256(json.as_bytes())[..8]);
        forged.push_str(&format!("{sum} {json}\n"));
    }
    put(&path, forged.as_bytes());
}

#[test]
fn no_name_in_a_journal_leads_out_of_the_folder() {
    let base = tempfile::tempdir().unwrap();
    archive(base.path(), 12);
    let job = job(base.path(), "out");
    let out = job.out.clone().unwrap();
    go(&job).unwrap();
    let journal = out.join(".p7mill/journal");
    let sound = std::fs::read(&journal).unwrap();
    let precious = base.path().join("precious");
    put(&precious, b"mine");
    let absolute = precious.to_str().unwrap().to_owned();
    let fields = [
        "/record/message/out/path",
        "/record/message/out/mailbox",
        "/record/message/file",
        "/record/message/sha256",
        "/record/file/out",
        "/mailbox/file/out",
    ];
    let names = [
        absolute.as_str(),
        "../precious",
        "..",
        "",
        "archive/../../precious",
        "archive/./x",
        "archive//x",
        "\\x2e\\x2e/precious",
        "a\\x00b",
    ];
    for field in fields {
        for name in names {
            // No name of a file, an empty one is the mailbox's own, and an absolute one lies in it.
            if field.ends_with("/message/file") && (name.is_empty() || name == "..") {
                continue;
            }
            forge(&out, &|entry| {
                if let Some(value) = entry.pointer_mut(field)
                    && !value.is_null()
                {
                    *value = name.into();
                }
            });
            let beside = base.path().join("beside");
            for done in [
                restore(&out, None, &Silent).map(drop),
                restore(&out, Some(&beside), &Silent).map(drop),
                check(&out).map(drop),
                go(&job).map(drop),
            ] {
                let Err(Error::Damaged { path, what }) = done else {
                    panic!("{field} {name:?}: {done:?}");
                };
                assert_eq!(path, journal);
                assert!(what.contains("names"), "{what}");
            }
            assert!(!beside.exists());
            if !field.ends_with("sha256")
                && field != "/record/message/file"
                && !field.starts_with("/mailbox")
            {
                let over = go(&Job {
                    start_over: true,
                    ..self::job(base.path(), "out")
                });
                assert!(
                    matches!(over, Err(Error::Damaged { .. })),
                    "{field} {name:?}"
                );
            }
            assert_eq!(std::fs::read(&precious).unwrap(), b"mine");
        }
    }
    put(&journal, &sound);
    assert_eq!(check(&out).unwrap(), []);
    let manifest = out.join("manifest.csv");
    let rows = std::fs::read_to_string(&manifest).unwrap();
    put(
        &manifest,
        rows.replace("archive/note.txt", "../precious").as_bytes(),
    );
    let over = go(&Job {
        start_over: true,
        ..job
    });
    assert!(matches!(over, Err(Error::Damaged { path, .. }) if path == manifest));
    assert!(precious.exists());
}

#[test]
fn links_and_special_files_in_an_output_are_refused() {
    use std::os::unix::fs::symlink;
    let base = tempfile::tempdir().unwrap();
    archive(base.path(), 12);
    let whole = job(base.path(), "whole");
    go(&whole).unwrap();
    let whole = whole.out.unwrap();
    let job = job(base.path(), "out");
    let out = job.out.clone().unwrap();
    let elsewhere = base.path().join("elsewhere");
    let header = |out: &Path| {
        let journal = out.join(".p7mill/journal");
        let first = std::fs::read_to_string(&journal).unwrap();
        put(
            &journal,
            first.split_inclusive('\n').next().unwrap().as_bytes(),
        );
    };
    for name in [
        "archive",
        "archive/m/cur",
        "originals",
        "report",
        "report/run.json",
        ".p7mill/parts",
        ".p7mill/lock",
        "archive/single.eml",
        ".p7mill",
    ] {
        for begun in [false, true] {
            Command::new("cp")
                .arg("-a")
                .args([&whole, &out])
                .status()
                .unwrap();
            if begun {
                header(&out);
            }
            let place = out.join(name);
            if place.exists() {
                std::fs::rename(&place, &elsewhere).unwrap();
            } else {
                fsio::create_dir_all(&elsewhere).unwrap();
            }
            symlink(&elsewhere, &place).unwrap();
            let before = elsewhere.is_dir().then(|| tree(&elsewhere));
            let start_over = Job {
                start_over: true,
                ..self::job(base.path(), "out")
            };
            let beside = base.path().join("beside");
            for done in [
                go(&job).map(drop),
                go(&start_over).map(drop),
                restore(&out, None, &Silent).map(drop),
                restore(&out, Some(&beside), &Silent).map(drop),
            ] {
                let Err(Error::Usage(said)) = done else {
                    panic!("{name}: {done:?}");
                };
                assert!(said.contains(place.to_str().unwrap()), "{said}");
            }
            match check(&out) {
                Err(Error::Damaged { path, .. }) => assert_eq!(path, out.join(".p7mill")),
                found => assert_ne!(found.unwrap(), [], "{name}"),
            }
            assert_eq!(
                before,
                elsewhere.is_dir().then(|| tree(&elsewhere)),
                "{name}"
            );
            assert!(!beside.exists());
            std::fs::remove_dir_all(&out).unwrap();
            let _ =
                std::fs::remove_dir_all(&elsewhere).or_else(|_| std::fs::remove_file(&elsewhere));
        }
    }
    // The output folder itself may be a link.
    let real = base.path().join("real");
    fsio::create_dir_all(&real).unwrap();
    symlink(&real, &out).unwrap();
    go(&job).unwrap();
    assert_same(&whole, &real);
    assert_eq!(check(&out).unwrap(), []);
}

#[test]
fn a_fifo_in_the_place_of_journal_or_manifest_keeps_nobody_waiting() {
    let base = tempfile::tempdir().unwrap();
    archive(base.path(), 3);
    let job = job(base.path(), "out");
    let out = job.out.clone().unwrap();
    let fifo = |path: &Path| {
        let _ = std::fs::remove_file(path);
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    go(&job).unwrap();
    fifo(&out.join("manifest.csv"));
    assert_eq!(check(&out).unwrap()[0].path, "manifest.csv");
    let journal = out.join(".p7mill/journal");
    fifo(&journal);
    assert!(matches!(check(&out), Err(Error::Damaged { path, .. }) if path == journal));
    assert!(matches!(earlier(&out), Err(Error::Damaged { .. })));
    assert!(matches!(
        journal::Journal::open(&journal),
        Err(Error::Damaged { .. })
    ));
    assert!(matches!(go(&job), Err(Error::Usage(_))));
    assert!(matches!(restore(&out, None, &Silent), Err(Error::Usage(_))));
    fifo(&out.join(".p7mill/lock"));
    assert!(fsio::Lock::take(&out.join(".p7mill/lock"), &out).is_err());
}
