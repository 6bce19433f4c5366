//! Ids that grow with every object.

use std::sync::{Mutex, PoisonError};

use mass_domain::time::Timestamp;
use uuid::{ContextV7, Uuid};

/// The time in seconds by which a clock may be set back while ids go on growing. Lists that are bounded in time rely on ids that
/// are near the instants of creation, so ids follow a clock that is set back further.
pub const LONGEST_SET_BACK_SECONDS: i64 = 1800;

/// Generates UUIDs of version 7 that carry an instant, each greater than the one before.
pub(crate) struct IdSequence(Mutex<Growth>);

struct Growth {
    context: ContextV7,
    newest: Option<Timestamp>,
}

impl IdSequence {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Growth::new()))
    }

    /// Generates the next id.
    pub(crate) fn next(&self, at: Timestamp) -> Uuid {
        let mut growth = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if at.plus_seconds(LONGEST_SET_BACK_SECONDS) < growth.newest {
            *growth = Growth::new();
        }
        growth.newest = growth.newest.max(Some(at));
        Uuid::new_v7(at.for_uuid(&growth.context))
    }
}

impl Growth {
    fn new() -> Self {
        Self { context: ContextV7::new(), newest: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros(1_800_000_000_000_000 + seconds * 1_000_000).unwrap()
    }

    /// The distance of an id from an instant, in seconds.
    fn ahead(id: Uuid, at: Timestamp) -> i64 {
        let (seconds, _) = id.get_timestamp().unwrap().to_unix();
        i64::try_from(seconds).unwrap() - at.unix_micros() / 1_000_000
    }

    #[test]
    fn ids_grow_while_the_clock_stands_or_is_set_back_a_little() {
        let ids = IdSequence::new();
        let made: Vec<Uuid> = [0, 0, 10, 5, 5 - 1800 + 10, 11].map(|seconds| ids.next(instant(seconds))).to_vec();
        assert!(made.is_sorted_by(|one, next| one < next), "{made:?}");
    }

    #[test]
    fn ids_follow_a_clock_that_is_set_back_far() {
        let ids = IdSequence::new();
        for seconds in [0, 86_400, 0, 1, -86_400, 3600, 0] {
            let id = ids.next(instant(seconds));
            assert!(ahead(id, instant(seconds)).abs() <= 1, "{seconds}: {id}");
        }
        let growing = [ids.next(instant(0)), ids.next(instant(0))];
        assert!(growing.is_sorted());
    }

    #[test]
    fn ids_are_never_far_ahead_of_a_clock_that_is_set_back_step_by_step() {
        let ids = IdSequence::new();
        for step in 0..20 {
            let at = instant(step * -600);
            assert!(ahead(ids.next(at), at) <= LONGEST_SET_BACK_SECONDS);
        }
    }
}
