//! The columns of a request that its events imply.

use mass_domain::access::Actor;
use mass_domain::audit::{Action, Event, IndexedValues, NewEvent, Outcome};
use mass_domain::canonical::Fingerprint;
use mass_domain::mass_request;
use mass_domain::time::Timestamp;
use serde_json::Value;

use super::{LiveFinding, RequestRecord};

/// The columns of a request as implied by its events; `None` if only archived events would tell.
#[derive(Debug, Default)]
pub(super) struct ImpliedRequest {
    created: Option<(Timestamp, Actor)>,
    /// The outcome, and the corrected request.
    outcome: Option<(mass_request::Outcome, Option<String>)>,
    version: Option<i64>,
    status: Option<String>,
    updated_at: Option<Timestamp>,
    corrected_by: Option<Option<String>>,
    /// The deletion event and its time.
    pub(super) deleted: Option<(u64, Timestamp)>,
    index: Option<Fingerprint>,
}

impl ImpliedRequest {
    /// Starts with the acceptance event.
    pub(super) fn accepted(event: &NewEvent) -> Self {
        let corrects = text(event, "corrects");
        let outcome = match corrects {
            Some(_) => mass_request::Outcome::Correction,
            None => mass_request::Outcome::Accepted,
        };
        Self {
            created: Some((event.at, event.actor)),
            outcome: Some((outcome, corrects)),
            version: Some(1),
            status: Some(mass_request::Status::Pending.as_str().to_owned()),
            updated_at: Some(event.at),
            corrected_by: Some(None),
            deleted: None,
            index: text(event, IndexedValues::DETAIL).and_then(|digest| digest.parse().ok()),
        }
    }

    /// Applies the later events, in the order of the log.
    pub(super) fn follow(&mut self, record: &RequestRecord) -> Result<(), LiveFinding> {
        for (sequence, text) in &record.events {
            let event = Event::read(text).map_err(|_| LiveFinding::Unreadable { event: *sequence })?;
            self.changed(*sequence, &event.event);
        }
        Ok(())
    }

    fn changed(&mut self, sequence: u64, event: &NewEvent) {
        if !changes_request(event) {
            return;
        }
        self.version = self.version.map(|version| version + 1);
        self.updated_at = Some(event.at);
        self.status = text(event, "to").or(self.status.take());
        if event.action == Action::Corrected {
            self.corrected_by = Some(text(event, "corrected_by"));
        } else if event.action == Action::Reinstated {
            self.corrected_by = Some(None);
        } else if event.action == Action::Deleted {
            self.deleted = Some((sequence, event.at));
        }
    }

    /// Compares the columns of the request with the implied values.
    pub(super) fn compare(&self, record: &RequestRecord, event: u64) -> Result<(), LiveFinding> {
        let request = record.id;
        let created = self.created.as_ref();
        let columns = [
            ("status", Some(record.status.clone()), self.status.clone().map(Some)),
            ("version", Some(record.version.to_string()), self.version.map(|version| Some(version.to_string()))),
            ("created_at", Some(record.created_at.clone()), created.map(|(at, _)| Some(at.to_string()))),
            ("updated_at", Some(record.updated_at.clone()), self.updated_at.map(|at| Some(at.to_string()))),
            (
                "created_by_kind",
                Some(record.created_by_kind.clone()),
                created.map(|(_, by)| Some(by.kind().to_owned())),
            ),
            (
                "created_by_id",
                record.created_by_id.map(|id| id.to_string()),
                created.map(|(_, by)| by.id().map(|id| id.to_string())),
            ),
            (
                "outcome",
                Some(record.outcome.clone()),
                self.outcome.as_ref().map(|(outcome, _)| Some(outcome.as_str().to_owned())),
            ),
            (
                "corrects",
                record.corrects.map(|id| id.to_string()),
                self.outcome.as_ref().map(|(_, corrects)| corrects.clone()),
            ),
            ("corrected_by", record.corrected_by.map(|id| id.to_string()), self.corrected_by.clone()),
            ("deleted_at", record.deleted_at.clone(), self.deleted.as_ref().map(|(_, at)| Some(at.to_string()))),
        ];
        let differs = |(_, stated, told): &(&str, Option<String>, Option<Option<String>>)| {
            told.as_ref().is_some_and(|told| told != stated)
        };
        if let Some((column, stated, told)) = columns.into_iter().find(differs) {
            let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
            let (stated, told) = (or_nothing(stated), or_nothing(told.flatten()));
            return Err(LiveFinding::RequestColumn { request, column, stated, told });
        }
        let indexed = record.indexed();
        let is_same = if record.deleted_at.is_some() {
            indexed == IndexedValues::ERASED
        } else {
            self.index.is_none_or(|index| index == indexed.digest())
        };
        if is_same { Ok(()) } else { Err(LiveFinding::RequestChanged { request, what: "index", event }) }
    }

    /// Returns true if the acceptance event has the digest of the index columns.
    pub(super) const fn tells_index(&self) -> bool {
        self.index.is_some() || self.deleted.is_some()
    }
}

/// Returns true if this later event of a request changed its columns, and so its version.
pub(super) fn changes_request(event: &NewEvent) -> bool {
    let changes =
        matches!(event.action, Action::Corrected | Action::Reinstated | Action::StatusChanged | Action::Deleted);
    event.outcome == Outcome::Success && (changes || event.detail.get("to").is_some_and(Value::is_string))
}

fn text(event: &NewEvent, name: &str) -> Option<String> {
    event.detail.get(name).and_then(Value::as_str).map(str::to_owned)
}
