//! CSV reports as rows that are asked by column name.

use std::collections::BTreeMap;
use std::path::Path;

/// A row of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row(BTreeMap<String, String>);

impl Row {
    /// A cell; a column that is not there is a failure of the test.
    #[track_caller]
    pub(crate) fn at(&self, column: &str) -> &str {
        self.0
            .get(column)
            .unwrap_or_else(|| panic!("no column {column}: {:?}", self.0.keys()))
    }

    /// A cell that is a number.
    #[track_caller]
    pub(crate) fn number(&self, column: &str) -> u64 {
        self.at(column)
            .parse()
            .unwrap_or_else(|_| panic!("{column} is no number: {:?}", self.at(column)))
    }

    /// Mailbox, ordinal and part: what names a judged message.
    pub(crate) fn key(&self) -> (String, u64, String) {
        (
            self.at("mailbox").to_owned(),
            self.number("ordinal"),
            self.at("part").to_owned(),
        )
    }

    /// All cells but those named.
    pub(crate) fn without(mut self, columns: &[&str]) -> Self {
        self.0.retain(|name, _| !columns.contains(&name.as_str()));
        self
    }
}

/// Every row of a CSV (or, with `\t`, TSV) file.
#[track_caller]
pub(crate) fn rows(path: &Path) -> Vec<Row> {
    read(path, b',')
}

/// Every row of a file separated by tabs.
#[track_caller]
pub(crate) fn tabs(path: &Path) -> Vec<Row> {
    read(path, b'\t')
}

#[track_caller]
fn read(path: &Path, delimiter: u8) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(delimiter == b',')
        .from_path(path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let header = reader.headers().unwrap().clone();
    reader
        .records()
        .map(|record| {
            let record = record.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            Row(header
                .iter()
                .map(str::to_owned)
                .zip(record.iter().map(str::to_owned))
                .collect())
        })
        .collect()
}
