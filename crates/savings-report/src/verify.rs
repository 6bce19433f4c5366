//! Checks a report against the audit trail it names, and computes it again.

use mass_domain::canonical::{self, Fingerprint};
use mass_domain::json::{self, Value};
use mass_domain::savings::{AsOf, Project};
use mass_savings::{Hour, HourRate};

use crate::compose::{ComposeError, Inputs, compose};
use crate::document::{Contract, ReportDocument};

/// An audit trail, as far as a report pins it.
pub trait Trail {
    /// Returns the root of the tree over the first events; `None` if the trail has fewer.
    fn root(&self, events: i64) -> Option<String>;

    /// Returns the fingerprint of a project in the version that was in force when its report was requested; `None` if the
    /// first events do not know the project.
    fn project(&self, project: &Project, events: i64) -> Option<Fingerprint>;
}

/// The first place at which two documents differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer} is {given}, but {computed} follows from the trail")]
pub struct Difference {
    /// The place, as a JSON pointer.
    pub pointer: String,
    /// The value there, in the report; `nothing` if it is missing.
    pub given: String,
    /// The value that was computed; `nothing` if none belongs there.
    pub computed: String,
}

/// A report that does not follow from the trail.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The note was signed for another document.
    #[error("the signed note is not about this document, whose fingerprint is {0}")]
    OtherDocument(Fingerprint),
    /// The trail has fewer events than the report names.
    #[error("the report names {0} events, and the trail has fewer")]
    Short(i64),
    /// The root that the report names is not the trail's.
    #[error("the report is of another trail: its root over {} events is {}, and this one's is {found}", .named.sequence, .named.root)]
    OtherTrail {
        /// The events and the root that the report names.
        named: AsOf,
        /// The trail's root over so many events.
        found: String,
    },
    /// The trail has another project, or another version of it.
    #[error("the project in the report is not the one that was agreed on: its fingerprint is {given}, and the trail has {}", .audited.map_or_else(|| "none".to_owned(), |it| it.to_string()))]
    OtherProject {
        /// The fingerprint of the project in the report.
        given: Fingerprint,
        /// The fingerprint of the version in the trail that the report has to be on.
        audited: Option<Fingerprint>,
    },
    /// The report cannot be computed from the trail.
    #[error("the report cannot be computed from the trail: {0}")]
    Compose(#[from] ComposeError),
    /// Another report follows from the trail.
    #[error(transparent)]
    Differs(#[from] Difference),
}

/// Checks that a signed note is about a report. `text` is the report's canonical text, and `stated` that of the note, whose
/// signature the caller verifies.
///
/// # Errors
/// [`VerifyError::OtherDocument`].
pub fn check_statement(text: &str, stated: &str) -> Result<(), VerifyError> {
    let fingerprint = Fingerprint::of(text);
    if stated == crate::statement(&fingerprint) { Ok(()) } else { Err(VerifyError::OtherDocument(fingerprint)) }
}

/// Checks that a trail begins with the events that a report names, and that the report's project is the trail's.
///
/// # Errors
/// [`VerifyError`], with the first contradiction.
pub fn check_trail(document: &ReportDocument, trail: &impl Trail) -> Result<(), VerifyError> {
    let named = &document.as_of;
    match trail.root(named.sequence) {
        None => return Err(VerifyError::Short(named.sequence)),
        Some(found) if found != named.root => return Err(VerifyError::OtherTrail { named: named.clone(), found }),
        Some(_) => {}
    }
    let (given, audited) = (document.project.fingerprint(), trail.project(&document.project, named.sequence));
    if audited == Some(given) { Ok(()) } else { Err(VerifyError::OtherProject { given, audited }) }
}

/// Computes a report again from its project, hours, their prices, and the contracts of the documents behind these, and compares both to
/// the byte. `text` is the report's canonical text.
///
/// The version of the program and further contracts are taken as the report has them: the signature vouches for these.
///
/// # Errors
/// [`VerifyError::Differs`], with the first difference, or [`VerifyError::Compose`].
pub fn recompute(
    text: &str,
    document: &ReportDocument,
    (hours, prices): (&[Hour], &[HourRate]),
    contracts: &[Contract],
) -> Result<(), VerifyError> {
    let contracts: Vec<Contract> = document.contracts.iter().chain(contracts).cloned().collect();
    let (project, as_of, program) = (&document.project, &document.as_of, &document.program);
    let computed = compose(&Inputs { project, hours, prices, as_of, contracts: &contracts, program })?;
    match first_difference(text, &computed.text()) {
        Some(difference) => Err(difference.into()),
        None => Ok(()),
    }
}

/// Returns the first place at which two JSON texts differ, in the order of canonical texts; the root, if one of them is
/// not JSON, or only white space and the order of members differ.
#[must_use]
pub fn first_difference(given: &str, computed: &str) -> Option<Difference> {
    if given == computed {
        return None;
    }
    let parse = |text: &str| json::parse(text.as_bytes()).ok();
    let found = match (parse(given), parse(computed)) {
        (Some(given), Some(computed)) => differing(&given, &computed, &mut String::new()),
        _ => None,
    };
    let not_canonical = || Difference {
        pointer: String::new(),
        given: "not a canonical text".to_owned(),
        computed: "a canonical one".to_owned(),
    };
    Some(found.unwrap_or_else(not_canonical))
}

fn differing(given: &Value, computed: &Value, pointer: &mut String) -> Option<Difference> {
    match (given, computed) {
        (Value::Object(given), Value::Object(computed)) => {
            let mut keys: Vec<&String> = given.iter().chain(computed).map(|(key, _)| key).collect();
            keys.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            keys.dedup();
            let of = |members: &'_ [(String, Value)], key: &String| {
                members.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
            };
            keys.into_iter().find_map(|key| {
                let name = key.replace('~', "~0").replace('/', "~1");
                below(&name, of(given, key).as_ref(), of(computed, key).as_ref(), pointer)
            })
        }
        (Value::Array(given), Value::Array(computed)) => (0..given.len().max(computed.len()))
            .find_map(|place| below(&place.to_string(), given.get(place), computed.get(place), pointer)),
        _ => {
            let (given, computed) = (canonical::write(given), canonical::write(computed));
            (given != computed).then(|| Difference { pointer: pointer.clone(), given, computed })
        }
    }
}

/// Compares two values at a step below a pointer.
fn below(step: &str, given: Option<&Value>, computed: Option<&Value>, pointer: &mut String) -> Option<Difference> {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(step);
    let found = match (given, computed) {
        (Some(given), Some(computed)) => differing(given, computed, pointer),
        _ => {
            let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), canonical::write);
            Some(Difference { pointer: pointer.clone(), given: text(given), computed: text(computed) })
        }
    };
    pointer.truncate(length);
    found
}

#[cfg(test)]
mod tests {
    use mass_domain::savings::{Adjustment, Period, Recorder};

    use super::*;
    use crate::statement;
    use crate::testing::{contracts, crossover, report};

    /// A trail of one project.
    struct Kept {
        project: Project,
        hours: Vec<Hour>,
    }

    impl Trail for Kept {
        fn root(&self, events: i64) -> Option<String> {
            (events <= 400).then(|| "ab".repeat(32))
        }

        fn project(&self, project: &Project, _: i64) -> Option<Fingerprint> {
            (project.id == self.project.id).then(|| self.project.fingerprint())
        }
    }

    fn trail() -> Kept {
        let (project, hours) = crossover();
        Kept { project, hours }
    }

    /// Verifies a report against the trail, but for its signature.
    fn verify(document: &ReportDocument) -> Result<(), VerifyError> {
        let trail = trail();
        check_trail(document, &trail)?;
        recompute(&document.text(), document, (&trail.hours, &[]), &contracts())
    }

    fn difference(document: &ReportDocument) -> Difference {
        let Err(VerifyError::Differs(found)) = verify(document) else { unreachable!() };
        found
    }

    #[test]
    fn a_true_report_is_computed_again_to_the_byte() {
        verify(&report(&crossover())).unwrap();
    }

    #[test]
    fn another_document_than_the_signed_one_is_found() {
        let text = report(&crossover()).text();
        check_statement(&text, &statement(&Fingerprint::of(&text))).unwrap();
        let stated = statement(&Fingerprint::of("{}"));
        assert!(matches!(check_statement(&text, &stated), Err(VerifyError::OtherDocument(_))));
    }

    #[test]
    fn a_forged_figure_is_named_with_both_values() {
        let mut document = report(&crossover());
        let honest = document.saving.as_ref().unwrap().energy_kwh;
        document.saving.as_mut().unwrap().energy_kwh = 9999.5;
        let found = difference(&document);
        assert_eq!((found.pointer.as_str(), found.given.as_str()), ("/saving/energy_kwh", "9999.5"));
        assert_eq!(found.computed.parse::<f64>().unwrap(), honest);
        assert!(found.to_string().starts_with("/saving/energy_kwh is 9999.5, but "), "{found}");
    }

    #[test]
    fn another_seed_is_found() {
        let mut document = report(&crossover());
        document.parameters.seed = 8;
        let found = difference(&document);
        assert_eq!((found.pointer.as_str(), found.given.as_str()), ("/parameters/seed", "8"));
        let (mut project, hours) = crossover();
        project.seed = 8;
        let found = verify(&report(&(project, hours)));
        assert!(matches!(found, Err(VerifyError::OtherProject { .. })), "{found:?}");
    }

    #[test]
    fn a_removed_hour_is_found() {
        let (project, mut hours) = crossover();
        hours.remove(700);
        let found = difference(&report(&(project, hours)));
        assert_eq!((found.pointer.as_str(), found.given.as_str()), ("/hours/count", "1343"));
    }

    #[test]
    fn a_contract_that_was_left_out_is_found() {
        let mut document = report(&crossover());
        document.contracts.remove(1);
        assert_eq!(difference(&document).pointer, "/contracts/1");
    }

    #[test]
    fn an_adjustment_made_later_is_found() {
        let (mut project, hours) = crossover();
        let at = "2025-01-05T00:00:00Z".parse().unwrap();
        project.adjustments.push(Adjustment {
            author: "A. Operator".to_owned(),
            reason: "a new hall".to_owned(),
            period: Period { from: at, until: "2025-01-06T00:00:00Z".parse().unwrap() },
            kwh: 500.0,
            recorded_by: Recorder { kind: "user".to_owned(), id: None },
            recorded_at: at,
        });
        let found = verify(&report(&(project, hours)));
        assert!(matches!(found, Err(VerifyError::OtherProject { audited: Some(_), .. })), "{found:?}");
    }

    #[test]
    fn a_report_of_another_trail_is_found() {
        let mut document = report(&crossover());
        document.as_of.root = "cd".repeat(32);
        let found = verify(&document);
        assert!(matches!(found, Err(VerifyError::OtherTrail { .. })), "{found:?}");
        document.as_of.sequence = 401;
        assert!(matches!(verify(&document), Err(VerifyError::Short(401))));
    }

    #[test]
    fn differences_have_pointers_and_missing_values_a_name() {
        let found = |given, computed| first_difference(given, computed).map(|it| (it.pointer, it.given, it.computed));
        let expected = |pointer: &str, given: &str, computed: &str| {
            Some((pointer.to_owned(), given.to_owned(), computed.to_owned()))
        };
        assert_eq!(found("{}", "{}"), None);
        assert_eq!(found(r#"{"a/b":[1,2]}"#, r#"{"a/b":[1,3]}"#), expected("/a~1b/1", "2", "3"));
        assert_eq!(found(r#"{"a":[1]}"#, r#"{"a":[1,[]]}"#), expected("/a/1", "nothing", "[]"));
        assert_eq!(found(r#"{"a":1,"b":2}"#, r#"{"a":1}"#), expected("/b", "2", "nothing"));
        assert_eq!(found("{ }", "{}"), expected("", "not a canonical text", "a canonical one"));
        assert_eq!(found("no", "{}"), expected("", "not a canonical text", "a canonical one"));
    }
}
