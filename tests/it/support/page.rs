//! Tables in documents that a test produces.

use std::fs;

use super::repository;

/// Holds what stands in `docs/PAGE` between the lines `<!-- NAME -->` and `<!-- /NAME -->` against
/// `text`, a table that a test has produced. With `P7MILL_UPDATE_DOCS=1` the page is rewritten.
#[track_caller]
pub(crate) fn doc_table(page: &str, name: &str, text: &str) {
    let path = repository().join("docs").join(page);
    let whole = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let from = whole
        .find(&begin)
        .unwrap_or_else(|| panic!("{page} has no {begin}"))
        + begin.len();
    let to = from
        + whole[from..]
            .find(&end)
            .unwrap_or_else(|| panic!("{page} has no {end}"));
    let text = format!("{}\n", text.trim());
    if whole[from..to] == text {
        return;
    }
    assert!(
        std::env::var_os("P7MILL_UPDATE_DOCS").is_some_and(|value| value == "1"),
        "docs/{page} says of {name}:\n{}--- but this is what happens:\n{text}\
         P7MILL_UPDATE_DOCS=1 rewrites the page.",
        &whole[from..to]
    );
    let new = [&whole[..from], &text, &whole[to..]].concat();
    fs::write(&path, new).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
