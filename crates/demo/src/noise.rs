//! Numbers that look random and are a function of their place.

use crate::real;

/// Returns a number in -1…1 for a place of a stream (SplitMix64).
pub(crate) fn at(seed: u64, stream: &str, place: i64) -> f64 {
    let name = stream
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mut bits =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ name ^ place.cast_unsigned().wrapping_mul(0xd1b5_4a32_d192_ed03);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let high = u32::try_from((bits ^ (bits >> 31)) >> 32).unwrap_or_default();
    f64::from(high) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// Returns a number in -1…1 that changes smoothly over this many hours.
pub(crate) fn smooth(seed: u64, stream: &str, hour: i64, hours: i64) -> f64 {
    let knot = hour.div_euclid(hours);
    let share = real(hour.rem_euclid(hours)) / real(hours);
    let weight = share * share * (3.0 - 2.0 * share);
    at(seed, stream, knot) * (1.0 - weight) + at(seed, stream, knot + 1) * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fill_their_range_without_a_bias() {
        let numbers: Vec<f64> = (0..10_000).map(|place| at(3, "power", place)).collect();
        assert!(numbers.iter().all(|number| (-1.0..=1.0).contains(number)));
        assert!((numbers.iter().sum::<f64>() / 10_000.0).abs() < 0.02);
        assert!(numbers.iter().any(|number| *number > 0.99) && numbers.iter().any(|number| *number < -0.99));
    }

    #[test]
    fn smooth_numbers_have_no_jumps() {
        for hour in 0..1000 {
            let step = smooth(3, "weather", hour + 1, 24) - smooth(3, "weather", hour, 24);
            assert!(step.abs() < 0.2, "{hour}: {step}");
        }
    }
}
