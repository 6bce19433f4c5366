//! The findings of verifying a log in its database.

use mass_domain::ids::{MassRequestId, UserId};
use mass_domain::port::PortError;

use crate::signer::OpenCheckpointError;

/// The first fault of a log, and its place. Events are named by their sequence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LiveFinding {
    /// The text of an event does not match its leaf hash.
    #[error("event {event} was changed: its text does not match its hash")]
    Changed {
        /// The sequence at its place.
        event: u64,
    },
    /// The text of an event cannot be parsed.
    #[error("event {event} was changed: its text is not an event")]
    Unreadable {
        /// The sequence at its place.
        event: u64,
    },
    /// An event stands in the place of another.
    #[error("expected event {expected}, found event {found}: reordered, inserted, or one before it was removed")]
    OutOfPlace {
        /// The sequence that was found.
        found: i64,
        /// The sequence that was expected.
        expected: u64,
    },
    /// An event belongs to another tenant.
    #[error("event {event} belongs to another tenant's log: inserted")]
    OtherTenant {
        /// The event.
        event: u64,
    },
    /// Events are neither stored nor archived.
    #[error("events {first}…{last} are missing: removed")]
    Missing {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// An event is stored although it or a later one is archived.
    #[error("event {event} is not archived, but it or a later one is: inserted, or archived by another program")]
    NotArchived {
        /// The event.
        event: u64,
    },
    /// The log ends before its head.
    #[error("the last event is {last}, but the head has {head}: the tail was cut")]
    TailCut {
        /// The last event.
        last: u64,
        /// The number of events by the head.
        head: u64,
    },
    /// A checkpoint covers events that are missing.
    #[error("the tail was cut: a checkpoint covers {covered} events, and the log ends at {last}")]
    CutBelowCheckpoint {
        /// The number of events that the checkpoint covers.
        covered: u64,
        /// The last event.
        last: u64,
    },
    /// The log continues after its head.
    #[error("the last event is {last}, but the head has {head}: inserted, or the head was put back")]
    BeyondHead {
        /// The last event.
        last: u64,
        /// The number of events by the head.
        head: u64,
    },
    /// A column of an event does not match its text.
    #[error("event {event}: the column {column} has {stated}, the text {text}")]
    Column {
        /// The event.
        event: u64,
        /// The column.
        column: &'static str,
        /// The value of the column.
        stated: String,
        /// The value in the event's text.
        text: String,
    },
    /// A node of the tree is missing or does not match its events.
    #[error("node {level}/{position} of the tree does not match events {first}…{last}: it was changed, or they were")]
    Node {
        /// Its level above the leaves.
        level: u32,
        /// Its position among the nodes of its level, from 0.
        position: u64,
        /// The first event below it.
        first: u64,
        /// The last event below it.
        last: u64,
    },
    /// Surplus nodes of the tree are stored.
    #[error("expected {expected} stored nodes of the tree, found {found}")]
    Nodes {
        /// The number of stored nodes.
        found: u64,
        /// The number of nodes of the tree.
        expected: u64,
    },
    /// The frontier in the head does not match the events.
    #[error("the head does not match events {first}…{last}: it was changed, or they were")]
    Head {
        /// The first event below the first wrong peak.
        first: u64,
        /// The last event below it.
        last: u64,
    },
    /// A checkpoint cannot be verified.
    #[error("the checkpoint of {size} events cannot be verified: {source}")]
    CheckpointRefused {
        /// The size under which it is stored.
        size: u64,
        /// The reason.
        source: OpenCheckpointError,
    },
    /// A checkpoint belongs to another log, or has another size than stored.
    #[error("the checkpoint of {size} events belongs to another log or has another size")]
    OtherCheckpoint {
        /// The size under which it is stored.
        size: u64,
    },
    /// The events do not match the checkpoint that covers them.
    #[error("{}", not_as_signed(*first, *last))]
    NotAsSigned {
        /// The first event that no earlier checkpoint confirms.
        first: u64,
        /// The last event that the checkpoint covers.
        last: u64,
    },
    /// The events do not match a given earlier checkpoint.
    #[error("{}, by the earlier checkpoint", not_as_signed(*first, *last))]
    NotAsBefore {
        /// The first event that no earlier checkpoint confirms.
        first: u64,
        /// The last event that the checkpoint covers.
        last: u64,
    },
    /// The request of an acceptance event is missing.
    #[error("request {request} is missing: it was accepted in event {event}, and removed")]
    RequestMissing {
        /// The request.
        request: MassRequestId,
        /// The event.
        event: u64,
    },
    /// A request does not match its acceptance event.
    #[error("request {request}: its {what} does not match the acceptance event {event}")]
    RequestChanged {
        /// The request.
        request: MassRequestId,
        /// The changed part: `document`, `fingerprint`, `contract`, `receipt`, or `index`: its site, device,
        /// observation time, correlation id, idempotency key, natural key and warnings.
        what: &'static str,
        /// The event.
        event: u64,
    },
    /// A column of a request does not match its events.
    #[error("request {request}: the column {column} has {stated}, its events {told}")]
    RequestColumn {
        /// The request.
        request: MassRequestId,
        /// The column.
        column: &'static str,
        /// The value of the column.
        stated: String,
        /// The value that the events imply.
        told: String,
    },
    /// A column of an account does not match its events.
    #[error("user {user}: the column {column} has {stated}, its events {told}")]
    UserColumn {
        /// The account.
        user: UserId,
        /// The column.
        column: &'static str,
        /// The value of the column; for a password hash, its digest.
        stated: String,
        /// The value that the events imply.
        told: String,
    },
    /// An account has no creation event.
    #[error("user {user} has no creation event: inserted, or its event was removed")]
    UserWithoutEvent {
        /// The account.
        user: UserId,
    },
    /// The account of an event is missing.
    #[error("user {user} is missing, but has events: removed")]
    UserMissing {
        /// The account.
        user: UserId,
    },
    /// A stored value is malformed.
    #[error("{0}")]
    Stored(String),
    /// A request was erased without an event.
    #[error("request {request}, which was accepted in event {event}, was erased without an event")]
    ErasedWithoutEvent {
        /// The request.
        request: MassRequestId,
        /// Its acceptance event.
        event: u64,
    },
    /// A request is stored although an event reports its deletion.
    #[error("request {request} is stored, but was deleted in event {event}")]
    NotDeleted {
        /// The request.
        request: MassRequestId,
        /// The event of the deletion.
        event: u64,
    },
    /// A request has no acceptance event.
    #[error("request {request} has no acceptance event: inserted, or its event was removed")]
    RequestWithoutEvent {
        /// The request.
        request: MassRequestId,
    },
}

fn not_as_signed(first: u64, last: u64) -> String {
    let before = first.saturating_sub(1);
    let known = if before == 0 { String::new() } else { format!(": up to {before} the log is as signed") };
    format!("events {first}…{last} were changed, inserted or removed{known}")
}

/// The reasons for which a log is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyLiveError {
    /// The log is faulty.
    #[error(transparent)]
    Found(#[from] LiveFinding),
    /// A given earlier checkpoint does not belong to this log.
    #[error("the earlier checkpoint does not belong to this log: {0}")]
    Earlier(String),
    /// The store could not do its work.
    #[error(transparent)]
    Store(PortError),
}

impl From<PortError> for VerifyLiveError {
    fn from(error: PortError) -> Self {
        match error.corrupt_value() {
            Some(unreadable) => Self::Found(LiveFinding::Stored(unreadable.to_string())),
            None => Self::Store(error),
        }
    }
}
