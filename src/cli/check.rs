//! `p7mill check OUT`: whether an output tree still matches its manifest.

use p7mill::Result;
use p7mill::engine;
use p7mill::report::summary::plural;
use p7mill::text::{escape_path, terminal_safe};

use super::args::CheckArgs;
use super::paths;
use super::printer::{Printer, Tone};

/// Runs it; the exit code: 3 where there are differences.
pub(crate) fn run(arguments: &CheckArgs, printer: &Printer) -> Result<u8> {
    paths::check_tree(&arguments.out)?;
    let differences = engine::check(&arguments.out)?;
    for difference in &differences {
        printer.result(&format!("{difference}\n"))?;
    }
    if differences.is_empty() {
        let well = printer.tone(Tone::Good, "matches its manifest");
        printer.summary(&format!(
            "{} {well}\n",
            terminal_safe(&escape_path(&arguments.out))
        ))?;
        return Ok(0);
    }
    let count = printer.tone(Tone::Bad, &plural(differences.len() as u64, "difference"));
    printer.summary(&format!(
        "\n{count} between {} and its manifest\n",
        terminal_safe(&escape_path(&arguments.out))
    ))?;
    Ok(3)
}
