//! Checks that docs/errors.md and docs/metrics.md match the tables of the contracts and metrics.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use mass_domain::contracts;
use mass_domain::json::{Number, SyntaxErrorKind};
use mass_domain::metrics::METRICS;
use mass_domain::validation::{Code, WarningCode};

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

fn syntax_codes() -> String {
    let mut table = "| code | meaning |\n| --- | --- |\n".to_owned();
    for kind in SyntaxErrorKind::ALL {
        writeln!(table, "| `{}` | {} |", kind.code(), kind.meaning()).unwrap();
    }
    table
}

fn violation_codes() -> String {
    let mut table = "| code | stage | meaning |\n| --- | --- | --- |\n".to_owned();
    for code in Code::ALL {
        writeln!(table, "| `{code}` | {} | {} |", code.stage(), code.meaning()).unwrap();
    }
    table
}

fn rules() -> String {
    let everywhere: Vec<_> = contracts::EVERYWHERE.iter().map(|code| format!("`{code}`")).collect();
    let mut text = format!("At every place of every document: {}.\n\n", everywhere.join(", "));
    for contract in contracts::all() {
        writeln!(text, "### `{}`\n\n{}\n", contract.id(), contract.summary()).unwrap();
        text.push_str("| member | is | rules | meaning |\n| --- | --- | --- | --- |\n");
        for row in contract.rows() {
            let member = if row.pointer.is_empty() { "the document".to_owned() } else { format!("`{}`", row.pointer) };
            let optional = if row.required { "" } else { ", optional" };
            let rules: Vec<_> = row.rules.iter().map(|rule| format!("`{}`: {}", rule.code, rule.expected)).collect();
            writeln!(text, "| {member} | {}{optional} | {} | {} |", row.noun, rules.join("<br>"), row.about).unwrap();
        }
        text.push('\n');
    }
    text
}

fn warning_codes() -> String {
    let mut table = "| code | meaning |\n| --- | --- |\n".to_owned();
    for code in WarningCode::ALL {
        writeln!(table, "| `{code}` | {} |", code.meaning()).unwrap();
    }
    table
}

/// Replaces the text between the two comments that mark a generated block.
fn with_block(page: &str, name: &str, block: &str) -> String {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->\n"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("the page lacks {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("the page lacks {end}"));
    format!("{before}{begin}\n{}\n\n{end}{after}", block.trim_end())
}

fn expected(page: &str) -> String {
    [
        ("syntax codes", syntax_codes()),
        ("violation codes", violation_codes()),
        ("rules", rules()),
        ("warning codes", warning_codes()),
    ]
    .into_iter()
    .fold(page.to_owned(), |page, (name, block)| with_block(&page, name, &block))
}

#[test]
fn errors_md_matches_the_contract_tables() {
    let written = fs::read_to_string(page("errors.md")).unwrap();
    assert!(
        written == expected(&written),
        "docs/errors.md is out of date: cargo test -p mass-domain write_errors_md -- --ignored"
    );
}

#[test]
#[ignore = "writes docs/errors.md"]
fn write_errors_md() {
    let written = fs::read_to_string(page("errors.md")).unwrap();
    fs::write(page("errors.md"), expected(&written)).unwrap();
}

fn known_metrics() -> String {
    let mut table =
        "| name | quantity | unit | bounds | kind | reason for the bounds |\n| --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for metric in METRICS {
        let [least, greatest] = [metric.least, metric.greatest].map(|bound| Number::new(bound).unwrap());
        writeln!(
            table,
            "| `{}` | {} | {} | {least} … {greatest} | {} | {} |",
            metric.name,
            metric.quantity,
            metric.unit,
            metric.kind.as_str(),
            metric.source
        )
        .unwrap();
    }
    table
}

#[test]
fn metrics_md_matches_the_table_of_metrics() {
    let written = fs::read_to_string(page("metrics.md")).unwrap();
    assert!(
        written == with_block(&written, "metrics", &known_metrics()),
        "docs/metrics.md is out of date: cargo test -p mass-domain write_metrics_md -- --ignored"
    );
}

#[test]
#[ignore = "writes docs/metrics.md"]
fn write_metrics_md() {
    let written = fs::read_to_string(page("metrics.md")).unwrap();
    fs::write(page("metrics.md"), with_block(&written, "metrics", &known_metrics())).unwrap();
}
