//! What several figures have in common.

use mass_savings::{Bin, Coverage};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    Cartesian2d, ChartBuilder, ChartContext, Circle, DrawingBackend, EmptyElement, IntoFont, PathElement, Rectangle,
    Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, RGBColor, TextStyle};
use std::ops::Range;

use super::{Area, DrawError, SIZE, failed};
use crate::language::Language;

pub(super) const MEASURED: RGBColor = RGBColor(31, 78, 121);
pub(super) const PREDICTED: RGBColor = RGBColor(201, 96, 20);
pub(super) const BAND: RGBColor = RGBColor(250, 222, 198);
pub(super) const GOOD: RGBColor = RGBColor(38, 128, 72);
pub(super) const BAD: RGBColor = RGBColor(190, 40, 40);
pub(super) const QUIET: RGBColor = RGBColor(120, 120, 120);
const GRID: RGBColor = RGBColor(225, 225, 225);

/// The size of letters, in pixels.
const LETTERS: f64 = 17.0;

/// A chart with two axes of numbers.
pub(super) type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

pub(super) fn letters(color: &RGBColor) -> TextStyle<'static> {
    ("sans-serif", LETTERS).into_font().color(color)
}

/// Builds a chart with room for a legend at the top.
pub(super) fn chart<'a, B: DrawingBackend>(
    area: &'a Area<B>,
    x: Range<f64>,
    y: Range<f64>,
) -> Result<Chart<'a, B>, DrawError> {
    ChartBuilder::on(area)
        .margin_top(40)
        .margin_right(30)
        .margin_left(8)
        .margin_bottom(6)
        .x_label_area_size(52)
        .y_label_area_size(84)
        .build_cartesian_2d(x, y)
        .map_err(failed)
}

/// The texts of an axis.
pub(super) struct Axis<'a> {
    pub(super) title: &'a str,
    pub(super) label: &'a dyn Fn(&f64) -> String,
    pub(super) labels: usize,
}

/// Draws grid, axes and their texts.
pub(super) fn mesh<B: DrawingBackend>(chart: &mut Chart<'_, B>, x: &Axis<'_>, y: &Axis<'_>) -> Result<(), DrawError> {
    chart
        .configure_mesh()
        .light_line_style(plotters::style::TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(QUIET)
        .label_style(letters(&BLACK))
        .axis_desc_style(letters(&BLACK))
        .x_labels(x.labels)
        .y_labels(y.labels)
        .x_label_formatter(x.label)
        .y_label_formatter(y.label)
        .x_desc(x.title)
        .y_desc(y.title)
        .draw()
        .map_err(failed)
}

/// Draws coloured names at the top.
pub(super) fn legend<B: DrawingBackend>(area: &Area<B>, entries: &[(&RGBColor, &str)]) -> Result<(), DrawError> {
    let mut x = 20;
    for (color, name) in entries {
        area.draw(&Rectangle::new([(x, 14), (x + 16, 26)], color.filled())).map_err(failed)?;
        let style = letters(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new((*name).to_owned(), (x + 23, 20), style)).map_err(failed)?;
        // The width of letters differs between programs that show SVG, so there is room to spare.
        x += 46 + i32::try_from(name.chars().count()).unwrap_or_default() * 19 / 2;
    }
    Ok(())
}

/// Says that there is nothing to show.
pub(super) fn empty<B: DrawingBackend>(area: &Area<B>, language: Language) -> Result<(), DrawError> {
    let style = letters(&QUIET).pos(Pos::new(HPos::Center, VPos::Center));
    let (width, height) = (SIZE.0 / 2, SIZE.1 / 2);
    let at = (i32::try_from(width).unwrap_or_default(), i32::try_from(height).unwrap_or_default());
    let text = language.of("Nothing was computed that this figure shows.", "No se calculó nada que mostrar aquí.");
    area.draw(&Text::new(text.to_owned(), at, style)).map_err(failed)
}

/// Returns a range around some values, with a margin; `None` without values.
pub(super) fn around(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        low = low.min(value);
        high = high.max(value);
    }
    let margin = if high > low { 0.06 * (high - low) } else { (1e-3 * high.abs()).max(1e-6) };
    (low <= high).then_some(low - margin..high + margin)
}

/// Draws a straight line.
pub(super) fn line<B: DrawingBackend>(
    chart: &mut Chart<'_, B>,
    points: Vec<(f64, f64)>,
    color: RGBColor,
    width: u32,
) -> Result<(), DrawError> {
    chart.draw_series([PathElement::new(points, color.stroke_width(width))]).map_err(failed)?;
    Ok(())
}

/// Draws points.
pub(super) fn points<B: DrawingBackend>(
    chart: &mut Chart<'_, B>,
    points: impl Iterator<Item = (f64, f64)>,
    color: RGBColor,
) -> Result<(), DrawError> {
    chart.draw_series(points.map(|point| Circle::new(point, 4, color.filled()))).map_err(failed)?;
    Ok(())
}

/// Returns how many decimals the labels of an axis need to differ.
pub(super) fn decimals(range: &Range<f64>) -> usize {
    let width = range.end - range.start;
    if width > 12.0 {
        0
    } else if width > 1.2 {
        1
    } else {
        3
    }
}

pub(super) fn real(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// Draws hours by outdoor temperature and IT load: those of the baseline as shades, those of the reporting period as
/// dots whose area grows with their number.
pub(super) fn support_map<B: DrawingBackend>(
    area: &Area<B>,
    coverage: &Coverage,
    language: Language,
    [baseline, supported]: [&str; 2],
) -> Result<(), DrawError> {
    let ends = |bins: &[Bin]| bins.first().zip(bins.last()).map(|(first, last)| first.from..last.until);
    let (Some(x), Some(y)) = (ends(&coverage.temperature), ends(&coverage.it)) else { return empty(area, language) };
    let digits = decimals(&y);
    let mut chart = chart(area, x, y)?;
    let most =
        |count: fn(&mass_savings::Cell) -> usize| real(coverage.cells.iter().map(count).max().unwrap_or(1).max(1));
    let most_before = most(|cell| cell.baseline_hours);
    let most_after = most(|cell| cell.supported_hours.max(cell.unsupported_hours));
    for cell in coverage.cells.iter().filter(|cell| cell.baseline_hours > 0) {
        let (t, it) = (coverage.temperature[cell.temperature], coverage.it[cell.it]);
        let share = 0.25 + 0.75 * (real(cell.baseline_hours) / most_before).sqrt();
        let shade = faded(MEASURED, 0.55 * share).filled();
        chart.draw_series([Rectangle::new([(t.from, it.from), (t.until, it.until)], shade)]).map_err(failed)?;
    }
    let label = |value: &f64| language.number(*value, 0);
    let load = |value: &f64| language.number(*value, digits);
    let x =
        Axis {
            title: language.of("outdoor temperature (°C)", "temperatura exterior (°C)"), label: &label, labels: 12
        };
    let y = Axis { title: language.of("IT load (kW)", "carga de TI (kW)"), label: &load, labels: 8 };
    mesh(&mut chart, &x, &y)?;
    for cell in &coverage.cells {
        let (t, it) = (coverage.temperature[cell.temperature], coverage.it[cell.it]);
        let middle = (f64::midpoint(t.from, t.until), f64::midpoint(it.from, it.until));
        for (hours, color, aside) in [(cell.supported_hours, GOOD, -9), (cell.unsupported_hours, BAD, 9)] {
            if hours > 0 {
                let radius = 2 + radius((real(hours) / most_after).sqrt());
                let dot = EmptyElement::at(middle) + Circle::new((aside, 0), radius, color.filled());
                chart.draw_series([dot]).map_err(failed)?;
            }
        }
    }
    let mut entries = vec![(&MEASURED, baseline), (&GOOD, supported)];
    if coverage.cells.iter().any(|cell| cell.unsupported_hours > 0) {
        entries.push((&BAD, language.of("reporting, unsupported", "periodo de informe, no cubierta")));
    }
    legend(area, &entries)
}

/// Returns the radius of a dot, of 0 to 5 pixels.
fn radius(share: f64) -> u32 {
    [0.1, 0.3, 0.5, 0.7, 0.9].into_iter().map(|limit| u32::from(share > limit)).sum()
}

/// Returns a colour mixed with white: not all backends know transparency.
fn faded(color: RGBColor, share: f64) -> RGBColor {
    let mix = |part: u8| {
        let value = 255.0 + (f64::from(part) - 255.0) * share;
        (0..=255_u8).rev().find(|it| f64::from(*it) <= value).unwrap_or_default()
    };
    RGBColor(mix(color.0), mix(color.1), mix(color.2))
}
