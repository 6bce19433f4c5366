use mass_domain::savings::{Boundary, PlanFollowed, Recorder};
use mass_domain::trace::{Origin, RequestId};
use uuid::Uuid;

use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn period(from: &str, until: &str) -> Period {
    Period { from: time(from), until: time(until) }
}

fn pre_post() -> Design {
    Design::PrePost {
        baseline: period("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        reporting: period("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    }
}

fn crossover() -> Design {
    Design::Crossover { first_day: "2026-03-02".parse().unwrap(), pairs: 3, washout: true }
}

fn project(design: Design) -> Project {
    Project {
        id: SavingsProjectId::from_uuid(Uuid::nil()),
        version: 4,
        seed: 1,
        utc_offset_seconds: 3600,
        terms: Terms {
            name: "Fans".to_owned(),
            site_id: "a".to_owned(),
            weather_device: "w".to_owned(),
            boundary: Boundary::Hvac,
            design,
            zone: "Europe/Berlin".to_owned(),
            price: None,
            co2e_kg_per_kwh: None,
            assumptions: Vec::new(),
            modes: Vec::new(),
        },
        adjustments: Vec::new(),
        schedule: None,
        confirmations: Vec::new(),
    }
}

fn judge_at(stored: &Project, change: Change, at: &str) -> Result<Option<Project>, ProjectError> {
    let origin = Origin { request_id: RequestId::parse("r-1").unwrap(), trace: None, address: None };
    let act = Act::new(Actor::System, time(at), &origin);
    ProjectChange { id: stored.id, change, expected: None, act }.judge(stored)
}

fn judge(stored: &Project, change: Change) -> Result<Option<Project>, ProjectError> {
    judge_at(stored, change, "2026-03-01T12:00:00Z")
}

fn adjustment(from: &str, until: &str) -> Adjustment {
    Adjustment {
        author: "A. Engineer".to_owned(),
        reason: "A new hall.".to_owned(),
        period: period(from, until),
        kwh: 10.0,
        recorded_by: Recorder::from(Actor::System),
        recorded_at: time("2026-03-01T12:00:00Z"),
    }
}

fn confirmation(day: &str, followed: PlanFollowed) -> Confirmation {
    Confirmation {
        day: day.parse().unwrap(),
        followed,
        reason: Some("A pump failed.".to_owned()),
        author: "O. Operator".to_owned(),
        recorded_by: Recorder::from(Actor::System),
        recorded_at: time("2026-03-01T12:00:00Z"),
    }
}

#[test]
fn each_change_is_another_version_and_the_same_terms_are_none() {
    let stored = project(pre_post());
    assert_eq!(judge(&stored, Change::Terms(Box::new(stored.terms.clone()), 3600)).unwrap(), None);
    let mut terms = stored.terms.clone();
    terms.name = "Pumps".to_owned();
    let next = judge(&stored, Change::Terms(Box::new(terms), 3600)).unwrap().unwrap();
    assert_eq!((next.version, next.terms.name.as_str()), (5, "Pumps"));
}

#[test]
fn a_change_of_another_version_is_refused() {
    let stored = project(crossover());
    let origin = Origin { request_id: RequestId::parse("r-1").unwrap(), trace: None, address: None };
    let act = Act::new(Actor::System, time("2026-03-01T12:00:00Z"), &origin);
    let change =
        |expected| ProjectChange { id: stored.id, change: Change::Draw(1), expected: Some(expected), act: act.clone() };
    assert!(matches!(change(vec![3]).judge(&stored), Err(ProjectError::Stale { version: 4 })));
    assert!(change(vec![3, 4]).judge(&stored).is_ok());
}

#[test]
fn adjustments_lie_within_the_reporting_period_and_stay_there() {
    let stored = project(pre_post());
    let good = adjustment("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z");
    let adjusted = judge(&stored, Change::Adjust(good.clone())).unwrap().unwrap();
    assert_eq!(adjusted.adjustments, std::slice::from_ref(&good));
    let outside = adjustment("2025-12-01T00:00:00Z", "2026-03-01T00:00:00Z");
    assert!(matches!(judge(&stored, Change::Adjust(outside)), Err(ProjectError::Invalid(_))));
    assert!(matches!(judge(&project(crossover()), Change::Adjust(good)), Err(ProjectError::Invalid(_))));
    let mut terms = adjusted.terms.clone();
    for design in [
        crossover(),
        Design::PrePost {
            baseline: period("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            reporting: period("2026-02-15T00:00:00Z", "2027-01-01T00:00:00Z"),
        },
    ] {
        terms.design = design;
        let refused = judge(&adjusted, Change::Terms(Box::new(terms.clone()), 3600));
        assert!(matches!(refused, Err(ProjectError::Invalid(_))), "{refused:?}");
    }
    let mut full = stored;
    full.adjustments = vec![adjusted.adjustments[0].clone(); MAX_ADJUSTMENTS];
    let more = Change::Adjust(adjusted.adjustments[0].clone());
    assert!(matches!(judge(&full, more), Err(ProjectError::Invalid(_))));
}

#[test]
fn a_schedule_is_drawn_once_and_before_its_first_day() {
    let stored = project(crossover());
    // The first day begins at 23:00 in UTC, since Berlin is an hour ahead.
    let late = judge_at(&stored, Change::Draw(7), "2026-03-01T23:00:00Z");
    assert!(matches!(late, Err(ProjectError::TooLate(_))), "{late:?}");
    let drawn = judge_at(&stored, Change::Draw(7), "2026-03-01T22:59:59Z").unwrap().unwrap();
    let schedule = drawn.schedule.clone().unwrap();
    assert_eq!((schedule.seed, schedule.days.len()), (7, 6));
    assert_eq!(schedule.days[5].day.to_string(), "2026-03-07");
    for pair in schedule.days.chunks(2) {
        assert!(pair[0].on != pair[1].on && pair[0].pair == pair[1].pair);
    }
    assert!(matches!(judge(&drawn, Change::Draw(8)), Err(ProjectError::ScheduleDrawn)));
    assert!(matches!(judge(&project(pre_post()), Change::Draw(8)), Err(ProjectError::NotACrossover)));
    let mut terms = drawn.terms.clone();
    terms.assumptions = vec!["None.".to_owned()];
    assert!(judge(&drawn, Change::Terms(Box::new(terms.clone()), 3600)).unwrap().is_some());
    assert!(matches!(judge(&drawn, Change::Terms(Box::new(terms), 7200)), Err(ProjectError::ScheduleDrawn)));
}

#[test]
fn days_are_confirmed_once_they_have_begun_and_may_be_corrected() {
    let stored = project(crossover());
    let confirm = |day| Change::Confirm(confirmation(day, PlanFollowed::Applied));
    assert!(matches!(judge(&stored, confirm("2026-03-02")), Err(ProjectError::NoSuchDay)));
    let drawn = judge(&stored, Change::Draw(7)).unwrap().unwrap();
    let at = "2026-03-04T12:00:00Z";
    assert!(matches!(judge_at(&drawn, confirm("2026-03-05"), at), Err(ProjectError::TooEarly)));
    assert!(matches!(judge_at(&drawn, confirm("2026-03-08"), at), Err(ProjectError::NoSuchDay)));
    let mut project = drawn;
    for day in ["2026-03-04", "2026-03-02"] {
        project = judge_at(&project, confirm(day), at).unwrap().unwrap();
    }
    assert_eq!(judge_at(&project, confirm("2026-03-02"), at).unwrap(), None);
    let other = Change::Confirm(confirmation("2026-03-02", PlanFollowed::Partly { share: 0.5 }));
    project = judge_at(&project, other, at).unwrap().unwrap();
    let days: Vec<_> = project.confirmations.iter().map(|it| (it.day.to_string(), it.followed)).collect();
    let expected = [
        ("2026-03-02".to_owned(), PlanFollowed::Partly { share: 0.5 }),
        ("2026-03-04".to_owned(), PlanFollowed::Applied),
    ];
    assert_eq!(days, expected);
}

#[test]
fn days_are_told_by_standard_time() {
    for (zone, begin, expected) in [
        ("Europe/Berlin", "2026-07-01T00:00:00Z", Some(3600)),
        ("Europe/Berlin", "2026-01-01T00:00:00Z", Some(3600)),
        ("America/New_York", "2026-07-01T00:00:00Z", Some(-18_000)),
        ("Australia/Sydney", "2026-01-01T00:00:00Z", Some(36_000)),
        ("Asia/Kolkata", "2026-01-01T00:00:00Z", Some(19_800)),
        ("UTC", "9999-12-31T00:00:00Z", Some(0)),
        ("Mars/Olympus", "2026-01-01T00:00:00Z", None),
    ] {
        assert_eq!(standard_time(zone, time(begin)).ok(), expected, "{zone}");
    }
}
