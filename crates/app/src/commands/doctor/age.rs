//! Spans of time in words.

use mass_domain::time::Timestamp;

/// Returns the whole seconds from one instant to a later one; 0 if it is not later.
pub(super) fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from((to.as_datetime() - from.as_datetime()).num_seconds()).unwrap_or_default()
}

/// Writes a span in the largest unit of which it has two or more.
pub(super) fn in_words(seconds: u64) -> String {
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    match units.into_iter().find(|(length, _)| seconds >= 2 * length) {
        Some((length, unit)) => format!("{} {unit}", seconds / length),
        None => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_in_the_largest_unit_of_which_it_has_two() {
        for (seconds, words) in [
            (0, "0 seconds"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7_199, "119 minutes"),
            (7_200, "2 hours"),
            (172_799, "47 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(in_words(seconds), words);
        }
    }
}
