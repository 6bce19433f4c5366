//! Files that a mapping profile describes.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, anyhow};
use encoding_rs::{Encoding, UTF_8};
use mass_domain::canonical::Fingerprint;
use mass_domain::json::{SyntaxError, Value};
use mass_mapping::{Format, MAX_PROFILE_BYTES, Mapper, Outcome, Profile, Refusal, suggest};
use mass_service::MappingSource;

use super::fault::{Fault, Unreadable};
use super::input::Input;
use super::table::TableForm;
use crate::commands::input_file::open_file;
use crate::http::body::sentence;

/// The number of bytes of a file from which a profile is suggested, and in which its header row is looked for.
const HEAD: usize = 64 << 10;

/// A profile and its name in the audit trail.
pub(in crate::commands) struct Map {
    pub(in crate::commands) profile: Profile,
    pub(in crate::commands) source: MappingSource,
}

impl Map {
    /// Reads a profile: TOML, or JSON if the file's name ends in .json.
    ///
    /// # Errors
    /// The mistakes in the profile.
    pub(in crate::commands) fn read(path: &Path) -> anyhow::Result<Self> {
        let file = || format!("the profile {}", path.display());
        let mut text = String::new();
        let most = MAX_PROFILE_BYTES as u64 + 1;
        open_file(path).and_then(|file| Ok(file.take(most).read_to_string(&mut text)?)).with_context(file)?;
        let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
        let profile = if is_json { Profile::from_json(text.as_bytes()) } else { Profile::from_toml(&text) };
        let profile = profile.with_context(file)?;
        Mapper::new(&profile).map_err(|errors| mistakes(&errors)).with_context(file)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let source = MappingSource::new(&name, Fingerprint::of(&text));
        Ok(Self { profile, source })
    }
}

/// Suggests a profile from the beginning of a file.
pub(super) fn suggestion(path: &Path) -> anyhow::Result<String> {
    Ok(suggest(&Input::open(path)?.peek(HEAD)?))
}

fn mistakes(errors: &[mass_mapping::ProfileError]) -> anyhow::Error {
    let each: Vec<String> = errors.iter().map(ToString::to_string).collect();
    anyhow!(each.join("; "))
}

/// The reader of a mapped file.
pub(super) struct MappedReader {
    mapper: Mapper,
    /// The form of a table, in which its refused rows are kept.
    form: Option<TableForm>,
}

impl MappedReader {
    /// Prepares to read an input.
    pub(super) fn new(profile: &Profile, input: &mut Input) -> anyhow::Result<Self> {
        let mapper = Mapper::new(profile).map_err(|errors| mistakes(&errors))?;
        let is_table = matches!(profile.read.format, Format::Csv | Format::Tsv);
        let form = if is_table {
            let head = input.peek(HEAD)?;
            let encoding = Encoding::for_label(profile.read.encoding.as_bytes()).unwrap_or(UTF_8);
            Some(TableForm::new(&profile.read, &encoding.decode(&head).0))
        } else {
            None
        };
        Ok(Self { mapper, form })
    }

    /// Returns the form of a table.
    pub(super) const fn form(&self) -> Option<&TableForm> {
        self.form.as_ref()
    }

    /// Takes the next piece of the input, `None` at its end, and hands on each record with its line and its rows.
    pub(super) fn take(
        &mut self,
        piece: Option<&[u8]>,
        mut each: impl FnMut(u64, String, Result<Value, Unreadable>),
    ) -> anyhow::Result<()> {
        let each = |outcome: Outcome<'_>| match outcome {
            Outcome::Record(record) => each(record.line, record.original.to_text(), Ok(record.document)),
            Outcome::Refused(row) => each(row.line, row.original.to_text(), Err(unreadable(&row.refusals))),
        };
        match piece {
            Some(piece) => self.mapper.push(piece, each)?,
            None => self.mapper.finish(each)?,
        }
        Ok(())
    }
}

/// Converts the refusals of a row.
pub(in crate::commands) fn unreadable(refusals: &[Refusal]) -> Unreadable {
    let fault = |refusal: &Refusal| Fault {
        pointer: refusal.source_name.clone(),
        ..Fault::of_record(refusal.code.as_str(), sentence(&refusal.detail))
    };
    let code = refusals.first().map_or("mapping", |refusal| refusal.code.as_str());
    let detail = refusals.first().map(ToString::to_string).unwrap_or_default();
    let error = SyntaxError { code, detail: sentence(&detail), line: 1, column: 1 };
    Unreadable { error, faults: refusals.iter().map(fault).collect() }
}
