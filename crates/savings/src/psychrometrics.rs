//! Psychrometrics of moist air: dew point and thermodynamic wet-bulb temperature.
//!
//! Sources: ASHRAE Handbook – Fundamentals, chapter 1 (saturation pressure after Hyland and Wexler, humidity ratio, the
//! psychrometric equation); R. Stull, *Wet-Bulb Temperature from Relative Humidity and Air Temperature*, J. Appl.
//! Meteor. Climatol. 50 (2011), for the start. Below 0 °C the bulb is taken as covered with ice.

use libm::{atan, exp, log, pow};

/// The bisections end when their interval is shorter, in K.
const TOLERANCE: f64 = 0.005;

/// The ratio of the molar masses of water and dry air.
const MASS_RATIO: f64 = 0.621_945;

/// Returns the saturation pressure of water vapour in hPa at a temperature in °C: over ice below 0 °C, else over water.
#[must_use]
pub fn saturation_pressure(temperature_c: f64) -> f64 {
    let t = temperature_c + 273.15;
    let exponent = if temperature_c < 0.0 {
        -5.674_535_9e3 / t
            + 6.392_524_7
            + t * (-9.677_843e-3 + t * (6.221_570_1e-7 + t * (2.074_782_5e-9 - t * 9.484_024e-13)))
            + 4.163_501_9 * log(t)
    } else {
        -5.800_220_6e3 / t
            + 1.391_499_3
            + t * (-4.864_023_9e-2 + t * (4.176_476_8e-5 - t * 1.445_209_3e-8))
            + 6.545_967_3 * log(t)
    };
    exp(exponent) / 100.0
}

/// Returns the dew point (the frost point below 0 °C) in °C, from temperature in °C and relative humidity in %.
///
/// Humidity is limited to 1…100 %. The result is exact to 0.01 K.
#[must_use]
pub fn dew_point(temperature_c: f64, relative_humidity_percent: f64) -> f64 {
    let humidity = relative_humidity_percent.clamp(1.0, 100.0);
    let pressure = saturation_pressure(temperature_c) * humidity / 100.0;
    bisect(temperature_c - 80.0, temperature_c, |dew| saturation_pressure(dew) - pressure)
}

/// Returns the thermodynamic wet-bulb temperature in °C, from temperature in °C, relative humidity in % and pressure in
/// hPa, exact to 0.01 K.
///
/// Humidity is limited to 1…100 %. Bisection of the psychrometric equation, within 2 K of Stull's formula where the
/// solution lies there.
#[must_use]
pub fn wet_bulb(temperature_c: f64, relative_humidity_percent: f64, pressure_hpa: f64) -> f64 {
    let humidity = relative_humidity_percent.clamp(1.0, 100.0);
    let ratio = humidity_ratio(saturation_pressure(temperature_c) * humidity / 100.0, pressure_hpa);
    let excess = |bulb: f64| ratio_at_wet_bulb(temperature_c, bulb, pressure_hpa) - ratio;
    let start = stull(temperature_c, humidity);
    let (mut low, mut high) = (start - 2.0, (start + 2.0).min(temperature_c));
    if low >= high || excess(low) > 0.0 {
        low = temperature_c - 60.0;
    }
    if excess(high) < 0.0 {
        high = temperature_c;
    }
    bisect(low, high, excess)
}

/// Stull's empirical formula for the wet bulb at sea level, in °C.
fn stull(t: f64, humidity: f64) -> f64 {
    t * atan(0.151_977 * (humidity + 8.313_659).sqrt()) + atan(t + humidity) - atan(humidity - 1.676_331)
        + 0.003_918_38 * pow(humidity, 1.5) * atan(0.023_101 * humidity)
        - 4.686_035
}

/// The humidity ratio, in kg of water per kg of dry air, at a vapour pressure and a total pressure in hPa.
fn humidity_ratio(vapour: f64, pressure: f64) -> f64 {
    MASS_RATIO * vapour / (pressure - vapour).max(1.0)
}

/// The humidity ratio that the psychrometric equation gives for a wet bulb.
fn ratio_at_wet_bulb(t: f64, bulb: f64, pressure: f64) -> f64 {
    let saturated = humidity_ratio(saturation_pressure(bulb), pressure);
    if bulb < 0.0 {
        ((2830.0 - 0.24 * bulb) * saturated - 1.006 * (t - bulb)) / (2830.0 + 1.86 * t - 2.1 * bulb)
    } else {
        ((2501.0 - 2.326 * bulb) * saturated - 1.006 * (t - bulb)) / (2501.0 + 1.86 * t - 4.186 * bulb)
    }
}

/// Finds the zero of an increasing function between two bounds.
fn bisect(mut low: f64, mut high: f64, excess: impl Fn(f64) -> f64) -> f64 {
    while high - low > TOLERANCE {
        let middle = f64::midpoint(low, high);
        if excess(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "expected {expected}, found {found}");
    }

    #[test]
    fn saturation_pressure_follows_the_tables_of_ashrae() {
        // ASHRAE Fundamentals 2017, chapter 1, table 3, in Pa.
        for (temperature, pascal) in [(-20.0, 103.24), (-5.0, 401.74), (5.0, 872.6), (25.0, 3169.7), (50.0, 12351.3)] {
            near(saturation_pressure(temperature) * 100.0, pascal, pascal * 1e-3);
        }
    }

    #[test]
    fn wet_bulb_follows_published_values() {
        // ASHRAE Fundamentals, chapter 1, example 1: 40 °C and a wet bulb of 20 °C give 6.5 g/kg, which is 14 %.
        near(wet_bulb(40.0, 14.0, 1013.25), 20.0, 0.05);
        // Stull 2011: 20 °C and 50 % at sea level give 13.7 °C, within the 0.3 K of his formula.
        near(wet_bulb(20.0, 50.0, 1013.25), 13.7, 0.15);
        // PsychroLib, GetTWetBulbFromRelHum(7, 0.61, 100000 Pa): 3.92667433781955 °C.
        near(wet_bulb(7.0, 61.0, 1000.0), 3.926_7, 0.01);
    }

    #[test]
    fn dew_point_follows_published_values() {
        // ASHRAE Fundamentals, chapter 1, example 1, read off the chart: 7 °C.
        near(dew_point(40.0, 14.0), 7.0, 0.5);
        near(dew_point(25.0, 50.0), 13.86, 0.02);
        near(dew_point(20.0, 100.0), 20.0, 0.01);
    }

    #[test]
    fn wet_bulb_solves_the_psychrometric_equation_everywhere() {
        for t in -30..=50 {
            for humidity in [1.0, 5.0, 20.0, 40.0, 60.0, 80.0, 95.0, 100.0] {
                let t = f64::from(t);
                for pressure in [700.0, 850.0, 1013.25] {
                    let found = wet_bulb(t, humidity, pressure);
                    let ratio = humidity_ratio(saturation_pressure(t) * humidity / 100.0, pressure);
                    assert!(found <= t, "{t} {humidity} {pressure}");
                    let (below, above) = (found - 0.01, found + 0.01);
                    // The equation jumps where ice melts.
                    if below.signum() == above.signum() {
                        assert!(ratio_at_wet_bulb(t, below, pressure) <= ratio, "{t} {humidity} {pressure}");
                        assert!(ratio_at_wet_bulb(t, above, pressure) >= ratio, "{t} {humidity} {pressure}");
                    }
                }
            }
        }
    }
}
