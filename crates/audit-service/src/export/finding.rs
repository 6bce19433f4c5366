//! The findings of verifying an export.

use std::io;

use crate::signer::OpenCheckpointError;

/// The first fault of an export, and its place. Events are named by their sequence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The first line is not a header.
    #[error("not an audit export: expected a header in the first line")]
    NotAnExport,
    /// The format version is not supported.
    #[error("the export has the format version {version}, which this program does not know")]
    UnknownVersion {
        /// The format version of the export.
        version: u32,
    },
    /// The header contradicts itself.
    #[error("the header was changed: its tenant, origin, number and peaks contradict each other")]
    HeaderChanged,
    /// The tree in the header is not the signed one.
    #[error("the header was changed: its tree of the first {after} events is not as it was signed")]
    HeaderNotAsSigned {
        /// The number of events that the export leaves out.
        after: u64,
    },
    /// A line does not have the form of the format.
    #[error("line {line}, after event {after}, does not have the form of an export's line")]
    Malformed {
        /// The line number, from 1.
        line: u64,
        /// The event before it.
        after: u64,
    },
    /// The text of an event does not match its leaf hash.
    #[error("event {event} was changed: its text does not match its hash")]
    Changed {
        /// The sequence at its place.
        event: u64,
    },
    /// Events are missing from the export.
    #[error("{}", missing(*first, *last))]
    Missing {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// An event stands in the place of another, which stands elsewhere.
    #[error("expected event {expected}, found event {found}: reordered or inserted")]
    OutOfPlace {
        /// The sequence that was found.
        found: u64,
        /// The sequence that was expected.
        expected: u64,
    },
    /// An event is repeated.
    #[error("event {event} is repeated after event {after}: inserted")]
    Repeated {
        /// The event.
        event: u64,
        /// The event before its second occurrence.
        after: u64,
    },
    /// An event belongs to another tenant.
    #[error("event {event} belongs to another tenant's log: inserted")]
    OtherTenant {
        /// The event.
        event: u64,
    },
    /// A checkpoint cannot be verified.
    #[error("the checkpoint after event {after} cannot be verified: {source}")]
    CheckpointRefused {
        /// The event before it.
        after: u64,
        /// The reason.
        source: OpenCheckpointError,
    },
    /// A checkpoint belongs to another log.
    #[error("the checkpoint after event {after} belongs to another log")]
    OtherLog {
        /// The event before it.
        after: u64,
    },
    /// A checkpoint is repeated, or does not follow the last event that it covers.
    #[error("the checkpoint of {size} events stands after event {after}: moved, or events were removed or inserted")]
    CheckpointOutOfPlace {
        /// The number of events that it covers.
        size: u64,
        /// The event before it.
        after: u64,
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
    #[error("by the earlier checkpoint of {last} events, {}", not_as_signed(*first, *last))]
    NotAsBefore {
        /// The first event that no earlier checkpoint confirms.
        first: u64,
        /// The last event that the checkpoint covers.
        last: u64,
    },
    /// The given earlier checkpoint belongs to another log.
    #[error("the earlier checkpoint of {size} events belongs to another log")]
    EarlierOfOtherLog {
        /// The number of events that it covers.
        size: u64,
    },
    /// A given earlier checkpoint covers events that are missing at the end.
    #[error("the tail was cut: the checkpoint covers {covered} events, the export ends at {last}")]
    TailCut {
        /// The number of events that the checkpoint covers.
        covered: u64,
        /// The last event of the export.
        last: u64,
    },
    /// The file ends without its last line.
    #[error("the file is cut after event {last}: its last line is missing{}", and_covered(*covered))]
    FileCut {
        /// The last complete event.
        last: u64,
        /// The number of events that an earlier checkpoint covers, if it is higher.
        covered: Option<u64>,
    },
    /// The last line states another number of events.
    #[error("the export was changed: its last line counts {stated} events, and it has {found}")]
    WrongCount {
        /// The stated number.
        stated: u64,
        /// The actual number.
        found: u64,
    },
    /// The last line states another number of checkpoints.
    #[error("the export was changed: its last line counts {stated} checkpoints, and it has {found}")]
    WrongCheckpointCount {
        /// The stated number.
        stated: u64,
        /// The actual number.
        found: u64,
    },
    /// A key was given, and no signature covers the end of the export.
    #[error("{}", not_signed(*after, *last))]
    NotSigned {
        /// The last event that a signature covers, or the one before the export.
        after: u64,
        /// The last event of the export.
        last: u64,
    },
    /// Lines follow the last line of the export.
    #[error("line {line} follows the end of the export: inserted")]
    GoesOn {
        /// The line, from 1.
        line: u64,
    },
}

fn missing(first: u64, last: u64) -> String {
    let (before, after) = (first.saturating_sub(1), last.saturating_add(1));
    if first == last {
        format!("event {first} is missing: {after} follows {before}")
    } else {
        format!("events {first}…{last} are missing: {after} follows {before}")
    }
}

fn not_as_signed(first: u64, last: u64) -> String {
    let events = if first == last { format!("event {first} was") } else { format!("events {first}…{last} were") };
    let known = match first.saturating_sub(1) {
        0 => String::new(),
        before => format!(": up to {before} the log is as signed"),
    };
    format!("{events} changed, inserted, removed or reordered{known}")
}

fn not_signed(after: u64, last: u64) -> String {
    let events = match last.saturating_sub(after) {
        0 => "this export".to_owned(),
        1 => format!("event {last}"),
        _ => format!("events {}…{last}", after.saturating_add(1)),
    };
    format!("no signature covers {events}: changed, inserted, or written without the key")
}

fn and_covered(covered: Option<u64>) -> String {
    covered.map(|covered| format!(", and the checkpoint covers {covered} events")).unwrap_or_default()
}

/// The reasons for which an export is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyExportError {
    /// The export is faulty.
    #[error(transparent)]
    Found(#[from] Finding),
    /// The export cannot be read.
    #[error("the export cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}
