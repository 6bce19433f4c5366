//! What the pure parts of MASS cost: `cargo bench --manifest-path bench/Cargo.toml -p mass-micro`.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use mass_domain::audit::tree::{Frontier, TreeHash};
use mass_domain::canonical::{self, Fingerprint};
use mass_domain::contracts::{self, ValidationContext};
use mass_domain::json::{self, Value};
use mass_domain::normalisation;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

const CONTRACTS: [&str; 3] = ["simple/1.0", "device/1.1", "enterprise/1.1"];

fn now() -> Timestamp {
    "2026-11-24T18:00:00Z".parse().unwrap_or_else(|error| panic!("{error}"))
}

/// The published example of a contract, as it is sent.
fn example(contract: &str) -> String {
    let tenant = TenantId::parse("default").unwrap_or_else(|error| panic!("{error}"));
    let (name, version) = contract.split_once('/').unwrap_or_default();
    let contract = contracts::find(name, version).unwrap_or_else(|| panic!("there is no {contract}"));
    contract.example(&tenant, now()).to_string()
}

fn parsed(text: &str) -> Value {
    json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

#[divan::bench(args = CONTRACTS)]
fn parse(bencher: Bencher<'_, '_>, contract: &str) {
    let text = example(contract);
    bencher.counter(BytesCount::of_str(&text)).bench(|| json::parse(black_box(text.as_bytes())));
}

/// Recognising, validating in all stages, normalising and the fingerprint.
#[divan::bench(args = CONTRACTS)]
fn examine(bencher: Bencher<'_, '_>, contract: &str) {
    let text = example(contract);
    let (document, facts) = (parsed(&text), ValidationContext { now: now(), body_bytes: text.len() });
    bencher.counter(BytesCount::of_str(&text)).bench(|| contracts::validate(black_box(&document), &facts));
}

#[divan::bench(args = ["zipCode", "HTTPServer", "already_normal"])]
fn normalise_key(key: &str) -> String {
    normalisation::key(black_box(key))
}

#[divan::bench(args = ["plain", "  trimmed  ", "cafe\u{301}"])]
fn normalise_text(text: &str) -> String {
    normalisation::text(black_box(text))
}

#[divan::bench(args = CONTRACTS)]
fn canonicalise(bencher: Bencher<'_, '_>, contract: &str) {
    let document = parsed(&example(contract));
    let bytes = canonical::write(&document).len();
    bencher.counter(BytesCount::new(bytes)).bench(|| canonical::write(black_box(&document)));
}

#[divan::bench(args = CONTRACTS)]
fn fingerprint(bencher: Bencher<'_, '_>, contract: &str) {
    let text = example(contract);
    bencher.counter(BytesCount::of_str(&text)).bench(|| Fingerprint::of(black_box(&text)));
}

/// Hashing events of 600 bytes and appending them to a tree, 1,000 at a time.
#[divan::bench(args = [0, 1_000_000])]
fn append_to_tree(bencher: Bencher<'_, '_>, size: u64) {
    let grown = Frontier::of::<()>(size, |_| Ok(TreeHash::of_nothing())).unwrap_or_default();
    let event = [b'e'; 600];
    bencher.counter(ItemsCount::new(1000_u32)).with_inputs(|| grown.clone()).bench_values(|mut tree| {
        for _ in 0..1000 {
            tree.push(TreeHash::of_leaf(black_box(&event)), |told| {
                black_box(told);
            });
        }
        tree
    });
}

#[divan::bench(args = [1_000, 1_000_000])]
fn root_of_tree(bencher: Bencher<'_, '_>, size: u64) {
    let grown = Frontier::of::<()>(size, |_| Ok(TreeHash::of_nothing())).unwrap_or_default();
    bencher.bench(|| black_box(&grown).root());
}

fn main() {
    divan::main();
}
