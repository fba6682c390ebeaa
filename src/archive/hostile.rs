//! Archives that are cut, altered, or hold more than they should.

use std::fs;
use std::path::Path;

use super::*;
use crate::limits::Limits;

const BOX: &[u8] = b"From a@b Mon Nov 23 09:00:00 2015\nFrom: a@b\nSubject: x\n\nhello\n\n\
    From a@b Mon Nov 23 09:00:00 2015\nFrom: a@b\nSubject: y\n\nhello\n\n";

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, data) in members {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
        header[156] = b'0';
        header[257..263].copy_from_slice(b"ustar\0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let mut sum = flate2::Crc::new();
        sum.update(data);
        let size = u32::try_from(data.len()).unwrap().to_le_bytes();
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let common = [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &sum.sum().to_le_bytes(),
            &size,
            &size,
            &length,
            &[0, 0],
        ];
        let common = common.concat();
        let local = u32::try_from(out.len()).unwrap().to_le_bytes();
        directory.extend(
            [
                b"PK\x01\x02\x14\x03",
                common.as_slice(),
                &[0; 10],
                &local,
                name.as_bytes(),
            ]
            .concat(),
        );
        out.extend([b"PK\x03\x04", common.as_slice(), name.as_bytes(), data].concat());
    }
    let begin = u32::try_from(out.len()).unwrap().to_le_bytes();
    let size = u32::try_from(directory.len()).unwrap().to_le_bytes();
    let count = u16::try_from(members.len()).unwrap().to_le_bytes();
    out.extend(directory);
    out.extend(
        [
            b"PK\x05\x06\0\0\0\0",
            &count[..],
            &count,
            &size,
            &begin,
            &[0, 0],
        ]
        .concat(),
    );
    out
}

fn found(path: &Path, bytes: &[u8], limits: &Limits) -> Found {
    fs::remove_file(path).ok();
    crate::fsio::write_atomic(path, |out| out.write_all(bytes)).unwrap();
    discover(&[path.to_path_buf()], limits).unwrap()
}

fn read_all(found: &Found) -> u64 {
    let mut messages = 0;
    for mailbox in &found.mailboxes {
        assert!(write::relative(&mailbox.out).is_ok(), "{}", mailbox.out);
        if let Ok(read) = mailbox.messages(&Limits::default()) {
            messages += read.flatten().count() as u64;
        }
    }
    messages
}

#[test]
fn archives_cut_and_altered_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let members: [(&str, &[u8]); 3] = [("m/a.mbox", BOX), ("note", b"text"), ("m/b.mbox", BOX)];
    let (tar, zip) = (tar(&members), zip(&members));
    let gz = {
        let mut packed = flate2::read::GzEncoder::new(tar.as_slice(), flate2::Compression::fast());
        let mut bytes = Vec::new();
        packed.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let zst = zstd::encode_all(BOX, 1).unwrap();
    let bz2 = {
        let mut packed = bzip2::read::BzEncoder::new(BOX, bzip2::Compression::fast());
        let mut bytes = Vec::new();
        packed.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for (whole, messages) in [(&tar, 4), (&zip, 4), (&gz, 4), (&zst, 2), (&bz2, 2)] {
        let limits = Limits::default();
        assert_eq!(read_all(&found(&path, whole, &limits)), messages);
        for _ in 0..150 {
            let cut = random(whole.len());
            assert!(read_all(&found(&path, &whole[..cut], &limits)) <= messages);
            let mut altered = whole.clone();
            for _ in 0..=random(4) {
                altered[random(whole.len())] = u8::try_from(random(256)).unwrap();
            }
            read_all(&found(&path, &altered, &limits));
        }
    }
}

#[test]
fn members_are_counted_and_their_sizes_added_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let members: [(&str, &[u8]); 3] = [("a.mbox", BOX), ("b.mbox", BOX), ("c.mbox", BOX)];
    let few = Limits {
        members: 2,
        ..Limits::default()
    };
    let (tar, zip) = (tar(&members), zip(&members));
    for archive in [&tar, &zip] {
        let found = found(&path, archive, &few);
        assert_eq!(found.mailboxes.len(), 2);
        let FileStatus::Unpacked(Some(why)) = found.files[0].status else {
            panic!("{:?}", found.files[0]);
        };
        assert!(why.contains("more members"), "{why}");
    }
    // Sizes that were stated count, whatever comes of them.
    let small = Limits {
        unpacked_bytes: BOX.len() as u64 * 2 + 5,
        unpacked_ratio: 0,
        ..Limits::default()
    };
    let found = found(&path, &zip, &small);
    assert_eq!(found.mailboxes.len(), 2);
    assert_eq!(
        found.files[3].status,
        FileStatus::Skipped("it unpacks to more than --max-unpack allows")
    );
}

/// A tar whose members' names stand in GNU tar's long form.
fn tar_of_long(names: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for name in names {
        let mut long = tar(&[("long", &[name.as_slice(), b"\0"].concat())]);
        long.truncate(long.len() - 1024);
        long[156] = b'L';
        long[148..156].fill(b' ');
        let sum: u32 = long[..512].iter().map(|&byte| u32::from(byte)).sum();
        long[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.extend(long);
        out.extend(tar(&[("short", BOX)]));
        out.truncate(out.len() - 1024);
    }
    out.resize(out.len() + 1024, 0);
    out
}

#[test]
fn names_that_no_file_can_have_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let long = "x".repeat(60_000);
    let deep = "d/".repeat(400) + "a.mbox";
    let names = [b"good".to_vec(), long.clone().into(), deep.clone().into()];
    let zip = zip(&[("good", BOX), (&long, BOX), (&deep, BOX)]);
    for archive in [tar_of_long(&names), zip] {
        let found = found(&path, &archive, &Limits::default());
        assert_eq!(found.mailboxes.len(), 1);
        assert_eq!(found.files.len(), 4);
        for file in &found.files[2..] {
            assert!(matches!(file.status, FileStatus::Skipped(_)), "{file:?}");
            assert!(!file.is_copied() && file.name.len() < 200);
        }
    }
}

#[test]
fn every_mailbox_has_a_name_that_it_can_be_written_under() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("r");
    fs::create_dir(&root).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        crate::fsio::write_atomic(&root.join(name), |out| out.write_all(bytes)).unwrap();
    };
    let message = b"From: a@b\nTo: c\nSubject: x\n\nhello\n";
    let maildir: Vec<String> = ["S=5,..", "S=5,.", "S=7", "W=1:2,S", "1,S=5", "1,S=6"]
        .map(|name| format!("cur/{name}"))
        .into();
    let members: Vec<_> = maildir
        .iter()
        .map(|name| (name.as_str(), &message[..]))
        .collect();
    put("m.tar", &tar(&members));
    let zst = zstd::encode_all(BOX, 1).unwrap();
    for name in ["...gz", "..gz", ".gz", "a.gz", "a.gz.gz", "a"] {
        put(name, if name == "a" { BOX } else { &zst });
    }
    let own = dir.path().join(".p7mill.gz");
    crate::fsio::write_atomic(&own, |out| out.write_all(&zst)).unwrap();
    let found = discover(&[root.clone(), own], &Limits::default()).unwrap();
    assert_eq!(found.mailboxes.len(), 13);
    let mut outs: Vec<_> = found.mailboxes.iter().map(|m| m.out.as_str()).collect();
    assert!(outs.contains(&"r/m.tar/cur/S=5,..") && outs.contains(&".p7mill.gz"));
    outs.sort_unstable();
    outs.dedup();
    assert_eq!(outs.len(), 13, "{outs:?}");
    read_all(&found);
    let found = found.convert(Kind::Maildir);
    assert!(
        found
            .mailboxes
            .iter()
            .all(|m| write::relative(&m.out).is_ok())
    );
    put("...mbox", BOX);
    let found = discover(&[dir.path().join("r/...mbox")], &Limits::default()).unwrap();
    let found = found.convert(Kind::Maildir);
    assert_eq!(found.mailboxes[0].out, "...mbox");
}

#[test]
fn mail_in_a_document_or_behind_a_program_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let message = b"From: a@b\nTo: c\nSubject: x\n\nhello\n";
    let plain = zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("word/a.xml", b"<a/>"),
    ]);
    let held = zip(&[("[Content_Types].xml", b"<Types/>"), ("a.eml", message)]);
    let file = |bytes: &[u8]| found(&path, bytes, &Limits::default()).files.remove(0);
    assert_eq!(
        (file(&plain).kind.as_str(), file(&plain).may_be_mail()),
        ("document", None)
    );
    let document = file(&held);
    assert_eq!(document.status, FileStatus::Copied);
    assert!(document.may_be_mail().is_some());
    let program = [b"MZ\0\0", zip(&[("in/a.eml", message)]).as_slice()].concat();
    let found = found(&path, &program, &Limits::default());
    assert_eq!(found.mailboxes[0].name, "a/in/a.eml");
    assert_eq!(read_all(&found), 1);
}

#[test]
fn what_was_never_delivered_is_left_out_of_a_packed_maildir_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let message = b"From: a@b\nTo: c\nSubject: x\n\nhello\n";
    let archive = tar(&[
        ("m/tmp/1.x", message),
        ("m/cur/2.x:2,S", message),
        ("other/tmp/3.eml", message),
    ]);
    let found = found(&path, &archive, &Limits::default());
    let read: Vec<_> = found.mailboxes.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(read, ["a/m/cur/2.x:2,S", "a/other/tmp/3.eml"]);
    assert_eq!(
        found.files[1].status,
        FileStatus::Dropped("undelivered temporary")
    );
}
