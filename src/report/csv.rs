//! CSV that a spreadsheet, a line counter and a database all read alike: UTF-8, RFC 4180, CRLF, a
//! header row even where nothing follows, never a line break inside a cell, never a formula.

use std::borrow::Cow;
use std::io::{self, Write};

use super::rows::{Cell, Row};

/// Writes the header row of `R`.
pub fn header<R: Row>(out: &mut dyn Write) -> io::Result<()> {
    names(out, R::COLUMNS)
}

/// Writes a header row of these columns.
pub fn names(out: &mut dyn Write, columns: &[&str]) -> io::Result<()> {
    out.write_all(columns.join(",").as_bytes())?;
    out.write_all(b"\r\n")
}

/// Writes one row.
pub fn row<R: Row>(out: &mut dyn Write, row: &R) -> io::Result<()> {
    let mut line = String::with_capacity(256);
    let mut first = true;
    row.cells(&mut |cell| push(&mut line, &mut first, cell));
    line.push_str("\r\n");
    out.write_all(line.as_bytes())
}

/// Writes one row of these cells.
pub fn cells<'a>(out: &mut dyn Write, cells: impl IntoIterator<Item = Cell<'a>>) -> io::Result<()> {
    let mut line = String::with_capacity(256);
    let mut first = true;
    for cell in cells {
        push(&mut line, &mut first, cell);
    }
    line.push_str("\r\n");
    out.write_all(line.as_bytes())
}

fn push(line: &mut String, first: &mut bool, cell: Cell<'_>) {
    if !std::mem::take(first) {
        line.push(',');
    }
    match cell {
        Cell::Text(text) => quote(line, &harmless(text)),
        Cell::Number(number) => line.push_str(&number.to_string()),
        Cell::Empty => {}
    }
}

/// `text` as a cell may hold it.
///
/// Control characters become `\u{…}`: a cell never breaks a line, and a literal `\u{` becomes
/// `\u{5c}u{`, so that undoing every `\u{…}` gives the text back. What a spreadsheet could run as
/// a formula gets a leading `'`.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let formula = text
        .trim_start_matches(|c: char| {
            c.is_whitespace() && !matches!(c, '\t' | '\r') || is_invisible(c)
        })
        .starts_with([
            '=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫',
        ]);
    let breaks = text.contains(is_broken) || text.contains("\\u{");
    if !formula && !breaks {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    if formula {
        out.push('\'');
    }
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if is_broken(c) {
            out.extend(c.escape_unicode());
        } else if rest.starts_with("\\u{") {
            out.push_str("\\u{5c}");
        } else {
            out.push(c);
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    Cow::Owned(out)
}

/// A cell with every `\u{…}` turned back into its character; an added `'` stays.
pub fn undone(cell: &str) -> String {
    let mut out = String::with_capacity(cell.len());
    let mut rest = cell;
    while let Some(at) = rest.find("\\u{") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let code = after.get(3..).and_then(|after| after.split_once('}'));
        let character = code.and_then(|(digits, tail)| {
            let number = u32::from_str_radix(digits, 16).ok()?;
            Some((char::from_u32(number)?, tail))
        });
        let Some((character, tail)) = character else {
            rest = after;
            break;
        };
        out.push(character);
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Ends a line somewhere, or obeys a terminal's or a spreadsheet's own rules.
fn is_broken(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Shows nothing, and so may hide what a cell begins with.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2069}' | '\u{202a}'..='\u{202e}' | '\u{feff}')
}

/// Quotes where RFC 4180 asks for it, and also where a `;` or an outer space stands: a spreadsheet
/// in a locale that separates by semicolons would begin a new cell there, formula and all. (The
/// `csv` crate cannot be told so for one cell.)
fn quote(line: &mut String, cell: &str) {
    if cell.contains([',', '"', ';', '\'']) || cell.starts_with(' ') || cell.ends_with(' ') {
        line.push('"');
        line.push_str(&cell.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(cell);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::ManifestRow;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formulas_are_neutralised_and_plain_text_is_not_touched() {
        for text in [
            "=1+1",
            "+49 171",
            "-x",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "  =1",
            "＝1",
            "\u{200b}=1",
            "\u{a0}=1",
        ] {
            assert!(harmless(text).starts_with('\''), "{text:?}");
        }
        for text in ["", "a=b", "Re: hello", "1-2", "ä"] {
            assert_eq!(harmless(text), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_one_line_one_cell_and_comes_back(text in "\\PC*|[=+@\\t\\r\\n\"',;\\\\u{}a -]{0,12}|(?s).{0,20}") {
            let row_in = ManifestRow { out_path: text.clone(), outcome: "kept".into(), ..ManifestRow::default() };
            let mut out = Vec::new();
            header::<ManifestRow>(&mut out).unwrap();
            row(&mut out, &row_in).unwrap();
            prop_assert_eq!(out.split(|byte| *byte == b'\n').count() - 1, 2);
            let mut reader = ::csv::Reader::from_reader(&out[..]);
            let records: Vec<_> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(records.len(), 1);
            let cell = &records[0][0];
            let undone = undone(cell);
            prop_assert!(undone == text || undone.strip_prefix('\'') == Some(&text), "{:?} {:?}", cell, text);
            prop_assert_eq!(&records[0][4], "kept");
        }
    }
}
