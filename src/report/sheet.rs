//! Report files while they are written: beside their place, then renamed into it.

use std::io::Write;
use std::marker::PhantomData;
use std::path::Path;

use serde::Serialize;

use super::html::Told;
use super::redact::Redactor;
use super::rows::{Cell, Row};
use super::shape::{self, Shape};
use super::{csv, write};
use crate::error::Result;
use crate::fsio::{self, Pending};

/// Where reports go and in which formats.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target<'a> {
    /// The folder; `None` makes totals only.
    pub dir: Option<&'a Path>,
    /// For spreadsheets.
    pub csv: bool,
    /// Raw values, one JSON object a line.
    pub jsonl: bool,
    /// Columns and splitting; `None` means all columns in one file.
    pub shape: Option<&'a Shape>,
    /// What hides names; `None` hides nothing.
    pub redactor: Option<&'a Redactor>,
    /// Domains of the house, which tell keys that could be found there from strangers'.
    pub our_domains: &'a [String],
    /// What the run was told, for the page; `None` makes no page.
    pub told: Option<&'a Told>,
}

/// One report, in the formats asked for.
pub(super) struct Sheet<'a, R> {
    target: Target<'a>,
    /// Places of the chosen columns.
    chosen: Option<&'a [usize]>,
    /// The CSV file that rows go to, and how many it holds.
    csv: Option<Pending>,
    rows: u64,
    /// CSV files that are full.
    full: Vec<Pending>,
    jsonl: Option<Pending>,
    /// Whether an earlier run may have left reports here.
    stale: bool,
    row: PhantomData<R>,
}

impl<'a, R: Row> Sheet<'a, R> {
    /// Begins the report.
    pub(super) fn open(target: Target<'a>) -> Result<Self> {
        let jsonl = match target.dir {
            Some(dir) if target.jsonl => {
                Some(Pending::create(&dir.join(format!("{}.jsonl", R::NAME)))?)
            }
            _ => None,
        };
        let mut sheet = Self {
            target,
            chosen: target.shape.and_then(|shape| shape.of(R::NAME)),
            csv: None,
            rows: 0,
            full: Vec::new(),
            jsonl,
            // In a folder without a summary.json no run of p7mill has ended: what lies there is
            // somebody else's.
            stale: target
                .dir
                .is_some_and(|dir| dir.join("summary.json").is_file()),
            row: PhantomData,
        };
        sheet.csv = sheet.begin_csv()?;
        Ok(sheet)
    }

    /// The next CSV file, with its header row.
    fn begin_csv(&self) -> Result<Option<Pending>> {
        let Some(dir) = self.target.dir.filter(|_| self.target.csv) else {
            return Ok(None);
        };
        let name = shape::part_name(R::NAME, self.full.len() as u64 + 1);
        let mut pending = Pending::create(&dir.join(name))?;
        match self.chosen {
            Some(chosen) => {
                let columns: Vec<_> = chosen
                    .iter()
                    .filter_map(|place| R::COLUMNS.get(*place).copied())
                    .collect();
                pending.write(|out| csv::names(out, &columns))?;
            }
            None => pending.write(|out| csv::header::<R>(out))?,
        }
        Ok(Some(pending))
    }

    /// Adds a row.
    pub(super) fn row(&mut self, row: &R) -> Result<()> {
        let most = self.target.shape.and_then(|shape| shape.split_rows);
        if self.csv.is_some() && most.is_some_and(|most| self.rows >= most) {
            if let Some(mut full) = self.csv.take() {
                full.close()?;
                self.full.push(full);
            }
            self.csv = self.begin_csv()?;
            self.rows = 0;
        }
        self.rows += 1;
        let Some(chosen) = self.chosen else {
            if let Some(pending) = &mut self.csv {
                pending.write(|out| csv::row(out, row))?;
            }
            if let Some(pending) = &mut self.jsonl {
                pending.write(|out| json_line(out, row))?;
            }
            return Ok(());
        };
        let cells = chosen_cells(row, chosen);
        if let Some(pending) = &mut self.csv {
            pending.write(|out| csv::cells(out, cells.iter().map(Value::cell)))?;
        }
        if let Some(pending) = &mut self.jsonl {
            let named = chosen
                .iter()
                .filter_map(|place| R::COLUMNS.get(*place).copied());
            pending.write(|out| json_line(out, &Object(named.zip(&cells).collect())))?;
        }
        Ok(())
    }

    /// Puts the files in their place, alone: reports of two runs must not lie side by side.
    pub(super) fn finish(self) -> Result<()> {
        let parts = self.full.len() as u64 + u64::from(self.csv.is_some());
        let jsonl = self.jsonl.is_some();
        let pending = self.full.into_iter().chain(self.csv).chain(self.jsonl);
        pending.into_iter().try_for_each(Pending::finish)?;
        let Some(dir) = self.target.dir.filter(|_| self.stale) else {
            return Ok(());
        };
        for name in write::files_in(dir) {
            let stale = match shape::part_of(&name) {
                Some((report, part)) => {
                    shape::REPORTS
                        .get(report)
                        .is_some_and(|(name, _)| *name == R::NAME)
                        && part > parts
                }
                None => name.strip_suffix(".jsonl") == Some(R::NAME) && !jsonl,
            };
            if stale {
                fsio::remove(&dir.join(name))?;
            }
        }
        Ok(())
    }
}

/// A cell that outlives its row.
enum Value {
    Text(String),
    Number(u64),
    Empty,
}

impl Value {
    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Text(text) => Cell::Text(text),
            Self::Number(number) => Cell::Number(*number),
            Self::Empty => Cell::Empty,
        }
    }
}

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Empty => serializer.serialize_none(),
        }
    }
}

/// An object whose members keep their order.
struct Object<'a>(Vec<(&'static str, &'a Value)>);

impl Serialize for Object<'_> {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

fn chosen_cells<R: Row>(row: &R, chosen: &[usize]) -> Vec<Value> {
    let mut all = Vec::with_capacity(R::COLUMNS.len());
    row.cells(&mut |cell| {
        all.push(Some(match cell {
            Cell::Text(text) => Value::Text(text.to_owned()),
            Cell::Number(number) => Value::Number(number),
            Cell::Empty => Value::Empty,
        }));
    });
    chosen
        .iter()
        .filter_map(|place| all.get_mut(*place)?.take())
        .collect()
}

fn json_line(out: &mut dyn Write, value: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Writes `value` as indented JSON, whole or not at all.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    fsio::write_atomic(path, |out| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        out.write_all(b"\n")
    })
}

#[cfg(test)]
mod tests {
    use super::super::rows::SourceRow;
    use super::*;

    #[test]
    fn a_report_of_an_earlier_run_in_the_other_format_goes_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["sources.jsonl", "mine.jsonl"] {
            fsio::create(&dir.path().join(name)).unwrap();
        }
        let target = Target {
            dir: Some(dir.path()),
            csv: true,
            ..Target::default()
        };
        let run = || {
            let sheet = Sheet::<SourceRow>::open(target).unwrap();
            sheet.finish().unwrap();
            dir.path().join("sources.jsonl").exists()
        };
        assert!(run(), "no run of p7mill ended here");
        fsio::create(&dir.path().join("summary.json")).unwrap();
        assert!(!run());
        assert!(dir.path().join("mine.jsonl").exists());
    }

    #[test]
    fn nothing_stands_under_a_final_name_before_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target {
            dir: Some(dir.path()),
            csv: true,
            jsonl: true,
            ..Target::default()
        };
        let names = || {
            let mut names: Vec<_> = std::fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let mut sheet = Sheet::<SourceRow>::open(target).unwrap();
        sheet
            .row(&SourceRow {
                path: "=a".into(),
                ..SourceRow::default()
            })
            .unwrap();
        assert!(names().iter().all(|name| name.ends_with(fsio::TEMP_SUFFIX)));
        drop(sheet);
        assert!(names().is_empty());
        let mut sheet = Sheet::<SourceRow>::open(target).unwrap();
        sheet
            .row(&SourceRow {
                path: "=a".into(),
                ..SourceRow::default()
            })
            .unwrap();
        sheet.finish().unwrap();
        assert_eq!(names(), ["sources.csv", "sources.jsonl"]);
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(
            read("sources.csv"),
            "path,kind,bytes,sha256,messages,status\r\n\"'=a\",,0,,0,\r\n"
        );
        assert!(read("sources.jsonl").starts_with("{\"path\":\"=a\","));
    }

    #[test]
    fn a_report_is_split_and_cut_to_columns_and_leaves_no_older_part() {
        let dir = tempfile::tempdir().unwrap();
        let mut shape = Shape::default();
        shape.choose("sources=messages,path").unwrap();
        let run = |rows: u64, split_rows: Option<u64>| {
            let mut shape = shape.clone();
            shape.split_rows = split_rows;
            let target = Target {
                dir: Some(dir.path()),
                csv: true,
                jsonl: true,
                shape: Some(&shape),
                ..Target::default()
            };
            let mut sheet = Sheet::<SourceRow>::open(target).unwrap();
            for messages in 0..rows {
                let path = "=a".to_owned();
                let row = SourceRow {
                    path,
                    messages,
                    ..SourceRow::default()
                };
                sheet.row(&row).unwrap();
            }
            sheet.finish().unwrap();
            fsio::write_atomic(&dir.path().join("summary.json"), |_| Ok(())).unwrap();
            write::files_in(dir.path())
        };
        let parts = [
            "sources.csv",
            "sources-2.csv",
            "sources-3.csv",
            "sources.jsonl",
            "summary.json",
        ];
        assert_eq!(run(5, Some(2)), parts);
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("sources-3.csv"), "messages,path\r\n4,\"'=a\"\r\n");
        assert!(read("sources.jsonl").starts_with("{\"messages\":0,\"path\":\"=a\"}\n"));
        assert_eq!(
            run(4, Some(2)),
            [
                "sources.csv",
                "sources-2.csv",
                "sources.jsonl",
                "summary.json"
            ]
        );
        assert_eq!(
            run(0, None),
            ["sources.csv", "sources.jsonl", "summary.json"]
        );
    }
}
