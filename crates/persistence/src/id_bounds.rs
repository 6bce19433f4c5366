//! Bounds on ids from bounds on the instants of creation.
//!
//! An id is a UUID of version 7 and begins with the millisecond of its creation, so a list that is bounded in time can
//! begin and end within the primary key instead of reading past everything newer.

use mass_domain::time::Timestamp;
use mass_service::LONGEST_SET_BACK_SECONDS;
use uuid::Uuid;

/// The most that an id may differ from its `created_at`: ids keep growing while a clock is set back.
const SLACK_MILLIS: i64 = 3_600_000;

const _: () = assert!(LONGEST_SET_BACK_SECONDS * 1000 < SLACK_MILLIS);

/// Returns a lower bound on the ids of requests that were created at this instant or later.
pub(crate) fn lowest_id_from(instant: Timestamp) -> Uuid {
    lowest_id_of(millis(instant) - SLACK_MILLIS)
}

/// Returns an upper bound on the ids of requests that were created before this instant.
pub(crate) fn lowest_id_after(instant: Timestamp) -> Uuid {
    lowest_id_of(millis(instant) + SLACK_MILLIS + 1)
}

/// Returns the lowest id that carries the millisecond of this instant. Ids below it were given out before.
pub(crate) fn lowest_id_at(instant: Timestamp) -> Uuid {
    lowest_id_of(millis(instant))
}

/// Returns the instant that an id carries, to the millisecond.
pub(crate) fn instant_of(id: Uuid) -> Option<Timestamp> {
    let millis = i64::try_from(id.as_u128() >> 80).ok()?;
    Timestamp::from_unix_micros(millis.checked_mul(1000)?)
}

fn millis(instant: Timestamp) -> i64 {
    instant.unix_micros().div_euclid(1000)
}

fn lowest_id_of(millis: i64) -> Uuid {
    const MAX_MILLIS: u128 = (1 << 48) - 1;
    let millis = u128::try_from(millis).unwrap_or(0).min(MAX_MILLIS);
    Uuid::from_u128(millis << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_a_bounded_time_lie_between_the_bounds() {
        let created: Timestamp = "2026-11-24T18:00:00.123999Z".parse().unwrap();
        let id = |random| Uuid::from_u128((u128::try_from(millis(created)).unwrap() << 80) | random);
        let next = Timestamp::from_unix_micros(created.unix_micros() + 1).unwrap();
        for random in [0, (1 << 80) - 1] {
            assert!(lowest_id_from(created) <= id(random));
            assert!(id(random) < lowest_id_after(next));
        }
    }

    #[test]
    fn an_id_carries_the_millisecond_of_its_creation() {
        let created: Timestamp = "2026-11-24T18:00:00.123999Z".parse().unwrap();
        let (lowest, next) = (lowest_id_at(created), Timestamp::from_unix_micros(created.unix_micros() + 1).unwrap());
        assert_eq!(instant_of(lowest).unwrap().to_string(), "2026-11-24T18:00:00.123Z");
        assert!(lowest < lowest_id_at(next) && lowest_id_from(created) < lowest);
    }

    #[test]
    fn an_instant_before_1970_bounds_nothing_from_below() {
        assert_eq!(lowest_id_from("0001-01-01T00:00:00Z".parse().unwrap()), Uuid::nil());
    }
}
