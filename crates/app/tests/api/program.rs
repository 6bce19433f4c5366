//! The program as a process: configuration, first start, commands, draining, log lines.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::process::{EMAIL, Ended, Server, Workplace, repository, workplaces_on_both};
use crate::support::{AUDIT_KEY, PASSWORD};

const SECRET: &str = "a signing secret of more than 32 bytes";
const PEPPER: &str = "a password pepper of more than 32 bytes";
const COMMANDS: [&str; 16] = [
    "serve",
    "demo",
    "migrate",
    "create-user",
    "reset-password",
    "import",
    "export",
    "audit",
    "engine",
    "openapi",
    "config",
    "doctor",
    "backup",
    "restore",
    "completions",
    "man",
];

workplaces_on_both! {
    a_start_on_an_existing_database_hashes_nothing,
    production_needs_a_password_for_the_first_administrator_only_once,
    migrating_twice_changes_nothing_the_second_time,
    a_created_user_logs_in_with_the_password_that_was_read_or_shown,
    a_reset_password_replaces_the_old_one,
    a_failing_command_says_why,
    a_command_on_an_empty_database_prints_the_generated_password,
    a_request_under_way_is_finished_before_the_server_stops,
    no_secret_is_printed_or_logged,
}

#[tokio::test]
async fn the_first_start_needs_no_configuration_and_shows_a_password_once() {
    let workplace = Workplace::sqlite().without("MASS_ADMIN_PASSWORD");
    let first = workplace.serve();
    let password = first.announcement["admin"]["password"].as_str().unwrap().to_owned();
    let token = first.token_of(EMAIL, &password).await;
    assert!(workplace.path("data/mass.db").is_file());
    for key in ["data/secret.key", "data/audit.key"] {
        assert_eq!(fs::metadata(workplace.path(key)).unwrap().permissions().mode() & 0o777, 0o600, "{key}");
    }
    assert_eq!(first.announcement["docs"], format!("{}/docs", first.url));
    assert_eq!(first.stop().0.code(), Some(0));

    let second = workplace.serve();
    assert_eq!(second.announcement["admin"], json!({"email": EMAIL, "password": null}));
    assert_eq!(second.fetch(&token, "/v1/auth/me").await["email"], EMAIL);
}

#[tokio::test]
async fn serve_prints_addresses_database_and_password() {
    let workplace = Workplace::sqlite().without("MASS_ADMIN_PASSWORD");
    let mut server = workplace.start_for_people();
    let lines: Vec<String> = (0..7).map(|_| server.next_line()).collect();
    let labels: Vec<&str> = lines.iter().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(labels, ["MASS", "Console", "API", "Docs", "Database", "Admin", "Password"]);
    assert!(lines[2].contains("http://127.0.0.1:") && lines[3].trim_end().ends_with("/docs"), "{lines:?}");
}

async fn a_start_on_an_existing_database_hashes_nothing(workplace: Workplace) {
    drop(workplace.serve());
    // One hash at this cost takes hours.
    let workplace = workplace.with("MASS_BCRYPT_COST", "31");
    let server = workplace.serve();
    assert_eq!(server.get("/ready").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn tokens_survive_one_rotation_of_the_signing_secret() {
    let workplace = Workplace::sqlite().with("SECRET_KEY", SECRET);
    let token = workplace.serve().token().await;
    let workplace =
        workplace.with("SECRET_KEY", "the signing secret after that one").with("SECRET_KEY_PREVIOUS", SECRET);
    workplace.serve().fetch(&token, "/v1/auth/me").await;
    let workplace = workplace.without("SECRET_KEY_PREVIOUS");
    let answer = workplace.serve().get("/v1/auth/me").bearer_auth(&token).send().await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn the_server_works_without_prepared_statements() {
    let workplace = Workplace::postgres().with("MASS_STATEMENT_CACHE", "false");
    let server = workplace.serve();
    let token = server.token().await;
    let sent =
        server.post("/v1/mass-requests", &json!({"payload": {"a": 1}})).bearer_auth(&token).send().await.unwrap();
    assert_eq!(sent.status(), 201);
    assert_eq!(server.list(&token).await.len(), 1);
}

#[test]
fn production_needs_a_signing_secret_of_32_bytes() {
    let workplace = Workplace::sqlite().with("MASS_ENV", "production");
    refused(&workplace.mass(&["serve"]), "SECRET_KEY");
    let workplace = workplace.with("SECRET_KEY", &SECRET[..31]);
    refused(&workplace.mass(&["serve"]), "SECRET_KEY");
    assert!(!workplace.path("data").exists());
}

#[test]
fn production_needs_a_key_for_the_audit_trail() {
    let workplace = Workplace::sqlite().with("MASS_ENV", "production").with("SECRET_KEY", SECRET);
    refused(&workplace.mass(&["serve"]), "MASS_AUDIT_KEY");
    assert!(!workplace.path("data").exists());
}

async fn production_needs_a_password_for_the_first_administrator_only_once(workplace: Workplace) {
    let workplace =
        workplace.with("MASS_ENV", "production").with("SECRET_KEY", SECRET).with("MASS_AUDIT_KEY", AUDIT_KEY);
    let workplace = workplace.without("MASS_ADMIN_PASSWORD");
    refused(&workplace.mass(&["serve"]), "MASS_ADMIN_PASSWORD");
    let workplace = workplace.with("MASS_ADMIN_PASSWORD", PASSWORD);
    let announced = workplace.serve().announcement.clone();
    assert_eq!(announced["admin"], json!({"email": EMAIL, "password": null}));
    workplace.without("MASS_ADMIN_PASSWORD").serve();
}

/// Asserts a refusal: one sentence that names the variable, and exit status 1.
fn refused(ended: &Ended, variable: &str) {
    assert_eq!(ended.status, Some(1), "{variable}: {ended:?}");
    assert_eq!(ended.stdout, "", "{variable}");
    assert!(ended.stderr.contains(variable), "{variable}: {}", ended.stderr);
    let told = ended.stderr.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("For more information"));
    assert!(told.count() <= 2, "{variable}: {}", ended.stderr);
}

#[test]
fn a_wrong_setting_is_named() {
    let wrong = [
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "0"),
        ("DATABASE_URL", "mysql://localhost/mass"),
        ("MASS_ADDRESS_RATE_LIMIT_PER_MINUTE", "-1"),
        ("MASS_ADMIN_EMAIL", "nobody"),
        ("MASS_ADMIN_PASSWORD", "short"),
        ("MASS_ALLOW_REGISTRATION", "perhaps"),
        ("MASS_ANALYTICS", "perhaps"),
        ("MASS_AUDIT_CHECKPOINT_SECONDS", "0"),
        ("MASS_AUDIT_KEY", "short"),
        ("MASS_AUDIT_NAME", "a name"),
        ("MASS_AUTO_SEND", "perhaps"),
        ("MASS_BATCH_REFUSED_IN_A_ROW", "-1"),
        ("MASS_BATCH_UNREAD_BYTES", "1048575"),
        ("MASS_BCRYPT_COST", "9"),
        ("MASS_BODY_LIMIT_BYTES", "1 MB"),
        ("MASS_CORS_ORIGINS", "https://console.example/"),
        ("MASS_DATA_DIR", "/dev/null/data"),
        ("MASS_ENGINE_ALLOWED_HOSTS", "http://engine.example"),
        ("MASS_ENGINE_CONCURRENCY", "0"),
        ("MASS_ENGINE_DEADLINE_SECONDS", "0"),
        ("MASS_ENGINE_LEASE_SECONDS", "1"),
        ("MASS_ENGINE_TIMEOUT_MS", "9"),
        ("MASS_DATABASE_TIMEOUT_SECONDS", "0"),
        ("MASS_ENGINE_TOKEN", "two words"),
        ("MASS_ENGINE_URL", "http://169.254.169.254/"),
        ("MASS_ENV", "staging"),
        ("MASS_HOST", "no host"),
        ("MASS_LOG", "mass=[loud"),
        ("MASS_LOG_FORMAT", "xml"),
        ("MASS_MAX_CONNECTIONS", "-1"),
        ("MASS_MAX_CONNECTIONS_PER_ADDRESS", "many"),
        ("MASS_MIGRATION_DATABASE_URL", "postgres://localhost/mass"),
        ("MASS_PASSWORD_PEPPER", "short"),
        ("MASS_PORT", "65536"),
        ("MASS_PUBLIC_URL", "example.org/mass"),
        ("MASS_QUARANTINE_BYTES", "-1"),
        ("MASS_QUARANTINE_DAYS", "0"),
        ("MASS_RATE_LIMIT_PER_MINUTE", "many"),
        ("MASS_STATEMENT_CACHE", "perhaps"),
        ("MASS_STREAMS_PER_CREDENTIAL", "-1"),
        ("MASS_STREAMS_PER_TENANT", "many"),
        ("MASS_STREAM_BUFFER_BYTES", "16777215"),
        ("MASS_TENANT", "Not A Slug"),
        ("MASS_TENANT_DELETION_DAYS", "3651"),
        ("MASS_TENANT_RATE_LIMIT_PER_MINUTE", "1.5"),
        ("MASS_TOKEN_ALGORITHM", "RS256"),
        ("MASS_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("MASS_WEBHOOKS", "perhaps"),
        ("MASS_WEBHOOK_PRIVATE_HOSTS", "http://hooks.example"),
        ("MASS_WRITE_TIMEOUT_SECONDS", "0"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "grpc://localhost/v1/metrics"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "traces"),
        ("OTEL_SDK_DISABLED", "perhaps"),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY_PREVIOUS", "short"),
    ];
    for (variable, value) in wrong {
        refused(&Workplace::sqlite().with(variable, value).mass(&["serve"]), variable);
    }
    let token = Workplace::sqlite().with("MASS_TOKEN", "two words");
    token.write("a.ndjson", "");
    refused(&token.mass(&["import", "a.ndjson", "--url", "http://127.0.0.1:1"]), "MASS_TOKEN");
    // MQTT has no room for a longer text.
    let long = "x".repeat(70_000);
    let of_the_broker = ["MASS_MQTT_USER", "MASS_MQTT_PASSWORD"];
    for variable in of_the_broker {
        let workplace = Workplace::sqlite().with("MASS_MQTT_USER", "mass").with(variable, &long);
        workplace.write(
            "map.toml",
            "contract = \"simple/1.0\"\n[read]\nformat = \"ndjson\"\n[members]\na = \"/payload/a\"\n",
        );
        let broker = ["--broker", "mqtt://127.0.0.1:1", "--topic", "a", "--map", "map.toml", "--dry-run"];
        refused(&workplace.mass(&[&["bridge", "mqtt"][..], &broker].concat()), variable);
    }
    let wrong = wrong.iter().map(|(variable, _)| *variable).chain(["MASS_TOKEN"]).chain(of_the_broker);
    let named: BTreeSet<String> = wrong.map(str::to_owned).collect();
    assert_eq!(named, configuration(&Workplace::sqlite()).into_iter().map(|(name, _)| name).collect());
}

#[test]
fn inconsistent_engine_settings_are_named() {
    let elsewhere = Workplace::sqlite().with("MASS_ENGINE_URL", "http://engine.example");
    refused(
        &elsewhere.with("MASS_ENGINE_ALLOWED_HOSTS", "other.example").mass(&["serve"]),
        "MASS_ENGINE_ALLOWED_HOSTS",
    );
    refused(&Workplace::sqlite().with("MASS_AUTO_SEND", "true").mass(&["serve"]), "MASS_ENGINE_URL");
}

#[test]
fn a_password_in_the_engines_url_is_refused_and_not_shown() {
    let ended = Workplace::sqlite().with("MASS_ENGINE_URL", "http://mass:hunter2@engine.example").mass(&["serve"]);
    refused(&ended, "MASS_ENGINE_URL");
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

/// Returns the output of `mass config`.
fn configuration(workplace: &Workplace) -> Vec<(String, String)> {
    let ended = workplace.mass(&["config"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    ended.stdout.lines().map(pair).collect()
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_the_file() {
    let workplace = Workplace::sqlite().with("MASS_PORT", "2").with("MASS_TENANT", "environment");
    workplace.write(".env", "MASS_PORT=1\nMASS_TENANT=file\nMASS_HOST=127.0.0.9\n");
    let ended = workplace.mass(&["config", "--port", "3"]);
    for line in ["MASS_PORT=3\n", "MASS_TENANT=environment\n", "MASS_HOST=127.0.0.9\n"] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
}

#[test]
fn the_example_file_sets_the_defaults() {
    let defaults = Workplace::sqlite().without("MASS_PORT").without("MASS_BCRYPT_COST").without("MASS_ADMIN_PASSWORD");
    let without_a_file = configuration(&defaults);
    defaults.write(".env", example_file());
    assert_eq!(configuration(&defaults), without_a_file);
}

#[test]
fn the_example_file_has_every_variable_and_no_other() {
    let file = example_file();
    // The rest is for the compose file only.
    let (ours, _) = file.split_once("# --- deploy/compose.yaml alone").unwrap();
    let assignment = |line: &str| {
        let (name, _) = line.strip_prefix('#').unwrap_or(line).split_once('=')?;
        name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_').then(|| name.to_owned())
    };
    let in_file: BTreeSet<String> = ours.lines().filter_map(assignment).collect();
    let shown = configuration(&Workplace::sqlite()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(in_file, shown);
}

fn example_file() -> String {
    fs::read_to_string(repository().join(".env.example")).unwrap()
}

#[test]
fn a_file_of_settings_that_cannot_be_read_is_an_error() {
    let workplace = Workplace::sqlite();
    workplace.write(".env", "MASS_PORT\n");
    refused(&workplace.mass(&["config"]), ".env");
}

#[test]
fn a_line_of_the_file_of_settings_that_cannot_be_read_is_not_shown() {
    let workplace = Workplace::sqlite();
    for line in ["SECRET_KEY='hunter2 of more than 32 bytes", "SECRET_KEY=hunter2 hunter3", "hunter2"] {
        workplace.write(".env", format!("MASS_PORT=1\n{line}\n"));
        let ended = workplace.mass(&["config"]);
        refused(&ended, ".env: line 2");
        assert!(!ended.stderr.contains("hunter"), "{}", ended.stderr);
        assert_eq!(ended.stderr.contains("SECRET_KEY"), line.starts_with("SECRET_KEY"), "{}", ended.stderr);
    }
}

#[test]
fn secrets_are_read_from_files_and_have_no_flags() {
    let workplace = Workplace::sqlite().with("MASS_ENV", "production").with("SECRET_KEY_FILE", "secret.txt");
    workplace.write("secret.txt", format!("{SECRET}\n"));
    workplace.write("audit.txt", format!("{AUDIT_KEY}\n"));
    let workplace = workplace.with("MASS_AUDIT_KEY_FILE", "audit.txt");
    drop(workplace.serve());
    assert!(!workplace.path("data/secret.key").exists());
    refused(&workplace.mass(&["serve", "--secret-key", "hunter2"]), "SECRET_KEY_FILE");
    for flag in ["--token=hunter2", "--admin-password=hunter2", "--database-url=postgres://mass:hunter2@db/mass"] {
        let ended = workplace.mass(&["import", "a.csv", flag]);
        assert_eq!((ended.status, ended.stderr.contains("_FILE")), (Some(1), true), "{ended:?}");
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    refused(&workplace.with("SECRET_KEY", SECRET).mass(&["serve"]), "SECRET_KEY_FILE");
}

#[test]
fn misspelt_variables_are_reported_with_the_nearest_setting() {
    let workplace = Workplace::sqlite().with("MASS_PROT", "1");
    workplace.write(".env", "MASS_HOTS=hunter2\nUNRELATED=1\n");
    let ended = workplace.mass(&["config"]);
    assert_eq!(ended.status, Some(0));
    for named in ["MASS_PROT is not a setting", "MASS_PORT?", "MASS_HOTS is not", "MASS_HOST?"] {
        assert!(ended.stderr.contains(named), "{named}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("hunter2") && !ended.stderr.contains("UNRELATED"), "{}", ended.stderr);
}

#[test]
fn colours_are_used_only_on_terminals_without_no_color() {
    let workplace = Workplace::sqlite().with("MASS_PROT", "1").with("TERM", "xterm");
    // Runs the program in a terminal.
    let line = "script --quiet --return --command 'mass config' /dev/null </dev/null";
    assert!(workplace.shell(line).stdout.contains("\u{1b}["), "{:?}", workplace.shell(line));
    let plain = workplace.with("NO_COLOR", "1").shell(line);
    assert!(plain.stdout.contains("MASS_PROT") && !plain.stdout.contains('\u{1b}'), "{plain:?}");
}

#[test]
fn the_configuration_is_shown_without_its_secrets() {
    let workplace = Workplace::sqlite()
        .with("MASS_ENGINE_URL", "http://mass:hunter5@engine.example")
        .with("MASS_ENGINE_TOKEN", "hunter6")
        .with("MASS_TOKEN", "hunter7")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://mass:hunter8@collector.example")
        .with("SECRET_KEY", SECRET)
        .with("SECRET_KEY_PREVIOUS", "the signing secret before that one")
        .with("MASS_PASSWORD_PEPPER", PEPPER)
        .with("MASS_AUDIT_KEY", AUDIT_KEY)
        .with("DATABASE_URL", "postgres://mass:hunter2@db.example:5432/mass?password=hunter3")
        .with("MASS_MIGRATION_DATABASE_URL", "postgres://owner:hunter4@db.example:5432/mass");
    let shown = workplace.mass(&["config"]).stdout;
    for secret in [SECRET, PEPPER, PASSWORD, AUDIT_KEY, "before that one", "hunter"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    assert!(shown.contains("DATABASE_URL=(PostgreSQL at db.example:5432/mass)"), "{shown}");
    let help = workplace.mass(&["serve", "--help"]).stdout;
    for secret in [SECRET, PEPPER, PASSWORD, AUDIT_KEY, "before that one", "hunter"] {
        assert!(!help.contains(secret), "{secret}: {help}");
    }
    // Wrong values are reported without their content.
    for variable in ["MASS_ENGINE_ALLOWED_HOSTS", "MASS_CORS_ORIGINS", "OTEL_EXPORTER_OTLP_ENDPOINT"] {
        let workplace = Workplace::sqlite().with(variable, "http://mass:hunter9@h.example");
        refused(&workplace.mass(&["serve"]), variable);
        for arguments in [&["serve"][..], &["serve", "--help"], &["config"]] {
            let ended = workplace.mass(arguments);
            assert!(!(ended.stdout + &ended.stderr).contains("hunter"), "{variable} {arguments:?}");
        }
    }
}

#[test]
fn the_help_of_each_command_has_an_example() {
    let workplace = Workplace::sqlite();
    for command in COMMANDS {
        let help = workplace.mass(&[command, "--help"]);
        assert_eq!(help.status, Some(0), "{command}");
        let example = help.stdout.lines().find(|line| line.starts_with("Example: ")).unwrap_or_default();
        assert!(example.contains(&format!("mass {command}")), "{command}: {}", help.stdout);
    }
    let help = workplace.mass(&["--help"]).stdout;
    assert!(COMMANDS.iter().all(|command| help.contains(&format!("  {command} "))), "{help}");
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let workplace = Workplace::sqlite();
    for shell in ["bash", "zsh", "fish"] {
        let completions = workplace.mass(&["completions", shell]);
        assert_eq!(completions.status, Some(0), "{completions:?}");
        assert!(COMMANDS.iter().all(|command| completions.stdout.contains(command)), "{shell}");
        workplace.write(shell, completions.stdout);
    }
    let completed = workplace.shell(
        "bash -c 'source ./bash; COMP_WORDS=(mass doc); COMP_CWORD=1; _mass mass doc mass; echo ${COMPREPLY[@]}'",
    );
    assert_eq!(completed.stdout.trim(), "doctor", "{completed:?}");
    let written = workplace.mass(&["man", "man1"]);
    assert_eq!(written.status, Some(0), "{written:?}");
    for command in COMMANDS {
        let page = workplace.read(&format!("man1/mass-{command}.1"));
        assert!(page.contains(".SH NAME") && page.contains("Example: "), "{command}: {page}");
    }
    assert!(workplace.read("man1/mass-audit-verify.1").contains("checkpoint"));
}

#[test]
fn a_command_accepts_and_shows_exactly_its_settings() {
    let workplace = Workplace::sqlite().with("MASS_RATE_LIMIT_PER_MINUTE", "many");
    let help = workplace.mass(&["import", "--help"]).stdout;
    for used in ["--data-dir", "MASS_AUTO_SEND", "--default-tenant", "MASS_TENANT", "MASS_TOKEN", "--log"] {
        assert!(help.contains(used), "{used}: {help}");
    }
    for unused in ["--port", "RATE_LIMIT", "SECRET_KEY", "OTEL"] {
        assert!(!help.contains(unused), "{unused}: {help}");
    }
    assert!(help.lines().count() <= 60, "{help}");
    let ended = workplace.mass(&["migrate", "--port", "1"]);
    assert_eq!((ended.status, ended.stderr.contains("--port")), (Some(1), true), "{ended:?}");
    // Settings that it does not use do not prevent it from working.
    assert_eq!(workplace.mass(&["migrate"]).status, Some(0));
}

#[test]
fn unknown_flags_are_refused_with_the_nearest_one() {
    let ended = Workplace::sqlite().mass(&["serve", "--mass-port", "1"]);
    assert_eq!(
        (ended.status, ended.stderr.contains("a similar argument exists: '--port'")),
        (Some(1), true),
        "{ended:?}"
    );
}

#[test]
fn flags_without_a_command_are_those_of_serve() {
    let ended = Workplace::sqlite().mass(&["--port", "65536"]);
    refused(&ended, "--port <MASS_PORT>");
}

#[test]
fn a_wrong_command_line_is_a_failure() {
    let ended = Workplace::sqlite().mass(&["sing"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("sing"), "{}", ended.stderr);
}

async fn migrating_twice_changes_nothing_the_second_time(workplace: Workplace) {
    let first = workplace.mass(&["migrate"]);
    assert_eq!(first.status, Some(0), "{first:?}");
    assert!(first.stdout.contains("migrated 20261124000001"), "{first:?}");
    let second = workplace.mass(&["migrate"]);
    assert_eq!(second.status, Some(0), "{second:?}");
    assert!(second.stdout.contains("nothing to migrate"), "{second:?}");
}

#[tokio::test]
async fn two_instances_that_start_together_migrate_and_bootstrap_once() {
    let one = Workplace::postgres().with("SECRET_KEY", SECRET).without("MASS_ADMIN_PASSWORD");
    let other = one.sibling();
    let servers = [one.start(), other.start()].map(|starting| starting.ready());
    let passwords: Vec<&str> =
        servers.iter().filter_map(|server| server.announcement["admin"]["password"].as_str()).collect();
    assert_eq!(passwords.len(), 1);
    let token = servers[0].token_of(EMAIL, passwords[0]).await;
    assert_eq!(servers[1].fetch(&token, "/v1/auth/me").await["email"], EMAIL);
    assert!(one.mass(&["migrate"]).stdout.contains("nothing to migrate"));
}

async fn a_created_user_logs_in_with_the_password_that_was_read_or_shown(workplace: Workplace) {
    let read = ["create-user", "--email", "ana@example.test", "--role", "operator", "--password-stdin"];
    let created = workplace.mass_fed(&read, "the password of Ana\n");
    assert_eq!(created.status, Some(0), "{created:?}");
    assert!(!created.stdout.contains("password"), "{}", created.stdout);
    let shown = workplace.mass(&["create-user", "--email", "bo@example.test", "--role", "viewer", "--role", "auditor"]);

    let server = workplace.serve();
    let token = server.token_of("ana@example.test", "the password of Ana").await;
    assert_eq!(server.fetch(&token, "/v1/auth/me").await["roles"], json!(["operator"]));
    let token = server.token_of("bo@example.test", password_in(&shown.stdout)).await;
    assert_eq!(server.fetch(&token, "/v1/auth/me").await["roles"], json!(["viewer", "auditor"]));
}

/// Returns the word after the announcement of a password.
fn password_in(printed: &str) -> &str {
    let mut words = printed.split_whitespace().skip_while(|word| *word != "password:");
    words.nth(1).unwrap_or_else(|| panic!("no password in {printed}"))
}

async fn a_reset_password_replaces_the_old_one(workplace: Workplace) {
    let server = workplace.serve();
    let reset = ["reset-password", "--email", EMAIL];
    let read = workplace.mass_fed(&[&reset[..], &["--password-stdin"]].concat(), "a good password, for now\n");
    assert_eq!(read.status, Some(0), "{read:?}");
    assert_eq!(server.try_to_log_in(EMAIL, PASSWORD).await.status(), 401);
    server.token_of(EMAIL, "a good password, for now").await;
    let shown = workplace.mass(&reset);
    server.token_of(EMAIL, password_in(&shown.stdout)).await;
}

async fn a_failing_command_says_why(workplace: Workplace) {
    const NO_TENANT: &str = "mass: there is no tenant nowhere; expected one of: default\n";
    workplace.write("one.ndjson", r#"{"payload":{"a":1}}"#);
    let create = ["create-user", "--role", "viewer", "--email"];
    let cases = [
        (vec!["reset-password", "--email", "nobody@example.test"], "no such user"),
        ([&create[..], &["ADMIN@mass.local"]].concat(), "exists already"),
        ([&create[..], &["ana@example.test", "--tenant", "nowhere"]].concat(), NO_TENANT),
        (vec!["reset-password", "--email", EMAIL, "--tenant", "nowhere"], NO_TENANT),
        (vec!["import", "one.ndjson", "--tenant", "nowhere"], NO_TENANT),
        (vec!["audit", "export", "--tenant", "nowhere"], "there is no tenant nowhere; expected one of: default"),
        (vec!["import", "one.ndjson", "--tenant", "system"], "there is no tenant system"),
        (vec!["create-user", "--email", "ana@example.test", "--role", "king"], "king"),
    ];
    for (arguments, named) in cases {
        let ended = workplace.mass(&arguments);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(ended.stderr.contains(named), "{arguments:?}: {}", ended.stderr);
    }
}

async fn a_command_on_an_empty_database_prints_the_generated_password(workplace: Workplace) {
    let workplace = workplace.without("MASS_ADMIN_PASSWORD");
    workplace.write("nothing.ndjson", "");
    let ended = workplace.mass(&["import", "nothing.ndjson"]);
    assert_eq!(ended.stdout, "0 read, 0 accepted, 0 duplicates, 0 refused\n", "{ended:?}");
    workplace.serve().token_of(EMAIL, password_in(&ended.stderr)).await;
}

async fn a_request_under_way_is_finished_before_the_server_stops(workplace: Workplace) {
    let server = workplace.serve();
    let body = json!({"email": EMAIL, "password": PASSWORD}).to_string();
    let mut connection = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    let length = body.len();
    write!(
        connection,
        "POST /v1/auth/login HTTP/1.1\r\nHost: mass\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    let mut answer = BufReader::new(connection.try_clone().unwrap());
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    connection.write_all(&body.as_bytes()[..length / 2]).unwrap();

    server.terminate();
    server.logs("stopping").await;
    connection.write_all(&body.as_bytes()[length / 2..]).unwrap();
    let mut rest = String::new();
    answer.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("HTTP/1.1 200 OK") && rest.contains("access_token"), "{rest}");
    assert_eq!(server.stop().0.code(), Some(0));
}

#[tokio::test]
async fn log_lines_carry_the_request_id_and_the_trace_id() {
    let workplace = Workplace::sqlite().with("MASS_LOG_FORMAT", "json");
    let server = workplace.serve();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = server.get("/version").header("X-Request-Id", "request-7");
    request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01")).send().await.unwrap();
    let (_, printed) = server.stop();
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered = lines.iter().find(|line| line["message"] == "answered").unwrap();
    assert_eq!((&answered["span"]["request_id"], &answered["span"]["trace_id"]), (&json!("request-7"), &json!(trace)));
    assert_eq!((&answered["status"], &answered["span"]["path"]), (&json!(200), &json!("/version")));
}

#[tokio::test]
async fn a_log_line_names_the_caller() {
    let workplace = Workplace::sqlite().with("MASS_LOG_FORMAT", "json");
    let server = workplace.serve();
    let token = server.token().await;
    let caller = server.fetch(&token, "/v1/auth/me").await;
    let (_, printed) = server.stop();
    let lines = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_the_call = |line: &Value| line["message"] == "answered" && line["span"]["path"] == "/v1/auth/me";
    let answered = lines.into_iter().find(of_the_call).unwrap();
    assert_eq!(answered["span"]["actor"], format!("user:{}", caller["id"].as_str().unwrap()));
}

#[tokio::test]
async fn log_lines_have_no_colours_without_a_terminal() {
    let workplace = Workplace::sqlite();
    let server = workplace.serve();
    server.get("/version").send().await.unwrap();
    let (_, printed) = server.stop();
    assert!(printed.contains("answered") && !printed.contains('\u{1b}'), "{printed}");
}

#[tokio::test]
async fn unwritable_log_lines_do_not_stop_the_server() {
    let workplace = Workplace::sqlite();
    let server = workplace.serve_unheard();
    for _ in 0..3 {
        assert_eq!(server.get("/version").send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_full_disk_is_reported_and_the_server_goes_on() {
    let workplace = Workplace::sqlite();
    let server = workplace.serve_with_files_up_to("2048");
    let token = server.token().await;
    let mut statuses = BTreeSet::new();
    for number in 0..40 {
        let body = json!({"payload": {"number": number, "text": "x".repeat(100_000)}});
        statuses.insert(
            server.post("/v1/mass-requests", &body).bearer_auth(&token).send().await.unwrap().status().as_u16(),
        );
    }
    assert_eq!(statuses, BTreeSet::from([201, 503]));
    assert_eq!(server.get("/ready").send().await.unwrap().status(), 503);
    assert_eq!(server.get("/v1/mass-requests").bearer_auth(&token).send().await.unwrap().status(), 200);
}

async fn no_secret_is_printed_or_logged(workplace: Workplace) {
    let workplace = workplace
        .with_database_password("hunter-of-the-database")
        .with("SECRET_KEY", SECRET)
        .with("SECRET_KEY_PREVIOUS", "the signing secret before that one")
        .with("MASS_PASSWORD_PEPPER", PEPPER)
        .with("MASS_AUDIT_KEY", AUDIT_KEY)
        .with("MASS_ALLOW_REGISTRATION", "true")
        .with("MASS_LOG", "trace");
    let server = workplace.serve();
    let mut visit = Visit { server: &server, secrets: Vec::new(), refusals: Vec::new() };
    visit.do_everything().await;
    let Visit { secrets, refusals, .. } = visit;
    let announced = server.announcement.to_string();
    let reset =
        workplace.mass_fed(&["reset-password", "--email", EMAIL, "--password-stdin"], "a good password, for now");
    let shown = workplace.mass(&["config"]);
    let (_, logged) = server.stop();
    let ended = [reset, shown].map(|ended| ended.stdout + &ended.stderr).concat();
    let printed = announced + &ended + &refusals.concat() + &logged;
    let given = [SECRET, PEPPER, PASSWORD, AUDIT_KEY, "before that one", "hunter-of-the-database", "good password"];
    for secret in given.into_iter().chain(secrets.iter().map(String::as_str)) {
        assert!(!printed.contains(secret), "{secret}: {printed}");
    }
}

/// A visit to a server, with all secrets that must not leak.
struct Visit<'a> {
    server: &'a Server,
    /// The secrets that were sent and received.
    secrets: Vec<String>,
    /// The bodies of the answers that are problems.
    refusals: Vec<String>,
}

impl Visit<'_> {
    /// Calls for an answer with this status.
    async fn post(&mut self, token: &str, path: &str, body: &Value, status: u16) -> Value {
        let answer = self.server.post(path, body).bearer_auth(token).send().await.unwrap();
        let (told, body) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(told, status, "{path}: {body}");
        let json = serde_json::from_str(&body).unwrap_or_default();
        if status >= 400 {
            self.refusals.push(body);
        }
        json
    }

    /// Registers a new secret.
    fn secret(&mut self, secret: &str) -> String {
        self.secrets.push(secret.to_owned());
        secret.to_owned()
    }

    /// Registers the access and refresh token of an answer.
    fn tokens(&mut self, answer: &Value) -> (String, String) {
        let [access, refresh] = ["access_token", "refresh_token"].map(|name| answer[name].as_str().unwrap().to_owned());
        self.hide_all_but_the_last_symbol(access.rsplit('.').next().unwrap());
        // Its random end, whose symbols may include underscores.
        self.hide_all_but_the_last_symbol(&refresh[refresh.len() - 30..]);
        (access, refresh)
    }

    /// Registers a secret that is also sent without its last symbol.
    fn hide_all_but_the_last_symbol(&mut self, secret: &str) {
        self.secret(&secret[..secret.len() - 1]);
    }

    async fn do_everything(&mut self) {
        let access = self.log_in_and_refresh().await;
        self.register().await;
        self.administer(&access).await;
        for document in [json!({"payload": {"a": 1}}), json!({"payload": PASSWORD})] {
            self.server.post("/v1/mass-requests", &document).bearer_auth(&access).send().await.unwrap();
        }
        let (wrong, new) = (self.secret("a wrong password, too"), self.secret("the password after that one"));
        for (current, status) in [(wrong.as_str(), 422), (PASSWORD, 204)] {
            let change = json!({"current_password": current, "new_password": new});
            self.post(&access, "/v1/auth/password", &change, status).await;
        }
        self.post(&access[..access.len() - 1], "/v1/auth/logout", &Value::Null, 401).await;
        self.post(&access, "/v1/auth/logout", &Value::Null, 204).await;
        self.post(&access, "/v1/auth/logout", &Value::Null, 401).await;
    }

    /// Logs in with right and wrong passwords, and spends a refresh token twice; returns the access token of another
    /// session.
    async fn log_in_and_refresh(&mut self) -> String {
        let (login, refresh) = ("/v1/auth/login", "/v1/auth/refresh");
        let wrong = self.secret("a wrong password");
        self.post("", login, &json!({"email": EMAIL, "password": wrong}), 401).await;
        let (digits, listed) = (4_711_081_547_110_815_u64, self.secret("a password in a list"));
        self.secret(&digits.to_string());
        for password in [json!(digits), json!([listed])] {
            self.post("", login, &json!({"email": EMAIL, "password": password}), 422).await;
        }
        let good = json!({"email": EMAIL, "password": PASSWORD});
        let first = self.post("", login, &good, 200).await;
        let (_, spent) = self.tokens(&first);
        self.post("", refresh, &json!({"refresh_token": spent[..spent.len() - 1]}), 401).await;
        let next = self.post("", refresh, &json!({"refresh_token": spent}), 200).await;
        self.tokens(&next);
        self.post("", refresh, &json!({"refresh_token": spent}), 401).await;
        let second = self.post("", login, &good, 200).await;
        self.tokens(&second).0
    }

    async fn register(&mut self) {
        let (short, good) = (self.secret("too short, Ana"), self.secret("the password of Ana"));
        for (password, status) in [(short, 422), (good, 204)] {
            let registration = json!({"email": "ana@example.test", "password": password});
            self.post("", "/v1/auth/register", &registration, status).await;
        }
    }

    /// Creates a user with a generated password, and a key; uses the key with right and wrong secrets.
    async fn administer(&mut self, access: &str) {
        let bo = json!({"email": "bo@example.test", "roles": ["viewer"]});
        let bo = self.post(access, "/v1/admin/users", &bo, 201).await;
        self.secret(bo["password"].as_str().unwrap());
        let key = json!({"name": "gateway", "permissions": ["mass:write"]});
        let key = self.post(access, "/v1/admin/api-keys", &key, 201).await["token"].as_str().unwrap().to_owned();
        self.hide_all_but_the_last_symbol(key.rsplit('_').next().unwrap());
        let document = json!({"payload": {"a": 2}});
        self.post(&key, "/v1/mass-requests", &document, 201).await;
        self.post(&key[..key.len() - 1], "/v1/mass-requests", &document, 401).await;
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(&Workplace::sqlite().with("MASS_PORT", &port).mass(&["serve"]), &format!("MASS_PORT={port}"));
}

#[test]
fn a_database_url_with_raw_delimiters_in_its_password_is_refused_and_not_shown() {
    for password in ["hunt/er2", "hunt?er2", "hunt@er2", "hunt%er2", "12/hunter2", "12?hunter2", "hunt?er=2"] {
        for name in ["DATABASE_URL", "MASS_MIGRATION_DATABASE_URL"] {
            let workplace = Workplace::sqlite().with("DATABASE_URL", "postgres://mass@127.0.0.1:1/mass");
            let workplace = workplace.with(name, &format!("postgres://mass:{password}@127.0.0.1:1/mass"));
            for command in ["serve", "migrate"] {
                let ended = workplace.mass(&[command]);
                refused(&ended, name);
                assert!(ended.stderr.contains("percent-encode"), "{}", ended.stderr);
                assert!(!ended.stderr.contains("hunt") && !ended.stderr.contains("er2"), "{}", ended.stderr);
            }
            let shown = workplace.mass(&["config"]).stdout;
            assert!(!shown.contains("hunt") && !shown.contains("er2"), "{shown}");
        }
    }
}

#[test]
fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    for host in ["127.0.0.1:1".to_owned(), silent.to_string(), "nowhere.invalid".to_owned()] {
        let url = format!("postgres://mass:hunter2@{host}/mass");
        let ended = Workplace::sqlite().with("DATABASE_URL", &url).mass(&["serve"]);
        refused(&ended, "DATABASE_URL");
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
}

#[test]
fn a_closed_pipe_ends_a_command_silently() {
    for command in ["openapi", "config", "--help", "audit export", "audit key"] {
        let ended = Workplace::sqlite()
            .with("MASS_LOG", "warn")
            .shell(&format!("{{ sleep 0.2; mass {command}; echo $? >&2; }} | true"));
        assert_eq!(ended.stderr, "141\n", "{command}");
    }
}

#[tokio::test]
async fn an_ipv6_address_may_have_brackets() {
    for host in ["::1", "[::1]"] {
        let workplace = Workplace::sqlite().with("MASS_HOST", host);
        let server = workplace.serve();
        assert!(server.url.starts_with("http://[::1]:"), "{}", server.url);
        assert_eq!(server.get("/health").send().await.unwrap().status(), 200);
    }
}
