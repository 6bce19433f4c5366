//! Fuzzes the parser with arbitrary bytes: it never panics, and a parsed document survives a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mass_domain::contracts::{self, ValidationContext};
use mass_domain::time::Timestamp;
use mass_domain::{canonical, json};

fuzz_target!(|body: &[u8]| {
    let Ok(document) = json::parse(body) else { return };
    let text = canonical::write(&document);
    let again = json::parse(text.as_bytes()).expect("what is written can be read");
    assert_eq!(canonical::write(&again), text);
    let now = Timestamp::from_unix_micros(1_795_543_200_000_000).expect("an instant of 2026");
    let _ = contracts::validate(&document, &ValidationContext { now, body_bytes: body.len() });
});
