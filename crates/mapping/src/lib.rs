//! Mapping profiles: turn files and bodies of any shape into MASS documents.
//!
//! A [`Profile`] says how to read the input (format, encoding, numbers), and which column or JSON value becomes which
//! member of a document. A [`Mapper`] compiled from it takes the input in chunks of any size and hands on records, or
//! the reasons why a row is none. Memory does not grow with the input. [`suggest`] writes a profile from the head of a
//! file.
//!
//! Belongs here: anything that can be decided from the bytes and the profile alone.
//! Does not belong here: I/O, a clock, and the rules of the contracts, which judge the documents afterwards.

mod documents;
mod errors;
mod limits;
mod long;
mod mapper;
mod numbers;
mod plan;
mod profile;
mod record;
mod sources;
mod suggest;
mod table;
mod times;
mod units;
mod values;

pub use errors::{BrokenInput, ProfileError, Refusal, RefusalCode};
pub use limits::{MAX_DOCUMENT_BYTES, MAX_MAPPED_BYTES, MAX_RECORD_BYTES, MAX_RECORDS, MAX_ROW_BYTES};
pub use mapper::Mapper;
pub use profile::{
    Absent, Doubled, Format, Ignore, Long, LongMetric, MAX_MEMBERS, MAX_PROFILE_BYTES, Member, Others, Profile, Read,
    Time, Unlisted, ValueType,
};
pub use record::{Original, Outcome, Record, Refused};
pub use suggest::suggest;
pub use units::CONVERSIONS;
