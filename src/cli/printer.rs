//! The one place that prints. Results go to standard output, everything else to standard error.

use std::io::{self, IsTerminal as _, Write};

use p7mill::text::terminal_safe;
use p7mill::{Error, Result};

use super::options::{Color, TalkArgs};

/// Writes for people and for pipes; never panics, whatever becomes of the other end.
#[derive(Debug, Clone)]
pub(crate) struct Printer {
    quiet: bool,
    verbose: bool,
    color: bool,
}

/// How a word is to strike the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// All is well.
    Good,
    /// Look here.
    Bad,
}

impl Printer {
    /// As the command line asks; `auto` colours a terminal unless `NO_COLOR` is set.
    pub(crate) fn new(talk: &TalkArgs) -> Self {
        let color = match talk.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                io::stdout().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            }
        };
        Self {
            quiet: talk.quiet,
            verbose: talk.verbose,
            color,
        }
    }

    /// Writes text that was asked for to standard output, even with `-q`. A reader that has gone
    /// away has seen enough: that is no error.
    pub(crate) fn result(&self, text: &str) -> Result<()> {
        match self.bytes(text.as_bytes()) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Standard output itself, for mail.
    #[expect(clippy::unused_self, reason = "only a printer gives it away")]
    pub(crate) fn output(&self) -> impl Write + use<> {
        io::BufWriter::new(io::stdout())
    }

    /// Writes a summary to standard output unless `-q`.
    pub(crate) fn summary(&self, text: &str) -> Result<()> {
        if self.quiet {
            Ok(())
        } else {
            self.result(text)
        }
    }

    /// Writes mail to standard output: here a reader that has gone away is an error, since the
    /// mail did not arrive.
    #[expect(clippy::unused_self, reason = "all printing goes through a Printer")]
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(Error::io("write to", "standard output"))
    }

    /// Says something beside the results, on standard error, unless `-q`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            complain(text);
        }
    }

    /// Says something that only matters to the curious (`-v`).
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            complain(text);
        }
    }

    /// Whether `-v` asks to be told more.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// `text` in the tone, where there is colour.
    pub(crate) fn tone(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
        };
        if self.color {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Writes a line to standard error. Nobody can be told if that fails, so nothing is.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Columns as wide as their widest cell, the last one as it comes, two spaces between and `indent`
/// before. Cells come from mail: what a terminal would obey is shown instead.
pub(crate) fn table(indent: usize, header: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            row.iter()
                .map(|cell| shorten(&terminal_safe(cell)))
                .collect()
        })
        .collect();
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = " ".repeat(indent);
        for (cell, &width) in cells.zip(&widths) {
            text.push_str(cell);
            text.push_str(&" ".repeat(width.saturating_sub(cell.chars().count()) + 2));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    };
    let mut out = line(&mut header.iter().copied());
    for row in &rows {
        out.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    out
}

/// The longest cell a table shows; a hostile name must not fill the screen.
const CELL: usize = 80;

fn shorten(cell: &str) -> String {
    if cell.chars().count() <= CELL {
        return cell.to_owned();
    }
    cell.chars().take(CELL - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up_and_show_escapes_instead_of_obeying_them() {
        let rows = vec![
            vec!["a".to_owned(), "b\u{1b}[2J".to_owned()],
            vec!["längst".to_owned(), "c".to_owned()],
        ];
        assert_eq!(
            table(2, &["x", "y"], &rows),
            "  x       y\n  a       b\\u{1b}[2J\n  längst  c\n"
        );
    }

    #[test]
    fn a_cell_does_not_fill_the_screen() {
        assert_eq!(shorten(&"ä".repeat(1000)).chars().count(), CELL);
    }
}
