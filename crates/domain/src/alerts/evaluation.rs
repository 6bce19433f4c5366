//! The decision on the alerts of a rule, from what is observed of its subjects.

use std::collections::{BTreeMap, BTreeSet};

use super::alert::{AlertState, Resolution, Subject};
use super::rule::Rule;
use crate::ids::AlertId;
use crate::time::Timestamp;

/// The most pending and open alerts of a rule. Of more subjects, the others have none until some are resolved.
pub const MAX_LIVE: usize = 500;

/// Whether a condition holds for a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Firing,
    /// It does not hold.
    Clear,
    /// There is no evidence: alerts stay as they are.
    Unknown,
}

/// The observation of a subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The subject.
    pub subject: Subject,
    /// Whether the condition holds for it.
    pub verdict: Verdict,
    /// The observed value.
    pub value: Option<f64>,
}

/// The observations of a rule's subjects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observations {
    /// Each subject at most once.
    pub items: Vec<Observation>,
    /// True if subjects without an observation do not exist; false if there may be more.
    pub is_complete: bool,
}

/// A pending or open alert of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveAlert {
    /// Its id.
    pub id: AlertId,
    /// Its subject.
    pub subject: Subject,
    /// Its state: pending or open.
    pub state: AlertState,
    /// The time since which the condition holds.
    pub since: Timestamp,
    /// The time at which webhooks were last told that it is open.
    pub notified_at: Option<Timestamp>,
    /// True if somebody has acknowledged it.
    pub is_acknowledged: bool,
}

/// A change of the alerts of a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Move {
    /// The condition begins to hold: another alert is pending.
    Begin {
        /// The subject.
        subject: Subject,
        /// The observed value.
        value: Option<f64>,
    },
    /// Another alert is opened at once.
    OpenNew {
        /// The subject.
        subject: Subject,
        /// The observed value.
        value: Option<f64>,
    },
    /// A pending alert is opened.
    Open {
        /// The alert.
        id: AlertId,
        /// The observed value.
        value: Option<f64>,
    },
    /// A pending alert is dropped, since the condition does not hold any more.
    Drop(AlertId),
    /// An open alert is told of, for the first time or again.
    Tell {
        /// The alert.
        id: AlertId,
        /// The observed value; `None` if there was no evidence.
        value: Option<f64>,
    },
    /// An open alert is resolved.
    Resolve {
        /// The alert.
        id: AlertId,
        /// The reason.
        resolution: Resolution,
    },
}

/// Decides on the alerts of a rule. Returns the changes, and the number of subjects for which the condition holds but
/// which have no alert, since the rule has as many as it may.
#[must_use]
pub fn judge(rule: &Rule, live: &[LiveAlert], seen: &Observations, now: Timestamp) -> (Vec<Move>, u64) {
    let observed: BTreeMap<&Subject, &Observation> = seen.items.iter().map(|item| (&item.subject, item)).collect();
    let known: BTreeSet<&Subject> = live.iter().map(|alert| &alert.subject).collect();
    let mut moves: Vec<Move> = Vec::new();
    let mut standing = 0;
    for alert in live {
        let next = judge_live(rule, alert, observed.get(&alert.subject).copied(), seen.is_complete, now);
        standing += usize::from(!matches!(next, Some(Move::Drop(_) | Move::Resolve { .. })));
        moves.extend(next);
    }
    let (mut room, mut left_out) = (MAX_LIVE.saturating_sub(standing), 0);
    for Observation { subject, verdict, value } in &seen.items {
        if *verdict != Verdict::Firing || known.contains(subject) {
            continue;
        }
        if room == 0 {
            left_out += 1;
            continue;
        }
        room -= 1;
        let (subject, value) = (subject.clone(), *value);
        let waits = rule.for_seconds > 0;
        moves.push(if waits { Move::Begin { subject, value } } else { Move::OpenNew { subject, value } });
    }
    (moves, left_out)
}

fn judge_live(
    rule: &Rule,
    alert: &LiveAlert,
    observed: Option<&Observation>,
    is_complete: bool,
    now: Timestamp,
) -> Option<Move> {
    let (id, is_open) = (alert.id, alert.state == AlertState::Open);
    let verdict = observed.map(|observation| observation.verdict);
    let value = observed.and_then(|observation| observation.value);
    let end = |resolution| if is_open { Move::Resolve { id, resolution } } else { Move::Drop(id) };
    match verdict {
        Some(Verdict::Clear) => Some(end(Resolution::Cleared)),
        None if is_complete => Some(end(Resolution::SubjectGone)),
        Some(Verdict::Firing) if !is_open => {
            has_passed(alert.since, rule.for_seconds, now).then_some(Move::Open { id, value })
        }
        Some(Verdict::Firing | Verdict::Unknown) | None => {
            (is_open && is_to_be_told(rule, alert, now)).then_some(Move::Tell { id, value })
        }
    }
}

/// Returns true if webhooks have not been told of an open alert, or not for as long as the rule says.
fn is_to_be_told(rule: &Rule, alert: &LiveAlert, now: Timestamp) -> bool {
    match alert.notified_at {
        _ if rule.webhooks.is_empty() => false,
        None => true,
        Some(at) => rule.repeat_seconds > 0 && !alert.is_acknowledged && has_passed(at, rule.repeat_seconds, now),
    }
}

fn has_passed(since: Timestamp, seconds: u32, now: Timestamp) -> bool {
    since.plus_seconds(seconds.into()).is_some_and(|end| end <= now)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::alerts::{Condition, Severity, WebhookName};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros((1_800_000_000 + seconds) * 1_000_000).unwrap()
    }

    fn device(number: usize) -> Subject {
        Subject::Device { site_id: None, device_id: number.to_string() }
    }

    fn rule(for_seconds: u32, repeat_seconds: u32) -> Rule {
        Rule {
            condition: Condition::DeviceSilent { site_id: None, device_id: None, after_seconds: 60 },
            description: None,
            enabled: true,
            severity: Severity::Warning,
            for_seconds,
            repeat_seconds,
            webhooks: vec![WebhookName::parse("pager").unwrap()],
        }
    }

    fn live(number: usize, state: AlertState) -> LiveAlert {
        LiveAlert {
            id: AlertId::from_uuid(Uuid::from_u128(number as u128)),
            subject: device(number),
            state,
            since: at(0),
            notified_at: Some(at(0)),
            is_acknowledged: false,
        }
    }

    fn seen(verdict: Verdict) -> Observations {
        let item = Observation { subject: device(1), verdict, value: Some(7.0) };
        Observations { items: vec![item], is_complete: true }
    }

    #[test]
    fn a_condition_opens_an_alert_at_once_or_after_a_while() {
        let value = Some(7.0);
        let (moves, _) = judge(&rule(0, 0), &[], &seen(Verdict::Firing), at(0));
        assert_eq!(moves, [Move::OpenNew { subject: device(1), value }]);
        let (moves, _) = judge(&rule(60, 0), &[], &seen(Verdict::Firing), at(0));
        assert_eq!(moves, [Move::Begin { subject: device(1), value }]);
        let pending = [live(1, AlertState::Pending)];
        assert_eq!(judge(&rule(60, 0), &pending, &seen(Verdict::Firing), at(59)).0, []);
        let open = Move::Open { id: pending[0].id, value };
        assert_eq!(judge(&rule(60, 0), &pending, &seen(Verdict::Firing), at(60)).0, [open]);
        assert_eq!(judge(&rule(60, 0), &pending, &seen(Verdict::Unknown), at(90)).0, []);
        assert_eq!(judge(&rule(60, 0), &pending, &seen(Verdict::Clear), at(90)).0, [Move::Drop(pending[0].id)]);
    }

    #[test]
    fn an_open_alert_is_never_opened_again_and_is_resolved_once_it_is_clear() {
        let open = [live(1, AlertState::Open)];
        let id = open[0].id;
        for verdict in [Verdict::Firing, Verdict::Unknown] {
            assert_eq!(judge(&rule(0, 0), &open, &seen(verdict), at(1_000_000)).0, []);
        }
        let cleared = Move::Resolve { id, resolution: Resolution::Cleared };
        assert_eq!(judge(&rule(0, 0), &open, &seen(Verdict::Clear), at(1)).0, [cleared]);
        let nothing = Observations { items: Vec::new(), is_complete: true };
        let gone = Move::Resolve { id, resolution: Resolution::SubjectGone };
        assert_eq!(judge(&rule(0, 0), &open, &nothing, at(1)).0, [gone]);
        let cut = Observations { items: Vec::new(), is_complete: false };
        assert_eq!(judge(&rule(0, 0), &open, &cut, at(1)).0, []);
    }

    #[test]
    fn an_open_alert_is_told_of_again_until_it_is_acknowledged() {
        let open = live(1, AlertState::Open);
        let tell = Move::Tell { id: open.id, value: Some(7.0) };
        let told = |alert: &LiveAlert, repeat, now| {
            judge(&rule(0, repeat), std::slice::from_ref(alert), &seen(Verdict::Firing), at(now)).0
        };
        assert_eq!(told(&open, 300, 299), []);
        assert_eq!(told(&open, 300, 300), std::slice::from_ref(&tell));
        assert_eq!(told(&open, 0, 300), []);
        let acknowledged = LiveAlert { is_acknowledged: true, ..open.clone() };
        assert_eq!(told(&acknowledged, 300, 300), []);
        // Nobody has been told yet, since there was no room.
        let untold = LiveAlert { notified_at: None, ..acknowledged };
        assert_eq!(told(&untold, 0, 1), [tell]);
    }

    #[test]
    fn a_rule_has_a_bounded_number_of_alerts() {
        let firing = |number| Observation { subject: device(number), verdict: Verdict::Firing, value: None };
        let all = Observations { items: (0..MAX_LIVE + 30).map(firing).collect(), is_complete: true };
        let (moves, left_out) = judge(&rule(0, 0), &[], &all, at(0));
        assert_eq!((moves.len(), left_out), (MAX_LIVE, 30));
        let full: Vec<LiveAlert> = (0..MAX_LIVE).map(|number| live(number, AlertState::Open)).collect();
        assert_eq!(judge(&rule(0, 0), &full, &all, at(0)), (Vec::new(), 30));
        let mut one_clear = all;
        one_clear.items[0].verdict = Verdict::Clear;
        let (moves, left_out) = judge(&rule(0, 0), &full, &one_clear, at(0));
        assert_eq!((moves.len(), left_out), (2, 29), "the one that is resolved makes room for another");
    }
}
