//! `mass analytics`: the figures of the local database.

use serde_json::Value;

use super::{measured, powers};
use crate::support::process::{Ended, Workplace, workplaces_on_both};

workplaces_on_both! {
    prints_what_a_server_answers,
    rebuilds_figures_from_the_audit_trail,
}

const DAY: [&str; 4] = ["--from", "2025-06-15T00:00:00Z", "--to", "2025-06-16T00:00:00Z"];

#[track_caller]
fn good(ended: Ended) -> Ended {
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended
}

fn analytics(workplace: &Workplace, arguments: &[&str]) -> Ended {
    workplace.mass(&[&["analytics"], arguments].concat())
}

/// Imports readings, and projects them.
fn with_figures(workplace: &Workplace) {
    let mut documents = powers("pdu-1");
    documents.push(measured("facility", "10:00:00", serde_json::json!({"facility_power_kw": 10, "it_power_kw": 8})));
    let lines: String = documents.iter().map(|document| format!("{document}\n")).collect();
    workplace.write("sent.ndjson", lines);
    good(workplace.mass(&["import", "sent.ndjson"]));
    let rebuilt = good(analytics(workplace, &["rebuild"]));
    assert!(rebuilt.stdout.starts_with("default: ") && rebuilt.stdout.contains("14 points"), "{rebuilt:?}");
}

async fn prints_what_a_server_answers(workplace: Workplace) {
    with_figures(&workplace);
    let series = [&["series", "--metric", "power_kw", "--step", "raw"], &DAY[..]].concat();
    let rows = good(analytics(&workplace, &series));
    assert_eq!(rows.stdout.lines().count(), 7);
    assert!(rows.stderr.contains("computed from ") && rows.stderr.contains("root "), "{rows:?}");
    let document = good(analytics(&workplace, &[&series[..], &["--json"]].concat()));
    let kpis = [&["kpis", "--site-id", "madrid-1"], &DAY[..]].concat();
    let indicators = good(analytics(&workplace, &kpis));
    assert!(indicators.stdout.starts_with("site_id,from,to,indicator,value,unit,coverage,reason\n"), "{indicators:?}");
    let told = good(analytics(&workplace, &[&kpis[..], &["--json"]].concat()));

    let server = workplace.serve();
    let token = server.token().await;
    let period = "from=2025-06-15T00:00:00Z&to=2025-06-16T00:00:00Z";
    let served = |path: String| {
        let (server, token) = (&server, &token);
        async move {
            let mut answer: Value = server.fetch(token, &path).await;
            // The start of the server and the log-in are events, too.
            answer.as_object_mut().unwrap().remove("as_of");
            answer
        }
    };
    let printed = |ended: &Ended| {
        let mut answer: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(answer["as_of"]["behind"], 0);
        answer.as_object_mut().unwrap().remove("as_of");
        answer
    };
    assert_eq!(printed(&document), served(format!("/v1/analytics/series?metric=power_kw&step=raw&{period}")).await);
    assert_eq!(printed(&told), served(format!("/v1/analytics/kpis?site_id=madrid-1&{period}")).await);

    let wrong = analytics(
        &workplace,
        &["series", "--metric", "pue", "--from", "2025-06-15T00:00:00Z", "--to", "2025-06-14T00:00:00Z"],
    );
    assert!(wrong.status == Some(1) && wrong.stderr.contains("expected a period that ends after"), "{wrong:?}");
    let nobody = analytics(&workplace, &[&kpis[..], &["--tenant", "nobody"]].concat());
    assert!(nobody.status == Some(1) && nobody.stderr.contains("there is no tenant nobody"), "{nobody:?}");
}

async fn rebuilds_figures_from_the_audit_trail(workplace: Workplace) {
    with_figures(&workplace);
    let rows = "SELECT CAST(count(*) AS text) AS line FROM points";
    assert_eq!(workplace.lines(rows), ["14"]);
    workplace.execute("DELETE FROM points; DELETE FROM hours");
    let rebuilt = good(analytics(&workplace, &["rebuild", "--json"]));
    let told: Value = serde_json::from_str(&rebuilt.stdout).unwrap();
    assert_eq!((&told["tenant"], &told["points"], &told["sequence"]), (&"default".into(), &14.into(), &told["head"]));
    assert_eq!(workplace.lines(rows), ["14"]);
}
