//! Disks that cannot be read, are full or fail. `strace` makes the system calls fail.

use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::peers::{peer, traced};
use crate::support::table::rows;
use crate::support::trees::{differences, files, incidental};
use crate::support::{NOW, Ran, Sandbox};

fn text(n: usize) -> String {
    let mut text =
        format!("From: a@example.org\nMessage-ID: <{n}@example.org>\nSubject: Load {n}\n\n");
    for line in 0..60 + n % 90 {
        writeln!(text, "{line:3} crates of load {n} stand on the quay.").unwrap();
    }
    text
}

#[test]
fn a_bad_sector_in_an_mbox_costs_the_messages_in_it_and_no_other() {
    let sandbox = Sandbox::new();
    let mut messages = Vec::new();
    for n in 0..900 {
        messages.push(format!(
            "From a@example.org Mon Nov 23 09:00:00 2015\n{}\n",
            text(n)
        ));
    }
    let source = messages.concat();
    assert!(source.len() > 3 << 20);
    sandbox.write("A/box.mbox", &source);
    sandbox.write("A/other.eml", text(1));
    let path = sandbox.path().join("A/box.mbox");
    // The second and the third read of a MiB: as many pages that cannot be read, a page apart.
    for (when, pages) in [("2", 1_u64), ("2..4", 3)] {
        let inject = format!("inject=pread64:error=EIO:when={when}");
        let options = [
            "-P",
            path.to_str().unwrap(),
            "-e",
            "trace=pread64",
            "-e",
            &inject,
        ];
        let words = ["migrate", "A", "--out", "OUT", "-j", "1"];
        let Some(ran) = traced(&sandbox, &options, &words) else {
            return;
        };
        ran.expect(3);
        let hole = (1 << 20)..(1 << 20) + usize::try_from(pages).unwrap() * 4096;
        let (mut at, mut lost, mut kept) = (0, Vec::new(), Vec::new());
        for message in &messages {
            let place = at..at + message.len();
            at = place.end;
            if place.start < hole.end && hole.start < place.end {
                lost.push(place);
            } else {
                kept.push(message.as_str());
            }
        }
        assert!((1..6).contains(&lost.len()), "{}", lost.len());
        let written = fs::read_to_string(sandbox.path().join("OUT/A/box.mbox")).unwrap();
        assert!(written == kept.concat(), "every other message is there");
        let said = rows(&sandbox.path().join("OUT/report/sources.csv"));
        let said = |name: &str| {
            let row = said.iter().find(|row| row.at("path") == name).unwrap();
            (row.at("status").to_owned(), row.at("messages").to_owned())
        };
        let expected = format!(
            "read in part: bytes {} to {} cannot be read, so the message at {} to {} is missing",
            hole.start,
            hole.end - 1,
            lost[0].start,
            lost.last().unwrap().end - 1,
        );
        assert_eq!(said("A/box.mbox"), (expected, kept.len().to_string()));
        assert_eq!(said("A/other.eml").0, "read");
        sandbox.line("check OUT").expect(0);
        // The journal tells the same; the run is finished, with the same exit code.
        sandbox.run(words).expect(3);
        fs::remove_dir_all(sandbox.path().join("OUT")).unwrap();
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_others_are_done() {
    let sandbox = Sandbox::new();
    let name = |n: usize| format!("A/m/cur/14480000{n:02}.M1P1.mail:2,S");
    for n in 0..9 {
        sandbox.write(&name(n), text(n));
    }
    for folder in ["new", "tmp"] {
        fs::create_dir_all(sandbox.path().join("A/m").join(folder)).unwrap();
    }
    sandbox.write("A/one.eml", text(20));
    sandbox.write("A/two.eml", text(21));
    sandbox.write("A/note.txt", "not mail\n");
    let words = ["migrate", "A", "--out", "OUT"];
    let all = |sandbox: &Sandbox| files(&sandbox.path().join("OUT/A"), |_| false);
    sandbox.run(words).expect(0);
    let golden = all(&sandbox);
    for (bad, calls, status) in [
        (
            name(4),
            "2+",
            "read in part: cur/1448000004.M1P1.mail:2,S: cannot read: input/output error",
        ),
        (
            "A/one.eml".into(),
            "2+",
            "skipped: cannot read: input/output error",
        ),
        (
            "A/note.txt".into(),
            "2+",
            "skipped: cannot read: input/output error",
        ),
    ] {
        fs::remove_dir_all(sandbox.path().join("OUT")).unwrap();
        let path = sandbox.path().join(&bad);
        let inject = format!("inject=read:error=EIO:when={calls}");
        let options = [
            "-P",
            path.to_str().unwrap(),
            "-e",
            "trace=read",
            "-e",
            &inject,
        ];
        let Some(ran) = traced(&sandbox, &options, &words) else {
            return;
        };
        ran.expect(3);
        let mut expected = golden.clone();
        expected.remove(bad.strip_prefix("A/").unwrap()).unwrap();
        let found = all(&sandbox);
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>()
        );
        assert!(found == expected, "{bad}");
        let sources = rows(&sandbox.path().join("OUT/report/sources.csv"));
        let mailbox = if bad.contains("/cur/") { "A/m" } else { &bad };
        let row = sources
            .iter()
            .find(|row| row.at("path") == mailbox)
            .unwrap();
        assert_eq!(row.at("status"), status, "{bad}");
        sandbox.line("check OUT").expect(0);
    }
}

/// What a source must never be asked for, beside being opened for writing.
const FORBIDDEN: &str = "?open,openat,?openat2,?creat,?rename,?renameat,renameat2,?unlink,unlinkat,?mkdir,mkdirat,?rmdir,?link,linkat,\
    ?symlink,symlinkat,?mknod,mknodat,truncate,ftruncate,?chmod,fchmod,fchmodat,?fchmodat2,?chown,fchown,?lchown,fchownat,?utime,?utimes,\
    utimensat,?futimesat,setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr,write,pwrite64,writev,pwritev,pwritev2,\
    copy_file_range,sendfile,splice,fallocate";

#[test]
fn no_call_that_changes_anything_reaches_a_source() {
    let sandbox = Sandbox::new();
    let sample = crate::support::repository().join("sample-data");
    crate::support::trees::copy(&sample, &sandbox.path().join("data"));
    let source = sandbox.path().join("data");
    let trace = format!("trace={FORBIDDEN}");
    for line in [
        "scan data/archive --report R",
        "scan data/archive --keys data/keys --report R",
        "verify data/archive --trust data/ca --report R",
        "harvest data/archive --trust data/ca --store certs.db --report R",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(ran) = traced(&sandbox, &["-y", "-s", "0", "-e", &trace], &words) else {
            return;
        };
        assert!(matches!(ran.code, Some(0 | 3 | 4)), "{line}: {ran:?}");
        let trace = fs::read(sandbox.path().join("trace")).unwrap();
        let trace = String::from_utf8_lossy(&trace);
        let touches =
            |call: &&str| call.contains(source.to_str().unwrap()) || call.contains("\"data/");
        let (mut read, mut written) = (0, 0);
        for call in trace.lines() {
            let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"]
                .iter()
                .any(|flag| call.contains(flag));
            let opens = call.contains(" open");
            if touches(&call) {
                assert!(opens && !writes, "{line}: {call}");
                read += 1;
            }
            written += u32::from(writes && call.contains(".p7mill-tmp"));
        }
        assert!(
            read > 5 && written > 5,
            "{line}: {read} files read, {written} reports"
        );
    }
}

/// Waits until a run has taken SIGINT over: before, it ends it as it ends any program.
fn until_it_listens(run: &Child) {
    let listens = || {
        let status = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        caught & 1 << (Signal::INT.as_raw() - 1) != 0
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !listens() {
        assert!(Instant::now() < deadline, "it takes no signal over");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_locked_mailbox_and_a_second_one_ends_everything() {
    let sandbox = Sandbox::new();
    let message = format!("From a@example.org Mon Nov 23 09:00:00 2015\n{}\n", text(3));
    sandbox.write("A/box.mbox", &message);
    sandbox.write("A/box.mbox.lock", "");
    for (jobs, signal, code) in [("1", Signal::INT, 130), ("2", Signal::TERM, 143)] {
        let mut child = sandbox
            .command(["migrate", "A", "--out", "OUT", "-j", jobs, "--start-over"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until_it_listens(&child);
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(child.try_wait().unwrap(), None, "it waits");
        let began = Instant::now();
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
    }
    fs::remove_file(sandbox.path().join("A/box.mbox.lock")).unwrap();
    sandbox.line("migrate A --out OUT --start-over").expect(0);

    // Input that does not come: the first signal has to wait for it.
    let mut child = sandbox
        .command(["scan", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let open = child.stdin.take();
    until_it_listens(&child);
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(child.try_wait().unwrap(), None, "it waits for its input");
    let began = Instant::now();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(open);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_run_on_a_disk_that_is_really_full_says_so_and_is_completed_when_there_is_room() {
    let sandbox = Sandbox::new();
    for n in 0..40 {
        sandbox.write(&format!("A/tree/{n}.eml"), text(n));
        sandbox.write(&format!("A/m/cur/14480000{n:02}.M1P1.mail:2,S"), text(n));
    }
    let mbox: String = (0..60)
        .map(|n| format!("From a@example.org Mon Nov 23 09:00:00 2015\n{}\n", text(n)))
        .collect();
    sandbox.write("A/box.mbox", mbox);
    for folder in ["new", "tmp", "../../GOLDEN", "../../disk"] {
        fs::create_dir_all(sandbox.path().join("A/m").join(folder)).unwrap();
    }
    sandbox.line("migrate A --out GOLDEN").expect(0);
    let golden = files(&sandbox.path().join("GOLDEN"), incidental);
    // Of its own: the file system is gone with the shell.
    let script = "mount -t tmpfs -o size=$1 tmpfs disk || exit 90\n\
         \"$0\" migrate A --out disk/OUT --now $2 2>said; echo $? >code\n\
         mkdir left; cp -a disk/OUT/. left; mount -o remount,size=64m disk\n\
         \"$0\" migrate A --out disk/OUT --now $2 && \"$0\" check disk/OUT && cp -a disk/OUT whole";
    let Some(mut unshare) = peer("unshare") else {
        return;
    };
    let program = sandbox.command([""; 0]).get_program().to_owned();
    unshare
        .args(["-Urm", "sh", "-c", script])
        .arg(program)
        .current_dir(sandbox.path());
    for size in ["32k", "120k", "300k", "480k"] {
        let mut command = Command::new(unshare.get_program());
        command
            .args(unshare.get_args())
            .args([size, NOW])
            .current_dir(sandbox.path());
        let ran = Ran::of(&command.output().unwrap());
        if ran.code == Some(90) || ran.stderr.contains("unshare:") {
            println!(
                "NOT SHOWN: no file system of one's own here: {}",
                ran.stderr
            );
            return;
        }
        let read = |name: &str| fs::read_to_string(sandbox.path().join(name)).unwrap();
        assert_eq!(read("code"), "1\n", "{size}: {}", read("said"));
        assert!(
            read("said").contains("No space left on device"),
            "{}",
            read("said")
        );
        for (name, bytes) in files(&sandbox.path().join("left"), |name| {
            name.starts_with(".p7mill")
        }) {
            assert!(
                golden.get(&name) == Some(&bytes),
                "{size}: {name} is half a file"
            );
        }
        ran.expect(0);
        let wrong = differences(&golden, &files(&sandbox.path().join("whole"), incidental));
        assert!(wrong.is_empty(), "{size}:\n{}", wrong.join("\n"));
        for folder in ["left", "whole"] {
            fs::remove_dir_all(sandbox.path().join(folder)).unwrap();
        }
    }
}
