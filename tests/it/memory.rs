//! What is left in the program's memory when its work is done: `strace` holds it at the call that
//! ends it, and what it still has is read as a core image would show it.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::Sandbox;
use crate::support::peers::peer;
use crate::support::tools::{LATER, Pki, openssl};

/// A passphrase of key files, and one of messages.
const KEY_PASSPHRASE: &str = "marker-of-the-key-9f3c71d0";
const MAIL_PASSPHRASE: &str = "marker-of-the-mail-55ab0e12";

/// The memory of p7mill, run with `line`, when it makes `call` for the first time; `None`, which is
/// said, where it cannot be looked at.
fn memory_at(sandbox: &Sandbox, line: &str, call: &str) -> Option<Vec<Vec<u8>>> {
    let mut strace = peer("strace")?;
    let command = sandbox.command(line.split_whitespace());
    let mut child = strace
        .args(["-f", "-qq", "-o", "trace", "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:delay_enter=60000000:when=1")])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .current_dir(sandbox.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let tracer = child.id();
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut before = String::new();
    let pid = loop {
        std::thread::sleep(Duration::from_millis(400));
        assert!(Instant::now() < deadline, "it never came to {call}");
        assert_eq!(child.try_wait().unwrap(), None, "it ended before {call}");
        let children = fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children"));
        let Some(pid) = children
            .unwrap()
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse::<i32>().ok())
        else {
            continue;
        };
        // Held by its tracer, with nothing done meanwhile.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        if stat.contains(") t ") && stat == before {
            break pid;
        }
        before = stat;
    };
    let memory = read_memory(pid);
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    if memory.is_none() {
        println!("NOT SHOWN: only root may look into p7mill's memory");
    }
    memory
}

/// Everything that a process can write to.
fn read_memory(pid: i32) -> Option<Vec<Vec<u8>>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let mut memory = fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut all = Vec::new();
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        memory.seek(SeekFrom::Start(start)).unwrap();
        let mut bytes = Vec::new();
        // What was mapped and never touched may not be readable.
        let _ = (&mut memory).take(end - start).read_to_end(&mut bytes);
        all.push(bytes);
    }
    Some(all)
}

fn holds(memory: &[Vec<u8>], needle: &[u8]) -> bool {
    let finder = memchr::memmem::Finder::new(needle);
    memory.iter().any(|bytes| finder.find(bytes).is_some())
}

/// The names of the needles that are found.
fn found(memory: &[Vec<u8>], needles: &[(String, Vec<u8>)]) -> Vec<String> {
    let found = needles.iter().filter(|(_, needle)| holds(memory, needle));
    found.map(|(name, _)| name.clone()).collect()
}

/// A number as keys hold it: the first byte first, or last as OpenSSL computes with it. A part is
/// enough to know it by.
fn number(needles: &mut Vec<(String, Vec<u8>)>, name: &str, bytes: &[u8]) {
    let bytes: Vec<u8> = bytes
        .iter()
        .copied()
        .skip_while(|byte| *byte == 0)
        .collect();
    let middle = bytes.len() / 2;
    let part = &bytes[middle - 12..middle + 4];
    needles.push((name.to_owned(), part.to_vec()));
    needles.push((
        format!("{name}, reversed"),
        part.iter().rev().copied().collect(),
    ));
}

/// The numbers of a private key that only its owner knows, as `openssl` prints them.
fn private_numbers(pki: &Pki, name: &str) -> Vec<(String, Vec<u8>)> {
    let line = format!("pkey -in {name}.key -noout -text");
    let text = String::from_utf8(openssl(pki.path(), &line).expect(&line)).unwrap();
    let mut needles = Vec::new();
    let mut label = String::new();
    let mut hex = String::new();
    for line in text.lines().chain(["end:"]) {
        if line.starts_with(' ') {
            hex.extend(line.chars().filter(char::is_ascii_hexdigit));
            continue;
        }
        let secret = [
            "privateExponent",
            "prime1",
            "prime2",
            "exponent1",
            "exponent2",
            "coefficient",
            "priv",
        ];
        if secret.contains(&label.as_str()) {
            let bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
                .collect();
            number(&mut needles, &format!("{name} {label}"), &bytes);
        }
        line.split(':')
            .next()
            .unwrap_or_default()
            .clone_into(&mut label);
        hex.clear();
    }
    needles
}

/// The content key of an object to the holder of an RSA key.
fn content_key(pki: &Pki, object: &str, name: &str) -> Vec<u8> {
    let line = format!("cms -cmsout -print -inform DER -in {object}");
    let text = String::from_utf8(openssl(pki.path(), &line).expect(&line)).unwrap();
    let dump = text.split_once("encryptedKey:").unwrap().1;
    let mut bytes = Vec::new();
    for line in dump.lines().skip(1) {
        let Some((_, line)) = line.split_once(" - ") else {
            break;
        };
        let hex: String = line.chars().take(44).collect();
        bytes.extend(
            hex.split([' ', '-'])
                .filter_map(|byte| u8::from_str_radix(byte, 16).ok()),
        );
    }
    assert_eq!(bytes.len(), 256);
    fs::write(pki.path().join("encrypted-key"), bytes).unwrap();
    let line = format!("pkeyutl -decrypt -inkey {name}.key -in encrypted-key");
    openssl(pki.path(), &line).expect(&line)
}

#[test]
fn when_the_keys_are_dropped_no_secret_is_left_in_memory() {
    let pki = Pki::new();
    pki.person("bob", "rsa", 0x5001);
    pki.person("eve", "ec", 0x5002);
    let keys = pki.path().join("keys");
    fs::create_dir(&keys).unwrap();
    for line in [
        format!(
            "pkcs12 -export -inkey bob.key -in bob.pem -out keys/bob.p12 -passout pass:{KEY_PASSPHRASE}"
        ),
        format!(
            "pkcs12 -export -inkey eve.key -in eve.pem -out keys/eve.p12 -passout pass:{KEY_PASSPHRASE} \
             -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg SHA1"
        ),
        format!("pkcs8 -topk8 -in bob.key -out keys/bob.key -passout pass:{KEY_PASSPHRASE}"),
    ] {
        openssl(pki.path(), &line).expect(&line);
    }
    fs::copy(pki.certificate("bob"), keys.join("bob.pem")).unwrap();
    let sandbox = Sandbox::new();
    let text = "Content-Type: text/plain\r\n\r\nto bob\r\n";
    fs::write(pki.path().join("text"), text).unwrap();
    fs::create_dir(sandbox.path().join("A")).unwrap();
    let mut needles = Vec::new();
    for (name, cipher) in [("cbc", "-aes-256-cbc"), ("gcm", "-aes-256-gcm")] {
        let line =
            format!("cms -encrypt -binary -in text -outform DER -out {name}.p7m {cipher} bob.pem");
        openssl(pki.path(), &line).expect(&line);
        let key = content_key(&pki, &format!("{name}.p7m"), "bob");
        assert_eq!(key.len(), 32);
        needles.push((format!("the content key under {name}"), key[8..24].to_vec()));
        let object = pki.path().join(format!("{name}.p7m"));
        fs::copy(object, sandbox.path().join(format!("A/{name}.p7m"))).unwrap();
    }
    needles.extend(private_numbers(&pki, "bob"));
    needles.extend(private_numbers(&pki, "eve"));
    assert_eq!(needles.len(), 2 + 6 * 2 + 2);
    for passphrase in [KEY_PASSPHRASE, MAIL_PASSPHRASE] {
        needles.push((passphrase.to_owned(), passphrase.into()));
        let wide = passphrase.bytes().flat_map(|byte| [0, byte]).collect();
        needles.push((format!("{passphrase}, as PKCS#12 has it"), wide));
    }
    sandbox.write("key-passphrase", KEY_PASSPHRASE);
    sandbox.write("mail-passphrases", MAIL_PASSPHRASE);
    for options in ["-j 1", "-j 2"] {
        let line = format!(
            "migrate A --keys {} --passphrase-file key-passphrase --message-passphrase-file mail-passphrases \
             --out OUT --now {LATER} {options}",
            keys.display()
        );
        // While it works, the search finds what it should: so it would find what is left.
        let Some(living) = memory_at(&sandbox, &line, "rename") else {
            return;
        };
        let alive = found(&living, &needles);
        assert!(alive.iter().any(|name| name.contains("bob")), "{alive:?}");
        assert!(
            alive.iter().any(|name| name == MAIL_PASSPHRASE),
            "{alive:?}"
        );
        fs::remove_dir_all(sandbox.path().join("OUT")).unwrap();
        let left = memory_at(&sandbox, &line, "exit_group").unwrap();
        assert!(left.iter().map(Vec::len).sum::<usize>() > 1 << 20);
        assert_eq!(found(&left, &needles), [""; 0], "with {options}");
        fs::remove_dir_all(sandbox.path().join("OUT")).unwrap();
    }
}
