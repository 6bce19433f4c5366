//! Bodies of any form, whose records a mapping profile makes.

use actix_web::web::block;
use mass_domain::contracts::ContractId;
use mass_domain::mappings::MappingName;
use mass_domain::validation::{Stage, Violation};
use mass_mapping::{BrokenInput, Mapper, Outcome, Refusal, RefusalCode, Refused};
use mass_service::MappingSource;

use super::Tools;
use crate::http::body::sentence;
use crate::http::problem::{Problem, ProblemKind};
use crate::http::query::wrong_parameter;
use crate::http::reply::Call;

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

    /// Returns the contract of the records.
    pub(super) const fn contract(&self) -> ContractId {
        self.mapper.contract()
    }

    /// Takes the next part of a body, `None` at its end.
    pub(super) fn take(&mut self, part: Option<&[u8]>, each: impl FnMut(Outcome<'_>)) -> Result<(), Problem> {
        let taken = match part {
            Some(part) => {
                self.is_blank &= part.iter().all(u8::is_ascii_whitespace);
                self.mapper.push(part, each)
            }
            None if self.is_blank => Ok(()),
            None => self.mapper.finish(each),
        };
        taken.map_err(|BrokenInput { detail, line }| unfit(&detail, line))
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

/// Returns the problem of a body whose first text shows that it is not of the profile's format at all.
pub(super) fn other_format(Refused { line, refusals, .. }: &Refused<'_>) -> Option<Problem> {
    let refusal = refusals.first()?;
    let is_format = matches!(refusal.code, RefusalCode::Json | RefusalCode::NoRecords);
    is_format.then(|| unfit(&refusal.to_string(), *line))
}

/// Converts a refusal; its pointer is the column, or the pointer into the row.
pub(in crate::http) fn violation(refusal: &Refusal) -> Violation {
    Violation {
        stage: Stage::Structural,
        pointer: refusal.source_name.clone(),
        code: refusal.code.as_str().to_owned(),
        detail: sentence(&refusal.detail),
        expected: None,
        actual: None,
    }
}

/// The problem of a body that the profile cannot read, or not any further.
fn unfit(detail: &str, line: u64) -> Problem {
    let detail = format!("The mapping profile cannot read the body on line {line}: {detail}");
    Problem::new(ProblemKind::BadRequest).detail(sentence(&detail)).member("line", line)
}
