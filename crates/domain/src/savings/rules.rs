//! The rules of projects that can be checked without a calendar of zones.

use super::calendar::Period;
use super::project::{Adjustment, Confirmation, Design, Mode, PlanFollowed, Price, PriceSeries, Rate, Terms};
use crate::analytics::{DAY, HOUR, kind_of, unit_of};
use crate::faults::{Fault, MAX_TEXT};
use crate::metrics::{MetricKind, is_name};

/// The most assumptions of a project.
pub const MAX_ASSUMPTIONS: usize = 50;
/// The most declared modes of a project.
pub const MAX_MODES: usize = 8;
/// The most periods of a mode.
pub const MAX_MODE_PERIODS: usize = 200;
/// The most adjustments of a project.
pub const MAX_ADJUSTMENTS: usize = 100;
/// The largest adjustment, in kWh: what a gigawatt is in three years.
pub const MAX_ADJUSTMENT_KWH: f64 = 3e10;
/// The longest baseline, reporting period or period of a plan, in days: three years.
pub const LONGEST_PERIOD_DAYS: i64 = 1096;
/// The fewest pairs of a crossover.
pub const MIN_PAIRS: u32 = 3;
/// The most pairs of a crossover: 26 weeks.
pub const MAX_PAIRS: u32 = 91;

impl Terms {
    /// Returns the values that break a rule.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        faults.extend(Fault::in_name("/name", &self.name));
        faults.extend(Fault::in_name("/site_id", &self.site_id));
        faults.extend(Fault::in_name("/weather_device", &self.weather_device));
        faults.extend(Fault::in_name("/zone", &self.zone));
        faults.extend(self.design.faults());
        faults.extend(self.price.iter().flat_map(Price::faults));
        let factor = self.co2e_kg_per_kwh.unwrap_or_default();
        faults.extend(within("/co2e_kg_per_kwh", factor, 0.0, 100.0));
        faults.extend(at_most("/assumptions", self.assumptions.len(), MAX_ASSUMPTIONS));
        for (place, assumption) in self.assumptions.iter().enumerate() {
            faults.extend(Fault::in_text(&format!("/assumptions/{place}"), assumption, MAX_TEXT));
        }
        faults.extend(Mode::faults(&self.modes));
        faults
    }
}

impl Mode {
    /// Returns the rules that declared modes break, with pointers from the member `modes` on.
    #[must_use]
    pub fn faults(modes: &[Self]) -> Vec<Fault> {
        let mut faults: Vec<Fault> = at_most("/modes", modes.len(), MAX_MODES).into_iter().collect();
        for (place, mode) in modes.iter().enumerate() {
            let pointer = format!("/modes/{place}");
            faults.extend(Fault::in_name(&format!("{pointer}/name"), &mode.name));
            faults.extend(at_most(&format!("{pointer}/periods"), mode.periods.len(), MAX_MODE_PERIODS));
            for (place, period) in mode.periods.iter().enumerate() {
                faults.extend(period.order(&format!("{pointer}/periods/{place}")));
            }
        }
        faults
    }
}

impl Adjustment {
    /// Returns the rules that the adjustment breaks by itself.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = self.period.order("/period").into_iter().collect();
        faults.extend(Fault::in_name("/author", &self.author));
        faults.extend(Fault::in_text("/reason", &self.reason, MAX_TEXT));
        faults.extend(within("/kwh", self.kwh, -MAX_ADJUSTMENT_KWH, MAX_ADJUSTMENT_KWH));
        faults
    }
}

impl Confirmation {
    /// Returns the rules that the confirmation breaks by itself.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = Fault::in_name("/author", &self.author).into_iter().collect();
        if let PlanFollowed::Partly { share } = self.followed {
            faults.extend(within("/share", share, 0.0, 1.0));
        }
        match &self.reason {
            Some(reason) => faults.extend(Fault::in_text("/reason", reason, MAX_TEXT)),
            None if self.followed == PlanFollowed::Applied => {}
            None => faults.push(Fault::new("/reason", "a reason why the plan was not followed")),
        }
        faults
    }
}

impl Design {
    fn faults(&self) -> Vec<Fault> {
        match self {
            Self::PrePost { baseline, reporting } => {
                let mut faults = baseline.faults("/design/baseline");
                faults.extend(reporting.faults("/design/reporting"));
                if faults.is_empty() && baseline.overlaps(reporting) {
                    faults.push(Fault::new("/design/reporting", "a period that does not overlap the baseline"));
                }
                faults
            }
            Self::Crossover { pairs, .. } if !(MIN_PAIRS..=MAX_PAIRS).contains(pairs) => {
                vec![Fault::new("/design/pairs", format!("a number from {MIN_PAIRS} to {MAX_PAIRS}"))]
            }
            Self::Crossover { first_day, pairs, .. } => match first_day.plus(2 * pairs) {
                Some(_) => Vec::new(),
                None => vec![Fault::new("/design/first_day", "days before the year 10000")],
            },
        }
    }
}

impl Price {
    fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = match &self.rate {
            Rate::Fixed(per_kwh) => within("/price/per_kwh", *per_kwh, 0.0, 1e6).into_iter().collect(),
            Rate::Series(series) => series.faults(&self.currency),
        };
        if self.currency.len() != 3 || !self.currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
            faults.push(Fault::new("/price/currency", "three letters of ISO 4217, such as EUR"));
        }
        faults
    }
}

impl PriceSeries {
    fn faults(&self, currency: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let unit = unit_of(&self.metric);
        if !is_name(&self.metric) || kind_of(&self.metric) != MetricKind::Gauge {
            faults.push(Fault::new("/price/series/metric", "a metric whose values are prices, such as spot_price"));
        } else if unit.is_some_and(|unit| unit.strip_suffix("/kWh") != Some(currency)) {
            let expected = format!("a metric whose values are {currency} per kWh");
            faults.push(Fault::new("/price/series/metric", expected));
        }
        faults.extend(self.device_id.iter().filter_map(|id| Fault::in_name("/price/series/device_id", id)));
        faults
    }
}

impl Period {
    /// Returns the rules that the period of hours breaks which a model is fitted to or predicts.
    #[must_use]
    pub fn faults(&self, pointer: &str) -> Vec<Fault> {
        let mut faults: Vec<Fault> = self.order(pointer).into_iter().collect();
        for (name, at) in [("from", self.from), ("until", self.until)] {
            if at.unix_micros() % HOUR != 0 {
                faults.push(Fault::new(&format!("{pointer}/{name}"), "a full hour in UTC"));
            }
        }
        if self.until.unix_micros() - self.from.unix_micros() > LONGEST_PERIOD_DAYS * DAY {
            faults.push(Fault::new(pointer, format!("a period of at most {LONGEST_PERIOD_DAYS} days")));
        }
        faults
    }

    /// Returns a fault if the period ends before it begins, or where it begins.
    #[must_use]
    pub fn order(&self, pointer: &str) -> Option<Fault> {
        (self.from >= self.until)
            .then(|| Fault::new(&format!("{pointer}/until"), format!("a time after {}", self.from)))
    }
}

fn within(pointer: &str, value: f64, least: f64, most: f64) -> Option<Fault> {
    (!(least..=most).contains(&value)).then(|| Fault::new(pointer, format!("a number from {least} to {most}")))
}

fn at_most(pointer: &str, found: usize, most: usize) -> Option<Fault> {
    (found > most).then(|| Fault::new(pointer, format!("at most {most} items")))
}
