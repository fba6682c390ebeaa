//! What PATHs may be, and where outputs may lie: sources are only read.

use std::path::{Path, PathBuf};

use p7mill::{Error, Result, engine};

use super::request::Request;

/// Whether PATH is standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Every PATH is there; standard input stands alone.
pub(crate) fn check_sources(paths: &[PathBuf]) -> Result<()> {
    if paths.len() > 1 && paths.iter().any(|path| is_stdin(path)) {
        return Err(Error::Usage(
            "- (standard input) stands alone; a file of that name is ./-".into(),
        ));
    }
    for path in paths.iter().filter(|path| !is_stdin(path)) {
        std::fs::metadata(path)
            .map_err(|error| Error::Usage(format!("{}: {error}", path.display())))?;
    }
    Ok(())
}

/// OUT of an earlier run is there.
pub(crate) fn check_tree(out: &Path) -> Result<()> {
    if out.is_dir() {
        return Ok(());
    }
    Err(Error::Usage(format!("{}: no such folder", out.display())))
}

/// Sources are only read: every output lies apart from every PATH. The engine sees to that too, but
/// by then the store would have been made.
pub(crate) fn check_targets(request: &Request<'_>) -> Result<()> {
    let sources: Vec<PathBuf> = request
        .paths
        .iter()
        .filter(|path| !is_stdin(path))
        .cloned()
        .collect();
    if let Some(out) = request.out.and_then(|out| out.out.as_deref()) {
        engine::refuse_overlap(&sources, "--out", out)?;
    }
    if let Some(report) = request.report {
        engine::refuse_inside(&sources, "--report", report)?;
    }
    if let Some(store) = request.store.filter(|_| request.harvests) {
        engine::refuse_inside(&sources, "--store", store)?;
    }
    if let (Some(out), None) = (
        request
            .out
            .filter(|out| out.dry_run)
            .and_then(|out| out.out.as_deref()),
        request.report,
    ) && out.join("manifest.csv").exists()
    {
        return Err(Error::Usage(format!(
            "--dry-run would replace the reports of the run that wrote {}; add --report DIR",
            out.display()
        )));
    }
    Ok(())
}

/// Where a dry run's reports go, which has no OUT for the engine to put them in.
pub(crate) fn report_of_dry_run(request: &Request<'_>) -> Option<PathBuf> {
    let out = request.out.filter(|out| out.dry_run)?.out.as_ref()?;
    Some(out.join("report"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(paths: &'a [PathBuf], report: &'a Path) -> Request<'a> {
        Request {
            paths,
            report: Some(report),
            ..Request::default()
        }
    }

    #[test]
    fn nothing_is_written_into_a_source_not_even_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("mail");
        std::fs::create_dir(&source).unwrap();
        std::os::unix::fs::symlink(&source, dir.path().join("link")).unwrap();
        let sources = [source];
        for inside in ["mail", "mail/r", "link/new/r", "x/../mail/r"] {
            std::fs::create_dir_all(dir.path().join("x")).unwrap();
            let inside = dir.path().join(inside);
            assert!(
                check_targets(&request(&sources, &inside)).is_err(),
                "{}",
                inside.display()
            );
        }
        for beside in ["mail2", "r", "x/r"] {
            assert!(
                check_targets(&request(&sources, &dir.path().join(beside))).is_ok(),
                "{beside}"
            );
        }
    }

    #[test]
    fn standard_input_stands_alone() {
        assert!(check_sources(&["-".into()]).is_ok());
        assert!(check_sources(&["-".into(), "x".into()]).is_err());
    }
}
