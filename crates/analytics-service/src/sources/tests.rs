use super::*;
use crate::memory::{Memory, at, run, tenant};

const MINUTE: Micros = HOUR / 60;

#[test]
fn a_source_is_fresh_for_three_intervals_and_late_for_twelve_or_a_day() {
    use Freshness::{Fresh, Late, Silent};
    for (age, interval, expected) in [
        (-MINUTE, MINUTE, Fresh),
        (2 * MINUTE, MINUTE / 60, Fresh),
        (2 * MINUTE + 1, MINUTE / 60, Late),
        (3 * MINUTE, MINUTE, Fresh),
        (3 * MINUTE + 1, MINUTE, Late),
        (DAY, MINUTE, Late),
        (DAY + 1, MINUTE, Silent),
        (12 * DAY, DAY, Late),
        (12 * DAY + 1, DAY, Silent),
    ] {
        assert_eq!(freshness(age, interval), expected, "{age} {interval}");
    }
}

#[test]
fn a_cursor_keeps_names_of_any_form() {
    for (site, device) in [(None, "a"), (Some(""), ""), (Some("@b"), "a@"), (Some("ü"), "ß")] {
        let source = Source { site_id: site.map(str::to_owned), device_id: Some(device.to_owned()) };
        let bytes = SourceKey(source.clone()).to_bytes();
        assert_eq!(SourceKey::from_bytes(&bytes).map(|key| key.0), Some(source));
    }
    assert!(SourceKey::from_bytes(&[0, 0, 0, 9, b'a']).is_none());
    assert!(SourceKey::from_bytes(&[0, 0]).is_none());
}

fn everything(memory: &Memory, now: &str) -> (Vec<SiteState>, Vec<DeviceState>) {
    run(async {
        let service = memory.service(now).await;
        let principal = Principal::system(tenant());
        let limit = Limit::new(2).unwrap();
        let (mut sites, mut devices) = (Vec::new(), Vec::new());
        let mut query = SiteQuery { limit, cursor: None, completeness: true };
        loop {
            let answer = service.sites(&principal, &query).await.unwrap();
            assert_eq!((answer.as_of.behind(), answer.data.items.len() <= 2), (0, true));
            sites.extend(answer.data.items);
            query.cursor = answer.data.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        let mut query = DeviceQuery { site_id: None, limit, cursor: None, completeness: true };
        loop {
            let answer = service.devices(&principal, &query).await.unwrap();
            devices.extend(answer.data.items);
            query.cursor = answer.data.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        (sites, devices)
    })
}

#[test]
fn lists_sites_and_devices_with_their_last_values_and_completeness() {
    let memory = Memory::default();
    let begin = at("2026-03-01T00:00:00Z");
    for minute in 0..2880 {
        // Nothing for the first half of the second day.
        if !(1440..2160).contains(&minute) {
            memory.read_device(Some("a"), "rack-1", begin + minute * MINUTE, &[("power_kw", 2.0), ("pue", 1.5)]);
        }
    }
    memory.read_device(None, "crac-2", begin, &[("power_kw", 7.0)]);
    memory.read_device(Some("b"), "rack-1", begin, &[]);
    memory.read_site("c", begin..begin + HOUR, r#""it_load_kw":5"#);
    let (sites, devices) = everything(&memory, "2026-03-02T23:59:30Z");
    let names: Vec<(&str, u64, bool)> =
        sites.iter().map(|site| (site.site_id.as_str(), site.devices, site.state.is_some())).collect();
    assert_eq!(names, [("a", 1, false), ("b", 1, false), ("c", 0, true)]);
    let names: Vec<(&str, Option<&str>)> =
        devices.iter().map(|device| (device.device_id.as_str(), device.site_id.as_deref())).collect();
    assert_eq!(names, [("crac-2", None), ("rack-1", Some("a")), ("rack-1", Some("b"))]);
    let rack = devices[1].state.as_ref().unwrap();
    assert_eq!((rack.freshness, rack.interval), (Freshness::Fresh, MINUTE));
    assert_eq!(rack.last_seen, "2026-03-02T23:59:00Z".parse().unwrap());
    let values: Vec<(&str, f64)> = rack.values.iter().map(|value| (value.metric.as_str(), value.value)).collect();
    assert_eq!(values, [("power_kw", 2.0), ("pue", 1.5)]);
    // Of the day, from the hour of the time 24 hours ago: three minutes after the last point before the gap, and 719 more.
    let Completeness { day, month } = rack.completeness.unwrap();
    let (day, month) = (day.unwrap(), month.unwrap());
    assert!((day - (60.0 + 2.0 + 719.0) / (1439.0 + 60.0)).abs() < 1e-9, "{day}");
    assert!((month - (1439.0 + 3.0 + 719.0) / 2879.0).abs() < 1e-9, "{month}");
    assert_eq!(devices[2].state, None);
    assert_eq!(devices[0].state.as_ref().unwrap().freshness, Freshness::Silent);
    assert_eq!((devices[0].device_type.as_deref(), devices[1].device_type.as_deref()), (Some("crac"), Some("rack")));
}

#[test]
fn gets_a_device_once_for_each_of_its_sites() {
    let memory = Memory::default();
    let begin = at("2026-03-01T00:00:00Z");
    memory.read_device(Some("a"), "rack-1", begin, &[("power_kw", 1.0)]);
    memory.read_device(Some("b"), "rack-1", begin + HOUR, &[("power_kw", 2.0)]);
    let found = run(async {
        let service = memory.service("2026-03-02T00:00:00Z").await;
        let unknown = service.device(&Principal::system(tenant()), "rack-2").await;
        assert!(matches!(unknown, Err(SourceError::NotFound)));
        service.device(&Principal::system(tenant()), "rack-1").await.unwrap().data
    });
    let sites: Vec<Option<&str>> = found.iter().map(|device| device.site_id.as_deref()).collect();
    assert_eq!(sites, [Some("b"), Some("a")]);
    assert_eq!(found[0].state.as_ref().unwrap().values[0].value, 2.0);
}
