//! Whether an output folder still is what was written, and how it is undone.

use super::*;

#[test]
fn check_names_exactly_what_differs() {
    let base = tempfile::tempdir().unwrap();
    archive(base.path(), 12);
    let job = job(base.path(), "out");
    let out = job.out.clone().unwrap();
    go(&job).unwrap();
    let files = [
        tree(&out).into_keys().collect::<Vec<_>>(),
        vec![".p7mill/journal".into(), "report/run.json".into()],
    ]
    .concat();
    for name in files {
        let path = out.join(&name);
        let bytes = std::fs::read(&path).unwrap();
        for at in [0, bytes.len() / 2, bytes.len().saturating_sub(1)] {
            let mut flipped = bytes.clone();
            let Some(byte) = flipped.get_mut(at) else {
                continue;
            };
            *byte ^= 4;
            put(&path, &flipped);
            let found = check(&out).unwrap();
            assert!(
                !found.is_empty() && found.iter().all(|difference| difference.path == name),
                "{name} {at} {found:?}"
            );
        }
        std::fs::remove_file(&path).unwrap();
        let found = check(&out).unwrap();
        assert_eq!(found.len(), 1, "{name} {found:?}");
        assert_eq!(
            (found[0].path.as_str(), found[0].what),
            (name.as_str(), What::Missing)
        );
        put(&path, &bytes);
    }
    put(&out.join("archive/m/cur/extra"), b"x");
    let found = check(&out).unwrap();
    assert_eq!(found[0].to_string(), "archive/m/cur/extra: extra");
    std::fs::remove_file(out.join("archive/m/cur/extra")).unwrap();
    assert_eq!(check(&out).unwrap(), []);
    // In an mbox, the message.
    let path = out.join("archive/box.mbox");
    let text = std::fs::read_to_string(&path).unwrap();
    put(
        &path,
        text.replace("Message-ID: <4@x>", "Message-ID: <5@x>")
            .as_bytes(),
    );
    assert_eq!(
        check(&out)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["archive/box.mbox: message 5: changed"]
    );
    let start = text.find("From a@x Thu Jan  1 00:00:07").unwrap();
    let end = text.find("From a@x Thu Jan  1 00:00:08").unwrap();
    put(&path, [&text[..start], &text[end..]].concat().as_bytes());
    assert_eq!(
        check(&out)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["archive/box.mbox: message 8: missing"]
    );
}

#[test]
fn originals_come_back_byte_for_byte() {
    let base = tempfile::tempdir().unwrap();
    let root = archive(base.path(), 30);
    let job = job(base.path(), "out");
    let out = job.out.clone().unwrap();
    go(&job).unwrap();
    let beside = base.path().join("beside");
    let restored = restore(&out, Some(&beside), &Silent).unwrap();
    assert_eq!(restored.messages, 6 + 3 + 1);
    assert_eq!(tree(&beside.join("archive")), tree(&root));
    assert_eq!(check(&out).unwrap(), []);
    assert_eq!(restore(&out, None, &Silent).unwrap().messages, 10);
    assert_eq!(tree(&out.join("archive")), tree(&root));
    assert_eq!(check(&out).unwrap(), []);
    assert_eq!(restore(&out, None, &Silent).unwrap().messages, 10);
    assert_eq!(check(&out).unwrap(), []);
    let Err(Error::Usage(said)) = go(&job) else {
        panic!()
    };
    assert!(said.contains("originals were put back"), "{said}");
    go(&Job {
        start_over: true,
        ..job
    })
    .unwrap();
    assert_eq!(check(&out).unwrap(), []);
}
