//! A contract's table as a JSON Schema and as rows of the documentation.

use serde_json::{Value as Schema, json};

use super::rules::{Field, Kind};
use super::{Contract, Marker};
use crate::tenancy::TenantId;
use crate::time::Timestamp;
use crate::validation::Code;

/// A row of a contract's table: a member, or the whole document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The JSON Pointer (RFC 6901) of the member; empty for the document.
    pub pointer: String,
    /// The meaning of the member, as a sentence.
    pub about: String,
    /// The type of the value, as a noun with its article.
    pub noun: &'static str,
    /// True if the member must be present.
    pub required: bool,
    /// The rules besides presence and type.
    pub rules: Vec<Rule>,
}

/// A rule about a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The code of its violations.
    pub code: Code,
    /// The values that satisfy the rule.
    pub expected: String,
}

impl Contract {
    /// Lists every member that the contract names, in the order of its table, starting with the document itself. A rule
    /// about several members is listed at the member that its violations point to. [`EVERYWHERE`](super::EVERYWHERE) is
    /// not repeated.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut document = self.row(String::new(), self.summary, self.body, true);
        let size = self.max_bytes.map(|max| Rule { code: Code::Size, expected: format!("at most {max} bytes") });
        document.rules.extend(size);
        let mut rows = vec![document];
        walk_fields("", self.body.fields(), &mut |pointer, field| {
            rows.push(self.row(pointer, field.about, field.kind, !field.optional));
        });
        rows
    }

    fn row(&self, pointer: String, about: &str, kind: &dyn Kind, required: bool) -> Row {
        let checks = self.coherence.iter().filter(|check| check.pointer == pointer);
        let checks = checks.map(|check| (check.code, check.about.to_owned()));
        let rules = kind.rules().into_iter().chain(checks).map(|(code, expected)| Rule { code, expected }).collect();
        Row { about: about.to_owned(), noun: kind.noun(), required, rules, pointer }
    }

    /// Builds the JSON Schema (draft 2020-12) of the contract: the rules of the structural and contract stages that a
    /// schema can express, and the bounds of single numbers.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let mut schema = self.body.schema();
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        schema["$id"] = json!(format!("urn:mass:contract:{}:{}", self.id.name, self.id.version));
        // Code generators name a type after the title, which a slash would break.
        schema["title"] = json!(format!("MASS {} {}", self.id.name, self.id.version));
        schema["description"] = json!(self.description());
        schema["$comment"] = json!(
            "Patterns allow white space at both ends of a string, since strings are trimmed. Beyond this schema: \
             strings are brought to NFC before they are measured; U+0000 is refused everywhere; every number, in a \
             string or not, must be one that a double keeps, within ±(2^53 − 1); a string that stands for a number has \
             the bounds of the number; keys must stay distinct in snake case; days must exist in the calendar."
        );
        if let (Ok(tenant), Ok(now)) = (TenantId::parse("default"), "2026-01-31T12:00:00Z".parse::<Timestamp>()) {
            schema["examples"] = json!([self.example(&tenant, now)]);
        }
        schema
    }

    fn description(&self) -> String {
        let recognised = match self.marker {
            Marker::Version(member) => format!("Recognised by \"{member}\"."),
            Marker::Payload(member) => format!("Recognised by \"{member}\" as its only member."),
        };
        let size = self.max_bytes.map(|max| format!("At most {max} bytes."));
        let checks = self.coherence.iter().map(|check| check.about.to_owned());
        [self.summary.to_owned(), recognised].into_iter().chain(size).chain(checks).collect::<Vec<_>>().join(" ")
    }
}

/// Visits every field below a pointer, each object before its members.
fn walk_fields(parent: &str, fields: &'static [Field], visit: &mut impl FnMut(String, &Field)) {
    for field in fields {
        let pointer = format!("{parent}/{}", field.name);
        visit(pointer.clone(), field);
        walk_fields(&pointer, field.kind.fields(), visit);
    }
}
