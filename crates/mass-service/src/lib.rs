//! The use cases on MASS requests: accepting, reading, moving, deleting, sending to the engine; and on the mapping
//! profiles that requests are made by.
//!
//! Belongs here: the use cases, their permissions and errors, and the ports that they need. A use case takes the
//! [`Principal`](mass_domain::access::Principal) first and checks its permission before anything else.
//! Does not belong here: HTTP, SQL, and rules that can be decided without a port (those are `mass-domain`'s).

mod accept;
mod acceptance;
mod batch;
mod claim;
mod decision;
mod delete;
mod deletions;
mod deliver;
mod deliveries;
mod document;
mod dry_run;
mod export;
mod ids;
mod mappings;
mod observer;
mod outbox;
mod quarantine;
mod read;
mod recommendations;
mod refused;
mod retention;
mod store;
mod submission;
mod transition;

use std::sync::Arc;

use mass_domain::ids::MassRequestId;
use mass_domain::time::{Clock, Timestamp};

use crate::ids::IdSequence;

pub use accept::{AcceptError, Options};
pub use acceptance::{
    Additions, JudgeError, Judgement, LookUpValues, NaturalKey, NewKey, NewRequest, StoredState, SubmissionResults,
    TenantState, judge,
};
pub use batch::{Prepared, Results, Verdicts};
pub use claim::{Claim, Claimed, Conclusion, Question, Recorded, Restraint};
pub use decision::{Decision, KeyRecord, Receipt, Refusal, Snapshot, StoredVersion, decide};
pub use delete::{DeleteError, Deletion};
pub use deletions::{CountedSet, DeletedSet, DeletedStep, DeletionStep, DeletionsError, MOST_DELETED};
pub use deliver::{Answer, Deliverer, DeliverySettings, Randomness, Recommender, RecommenderError};
pub use deliveries::{DeliveryError, DeliveryQuery, DeliveryService};
pub use document::{DocumentError, Record, SentKey};
pub use dry_run::{DryRunError, Verdict};
pub use export::{Export, ExportError};
pub use ids::LONGEST_SET_BACK_SECONDS;
pub use mappings::{
    ChangedMapping, CheckedProfile, MAX_MAPPINGS, Mapping, MappingChange, MappingDeletion, MappingError,
    MappingService, MappingStore, MappingSummary, ProfileText,
};
pub use observer::{Attempt, DeliveryObserver, IntakeObserver, RefusedAt};
pub use outbox::{Dispatch, HandleError, SendError, judge_cancel, judge_replay};
pub use quarantine::{
    Admission, Deleted, Kept, NewRecord, QuarantineError, QuarantineLimits, QuarantineQuery, QuarantineService,
    QuarantineStore, Rejected, RetryError, admit,
};
pub use read::{ListQuery, PAGE_BYTES, ReadError};
pub use recommendations::RecommendationQuery;
pub use retention::{
    Expirer, ExpiryStep, ExpiryStore, ExpiryVisit, HoldError, HoldRelease, MAX_HOLDS, MOST_COUNTED, MOST_REPORTS,
    NewHold, ReportAtRisk, Retention, RetentionChange, RetentionError, RetentionService, RetentionStore,
};
pub use store::{
    DeliveryStore, DocumentPage, ExportPage, ExportSpan, ExportedRequest, Found, MassStore, OutboxStore,
    RecommendationStore,
};
pub use submission::{MappingSource, OnConflict, Submission};
pub use transition::{Transition, TransitionError};

/// The use cases on MASS requests.
pub struct MassService {
    store: Arc<dyn MassStore>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn IntakeObserver>,
    ids: IdSequence,
}

impl MassService {
    /// Puts the use cases on top of a store.
    #[must_use]
    pub fn new(store: Arc<dyn MassStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, observer: Arc::new(()), ids: IdSequence::new() }
    }

    /// Sets the observer of refused documents.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn IntakeObserver>) -> Self {
        Self { observer, ..self }
    }

    /// Generates an id that carries the instant, as [`IdSequence`] does.
    fn next_id(&self, at: Timestamp) -> MassRequestId {
        MassRequestId::from_uuid(self.ids.next(at))
    }
}
