//! Properties of all inputs: nothing panics, and the cut of an input into chunks changes nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use mass_mapping::{Mapper, Outcome, Profile, suggest};
use proptest::prelude::*;

/// The inputs and profiles of the corpus.
static CORPUS: LazyLock<Vec<(Vec<u8>, Profile)>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/files");
    let mut inputs: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.retain(|path| {
        let name = path.to_string_lossy();
        !name.ends_with(".toml") && !name.ends_with(".expected.ndjson")
    });
    inputs.sort();
    let profile = |path: &Path| Profile::from_toml(&fs::read_to_string(path.with_extension("toml")).unwrap()).unwrap();
    inputs.iter().map(|path| (fs::read(path).unwrap(), profile(path))).collect()
});

/// Maps an input in chunks and describes the results.
fn map(profile: &Profile, input: &[u8], chunk: usize) -> Vec<String> {
    let mut mapper = Mapper::new(profile).unwrap();
    let mut results = Vec::new();
    let mut each = |outcome: Outcome<'_>| results.push(described(&outcome));
    let pushed = input.chunks(chunk).try_for_each(|chunk| mapper.push(chunk, &mut each));
    let ended = pushed.and_then(|()| mapper.finish(&mut each));
    results.push(format!("{ended:?}"));
    // A mapper that has ended takes nothing, and does not panic.
    assert!(mapper.push(b"x", |_| ()).is_err() && mapper.finish(|_| ()).is_err());
    results
}

fn described(outcome: &Outcome<'_>) -> String {
    let original = match outcome {
        Outcome::Record(record) => record.original.to_text(),
        Outcome::Refused(row) => row.original.to_text(),
    };
    match outcome {
        Outcome::Record(record) => {
            format!("{} {} {} {:?} {original}", record.line, record.row, record.rows, record.document)
        }
        Outcome::Refused(row) => format!("{} {} {:?} {original}", row.line, row.row, row.refusals),
    }
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        "[,;\\t|\"'\\r\\n]{1,4}".prop_map(String::into_bytes),
        "[0-9:./ T+-]{1,20}".prop_map(String::into_bytes),
        "(time|device|temp|value|metric|\\{\"a\":1\\}|\\[|\\]|\\{|\\})".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_change_of_an_input_gives_the_same_results_in_any_chunks(
        case in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        removed in 0_usize..40,
        inserted in any_bytes(),
        chunk in 1_usize..50,
    ) {
        let (input, profile) = &CORPUS[case.index(CORPUS.len())];
        let at = at.index(input.len());
        let end = (at + removed).min(input.len());
        let changed = [&input[..at], &inserted, &input[end..]].concat();
        prop_assert_eq!(map(profile, &changed, chunk), map(profile, &changed, changed.len().max(1)));
    }

    #[test]
    fn any_bytes_have_a_suggestion_that_is_a_valid_profile(input in any_bytes()) {
        let text = suggest(&input);
        let profile = Profile::from_toml(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        let mapper = Mapper::new(&profile).map_err(|errors| TestCaseError::fail(format!("{errors:?}\n{text}")));
        mapper?;
        map(&profile, &input, 5);
    }

    #[test]
    fn any_text_is_read_as_a_profile_or_refused(text in "[a-z\\[\\]={}\"'\\.\\n ,0-9]{0,60}") {
        let _ = Profile::from_toml(&text);
        let _ = Profile::from_json(text.as_bytes());
    }
}
