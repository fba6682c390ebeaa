//! How reports are cut: which columns in which order, and after how many rows a new file begins.

use std::collections::BTreeMap;

use super::rows::{
    CertificateRow, FailedRow, MessageRow, MissingCaRow, MissingKeyRow, RecipientRow, Row,
    SignatureRow, SourceRow,
};

/// Every report with rows, and its columns.
pub const REPORTS: &[(&str, &[&str])] = &[
    of::<MessageRow>(),
    of::<SignatureRow>(),
    of::<RecipientRow>(),
    of::<CertificateRow>(),
    of::<MissingKeyRow>(),
    of::<MissingCaRow>(),
    of::<SourceRow>(),
    of::<FailedRow>(),
];

const fn of<R: Row>() -> (&'static str, &'static [&'static str]) {
    (R::NAME, R::COLUMNS)
}

/// What was asked for; the default is all columns in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// By report, places in its columns.
    columns: BTreeMap<&'static str, Vec<usize>>,
    /// Rows of a CSV file, its header row aside.
    pub split_rows: Option<u64>,
}

impl Shape {
    /// All columns, in files of so many rows.
    pub fn split(rows: Option<u64>) -> Self {
        Self {
            split_rows: rows,
            ..Self::default()
        }
    }

    /// Takes in a choice such as `messages=mailbox,ordinal,verdict`.
    ///
    /// # Errors
    /// What is wrong with it, and what would do.
    pub fn choose(&mut self, choice: &str) -> Result<(), String> {
        let names = || {
            let names: Vec<_> = REPORTS.iter().map(|(name, _)| *name).collect();
            names.join(", ")
        };
        let Some((report, wanted)) = choice.split_once('=') else {
            return Err(
                "use REPORT=COLUMN,COLUMN, such as messages=mailbox,ordinal,verdict".into(),
            );
        };
        let Some((report, columns)) = REPORTS.iter().find(|(name, _)| *name == report) else {
            return Err(format!("{report} is no report; there are {}", names()));
        };
        let mut places = Vec::new();
        for column in wanted.split(',') {
            let place = columns.iter().position(|known| *known == column);
            let place = place.ok_or_else(|| {
                format!(
                    "{column} is no column of {report}; it has {}",
                    columns.join(", ")
                )
            })?;
            if places.contains(&place) {
                return Err(format!("{column} is named twice"));
            }
            places.push(place);
        }
        if self.columns.insert(report, places).is_some() {
            return Err(format!("the columns of {report} are chosen twice"));
        }
        Ok(())
    }

    /// The chosen columns of a report; `None` means all.
    pub(super) fn of(&self, report: &str) -> Option<&[usize]> {
        self.columns.get(report).map(Vec::as_slice)
    }

    /// The choice in words, by which two runs are compared.
    pub fn described(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for (report, places) in &self.columns {
            let columns = REPORTS.iter().find(|(name, _)| name == report);
            let columns = columns.map_or(&[][..], |(_, columns)| columns);
            let names: Vec<_> = places
                .iter()
                .filter_map(|place| columns.get(*place).copied())
                .collect();
            words.push(format!("{report}={}", names.join(",")));
        }
        words.extend(self.split_rows.map(|rows| format!("split-rows={rows}")));
        words.join(" ")
    }
}

/// The name of the `number`th file of a CSV report: `messages.csv`, `messages-2.csv` …
pub(super) fn part_name(report: &str, number: u64) -> String {
    match number {
        0 | 1 => format!("{report}.csv"),
        number => format!("{report}-{number}.csv"),
    }
}

/// The report and the number of a file that [`part_name`] names.
pub(super) fn part_of(file: &str) -> Option<(usize, u64)> {
    let stem = file.strip_suffix(".csv")?;
    if let Some(place) = REPORTS.iter().position(|(name, _)| *name == stem) {
        return Some((place, 1));
    }
    let (report, digits) = stem.rsplit_once('-')?;
    let place = REPORTS.iter().position(|(name, _)| *name == report)?;
    let number = digits.parse().ok().filter(|number| *number > 1)?;
    (part_name(report, number) == file).then_some((place, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_names_columns_that_are_there_once() {
        let mut shape = Shape::default();
        shape.choose("messages=verdict,mailbox").unwrap();
        assert_eq!(shape.of("messages"), Some(&[15, 0][..]));
        assert_eq!(shape.of("signatures"), None);
        assert_eq!(shape.described(), "messages=verdict,mailbox");
        for wrong in [
            "messages",
            "messages=",
            "messages=nonsense",
            "letters=mailbox",
            "messages=mailbox",
            "sources=path,path",
        ] {
            assert!(shape.choose(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_files_of_a_report_are_known_by_name() {
        for number in [1, 2, 10, 1000] {
            assert_eq!(
                part_of(&part_name("missing-keys", number)),
                Some((4, number))
            );
        }
        for other in [
            "messages-1.csv",
            "messages-02.csv",
            "mine-2.csv",
            "messages-2.jsonl",
            "messages-.csv",
        ] {
            assert_eq!(part_of(other), None, "{other}");
        }
    }
}
