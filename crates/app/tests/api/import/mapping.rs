//! `mass import --map` and `--suggest`: files that nobody prepared.

use super::{assert_ended, import};
use crate::support::process::{Workplace, workplaces_on_both};

workplaces_on_both! {
    an_unprepared_table_is_imported_by_its_suggested_profile,
}

/// A table with semicolons, decimal commas and Windows-1252. The last temperature is not a number.
const TABLE: &[u8] = b"Fecha;Ger\xe4t;Temperatur (\xb0C);Leistung [W]\r\n\
    31.01.2026 10:00;A1;21,5;1.234,5\r\n31.01.2026 10:05;A1;21,6;1.230,0\r\n31.01.2026 10:10;A1;warm;1.231,0\r\n";

async fn an_unprepared_table_is_imported_by_its_suggested_profile(workplace: Workplace) {
    workplace.write("export.csv", TABLE);
    let suggested = import(&workplace, "export.csv", &["--suggest"]);
    assert_eq!(suggested.status, Some(0), "{suggested:?}");
    assert!(suggested.stdout.contains("windows-1252") && suggested.stdout.contains("# "), "{suggested:?}");
    assert!(!workplace.path("data").exists(), "a suggestion needs no database");
    workplace.write("site.toml", &suggested.stdout);
    let judged = import(&workplace, "export.csv", &["--map", "site.toml", "--dry-run", "--rejected", "dry.csv"]);
    assert_ended(&judged, 2, "3 read, 2 valid, 1 refused; nothing was stored\n");
    let first = import(&workplace, "export.csv", &["--map", "site.toml"]);
    assert_ended(&first, 2, "3 read, 2 accepted, 0 duplicates, 1 refused\n");

    // The refused row keeps its columns and notation, so that the same profile reads it once it is mended.
    let rejected = workplace.read("export.csv.rejected.csv");
    let lines: Vec<&str> = rejected.lines().collect();
    assert_eq!(lines[0], "\u{feff}Fecha;Ger\u{e4}t;Temperatur (\u{b0}C);Leistung [W];_line;_pointer;_reason");
    assert!(lines[1].starts_with("31.01.2026 10:10;A1;warm;1.231,0;line 4;Temperatur (\u{b0}C);"), "{rejected}");
    assert_eq!(lines.len(), 2, "{rejected}");
    let again = import(&workplace, "export.csv.rejected.csv", &["--map", "site.toml", "--rejected", "again.csv"]);
    assert_ended(&again, 2, "1 read, 0 accepted, 0 duplicates, 1 refused\n");
    assert_eq!(workplace.read("again.csv").lines().next(), rejected.lines().next(), "one set of MASS's own columns");
    workplace.write("mended.csv", rejected.replace("warm", "21,7"));
    let server = workplace.serve();
    let token = server.token().await;
    let workplace = workplace.with("MASS_TOKEN", &token);
    let mended = import(&workplace, "mended.csv", &["--map", "site.toml", "--url", &server.url]);
    assert_ended(&mended, 0, "1 read, 1 accepted, 0 duplicates, 0 refused\n");

    let stored = server.list(&token).await;
    assert_eq!(stored.len(), 3);
    let told =
        r#"audit_events WHERE action = 'accepted' AND event LIKE '%"mapping":{"digest":"sha256:%","name":"site"}%'"#;
    let told = workplace.lines(&format!("SELECT CAST(count(*) AS TEXT) AS line FROM {told}"));
    assert_eq!(told, ["3"], "each event names the profile");
}

#[test]
fn a_mistaken_profile_fails_with_its_place() {
    let workplace = Workplace::sqlite();
    workplace.write("export.csv", TABLE);
    workplace.write("form.toml", "contract = 1\n");
    workplace.write("content.toml", "contract = \"device/9.9\"\n");
    for (profile, told) in [("form.toml", "/contract"), ("content.toml", "/contract"), ("absent.toml", "absent.toml")] {
        let ended = import(&workplace, "export.csv", &["--map", profile]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.stderr.contains(told) && ended.stderr.contains(profile), "{ended:?}");
    }
    assert!(!workplace.path("data").exists());
}
