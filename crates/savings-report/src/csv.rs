//! A report as a table.

use mass_savings::{CrossoverDay, Week};

use crate::document::{DesignResult, Figures, ReportDocument};
use crate::language::date;

/// The header: the part of the report, the day it starts on (for series), what is told, its value, its half-width at
/// 90 % confidence, and the unit of both.
const HEADER: &str = "section,from,name,value,half_width,unit\n";

/// Writes a report as CSV (RFC 4180, with line feeds alone): a row per value, `.` in numbers, days in UTC.
///
/// It has the figures and the series; for all the rest there is the document.
#[must_use]
pub fn csv(document: &ReportDocument) -> String {
    let mut table = Table(HEADER.to_owned());
    table.text("verdict", "standing", &name_of(document.verdict.standing));
    table.text("log", "root", &document.as_of.root);
    table.text("log", "project_fingerprint", &document.project_fingerprint);
    for (section, figures) in [("saving", &document.saving), ("offer", &document.offer)] {
        if let Some(figures) = figures {
            table.figures(section, figures);
        }
    }
    match &document.result {
        DesignResult::PrePost(result) => {
            table.weeks("week_baseline", &result.weeks.baseline);
            table.weeks("week_reporting", &result.weeks.reporting);
        }
        DesignResult::Crossover(result) => {
            if let Some(figures) = &result.as_treated {
                table.figures("as_treated", figures);
            }
            result.evaluation.iter().flat_map(|it| &it.days).for_each(|day| table.day(day));
        }
    }
    table.0
}

/// Returns the name of an enumeration's value without members, as in the document.
fn name_of(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The rows. No cell needs quotes: all texts are names of ours, days, or digits.
struct Table(String);

impl Table {
    fn text(&mut self, section: &str, name: &str, value: &str) {
        self.0.push_str(&format!("{section},,{name},{value},,\n"));
    }

    fn value(&mut self, at: (&str, &str), name: &str, value: f64, half_width: Option<f64>, unit: &str) {
        let half_width = half_width.map_or_else(String::new, |it| it.to_string());
        self.0.push_str(&format!("{},{},{name},{value},{half_width},{unit}\n", at.0, at.1));
    }

    fn figures(&mut self, section: &str, figures: &Figures) {
        let at = (section, "");
        self.value(at, "energy", figures.energy_kwh, Some(figures.half_width_kwh), "kWh");
        self.value(at, "share", figures.percent, Some(figures.half_width_percent), "%");
        if let Some(cost) = &figures.cost {
            self.value(at, "cost", cost.amount, Some(cost.half_width), &cost.currency);
        }
        if let Some(priced) = &figures.priced {
            self.value(at, "priced_hours", priced.share, None, "1");
        }
        if let Some(co2e) = &figures.co2e {
            self.value(at, "co2e", co2e.kg, Some(co2e.half_width_kg), "kg");
        }
    }

    fn weeks(&mut self, section: &str, weeks: &[Week]) {
        for week in weeks {
            let from = date(week.from);
            let at = (section, from.as_str());
            self.value(at, "measured", week.measured_kwh, None, "kWh");
            self.value(at, "predicted", week.predicted_kwh, Some(week.half_width_kwh), "kWh");
        }
    }

    fn day(&mut self, day: &CrossoverDay) {
        let from = date(day.day.saturating_mul(86_400));
        let at = (if day.on { "day_on" } else { "day_off" }, from.as_str());
        self.value(at, "treated", day.treated, None, "1");
        self.value(at, "measured", day.measured_kwh, None, "kWh");
        self.value(at, "expected_without", day.expected_kwh, None, "kWh");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{crossover, pre_post, report};

    #[test]
    fn every_row_has_six_cells_and_the_figures_of_the_document() {
        for (pilot, rows) in [(pre_post(), 2 * 46), (crossover(), 3 * 56 + 4)] {
            let document = report(&pilot);
            let text = csv(&document);
            assert!(text.lines().all(|line| line.split(',').count() == 6), "{text}");
            assert_eq!(text.lines().count(), 1 + 3 + 4 + rows);
            let figures = document.saving.as_ref().or(document.offer.as_ref()).unwrap();
            let row = format!(",energy,{},{},kWh\n", figures.energy_kwh, figures.half_width_kwh);
            assert!(text.contains(&row), "{text}");
        }
    }
}
