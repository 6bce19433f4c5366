//! What can be wrong with an export.

use std::io;

use crate::signer::OpenCheckpointError;

/// The first thing that is wrong with an export, and where. Events are named by their sequence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// It does not begin as an export does.
    #[error("this is no audit export: its first line is not an export's header")]
    NotAnExport,
    /// It is written in a format that is not known here.
    #[error("the export has the format version {version}, which this program does not know")]
    UnknownVersion {
        /// The format's version.
        version: u32,
    },
    /// The header contradicts itself.
    #[error("the header was changed: its tenant, origin, number and peaks do not belong together")]
    HeaderChanged,
    /// The header's tree is not the one that was signed.
    #[error("the header was changed: its tree of the first {after} events is not as it was signed")]
    HeaderNotAsSigned {
        /// How many events the export leaves out.
        after: u64,
    },
    /// A line is not as an export's lines are written.
    #[error("line {line}, after event {after}, is not written as the lines of an export are")]
    Malformed {
        /// The line, from 1.
        line: u64,
        /// The event before it.
        after: u64,
    },
    /// An event's text and its hash do not belong together.
    #[error("event {event} was changed: its text does not have the hash that was taken of it")]
    Changed {
        /// The event in whose place it stands.
        event: u64,
    },
    /// Events are nowhere in the export.
    #[error("{}", missing(*first, *last))]
    Missing {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// Another event stands where one is due that stands elsewhere.
    #[error("event {found} stands where {due} is due: reordered or inserted")]
    OutOfPlace {
        /// What stands there.
        found: u64,
        /// What is due.
        due: u64,
    },
    /// An event was there before.
    #[error("event {event} stands once more after event {after}: inserted")]
    Repeated {
        /// The event.
        event: u64,
        /// After which it stands the second time.
        after: u64,
    },
    /// An event is another tenant's.
    #[error("event {event} is of another tenant's log: inserted")]
    OtherTenant {
        /// The event.
        event: u64,
    },
    /// A checkpoint cannot be believed.
    #[error("the checkpoint after event {after} cannot be believed: {source}")]
    CheckpointRefused {
        /// The event before it.
        after: u64,
        /// Why.
        source: OpenCheckpointError,
    },
    /// A checkpoint is another log's.
    #[error("the checkpoint after event {after} is of another log")]
    OtherLog {
        /// The event before it.
        after: u64,
    },
    /// A checkpoint does not stand behind the last event that it covers, or stands there twice.
    #[error("the checkpoint of {size} events stands after event {after}: moved, or events were removed or inserted")]
    CheckpointOutOfPlace {
        /// How many events it covers.
        size: u64,
        /// The event before it.
        after: u64,
    },
    /// Up to a checkpoint, the events are not those that it was made of.
    #[error("{}", not_as_signed(*first, *last))]
    NotAsSigned {
        /// The first event that no earlier checkpoint confirms.
        first: u64,
        /// The last event that the checkpoint covers.
        last: u64,
    },
    /// Up to an earlier checkpoint, the events are not those that it was made of.
    #[error("by the earlier checkpoint of {last} events, {}", not_as_signed(*first, *last))]
    NotAsBefore {
        /// The first event that no earlier checkpoint confirms.
        first: u64,
        /// The last event that the checkpoint covers.
        last: u64,
    },
    /// The earlier checkpoint is another log's.
    #[error("the earlier checkpoint of {size} events is of another log")]
    EarlierOfOtherLog {
        /// How many events it covers.
        size: u64,
    },
    /// An earlier checkpoint covers events that are not there any more.
    #[error("the tail was cut: the checkpoint covers {covered} events, the export ends at {last}")]
    TailCut {
        /// How many events the checkpoint covers.
        covered: u64,
        /// The last event of the export.
        last: u64,
    },
    /// The file ends before its end.
    #[error("the file is cut after event {last}: its last line is missing{}", and_covered(*covered))]
    FileCut {
        /// The last whole event.
        last: u64,
        /// How many events an earlier checkpoint covers, where these are more.
        covered: Option<u64>,
    },
    /// The last line counts other events than there are.
    #[error("the export was changed: its last line counts {stated} events, and it has {found}")]
    WrongCount {
        /// What the last line says.
        stated: u64,
        /// How many there are.
        found: u64,
    },
    /// The last line counts other checkpoints than there are.
    #[error("the export was changed: its last line counts {stated} checkpoints, and it has {found}")]
    WrongCheckpointCount {
        /// The number in the last line.
        stated: u64,
        /// How many there are.
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
    /// Something stands behind the last line.
    #[error("line {line} stands behind the end of the export: inserted")]
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

/// Why an export was not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyExportError {
    /// It was, and something is wrong with it.
    #[error(transparent)]
    Found(#[from] Finding),
    /// It could not be read.
    #[error("the export cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}
