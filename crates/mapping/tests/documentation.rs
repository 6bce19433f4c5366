//! Checks that docs/mapping.md matches the tables of the crate.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use mass_mapping::{CONVERSIONS, RefusalCode};

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/mapping.md")
}

fn conversions() -> String {
    let mut table = "| to | from |\n| --- | --- |\n".to_owned();
    let mut units: Vec<&str> = Vec::new();
    for conversion in CONVERSIONS {
        if !units.contains(&conversion.to) {
            units.push(conversion.to);
        }
    }
    for to in units {
        let from: Vec<_> =
            CONVERSIONS.iter().filter(|conversion| conversion.to == to).map(|it| format!("`{}`", it.from)).collect();
        writeln!(table, "| `{to}` | {} |", from.join(", ")).unwrap();
    }
    table
}

fn refusals() -> String {
    let mut table = "| code | meaning |\n| --- | --- |\n".to_owned();
    for code in RefusalCode::ALL {
        writeln!(table, "| `{}` | {} |", code.as_str(), code.meaning()).unwrap();
    }
    table
}

/// Replaces the text between the two comments that mark a generated block.
fn with_block(page: &str, name: &str, block: &str) -> String {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->\n"));
    let (before, rest) = page.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{begin}\n{}\n\n{end}{after}", block.trim_end())
}

fn expected(page: &str) -> String {
    with_block(&with_block(page, "conversions", &conversions()), "refusals", &refusals())
}

#[test]
fn mapping_md_matches_the_tables() {
    let written = fs::read_to_string(page()).unwrap();
    assert!(
        written == expected(&written),
        "docs/mapping.md is out of date: cargo test -p mass-mapping write_mapping_md -- --ignored"
    );
}

#[test]
#[ignore = "writes docs/mapping.md"]
fn write_mapping_md() {
    let written = fs::read_to_string(page()).unwrap();
    fs::write(page(), expected(&written)).unwrap();
}
