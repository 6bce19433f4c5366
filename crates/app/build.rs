//! Tells the program its commit and the time of its build, for `GET /version`.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

#[expect(clippy::disallowed_methods, reason = "this is how a build script is told")]
fn main() {
    println!("cargo::rerun-if-env-changed=MASS_COMMIT");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    // A file that is missing would make each build a new one.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
    let head = || git(&["rev-parse", "--short=12", "HEAD"]);
    let commit = env::var("MASS_COMMIT").ok().or_else(head).unwrap_or_else(|| "unknown".to_owned());
    // Reproducible builds give the time (reproducible-builds.org, SOURCE_DATE_EPOCH).
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let built_at = env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok()).unwrap_or_else(now);
    println!("cargo::rustc-env=MASS_COMMIT={commit}");
    println!("cargo::rustc-env=MASS_BUILT_AT={}", rfc3339(built_at));
}

/// Returns the line that git prints, if there is git and a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}

fn rfc3339(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    time.map_or_else(|| "unknown".to_owned(), |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}
