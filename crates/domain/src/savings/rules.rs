//! The rules of projects that can be checked without a calendar of zones.

use super::calendar::Period;
use super::project::{Design, Price, Terms};
use crate::analytics::{DAY, HOUR};
use crate::characters::is_hidden;

/// The most characters of a name.
pub const MAX_NAME: usize = 200;
/// The most characters of a reason or an assumption.
pub const MAX_TEXT: usize = 1000;
/// The most assumptions of a project.
pub const MAX_ASSUMPTIONS: usize = 50;
/// The most declared modes of a project.
pub const MAX_MODES: usize = 8;
/// The most periods of a mode.
pub const MAX_MODE_PERIODS: usize = 200;
/// The most adjustments of a project.
pub const MAX_ADJUSTMENTS: usize = 100;
/// The longest baseline, reporting period or period of a plan, in days: three years.
pub const LONGEST_PERIOD_DAYS: i64 = 1096;
/// The fewest pairs of a crossover.
pub const MIN_PAIRS: u32 = 3;
/// The most pairs of a crossover: 26 weeks.
pub const MAX_PAIRS: u32 = 91;

/// A value that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The value, as a JSON pointer.
    pub pointer: String,
    /// What was expected, as a noun phrase.
    pub expected: String,
}

impl Fault {
    /// Builds a fault.
    #[must_use]
    pub fn new(pointer: &str, expected: impl Into<String>) -> Self {
        Self { pointer: pointer.to_owned(), expected: expected.into() }
    }
}

impl Terms {
    /// Returns the values that break a rule.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        faults.extend(self::text("/name", &self.name, MAX_NAME));
        faults.extend(self::text("/site_id", &self.site_id, MAX_NAME));
        faults.extend(self::text("/weather_device", &self.weather_device, MAX_NAME));
        faults.extend(self::text("/zone", &self.zone, MAX_NAME));
        faults.extend(self.design.faults());
        faults.extend(self.price.iter().flat_map(Price::faults));
        let factor = self.co2e_kg_per_kwh.unwrap_or_default();
        faults.extend(within("/co2e_kg_per_kwh", factor, 0.0, 100.0));
        faults.extend(at_most("/assumptions", self.assumptions.len(), MAX_ASSUMPTIONS));
        for (place, assumption) in self.assumptions.iter().enumerate() {
            faults.extend(self::text(&format!("/assumptions/{place}"), assumption, MAX_TEXT));
        }
        faults.extend(self.mode_faults());
        faults
    }

    fn mode_faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = at_most("/modes", self.modes.len(), MAX_MODES).into_iter().collect();
        for (place, mode) in self.modes.iter().enumerate() {
            let pointer = format!("/modes/{place}");
            faults.extend(text(&format!("{pointer}/name"), &mode.name, MAX_NAME));
            faults.extend(at_most(&format!("{pointer}/periods"), mode.periods.len(), MAX_MODE_PERIODS));
            for (place, period) in mode.periods.iter().enumerate() {
                faults.extend(period.order(&format!("{pointer}/periods/{place}")));
            }
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
        let mut faults: Vec<Fault> = within("/price/per_kwh", self.per_kwh, 0.0, 1e6).into_iter().collect();
        if self.currency.len() != 3 || !self.currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
            faults.push(Fault::new("/price/currency", "three letters of ISO 4217, such as EUR"));
        }
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

/// Returns a fault if a text is empty or too long, or has hidden characters.
#[must_use]
pub(super) fn text(pointer: &str, text: &str, most: usize) -> Option<Fault> {
    let is_good = !text.trim().is_empty() && text.chars().count() <= most && !text.chars().any(is_hidden);
    (!is_good).then(|| Fault::new(pointer, format!("1 to {most} visible characters")))
}

fn within(pointer: &str, value: f64, least: f64, most: f64) -> Option<Fault> {
    (!(least..=most).contains(&value)).then(|| Fault::new(pointer, format!("a number from {least} to {most}")))
}

fn at_most(pointer: &str, found: usize, most: usize) -> Option<Fault> {
    (found > most).then(|| Fault::new(pointer, format!("at most {most} items")))
}
