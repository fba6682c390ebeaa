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
