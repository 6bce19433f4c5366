//! Bodies of any form, whose records a mapping profile makes.

use actix_web::web::block;
use mass_domain::contracts::ContractId;
use mass_domain::mappings::MappingName;
use mass_domain::validation::{Stage, Violation};
use mass_mapping::{BrokenInput, Mapper, Outcome, Record, Refusal, RefusalCode, Refused};
use mass_service::{MappingSource, Record as Submitted};

use super::Tools;
use super::intake::Collecting;
use crate::http::body::sentence;
use crate::http::problem::{Problem, ProblemKind};
use crate::http::query::wrong_parameter;
use crate::http::reply::Call;
use crate::records::submitted_document;

/// The number of bytes of memory that the text of a whole JSON document takes while it is parsed, for each of its own.
const PARSED: usize = 8;

/// Returns the compiled profile of this name, and its name and version for the audit trail.
///
/// # Errors
/// The [`Problem`] if the tenant has no such profile.
pub(super) async fn mapper(call: &Call, tools: &Tools, name: &MappingName) -> Result<(Mapper, MappingSource), Problem> {
    let mapping = tools.mappings.find_for_sending(&call.principal, name).await?;
    let Some(mapping) = mapping else {
        return Err(wrong_parameter("map", format!("The tenant has no mapping profile {name}.")));
    };
    let source = MappingSource { name: name.to_string(), digest: mapping.summary.digest };
    let compiled = block(move || mapping.text.mapper()).await.map_err(|_| Problem::after_logging())?;
    let mapper = compiled.map_err(|errors| {
        let first = errors.first().map(ToString::to_string).unwrap_or_default();
        wrong_parameter("map", sentence(&format!("the profile {name} is not valid any more: {first}")))
    })?;
    Ok((mapper, source))
}

/// Makes records of a body.
pub(super) struct MappedRecords {
    mapper: Mapper,
    /// True until anything but white space was read.
    is_blank: bool,
}

impl MappedRecords {
    pub(super) const fn new(mapper: Mapper) -> Self {
        Self { mapper, is_blank: true }
    }

    /// Takes the next part of a body, `None` at its end.
    pub(super) fn take(&mut self, part: Option<&[u8]>, collecting: &mut Collecting) -> Result<(), Problem> {
        let contract = self.mapper.contract();
        let mut each = |outcome: Outcome<'_>| collect(outcome, contract, collecting);
        let taken = match part {
            Some(part) => {
                self.is_blank &= part.iter().all(u8::is_ascii_whitespace);
                self.mapper.push(part, &mut each)
            }
            None if self.is_blank => Ok(()),
            None => self.mapper.finish(&mut each),
        };
        taken.map_err(|error| unreadable(&error))
    }

    /// Returns true if there was nothing to make records of.
    pub(super) const fn is_empty(&self) -> bool {
        self.is_blank
    }

    /// Returns the number of bytes that it holds.
    pub(super) fn held(&self) -> usize {
        let (buffered, whole) = self.mapper.held();
        buffered + whole * PARSED
    }
}

/// Adds a record, or a row that is none.
fn collect(outcome: Outcome<'_>, contract: ContractId, collecting: &mut Collecting) {
    if collecting.is_refused() {
        return;
    }
    collecting.cut();
    match outcome {
        Outcome::Record(record) => {
            let Record { line, row, bytes, document, .. } = record;
            let index = collecting.place(line, Some(row), bytes);
            if !collecting.is_storing_over() {
                let record = submitted_document(document, bytes, || collecting.key_of(index));
                collecting.prepare(record);
            }
        }
        Outcome::Refused(refused) => collect_refused(&refused, contract, collecting),
    }
}

fn collect_refused(refused: &Refused<'_>, contract: ContractId, collecting: &mut Collecting) {
    let Refused { line, row, original, refusals } = refused;
    // The first text shows whether the body is of the profile's format at all.
    if let (true, [refusal, ..]) = (collecting.is_first(), &refusals[..])
        && matches!(refusal.code, RefusalCode::Json | RefusalCode::NoRecords)
    {
        return collecting.refuse(unfit(&refusal.to_string(), *line));
    }
    let text = original.to_text();
    collecting.place(*line, Some(*row).filter(|row| *row > 0), text.len());
    if !collecting.is_storing_over() {
        let violations = refusals.iter().map(violation).collect();
        collecting.prepare(Submitted::unmapped(text.as_bytes(), contract, violations));
    }
}

/// Converts a refusal; its pointer is the column, or the pointer into the row.
fn violation(refusal: &Refusal) -> Violation {
    Violation {
        stage: Stage::Structural,
        pointer: refusal.source_name.clone(),
        code: refusal.code.as_str().to_owned(),
        detail: sentence(&refusal.detail),
        expected: None,
        actual: None,
    }
}

fn unreadable(error: &BrokenInput) -> Problem {
    unfit(&error.detail, error.line)
}

/// The problem of a body that the profile cannot read, or not any further.
fn unfit(detail: &str, line: u64) -> Problem {
    let detail = format!("The mapping profile cannot read the body on line {line}: {detail}");
    Problem::new(ProblemKind::BadRequest).detail(sentence(&detail)).member("line", line)
}
