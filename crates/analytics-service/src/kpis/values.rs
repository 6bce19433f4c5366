//! From sums to indicators, each with its coverage, and a reason where it has no value. Pure.

use mass_domain::analytics::{AbsenceCode, Figures, HOUR, Indicator};

use super::roles::{FACILITY, HVAC, INTAKE, IT, PRICE, Rate, Roles, WATER};
use super::tally::{Amount, Quantity, RATIOS, Ratio, Tally, float};
use super::{Absence, Kpi};
use crate::store::SeriesRow;

/// The allowable minus the recommended temperatures of intake air, in K: 32 °C − 27 °C at the upper end, 18 °C − 15 °C at
/// the lower (ASHRAE TC 9.9, class A1).
const TOO_WARM: f64 = 5.0;
const TOO_COLD: f64 = 3.0;

/// A value with its coverage of 0 to 1, or the reason why there is none.
type Outcome = Result<(f64, f64), Absence>;

/// Computes the indicators of a stretch of this length, in the order of [`Indicator::ALL`].
pub(super) fn values(roles: &Roles, tally: &Tally, intake: Option<Figures>, length: f64) -> Vec<Kpi> {
    let kpi = |indicator: &Indicator| {
        let (value, coverage, absence) = match value(*indicator, roles, tally, intake, length) {
            Ok((value, coverage)) if value.is_finite() => (Some(value), coverage.min(1.0), None),
            Ok(_) => (None, 0.0, Some(Absence::new(AbsenceCode::TooGreat, "the value is too great"))),
            Err(absence) => (None, 0.0, Some(absence)),
        };
        let is_tariff = *indicator == Indicator::Cost && matches!(roles.price, Rate::Fixed(_));
        let unit = if is_tariff { "currency" } else { indicator.unit() };
        Kpi { indicator: *indicator, value, unit, coverage, absence }
    };
    Indicator::ALL.iter().map(kpi).collect()
}

fn value(indicator: Indicator, roles: &Roles, tally: &Tally, intake: Option<Figures>, length: f64) -> Outcome {
    let energy = |quantity, metric, rows: &[SeriesRow]| {
        let Amount { value, covered } = tally.get(quantity).ok_or_else(|| absent(metric, rows))?;
        Ok((value, covered / length))
    };
    match indicator {
        Indicator::ItEnergy => energy(Quantity::It, IT, &roles.it),
        Indicator::HvacEnergy => energy(Quantity::Hvac, HVAC, &roles.hvac),
        Indicator::FacilityEnergy => energy(Quantity::Facility, FACILITY, &roles.facility),
        Indicator::Peak => peak(roles, tally, length),
        Indicator::LoadFactor => load_factor(roles, tally, length),
        Indicator::Cost => product(Quantity::Cost, &roles.price, roles, tally, length),
        Indicator::Carbon => product(Quantity::Carbon, &roles.carbon, roles, tally, length),
        Indicator::Pue | Indicator::Wue | Indicator::Cue | Indicator::Erf => ratio(indicator, roles, tally, length),
        Indicator::RciHi => rack_cooling(roles, intake, length, |figures| figures.above / TOO_WARM),
        Indicator::RciLo => rack_cooling(roles, intake, length, |figures| figures.below / TOO_COLD),
        Indicator::Completeness => completeness(roles, tally, length).map(|share| (share, share)),
        Indicator::Gaps => completeness(roles, tally, length).map(|share| (whole(tally.gaps), share)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
const fn whole(count: u64) -> f64 {
    count as f64
}

fn absent(metric: &str, rows: &[SeriesRow]) -> Absence {
    if rows.is_empty() {
        Absence::new(AbsenceCode::NoSeries, format!("no series of {metric}"))
    } else {
        Absence::new(AbsenceCode::NoValues, format!("no value of {metric} holds for any time"))
    }
}

fn peak(roles: &Roles, tally: &Tally, length: f64) -> Outcome {
    if roles.facility.len() > 1 {
        let reason = "several meters of facility_power_kw: their greatest powers need not coincide";
        return Err(Absence::new(AbsenceCode::SeveralMeters, reason));
    }
    let (peak, _) = tally.peak.as_ref().ok_or_else(|| absent(FACILITY, &roles.facility))?;
    let covered = tally.get(Quantity::Facility).unwrap_or_default().covered;
    Ok((*peak, covered / length))
}

fn load_factor(roles: &Roles, tally: &Tally, length: f64) -> Outcome {
    let (peak, coverage) = peak(roles, tally, length)?;
    let Amount { value, covered } = tally.get(Quantity::Facility).ok_or_else(|| absent(FACILITY, &roles.facility))?;
    if peak > 0.0 {
        Ok((value / (covered / float(HOUR)) / peak, coverage))
    } else {
        Err(Absence::new(AbsenceCode::NotAboveZero, "the greatest power of the facility is not above 0 kW"))
    }
}

/// Returns the facility's energy multiplied by a rate.
fn product(quantity: Quantity, rate: &Rate, roles: &Roles, tally: &Tally, length: f64) -> Outcome {
    let metric = match rate {
        Rate::Missing(absence) => return Err(absence.clone()),
        Rate::Fixed(_) => FACILITY,
        Rate::Product(_) => PRICE,
        Rate::Series(row, _) => &row.key.metric,
    };
    tally.get(Quantity::Facility).ok_or_else(|| absent(FACILITY, &roles.facility))?;
    let missing = || {
        Absence::new(AbsenceCode::NotAtOnce, format!("no value of {metric} holds at the time of a value of {FACILITY}"))
    };
    let Amount { value, covered } = tally.get(quantity).ok_or_else(missing)?;
    Ok((value, covered / length))
}

fn ratio(indicator: Indicator, roles: &Roles, tally: &Tally, length: f64) -> Outcome {
    let found = RATIOS.iter().zip(&tally.ratios).find(|((of, ..), _)| *of == indicator);
    let Some(((_, over, under), ratio)) = found else { return Err(Absence::new(AbsenceCode::NoSeries, "")) };
    for quantity in [over, under] {
        let rate = (*quantity == Quantity::Carbon).then_some(&roles.carbon);
        if let Some(Rate::Missing(absence)) = rate {
            return Err(absence.clone());
        }
        if tally.get(*quantity).is_none() {
            let (metric, rows) = series_of(*quantity, roles);
            return Err(absent(metric, rows));
        }
    }
    let Ratio { numerator, denominator, covered } = *ratio;
    let (over, under) = (series_of(*over, roles).0, series_of(*under, roles).0);
    if covered <= 0.0 {
        return Err(Absence::new(AbsenceCode::NotAtOnce, format!("no hour is covered equally by {over} and {under}")));
    }
    if denominator <= 0.0 {
        return Err(Absence::new(AbsenceCode::NotAboveZero, format!("the energy of {under} is not above 0 kWh")));
    }
    // A cubic metre has 1000 litres.
    let factor = if indicator == Indicator::Wue { 1000.0 } else { 1.0 };
    Ok((factor * numerator / denominator, covered / length))
}

fn series_of(quantity: Quantity, roles: &Roles) -> (&str, &[SeriesRow]) {
    match quantity {
        Quantity::It => (IT, &roles.it),
        Quantity::Hvac => (HVAC, &roles.hvac),
        Quantity::Facility | Quantity::Cost => (FACILITY, &roles.facility),
        Quantity::Water => (WATER, &roles.water),
        Quantity::Reused => ("reused_power_kw or reused_energy_kwh", &roles.reused),
        Quantity::Carbon => ("carbon_intensity_g_per_kwh or a factor, with facility_power_kw", &roles.facility),
    }
}

/// Returns 100 % minus the share of `excess`, which is an integral in the greatest excess × hours.
fn rack_cooling(roles: &Roles, intake: Option<Figures>, length: f64, excess: impl Fn(&Figures) -> f64) -> Outcome {
    let missing = || {
        if roles.intake.is_empty() {
            let reason = format!("no series of {INTAKE}, nor of temperature_celsius of racks or servers");
            Absence::new(AbsenceCode::NoSeries, reason)
        } else {
            Absence::new(AbsenceCode::NoValues, "no value of an intake temperature holds for any time")
        }
    };
    let figures = intake.filter(|figures| figures.covered > 0).ok_or_else(missing)?;
    let covered = float(figures.covered);
    let series = whole(roles.intake.len() as u64);
    Ok((100.0 * (1.0 - excess(&figures) / (covered / float(HOUR))), covered / length / series))
}

/// Returns the mean share that the site's powers cover.
fn completeness(roles: &Roles, tally: &Tally, length: f64) -> Result<f64, Absence> {
    let all = [(Quantity::It, &roles.it), (Quantity::Hvac, &roles.hvac), (Quantity::Facility, &roles.facility)];
    let present = all.iter().filter(|(_, rows)| !rows.is_empty());
    let shares: Vec<f64> =
        present.map(|(quantity, _)| tally.get(*quantity).unwrap_or_default().covered / length).collect();
    if shares.is_empty() {
        return Err(Absence::new(AbsenceCode::NoSeries, format!("no series of {IT}, {HVAC} or {FACILITY}")));
    }
    Ok(shares.iter().sum::<f64>() / whole(shares.len() as u64))
}
