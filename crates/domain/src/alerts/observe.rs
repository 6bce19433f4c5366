//! Observations, from what is read of a tenant.

use std::collections::{BTreeMap, HashSet};

use super::alert::Subject;
use super::condition::MetricBounds;
use super::evaluation::{Observation, Observations, Verdict};
use crate::access::Actor;
use crate::analytics::{Micros, SeriesKey, Source};
use crate::audit::{Action, NewEvent, Object};
use crate::time::Timestamp;

/// A second, in microseconds.
const SECOND: Micros = 1_000_000;

/// The last value of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    /// The series.
    pub key: SeriesKey,
    /// The time of its last point.
    pub at: Micros,
    /// The value of its last point.
    pub value: f64,
}

/// Observes the silence of devices. `sources` are all devices that the rule watches with the time of their newest readings,
/// and `as_of` is the time up to which readings are known.
#[must_use]
pub fn silence(
    after_seconds: u32,
    sources: impl IntoIterator<Item = (Source, Micros)>,
    as_of: Timestamp,
    is_complete: bool,
) -> Observations {
    let item = |(source, at): (Source, Micros)| {
        let Source { site_id, device_id: Some(device_id) } = source else { return None };
        let age = as_of.unix_micros().saturating_sub(at).div_euclid(SECOND);
        let verdict = if age >= i64::from(after_seconds) { Verdict::Firing } else { Verdict::Clear };
        Some(Observation { subject: Subject::Device { site_id, device_id }, verdict, value: Some(seconds(age)) })
    };
    Observations { items: sources.into_iter().filter_map(item).collect(), is_complete }
}

/// Observes the last values of a metric. The subjects in `open` have an open alert, which needs the hysteresis to be
/// resolved.
#[must_use]
pub fn out_of_range(
    bounds: &MetricBounds,
    values: impl IntoIterator<Item = Last>,
    open: &HashSet<Subject>,
    as_of: Timestamp,
    is_complete: bool,
) -> Observations {
    let item = |Last { key, at, value }: Last| {
        let SeriesKey { source: Source { site_id, device_id }, metric } = key;
        let subject = Subject::Series { site_id, device_id, metric };
        let age = as_of.unix_micros().saturating_sub(at).div_euclid(SECOND);
        let verdict = if age > i64::from(bounds.max_age_seconds) {
            Verdict::Unknown
        } else if is_out(bounds, value, open.contains(&subject)) {
            Verdict::Firing
        } else {
            Verdict::Clear
        };
        Observation { subject, verdict, value: Some(value) }
    };
    Observations { items: values.into_iter().map(item).collect(), is_complete }
}

fn is_out(bounds: &MetricBounds, value: f64, is_open: bool) -> bool {
    let hysteresis = if is_open { bounds.hysteresis } else { 0.0 };
    bounds.min.is_some_and(|min| value < min + hysteresis) || bounds.max.is_some_and(|max| value > max - hysteresis)
}

/// Observes a number of one subject: `count` is at most `threshold`, beyond which nothing is counted.
#[must_use]
pub fn counted(subject: Subject, count: u64, threshold: u32) -> Observations {
    let verdict = if count >= u64::from(threshold) { Verdict::Firing } else { Verdict::Clear };
    let value = u32::try_from(count).ok().map(f64::from);
    Observations { items: vec![Observation { subject, verdict, value }], is_complete: true }
}

/// Observes whether the audit trail is as it was signed; `None` if that could not be told.
#[must_use]
pub fn trail(is_whole: Option<bool>) -> Observations {
    let verdict = match is_whole {
        Some(true) => Verdict::Clear,
        Some(false) => Verdict::Firing,
        None => Verdict::Unknown,
    };
    let item = Observation { subject: Subject::AuditTrail, verdict, value: None };
    Observations { items: vec![item], is_complete: true }
}

/// Observes the subjects of events, of which a subject with at least `count` fires. The events are all of the window, unless
/// they are incomplete.
#[must_use]
pub fn events<'a>(count: u32, events: impl IntoIterator<Item = &'a NewEvent>, is_complete: bool) -> Observations {
    let mut counts: BTreeMap<Subject, u32> = BTreeMap::new();
    for subject in events.into_iter().filter_map(subject_of) {
        let counted = counts.entry(subject).or_default();
        *counted = counted.saturating_add(1);
    }
    let item = |(subject, counted): (Subject, u32)| {
        let verdict = if counted >= count { Verdict::Firing } else { Verdict::Clear };
        Observation { subject, verdict, value: Some(f64::from(counted)) }
    };
    Observations { items: counts.into_iter().map(item).collect(), is_complete }
}

/// Returns the subject of an event that rules watch; `None` if the event is of no interest.
#[must_use]
pub fn subject_of(event: &NewEvent) -> Option<Subject> {
    if matches!(event.action, Action::AccessRefused | Action::Throttled) {
        return caller_of(event);
    }
    if event.action == Action::UserChanged && !grants(event) {
        return None;
    }
    if let Object::User(id) = &event.object {
        Some(Subject::User { id: id.as_uuid() })
    } else if let Object::ApiKey(id) = &event.object {
        Some(Subject::ApiKey { id: id.as_uuid() })
    } else if let Object::Session(id) = &event.object {
        Some(Subject::Session { id: id.as_uuid() })
    } else {
        None
    }
}

/// Returns the refused caller, or the tenant if all of its callers were refused.
fn caller_of(event: &NewEvent) -> Option<Subject> {
    if matches!(event.object, Object::Tenant(_)) {
        return Some(Subject::Tenant);
    }
    match event.actor {
        Actor::User(id) => Some(Subject::User { id: id.as_uuid() }),
        Actor::ApiKey(id) => Some(Subject::ApiKey { id: id.as_uuid() }),
        Actor::System | Actor::Anonymous => None,
    }
}

/// Returns true if a change of a user gives it roles, or enables it.
fn grants(event: &NewEvent) -> bool {
    let (before, after) = (event.detail.get("before"), event.detail.get("after"));
    let (Some(before), Some(after)) = (before, after) else { return false };
    let roles = |state: &serde_json::Value| -> HashSet<String> {
        let roles = state["roles"].as_array().into_iter().flatten();
        roles.filter_map(|role| role.as_str().map(str::to_owned)).collect()
    };
    let is_enabled = before["disabled"] == true && after["disabled"] == false;
    is_enabled || !roles(after).is_subset(&roles(before))
}

/// Converts a number of seconds, which is far below what a double cannot hold.
#[expect(clippy::cast_precision_loss, reason = "ages of readings have far fewer than 2^53 seconds")]
const fn seconds(seconds: i64) -> f64 {
    seconds as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::audit::Act;
    use crate::ids::UserId;
    use crate::tenancy::TenantId;
    use crate::trace::{Origin, RequestId};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros((1_800_000_000 + seconds) * SECOND).unwrap()
    }

    fn source(device: Option<&str>) -> Source {
        Source { site_id: Some("a".to_owned()), device_id: device.map(str::to_owned) }
    }

    fn verdicts(seen: &Observations) -> Vec<Verdict> {
        seen.items.iter().map(|item| item.verdict).collect()
    }

    #[test]
    fn a_device_is_silent_once_its_newest_reading_is_too_old() {
        let sources = [(source(Some("x")), at(0).unix_micros()), (source(None), at(0).unix_micros())];
        let seen = |now| silence(60, sources.clone(), at(now), true);
        assert_eq!(verdicts(&seen(59)), [Verdict::Clear], "sites as a whole have no alerts of their own");
        assert_eq!(verdicts(&seen(60)), [Verdict::Firing]);
        assert_eq!(seen(90).items[0].value, Some(90.0));
        // A reading from the future is not silence.
        assert_eq!(verdicts(&seen(-100)), [Verdict::Clear]);
    }

    #[test]
    fn a_value_has_to_come_back_by_the_hysteresis() {
        let bounds = MetricBounds {
            metric: "t".to_owned(),
            site_id: None,
            device_id: None,
            min: Some(10.0),
            max: Some(20.0),
            hysteresis: 1.0,
            max_age_seconds: 60,
        };
        let subject = Subject::Series { site_id: Some("a".to_owned()), device_id: None, metric: "t".to_owned() };
        let seen = |value, is_open: bool, now| {
            let key = SeriesKey { source: source(None), metric: "t".to_owned() };
            let last = Last { key, at: at(0).unix_micros(), value };
            let open = is_open.then(|| subject.clone()).into_iter().collect();
            verdicts(&out_of_range(&bounds, [last], &open, at(now), true))
        };
        for (value, when_clear, when_open) in [
            (9.9, Verdict::Firing, Verdict::Firing),
            (10.0, Verdict::Clear, Verdict::Firing),
            (10.9, Verdict::Clear, Verdict::Firing),
            (11.0, Verdict::Clear, Verdict::Clear),
            (19.0, Verdict::Clear, Verdict::Clear),
            (19.1, Verdict::Clear, Verdict::Firing),
            (20.0, Verdict::Clear, Verdict::Firing),
            (20.1, Verdict::Firing, Verdict::Firing),
        ] {
            assert_eq!(seen(value, false, 60), [when_clear], "{value}");
            assert_eq!(seen(value, true, 60), [when_open], "{value}");
            assert_eq!(seen(value, true, 61), [Verdict::Unknown], "{value}");
        }
    }

    #[test]
    fn numbers_fire_from_their_threshold_on() {
        for (count, verdict) in [(2, Verdict::Clear), (3, Verdict::Firing)] {
            assert_eq!(verdicts(&counted(Subject::Quarantine, count, 3)), [verdict]);
        }
        let trails = [Some(true), Some(false), None].map(|it| verdicts(&trail(it))[0]);
        assert_eq!(trails, [Verdict::Clear, Verdict::Firing, Verdict::Unknown]);
    }

    fn event(action: Action, object: Object) -> NewEvent {
        let origin = Origin { request_id: RequestId::parse("r-1").unwrap(), trace: None, address: None };
        let actor = Actor::User(UserId::from_uuid(Uuid::from_u128(1)));
        Act::new(actor, at(0), &origin).done(&TenantId::parse("default").unwrap(), action, object)
    }

    fn user(number: u128) -> Object {
        Object::User(UserId::from_uuid(Uuid::from_u128(number)))
    }

    #[test]
    fn events_are_counted_by_subject() {
        let failed = [2, 3, 2].map(|number| event(Action::LoggedIn, user(number)));
        let seen = events(2, &failed, true);
        let subject = |number| Subject::User { id: Uuid::from_u128(number) };
        let expected = [
            Observation { subject: subject(2), verdict: Verdict::Firing, value: Some(2.0) },
            Observation { subject: subject(3), verdict: Verdict::Clear, value: Some(1.0) },
        ];
        assert_eq!(seen.items, expected);
        let refused = event(Action::AccessRefused, Object::Operation("GET /v1/x".to_owned()));
        assert_eq!(subject_of(&refused), Some(subject(1)), "the caller, not the operation");
        let tenant = Object::Tenant(TenantId::parse("default").unwrap());
        assert_eq!(subject_of(&event(Action::Throttled, tenant)), Some(Subject::Tenant));
        assert_eq!(subject_of(&event(Action::LoggedIn, Object::Server)), None);
    }

    #[test]
    fn a_changed_user_counts_if_it_was_given_something() {
        let changed = |before, after| {
            subject_of(&event(Action::UserChanged, user(2)).with("before", before).with("after", after)).is_some()
        };
        let (viewer, admin) =
            (json!({"roles": ["viewer"], "disabled": false}), json!({"roles": ["admin"], "disabled": false}));
        let disabled = json!({"roles": ["viewer"], "disabled": true});
        assert!(changed(viewer.clone(), admin.clone()) && changed(disabled.clone(), viewer.clone()));
        assert!(!changed(viewer.clone(), viewer.clone()) && !changed(viewer, disabled));
        let both = json!({"roles": ["admin", "viewer"], "disabled": false});
        assert!(!changed(both, admin));
    }
}
