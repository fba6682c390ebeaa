//! Mail as people bring it: compressed, in archives, in other programs' folders.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::peers::peer;
use crate::support::table::{Row, rows};
use crate::support::tools::judge;
use crate::support::trees::{self, differences, files, incidental};
use crate::support::{Sandbox, repository};

fn sample(name: &str) -> PathBuf {
    repository().join("sample-data/archive").join(name)
}

fn wrap(what: &str, arguments: &[&Path]) {
    let mut all = vec![Path::new(what)];
    all.extend(arguments);
    judge("wrap.py", &all);
}

fn has_peers() -> bool {
    peer("python3").is_some() && peer("zstd").is_some()
}

/// The words of `migrate` on `source` with the sample's keys.
fn migrate(source: &str, out: &str) -> String {
    let sample = repository().join("sample-data");
    format!(
        "migrate {source} --keys {} --trust {} --out {out}",
        sample.join("keys").display(),
        sample.join("ca").display()
    )
}

/// What is said of each message, wherever it lies.
fn messages(out: &Path) -> Vec<Row> {
    rows(&out.join("report/messages.csv"))
        .into_iter()
        .map(|row| row.without(&["mailbox", "out_mailbox", "flags"]))
        .collect()
}

fn row<'a>(rows: &'a [Row], path: &str) -> &'a Row {
    let found = rows.iter().find(|row| row.at("path") == path);
    found.unwrap_or_else(|| panic!("no row for {path}: {rows:#?}"))
}

/// Inbox.mbox as it lies, migrated: what every wrapped twin has to come to.
fn plain(sandbox: &Sandbox) -> (Vec<u8>, Vec<Row>) {
    sandbox.write("plain/Inbox.mbox", fs::read(sample("Inbox.mbox")).unwrap());
    sandbox.line(&migrate("plain", "PLAIN")).expect(3);
    let out = sandbox.path().join("PLAIN");
    (
        fs::read(out.join("plain/Inbox.mbox")).unwrap(),
        messages(&out),
    )
}

/// Red when gzip is read to the end of its first member only.
#[test]
fn a_compressed_mailbox_comes_out_as_if_it_lay_there_plain() {
    if !has_peers() {
        return;
    }
    let sandbox = Sandbox::new();
    let (golden, told) = plain(&sandbox);
    let folder = sandbox.path().join("packed");
    fs::create_dir(&folder).unwrap();
    wrap("compressed", &[&sample("Inbox.mbox"), &folder]);
    sandbox.line(&migrate("packed", "OUT")).expect(3);
    let out = sandbox.path().join("OUT");
    let sources = rows(&out.join("report/sources.csv"));
    for (name, suffix) in [("a", "gz"), ("b", "bz2"), ("c", "xz"), ("d", "zst")] {
        let source = format!("packed/{name}.mbox.{suffix}");
        let made = fs::read(out.join(format!("packed/{name}.mbox"))).unwrap();
        assert!(made == golden, "{source} comes out otherwise");
        let row = row(&sources, &source);
        let bytes = fs::read(sandbox.path().join(&source)).unwrap();
        assert_eq!(row.at("kind"), format!("mbox.{suffix}"));
        assert_eq!(row.at("status"), "read");
        assert_eq!(row.number("bytes"), bytes.len() as u64);
        assert_eq!(row.at("sha256"), crate::sample::sha256(&bytes));
    }
    let all = messages(&out);
    for quarter in all.chunks(told.len()) {
        assert_eq!(quarter, told);
    }
    assert_eq!(all.len(), 4 * told.len());

    let before = files(&out, |_| false);
    sandbox.line(&migrate("packed", "OUT")).expect(3);
    assert!(differences(&before, &files(&out, |_| false)).is_empty());
    sandbox.line("check OUT").expect(0);
    sandbox.line("restore OUT --out BACK").expect(0);
    let back = fs::read(sandbox.path().join("BACK/packed/d.mbox")).unwrap();
    assert!(back == fs::read(sample("Inbox.mbox")).unwrap());
    sandbox.line("restore OUT").expect(0);
    sandbox.line("check OUT").expect(0);
    // Whoever only looks sees the same.
    let ran = sandbox.line("scan packed --report SEEN").expect(3);
    assert!(
        ran.stdout
            .contains(&format!("{} messages", 4 * count(&told))),
        "{}",
        ran.stdout
    );
}

fn count(rows: &[Row]) -> usize {
    rows.iter().filter(|row| row.at("part").is_empty()).count()
}

/// Red when the letter `Z` stays in names.
#[test]
fn messages_that_dovecot_compressed_are_read_and_keep_name_flags_and_time() {
    if !has_peers() {
        return;
    }
    let sandbox = Sandbox::new();
    for (n, flags) in ["", "S", "FS", "RS", "SZ"].iter().enumerate() {
        let text = format!(
            "From: a@example.org\nSubject: {n}\n\n{}\n",
            "x".repeat(n * 100)
        );
        let name = format!(
            "box/cur/{}.M{n}P1.mail,S={}:2,{flags}",
            1_448_000_000 + n,
            text.len()
        );
        sandbox.write(&name, text);
    }
    fs::create_dir(sandbox.path().join("box/new")).unwrap();
    sandbox.line("migrate box --out PLAIN").expect(0);
    let golden = files(&sandbox.path().join("PLAIN/box"), |_| false);
    wrap("maildir", &[&sandbox.path().join("box")]);
    sandbox.line("migrate box --out OUT").expect(0);
    let mut made = files(&sandbox.path().join("OUT/box"), |_| false);
    // `Z` is the administrator's note that it is compressed; it no longer is.
    let marked = golden.keys().find(|name| name.ends_with("SZ")).unwrap();
    let text = made.remove(marked.trim_end_matches('Z')).unwrap();
    made.insert(marked.clone(), text);
    assert!(made == golden, "{:?}", made.keys());
    for name in golden.keys() {
        let time = |root: &str, name: &str| {
            let path = sandbox.path().join(root).join(name);
            let meta = fs::metadata(path).unwrap();
            (meta.mtime(), meta.mtime_nsec())
        };
        assert_eq!(
            time("box", name),
            time("OUT/box", name.trim_end_matches('Z'))
        );
    }
    sandbox.line("check OUT").expect(0);
}

#[test]
fn what_google_hands_out_is_read_where_it_lies() {
    if !has_peers() {
        return;
    }
    let sandbox = Sandbox::new();
    let (golden, told) = plain(&sandbox);
    let eml = sandbox.write(
        "one.eml",
        "From: a@example.org\nX-Gmail-Labels: Inbox,Important\nSubject: x\n\nx\n",
    );
    let folder = sandbox.path().join("g");
    fs::create_dir(&folder).unwrap();
    wrap("takeout", &[&sample("Inbox.mbox"), &eml, &folder]);
    sandbox.line(&migrate("g", "OUT")).expect(3);
    let out = sandbox.path().join("OUT");
    let sources = rows(&out.join("report/sources.csv"));
    for (archive, kind) in [
        ("takeout.zip", "zip"),
        ("takeout.tgz", "tar.gz"),
        ("takeout.tar", "tar"),
        ("takeout.tar.bz2", "tar.bz2"),
        ("takeout.tar.xz", "tar.xz"),
        ("takeout.tar.zst", "tar.zst"),
    ] {
        let root = format!("g/{archive}/Takeout");
        let mbox = format!("{root}/Mail/All mail Including Spam and Trash.mbox");
        assert!(fs::read(out.join(&mbox)).unwrap() == golden, "{mbox}");
        assert_eq!(
            fs::read(out.join(format!("{root}/one.eml"))).unwrap(),
            fs::read(&eml).unwrap()
        );
        let page = out.join(format!("{root}/archive_browser.html"));
        assert_eq!(fs::read(&page).unwrap(), b"<html>not mail</html>");
        let time = fs::metadata(out.join(&mbox)).unwrap().mtime();
        assert_eq!(time, 1_448_269_200, "{mbox}");
        let row = |path: &str| row(&sources, path);
        assert_eq!(row(&format!("g/{archive}")).at("kind"), kind);
        assert_eq!(row(&format!("g/{archive}")).at("status"), "read");
        assert_eq!(row(&mbox).at("kind"), "mbox");
        assert_eq!(row(&mbox).number("messages"), count(&told) as u64);
    }
    sandbox.line("check OUT").expect(0);
    sandbox.line("restore OUT --out BACK").expect(0);
    let mbox = "BACK/g/takeout.tgz/Takeout/Mail/All mail Including Spam and Trash.mbox";
    assert!(
        fs::read(sandbox.path().join(mbox)).unwrap() == fs::read(sample("Inbox.mbox")).unwrap()
    );
}

/// Red when the budget is not spent, when the message before the damage is delivered too, when members may share
/// bytes or lead out, when a ZIP member's checksum is not held against its bytes.
#[test]
fn what_no_honest_program_makes_is_named_and_goes_nowhere() {
    if !has_peers() {
        return;
    }
    let sandbox = Sandbox::new();
    let mut text = String::new();
    for n in 0..200 {
        text.push_str(&format!(
            "From a@example.org Mon Nov 23 09:00:00 2015\nFrom: a@example.org\nSubject: {n}\n\n{}\n\n",
            crate::sample::sha256(n.to_string().as_bytes())
        ));
    }
    let mbox = sandbox.write("h.mbox", &text);
    let folder = sandbox.path().join("h");
    fs::create_dir(&folder).unwrap();
    wrap("hostile", &[&mbox, &folder]);
    sandbox.line("migrate h --out OUT").expect(3);
    let out = sandbox.path().join("OUT");
    let sources = rows(&out.join("report/sources.csv"));
    let says = |path: &str, status: &str| {
        let found = row(&sources, &format!("h/{path}"));
        assert!(
            found.at("status").contains(status),
            "{path}: {}",
            found.at("status")
        );
        found.number("messages")
    };
    let cut = says("cut.mbox.gz", "read in part: it ends too early");
    assert!((100..200).contains(&cut), "{cut} messages before the cut");
    let head = fs::read(out.join("h/cut.mbox")).unwrap();
    assert!(text.as_bytes().starts_with(&head) && !head.is_empty());
    assert_eq!(says("crc.mbox.gz", "it is damaged"), 199);
    assert_eq!(says("trailing.mbox.gz", "something else follows"), 200);
    assert_eq!(says("padded.mbox.gz", "read"), 200);
    says("twice.mbox.gz", "compressed twice");
    assert_eq!(says("bomb.mbox.gz", "more than --max-unpack allows"), 200);
    for tar in ["evil.tar", "evil.tgz"] {
        says(tar, "read");
        assert_eq!(says(&format!("{tar}/in.mbox"), "read"), 200);
        assert_eq!(says(&format!("{tar}/in.mbox#2"), "read"), 200);
        says(&format!("{tar}/../out.mbox"), "leads out of the archive");
        says(&format!("{tar}//tmp/absolute.mbox"), "absolute");
        says(
            &format!("{tar}/in.mbox/below.mbox"),
            "the name of another file",
        );
        says(
            &format!("{tar}/{}.mbox", "x".repeat(300)),
            "no name that a file can have",
        );
        says(&format!("{tar}/link"), "not followed");
        says(&format!("{tar}/hard"), "not followed");
        says(&format!("{tar}/fifo"), "not made");
        says(&format!("{tar}/nested.mbox.gz"), "gzip-compressed");
    }
    says("short.tar", "it ends too early");
    says("evil.zip", "read");
    assert_eq!(says("evil.zip/good.mbox", "read"), 200);
    says("evil.zip/../out.mbox", "leads out of the archive");
    assert_eq!(says("evil.zip/crc.mbox", "it is damaged"), 199);
    says("evil.zip/locked.mbox", "encrypted");
    says("evil.zip/short.mbox", "it is damaged");
    says("evil.zip/link.mbox", "not followed");
    says("evil.zip/same.mbox", "shares its bytes");
    let escaped = ["out.mbox", "h/out.mbox", "OUT/out.mbox", "OUT/h/out.mbox"];
    assert!(
        escaped
            .iter()
            .all(|name| !sandbox.path().join(name).exists())
    );
    sandbox.line("check OUT").expect(0);
    // Whoever knows that it is no bomb says so.
    let ran = sandbox
        .line("scan h/bomb.mbox.gz --max-unpack 1000")
        .expect(3);
    assert!(ran.stdout.contains("201 messages"), "{}", ran.stdout);
}

#[test]
fn a_run_killed_within_a_compressed_mailbox_goes_on() {
    if !has_peers() {
        return;
    }
    let sandbox = Sandbox::new();
    let inbox = fs::read(sample("Inbox.mbox")).unwrap();
    let mbox = sandbox.write("big.mbox", inbox.repeat(40));
    let eml = sandbox.write("one.eml", "From: a@example.org\nSubject: x\n\nx\n");
    let folder = sandbox.path().join("p");
    fs::create_dir(&folder).unwrap();
    wrap("compressed", &[&mbox, &folder]);
    wrap("takeout", &[&mbox, &eml, &folder]);
    for name in [
        "c.mbox.xz",
        "takeout.tar",
        "takeout.tar.xz",
        "takeout.tar.bz2",
        "b.mbox.bz2",
    ] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    goes_on(&sandbox, "p", "");
}

/// Runs it once left alone, and once killed four times on the way; both must come out alike.
#[track_caller]
fn goes_on(sandbox: &Sandbox, source: &str, more: &str) {
    let line = |out: &str| format!("{}{more}", migrate(source, out));
    sandbox.line(&line("GOLDEN")).expect(3);
    let size = |out: &str| {
        let journal = sandbox.path().join(out).join(".p7mill/journal");
        fs::metadata(journal).map_or(0, |meta| meta.len())
    };
    let whole = size("GOLDEN");
    for percent in [15, 40, 65, 90] {
        let mut child = sandbox
            .command(line("OUT").split(' '))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while size("OUT") < whole * percent / 100 && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    sandbox.line(&line("OUT")).expect(3);
    let tree = |out: &str| files(&sandbox.path().join(out), incidental);
    let wrong = differences(&tree("GOLDEN"), &tree("OUT"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    sandbox.line("check OUT").expect(0);
}

#[test]
fn a_run_killed_while_it_writes_another_format_goes_on() {
    for (source, to) in [("mbox", "maildir"), ("mbox", "eml"), ("box", "mbox")] {
        let sandbox = Sandbox::new();
        if source == "mbox" {
            let inbox = fs::read(sample("Inbox.mbox")).unwrap();
            sandbox.write("mbox/big.mbox", inbox.repeat(10));
        } else {
            trees::copy(&sample("curator"), &sandbox.path().join("box"));
        }
        goes_on(&sandbox, source, &format!(" --to-format {to}"));
    }
}

/// An mbox of six messages, whose subjects are their numbers.
fn six_letters(sandbox: &Sandbox) -> PathBuf {
    let mut text = String::new();
    for n in 1..=6 {
        text.push_str(&format!(
            "From a@example.org Mon Nov 23 09:00:00 2015\nFrom: a@example.org\nSubject: {n}\n\n{n}\n\n"
        ));
    }
    sandbox.write("m.mbox", &text)
}

/// Red when the flag `S` stands for what is unseen.
#[test]
fn an_mh_folder_and_apple_mail_say_what_was_seen() {
    if !has_peers() {
        return;
    }
    let sandbox = Sandbox::new();
    let mbox = six_letters(&sandbox);
    let eml = sandbox.write("one.eml", "From: a@example.org\nSubject: apple\n\nx\n");
    let (mh, apple) = (sandbox.path().join("mh"), sandbox.path().join("apple"));
    fs::create_dir(&apple).unwrap();
    wrap("mh", &[&mbox, &mh]);
    wrap("emlx", &[&eml, &apple]);
    sandbox.line("migrate mh apple --out OUT").expect(3);
    let out = sandbox.path().join("OUT");
    let told: Vec<_> = rows(&out.join("report/messages.csv"))
        .iter()
        .map(|row| (row.at("mailbox").to_owned(), row.at("flags").to_owned()))
        .collect();
    let expected = [
        ("apple/1.emlx", "FS"),
        ("mh/1", "S"),
        ("mh/2", ""),
        ("mh/3", "FS"),
        ("mh/4", ""),
        ("mh/5", "RS"),
        ("mh/6", "F"),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(a, b)| (a.to_string(), b.to_string()))
        .collect();
    assert_eq!(told, expected);
    assert_eq!(
        fs::read(out.join("apple/1.eml")).unwrap(),
        fs::read(&eml).unwrap()
    );
    let sources = rows(&out.join("report/sources.csv"));
    assert_eq!(row(&sources, "apple/1.emlx").at("kind"), "emlx");
    let partial = row(&sources, "apple/2.partial.emlx").at("status");
    assert!(
        partial.starts_with("skipped: part of an Apple Mail message"),
        "{partial}"
    );
    sandbox.line("check OUT").expect(0);
}

/// An archive with every flag, a keyword, quoted lines, labels and times, as each format has it.
fn flagged(sandbox: &Sandbox) {
    let body = "From here on\n>From there\nlast line without end";
    let names = ["", "S", "FS", "RS", "DFRST", "Sa", "PS"];
    for (n, flags) in names.iter().enumerate() {
        let text = format!("From: a@example.org\nX-Gmail-Labels: One,Two\nSubject: m{n}\n\n{body}");
        let path = sandbox.write(
            &format!("m/box/cur/{}.M{n}P1.mail:2,{flags}", 1_448_269_200 + n),
            text,
        );
        let time = std::time::UNIX_EPOCH + Duration::from_secs(1_448_000_000 + n as u64);
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }
    sandbox.write("m/box/dovecot-keywords", "0 loans\n");
    fs::create_dir(sandbox.path().join("m/box/new")).unwrap();
}

/// Red when what an mbox quoted is not unquoted.
#[test]
fn another_format_keeps_bytes_flags_keywords_and_times() {
    if peer("python3").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    flagged(&sandbox);
    let at = |name: &str| sandbox.path().join(name);
    sandbox
        .line("migrate m --to-format mbox --out BOX")
        .expect(0);
    sandbox
        .line("migrate BOX/m --to-format maildir --out DIR")
        .expect(0);
    sandbox
        .line("migrate m --to-format eml --out EML")
        .expect(0);
    sandbox
        .line("migrate BOX/m --to-format eml --out EML2")
        .expect(0);
    let said = judge(
        "formats.py",
        &[
            at("m/box"),
            at("BOX/m/box.mbox"),
            at("DIR/m/box.mbox"),
            at("EML/m/box#2"),
            at("EML2/m/box.mbox"),
        ],
    );
    println!("{said}");
    let status = |out: &str, path: &str| {
        let sources = rows(&at(out).join("report/sources.csv"));
        row(&sources, path).at("status").to_owned()
    };
    assert_eq!(
        status("BOX", "m/box"),
        "read: mbox has no place for the flag P (1 message)"
    );
    assert_eq!(
        status("EML", "m/box"),
        "read: eml has no place for flags and keywords (6 messages)"
    );
    assert_eq!(status("DIR", "m/box.mbox"), "read");
    for out in ["BOX", "DIR", "EML", "EML2"] {
        sandbox.line(&format!("check {out}")).expect(0);
        let before = files(&at(out), |_| false);
        let to = ["mbox", "maildir", "eml", "eml"][["BOX", "DIR", "EML", "EML2"]
            .iter()
            .position(|o| *o == out)
            .unwrap()];
        let from = if matches!(out, "BOX" | "EML") {
            "m"
        } else {
            "BOX/m"
        };
        sandbox
            .line(&format!("migrate {from} --to-format {to} --out {out}"))
            .expect(0);
        assert!(differences(&before, &files(&at(out), |_| false)).is_empty());
        sandbox.line(&format!("restore {out}")).expect(2);
    }
    // Another format is another output.
    sandbox
        .line("migrate m --to-format eml --out BOX")
        .expect(2);
}

#[test]
fn what_is_decrypted_is_written_in_another_format_too() {
    if peer("python3").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("m/Inbox.mbox", fs::read(sample("Inbox.mbox")).unwrap());
    sandbox.line(&migrate("m", "PLAIN")).expect(3);
    sandbox
        .line(&format!("{} --to-format maildir", migrate("m", "DIR")))
        .expect(3);
    let at = |name: &str| sandbox.path().join(name);
    let said = judge("formats.py", &[at("PLAIN/m/Inbox.mbox"), at("DIR/m/Inbox")]);
    println!("{said}");
    sandbox.line("check DIR").expect(0);
    let outcomes = |out: &str| {
        let all = rows(&at(out).join("report/messages.csv"));
        all.iter()
            .map(|row| row.at("outcome").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(outcomes("PLAIN"), outcomes("DIR"));
}

#[test]
fn single_messages_are_gathered_a_folder() {
    if !has_peers() {
        return;
    }
    let sandbox = Sandbox::new();
    let mbox = six_letters(&sandbox);
    fs::create_dir(sandbox.path().join("a")).unwrap();
    wrap("mh", &[&mbox, &sandbox.path().join("a/mh")]);
    sandbox
        .line("migrate a --to-format maildir --out DIR")
        .expect(0);
    sandbox
        .line("migrate a --to-format mbox --out BOX")
        .expect(0);
    let at = |name: &str| sandbox.path().join(name);
    let said = judge("formats.py", &[at("BOX/a/mh.mbox"), at("DIR/a/mh")]);
    assert!(
        said.contains("6 messages, 3 seen, 2 flagged, 1 answered"),
        "{said}"
    );
    sandbox.line("check DIR").expect(0);
    sandbox.line("check BOX").expect(0);
}
