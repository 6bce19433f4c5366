//! The file of refused records: as they were written, with the reasons, so that it can be mended and imported again.

use std::ffi::OsString;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;

use super::source::Row;
use crate::records::OWN_COLUMNS;
use crate::rows::Header;

/// Why a record was refused.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Fault {
    /// Where: a JSON Pointer into the record.
    pub(super) pointer: String,
    /// A stable word for programs.
    pub(super) code: String,
    /// A sentence for people.
    pub(super) detail: String,
}

impl Fault {
    /// A fault of the record as a whole.
    pub(super) fn of_record(code: &str, detail: String) -> Self {
        Self { pointer: String::new(), code: code.to_owned(), detail }
    }
}

/// The file while it is written. It takes its final place at the end, so that it is never half an answer; a file of an
/// earlier run gives way then.
pub(super) struct Rejected {
    path: PathBuf,
    output: Output,
    records: u64,
}

enum Output {
    Csv(Box<csv::Writer<NamedTempFile>>),
    Ndjson(BufWriter<NamedTempFile>),
}

impl Rejected {
    /// Begins the file beside the imported one: `FILE.rejected.csv` with the same headers, or `FILE.rejected.ndjson`.
    pub(super) fn create(imported: &Path, headers: Option<&[String]>) -> anyhow::Result<Self> {
        let ending = if headers.is_some() { ".rejected.csv" } else { ".rejected.ndjson" };
        let mut name = OsString::from(imported);
        name.push(ending);
        let path = PathBuf::from(name);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Named after what it is to become, in case that the import is killed and it is found.
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = tempfile::Builder::new().prefix(&format!(".{name}-")).tempfile_in(folder)?;
        let output = match headers {
            Some(headers) => {
                let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
                writer.write_record(headers.iter().map(String::as_str).chain(OWN_COLUMNS))?;
                Output::Csv(Box::new(writer))
            }
            None => Output::Ndjson(BufWriter::new(file)),
        };
        Ok(Self { path, output, records: 0 })
    }

    /// Adds a refused record, of a CSV file a row below its header.
    pub(super) fn write(&mut self, row: &Row, header: Option<&Header>, faults: &[Fault]) -> anyhow::Result<()> {
        self.records += 1;
        let line = row.line.to_string();
        match (&mut self.output, header) {
            (Output::Csv(writer), Some(header)) => {
                let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
                let reasons: Vec<&str> = faults.iter().map(|fault| fault.detail.as_str()).collect();
                let own = [line, pointers.join("; "), reasons.join(" ")];
                writer.write_record(header.cells(&row.text).iter().chain(own.iter().map(String::as_bytes)))?;
            }
            (Output::Ndjson(writer), None) => {
                let faults = serde_json::to_string(faults)?;
                // What is no JSON cannot stand as a value; it is kept as text.
                let record = match serde_json::from_slice::<&serde_json::value::RawValue>(&row.text) {
                    Ok(record) => record.get().to_owned(),
                    Err(_) => serde_json::to_string(&String::from_utf8_lossy(&row.text))?,
                };
                writeln!(writer, r#"{{"_line":{line},"_violations":{faults},"record":{record}}}"#)?;
            }
            (Output::Csv(_), None) | (Output::Ndjson(_), Some(_)) => {
                anyhow::bail!("a record of another form than its file");
            }
        }
        Ok(())
    }

    /// Puts the file in its place; without refused records there is none.
    pub(super) fn finish(self) -> anyhow::Result<Option<PathBuf>> {
        let file = match self.output {
            Output::Csv(writer) => writer.into_inner().map_err(csv::IntoInnerError::into_error)?,
            Output::Ndjson(writer) => writer.into_inner().map_err(std::io::IntoInnerError::into_error)?,
        };
        if self.records > 0 {
            file.persist(&self.path)?;
            return Ok(Some(self.path));
        }
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(None),
        }
    }
}
