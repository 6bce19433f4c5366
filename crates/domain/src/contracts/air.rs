//! Psychrometrics for the ASHRAE envelopes.

/// Computes the dew point in °C from the temperature in °C and the relative humidity in %.
///
/// Uses the Magnus formula over water with the coefficients of WMO-No. 8 (2021), volume I, annex 4.B. Its error is
/// below 0.5 °C within −45 … 60 °C, which is enough for a warning. Completely dry air has no dew point; the result is
/// then the limit of the formula.
pub(super) fn dew_point(temperature_celsius: f64, humidity_percent: f64) -> f64 {
    const B: f64 = 17.62;
    const C: f64 = 243.12;
    if humidity_percent <= 0.0 {
        return -C;
    }
    let gamma = (humidity_percent / 100.0).ln() + B * temperature_celsius / (C + temperature_celsius);
    C * gamma / (B - gamma)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturated_air_is_at_its_dew_point_and_dry_air_far_above() {
        assert!((dew_point(20.0, 100.0) - 20.0).abs() < 1e-9);
        // Psychrometric tables: 25 °C at 50 % has 13.9 °C, 27 °C at 60 % has 18.6 °C.
        assert!((dew_point(25.0, 50.0) - 13.9).abs() < 0.1);
        assert!((dew_point(27.0, 60.0) - 18.6).abs() < 0.1);
        assert!(dew_point(20.0, 0.0) < -200.0);
        assert!(dew_point(20.0, 1e-300).is_finite());
    }
}
