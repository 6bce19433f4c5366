//! Support: which hours of the reporting period resemble hours of the baseline.

use crate::{
    covariates::Covariates,
    neighbours::Cloud,
    numbers::{deviation, mean, quantile},
    observations::Observations,
};

/// The neighbour whose distance counts.
const NEIGHBOUR: usize = 5;
/// The share of the baseline's own hours that lie within the radius.
const WITHIN: f64 = 0.99;
/// The quantiles of the baseline's temperature that bound the support.
const TEMPERATURE_SHARES: (f64, f64) = (0.005, 0.995);

/// Returns for each reporting hour whether the baseline supports a prediction.
///
/// An hour is supported if the fifth-nearest hour of the baseline, in T, TW and IT scaled by their standard deviations,
/// is no farther than it is for 99 % of the baseline's own hours (where hours of the same block do not count as
/// neighbours), its T lies within the baseline's 0.5–99.5 %, and no declared mode is in a state that the baseline
/// lacks.
pub(crate) fn supported(baseline: &Observations, reporting: &Observations, covariates: &Covariates) -> Vec<bool> {
    let temperatures = baseline.temperature();
    let loads = baseline.it();
    let scales = [
        deviation(&temperatures).max(0.5),
        deviation(&baseline.wet_bulb).max(0.5),
        // An IT load that hardly varies is not scaled up to its noise.
        deviation(&loads).max(0.02 * mean(&loads)).max(1e-6),
    ];
    let scaled = |of: &Observations| -> Vec<Vec<f64>> {
        let point = |index: usize| {
            let hour = &of.hours[index];
            vec![hour.temperature_c / scales[0], of.wet_bulb[index] / scales[1], hour.it_kwh / scales[2]]
        };
        (0..of.len()).map(point).collect()
    };
    let points = scaled(baseline);
    let cloud = Cloud::new(&points);
    let distance = |found: Vec<(f64, usize)>| found.last().map_or(f64::INFINITY, |(square, _)| square.sqrt());
    let own: Vec<f64> = points
        .iter()
        .enumerate()
        .map(|(index, point)| {
            let block = baseline.block[index];
            distance(cloud.nearest(point, NEIGHBOUR, |other| baseline.block[other] != block))
        })
        .collect();
    let radius = quantile(&own, WITHIN);
    let low = quantile(&temperatures, TEMPERATURE_SHARES.0);
    let high = quantile(&temperatures, TEMPERATURE_SHARES.1);
    scaled(reporting)
        .iter()
        .zip(&reporting.hours)
        .map(|(point, hour)| {
            (low..=high).contains(&hour.temperature_c)
                && !covariates.is_unseen(hour.start)
                && distance(cloud.nearest(point, NEIGHBOUR, |_| true)) <= radius
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hour::{Boundary, HOUR, Period},
        testing::{Site, site},
    };

    fn share(reporting: Site) -> f64 {
        let observe = |site: Site, first: i64| {
            let period = Period { from: first * HOUR, until: (first + 8760) * HOUR };
            Observations::new(&site.hours(first, 8760), period, Boundary::Hvac, 0).unwrap()
        };
        let baseline = observe(site(1), 0);
        let found = supported(&baseline, &observe(reporting, 8760), &Covariates::of(&baseline, &[]));
        mean(&found.iter().map(|it| f64::from(u8::from(*it))).collect::<Vec<_>>())
    }

    #[test]
    fn the_same_climate_is_supported() {
        assert!(share(site(2)) > 0.93, "{}", share(site(2)));
    }

    #[test]
    fn another_climate_or_load_is_not() {
        assert!(share(Site { warmer: 15.0, ..site(2) }) < 0.7);
        assert!(share(Site { more_it: 40.0, ..site(2) }) < 0.05);
    }
}
