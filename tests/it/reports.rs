//! Reports as people and programs read them: the page, spreadsheets, columns, parts, pseudonyms,
//! and what a terminal is shown.

use std::collections::BTreeMap;
use std::path::Path;

use crate::hostile::{OLGA, honest, mail, pki};
use crate::support::sample::migrated;
use crate::support::table::rows;
use crate::support::tools::{LATER, Pki, has, judge, openssl};
use crate::support::{Sandbox, repository};

const MIGRATE: &str = "migrate sample-data/archive --keys sample-data/keys --trust sample-data/ca";

/// Every file of a report folder but run.json.
fn reports(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "run.json")
        .map(|name| {
            let bytes = std::fs::read(dir.join(&name)).unwrap();
            (name, bytes)
        })
        .collect()
}

fn json(file: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// Subjects that a spreadsheet, a terminal or a page might obey.
const SUBJECTS: &[&str] = &[
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "=?utf-8?q?=09=3D1+1?=",
    "=?utf-8?q?=0D=3D1+1?=",
    "=?utf-8?q?two=0D=0Alines=2C=22quoted=22?=",
    "=?utf-8?q?=EF=BC=9D1+1?=",
    "=cmd|' /C calc'!A0",
    "=HYPERLINK(\"http://example.org\",\"x\")",
    "'=1+1",
    "\"=1+1\"",
    "x\";=1+1;\"",
    "|calc",
    "%0",
    "http://example.org",
    "=?utf-8?q?=1B[31mred=E2=80=AEtxet?=",
    "<script>alert(1)</script>",
];

/// An mbox with a message a subject.
fn hostile_mbox() -> String {
    SUBJECTS
        .iter()
        .enumerate()
        .map(|(number, subject)| {
            format!(
                "From a@example.org Mon Jan  1 00:00:00 2024\nFrom: =?utf-8?q?=3D1?= <=cmd{number}@example.org>\n\
                 Message-ID: <=1+1@example.org>\nSubject: {subject}\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\nbody\n\n"
            )
        })
        .collect()
}

#[test]
fn the_page_is_whole_and_says_what_summary_json_says() {
    if !has("python3") {
        return;
    }
    let migrated = migrated();
    let arguments = ["report.html", "summary.json"].map(|name| migrated.report(name));
    println!("{}", judge("page.py", &arguments));
    // A command that writes no mail, and one that finds none.
    let sandbox = Sandbox::with_sample();
    std::fs::create_dir(sandbox.path().join("empty")).unwrap();
    for line in [
        "scan sample-data/archive --report r1 --format jsonl",
        "verify empty --trust sample-data/ca --report r2",
    ] {
        sandbox.line(line);
    }
    for report in ["r1", "r2"] {
        let arguments =
            ["report.html", "summary.json"].map(|name| sandbox.path().join(report).join(name));
        judge("page.py", &arguments);
    }
}

#[test]
fn who_wraps_mail_lists_the_signatures_that_were_there_and_judges_none() {
    if !has("openssl") {
        return;
    }
    let (sandbox, pki) = (Sandbox::new(), pki());
    sandbox.write("in/mail.eml", mail(OLGA, &honest("olga")));
    let keys = pki.keys_of(&["olga"]);
    let (keys, otto) = (keys.display(), pki.certificate("otto"));
    for line in [
        format!("sign in --as olga@example.org --keys {keys} --now {LATER} --out O1 --report R1"),
        format!(
            "encrypt in --to {} --now {LATER} --out O2 --report R2",
            otto.display()
        ),
    ] {
        sandbox.line(&line).expect(0);
        let report = sandbox.path().join(line.rsplit(' ').next().unwrap());
        let message = rows(&report.join("messages.csv")).remove(0);
        let said = [
            "signatures",
            "verdict",
            "verdict_time",
            "time_source",
            "unsigned_bytes",
        ];
        assert_eq!(
            said.map(|column| message.at(column)),
            ["1", "", "", "", ""],
            "{line}"
        );
        let signature = rows(&report.join("signatures.csv")).remove(0);
        let said = ["signer", "integrity", "verdict", "chain"];
        let before = ["olga@example.org", "intact", "", "unchecked"];
        assert_eq!(said.map(|column| signature.at(column)), before, "{line}");
    }
}

#[test]
fn whoever_only_looks_says_the_same_of_a_locked_key_everywhere() {
    let sandbox = Sandbox::with_sample();
    sandbox.line("scan sample-data/archive --keys sample-data/keys --report R");
    let report = sandbox.path().join("R");
    let summary = json(&report.join("summary.json"));
    let needed = summary["locked_files"]["h.lindqvist.p12"].as_u64();
    let missing = rows(&report.join("missing-keys.csv"));
    let locked = missing.iter().find(|row| row.at("key_status") == "locked");
    assert_eq!(needed, locked.map(|row| row.number("messages")));
}

/// The last section of a page, which says what the run was told.
fn told(page: &str) -> &str {
    &page[page.find("id=\"told\"").unwrap()..page.find("</main>").unwrap()]
}

#[test]
fn the_page_speaks_of_the_command_in_words_of_the_command_line() {
    if !has("python3") {
        return;
    }
    let sandbox = Sandbox::with_sample();
    let page = |line: &str, code: i32, report: &str| {
        sandbox.line(line).expect(code);
        let files =
            ["report.html", "summary.json"].map(|name| sandbox.path().join(report).join(name));
        judge("page.py", &files);
        let page = std::fs::read_to_string(&files[0]).unwrap();
        let told = told(&page);
        for internal in [
            "=true", ">true<", "Received", "Detached", "gcm", "secrets", "–</dd>",
        ] {
            assert!(!told.contains(internal), "{line}: {internal} in {told}");
        }
        for option in line.split(' ').filter(|word| word.starts_with("--")) {
            let shown = told.contains(&format!("<code>{option}</code>"));
            let place = matches!(option, "--out" | "--report");
            assert_eq!(shown, !place, "{line}: {option} in {told}");
        }
        page
    };
    let encrypt = "encrypt sample-data/archive --to-recipients --keys sample-data/keys --out OE";
    let encrypt = page(encrypt, 3, "OE/report");
    assert!(encrypt.contains("not written: only the source has them"));
    assert!(
        encrypt.contains("opens nothing that is encrypted") && encrypt.contains("j.petersen.pfx")
    );
    let sign = "sign sample-data/archive --as m.brandt@nordhafen.example --keys sample-data/keys \
                --now 2024-06-01T00:00:00Z --out OS";
    let sign = page(sign, 3, "OS/report");
    assert!(sign.contains("judges nothing") && sign.contains("m.brandt-2013.p12"));
    for (command, page) in [("encrypt", &encrypt), ("sign", &sign)] {
        for untrue in ["for a key", "no key opens", "stays as it was"] {
            assert!(!page.contains(untrue), "{command}: {untrue}");
        }
    }
    let verify = "verify sample-data/archive --trust sample-data/ca --clock signing --report R";
    let verify = page(verify, 3, "R");
    assert!(told(&verify).contains("--policy") && !told(&verify).contains("--keys"));
    let run = json(&sandbox.path().join("R/run.json"));
    let anchor = run["trust_anchors"][0].as_str().unwrap();
    assert!(told(&verify).contains(anchor), "{}", told(&verify));
}

#[test]
fn what_mail_names_is_shown_on_the_page_and_does_nothing_there() {
    if !has("python3") || !has("openssl") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("plain.txt", "Content-Type: text/plain\r\n\r\nhello\r\n");
    openssl(
        sandbox.path(),
        "req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -days 7300 \
         -subj /CN=<img_src=x_onerror=alert(1)>\u{202e}&amp; -utf8",
    )
    .expect("a certificate");
    openssl(
        sandbox.path(),
        "cms -sign -in plain.txt -signer c.pem -inkey k.pem -out signed.eml",
    )
    .expect("signed");
    openssl(
        sandbox.path(),
        "cms -encrypt -in plain.txt -out mail/encrypted.eml c.pem",
    );
    std::fs::create_dir(sandbox.path().join("mail")).unwrap();
    openssl(
        sandbox.path(),
        "cms -encrypt -in plain.txt -out mail/encrypted.eml c.pem",
    )
    .expect("encrypted");
    let header = "From: a@example.org\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n";
    let signed = std::fs::read_to_string(sandbox.path().join("signed.eml")).unwrap();
    sandbox.write("mail/<b>bold\u{202e}&amp;.eml", header.to_owned() + &signed);
    sandbox
        .line("migrate mail --trust c.pem --out OUT")
        .expect(3);
    let files = ["report.html", "summary.json"].map(|name| {
        let file = sandbox.path().join("OUT/report").join(name);
        file.into_os_string().into_string().unwrap()
    });
    let shown = [
        "<img_src=x_onerror=alert(1)>\\u{202e}&amp;".to_owned(),
        "mail/<b>bold\\u{202e}&amp;.eml".to_owned(),
    ];
    judge("page.py", &[&files[..], &shown[..]].concat());
}

#[test]
fn the_same_inputs_give_the_same_reports() {
    let sandbox = Sandbox::with_sample();
    sandbox
        .line(&format!("{MIGRATE} --format both -j 1 --out A"))
        .expect(3);
    sandbox
        .line(&format!("{MIGRATE} --format both -j 4 --out elsewhere/B"))
        .expect(3);
    let of = |out: &str| {
        let out = sandbox.path().join(out);
        (
            reports(&out.join("report")),
            std::fs::read(out.join("manifest.csv")).unwrap(),
        )
    };
    let (a, b) = (of("A"), of("elsewhere/B"));
    assert_eq!(a.0.len(), 18, "{:?}", a.0.keys());
    for (name, bytes) in &a.0 {
        assert!(b.0.get(name) == Some(bytes), "{name} differs");
    }
    assert!(a == b, "the manifests differ");
}

/// Where every cell that mail, a certificate or a file's name fills would be a formula.
fn hostile_archive() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("mail/=1+1.mbox", hostile_mbox());
    sandbox.write("mail/@x.zip", "PK\u{3}\u{4}");
    sandbox.write("text", "Content-Type: text/plain\n\nhello\n");
    let line = |line: &str| openssl(sandbox.path(), line).expect(line);
    line(
        "req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -days 7300 \
         -subj /CN==HYPERLINK(1)/emailAddress=@SUM(1)@example.org",
    );
    let header =
        "From: =1@example.org\nTo: =2@example.org\nMessage-ID: <=3@example.org>\nSubject: =4\n";
    for (name, command) in [
        ("=s", "cms -sign -in text -signer c.pem -inkey k.pem"),
        ("=e", "cms -encrypt -aes256 -in text c.pem"),
    ] {
        let object = String::from_utf8(line(command)).unwrap();
        sandbox.write(&format!("mail/{name}.eml"), header.to_owned() + &object);
        sandbox.write(
            &format!("mail/{name}x.eml"),
            header.to_owned() + &object[..object.len() / 2],
        );
    }
    sandbox
}

#[test]
fn no_cell_is_a_formula_and_no_subject_breaks_a_row() {
    if !has("python3") || !has("openssl") {
        return;
    }
    let sandbox = hostile_archive();
    sandbox
        .line("migrate mail --store s.db --out OUT --format both")
        .expect(3);
    let number = (SUBJECTS.len() + 4).to_string();
    let report = sandbox.path().join("OUT/report");
    let manifest = sandbox.path().join("OUT/manifest.csv");
    std::fs::copy(manifest, report.join("manifest.csv")).unwrap();
    let tables: Vec<_> = std::fs::read_dir(&report)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .collect();
    assert_eq!(tables.len(), 9, "{tables:?}");
    let report = report.into_os_string().into_string().unwrap();
    judge("sheets.py", &[&report, &number]);
    // Large, so not every machine that tests has it: what it would have shown is said.
    if std::env::var_os("PATH")
        .is_none_or(|path| !std::env::split_paths(&path).any(|dir| dir.join("soffice").exists()))
    {
        println!("NOT SHOWN: LibreOffice is absent");
        return;
    }
    let mut convert = std::process::Command::new("soffice");
    convert
        .arg(format!(
            "-env:UserInstallation=file://{}/office",
            sandbox.path().display()
        ))
        .args(["--headless", "--convert-to", "xlsx", "--outdir"])
        .arg(sandbox.path().join("x"))
        .args(&tables)
        .env("HOME", sandbox.path());
    assert!(convert.output().unwrap().status.success());
    let books = sandbox
        .path()
        .join("x")
        .into_os_string()
        .into_string()
        .unwrap();
    let said = judge("sheets.py", &[&report, &number, &books]);
    assert!(said.starts_with("9 spreadsheets"), "{said}");
}

/// The text of the page's table with this caption, a row a line, its cells apart by ` | `.
fn table_of(page: &str, caption: &str) -> Vec<String> {
    let table = page.split("<table>").find(|table| table.contains(caption));
    let table = table.unwrap_or_else(|| panic!("no table {caption}"));
    let table = table.split("</table>").next().unwrap();
    let text = |cell: &str| {
        let mut inside = false;
        let text: String = cell
            .chars()
            .filter(|c| {
                inside = (inside || *c == '<') && *c != '>';
                !inside && *c != '>'
            })
            .collect();
        text.trim().to_owned()
    };
    let body = table.split("<tbody>").nth(1).unwrap();
    let rows = body.split("<tr>").skip(1).map(|row| {
        let cells = row
            .split("<td")
            .skip(1)
            .map(|cell| text(&format!("<td{cell}")));
        cells.collect::<Vec<_>>().join(" | ")
    });
    rows.collect()
}

#[test]
fn the_page_grades_ciphers_by_the_policy_and_shows_what_verdicts_rest_on() {
    let sandbox = Sandbox::with_sample();
    let mut seen = Vec::new();
    for policy in ["at-the-time", "today"] {
        let options = format!("--policy {policy} --crl sample-data/crl --trust-tsa sample-data/ca");
        sandbox
            .line(&format!("{MIGRATE} {options} --out OUT --start-over"))
            .expect(3);
        let report = sandbox.path().join("OUT/report");
        let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
        for row in rows(&report.join("messages.csv")) {
            if !row.at("content_encryption").is_empty() {
                let kind =
                    ["content_strength", "content_encryption"].map(|name| row.at(name).to_owned());
                *counts.entry(kind.into()).or_default() += 1;
            }
        }
        let page = std::fs::read_to_string(report.join("report.html")).unwrap();
        let mut shown: BTreeMap<(String, String), u64> = BTreeMap::new();
        for row in table_of(&page, "Content ciphers") {
            let cells: Vec<_> = row.split(" | ").map(str::to_owned).collect();
            *shown
                .entry((cells[0].clone(), cells[1].clone()))
                .or_default() += cells[3].parse::<u64>().unwrap();
        }
        assert_eq!(shown, counts, "{policy}");
        seen.push(shown);
        assert!(!table_of(&page, "Revocation lists (--crl)").is_empty());
        assert!(!table_of(&page, "Authorities of time-stamps (--trust-tsa)").is_empty());
        // The harness says --now; the page does so once.
        let told = told(&page);
        assert_eq!(told.matches("2026-11-23T00:00:00Z").count(), 1, "{told}");
        assert_eq!(told.matches("<code>--now</code>").count(), 1, "{told}");
    }
    assert_ne!(
        seen[0], seen[1],
        "a cipher of those days is no longer what it was"
    );
}

#[test]
fn a_report_comes_in_parts_and_chosen_columns() {
    let sandbox = Sandbox::with_sample();
    let cut = "--columns messages=ordinal,mailbox,verdict --split-rows 50";
    let command = format!("{MIGRATE} {cut} --format both --out OUT");
    sandbox.line(&command).expect(3);
    let report = sandbox.path().join("OUT/report");
    let parts: Vec<_> = [
        "messages.csv",
        "messages-2.csv",
        "messages-3.csv",
        "messages-4.csv",
    ]
    .iter()
    .map(|name| std::fs::read_to_string(report.join(name)).unwrap())
    .collect();
    let lines: Vec<usize> = parts.iter().map(|part| part.lines().count()).collect();
    assert_eq!(lines, [51, 51, 51, 9], "158 rows, a header row each");
    assert!(
        parts
            .iter()
            .all(|part| part.starts_with("ordinal,mailbox,verdict\r\n"))
    );
    assert!(!report.join("messages-5.csv").exists() && !report.join("sources-2.csv").exists());
    let whole = rows(&migrated().report("messages.csv"));
    let together = parts.iter().flat_map(|part| part.lines().skip(1));
    for (line, row) in together.zip(&whole) {
        let [ordinal, mailbox, verdict] =
            ["ordinal", "mailbox", "verdict"].map(|name| row.at(name));
        assert_eq!(line, format!("{ordinal},{mailbox},{verdict}"));
    }
    let objects = std::fs::read_to_string(report.join("messages.jsonl")).unwrap();
    assert!(
        objects.starts_with("{\"ordinal\":1,\"mailbox\":"),
        "{}",
        &objects[..60]
    );
    sandbox.line("check OUT").expect(0);
    let again = sandbox.line(&command).expect(3);
    assert!(
        again.stdout.starts_with("Finished before"),
        "{}",
        again.stdout
    );
    sandbox.line(&format!("{MIGRATE} --out OUT")).expect(2);
    std::fs::remove_file(report.join("messages-3.csv")).unwrap();
    let missing = sandbox.line("check OUT").expect(3);
    assert!(
        missing.stdout.contains("messages-3.csv: missing"),
        "{}",
        missing.stdout
    );
    for wrong in [
        "--columns messages=colour",
        "--columns letters=ordinal",
        "--split-rows 0",
    ] {
        sandbox
            .line(&format!("{MIGRATE} {wrong} --out X"))
            .expect(2);
    }
    sandbox
        .line("scan sample-data/archive --split-rows 5")
        .expect(2);
}

#[test]
fn a_redacted_report_names_nobody_and_counts_the_same() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::with_sample();
    let redact = "--redact subject,addresses,paths --format both";
    sandbox
        .line(&format!("{MIGRATE} {redact} --out OUT"))
        .expect(3);
    sandbox.line("check OUT").expect(0);
    let key = sandbox.path().join("OUT/.p7mill/redaction.key");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let open = migrated();
    let mut names: Vec<String> = Vec::new();
    let mut subjects: Vec<String> = Vec::new();
    for row in rows(&open.report("messages.csv")) {
        subjects.push(row.at("subject").to_owned());
        names.extend(row.at("from").split(' ').map(str::to_owned));
        names.extend([row.at("message_id"), row.at("mailbox")].map(str::to_owned));
    }
    for row in rows(&open.report("certificates.csv"))
        .iter()
        .filter(|row| row.at("ca") == "false")
    {
        names.extend(row.at("addresses").split(' ').map(str::to_owned));
        names.push(row.at("subject").to_owned());
    }
    names.push("lindqvist".into());
    for list in [&mut names, &mut subjects] {
        list.retain(|name| name.len() > 6);
        list.sort();
        list.dedup();
        assert!(list.len() > 90, "{}", list.len());
    }
    let report = sandbox.path().join("OUT/report");
    let mut hidden = reports(&report);
    hidden.insert(
        "run.json".into(),
        std::fs::read(report.join("run.json")).unwrap(),
    );
    for (file, bytes) in &hidden {
        let text = String::from_utf8(bytes.clone()).unwrap();
        // The page shows no subject, and some are words of its own.
        let subjects = subjects.iter().filter(|_| file != "report.html");
        for name in names.iter().chain(subjects) {
            assert!(!text.contains(name.as_str()), "{file} names {name}");
        }
    }
    for (name, of) in [
        ("outcomes", "messages"),
        ("verdicts", "messages"),
        ("failures", "failed"),
    ] {
        let summary = |file: &Path| json(file)[name].clone();
        assert_eq!(
            summary(&report.join("summary.json")),
            summary(&open.report("summary.json")),
            "{of}"
        );
    }
    // The axes are words, not somebody's.
    let axes = |file: &Path| -> Vec<String> {
        let rows = rows(file);
        rows.iter()
            .map(|row| row.at("address").to_owned())
            .collect()
    };
    assert_eq!(
        axes(&report.join("signatures.csv")),
        axes(&open.report("signatures.csv"))
    );
    // One sender is one pseudonym, and the key gives the same ones anew.
    let pairs = rows(&open.report("messages.csv"))
        .into_iter()
        .zip(rows(&report.join("messages.csv")));
    let mut pseudonyms: BTreeMap<String, String> = BTreeMap::new();
    for (shown, hidden) in pairs {
        let known = pseudonyms
            .entry(shown.at("from").to_lowercase())
            .or_insert_with(|| hidden.at("from").to_owned());
        assert_eq!(known, hidden.at("from"));
    }
    std::fs::copy(&key, sandbox.path().join("key")).unwrap();
    let again = format!("{MIGRATE} {redact} --redaction-key key --out AGAIN");
    sandbox.line(&again).expect(3);
    let same = reports(&sandbox.path().join("AGAIN/report"));
    assert!(same == reports(&report), "the same key, other pseudonyms");
    let inside = format!("{MIGRATE} {redact} --redaction-key IN/report/key --out IN");
    sandbox.line(&inside).expect(2);
    std::fs::set_permissions(
        sandbox.path().join("key"),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let read_by_others = format!("{MIGRATE} {redact} --redaction-key key --out OPEN");
    sandbox.line(&read_by_others).expect(2);
}

#[test]
fn a_stamp_names_the_original_and_breaks_no_signature() {
    let sandbox = Sandbox::with_sample();
    let command = format!("{MIGRATE} --stamp --out OUT");
    sandbox.line(&command).expect(3);
    sandbox.line("check OUT").expect(0);
    let out = sandbox.path().join("OUT");
    let mut stamped = 0;
    for row in rows(&out.join("report/messages.csv")) {
        if !row.at("part").is_empty() {
            continue;
        }
        let changed = row.at("outcome") == "decrypted";
        assert_eq!(changed, row.at("sha256") != row.at("out_sha256"));
        let place = out.join(row.at("out_mailbox"));
        if place.is_file() {
            let bytes = std::fs::read(&place).unwrap();
            let offset = usize::try_from(row.number("out_offset")).unwrap();
            let line_end = bytes[offset..]
                .iter()
                .position(|byte| *byte == b'\n')
                .unwrap();
            let lead = if bytes[offset..].starts_with(b"From ") {
                line_end + 1
            } else {
                0
            };
            let field = format!("X-P7mill-Original-SHA256: {}", row.at("sha256"));
            assert_eq!(
                bytes[offset + lead..].starts_with(field.as_bytes()),
                changed,
                "{:?}",
                row.key()
            );
            stamped += u64::from(changed);
        }
    }
    assert!(stamped > 10, "{stamped}");
    // Signatures inside opened messages hold as they did, and a second pass changes nothing.
    let verify = "verify OUT/archive --keys sample-data/keys --trust sample-data/ca --report V";
    sandbox.line(verify).expect(3);
    let verdicts = |file: &Path| json(file)["verdicts"]["valid"].clone();
    let plain = verdicts(&migrated().report("summary.json"));
    assert_eq!(verdicts(&sandbox.path().join("V/summary.json")), plain);
    let again = "migrate OUT/archive --keys sample-data/keys --stamp --out TWICE";
    sandbox.line(again).expect(3);
    assert_eq!(
        json(&sandbox.path().join("TWICE/report/summary.json"))["outcomes"].get("decrypted"),
        None
    );
    sandbox.line("restore OUT --out BACK").expect(0);
    for name in ["Board.mbox", "Inbox.mbox"] {
        let [was, is] = [
            repository().join("sample-data"),
            sandbox.path().join("BACK"),
        ]
        .map(|folder| std::fs::read(folder.join("archive").join(name)).unwrap());
        assert!(was == is, "{name}");
    }
}

#[test]
fn the_manifest_s_digest_is_printed_to_be_written_down() {
    if !has("openssl") {
        return;
    }
    let sandbox = Sandbox::with_sample();
    let ran = sandbox.line(&format!("{MIGRATE} --out OUT")).expect(3);
    let line = ran.stdout.lines().last().unwrap().to_owned();
    let digest = line.strip_prefix("manifest.csv: sha256 ").unwrap();
    let said = openssl(sandbox.path(), "dgst -sha256 -r OUT/manifest.csv").expect("a digest");
    assert_eq!(&String::from_utf8(said).unwrap()[..64], digest);
    let run = json(&sandbox.path().join("OUT/report/run.json"));
    assert_eq!(run["manifest_sha256"], digest);
    for name in [
        "command_line",
        "user",
        "host",
        "started",
        "ended",
        "p7mill",
        "openssl",
        "keys",
        "trust_anchors",
        "crls",
    ] {
        assert!(!run[name].is_null(), "{name}");
    }
    let again = sandbox.line(&format!("{MIGRATE} --out OUT")).expect(3);
    assert_eq!(again.stdout.lines().last(), Some(line.as_str()));
}

#[test]
fn a_terminal_is_shown_what_names_and_mail_would_have_it_do() {
    if !has("openssl") {
        return;
    }
    let evil = "\u{1b}[2Jx\u{202e}\u{9b}31m\u{200b}";
    let sandbox = Sandbox::new();
    let pki = Pki::new();
    pki.person("ann", "rsa", 7);
    sandbox.write(&format!("mail/{evil}.mbox"), hostile_mbox());
    sandbox.write(&format!("mail/{evil}.gz"), b"\x1f\x8b\x08\0\0\0\0\0");
    sandbox.write(
        &format!("keys/{evil}.pem"),
        std::fs::read(pki.certificate("ann")).unwrap(),
    );
    sandbox.write(&format!("keys/{evil}.p12"), b"\x30\x80broken");
    openssl(
        sandbox.path(),
        &format!("req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out evil.pem -days 7300 -utf8 -subj /CN={evil}"),
    )
    .expect("a certificate");
    sandbox.write("plain.txt", "Content-Type: text/plain\r\n\r\nhello\r\n");
    openssl(
        sandbox.path(),
        "cms -encrypt -in plain.txt -out mail/e.eml evil.pem",
    )
    .expect("encrypted");
    openssl(
        sandbox.path(),
        "cms -sign -in plain.txt -signer evil.pem -inkey k.pem -out mail/s.eml",
    )
    .expect("signed");
    let root = pki.certificate("root");
    let root = root.display();
    let lines = [
        "scan mail --keys keys -v --progress plain --report r1".to_owned(),
        format!("verify mail --trust {root} -v --report r2"),
        format!("harvest mail --trust {root} --store s.db -v"),
        format!(
            "migrate mail --keys keys --trust {root} --store s.db -v --progress plain --out OUT"
        ),
        format!("migrate mail --keys keys --trust {root} --store s.db --out OUT"),
        "check OUT".to_owned(),
        "restore OUT -v".to_owned(),
        "store list --store s.db".to_owned(),
        "store export --store s.db --format pem".to_owned(),
        "keys list --keys keys".to_owned(),
        "decrypt mail --keys keys --out D".to_owned(),
    ];
    let mut said: Vec<_> = lines
        .into_iter()
        .map(|line| {
            let ran = sandbox.line(&line);
            (line, ran)
        })
        .collect();
    for arguments in [
        vec!["scan".to_owned(), format!("nowhere/{evil}")],
        vec!["check".to_owned(), evil.to_owned()],
        vec!["restore".to_owned(), evil.to_owned()],
        vec![
            "scan".to_owned(),
            format!("mail/{evil}.mbox"),
            "--keys".to_owned(),
            evil.to_owned(),
        ],
        vec!["scan".to_owned(), "mail".to_owned(), format!("--{evil}")],
        vec![
            "scan".to_owned(),
            "mail".to_owned(),
            "--now".to_owned(),
            evil.to_owned(),
        ],
        vec![
            "migrate".to_owned(),
            "mail".to_owned(),
            "--out".to_owned(),
            format!("OUT-{evil}"),
        ],
        vec!["check".to_owned(), format!("OUT-{evil}")],
        vec![
            "store".to_owned(),
            "show".to_owned(),
            "--store".to_owned(),
            "s.db".to_owned(),
            evil.to_owned(),
        ],
        vec![evil.to_owned()],
    ] {
        said.push((arguments.join(" "), sandbox.run(&arguments)));
    }
    // What is left out of OUT has its name told by check.
    std::fs::remove_file(sandbox.path().join(format!("OUT/mail/{evil}.mbox"))).unwrap();
    said.push(("check".into(), sandbox.line("check OUT")));
    let mut shown = 0;
    for (line, ran) in &said {
        for text in [&ran.stdout, &ran.stderr] {
            let acts = |c: char| {
                (c.is_control() && c != '\n')
                    || "\u{202e}\u{200b}\u{feff}\u{2028}\u{61c}".contains(c)
            };
            assert!(!text.contains(acts), "{}: {text:?}", line.escape_debug());
            shown += u64::from(text.contains("u{1b}") || text.contains("\\x1b"));
        }
    }
    assert!(shown >= 6, "the names were shown {shown} times");
}
