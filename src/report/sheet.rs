//! Report files while they are written: beside their place, then renamed into it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::csv;
use super::rows::Row;
use crate::error::{Error, Result};
use crate::fsio;

/// Where reports go and in which formats.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The folder; `None` makes totals only.
    pub dir: Option<&'a Path>,
    /// For spreadsheets.
    pub csv: bool,
    /// Raw values, one JSON object a line.
    pub jsonl: bool,
}

impl Target<'_> {
    /// The report called `name` in the formats not asked for. None in a folder without a
    /// summary.json, where no run of p7mill has ended: what lies there is somebody else's.
    fn unwanted(&self, name: &str) -> Vec<PathBuf> {
        let Some(dir) = self.dir.filter(|dir| dir.join("summary.json").is_file()) else {
            return Vec::new();
        };
        [(self.csv, "csv"), (self.jsonl, "jsonl")]
            .iter()
            .filter(|(wanted, _)| !wanted)
            .map(|(_, extension)| dir.join(format!("{name}.{extension}")))
            .collect()
    }
}

/// One report, in the formats asked for.
pub(super) struct Sheet<R> {
    csv: Option<Pending>,
    jsonl: Option<Pending>,
    /// What an earlier run may have written here in the format that is not asked for.
    stale: Vec<PathBuf>,
    row: PhantomData<R>,
}

impl<R: Row> Sheet<R> {
    /// Begins the report called `name`, without an extension.
    pub(super) fn open(target: Target<'_>, name: &str) -> Result<Self> {
        let pending = |wanted: bool, extension: &str| match target.dir {
            Some(dir) if wanted => {
                Pending::create(dir.join(format!("{name}.{extension}"))).map(Some)
            }
            _ => Ok(None),
        };
        let mut sheet = Self {
            csv: pending(target.csv, "csv")?,
            jsonl: pending(target.jsonl, "jsonl")?,
            stale: target.unwanted(name),
            row: PhantomData,
        };
        if let Some(pending) = &mut sheet.csv {
            pending.write(|out| csv::header::<R>(out))?;
        }
        Ok(sheet)
    }

    /// Adds a row.
    pub(super) fn row(&mut self, row: &R) -> Result<()> {
        if let Some(pending) = &mut self.csv {
            pending.write(|out| csv::row(out, row))?;
        }
        if let Some(pending) = &mut self.jsonl {
            pending.write(|out| json_line(out, row))?;
        }
        Ok(())
    }

    /// Puts the files in their place, alone: reports of two runs must not lie side by side.
    pub(super) fn finish(self) -> Result<()> {
        self.csv
            .into_iter()
            .chain(self.jsonl)
            .try_for_each(Pending::finish)?;
        for path in &self.stale {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
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

/// A file that has its final name only once it is whole; dropped before, it leaves nothing.
pub(crate) struct Pending {
    path: PathBuf,
    temp: PathBuf,
    out: BufWriter<File>,
    done: bool,
}

impl Pending {
    /// Begins the file that will be `path`.
    pub(crate) fn create(path: PathBuf) -> Result<Self> {
        let temp = fsio::temp_beside(&path);
        let out = BufWriter::with_capacity(1 << 16, fsio::create(&temp)?);
        Ok(Self {
            path,
            temp,
            out,
            done: false,
        })
    }

    /// Lets `fill` write more.
    pub(crate) fn write(
        &mut self,
        fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<()> {
        fill(&mut self.out).map_err(Error::io("write", &self.path))
    }

    /// Makes it durable and gives it its name.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.out.flush().map_err(Error::io("write", &self.path))?;
        self.out
            .get_ref()
            .sync_all()
            .map_err(Error::io("sync", &self.path))?;
        fsio::rename(&self.temp, &self.path)?;
        self.done = true;
        fsio::sync_dir(self.path.parent().unwrap_or(Path::new(".")))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.done {
            let _ = std::fs::remove_file(&self.temp);
        }
    }
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
            jsonl: false,
        };
        let run = || {
            let sheet = Sheet::<SourceRow>::open(target, "sources").unwrap();
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
        };
        let names = || {
            let mut names: Vec<_> = std::fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let mut sheet = Sheet::<SourceRow>::open(target, "sources").unwrap();
        sheet
            .row(&SourceRow {
                path: "=a".into(),
                ..SourceRow::default()
            })
            .unwrap();
        assert!(names().iter().all(|name| name.ends_with(fsio::TEMP_SUFFIX)));
        drop(sheet);
        assert!(names().is_empty());
        let mut sheet = Sheet::<SourceRow>::open(target, "sources").unwrap();
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
}
