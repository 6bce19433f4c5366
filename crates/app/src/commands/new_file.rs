//! A new file that has its name only once it is whole.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::{NamedTempFile, TempPath};

/// A file under a temporary name, which is removed unless the file is [finished](Self::finish).
pub(super) struct NewFile {
    writer: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl NewFile {
    /// Begins a file, for its owner alone to read.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = NamedTempFile::new_in(folder(path)).with_context(|| in_words(path))?;
        Ok(Self { writer: BufWriter::new(file), path: path.to_owned() })
    }

    /// Adds to the file.
    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.writer.write_all(bytes).with_context(|| in_words(&self.path))
    }

    /// Gives the file its name, durably. A file that is there by now is not overwritten.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Self { writer, path } = self;
        let context = || in_words(&path);
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error).with_context(context)?;
        file.as_file().sync_all().with_context(context)?;
        file.persist_noclobber(&path).with_context(context)?;
        sync_folder(&path)
    }
}

/// Gives a finished file its name, durably. A file that is there by now is not overwritten.
pub(super) fn place(temporary: &Path, path: &Path) -> anyhow::Result<()> {
    let context = || in_words(path);
    File::open(temporary).and_then(|file| file.sync_all()).with_context(context)?;
    TempPath::try_from_path(temporary).and_then(|file| Ok(file.persist_noclobber(path)?)).with_context(context)?;
    sync_folder(path)
}

/// Makes the name of a file durable, as its folder has it.
fn sync_folder(path: &Path) -> anyhow::Result<()> {
    File::open(folder(path)).and_then(|folder| folder.sync_all()).with_context(|| in_words(path))
}

/// Returns the folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn in_words(path: &Path) -> String {
    format!("the file {}", path.display())
}
