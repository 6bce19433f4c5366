//! The figures of a report, drawn on any backend of `plotters`.

mod crossover;
mod parts;
mod pre_post;

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend, IntoDrawingArea, SVGBackend};

use crate::document::{DesignResult, ReportDocument};
use crate::language::Language;

/// A figure of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Measured and predicted energy over time, with the band of the prediction.
    BeforeAfter,
    /// The hours by outdoor temperature and IT load, and which of them the baseline supports.
    SupportMap,
    /// Measured less predicted energy over time.
    Residuals,
    /// The savings found where there were none.
    Placebo,
}

impl Figure {
    /// All figures, in the order of papers.
    pub const ALL: [Self; 4] = [Self::BeforeAfter, Self::SupportMap, Self::Residuals, Self::Placebo];

    /// Returns its name, for addresses and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeAfter => "before-after",
            Self::SupportMap => "support-map",
            Self::Residuals => "residuals",
            Self::Placebo => "placebo",
        }
    }
}

/// The size of a figure, in pixels.
pub(crate) const SIZE: (u32, u32) = (1000, 440);

/// A figure or paper cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot draw: {0}")]
pub struct DrawError(pub(crate) String);

/// The area of a figure.
pub(crate) type Area<B> = DrawingArea<B, Shift>;

/// Draws a figure.
pub(crate) fn draw<B: DrawingBackend>(
    backend: B,
    figure: Figure,
    document: &ReportDocument,
    language: Language,
) -> Result<(), DrawError> {
    let area = backend.into_drawing_area();
    area.fill(&plotters::style::WHITE).map_err(failed)?;
    match (&document.result, figure) {
        (DesignResult::PrePost(it), Figure::BeforeAfter) => pre_post::before_after(&area, it, language),
        (DesignResult::PrePost(it), Figure::Residuals) => pre_post::residuals(&area, it, language),
        (DesignResult::PrePost(it), Figure::SupportMap) => parts::support_map(
            &area,
            &it.coverage,
            language,
            [
                language.of("baseline", "línea base"),
                language.of("reporting, supported", "periodo de informe, cubierta"),
            ],
        ),
        (DesignResult::PrePost(it), Figure::Placebo) => pre_post::placebo(&area, it, language),
        (DesignResult::Crossover(it), Figure::BeforeAfter) => crossover::days(&area, it, language),
        (DesignResult::Crossover(it), Figure::Residuals) => crossover::residuals(&area, it, language),
        (DesignResult::Crossover(it), Figure::SupportMap) => parts::support_map(
            &area,
            &it.coverage,
            language,
            [language.of("days off", "días sin"), language.of("days on", "días con")],
        ),
        (DesignResult::Crossover(it), Figure::Placebo) => crossover::redrawn(&area, it, language),
    }?;
    area.present().map_err(failed)
}

/// Draws a figure as SVG.
///
/// # Errors
/// [`DrawError`].
pub fn svg(document: &ReportDocument, figure: Figure, language: Language) -> Result<String, DrawError> {
    let mut text = String::new();
    draw(SVGBackend::with_string(&mut text, SIZE), figure, document, language)?;
    Ok(text)
}

pub(crate) fn failed(error: impl std::fmt::Display) -> DrawError {
    DrawError(error.to_string())
}
