//! The file of refused records: as they were written, with the reasons, so that they can be corrected and imported
//! again.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::fault::Fault;
use super::source::Row;
use super::table::RefusedForm;
use crate::commands::require_free;
use crate::records::OWN_COLUMNS;
use crate::rows::Header;

/// The output file, created with the first refused record. It has no name until the end, so that it is never incomplete
/// and an interrupted import leaves nothing behind. It never replaces another file, which somebody may have corrected
/// meanwhile.
pub(super) struct Rejected {
    path: OutputPath,
    form: RefusedForm,
    output: Option<Output>,
}

/// The path of the output file.
#[derive(Debug, PartialEq, Eq)]
enum OutputPath {
    /// The path on the command line.
    Given(PathBuf),
    /// A path beside the imported file, or else in the working directory.
    Beside {
        /// The imported file's path.
        imported: PathBuf,
        /// The working directory.
        otherwise: PathBuf,
    },
}

struct Output {
    folder: PathBuf,
    writer: RejectedWriter,
}

enum RejectedWriter {
    Csv(Box<csv::Writer<File>>),
    Table(BufWriter<File>),
    Ndjson(BufWriter<File>),
}

impl Rejected {
    /// Chooses the file: the given one, or `FILE.rejected.csv` with the same headers, or `FILE.rejected.ndjson`.
    ///
    /// # Errors
    /// If the given file exists already.
    pub(super) fn new(imported: &Path, given: Option<&Path>, form: RefusedForm) -> anyhow::Result<Self> {
        given.map(require_free).transpose()?;
        let beside = || OutputPath::Beside { imported: imported.to_owned(), otherwise: PathBuf::from(".") };
        let path = given.map_or_else(beside, |path| OutputPath::Given(path.to_owned()));
        Ok(Self { path, form, output: None })
    }

    /// Writes a refused record; a record of a CSV file with its header.
    pub(super) fn write(&mut self, row: &Row, header: Option<&Header>, faults: &[Fault]) -> anyhow::Result<()> {
        let line = row.line.to_string();
        let pointers = || faults.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>().join("; ");
        let reasons = || faults.iter().map(Fault::reason).collect::<Vec<_>>().join(" ");
        let Self { form, output, .. } = self.begun()?;
        let Some(output) = output else { anyhow::bail!("the file has not begun") };
        match (&mut output.writer, header) {
            (RejectedWriter::Table(writer), _) => {
                if let RefusedForm::Table(form) = form {
                    let text = String::from_utf8_lossy(&row.text);
                    writer.write_all(&form.refused(&text, row.line, &pointers(), &reasons())?)?;
                }
            }
            (RejectedWriter::Csv(writer), Some(header)) => {
                let own = [line, pointers(), reasons()];
                writer.write_record(header.cells(&row.text).iter().chain(own.iter().map(String::as_bytes)))?;
            }
            (RejectedWriter::Ndjson(writer), None) => {
                let faults = serde_json::to_string(faults)?;
                // A text that is not JSON cannot be embedded as a value, and is kept as a string.
                let record = match serde_json::from_slice::<&serde_json::value::RawValue>(&row.text) {
                    Ok(record) => record.get().to_owned(),
                    Err(_) => serde_json::to_string(&String::from_utf8_lossy(&row.text))?,
                };
                writeln!(writer, r#"{{"_line":{line},"_violations":{faults},"record":{record}}}"#)?;
            }
            (RejectedWriter::Csv(_), None) | (RejectedWriter::Ndjson(_), Some(_)) => {
                anyhow::bail!("the record and the file have different formats");
            }
        }
        Ok(())
    }

    /// Gives the file its final name, and returns its path; `None` without refused records. If an earlier import wrote
    /// a file with the same content, that file is kept instead.
    pub(super) fn finish(self) -> anyhow::Result<Option<PathBuf>> {
        let Some(Output { folder, writer }) = self.output else { return Ok(None) };
        let mut nameless = match writer {
            RejectedWriter::Csv(writer) => writer.into_inner().map_err(csv::IntoInnerError::into_error)?,
            RejectedWriter::Table(writer) | RejectedWriter::Ndjson(writer) => {
                writer.into_inner().map_err(io::IntoInnerError::into_error)?
            }
        };
        let mut file = tempfile::Builder::new().prefix(".mass-rejected-").tempfile_in(&folder)?;
        nameless.rewind()?;
        io::copy(&mut nameless, &mut file)?;
        for number in 1_u32.. {
            let path = self.path.numbered(&folder, !matches!(self.form, RefusedForm::Ndjson), number);
            let error = match file.persist_noclobber(&path) {
                Ok(_) => return Ok(Some(path)),
                Err(error) => error,
            };
            if error.error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error.error.into());
            }
            if matches!(self.path, OutputPath::Given(_)) {
                require_free(&path)?;
            }
            file = error.file;
            if is_same(file.path(), &path)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Creates the output if needed.
    fn begun(&mut self) -> anyhow::Result<&mut Self> {
        if self.output.is_none() {
            self.output = Some(self.begin()?);
        }
        Ok(self)
    }

    fn begin(&self) -> anyhow::Result<Output> {
        let (folder, file) = self.path.open()?;
        let writer = match &self.form {
            RefusedForm::Table(form) => {
                let mut writer = BufWriter::new(file);
                writer.write_all(&form.beginning()?)?;
                RejectedWriter::Table(writer)
            }
            RefusedForm::Csv(headers) => {
                let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
                writer.write_record(headers.iter().map(String::as_str).chain(OWN_COLUMNS))?;
                RejectedWriter::Csv(Box::new(writer))
            }
            RefusedForm::Ndjson => RejectedWriter::Ndjson(BufWriter::new(file)),
        };
        Ok(Output { folder, writer })
    }
}

impl OutputPath {
    /// Creates a file without a name in the first writable folder.
    fn open(&self) -> anyhow::Result<(PathBuf, File)> {
        let open = |folder: &Path| tempfile::tempfile_in(folder);
        let (first, otherwise) = match self {
            Self::Given(path) => (folder_of(path), None),
            Self::Beside { imported, otherwise } => (folder_of(imported), Some(otherwise)),
        };
        let failure = match open(first) {
            Ok(file) => return Ok((first.to_owned(), file)),
            Err(failure) => failure,
        };
        if let Some(otherwise) = otherwise
            && let Ok(file) = open(otherwise)
        {
            return Ok((otherwise.clone(), file));
        }
        Err(failure).with_context(|| {
            format!("the folder {} cannot be written; name a file elsewhere with --rejected", first.display())
        })
    }

    /// Returns the path in a folder for the nth attempt to find a free name.
    fn numbered(&self, folder: &Path, is_csv: bool, number: u32) -> PathBuf {
        let imported = match self {
            Self::Given(path) => return path.clone(),
            Self::Beside { imported, .. } => imported,
        };
        let number = if number == 1 { String::new() } else { format!("-{number}") };
        let mut name = OsString::from(imported.file_name().unwrap_or_default());
        name.push(format!(".rejected{number}.{}", if is_csv { "csv" } else { "ndjson" }));
        // As people write it: without a leading "./".
        if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns true if two files have the same content.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let is_file = other.symlink_metadata()?.is_file();
    if !is_file || one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    // An unreadable file counts as different.
    let Ok(other) = File::open(other) else { return Ok(false) };
    let bytes = |file: File| io::Read::bytes(io::BufReader::new(file));
    let mut pairs = bytes(File::open(one)?).zip(bytes(other));
    Ok(pairs.all(|pair| matches!(pair, (Ok(one), Ok(other)) if one == other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row { line: 7, text: b"{}".to_vec(), document: Ok(mass_domain::json::Value::Null), key: None }
    }

    fn rejected(imported: &Path, otherwise: &Path) -> Rejected {
        let path = OutputPath::Beside { imported: imported.to_owned(), otherwise: otherwise.to_owned() };
        Rejected { path, form: RefusedForm::Ndjson, output: None }
    }

    fn refuse_one(mut rejected: Rejected, reason: &str) -> anyhow::Result<Option<PathBuf>> {
        rejected.write(&row(), None, &[Fault::of_record("odd", reason.to_owned())])?;
        rejected.finish()
    }

    #[test]
    fn takes_another_name_or_folder_but_no_other_file_s_place() {
        let folder = tempfile::tempdir().unwrap();
        let (here, nowhere) = (folder.path().join("a.ndjson"), Path::new("/nowhere/a.ndjson"));
        let expected = |number: &str| Some(folder.path().join(format!("a.ndjson.rejected{number}.ndjson")));
        let refuse = |imported: &Path, reason| refuse_one(rejected(imported, folder.path()), reason).unwrap();
        assert_eq!(refuse(&here, "one"), expected(""));
        assert_eq!(refuse(&here, "two"), expected("-2"));
        assert_eq!(refuse(nowhere, "three"), expected("-3"), "where the first folder cannot be written");
        assert_eq!(refuse(&here, "two"), expected("-2"), "the same is there already");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn needs_no_folder_before_a_record_is_refused() {
        let nowhere = Path::new("/nowhere/a.ndjson");
        assert_eq!(rejected(nowhere, Path::new("/nowhere")).finish().unwrap(), None);
        let error = refuse_one(rejected(nowhere, Path::new("/nowhere")), "one").unwrap_err();
        assert!(error.to_string().contains("--rejected"), "{error}");
    }
}
