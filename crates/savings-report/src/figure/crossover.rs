//! The figures of a crossover.

use mass_savings::CrossoverDay;
use plotters::prelude::{DrawingBackend, Rectangle};
use plotters::style::Color;

use super::parts::{
    Axis, GOOD, MEASURED, PREDICTED, QUIET, around, chart, decimals, empty, legend, line, mesh, points, real,
};
use super::{Area, DrawError, failed};
use crate::document::CrossoverResult;
use crate::language::{Language, date};

/// The bars of the histogram.
const BARS: usize = 24;

fn days_of(result: &CrossoverResult) -> Vec<&CrossoverDay> {
    result.evaluation.iter().flat_map(|it| &it.days).filter(|day| day.hours > 0).collect()
}

fn at(day: &CrossoverDay) -> f64 {
    i32::try_from(day.day).map_or(0.0, f64::from)
}

fn label_of_day(day: &f64) -> String {
    let number: i64 = format!("{:.0}", day.floor()).parse().unwrap_or_default();
    date(number * 86_400)
}

/// Measured mean power by day, and what is expected without the retrofit.
pub(super) fn days<B: DrawingBackend>(
    area: &Area<B>,
    result: &CrossoverResult,
    language: Language,
) -> Result<(), DrawError> {
    let days = days_of(result);
    let power = |day: &CrossoverDay, energy: f64| energy / real(day.hours);
    let measured = |day: &CrossoverDay| (at(day), power(day, day.measured_kwh));
    let expected = |day: &CrossoverDay| (at(day), power(day, day.expected_kwh));
    let (x, y) = (
        around(days.iter().map(|day| at(day))),
        around(days.iter().flat_map(|day| [measured(day).1, expected(day).1])),
    );
    let (Some(x), Some(y)) = (x, y) else { return empty(area, language) };
    let digits = decimals(&y);
    let mut chart = chart(area, x, y)?;
    let label = |value: &f64| language.number(*value, digits);
    let x = Axis { title: language.of("day", "día"), label: &label_of_day, labels: 8 };
    let y = Axis { title: language.of("mean power (kW)", "potencia media (kW)"), label: &label, labels: 8 };
    mesh(&mut chart, &x, &y)?;
    line(&mut chart, days.iter().map(|day| expected(day)).collect(), QUIET, 2)?;
    points(&mut chart, days.iter().filter(|day| !day.on).map(|day| measured(day)), MEASURED)?;
    points(&mut chart, days.iter().filter(|day| day.on).map(|day| measured(day)), PREDICTED)?;
    let entries = [
        (&MEASURED, language.of("measured, planned off", "medido, previsto sin")),
        (&PREDICTED, language.of("measured, planned on", "medido, previsto con")),
        (&QUIET, language.of("expected without the retrofit", "esperado sin la reforma")),
    ];
    legend(area, &entries)
}

/// Measured less expected energy by day, in percent.
pub(super) fn residuals<B: DrawingBackend>(
    area: &Area<B>,
    result: &CrossoverResult,
    language: Language,
) -> Result<(), DrawError> {
    let days: Vec<&CrossoverDay> = days_of(result).into_iter().filter(|day| day.expected_kwh > 0.0).collect();
    let residual = |day: &CrossoverDay| (at(day), 100.0 * (day.measured_kwh / day.expected_kwh - 1.0));
    let x = around(days.iter().map(|day| at(day)));
    let y = around(days.iter().map(|day| residual(day).1).chain([0.0]));
    let (Some(x), Some(y)) = (x, y) else { return empty(area, language) };
    let (ends, digits) = ([x.start, x.end], decimals(&y));
    let mut chart = chart(area, x, y)?;
    let label = |value: &f64| language.number(*value, digits);
    let x = Axis { title: language.of("day", "día"), label: &label_of_day, labels: 8 };
    let y = Axis {
        title: language.of("measured − expected without (%)", "medido − esperado sin (%)"),
        label: &label,
        labels: 8,
    };
    mesh(&mut chart, &x, &y)?;
    line(&mut chart, vec![(ends[0], 0.0), (ends[1], 0.0)], QUIET, 2)?;
    points(&mut chart, days.iter().filter(|day| !day.on).map(|day| residual(day)), MEASURED)?;
    points(&mut chart, days.iter().filter(|day| day.on).map(|day| residual(day)), PREDICTED)?;
    let entries = [
        (&MEASURED, language.of("planned off", "previsto sin")),
        (&PREDICTED, language.of("planned on", "previsto con")),
    ];
    legend(area, &entries)
}

/// The savings that other schedules would have found.
pub(super) fn redrawn<B: DrawingBackend>(
    area: &Area<B>,
    result: &CrossoverResult,
    language: Language,
) -> Result<(), DrawError> {
    let (Some(redrawn), Some(evaluation)) = (&result.redrawn, &result.evaluation) else {
        return empty(area, language);
    };
    let found = evaluation.intention_to_treat.saving_kwh;
    let Some(own) = around(redrawn.savings_kwh.iter().copied()) else { return empty(area, language) };
    let width = (own.end - own.start) / real(BARS);
    let counts: Vec<usize> = (0..BARS)
        .map(|bar| {
            let from = own.start + width * real(bar);
            redrawn.savings_kwh.iter().filter(|saving| (from..from + width).contains(*saving)).count()
        })
        .collect();
    let Some(x) = around([own.start, own.end, found, 0.0].into_iter()) else { return empty(area, language) };
    let high = real(counts.iter().copied().max().unwrap_or_default()) * 1.1 + 1.0;
    let digits = decimals(&x);
    let mut chart = chart(area, x, 0.0..high)?;
    let label = |value: &f64| language.number(*value, digits);
    let count = |value: &f64| language.number(*value, 0);
    let x = Axis { title: language.of("saving found (kWh)", "ahorro hallado (kWh)"), label: &label, labels: 10 };
    let y = Axis { title: language.of("schedules", "calendarios"), label: &count, labels: 6 };
    mesh(&mut chart, &x, &y)?;
    for (bar, count) in counts.iter().enumerate() {
        let from = own.start + width * real(bar);
        let bar = Rectangle::new([(from, 0.0), (from + width, real(*count))], GOOD.filled());
        chart.draw_series([bar]).map_err(failed)?;
    }
    line(&mut chart, vec![(found, 0.0), (found, high)], MEASURED, 3)?;
    let entries = [
        (&GOOD, language.of("other schedules in the same hours", "otros calendarios, mismas horas")),
        (&MEASURED, language.of("the schedule that was drawn", "el calendario sorteado")),
    ];
    legend(area, &entries)
}
