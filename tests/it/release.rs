//! A hundred megabytes under GCM: nothing of the text leaves p7mill before the tag has held.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::Sandbox;
use crate::support::table::rows;
use crate::support::tools::{Pki, has, openssl};

/// Shorter than half of what `strace` shows of a write, so that any piece of the text shows it.
const MARKER: &str = "THE-TREASURE-IS-UNDER-THE-MAST. ";
const BYTES: usize = 100 << 20;

/// A folder with `olga.pem`, `olga.key` and `sound.p7m`, a bare object to olga.
fn sealed() -> Pki {
    let pki = Pki::new();
    pki.person("olga", "rsa", 0x3001);
    let mut text = b"Content-Type: text/plain\r\n\r\n".to_vec();
    text.extend(MARKER.bytes().cycle().take(BYTES));
    fs::write(pki.path().join("text"), text).unwrap();
    let line = "cms -encrypt -binary -in text -outform DER -out sound.p7m -aes-256-gcm olga.pem";
    openssl(pki.path(), line).expect(line);
    fs::remove_file(pki.path().join("text")).unwrap();
    pki
}

/// The files below `folder` that hold the marker.
fn marked(folder: &Path) -> Vec<String> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| holds_marker(&fs::read(entry.path()).unwrap()))
        .map(|entry| entry.path().display().to_string())
        .collect()
}

fn holds_marker(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, MARKER.as_bytes()).is_some()
}

#[test]
fn a_hundred_megabytes_with_the_last_bit_flipped_release_nothing() {
    let pki = sealed();
    let sandbox = Sandbox::new();
    let keys = pki.keys_of(&["olga"]).to_string_lossy().into_owned();
    let mut object = fs::read(pki.path().join("sound.p7m")).unwrap();
    assert!(object.len() > BYTES);
    fs::create_dir(sandbox.path().join("A")).unwrap();
    let flipped = sandbox.path().join("A/flipped.p7m");

    // The honest twin comes out, and the search finds it.
    fs::write(&flipped, &object).unwrap();
    sandbox
        .run(["decrypt", "A", "--keys", &keys, "--out", "SOUND"])
        .expect(0);
    assert_eq!(marked(&sandbox.path().join("SOUND")).len(), 1);
    fs::remove_dir_all(sandbox.path().join("SOUND")).unwrap();

    // The tag is the last element of AuthEnvelopedData.
    *object.last_mut().unwrap() ^= 1;
    fs::write(&flipped, &object).unwrap();

    // To a folder, with every byte that is written anywhere on record.
    let words = ["decrypt", "A", "--keys", &keys, "--out", "OUT"];
    if has("strace") {
        let command = sandbox.command(words);
        let traced = Command::new("strace")
            .args(["-f", "-q", "-s", "96", "-o", "trace", "-e"])
            .arg("trace=write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg")
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .current_dir(sandbox.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(traced.code(), Some(3));
        let trace = fs::read(sandbox.path().join("trace")).unwrap();
        assert!(memchr::memmem::find(&trace, b"write").is_some());
        assert!(!holds_marker(&trace), "the text was written somewhere");
    } else {
        sandbox.run(words).expect(3);
    }
    let row = &rows(&sandbox.path().join("OUT/report/messages.csv"))[0];
    assert_eq!((row.at("outcome"), row.at("reason")), ("undecryptable", ""));
    assert_eq!(marked(sandbox.path()), Vec::<String>::new());
    assert!(fs::read(sandbox.path().join("OUT/A/flipped.p7m")).unwrap() == object);

    // To a pipe.
    let mut child = sandbox
        .command(["decrypt", "-", "--keys", &keys])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = object.clone();
    let feeder = std::thread::spawn(move || {
        // What stops reading says why elsewhere.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(!holds_marker(&output.stdout) && !holds_marker(&output.stderr));
    assert_eq!(marked(sandbox.path()), Vec::<String>::new());
}
