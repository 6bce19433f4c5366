//! Projections of the audit trail: the log as the projector reads it, and its updates.

mod history;
mod log;
mod reading;
mod updates;
mod windows;

use std::sync::Arc;

use mass_analytics_service::{AnalyticsStore, ProjectionStore, Projector, SeriesRow, Update};
use mass_domain::analytics::{Figures, HOUR, Micros, Point, SeriesKey, Source};
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::{Index, ValidDocument};
use mass_domain::metrics::MetricKind;
use mass_domain::time::Timestamp;
use mass_service::Submission;

use crate::databases::{DatabaseLocation, TestDatabase};
use crate::fixtures::{Vary, at, simple};

/// The tables of projections, but for their positions.
const TABLES: [&str; 7] = ["sources", "projected_blocks", "series", "points", "hours", "days", "intake"];

fn store(db: &TestDatabase) -> &dyn ProjectionStore {
    &*db.database.stores().projection
}

fn figures(db: &TestDatabase) -> &dyn AnalyticsStore {
    &*db.database.stores().analytics
}

fn projector(db: &TestDatabase) -> Projector {
    Projector::new(Arc::clone(&db.database.stores().projection))
}

/// A valid reading of a device at a site, this number of seconds into the test's day.
fn measured(site: Option<&str>, device: &str, seconds: i64, values: &str) -> Submission {
    let time = at(seconds * 1_000_000);
    let site = site.map(|site| format!(r#","site_id":"{site}""#)).unwrap_or_default();
    let canonical =
        format!(r#"{{"device":{{"id":"{device}"{site},"type":"rack"}},"metrics":{{{values}}},"timestamp":"{time}"}}"#);
    let natural_key = Some(format!("{device} {time}"));
    let index = Index { device_id: Some(device.to_owned()), natural_key, ..Index::default() };
    document("device/1.1", canonical, index)
}

fn document(contract: &str, canonical: String, index: Index) -> Submission {
    let base = simple(0);
    let examined = ValidDocument {
        contract: contract.parse().unwrap(),
        fingerprint: Fingerprint::of(&canonical),
        canonical,
        index,
        warnings: Vec::new(),
    };
    Submission { examined, ..base }.sent(at(1))
}

/// The content of the tables of projections, exactly.
fn dump(place: &DatabaseLocation) -> Vec<String> {
    let mut rows = Vec::new();
    for table in TABLES {
        let query = match place {
            DatabaseLocation::Sqlite(_) => {
                let columns = place.lines(&format!("SELECT name AS line FROM pragma_table_info('{table}')"));
                let all = columns.iter().map(|column| format!("quote({column})")).collect::<Vec<_>>();
                format!("SELECT {} AS line FROM {table}", all.join(" || ',' || "))
            }
            DatabaseLocation::Postgres(_) => format!("SELECT to_jsonb(stored)::text AS line FROM {table} AS stored"),
        };
        rows.extend(place.lines(&query).into_iter().map(|row| format!("{table}: {row}")));
    }
    rows.sort();
    rows
}

fn key(metric: &str) -> SeriesKey {
    let source = Source { site_id: Some("site-1".to_owned()), device_id: Some("dev-1".to_owned()) };
    SeriesKey { source, metric: metric.to_owned() }
}

fn series_row(key: SeriesKey, first_at: Micros, last_at: Micros) -> SeriesRow {
    SeriesRow { id: key.id(), key, kind: MetricKind::Gauge, first_at, last_at, last_value: 0.5, interval: 60_000_000 }
}

fn point(at: Micros, sequence: i64) -> Point {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let value = sequence as f64 + 0.1;
    Point { at, sequence, value, span: (sequence % 2 == 0).then_some(HOUR) }
}

fn some_figures(count: u64) -> Figures {
    Figures {
        count,
        sum: 0.1 + 0.2,
        min: -1.5,
        max: 1e300,
        first: 5e-324,
        last: -0.0,
        integral: 1.0 / 3.0,
        covered: 7,
        gaps: 2,
        resets: 1,
        above: 0.25,
        below: 4.0,
    }
}

/// An update that writes nothing but the position.
fn moving(from: i64, upto: i64) -> Update {
    Update { from, upto, ..Update::default() }
}

fn instant(text: &str) -> Micros {
    text.parse::<Timestamp>().unwrap().unix_micros()
}
