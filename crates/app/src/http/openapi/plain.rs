//! Schemas reduced to the keywords that client generators understand.
//!
//! A contract's own schema (`GET /v1/contracts/{name}/{version}`) is exact. Generators turn its alternatives into unions
//! of nameless types, or give up; so the OpenAPI document has one type for each value and says the rest in words.

use schemars::Schema;
use serde_json::{Map, Value, json};

/// Reduces a schema, but not the schemas within it.
pub(super) fn reduce(schema: &mut Schema) {
    if let Some(members) = schema.as_object_mut() {
        reduce_constants(members);
        reduce_spellings(members);
    }
}

/// Turns a choice between constants into an `enum`, and lists their meanings in the description.
fn reduce_constants(schema: &mut Map<String, Value>) {
    let Some(choices) = schema.get("oneOf").and_then(Value::as_array) else { return };
    let Some(names) = choices.iter().map(|choice| choice["const"].as_str()).collect::<Option<Vec<_>>>() else { return };
    let meanings = choices.iter().zip(&names).filter_map(|(choice, name)| {
        let meaning = choice["description"].as_str()?;
        Some(format!("\n- `{name}`: {meaning}"))
    });
    let meanings: String = meanings.collect();
    let names = json!(names);
    schema.remove("oneOf");
    schema.extend([("type".to_owned(), json!("string")), ("enum".to_owned(), names)]);
    append(schema, "\n", &meanings);
}

/// Keeps the first of the alternatives, the value itself, where the second is only another way to spell it in a string.
fn reduce_spellings(schema: &mut Map<String, Value>) {
    let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) else { return };
    let (value, spelling, or_null) = match alternatives.as_slice() {
        [value, spelling] => (value, spelling, false),
        [value, spelling, null] if *null == json!({"type": "null"}) => (value, spelling, true),
        _ => return,
    };
    let (Some(value), Some(pattern)) = (value.as_object(), spelling.as_object()) else { return };
    if pattern.keys().ne(["pattern", "type"]) {
        return;
    }
    let value = value.clone();
    schema.remove("anyOf");
    let number = value.get("type").cloned();
    schema.extend(value);
    if number.is_some() {
        append(schema, " ", "A string that contains the number is accepted, too.");
    }
    let kind = number.unwrap_or_else(|| json!("string"));
    schema.insert("type".to_owned(), if or_null { json!([kind, "null"]) } else { kind });
}

fn append(schema: &mut Map<String, Value>, separator: &str, text: &str) {
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = if description.is_empty() { text.to_owned() } else { format!("{description}{separator}{text}") };
    schema.insert("description".to_owned(), description.trim_start().into());
}

#[cfg(test)]
mod tests {
    use schemars::json_schema;

    use super::*;

    #[track_caller]
    fn assert_reduces(mut schema: Schema, expected: &Value) {
        reduce(&mut schema);
        assert_eq!(schema.as_value(), expected);
    }

    #[test]
    fn makes_an_enumeration_of_constants_and_keeps_their_meanings() {
        let constants = json_schema!({"description": "A state.", "oneOf": [
            {"const": "on", "description": "It runs.", "type": "string"}, {"const": "off", "type": "string"},
        ]});
        let expected = json!({"type": "string", "enum": ["on", "off"], "description": "A state.\n\n- `on`: It runs."});
        assert_reduces(constants, &expected);
    }

    #[test]
    fn keeps_a_number_and_says_in_words_that_a_string_may_contain_it() {
        let number = json_schema!({
            "description": "A power.", "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": "^[0-9]$"}],
        });
        let expected = json!({
            "type": "number", "minimum": 0, "description": "A power. A string that contains the number is accepted, too.",
        });
        assert_reduces(number, &expected);
    }

    #[test]
    fn keeps_null_beside_a_number() {
        let number = json_schema!({
            "anyOf": [{"type": "number", "maximum": 9}, {"type": "string", "pattern": "^[0-9]$"}, {"type": "null"}],
        });
        let expected = json!({
            "type": ["number", "null"], "maximum": 9, "description": "A string that contains the number is accepted, too.",
        });
        assert_reduces(number, &expected);
    }

    #[test]
    fn keeps_the_words_of_a_choice_without_their_spellings() {
        let choice =
            json_schema!({"anyOf": [{"enum": ["dev", "prod"]}, {"type": "string", "pattern": "^(?:dev|prod)$"}]});
        assert_reduces(choice, &json!({"type": "string", "enum": ["dev", "prod"]}));
    }

    #[test]
    fn leaves_other_alternatives_as_they_are() {
        for schema in [
            json!({"anyOf": [{"$ref": "#/components/schemas/Problem"}, {"type": "null"}]}),
            json!({"anyOf": [{"type": "number"}, {"type": "string", "pattern": "a", "maxLength": 2}]}),
            json!({"oneOf": [{"const": 1}, {"const": "a"}]}),
            json!(true),
        ] {
            assert_reduces(schema.clone().try_into().unwrap(), &schema);
        }
    }
}
