//! The hours of a site, as the method takes them.

use mass_analytics_service::{Answer, HoursQuery, Position, SiteHour};
use mass_domain::savings::{AsOf, Boundary, Design, Period, Price, Project};
use mass_savings::{Hour, HourRate};

use crate::writer::ReportData;

/// The schedule of a crossover is not drawn, so that it has no hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a drawn schedule")]
pub struct NoSchedule;

/// Returns the hours that a project's figures follow from, as a query: those of its periods, in the order of time, or of
/// the days of its schedule.
///
/// # Errors
/// [`NoSchedule`].
pub fn hours_query(project: &Project) -> Result<HoursQuery, NoSchedule> {
    let within = match &project.terms.design {
        Design::PrePost { baseline, reporting } => {
            let mut periods = [*baseline, *reporting];
            periods.sort_by_key(|period| period.from);
            periods.to_vec()
        }
        Design::Crossover { .. } => vec![crossover(project).ok_or(NoSchedule)?],
    };
    let (site_id, weather_device) = (project.terms.site_id.clone(), project.terms.weather_device.clone());
    let price = project.terms.price.as_ref().and_then(Price::series).cloned();
    let within = within.iter().map(|period| period.from.unix_micros()..period.until.unix_micros()).collect();
    Ok(HoursQuery { site_id, weather_device, price, within })
}

/// Returns the time from the begin of the first day of a schedule to the end of the last, in full hours.
fn crossover(project: &Project) -> Option<Period> {
    let days = &project.schedule.as_ref()?.days;
    // Zones whose standard time is no full hour begin their days within an hour, which then belongs to the day before.
    let offset = project.utc_offset_seconds.div_euclid(3600) * 3600;
    let from = days.first()?.day.begin(offset)?;
    let until = days.last()?.day.plus(1)?.begin(offset)?;
    Some(Period { from, until })
}

/// Returns the events that an answer follows from.
pub(crate) fn as_of(position: &Position) -> AsOf {
    AsOf { sequence: position.sequence, root: position.root.to_string() }
}

/// Returns the data of a report from the hours of its project.
pub(crate) fn report_data(project: Project, answer: &Answer<Vec<SiteHour>>) -> ReportData {
    let hours = hours(project.terms.boundary, &answer.data);
    let prices = prices(&answer.data);
    ReportData { project, hours, prices, as_of: as_of(&answer.as_of) }
}

/// Returns the prices of the hours that have one.
#[must_use]
pub fn prices(site: &[SiteHour]) -> Vec<HourRate> {
    let rate = |hour: &SiteHour| Some(HourRate { start: hour.begin.div_euclid(1_000_000), per_kwh: hour.price? });
    site.iter().filter_map(rate).collect()
}

/// Converts the hours of a site. Hours without all the values that the method needs are left out, never imputed.
#[must_use]
pub fn hours(boundary: Boundary, site: &[SiteHour]) -> Vec<Hour> {
    site.iter().filter_map(|hour| convert(boundary, hour)).collect()
}

fn convert(boundary: Boundary, hour: &SiteHour) -> Option<Hour> {
    let facility_kwh = hour.facility_kwh;
    let it_kwh = hour.it_kwh?;
    let hvac_kwh = match boundary {
        Boundary::Hvac => hour.hvac_kwh?,
        // The method takes the difference itself, and does not look at the energy of the HVAC.
        Boundary::FacilityLessIt => facility_kwh.map(|_| hour.hvac_kwh.unwrap_or_default())?,
    };
    Some(Hour {
        start: hour.begin.div_euclid(1_000_000),
        hvac_kwh,
        it_kwh,
        facility_kwh,
        temperature_c: hour.temperature_celsius?,
        relative_humidity_percent: hour.humidity_percent?,
        pressure_hpa: hour.pressure_hpa?,
        inlet_temperature_c: hour.inlet_celsius,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour() -> SiteHour {
        SiteHour {
            begin: 3_600_000_000,
            it_kwh: Some(80.0),
            hvac_kwh: Some(15.0),
            facility_kwh: Some(103.0),
            temperature_celsius: Some(20.0),
            humidity_percent: Some(60.0),
            pressure_hpa: Some(1008.0),
            inlet_celsius: Some(24.0),
            price: None,
        }
    }

    #[test]
    fn prices_are_those_of_hours_that_have_one() {
        let found = prices(&[hour(), SiteHour { begin: 7_200_000_000, price: Some(-0.02), ..hour() }]);
        assert_eq!(found, [HourRate { start: 7200, per_kwh: -0.02 }]);
    }

    #[test]
    fn an_hour_without_a_needed_value_is_left_out() {
        let of = |boundary, hour: SiteHour| hours(boundary, &[hour]);
        let whole = of(Boundary::Hvac, hour());
        assert_eq!((whole[0].start, whole[0].hvac_kwh, whole[0].facility_kwh), (3600, 15.0, Some(103.0)));
        let gaps: [SiteHour; 5] = [
            SiteHour { it_kwh: None, ..hour() },
            SiteHour { hvac_kwh: None, ..hour() },
            SiteHour { temperature_celsius: None, ..hour() },
            SiteHour { humidity_percent: None, ..hour() },
            SiteHour { pressure_hpa: None, ..hour() },
        ];
        for gap in gaps {
            assert_eq!(of(Boundary::Hvac, gap), []);
        }
        assert_eq!(of(Boundary::Hvac, SiteHour { facility_kwh: None, inlet_celsius: None, ..hour() }).len(), 1);
        assert_eq!(of(Boundary::FacilityLessIt, SiteHour { facility_kwh: None, ..hour() }), []);
        assert_eq!(of(Boundary::FacilityLessIt, SiteHour { hvac_kwh: None, ..hour() }).len(), 1);
    }
}
