//! Conversions of numbers and small statistics, in one place.

/// Returns a count as a real number.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) const fn real(count: usize) -> f64 {
    count as f64
}

/// Returns a number of seconds as a real number.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "times stay far below 2^53 seconds")]
pub(crate) const fn seconds(count: i64) -> f64 {
    count as f64
}

/// Returns the largest whole number that is not above `value`; zero for negative numbers and NaN.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, which is meant"
)]
pub(crate) const fn floor(value: f64) -> usize {
    value as usize
}

/// Returns the nearest whole number; zero for negative numbers and NaN.
pub(crate) fn round(value: f64) -> usize {
    floor(value + 0.5)
}

/// Returns the remainder of a division by a positive number as an index.
pub(crate) fn remainder(value: i64, modulus: i64) -> usize {
    usize::try_from(value.rem_euclid(modulus)).unwrap_or_default()
}

/// Returns the arithmetic mean; zero for an empty slice.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / real(values.len()) }
}

/// Returns the standard deviation of a sample (divisor n − 1); zero for fewer than two values.
pub(crate) fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let centre = mean(values);
    (values.iter().map(|value| (value - centre) * (value - centre)).sum::<f64>() / real(values.len() - 1)).sqrt()
}

/// Returns the root of the mean square; zero for an empty slice.
pub(crate) fn root_mean_square(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        (values.iter().map(|value| value * value).sum::<f64>() / real(values.len())).sqrt()
    }
}

/// Returns the quantile of `share` (0…1) with linear interpolation; zero for an empty slice.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let position = share * real(last);
    let below = floor(position).min(last);
    let above = (below + 1).min(last);
    sorted[below] + (position - real(below)) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolates_quantiles() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[0.0, 10.0], 0.25), 2.5);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn counts_down_to_the_epoch_and_before() {
        assert_eq!(remainder(-1, 24), 23);
        assert_eq!(floor(-0.5), 0);
        assert_eq!(round(2.5), 3);
    }
}
