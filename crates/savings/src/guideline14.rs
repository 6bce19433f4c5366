//! The half-width of ASHRAE Guideline 14, for comparison only: on hourly data it is too narrow.

use crate::{numbers::real, uncertainty::Z90};

/// Returns the half-width in kWh at 90 % confidence by ASHRAE Guideline 14-2014, equation 4-9 (T. Reddy and D.
/// Claridge 2000), with the correction of the number of independent hours for autocorrelation.
///
/// `residuals` are the baseline's hours in sample, in kWh; `parameters` counts the model's coefficients; `hours` counts
/// the hours of the reporting period, and `predicted_kwh` is their predicted total. 0 without residuals.
#[must_use]
pub fn guideline_14(residuals: &[f64], parameters: usize, hours: usize, predicted_kwh: f64, mean_kwh: f64) -> f64 {
    let n = real(residuals.len());
    let m = real(hours);
    if residuals.len() <= parameters || hours == 0 || mean_kwh <= 0.0 {
        return 0.0;
    }
    let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
    let lagged: f64 = residuals.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let correlation = if squares > 0.0 { (lagged / squares).clamp(0.0, 0.999) } else { 0.0 };
    let independent = n * (1.0 - correlation) / (1.0 + correlation);
    let cv = (squares / (n - real(parameters))).sqrt() / mean_kwh;
    predicted_kwh * 1.26 * Z90 * cv * ((n / independent) * (1.0 + 2.0 / independent) / m).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn follows_the_formula_on_white_noise() {
        let mut random = Random::new(1, 0);
        let residuals: Vec<f64> = (0..8760).map(|_| random.normal()).collect();
        let found = guideline_14(&residuals, 3, 8760, 87_600.0, 10.0);
        // 87 600 · 1.26 · 1.645 · 0.1 / √8760.
        assert!((found / 194.0 - 1.0).abs() < 0.05, "{found}");
    }

    #[test]
    fn autocorrelation_widens_it() {
        let mut random = Random::new(1, 0);
        let mut state = 0.0;
        let residuals: Vec<f64> = (0..8760)
            .map(|_| {
                state = 0.9 * state + 0.435_9 * random.normal();
                state
            })
            .collect();
        assert!(guideline_14(&residuals, 3, 8760, 87_600.0, 10.0) > 700.0);
    }
}
