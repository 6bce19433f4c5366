//! The figures of a pre/post pilot.

use mass_savings::{PrePostResult, Week};
use plotters::prelude::{DrawingBackend, Polygon};
use plotters::style::Color;

use super::parts::{
    Axis, BAD, BAND, GOOD, MEASURED, PREDICTED, QUIET, around, chart, decimals, empty, legend, line, mesh, points, real,
};
use super::{Area, DrawError, failed};
use crate::language::{Language, date};

const DAY: f64 = 86_400.0;

fn days(seconds: i64) -> f64 {
    i32::try_from(seconds.div_euclid(3600)).map_or(0.0, f64::from) / 24.0
}

/// Returns the middle of a week's usable hours, in days since 1970.
fn middle(week: &Week) -> f64 {
    days(week.from) + real(week.hours) / 48.0
}

fn label_of_day(day: &f64) -> String {
    // Whole days of four digits or five, so that the conversion is exact.
    let seconds = format!("{:.0}", (day + 1e-6).floor() * DAY).parse().unwrap_or_default();
    date(seconds)
}

/// Returns stretches of weeks without a week missing in between.
fn stretches(weeks: &[Week]) -> impl Iterator<Item = &[Week]> {
    weeks.chunk_by(|a, b| b.from - a.from == 7 * 86_400)
}

/// Measured and predicted mean power by week.
pub(super) fn before_after<B: DrawingBackend>(
    area: &Area<B>,
    result: &PrePostResult,
    language: Language,
) -> Result<(), DrawError> {
    let power = |week: &Week, energy: f64| energy / real(week.hours.max(1));
    let ends = |week: &Week| {
        let band = [week.predicted_kwh - week.half_width_kwh, week.predicted_kwh + week.half_width_kwh];
        [week.measured_kwh, band[0], band[1]].map(|energy| power(week, energy))
    };
    let (before, after) = (&result.weeks.baseline, &result.weeks.reporting);
    let all = || before.iter().chain(after);
    let (Some(x), Some(y)) = (around(all().map(middle)), around(all().flat_map(ends))) else {
        return empty(area, language);
    };
    let (low, high, digits) = (y.start, y.end, decimals(&y));
    let mut chart = chart(area, x, y)?;
    for stretch in stretches(before).chain(stretches(after)) {
        let edge =
            |sign: f64| move |week: &Week| (middle(week), power(week, week.predicted_kwh + sign * week.half_width_kwh));
        let band: Vec<_> = stretch.iter().map(edge(1.0)).chain(stretch.iter().rev().map(edge(-1.0))).collect();
        chart.draw_series([Polygon::new(band, BAND.filled())]).map_err(failed)?;
    }
    let label = |value: &f64| language.number(*value, digits);
    let x = Axis { title: language.of("week", "semana"), label: &label_of_day, labels: 8 };
    let y = Axis { title: language.of("mean power (kW)", "potencia media (kW)"), label: &label, labels: 8 };
    mesh(&mut chart, &x, &y)?;
    for stretch in stretches(before).chain(stretches(after)) {
        let of = |energy: fn(&Week) -> f64| {
            stretch.iter().map(move |week| (middle(week), power(week, energy(week)))).collect::<Vec<_>>()
        };
        line(&mut chart, of(|week| week.predicted_kwh), PREDICTED, 2)?;
        line(&mut chart, of(|week| week.measured_kwh), MEASURED, 3)?;
    }
    if let Some(first) = after.first() {
        line(&mut chart, vec![(days(first.from), low), (days(first.from), high)], QUIET, 2)?;
    }
    let entries = [
        (&MEASURED, language.of("measured", "medido")),
        (&PREDICTED, language.of("predicted without the retrofit", "previsto sin la reforma")),
        (&BAND, language.of("90 % band of a week", "banda semanal del 90 %")),
        (&QUIET, language.of("reporting period begins", "empieza el periodo de informe")),
    ];
    legend(area, &entries)
}

/// Measured less predicted energy by week, in percent.
pub(super) fn residuals<B: DrawingBackend>(
    area: &Area<B>,
    result: &PrePostResult,
    language: Language,
) -> Result<(), DrawError> {
    let residual = |week: &Week| {
        (week.predicted_kwh > 0.0).then(|| (middle(week), 100.0 * (week.measured_kwh / week.predicted_kwh - 1.0)))
    };
    let of = |weeks: &[Week]| weeks.iter().filter_map(residual).collect::<Vec<_>>();
    let (before, after) = (of(&result.weeks.baseline), of(&result.weeks.reporting));
    let band = result.weeks.baseline.first().filter(|week| week.predicted_kwh > 0.0);
    let band = band.map_or(0.0, |week| 100.0 * week.half_width_kwh / week.predicted_kwh);
    let all = || before.iter().chain(&after);
    let x = around(all().map(|it| it.0));
    let y = around(all().map(|it| it.1).chain([0.0, band, -band]));
    let (Some(x), Some(y)) = (x, y) else { return empty(area, language) };
    let (ends, digits) = ([x.start, x.end], decimals(&y));
    let mut chart = chart(area, x, y)?;
    let edges = vec![(ends[0], band), (ends[1], band), (ends[1], -band), (ends[0], -band)];
    chart.draw_series([Polygon::new(edges, BAND.filled())]).map_err(failed)?;
    let label = |value: &f64| language.number(*value, digits);
    let x = Axis { title: language.of("week", "semana"), label: &label_of_day, labels: 8 };
    let y =
        Axis { title: language.of("measured − predicted (%)", "medido − previsto (%)"), label: &label, labels: 8 };
    mesh(&mut chart, &x, &y)?;
    line(&mut chart, vec![(ends[0], 0.0), (ends[1], 0.0)], QUIET, 2)?;
    points(&mut chart, before.into_iter(), MEASURED)?;
    points(&mut chart, after.into_iter(), PREDICTED)?;
    let entries = [
        (&MEASURED, language.of("baseline, each week left out", "línea base, cada semana excluida")),
        (&PREDICTED, language.of("reporting period", "periodo de informe")),
        (&BAND, language.of("90 % band of a week", "banda semanal del 90 %")),
    ];
    legend(area, &entries)
}

/// The savings of placebo pilots with their intervals.
pub(super) fn placebo<B: DrawingBackend>(
    area: &Area<B>,
    result: &PrePostResult,
    language: Language,
) -> Result<(), DrawError> {
    let pilots = result.placebo.iter().flat_map(|it| &it.pilots);
    let found: Vec<(f64, f64)> = pilots.filter_map(|it| it.saving_percent.zip(it.half_width_percent)).collect();
    let claimed = result.saving.as_ref().or(result.offer.as_ref()).map(|it| it.saving_percent);
    if found.is_empty() {
        return empty(area, language);
    }
    let ends = found.iter().flat_map(|(saving, half)| [saving - half, saving + half]).chain([0.0]).chain(claimed);
    let Some(y) = around(ends) else { return empty(area, language) };
    let (width, digits) = (real(found.len()), decimals(&y));
    let mut chart = chart(area, 0.0..width + 1.0, y)?;
    let label = |value: &f64| language.number(*value, digits);
    let number = |value: &f64| language.number(*value, 0);
    let x = Axis { title: language.of("placebo pilot", "piloto placebo"), label: &number, labels: found.len().min(24) };
    let y = Axis { title: language.of("saving found (%)", "ahorro hallado (%)"), label: &label, labels: 8 };
    mesh(&mut chart, &x, &y)?;
    line(&mut chart, vec![(0.0, 0.0), (width + 1.0, 0.0)], QUIET, 2)?;
    if let Some(claimed) = claimed {
        line(&mut chart, vec![(0.0, claimed), (width + 1.0, claimed)], MEASURED, 2)?;
    }
    for (number, (saving, half)) in found.iter().enumerate() {
        let at = real(number) + 1.0;
        let color = if saving.abs() <= *half { GOOD } else { BAD };
        line(&mut chart, vec![(at, saving - half), (at, saving + half)], color, 3)?;
        points(&mut chart, std::iter::once((at, *saving)), color)?;
    }
    let mut entries = vec![
        (&GOOD, language.of("interval covers zero", "el intervalo cubre cero")),
        (&BAD, language.of("interval misses zero", "el intervalo no cubre cero")),
    ];
    if claimed.is_some() {
        entries.push((&MEASURED, language.of("saving of this report", "ahorro de este informe")));
    }
    legend(area, &entries)
}
