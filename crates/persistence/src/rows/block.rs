//! Blocks of projected requests: the requests that were accepted next to each other share a row.

use std::collections::BTreeMap;

use diesel::QueryResult;
use diesel::result::Error::DeserializationError;
use mass_analytics_service::{Place, ProjectedRequest};
use mass_domain::analytics::SourceId;

/// The acceptances of a block. A row stays below the size from which on PostgreSQL stores it elsewhere.
const LENGTH: i64 = 32;

/// The byte behind the numbers of a request: a place follows, or none.
const WITH_PLACE: u8 = 1;
const WITHOUT_PLACE: u8 = 0;

/// Returns the block of an acceptance.
pub(crate) const fn block_of(accepted: i64) -> i64 {
    accepted.div_euclid(LENGTH)
}

/// The requests of a block, by acceptance.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Block(pub(crate) BTreeMap<i64, ProjectedRequest>);

impl Block {
    /// Reads the bytes of [`write`](Self::write).
    pub(crate) fn read(mut bytes: &[u8]) -> QueryResult<Self> {
        let mut requests = BTreeMap::new();
        while !bytes.is_empty() {
            let request = request(&mut bytes)
                .ok_or_else(|| DeserializationError("a block of projected requests cannot be read".into()))?;
            requests.insert(request.accepted, request);
        }
        Ok(Self(requests))
    }

    /// Returns the requests as bytes: of each its numbers, and then its place. They follow from the requests, so that a
    /// rebuilt projection has the same.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 41);
        for ProjectedRequest { accepted, day, bytes: size, place } in self.0.values() {
            bytes.extend(accepted.to_be_bytes());
            bytes.extend(day.to_be_bytes());
            bytes.extend(size.to_be_bytes());
            bytes.push(if place.is_some() { WITH_PLACE } else { WITHOUT_PLACE });
            if let Some(Place { source, at }) = place {
                bytes.extend(source.as_i64().to_be_bytes());
                bytes.extend(at.to_be_bytes());
            }
        }
        bytes
    }
}

/// Reads a request; `None` if the bytes are not those of one.
fn request(bytes: &mut &[u8]) -> Option<ProjectedRequest> {
    let (accepted, day, size) = (number(bytes)?, number(bytes)?, number(bytes)?);
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    let place = match *kind {
        WITH_PLACE => Some(Place { source: SourceId::from_i64(number(bytes)?), at: number(bytes)? }),
        WITHOUT_PLACE => None,
        _ => return None,
    };
    Some(ProjectedRequest { accepted, day, bytes: u64::try_from(size).ok()?, place })
}

fn number(bytes: &mut &[u8]) -> Option<i64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(i64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Block {
        let place = Place { source: SourceId::from_i64(i64::MIN), at: -5 };
        let requests = [
            ProjectedRequest { accepted: 33, day: -86_400_000_000, bytes: 700, place: Some(place) },
            ProjectedRequest { accepted: 35, day: 0, bytes: 0, place: None },
            ProjectedRequest {
                accepted: 63,
                day: i64::MAX,
                bytes: 1 << 40,
                place: Some(Place { at: i64::MAX, ..place }),
            },
        ];
        Block(requests.into_iter().map(|request| (request.accepted, request)).collect())
    }

    #[test]
    fn a_block_is_read_as_it_was_written() {
        for block in [requests(), Block::default()] {
            assert_eq!(Block::read(&block.write()).unwrap(), block);
        }
    }

    #[test]
    fn other_bytes_are_no_block() {
        let bytes = requests().write();
        for length in (0..bytes.len()).filter(|length| ![0, 41, 66].contains(length)) {
            assert!(Block::read(&bytes[..length]).is_err(), "{length}");
        }
        let mut other = bytes;
        other[24] = 2;
        assert!(Block::read(&other).is_err());
    }

    #[test]
    fn neighbours_share_a_block() {
        assert_eq!([0, 31, 32, 63, 64].map(block_of), [0, 0, 1, 1, 2]);
    }
}
