//! Systematic damage to exports, and rewrites without the key: verification finds all of them.

use serde_json::Value;

use super::*;

/// Collects the JSON pointers of all members of a value; the value's own pointer is empty.
fn pointers(value: &Value, prefix: &str, found: &mut Vec<String>) {
    found.push(prefix.to_owned());
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), member)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    below.into_iter().for_each(|(name, member)| pointers(member, &format!("{prefix}/{name}"), found));
}

fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        *value = Value::Null;
        return;
    };
    match value.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.remove(name)),
        Value::Array(items) => drop(items.remove(name.parse::<usize>().unwrap())),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            panic!("{other} has no members")
        }
    }
}

/// Returns replacements for a member: values of its own type, and of every other type.
fn replacements(value: &Value) -> Vec<Value> {
    let own = match value {
        Value::String(text) => [format!("{text}x"), text.to_uppercase(), text.chars().skip(1).collect()]
            .into_iter()
            .map(Value::from)
            .collect(),
        Value::Number(number) => {
            let number = number.as_u64().unwrap();
            vec![
                json!(number + 1),
                json!(number.wrapping_sub(1)),
                json!(i64::MAX),
                json!(u64::MAX),
                json!(0),
                json!(0.5),
            ]
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Vec::new(),
    };
    let others = [Value::Null, json!(true), json!(-1), json!("x"), json!(""), json!([]), json!({}), json!([1, "x"])];
    own.into_iter().chain(others).filter(|other| other != value).collect()
}

/// Returns all variants of a line in which one member was removed, altered or added.
fn altered(line: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(line).unwrap();
    let mut found = Vec::new();
    pointers(&value, "", &mut found);
    let mut lines = Vec::new();
    let mut put = |value: Value| lines.push(value);
    for pointer in found {
        let mut without = value.clone();
        remove(&mut without, &pointer);
        put(without);
        for other in replacements(value.pointer(&pointer).unwrap()) {
            let mut with = value.clone();
            *with.pointer_mut(&pointer).unwrap() = other;
            put(with);
        }
        let mut more = value.clone();
        match more.pointer_mut(&pointer).unwrap() {
            Value::Object(members) => drop(members.insert("more".to_owned(), json!(1))),
            Value::Array(items) => items.push(json!("0".repeat(64))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => continue,
        }
        put(more);
    }
    lines.into_iter().flat_map(|value| written(&value)).collect()
}

/// Returns the spellings of a line: as it is, and for an event also with its recomputed leaf hash.
fn written(value: &Value) -> Vec<String> {
    let mut lines = vec![format!("{value}\n")];
    if let Some(event) = value.get("event") {
        let text = event.to_string();
        lines.push(event_line(&text, TreeHash::of_leaf(text.as_bytes())));
    }
    lines
}

/// Asserts that the verification ends with a finding.
#[track_caller]
fn assert_found(export: &str) {
    let original = self::export().concat();
    if export == original {
        return;
    }
    let verdict = with(&[&signer(1)], &[], export.as_bytes());
    assert!(verdict.is_err(), "{verdict:?}\n{export}");
}

#[test]
fn finds_an_altered_member_of_any_line() {
    let lines = export();
    for at in 0..lines.len() {
        for line in altered(&lines[at]) {
            let mut lines = lines.clone();
            lines[at] = line;
            assert_found(&lines.concat());
        }
    }
}

#[test]
fn finds_a_repeated_member_of_any_line() {
    let lines = export();
    for at in 0..lines.len() {
        let inner = lines[at].trim_end();
        let repeated = [
            format!("{},{}\n", &inner[..inner.len() - 1], &inner[1..]),
            inner.replacen(":{", ":{\"sequence\":1,\"after\":0,\"events\":10,", 1) + "\n",
        ];
        for line in repeated {
            let mut lines = lines.clone();
            lines[at] = line;
            assert_found(&lines.concat());
        }
    }
}

#[test]
fn finds_removed_repeated_swapped_truncated_or_added_lines() {
    let lines = export();
    for at in 0..lines.len() {
        let mut removed = lines.clone();
        let line = removed.remove(at);
        assert_found(&removed.concat());
        for to in 0..=lines.len() {
            let mut repeated = lines.clone();
            repeated.insert(to, line.clone());
            assert_found(&repeated.concat());
            for garbage in ["\n", "x\n", "{}\n", "null\n", "\u{feff}\n", "\0\n", "x", "\n\n"] {
                let mut garbled = lines.clone();
                garbled.insert(to, garbage.to_owned());
                assert_found(&garbled.concat());
            }
        }
        for to in 0..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at, to);
            assert_found(&swapped.concat());
        }
        assert_found(&lines[..at].concat());
        assert_found(&lines[at..].concat());
    }
    let text = lines.concat();
    (0..text.len()).filter(|end| text.is_char_boundary(*end)).for_each(|end| assert_found(&text[..end]));
}

/// An export without signatures is one that anybody can write.
#[test]
fn finds_an_export_rewritten_without_signatures() {
    let whole = events(10);
    let mut changed = whole.clone();
    changed[4] = event(5, &tenant(), "nothing");
    for (after, events, sizes) in [
        (0, &whole[..], &[][..]),
        (0, &changed, &[]),
        (0, &changed, &[3]),
        (0, &whole, &[3, 6, 9]),
        (5, &whole, &[]),
        (5, &changed, &[]),
        (5, &whole, &[5]),
        (10, &whole, &[]),
        (10, &changed, &[]),
        (0, &[], &[]),
    ] {
        let lines = export_after(after, events, &signer(1), sizes);
        let found = finding(&lines);
        let last = events.len().try_into().unwrap();
        let signed = sizes.last().copied().unwrap_or(after).try_into().unwrap();
        assert_eq!(found, Finding::NotSigned { after: signed, last }, "{lines:?}");
        assert!(found.to_string().starts_with("no signature covers "), "{found}");
        assert!(
            with(&[], &[], lines.concat().as_bytes()).is_ok(),
            "without a key, nothing tells it from a genuine one"
        );
    }
}

#[test]
fn finds_a_removed_tail_with_an_adjusted_count() {
    for last in 0..10 {
        if [3, 6, 9].contains(&last) {
            // This is the genuine log as it was signed then; only a later checkpoint can reveal the cut.
            continue;
        }
        let lines = export_after(0, &events(10)[..last], &signer(1), &[3, 6, 9]);
        let signed = [0, 3, 6, 9].into_iter().rfind(|signed| *signed <= last).unwrap();
        let expected = Finding::NotSigned { after: signed.try_into().unwrap(), last: last.try_into().unwrap() };
        assert_eq!(finding(&lines), expected);
    }
}

#[test]
fn verifies_exports_of_format_version_1() {
    let mut lines = export();
    lines[0] = lines[0].replace("\"version\":2", "\"version\":1");
    assert_eq!(finding(&lines), Finding::Malformed { line: 16, after: 10 });
    lines[15] = lines[15].replace("\"checkpoints\":4,", "");
    assert_eq!(verify(&lines).unwrap().covered, 10);
    lines[0] = lines[0].replace("\"version\":1", "\"version\":2");
    assert_eq!(finding(&lines), Finding::Malformed { line: 16, after: 10 });
}
