//! Pages that fill from top to bottom.

use pdf_writer::{Content, Filter, Finish, Pdf, Rect, Ref, TextStr};

use super::backend::FigureBackend;
use super::font::{Fonts, Weight, deflated, write_text};
use crate::document::ReportDocument;
use crate::figure::{DrawError, Figure, SIZE, draw};
use crate::language::Language;

/// The size of A4, in points.
const PAGE: (f32, f32) = (595.0, 842.0);
const LEFT: f32 = 56.0;
const WIDTH: f32 = PAGE.0 - 2.0 * LEFT;
const TOP: f32 = 790.0;
const BOTTOM: f32 = 62.0;

/// A colour.
pub(crate) type Rgb = (u8, u8, u8);
pub(crate) const INK: Rgb = (30, 30, 30);
pub(crate) const QUIET: Rgb = (105, 105, 105);
const RULE: Rgb = (215, 215, 215);

/// A style of letters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Letters {
    pub(crate) size: f32,
    pub(crate) weight: Weight,
    pub(crate) color: Rgb,
}

pub(crate) const BODY: Letters = Letters { size: 9.5, weight: Weight::Regular, color: INK };
pub(crate) const SMALL: Letters = Letters { size: 8.0, weight: Weight::Regular, color: QUIET };
const HEADING: Letters = Letters { size: 12.5, weight: Weight::Bold, color: INK };

/// The pages of a paper.
pub(crate) struct Pages<'a> {
    fonts: &'a Fonts,
    done: Vec<Content>,
    page: Content,
    /// The height of the next line's top above the page's lower edge.
    y: f32,
}

impl<'a> Pages<'a> {
    pub(crate) fn new(fonts: &'a Fonts) -> Self {
        Self { fonts, done: Vec::new(), page: Content::new(), y: TOP }
    }

    /// Begins a new page unless there is so much room left.
    pub(crate) fn reserve(&mut self, height: f32) {
        if self.y - height < BOTTOM && self.y < TOP {
            self.done.push(std::mem::replace(&mut self.page, Content::new()));
            self.y = TOP;
        }
    }

    pub(crate) fn space(&mut self, height: f32) {
        self.y -= height;
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.heading_before(text, 70.0);
    }

    /// Writes a heading on the page of what follows, which has so much height.
    pub(crate) fn heading_before(&mut self, text: &str, height: f32) {
        self.space(10.0);
        self.reserve(height);
        self.lines(text, HEADING, 0.0, WIDTH);
        self.space(3.0);
    }

    /// Writes a paragraph over the whole width.
    pub(crate) fn paragraph(&mut self, text: &str, letters: Letters) {
        self.lines(text, letters, 0.0, WIDTH);
        self.space(3.0);
    }

    /// Writes a row of a table: cells of equal height, each with its share of the width.
    pub(crate) fn row(&mut self, cells: &[(&str, f32)], letters: Letters) {
        let wrapped: Vec<Vec<String>> =
            cells.iter().map(|(text, share)| self.wrap(text, letters, share * WIDTH - 6.0)).collect();
        let lines = wrapped.iter().map(Vec::len).max().unwrap_or(1);
        let step = letters.size * 1.35;
        for line in 0..lines {
            self.reserve(step + 4.0);
            let mut x = LEFT;
            for (cell, (_, share)) in wrapped.iter().zip(cells) {
                if let Some(text) = cell.get(line) {
                    self.text(text, letters, x, self.y - letters.size);
                }
                x += share * WIDTH;
            }
            self.space(step);
        }
        self.space(1.5);
        self.rule();
        self.space(2.5);
    }

    fn rule(&mut self) {
        self.stroke(RULE);
        self.page.set_line_width(0.5).move_to(LEFT, self.y).line_to(LEFT + WIDTH, self.y).stroke();
    }

    /// Writes a text on a coloured ground.
    pub(crate) fn banner(&mut self, text: &str, ground: Rgb) {
        let letters = Letters { size: 13.0, weight: Weight::Bold, color: (255, 255, 255) };
        let lines = self.wrap(text, letters, WIDTH - 20.0);
        let step = letters.size * 1.35;
        let height = lines.iter().fold(14.0, |height, _| height + step);
        self.reserve(height + 6.0);
        self.fill(ground);
        self.page.rect(LEFT, self.y - height, WIDTH, height).fill_nonzero();
        let top = self.y;
        self.space(7.0);
        for line in lines {
            self.text(&line, letters, LEFT + 10.0, self.y - letters.size);
            self.space(step);
        }
        self.y = top - height - 6.0;
    }

    /// Draws a figure over the whole width, with its caption.
    pub(crate) fn figure(
        &mut self,
        figure: Figure,
        document: &ReportDocument,
        caption: &str,
        language: Language,
    ) -> Result<(), DrawError> {
        let [width, height] = [SIZE.0, SIZE.1].map(|it| u16::try_from(it).map_or(1.0, f32::from));
        let scale = WIDTH / width;
        self.reserve(height * scale + 44.0);
        let origin = (LEFT, self.y);
        draw(FigureBackend::new(&mut self.page, self.fonts, origin, scale), figure, document, language)?;
        self.space(height * scale + 2.0);
        self.paragraph(caption, SMALL);
        self.space(6.0);
        Ok(())
    }

    fn lines(&mut self, text: &str, letters: Letters, indent: f32, width: f32) {
        let step = letters.size * 1.35;
        for line in self.wrap(text, letters, width) {
            self.reserve(step);
            self.text(&line, letters, LEFT + indent, self.y - letters.size);
            self.space(step);
        }
    }

    /// Breaks a text into lines of at most a width. Words that are wider are broken anywhere.
    fn wrap(&self, text: &str, letters: Letters, width: f32) -> Vec<String> {
        let font = self.fonts.of(letters.weight);
        let mut lines = Vec::new();
        for paragraph in text.split('\n') {
            let mut line = String::new();
            let mut used = 0.0;
            for word in paragraph.split_inclusive(' ') {
                if used + font.width(word.trim_end(), letters.size) > width && !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                }
                for character in word.chars() {
                    let advance = font.width(character.encode_utf8(&mut [0; 4]), letters.size);
                    if used + advance > width && character != ' ' {
                        lines.push(std::mem::take(&mut line));
                        used = 0.0;
                    }
                    line.push(character);
                    used += advance;
                }
            }
            lines.push(line);
        }
        lines
    }

    fn text(&mut self, text: &str, letters: Letters, x: f32, y: f32) {
        self.fill(letters.color);
        write_text(&mut self.page, self.fonts, text, (letters.weight, letters.size), [1.0, 0.0, 0.0, 1.0, x, y]);
    }

    fn fill(&mut self, (r, g, b): Rgb) {
        let [r, g, b] = [r, g, b].map(|part| f32::from(part) / 255.0);
        self.page.set_fill_rgb(r, g, b);
    }

    fn stroke(&mut self, (r, g, b): Rgb) {
        let [r, g, b] = [r, g, b].map(|part| f32::from(part) / 255.0);
        self.page.set_stroke_rgb(r, g, b);
    }

    /// Writes the footers, and returns the file.
    pub(crate) fn finish(mut self, title: &str, footer: &str, language: Language) -> Vec<u8> {
        self.done.push(std::mem::replace(&mut self.page, Content::new()));
        let count = self.done.len();
        let mut pages = std::mem::take(&mut self.done);
        for (number, page) in pages.iter_mut().enumerate() {
            std::mem::swap(&mut self.page, page);
            let place = format!("{} / {count}", number + 1);
            let width = self.fonts.of(Weight::Regular).width(&place, SMALL.size);
            self.text(footer, Letters { size: 6.5, ..SMALL }, LEFT, 40.0);
            self.text(&place, SMALL, LEFT + WIDTH - width, 40.0);
            std::mem::swap(&mut self.page, page);
        }
        assemble(pages, self.fonts, title, language)
    }
}

/// Puts a file together: catalogue, fonts, pages. It has neither a date nor a random id.
fn assemble(pages: Vec<Content>, fonts: &Fonts, title: &str, language: Language) -> Vec<u8> {
    let mut ids = (1..).map(Ref::new);
    let mut next = || ids.next().unwrap_or(Ref::new(i32::MAX));
    let (catalogue, tree, information) = (next(), next(), next());
    let mut pdf = Pdf::new();
    pdf.catalog(catalogue).pages(tree).lang(TextStr(language.of("en", "es")));
    pdf.document_info(information).title(TextStr(title)).creator(TextStr("MASS"));
    let fonts: Vec<_> = fonts
        .both()
        .into_iter()
        .map(|font| {
            let parts = [next(), next(), next(), next(), next()];
            font.embed(&mut pdf, parts);
            (font.key, parts[0])
        })
        .collect();
    let kids: Vec<(Ref, Ref)> = pages.iter().map(|_| (next(), next())).collect();
    let count = i32::try_from(kids.len()).unwrap_or(i32::MAX);
    pdf.pages(tree).kids(kids.iter().map(|(page, _)| *page)).count(count);
    for (content, (id, stream)) in pages.into_iter().zip(kids) {
        let mut page = pdf.page(id);
        page.parent(tree).media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).contents(stream);
        let mut resources = page.resources();
        let mut dictionary = resources.fonts();
        fonts.iter().for_each(|(key, font)| {
            dictionary.pair(*key, *font);
        });
        dictionary.finish();
        resources.finish();
        page.finish();
        pdf.stream(stream, &deflated(content.finish().as_slice())).filter(Filter::FlateDecode);
    }
    pdf.finish()
}
