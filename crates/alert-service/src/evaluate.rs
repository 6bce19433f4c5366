//! The evaluation of a tenant's rules: one tenant at a time, under a lease.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use mass_analytics_service::AnalyticsStore;
use mass_domain::alerts::{
    Alert, AlertState, Condition, LiveAlert, MAX_LIVE, Move, News, Observations, Subject, WebhookName, counted, events,
    judge, trail,
};
use mass_domain::ids::{AlertId, NotificationId};
use mass_domain::port::PortError;
use mass_domain::tasks::{TaskWorker, Visit};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use uuid::{ContextV7, Uuid};

use crate::figures::{Figures, MOST_WATCHED};
use crate::message::{NewNotification, alert_body};
use crate::rules::StoredRule;
use crate::store::{AlertChange, ChangeKind, EvaluationStore, RuleOutcome, TrailCheck, Work};

/// The most events that a rule counts in its window: the newest ones.
const MOST_EVENTS: u32 = 1000;

/// The age of what figures know, in seconds, beyond which they are no evidence.
const LATE_SECONDS: i64 = 300;

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evaluated {
    /// No tenant is due.
    Nothing,
    /// The rules of a tenant were evaluated.
    Done {
        /// The number of alerts that changed.
        changes: usize,
    },
    /// The rules were changed meanwhile, or another server has taken the tenant over.
    Lost,
}

/// Evaluates rules.
pub struct Evaluator {
    store: Arc<dyn EvaluationStore>,
    figures: Arc<dyn AnalyticsStore>,
    trail: Arc<dyn TrailCheck>,
    worker: TaskWorker,
    interval_seconds: u32,
    ids: Mutex<ContextV7>,
}

impl Evaluator {
    /// Builds an evaluator that evaluates each tenant at an interval.
    #[must_use]
    pub fn new(
        store: Arc<dyn EvaluationStore>,
        figures: Arc<dyn AnalyticsStore>,
        trail: Arc<dyn TrailCheck>,
        worker: TaskWorker,
        interval_seconds: u32,
    ) -> Self {
        Self { store, figures, trail, worker, interval_seconds, ids: Mutex::new(ContextV7::new()) }
    }

    /// Evaluates the rules of the tenant that is due first, if there is one.
    ///
    /// # Errors
    /// The stores'. The tenant is due again when its lease ends.
    pub async fn step(&self) -> Result<Evaluated, PortError> {
        let Some(Visit { claim, at, .. }) = self.worker.begin().await? else { return Ok(Evaluated::Nothing) };
        let outcomes = self.evaluate(&claim.tenant_id, at).await?;
        let changes = outcomes.iter().map(|outcome| outcome.changes.len()).sum();
        let is_stored = self.store.finish(&claim, outcomes, after(at, self.interval_seconds.into())).await?;
        Ok(if is_stored { Evaluated::Done { changes } } else { Evaluated::Lost })
    }

    async fn evaluate(&self, tenant: &TenantId, now: Timestamp) -> Result<Vec<RuleOutcome>, PortError> {
        let Work { rules, live } = self.store.work(tenant).await?;
        let mut figures = self.read_figures(tenant, &rules, now).await?;
        let mut outcomes = Vec::new();
        for (place, stored) in rules.iter().enumerate() {
            let of_rule: Vec<&Alert> = live.iter().filter(|alert| alert.rule == stored.name).collect();
            let (seen, blind) = self.observe(tenant, place, stored, &of_rule, figures.as_mut(), now).await?;
            let known: Vec<LiveAlert> = of_rule.iter().map(|alert| live_alert(alert)).collect();
            let (moves, left_out) = judge(&stored.rule, &known, &seen, now);
            let changes: Vec<_> = moves.into_iter().filter_map(|it| self.change(stored, &of_rule, it, now)).collect();
            let notifications = self.notifications(tenant, stored, &changes, now);
            let changes = changes.into_iter().map(|(change, _)| change).collect();
            let problem = blind.or_else(|| problem(&seen, left_out, &stored.rule.condition));
            outcomes.push(RuleOutcome { rule: stored.name.clone(), problem, changes, notifications });
        }
        Ok(outcomes)
    }

    /// Reads the figures that rules need, and up to which time they know of readings.
    async fn read_figures(
        &self,
        tenant: &TenantId,
        rules: &[StoredRule],
        now: Timestamp,
    ) -> Result<Option<(Figures, Timestamp)>, PortError> {
        let conditions = rules.iter().map(|stored| stored.rule.condition.clone()).enumerate();
        let conditions: Vec<_> = conditions.filter(|(_, condition)| condition.kind().needs_figures()).collect();
        if conditions.is_empty() {
            return Ok(None);
        }
        let Some(figures) = Figures::read(&*self.figures, tenant, conditions).await? else { return Ok(None) };
        let mut as_of = now;
        if figures.position.behind() > 0 {
            let first_unknown = self.store.event_time(tenant, figures.position.sequence).await?;
            as_of = first_unknown.unwrap_or(now).min(now);
        }
        Ok(Some((figures, as_of)))
    }

    /// Observes the subjects of a rule, and returns the reason for which it cannot see them as it should, if there is one.
    async fn observe(
        &self,
        tenant: &TenantId,
        place: usize,
        stored: &StoredRule,
        live: &[&Alert],
        figures: Option<&mut (Figures, Timestamp)>,
        now: Timestamp,
    ) -> Result<(Observations, Option<String>), PortError> {
        let condition = &stored.rule.condition;
        if let Some(watched) = condition.watched_events() {
            let since = after(now, -i64::from(watched.count.within_seconds));
            let found = self.store.events(tenant, watched, since, MOST_EVENTS).await?;
            let is_complete = found.len() < MOST_EVENTS as usize;
            return Ok((events(watched.count.count, &found, is_complete), None));
        }
        let seen = match condition {
            Condition::QuarantineGrowth { records, within_seconds } => {
                let since = after(now, -i64::from(*within_seconds));
                let count = self.store.count_quarantined(tenant, since, *records).await?;
                counted(Subject::Quarantine, count, *records)
            }
            Condition::DeadLetters { count } => {
                counted(Subject::Deliveries, self.store.count_dead(tenant, *count).await?, *count)
            }
            Condition::AuditTrailBroken {} => trail(self.is_whole(tenant).await),
            Condition::DeviceSilent { .. }
            | Condition::MetricOutOfRange(_)
            | Condition::RefreshTokenReused(_)
            | Condition::FailedLogins(_)
            | Condition::AccessRefused(_)
            | Condition::Throttled(_)
            | Condition::AccessGranted(_) => return Ok(seen_by_figures(place, condition, live, figures, now)),
        };
        Ok((seen, None))
    }

    /// Returns whether the audit trail is as it was signed; `None` if that cannot be told now.
    async fn is_whole(&self, tenant: &TenantId) -> Option<bool> {
        let checked = self.trail.is_whole(tenant).await;
        checked
            .inspect_err(|error| {
                tracing::warn!(%tenant, error = format!("{error:#}"), "an alert rule cannot check the audit trail now");
            })
            .ok()
    }

    /// Builds what the webhooks of a rule are told of changes.
    fn notifications(
        &self,
        tenant: &TenantId,
        stored: &StoredRule,
        changes: &[(AlertChange, Option<News>)],
        now: Timestamp,
    ) -> Vec<NewNotification> {
        let told = changes.iter().filter_map(|(change, news)| Some((&change.alert, (*news)?)));
        let all = told.flat_map(|told| stored.rule.webhooks.iter().map(move |webhook| (told, webhook)));
        let notification = |((alert, news), webhook): ((&Alert, News), &WebhookName)| NewNotification {
            id: NotificationId::from_uuid(Uuid::new_v7(now.for_uuid(&self.ids))),
            webhook: webhook.clone(),
            news,
            alert_id: Some(alert.id),
            body: alert_body(news, tenant, alert, now),
            at: now,
        };
        all.map(notification).collect()
    }

    /// Builds the change of an alert, and the news that it is.
    fn change(
        &self,
        stored: &StoredRule,
        live: &[&Alert],
        next: Move,
        now: Timestamp,
    ) -> Option<(AlertChange, Option<News>)> {
        let find = |id: AlertId| live.iter().find(|alert| alert.id == id).map(|alert| (*alert).clone());
        let notified_at = (!stored.rule.webhooks.is_empty()).then_some(now);
        let of = |kind, alert, news| Some((AlertChange { alert, kind }, news));
        match next {
            Move::Begin { subject, value } => of(ChangeKind::Insert, self.new_alert(stored, subject, value, now), None),
            Move::OpenNew { subject, value } => {
                let alert = self.new_alert(stored, subject, value, now);
                let alert = Alert { state: AlertState::Open, opened_at: Some(now), notified_at, ..alert };
                of(ChangeKind::Insert, alert, Some(News::Opened))
            }
            Move::Open { id, value } => {
                let alert = find(id)?;
                let alert = Alert { state: AlertState::Open, opened_at: Some(now), value, notified_at, ..alert };
                of(ChangeKind::Update, alert, Some(News::Opened))
            }
            Move::Drop(id) => of(ChangeKind::Delete, find(id)?, None),
            Move::Tell { id, value } => {
                let alert = find(id)?;
                let news = if alert.notified_at.is_some() { News::Reminded } else { News::Opened };
                let alert = Alert { value: value.or(alert.value), notified_at, ..alert };
                of(ChangeKind::Update, alert, Some(news))
            }
            Move::Resolve { id, resolution } => {
                let (state, resolved_at) = (AlertState::Resolved, Some(now));
                let alert = Alert { state, resolved_at, resolution: Some(resolution), ..find(id)? };
                // Webhooks that were not told of its beginning need not know of its end.
                let news = alert.notified_at.map(|_| News::Resolved);
                of(ChangeKind::Update, alert, news)
            }
        }
    }

    fn new_alert(&self, stored: &StoredRule, subject: Subject, value: Option<f64>, now: Timestamp) -> Alert {
        Alert {
            id: AlertId::from_uuid(Uuid::new_v7(now.for_uuid(&self.ids))),
            rule: stored.name.clone(),
            kind: stored.rule.condition.kind(),
            severity: stored.rule.severity,
            subject,
            state: AlertState::Pending,
            since: now,
            opened_at: None,
            resolved_at: None,
            resolution: None,
            value,
            notified_at: None,
            acknowledgement: None,
        }
    }
}

fn seen_by_figures(
    place: usize,
    condition: &Condition,
    live: &[&Alert],
    figures: Option<&mut (Figures, Timestamp)>,
    now: Timestamp,
) -> (Observations, Option<String>) {
    let Some((figures, as_of)) = figures else { return (Observations::default(), None) };
    // Figures that are being computed anew know of too little, and would resolve alerts that stand.
    if after(*as_of, LATE_SECONDS) < now {
        let reason = match &figures.position.stopped {
            Some(stopped) => format!("The figures cannot go past the event {} of the audit trail.", stopped.sequence),
            None => "The figures are late: no server keeps them up to date, or it is too slow.".to_owned(),
        };
        return (Observations::default(), Some(reason));
    }
    let open = live.iter().filter(|alert| alert.state == AlertState::Open).map(|alert| alert.subject.clone());
    let open: HashSet<Subject> = open.collect();
    (figures.observe(place, condition, &open, *as_of), None)
}

fn problem(seen: &Observations, left_out: u64, condition: &Condition) -> Option<String> {
    if left_out > 0 {
        return Some(format!(
            "The condition holds for {left_out} more subjects, which have no alert: a rule has at most {MAX_LIVE} at a time."
        ));
    }
    if seen.is_complete {
        return None;
    }
    let is_counted = condition.watched_events().is_some();
    Some(if is_counted {
        format!("Only the last {MOST_EVENTS} events are counted.")
    } else {
        format!("Only the first {MOST_WATCHED} devices or series are watched.")
    })
}

fn live_alert(alert: &Alert) -> LiveAlert {
    LiveAlert {
        id: alert.id,
        subject: alert.subject.clone(),
        state: alert.state,
        since: alert.since,
        notified_at: alert.notified_at,
        is_acknowledged: alert.acknowledgement.is_some(),
    }
}

fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.plus_seconds(seconds).unwrap_or(at)
}
