//! Passphrases for key files: from a file, a descriptor, a table, or a prompt. All of them are wiped
//! after use and shown by nothing.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Bytes of the largest passphrase file read.
const MAX_FILE: usize = 1 << 20;

/// How often a prompt is asked for one file.
const PROMPTS: u32 = 3;

/// A passphrase as bytes; UTF-8 by custom. Shown by nothing, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes a copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase")
    }
}

/// Asks a person for a file's passphrase; `None` skips the file.
pub type Prompt = Box<dyn FnMut(&Path) -> Option<Zeroizing<String>>>;

/// Every source of passphrases of one run.
#[derive(Default)]
pub struct Passphrases {
    single: Vec<Passphrase>,
    table: Vec<(String, Passphrase)>,
    prompt: Option<Prompt>,
}

impl std::fmt::Debug for Passphrases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrases")
    }
}

impl Passphrases {
    /// No source at all: only files without a passphrase open.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a passphrase that is tried on every locked file.
    pub fn add(&mut self, passphrase: Passphrase) {
        self.single.push(passphrase);
    }

    /// Adds `file`'s first line (`--passphrase-file`).
    ///
    /// # Errors
    /// Where the file cannot be read, or others can read it, or it is empty ([`Error::Usage`]).
    pub fn read_file(&mut self, file: &Path) -> Result<()> {
        let bytes = read_private(file)?;
        // A line with nothing in it is the empty passphrase; a file with no line is a mistake.
        if bytes.is_empty() {
            return Err(Error::Usage(format!("{} is empty", file.display())));
        }
        self.add(first_line(&bytes));
        Ok(())
    }

    /// Adds the first line of what an open descriptor holds (`--passphrase-fd`).
    pub fn read_fd(&mut self, fd: u32) -> Result<()> {
        let path = format!("/dev/fd/{fd}");
        let file = File::open(&path)
            .map_err(|_| Error::Usage(format!("--passphrase-fd {fd}: no such descriptor")))?;
        let bytes = read_bounded(file, Path::new(&path))?;
        self.add(first_line(&bytes));
        Ok(())
    }

    /// Adds a table of files and their passphrases (`--passphrases`): CSV with the header
    /// `file,passphrase`, where `file` is a name or the tail of a path.
    ///
    /// # Errors
    /// As [`Passphrases::read_file`], and [`Error::Usage`] with the line where it is no such table.
    pub fn read_table(&mut self, file: &Path) -> Result<()> {
        let bytes = read_private(file)?;
        let mut rows = records(&bytes)
            .map_err(|line| bad_table(file, line))?
            .into_iter();
        match rows.next() {
            Some((_, header)) if is_header(&header) => {}
            _ => return Err(bad_table(file, 1)),
        }
        for (line, row) in rows {
            let mut fields = row.into_iter();
            let (Some(name), Some(passphrase), None) =
                (fields.next(), fields.next(), fields.next())
            else {
                return Err(bad_table(file, line));
            };
            let name = String::from_utf8_lossy(&name).trim_matches('/').to_owned();
            if name.is_empty() {
                return Err(bad_table(file, line));
            }
            let end = passphrase
                .strip_suffix(b"\n")
                .map_or(passphrase.len(), <[u8]>::len);
            let passphrase = passphrase.get(..end).unwrap_or_default();
            self.table.push((name, Passphrase::new(passphrase)));
        }
        Ok(())
    }

    /// The files that the table names, in its order: names or tails of paths.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.table.iter().map(|(name, _)| &name[..])
    }

    /// Asks `prompt` for files that nothing else opens.
    pub fn set_prompt(&mut self, prompt: Prompt) {
        self.prompt = Some(prompt);
    }

    /// What to try on `file`, in order: its own rows of the table, the longest name first, then
    /// what is tried on every file.
    pub(super) fn known_for(&self, file: &Path) -> Vec<Passphrase> {
        let mut rows: Vec<&(String, Passphrase)> = self
            .table
            .iter()
            .filter(|(name, _)| file.ends_with(name))
            .collect();
        rows.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        rows.into_iter()
            .map(|(_, passphrase)| passphrase)
            .chain(&self.single)
            .cloned()
            .collect()
    }

    /// What a person says, up to three times a file; `tried` counts.
    pub(super) fn ask(&mut self, file: &Path, tried: &mut u32) -> Option<Passphrase> {
        let prompt = self.prompt.as_mut()?;
        if *tried == PROMPTS {
            return None;
        }
        *tried += 1;
        prompt(file).map(|text| Passphrase::new(text.as_bytes()))
    }
}

fn bad_table(file: &Path, line: usize) -> Error {
    Error::Usage(format!(
        "{}: line {line} is not as in a table with the header file,passphrase",
        file.display()
    ))
}

/// Reads a file of secrets, which nobody but its owner may be able to read.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let metadata = file.metadata().map_err(Error::io("read", path))?;
    if metadata.is_dir() {
        return Err(Error::Usage(format!("{} is a folder", path.display())));
    }
    if metadata.permissions().mode() & 0o044 != 0 {
        return Err(Error::Usage(format!(
            "others can read {0}; make it private first: chmod 600 {0}",
            path.display()
        )));
    }
    read_bounded(file, path)
}

/// Reads into one buffer that never moves: a moved one would leave a copy behind.
fn read_bounded(mut file: File, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(vec![0; MAX_FILE + 1]);
    let mut len = 0;
    loop {
        let room = buffer.get_mut(len..).unwrap_or_default();
        match file.read(room) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", path)(error)),
        }
    }
    if len > MAX_FILE {
        return Err(Error::Usage(format!(
            "{}: a passphrase file over 1 MiB",
            path.display()
        )));
    }
    buffer.truncate(len);
    Ok(buffer)
}

fn first_line(bytes: &[u8]) -> Passphrase {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    Passphrase::new(line.strip_suffix(b"\r").unwrap_or(line))
}

type Row = Vec<Zeroizing<Vec<u8>>>;

/// Splits RFC 4180 text into its records, each with the line it starts on; the error is the line.
/// Not the csv crate: its buffers keep copies of what it read, and nobody wipes them.
fn records(bytes: &[u8]) -> std::result::Result<Vec<(usize, Row)>, usize> {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut out = Vec::new();
    let mut row: Row = Vec::new();
    let (mut line, mut started) = (1, 1);
    // After a comma there is a field, even where nothing follows.
    while !rest.is_empty() || !row.is_empty() {
        let (field, after) = match rest.strip_prefix(b"\"") {
            Some(quoted) => unquote(quoted).ok_or(line)?,
            None => unquoted(rest),
        };
        line += memchr::memchr_iter(b'\n', &field).count();
        row.push(field);
        if let Some(next) = after.strip_prefix(b",") {
            rest = next;
            continue;
        }
        let ended = after
            .strip_prefix(b"\r\n")
            .or_else(|| after.strip_prefix(b"\n"));
        rest = ended.or(after.is_empty().then_some(after)).ok_or(line)?;
        let done = std::mem::take(&mut row);
        if done.iter().any(|field| !field.is_empty()) {
            out.push((started, done));
        }
        line += 1;
        started = line;
    }
    Ok(out)
}

/// The field up to the next comma or line end, and what follows it.
fn unquoted(bytes: &[u8]) -> (Zeroizing<Vec<u8>>, &[u8]) {
    let end = bytes
        .iter()
        .position(|byte| matches!(byte, b',' | b'\n'))
        .unwrap_or(bytes.len());
    let at_line_end = bytes.get(end) == Some(&b'\n');
    let carriage_return = at_line_end && end > 0 && bytes.get(end - 1) == Some(&b'\r');
    let end = if carriage_return { end - 1 } else { end };
    let (field, after) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    (Zeroizing::new(field.to_vec()), after)
}

/// The field that a quotation mark opened, and what follows its closing one.
fn unquote(bytes: &[u8]) -> Option<(Zeroizing<Vec<u8>>, &[u8])> {
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut rest = bytes;
    loop {
        let quote = rest.iter().position(|byte| *byte == b'"')?;
        out.extend_from_slice(rest.get(..quote)?);
        rest = rest.get(quote + 1..)?;
        match rest.strip_prefix(b"\"") {
            Some(after) => {
                out.push(b'"');
                rest = after;
            }
            None => return Some((out, rest)),
        }
    }
}

fn is_header(row: &Row) -> bool {
    matches!(&row[..], [file, passphrase]
        if file.eq_ignore_ascii_case(b"file") && passphrase.eq_ignore_ascii_case(b"passphrase"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    fn file(dir: &tempfile::TempDir, name: &str, mode: u32, text: &str) -> std::path::PathBuf {
        let path = dir.path().join(name);
        let mut options = std::fs::OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        path
    }

    fn known(passphrases: &Passphrases, path: &str) -> Vec<String> {
        let known = passphrases.known_for(Path::new(path));
        known
            .iter()
            .map(|p| String::from_utf8(p.bytes().to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn the_table_matches_names_and_tails_and_keeps_odd_passphrases() {
        let dir = tempfile::tempdir().unwrap();
        let table = file(
            &dir,
            "t.csv",
            0o600,
            "\u{feff}file,passphrase\r\na.p12,plain\r\n\"b.p12\",\"with \"\"quotes\"\", comma\"\r\n\
             sub/a.p12, blanks \r\nempty.p12,\r\n\r\nline.p12,\"one\ntwo\n\"\r\nlast.p12,",
        );
        let mut passphrases = Passphrases::none();
        passphrases.read_table(&table).unwrap();
        passphrases.add(Passphrase::new(b"all"));
        assert_eq!(known(&passphrases, "/k/a.p12"), ["plain", "all"]);
        assert_eq!(
            known(&passphrases, "/k/sub/a.p12"),
            [" blanks ", "plain", "all"]
        );
        assert_eq!(
            known(&passphrases, "/k/b.p12"),
            ["with \"quotes\", comma", "all"]
        );
        assert_eq!(known(&passphrases, "/k/empty.p12"), ["", "all"]);
        assert_eq!(known(&passphrases, "/k/line.p12"), ["one\ntwo", "all"]);
        assert_eq!(known(&passphrases, "/k/last.p12"), ["", "all"]);
        assert_eq!(known(&passphrases, "/k/xa.p12"), ["all"]);
    }

    #[test]
    fn what_is_no_table_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        for (i, (text, line)) in [
            ("a.p12,secret\n", "line 1 "),
            ("file,passphrase\na,b\nc\n", "line 3 "),
            ("file,passphrase\na,b,c\n", "line 2 "),
            ("file,passphrase\na,\"b\n", "line 2 "),
            ("file,passphrase\na,\"b\"c\n", "line 2 "),
        ]
        .into_iter()
        .enumerate()
        {
            let path = file(&dir, &i.to_string(), 0o600, text);
            let error = Passphrases::none()
                .read_table(&path)
                .unwrap_err()
                .to_string();
            assert!(error.contains(line), "{text:?}: {error}");
            assert!(!error.contains("secret"));
        }
    }

    #[test]
    fn files_that_others_can_read_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let private = file(&dir, "p", 0o600, "first\r\nsecond\n");
        let public = file(&dir, "q", 0o644, "first\n");
        let mut passphrases = Passphrases::none();
        passphrases.read_file(&private).unwrap();
        assert_eq!(known(&passphrases, "x"), ["first"]);
        assert!(matches!(
            passphrases.read_file(&public),
            Err(Error::Usage(_))
        ));
        assert!(matches!(
            passphrases.read_table(&public),
            Err(Error::Usage(_))
        ));
        assert!(matches!(passphrases.read_fd(999), Err(Error::Usage(_))));
        assert_eq!(
            format!("{passphrases:?} {:?}", Passphrase::new(b"x")),
            "Passphrases Passphrase"
        );
    }
}
