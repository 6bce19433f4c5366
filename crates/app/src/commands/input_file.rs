//! Files that commands read.

use std::fs::File;
use std::path::Path;

use anyhow::bail;

/// The path that stands for standard input.
pub(super) const STDIN: &str = "-";

/// Opens a file to read.
pub(super) fn open_file(path: &Path) -> anyhow::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        bail!("expected a file, found a folder");
    }
    Ok(file)
}
