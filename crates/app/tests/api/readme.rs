//! The sessions of README.md and of the pages in docs, executed as written.

use std::fs;
use std::process::{Command, Output};

use crate::support::process::{Workplace, repository};

/// Returns the ```bash blocks under a heading of the README, up to the next of its level.
fn blocks_under(heading: &str) -> String {
    blocks_of("README.md", heading)
}

/// Returns the ```bash blocks under a heading of a page, up to the next of its level.
fn blocks_of(page: &str, heading: &str) -> String {
    let text = fs::read_to_string(repository().join(page)).unwrap();
    let lines = text.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    let mut script = String::new();
    let mut inside = false;
    for line in lines {
        match line {
            "```bash" => inside = true,
            "```" => inside = false,
            line if inside => script += &format!("{line}\n"),
            _ => {}
        }
    }
    script
}

/// Replaces the parts of a script that vary per session: the address and the password.
fn adapted(script: &str, url: &str, password: &str) -> String {
    let line = |line: &str| {
        let line = if line.starts_with("PASSWORD=") { &format!("PASSWORD='{password}'") } else { line };
        line.replace("http://127.0.0.1:8000", url) + "\n"
    };
    script.lines().map(line).collect()
}

#[expect(clippy::disallowed_methods, reason = "the commands of the session are found by it")]
fn bash(workplace: &Workplace, script: &str) -> Output {
    let mut bash = Command::new("bash");
    bash.args(["-c", &format!("set -euo pipefail\n{script}")]).current_dir(workplace.path(""));
    bash.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).output().unwrap()
}

#[test]
fn the_first_session_of_the_readme_works() {
    let workplace = Workplace::sqlite().without("MASS_ADMIN_PASSWORD");
    let server = workplace.serve();
    let script = blocks_under("## A first session");
    assert!(script.contains("PASSWORD=") && script.contains("http://127.0.0.1:8000"), "{script}");
    let password = server.announcement["admin"]["password"].as_str().unwrap();
    let session = bash(&workplace, &adapted(&script, &server.url, password));
    let printed = String::from_utf8_lossy(&session.stdout);
    assert!(session.status.success(), "{printed}\n{}", String::from_utf8_lossy(&session.stderr));
    assert!(printed.contains(r#""outcome":"accepted""#), "{printed}");
    assert!(printed.contains(r#""type":"accepted""#), "{printed}");
}

#[test]
fn a_file_that_nobody_prepared_becomes_records() {
    let workplace = Workplace::sqlite();
    let script = blocks_under("## A file that nobody prepared");
    let file = "docs/examples/pdu-export.csv";
    assert!(script.contains(file), "{script}");
    fs::create_dir_all(workplace.path("docs/examples")).unwrap();
    fs::copy(repository().join(file), workplace.path(file)).unwrap();
    let session = workplace.shell(&format!("set -eu\n{script}"));
    assert_eq!(session.status, Some(0), "{session:?}");
    let lines: Vec<&str> = session.stdout.lines().collect();
    let numbers: Vec<&&str> = lines.iter().filter(|line| line.contains(" read, ")).collect();
    let expected =
        ["24 read, 24 valid, 0 refused; nothing was stored", "24 read, 24 accepted, 0 duplicates, 0 refused"];
    assert_eq!(numbers, expected.iter().collect::<Vec<_>>(), "{session:?}");
}

#[test]
fn the_engine_session_of_the_readme_works() {
    let workplace = Workplace::sqlite().without("MASS_ADMIN_PASSWORD");
    let server = workplace.serve_with(&["--with-engine"]);
    let first = blocks_under("## A first session");
    let (login, _) = first.split_once("curl -sS --fail-with-body http://127.0.0.1:8000/v1/mass-requests").unwrap();
    let figures = blocks_under("## See the figures");
    let script = format!("{login}{}{figures}", blocks_under("## Ask an engine"));
    let password = server.announcement["admin"]["password"].as_str().unwrap();
    let session = bash(&workplace, &adapted(&script, &server.url, password));
    let printed = String::from_utf8_lossy(&session.stdout);
    assert!(session.status.success(), "{printed}\n{}", String::from_utf8_lossy(&session.stderr));
    assert!(printed.contains(r#""state":"queued""#) && printed.contains(r#""valid":true"#), "{printed}");
    assert!(printed.contains(r#""target":"tampa-1/cooling_setpoint_c","current":22.0,"suggested":23.0"#), "{printed}");
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, rows) = readme.split_once("```csv\n").unwrap();
    assert!(printed.contains(rows.split("```").next().unwrap()), "{printed}");
}

#[tokio::test]
async fn a_wrong_import_is_undone_as_documented() {
    let workplace = Workplace::sqlite();
    let server = workplace.serve();
    let token = server.token().await;
    let workplace = workplace.with("MASS_TOKEN", &token);
    fs::copy(repository().join("tests/data/import/weather-lga-2013.csv"), workplace.path("wrong.csv")).unwrap();
    let script = blocks_of("docs/import.md", "## Undoing an import");
    assert!(script.contains("wrong.csv") && script.contains("confirm="), "{script}");
    let session = workplace.shell(&format!("set -eu\n{}", adapted(&script, &server.url, "")));
    assert_eq!(session.status, Some(0), "{session:?}");
    for told in [r#""matched":155"#, r#""deleted":155"#, r#""remaining":0"#] {
        assert!(session.stdout.contains(told), "{told}: {session:?}");
    }
    assert_eq!(server.list(&token).await.len(), 0);
}
