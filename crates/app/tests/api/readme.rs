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

#[tokio::test]
async fn the_tutorial_works() {
    let workplace = Workplace::sqlite().without("MASS_ADMIN_PASSWORD");
    let server = workplace.serve();
    let page = "docs/tutorial.md";
    let headings = ["## Serve", "## Send a day of readings", "## See the figures", "## Prove them", "## Keep them"];
    let script: String = headings.iter().map(|heading| blocks_of(page, heading)).collect();
    let password = server.announcement["admin"]["password"].as_str().unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_mass")).parent().unwrap();
    let script = format!("PATH={}:$PATH\n{}", program.display(), adapted(&script, &server.url, password));
    let session = bash(&workplace, &script);
    let printed = String::from_utf8_lossy(&session.stdout);
    assert!(session.status.success(), "{printed}\n{}", String::from_utf8_lossy(&session.stderr));
    for told in ["96 read, 96 valid", "96 read, 96 accepted", "96 read, 0 accepted, 96 duplicates", "none was changed"]
    {
        assert!(printed.contains(told), "{told}: {printed}");
    }
    assert!(printed.contains(",power_kw,kW,2026-01-05T00:00:00Z,"), "{printed}");
    server.stop();
    workplace.lose_database();
    let rest = workplace.shell("mass restore first.db --checkpoint kept.txt");
    assert_eq!(rest.status, Some(0), "{rest:?}");
    assert_eq!(workplace.lines("SELECT CAST(count(*) AS TEXT) AS line FROM mass_requests"), ["96"]);
}

/// The pages whose blocks run one after the other, after the log-in of the README.
const SESSIONS: [&str; 5] =
    ["docs/alerts.md", "docs/analytics.md", "docs/export.md", "docs/quarantine.md", "docs/retention.md"];

/// The pages that have a test of their own above.
const OTHERS: [&str; 3] = ["README.md", "docs/import.md", "docs/tutorial.md"];

#[tokio::test]
async fn the_sessions_of_the_pages_work() {
    let login = blocks_under("## A first session");
    let (login, _) = login.split_once("curl -sS --fail-with-body http://127.0.0.1:8000/v1/mass-requests").unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_mass")).parent().unwrap();
    for page in SESSIONS {
        let workplace = Workplace::sqlite().without("MASS_ADMIN_PASSWORD");
        let server = workplace.serve();
        let password = server.announcement["admin"]["password"].as_str().unwrap();
        let script = adapted(&format!("{login}\n{}", blocks_of_page(page)), &server.url, password);
        let session = bash(&workplace, &format!("PATH={}:$PATH\n{script}", program.display()));
        let printed = String::from_utf8_lossy(&session.stdout);
        assert!(session.status.success(), "{page}: {printed}\n{}", String::from_utf8_lossy(&session.stderr));
    }
}

/// Returns the ```bash blocks of a page, those within lists included.
fn blocks_of_page(page: &str) -> String {
    let text = fs::read_to_string(repository().join(page)).unwrap();
    let blocks = text.split("```bash\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned() + "\n").collect()
}

/// A block is marked `bash` if a test runs it, and `sh` if it needs what a test has not, such as somebody's proxy.
#[test]
fn every_page_with_blocks_to_run_is_run() {
    let folders = ["", "docs", "docs/gateways", "docs/es", "docs/decisions"];
    let pages = folders.iter().flat_map(|folder| fs::read_dir(repository().join(folder)).unwrap());
    let pages = pages.map(|page| page.unwrap().path()).filter(|page| page.extension().is_some_and(|it| it == "md"));
    let with_blocks = pages.filter(|page| fs::read_to_string(page).unwrap().contains("```bash\n"));
    let name = |page: std::path::PathBuf| page.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned();
    let mut found: Vec<String> = with_blocks.map(name).collect();
    found.sort();
    let mut run = [&SESSIONS[..], &OTHERS].concat();
    run.sort_unstable();
    assert_eq!(found, run);
}
