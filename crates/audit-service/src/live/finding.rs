//! What can be wrong with a log in its database.

use mass_domain::ids::{MassRequestId, UserId};
use mass_domain::port::PortError;

use crate::signer::OpenCheckpointError;

/// The first thing that is wrong with a log, and where. Events are named by their sequence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LiveFinding {
    /// An event's text and its hash do not belong together.
    #[error("event {event} was changed: its text does not have the hash that was taken of it")]
    Changed {
        /// The event in whose place it stands.
        event: u64,
    },
    /// What stands in an event's place is no event.
    #[error("event {event} was changed: its text is not that of an event")]
    Unreadable {
        /// The event in whose place it stands.
        event: u64,
    },
    /// Another event stands where one is due.
    #[error("event {found} stands where {due} is due: reordered, inserted, or one before it was removed")]
    OutOfPlace {
        /// What stands there.
        found: i64,
        /// What is due.
        due: u64,
    },
    /// An event is another tenant's.
    #[error("event {event} is of another tenant's log: inserted")]
    OtherTenant {
        /// The event.
        event: u64,
    },
    /// Events are neither there nor archived.
    #[error("events {first}…{last} are missing: removed")]
    Missing {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// An event is there although it or a later one is archived.
    #[error("event {event} is not archived, but it or a later one is: inserted, or archived by another program")]
    NotArchived {
        /// The event.
        event: u64,
    },
    /// The log ends before its head says.
    #[error("event {last} is the last, and the head says {head}: the tail was cut")]
    TailCut {
        /// The last event.
        last: u64,
        /// How many events the head says that there are.
        head: u64,
    },
    /// A checkpoint covers events that are not there.
    #[error("the tail was cut: a checkpoint covers {covered} events, and the log ends at {last}")]
    CutBelowCheckpoint {
        /// How many events the checkpoint covers.
        covered: u64,
        /// The last event.
        last: u64,
    },
    /// The log goes on after its head says that it ends.
    #[error("event {last} is the last, and the head says {head}: inserted, or the head was put back")]
    BeyondHead {
        /// The last event.
        last: u64,
        /// How many events the head says that there are.
        head: u64,
    },
    /// What is looked up in an event is not what it says.
    #[error("event {event}: the column {column} says {stated}, and the text {text}")]
    Column {
        /// The event.
        event: u64,
        /// The column.
        column: &'static str,
        /// What it says.
        stated: String,
        /// What the event says.
        text: String,
    },
    /// A node of the tree is missing, or does not belong to the events below it.
    #[error("node {level}/{position} of the tree is not that of events {first}…{last}: these were changed, or it was")]
    Node {
        /// How far above the leaves it is.
        level: u32,
        /// How many of its size are left of it.
        position: u64,
        /// The first event below it.
        first: u64,
        /// The last event below it.
        last: u64,
    },
    /// There are nodes that the tree does not have.
    #[error("{found} nodes of the tree are stored, and it has {due}")]
    Nodes {
        /// How many are stored.
        found: u64,
        /// How many the tree has.
        due: u64,
    },
    /// The frontier in the head does not belong to the events.
    #[error("the head is not that of events {first}…{last}: these were changed, or it was")]
    Head {
        /// The first event below the first peak that is wrong.
        first: u64,
        /// The last event below it.
        last: u64,
    },
    /// A checkpoint cannot be believed.
    #[error("the checkpoint of {size} events cannot be believed: {source}")]
    CheckpointRefused {
        /// How many events it is said to cover.
        size: u64,
        /// Why.
        source: OpenCheckpointError,
    },
    /// A checkpoint is another log's, or of another size than it is said to be.
    #[error("the checkpoint of {size} events is of another log or of another size")]
    OtherCheckpoint {
        /// How many events it is said to cover.
        size: u64,
    },
    /// Up to a checkpoint, the events are not those that it was made of.
    #[error("{}", not_as_signed(*first, *last))]
    NotAsSigned {
        /// The first event that no checkpoint before confirms.
        first: u64,
        /// The last event that the checkpoint covers.
        last: u64,
    },
    /// Up to an earlier checkpoint, the events are not those that it was made of.
    #[error("{}, by the earlier checkpoint", not_as_signed(*first, *last))]
    NotAsBefore {
        /// The first event that no checkpoint before confirms.
        first: u64,
        /// The last event that the checkpoint covers.
        last: u64,
    },
    /// An event tells of a request that is not there.
    #[error("request {request} is not there: it was accepted in event {event}, and removed")]
    RequestMissing {
        /// The request.
        request: MassRequestId,
        /// The event.
        event: u64,
    },
    /// A request says otherwise than its event.
    #[error("request {request}: its {what} is not the one that was accepted in event {event}")]
    RequestChanged {
        /// The request.
        request: MassRequestId,
        /// What was changed: `document`, `fingerprint`, `contract`, `receipt`, or `index`: its site, device, observation
        /// time, correlation id, idempotency key, natural key and warnings.
        what: &'static str,
        /// The event.
        event: u64,
    },
    /// A column of a request is not the one that its events imply.
    #[error("request {request}: the column {column} says {stated}, and its events {told}")]
    RequestColumn {
        /// The request.
        request: MassRequestId,
        /// The column.
        column: &'static str,
        /// What it says.
        stated: String,
        /// The value that the events imply.
        told: String,
    },
    /// A column of an account is not the one that its events imply.
    #[error("user {user}: {column} is {stated}, and {told} by the events")]
    UserColumn {
        /// The account.
        user: UserId,
        /// The column.
        column: &'static str,
        /// What it says; of a password hash, its digest.
        stated: String,
        /// The value that the events imply.
        told: String,
    },
    /// No event tells that an account was created.
    #[error("user {user} was created in no event: inserted, or its event was removed")]
    UserWithoutEvent {
        /// The account.
        user: UserId,
    },
    /// Events tell of an account that is not there.
    #[error("user {user} is not there, and events tell of it: removed")]
    UserMissing {
        /// The account.
        user: UserId,
    },
    /// A stored value is not one that MASS writes.
    #[error("{0}")]
    Stored(String),
    /// A request was erased, and no event tells of it.
    #[error("request {request}, which was accepted in event {event}, was erased without an event")]
    ErasedWithoutEvent {
        /// The request.
        request: MassRequestId,
        /// The event by which it was accepted.
        event: u64,
    },
    /// A request is there, and an event tells that it was deleted.
    #[error("request {request} is there, and was deleted in event {event}")]
    NotDeleted {
        /// The request.
        request: MassRequestId,
        /// The event by which it was deleted.
        event: u64,
    },
    /// No event tells that a request was accepted.
    #[error("request {request} was accepted in no event: inserted, or its event was removed")]
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

/// Why a log was not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyLiveError {
    /// It was, and something is wrong with it.
    #[error(transparent)]
    Found(#[from] LiveFinding),
    /// An earlier checkpoint that was given is none of this log's.
    #[error("the earlier checkpoint is not one of this log: {0}")]
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
