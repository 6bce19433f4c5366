//! Figures on a page: a backend of `plotters` that writes the page's content.

use std::convert::Infallible;

use pdf_writer::Content;
use pdf_writer::types::{LineCapStyle, LineJoinStyle};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontTransform,
};

use super::font::{Fonts, Weight, write_text};
use crate::figure::SIZE;

/// The height of capital letters, as a share of the letters' size.
const CAPITALS: f32 = 0.73;
/// The share of a circle's radius at which its Bézier curves have their handles.
const HANDLE: f32 = 0.5523;

/// A figure's part of a page.
pub(super) struct FigureBackend<'a> {
    page: &'a mut Content,
    fonts: &'a Fonts,
    /// The upper left corner, in points.
    origin: (f32, f32),
    /// Points per pixel.
    scale: f32,
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

fn pixels(value: impl TryInto<i16>) -> f32 {
    value.try_into().map_or(0.0, f32::from)
}

impl<'a> FigureBackend<'a> {
    pub(super) fn new(page: &'a mut Content, fonts: &'a Fonts, origin: (f32, f32), scale: f32) -> Self {
        Self { page, fonts, origin, scale }
    }

    fn at(&self, (x, y): BackendCoord) -> (f32, f32) {
        (self.origin.0 + self.scale * pixels(x), self.origin.1 - self.scale * pixels(y))
    }

    /// Sets colour and width; returns whether anything is to be seen.
    fn dress<S: BackendStyle>(&mut self, style: &S, fill: bool) -> bool {
        let BackendColor { alpha, rgb: (r, g, b) } = style.color();
        let [r, g, b] = [r, g, b].map(|part| f32::from(part) / 255.0);
        if fill {
            self.page.set_fill_rgb(r, g, b);
        } else {
            self.page.set_stroke_rgb(r, g, b);
            self.page.set_line_width(self.scale * pixels(style.stroke_width()));
            self.page.set_line_cap(LineCapStyle::ButtCap).set_line_join(LineJoinStyle::RoundJoin);
        }
        alpha > 0.0
    }

    /// Draws the outline of some points, open or filled.
    fn trace(&mut self, points: impl IntoIterator<Item = BackendCoord>, fill: bool) {
        let mut points = points.into_iter();
        let Some(first) = points.next() else { return };
        let (x, y) = self.at(first);
        self.page.move_to(x, y);
        for point in points {
            let (x, y) = self.at(point);
            self.page.line_to(x, y);
        }
        if fill {
            self.page.fill_nonzero()
        } else {
            self.page.stroke()
        };
    }

    fn size_of(&self, style: &impl BackendTextStyle) -> f32 {
        // Sizes are whole pixels.
        let size = style.size();
        (0..200_i16).map(f32::from).find(|it| f64::from(*it) >= size).unwrap_or_default()
    }
}

impl DrawingBackend for FigureBackend<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        SIZE
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        self.draw_rect((x, y), (x + 1, y + 1), &color, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, fill: bool) -> Drawn {
        if self.dress(style, fill) {
            self.trace([from, (to.0, from.1), to, (from.0, to.1), from], fill);
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        if self.dress(style, false) {
            self.trace(path, false);
        }
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        if self.dress(style, true) {
            self.trace(path, true);
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn {
        if !self.dress(style, fill) {
            return Ok(());
        }
        let ((x, y), r) = (self.at(center), self.scale * pixels(radius));
        let h = HANDLE * r;
        self.page
            .move_to(x + r, y)
            .cubic_to(x + r, y + h, x + h, y + r, x, y + r)
            .cubic_to(x - h, y + r, x - r, y + h, x - r, y)
            .cubic_to(x - r, y - h, x - h, y - r, x, y - r)
            .cubic_to(x + h, y - r, x + r, y - h, x + r, y);
        if fill {
            self.page.fill_nonzero()
        } else {
            self.page.stroke()
        };
        Ok(())
    }

    fn draw_text<T: BackendTextStyle>(&mut self, text: &str, style: &T, at: BackendCoord) -> Drawn {
        if !self.dress(&style.color(), true) {
            return Ok(());
        }
        let size = self.size_of(style) * self.scale;
        let width = self.fonts.of(Weight::Regular).width(text, size);
        let anchor = style.anchor();
        let along = match anchor.h_pos {
            HPos::Left => 0.0,
            HPos::Center => -width / 2.0,
            HPos::Right => -width,
        };
        // From the anchor up to the base line.
        let up = match anchor.v_pos {
            VPos::Top => -size * CAPITALS,
            VPos::Center => -size * CAPITALS / 2.0,
            VPos::Bottom => 0.0,
        };
        let (x, y) = self.at(at);
        let (cos, sin) = match style.transform() {
            FontTransform::None => (1.0, 0.0),
            FontTransform::Rotate90 => (0.0, -1.0),
            FontTransform::Rotate180 => (-1.0, 0.0),
            FontTransform::Rotate270 => (0.0, 1.0),
        };
        let matrix = [cos, sin, -sin, cos, x + along * cos - up * sin, y + along * sin + up * cos];
        write_text(self.page, self.fonts, text, (Weight::Regular, size), matrix);
        Ok(())
    }

    fn estimate_text_size<T: BackendTextStyle>(
        &self,
        text: &str,
        style: &T,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let size = self.size_of(style);
        let width = self.fonts.of(Weight::Regular).width(text, size);
        let whole = |value: f32| (0..u16::MAX).find(|it| f32::from(*it) >= value).map_or(0, u32::from);
        Ok((whole(width), whole(size * CAPITALS)))
    }
}
