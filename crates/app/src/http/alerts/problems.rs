//! The problems of the use cases on alerts.

use mass_alert_service::{AlertError, MAX_RULES, RuleError};
use mass_domain::alerts::RuleName;
use mass_domain::faults::Fault;
use mass_domain::ids::AlertId;

use crate::http::body::broken_rules;
use crate::http::path::InPath;
use crate::http::problem::{Problem, ProblemKind, problem_from};
use crate::http::query::foreign_cursor;

problem_from! {
    RuleError: Forbidden, Store;
        RuleError::ForeignCursor(error) => foreign_cursor(error.to_string()),
        RuleError::Invalid(faults) => broken_rules(faults),
        RuleError::NotFound => RuleName::absent(),
        RuleError::Stale => Self::new(ProblemKind::PreconditionFailed)
            .detail("The stored rule is not as If-Match or If-None-Match says."),
        RuleError::UnknownWebhook(place) => {
            broken_rules(vec![Fault::new(&format!("/webhooks/{place}"), "the name of a webhook of the tenant")])
        }
        RuleError::TooMany => {
            let detail = format!("The tenant has {MAX_RULES} alert rules, the most: delete one, or replace one.");
            Self::new(ProblemKind::TooManyAlertRules).detail(detail).member("limit", MAX_RULES)
        }
}

problem_from! {
    AlertError: Forbidden, Store;
        AlertError::ForeignCursor(error) => foreign_cursor(error.to_string()),
        AlertError::Invalid(faults) => broken_rules(faults),
        AlertError::NotFound => AlertId::absent(),
}
