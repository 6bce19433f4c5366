//! A contract's table as a JSON Schema and as a list of rules.

use serde_json::{Value as Schema, json};

use super::rules::{EVERYWHERE, Field};
use super::{Contract, Marker};
use crate::tenancy::TenantId;
use crate::time::Timestamp;
use crate::validation::{Code, Stage};

/// A line of a contract's table: one rule on one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The member: a JSON Pointer (RFC 6901), with `*` for every item of an array.
    pub pointer: String,
    /// The stage that judges it.
    pub stage: Stage,
    /// The code of its violations.
    pub code: Code,
    /// What is right.
    pub expected: String,
}

impl Contract {
    /// Every rule of the contract, in the order of its table.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        let rule = |pointer: &str, code: Code, expected: String| Rule {
            pointer: pointer.to_owned(),
            stage: code.stage(),
            code,
            expected,
        };
        let mut rules: Vec<_> =
            EVERYWHERE.iter().map(|code| rule("", *code, "everywhere in the document".to_owned())).collect();
        rules.extend(self.max_bytes.map(|max| rule("", Code::Size, format!("at most {max} bytes"))));
        rules.push(rule("", Code::Type, self.body.noun().to_owned()));
        rules.extend(self.body.rules().into_iter().map(|(code, expected)| rule("", code, expected)));
        let mut walk = |pointer: &str, field: &Field| {
            let due = if field.optional { "optional" } else { "required" };
            rules.extend((!field.optional).then(|| rule(pointer, Code::Required, due.to_owned())));
            rules.push(rule(pointer, Code::Type, field.kind.noun().to_owned()));
            rules.extend(field.kind.rules().into_iter().map(|(code, expected)| rule(pointer, code, expected)));
        };
        walk_fields("", self.body.fields(), &mut walk);
        rules.extend(self.coherence.iter().map(|check| rule(check.pointer, check.code, check.about.to_owned())));
        rules
    }

    /// The contract as a JSON Schema (draft 2020-12): everything that the structural and the contract stage judge and
    /// a schema can say, and the bounds of single numbers.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let mut schema = self.body.schema();
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        schema["$id"] = json!(format!("urn:mass:contract:{}:{}", self.id.name, self.id.version));
        schema["title"] = json!(format!("MASS {}", self.id));
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

/// Visits every field below a pointer, an object before its members.
fn walk_fields(parent: &str, fields: &'static [Field], visit: &mut impl FnMut(&str, &Field)) {
    for field in fields {
        let pointer = format!("{parent}/{}", field.name);
        visit(&pointer, field);
        walk_fields(&pointer, field.kind.fields(), visit);
    }
}
