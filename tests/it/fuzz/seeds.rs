//! What the targets begin with: pieces of the sample, and of `../shared/corpora` where it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use p7mill::archive::{self, Content, RawMessage};
use p7mill::cert;
use p7mill::cms;
use p7mill::limits::{Budget, Limits};
use p7mill::message::parts;
use p7mill::smime::find;

/// The repository, from the main package and from the fuzzing one.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|folder| folder.join("sample-data").is_dir())
        .expect("sample-data lies in the repository")
        .to_path_buf()
}

/// Longer seeds make fuzzing slow and find nothing more.
const LONGEST: usize = 64 << 10;

/// The seeds of a target, by a name, in a fixed order. `most` bounds their length in bytes.
pub(crate) fn of(target: &str, most: usize) -> Vec<(String, Vec<u8>)> {
    let most = most.min(LONGEST);
    let files = files();
    let mut seeds = match target {
        "mbox" => mailboxes(&files, most),
        "mime" | "message" => mail(&files),
        "cms" => objects(&files),
        "ber" => objects(&files)
            .into_iter()
            .chain(certificates(&files))
            .collect(),
        "certificate" => certificates(&files),
        "keys" => key_files(&files),
        "journal" => vec![("journal".to_owned(), journal())],
        _ => panic!("no target is called {target}"),
    };
    seeds.retain(|(_, bytes)| !bytes.is_empty() && bytes.len() <= most);
    seeds
}

/// Every file of the sample, then of the corpora, sorted, named by its path.
fn files() -> Vec<(String, Vec<u8>)> {
    let root = root();
    let mut found = Vec::new();
    for folder in ["sample-data", "../shared/corpora"] {
        let walk = walkdir::WalkDir::new(root.join(folder)).sort_by_file_name();
        for entry in walk
            .into_iter()
            .filter_map(Result::ok)
            .filter(|e| e.file_type().is_file())
        {
            let name = entry
                .path()
                .strip_prefix(&root)
                .unwrap_or(entry.path())
                .display()
                .to_string();
            found.push((name, std::fs::read(entry.path()).unwrap_or_default()));
        }
    }
    found
}

fn split(bytes: &[u8]) -> Vec<RawMessage> {
    let stream = std::io::Cursor::new(bytes.to_vec());
    archive::stdin_messages(stream, &Limits::default())
        .map(|(_, messages)| messages.filter_map(Result::ok).collect())
        .unwrap_or_default()
}

fn is_mailbox(bytes: &[u8]) -> bool {
    bytes.starts_with(b"From ")
}

fn is_mail(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    let head = head.to_ascii_lowercase();
    [&b"content-type:"[..], b"from:", b"received:"]
        .iter()
        .any(|field| memchr::memmem::find(&head, field).is_some())
}

/// Mailboxes, the long ones in pieces of whole messages.
fn mailboxes(files: &[(String, Vec<u8>)], most: usize) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    for (name, bytes) in files.iter().filter(|(_, bytes)| is_mailbox(bytes)) {
        if bytes.len() <= most {
            out.push((name.clone(), bytes.clone()));
            continue;
        }
        let mut piece = Vec::new();
        for (n, message) in split(bytes).into_iter().enumerate() {
            let Content::Bytes(content) = message.content else {
                continue;
            };
            let whole = [message.lead, content, message.trail].concat();
            if piece.len() + whole.len() > most {
                out.push((format!("{name}#{n}"), std::mem::take(&mut piece)));
            }
            piece.extend(whole);
        }
        out.push((format!("{name}#end"), piece));
    }
    out
}

/// Every message, out of mailboxes and alone.
pub(crate) fn mail(files: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    for (name, bytes) in files
        .iter()
        .filter(|(_, bytes)| is_mailbox(bytes) || is_mail(bytes))
    {
        for message in split(bytes) {
            if let Content::Bytes(content) = message.content {
                out.push((format!("{name}#{}", message.locator.ordinal), content));
            }
        }
    }
    out
}

/// Every CMS object: files that are one, and what lies in mail.
pub(crate) fn objects(files: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        if cms::sniff(bytes).is_some() {
            out.push((name.clone(), bytes.clone()));
        } else if let Some(der) = cms::unarmor(bytes) {
            out.push((name.clone(), der));
        }
    }
    for (name, message) in mail(files) {
        let tree = parts::parse(&message, &mut Budget::new(&Limits::default()));
        for (index, part) in tree.parts.iter().enumerate() {
            if !matches!(
                find::kind(&tree, index),
                Some(find::Kind::Cms | find::Kind::StraySignature)
            ) {
                continue;
            }
            if let Some(object) = find::object(&tree, part) {
                out.push((
                    format!("{name}/{}", part.section),
                    object.bytes.into_owned(),
                ));
            }
        }
    }
    out
}

/// Every CMS object there is, whatever its length.
#[allow(dead_code, reason = "only the differential tests ask for them")]
pub(crate) fn all_objects() -> Vec<(String, Vec<u8>)> {
    objects(&files())
}

fn certificates(files: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let mut seen = BTreeMap::new();
    let mut keep = |name: &str, der: &[u8]| {
        if !seen.values().any(|known| known == der) {
            seen.insert(format!("{name}-{}", seen.len()), der.to_vec());
        }
    };
    for (name, bytes) in files {
        for certificate in cert::trust::certificates_in(bytes) {
            keep(name, &certificate.der);
        }
    }
    for (name, object) in objects(files) {
        if let Ok(cms::Content::Signed(signed)) = cms::parse(&object).map(|info| info.content) {
            signed.certificates.iter().for_each(|der| keep(&name, der));
        }
    }
    seen.into_iter().collect()
}

fn key_files(files: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let kinds = ["key", "p12", "pfx", "pem", "der"];
    files
        .iter()
        .filter(|(name, _)| {
            let extension = Path::new(name).extension().and_then(|e| e.to_str());
            extension.is_some_and(|extension| kinds.contains(&extension))
        })
        .cloned()
        .collect()
}

/// The journal of a run over a part of the sample, without its checksums: the target adds them.
fn journal() -> Vec<u8> {
    use p7mill::engine::{Job, Silent};
    let out = tempfile::tempdir().expect("a folder");
    let job = Job {
        roots: vec![root().join("sample-data/archive/Board.mbox")],
        out: Some(out.path().join("OUT")),
        threads: 1,
        ..Job::default()
    };
    let context = super::targets::context(p7mill::ops::Opening::Decrypt);
    p7mill::engine::run(&job, &context, None, &Silent).expect("the sample is migrated");
    let whole = std::fs::read(out.path().join("OUT/.p7mill/journal")).expect("its journal");
    let mut lines: Vec<&[u8]> = whole
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.get(17..))
        .collect();
    lines.retain(|line| line.len() < 4096);
    lines.truncate(24);
    lines.join(&b'\n')
}
