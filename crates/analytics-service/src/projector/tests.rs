use std::collections::BTreeSet;

use mass_domain::analytics::{DAY, HOUR, Point, SeriesKey, Source, floor, reading};
use mass_domain::json;
use proptest::prelude::*;

use super::*;
use crate::memory::{Event, Memory, Rows, at, run, tenant};
use crate::store::{Place, ProjectedRequest, SourceRow};

const MINUTE: i64 = HOUR / 60;

/// A change of a log, or a step of the projector.
#[derive(Debug, Clone)]
enum Act {
    Read { device: u8, minute: i64, value: i8, metrics: u8 },
    ReadSite { hour: i64, length: i64, value: i8 },
    Remove { which: usize, is_erased: bool },
    Reinstate { which: usize },
    Other,
    Step { limit: u32 },
}

fn act() -> impl Strategy<Value = Act> {
    let minute =
        (prop::sample::select(vec![0_i64, 0, 0, 1, 2, 9]), 0_i64..1440).prop_map(|(day, minute)| day * 1440 + minute);
    let burst = (0_i64..60).prop_map(|minute| 600 + minute);
    prop_oneof![
        8 => (0_u8..3, prop_oneof![minute, burst], -3_i8..40, 1_u8..8)
            .prop_map(|(device, minute, value, metrics)| Act::Read { device, minute, value, metrics }),
        2 => (0_i64..90, prop_oneof![1_i64..9, 1_i64..400], 0_i8..9).prop_map(|(hour, length, value)| Act::ReadSite { hour, length, value }),
        4 => (0_usize..1000, any::<bool>()).prop_map(|(which, is_erased)| Act::Remove { which, is_erased }),
        1 => (0_usize..1000).prop_map(|which| Act::Reinstate { which }),
        1 => Just(Act::Other),
        3 => (1_u32..30).prop_map(|limit| Act::Step { limit }),
    ]
}

/// A log as it grows, with the requests that are current.
#[derive(Default)]
struct Log {
    memory: Memory,
    current: BTreeSet<i64>,
    replaced: BTreeSet<i64>,
}

impl Log {
    fn add(&mut self, act: &Act) {
        match act {
            Act::Read { device, minute, value, metrics } => {
                let value = f64::from(*value);
                let all = [("power_kw", value), ("energy_kwh", value.abs()), ("inlet_temperature_celsius", value)];
                let chosen: Vec<(&str, f64)> = all
                    .into_iter()
                    .enumerate()
                    .filter(|(bit, _)| metrics >> bit & 1 == 1)
                    .map(|(_, value)| value)
                    .collect();
                let (site, id) = [(Some("a"), "rack-1"), (None, "rack-1"), (Some("b"), "crac-2")][usize::from(*device)];
                let when = at("2026-03-01T00:00:00Z") + minute * MINUTE;
                self.current.insert(self.memory.read_device(site, id, when, &chosen));
            }
            Act::ReadSite { hour, length, value } => {
                let start = at("2026-03-01T00:00:00Z") + hour * HOUR / 2;
                let energy = format!(r#""it_load_kw":{value},"energy_price_usd_per_kwh":0.{value}"#);
                self.current.insert(self.memory.read_site("a", start..start + length * HOUR / 4, &energy));
            }
            Act::Remove { which, is_erased } => {
                if let Some(accepted) = pick(&self.current, *which) {
                    self.current.remove(&accepted);
                    self.memory.append(Event::Removed(accepted));
                    if *is_erased {
                        self.memory.erase(accepted);
                    } else {
                        self.replaced.insert(accepted);
                    }
                }
            }
            Act::Reinstate { which } => {
                if let Some(accepted) = pick(&self.replaced, *which) {
                    self.replaced.remove(&accepted);
                    self.current.insert(accepted);
                    self.memory.append(Event::Added(accepted));
                }
            }
            Act::Other => self.memory.append(Event::Other),
            Act::Step { .. } => {}
        }
    }

    /// Computes the rows that follow from the current requests.
    fn expected(&self) -> Rows {
        let state = self.memory.0.lock().unwrap().clone();
        let mut rows = Rows { position: i64::try_from(state.log.len()).unwrap(), ..Rows::default() };
        let mut keys = BTreeSet::new();
        for (accepted, document) in self.current.iter().map(|accepted| (*accepted, &state.documents[accepted])) {
            let value = json::parse(document.text.as_bytes()).unwrap();
            let reading = reading(document.contract, &value).unwrap().unwrap();
            let place = Some(Place { source: reading.source.id(), at: reading.at });
            let (day, bytes) = (floor(document.accepted_at, DAY), document.text.len() as u64);
            rows.requests.insert(accepted, ProjectedRequest { accepted, day, bytes, place });
            let intake = rows.intake.entry(day).or_default();
            *intake = (intake.0 + 1, intake.1 + i64::try_from(bytes).unwrap());
            let row = SourceRow {
                source: reading.source.clone(),
                device_type: reading.device_type,
                location: reading.location,
                at: reading.at,
                accepted,
            };
            let newest = rows.sources.entry(reading.source.id()).or_insert_with(|| row.clone());
            if (row.at, row.accepted) > (newest.at, newest.accepted) {
                *newest = row;
            }
            for (metric, value) in reading.values {
                let key = SeriesKey { source: reading.source.clone(), metric };
                let point = Point { at: reading.at, sequence: accepted, value, span: reading.span };
                rows.points.insert((key.id(), point.at, accepted), point);
                keys.insert(key);
            }
        }
        rows.recomputed(&keys)
    }
}

fn pick(among: &BTreeSet<i64>, which: usize) -> Option<i64> {
    among.iter().nth(which % among.len().max(1)).copied()
}

fn projector(memory: &Memory, events: u32, rows: usize) -> Projector {
    Projector { events, rows, ..memory.projector() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// However a log is cut into batches, and however it grows meanwhile, the rows are those of a rebuild, and those that
    /// follow from the current requests by the definitions.
    #[test]
    fn any_batches_make_the_same_rows_as_a_rebuild(acts in prop::collection::vec(act(), 1..140), rows in 1_usize..400) {
        let mut log = Log::default();
        run(async {
            for act in &acts {
                log.add(act);
                if let Act::Step { limit } = act {
                    projector(&log.memory, *limit, rows).step(&tenant()).await.unwrap();
                }
            }
            projector(&log.memory, 7, rows).catch_up(&tenant()).await.unwrap();
        });
        let incremental = log.memory.rows();
        let expected = log.expected();
        prop_assert_eq!(&incremental.series, &expected.series);
        prop_assert_eq!(&incremental.hours, &expected.hours);
        prop_assert_eq!(&incremental.days, &expected.days);
        prop_assert_eq!(&incremental, &expected);
        run(log.memory.projector().rebuild(&tenant())).unwrap();
        prop_assert_eq!(bits(&log.memory.rows()), bits(&incremental));
    }
}

/// Distances of which a few more or less change the median, and with it where gaps begin.
fn distances() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(prop::sample::select(vec![1_i64, 1, 4, 13, 40]), 40..90)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// A change within a long series changes what depends on it, up to the last point that learns from it.
    #[test]
    fn changes_within_a_series_reach_as_far_as_its_intervals_are_learned(
        distances in distances(),
        changes in prop::collection::vec((0_usize..90, any::<bool>()), 1..6),
    ) {
        let mut log = Log::default();
        let mut minute = 0;
        let mut minutes = Vec::new();
        for distance in distances {
            log.add(&Act::Read { device: 0, minute, value: 7, metrics: 3 });
            minutes.push(minute);
            minute += distance;
        }
        run(log.memory.projector().catch_up(&tenant())).unwrap();
        for (which, is_added) in changes {
            if is_added {
                let minute = minutes[which % minutes.len()] + 1;
                log.add(&Act::Read { device: 0, minute, value: 8, metrics: 3 });
            } else {
                log.add(&Act::Remove { which, is_erased: true });
            }
            run(log.memory.projector().step(&tenant())).unwrap();
            prop_assert_eq!(&log.memory.rows(), &log.expected());
        }
    }
}

/// Returns the numbers of all hours, days and last values, bit for bit.
fn bits(rows: &Rows) -> Vec<u64> {
    let figures = rows.hours.values().chain(rows.days.values());
    let members = figures.flat_map(|f| [f.sum, f.min, f.max, f.first, f.last, f.integral, f.above, f.below]);
    members.chain(rows.series.values().map(|row| row.last_value)).map(f64::to_bits).collect()
}

#[tokio::test]
async fn appending_in_order_touches_the_last_hours_and_no_day_before() {
    let memory = Memory::default();
    let begin = at("2026-03-01T00:00:00Z");
    for minute in 0..3000 {
        memory.read_device(Some("a"), "rack-1", begin + minute * MINUTE, &[("power_kw", 2.0)]);
    }
    let projector = memory.projector();
    projector.catch_up(&tenant()).await.unwrap();
    let before = memory.rows();
    assert_eq!((before.hours.len(), before.days.len()), (50, 2));
    memory.read_device(Some("a"), "rack-1", begin + 3000 * MINUTE, &[("power_kw", 2.0)]);
    let batch = memory.next(&tenant(), None, 10, 1000).await.unwrap();
    let plan = plan(batch).unwrap();
    let mut update = Update::default();
    assert!(projector.judge_series(&tenant(), &plan, &mut update, false).await.is_ok());
    assert_eq!((update.points.len(), update.days.len(), update.gone_days.len()), (1, 0, 0));
    // The point before covers its minute now, and the new one is the first of its hour.
    let hours: Vec<i64> = update.hours.iter().map(|(_, begin, _)| *begin).collect();
    assert_eq!(hours, [begin + 49 * HOUR, begin + 50 * HOUR]);
}

#[tokio::test]
async fn stops_at_what_it_cannot_read_and_goes_on_when_it_can() {
    let memory = Memory::default();
    let begin = at("2026-03-01T00:00:00Z");
    memory.read_device(None, "rack-1", begin, &[("power_kw", 2.0)]);
    let broken = memory.accept(crate::memory::device(), r#"{"device":{"id":"x"}}"#.to_owned());
    memory.read_device(None, "rack-1", begin + MINUTE, &[("power_kw", 2.0)]);
    let stuck = memory.projector();
    let progress = stuck.catch_up(&tenant()).await.unwrap();
    let reason = "the document has no readable metrics".to_owned();
    let stopped = Some(Unreadable { sequence: broken, reason });
    assert_eq!((progress.position, progress.head, progress.points), (1, 3, 1));
    assert_eq!((&progress.stopped, &memory.rows().stopped), (&stopped, &stopped));
    assert_eq!(stuck.step(&tenant()).await.unwrap().stopped, stopped);
    // A new program can read it.
    let text = r#"{"device":{"id":"x"},"metrics":{},"timestamp":"2026-03-01T00:00:00Z"}"#;
    memory.0.lock().unwrap().documents.get_mut(&broken).unwrap().text = text.to_owned();
    assert_eq!(stuck.step(&tenant()).await.unwrap().stopped, stopped, "tried once by each program");
    let progress = memory.projector().catch_up(&tenant()).await.unwrap();
    assert_eq!((progress.position, progress.stopped, memory.rows().stopped), (3, None, None));
    memory.append(Event::Unknown);
    let progress = memory.projector().catch_up(&tenant()).await.unwrap();
    assert_eq!((progress.position, progress.stopped.map(|stopped| stopped.sequence)), (3, Some(4)));
}

#[tokio::test]
async fn an_update_from_another_position_changes_nothing() {
    let memory = Memory::default();
    memory.read_device(None, "rack-1", at("2026-03-01T00:00:00Z"), &[("power_kw", 2.0)]);
    let projector = memory.projector();
    let batch = projector.read(&tenant(), None, 10, BYTES).await.unwrap();
    memory.projector().catch_up(&tenant()).await.unwrap();
    let rows = memory.rows();
    assert!(matches!(projector.project(&tenant(), batch, false).await, Err(Failure::Stale)));
    assert_eq!(memory.rows(), rows);
}

#[test]
fn changes_that_are_far_apart_are_in_separate_windows() {
    let point = |hour| Point { at: hour * HOUR, sequence: 1, value: 0.0, span: None };
    let key = SeriesKey { source: Source { site_id: None, device_id: None }, metric: "pue".to_owned() };
    let id = key.id();
    let change = crate::plan::SeriesChange {
        key,
        added: vec![point(30), point(0), point(6)],
        removed: vec![(13 * HOUR, 5), (24 * HOUR, 6)],
    };
    let windows: Vec<(i64, i64)> =
        change.windows(id).iter().map(|window| (window.first / HOUR, window.last / HOUR)).collect();
    assert_eq!(windows, [(0, 6), (13, 13), (24, 30)]);
}
