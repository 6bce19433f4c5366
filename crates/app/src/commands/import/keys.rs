//! The identity of records without a natural key: their content, and the number of its repetitions in the file.

use std::collections::HashMap;

use mass_domain::canonical::{self, Fingerprint};
use mass_domain::contracts;
use mass_domain::json::Value;

/// Counts the repetitions of records, in about 30 bytes per distinct record without a natural key.
#[derive(Default)]
pub(super) struct RowKeys {
    /// The number of occurrences by the first eight bytes of the fingerprint. Records that share them only get higher
    /// numbers; their keys still differ.
    seen: HashMap<[u8; 8], u32>,
}

impl RowKeys {
    /// Returns the idempotency key of the next record, or `None` if its contract has a natural key, or it has none.
    ///
    /// The key depends neither on the file's name nor on the records after it: a file that has grown, a copy of it, and
    /// the same records sent to a server have the same keys.
    pub(super) fn next(&mut self, document: &Value) -> Option<String> {
        if contracts::recognise(document)?.has_natural_key() {
            return None;
        }
        let fingerprint = Fingerprint::of(&canonical::write(document));
        let occurrence = self.seen.entry(*fingerprint.as_bytes().first_chunk()?).or_default();
        *occurrence = occurrence.saturating_add(1);
        Some(format!("row-{fingerprint}-{occurrence}"))
    }
}

#[cfg(test)]
mod tests {
    use mass_domain::json;

    use super::RowKeys;

    fn keys(texts: &[&str]) -> Vec<Option<String>> {
        let mut keys = RowKeys::default();
        texts.iter().map(|text| keys.next(&json::parse(text.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn equal_records_have_consecutive_numbers_and_others_have_their_own() {
        let [one, other] = [r#"{"payload":{"a":1,"b":2}}"#, r#"{"payload":{"a":2}}"#];
        let found = keys(&[one, other, r#"{"payload":{"b":2.0,"a":1}}"#]);
        let [first, second, third] = &found[..] else { panic!("{found:?}") };
        let (first, third) = (first.as_ref().unwrap(), third.as_ref().unwrap());
        assert_eq!(
            (first.strip_suffix("-1"), third.strip_suffix("-2")),
            (third.strip_suffix("-2"), first.strip_suffix("-1"))
        );
        assert!(second.as_ref().unwrap().ends_with("-1") && second.as_ref() != Some(first));
        assert_eq!(keys(&[other]), std::slice::from_ref(second));
    }

    #[test]
    fn records_with_a_natural_key_or_without_a_contract_have_no_key() {
        let reading = r#"{"mass_version":"1.1","device":{"id":"a"}}"#;
        assert_eq!(keys(&[reading, "[1]", r#"{"a":1}"#]), [None, None, None]);
    }
}
