//! The fonts: DejaVu Sans, embedded as they are, with a glyph per character.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str};
use ttf_parser::{Face, GlyphId};

use crate::figure::{DrawError, failed};

static REGULAR: &[u8] = include_bytes!("../../assets/dejavu/DejaVuSans.ttf");
static BOLD: &[u8] = include_bytes!("../../assets/dejavu/DejaVuSans-Bold.ttf");

const SYSTEM: SystemInfo<'static> = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// The weight of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

/// Both weights.
pub(crate) struct Fonts {
    regular: Font,
    bold: Font,
}

/// A font.
pub(crate) struct Font {
    data: &'static [u8],
    face: Face<'static>,
    /// The name in a page's resources, and that of the font itself.
    pub(crate) key: Name<'static>,
    name: Name<'static>,
}

impl Fonts {
    pub(crate) fn load() -> Result<Self, DrawError> {
        let font = |data, key, name| {
            let face = Face::parse(data, 0).map_err(failed)?;
            Ok(Font { data, face, key: Name(key), name: Name(name) })
        };
        Ok(Self { regular: font(REGULAR, b"F0", b"DejaVuSans")?, bold: font(BOLD, b"F1", b"DejaVuSans-Bold")? })
    }

    pub(crate) const fn of(&self, weight: Weight) -> &Font {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }

    pub(crate) const fn both(&self) -> [&Font; 2] {
        [&self.regular, &self.bold]
    }
}

impl Font {
    /// Returns the glyph of a character; that of a missing one, if the font lacks it.
    fn glyph(&self, character: char) -> GlyphId {
        self.face.glyph_index(character).unwrap_or(GlyphId(0))
    }

    /// Converts units of the font to thousandths of an em.
    fn thousandths(&self, units: i32) -> f32 {
        let units = i16::try_from(units).unwrap_or_default();
        f32::from(units) * 1000.0 / f32::from(self.face.units_per_em().max(1))
    }

    fn advance(&self, glyph: GlyphId) -> f32 {
        self.thousandths(self.face.glyph_hor_advance(glyph).map_or(0, i32::from))
    }

    /// Returns the width of a text.
    pub(crate) fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|character| self.advance(self.glyph(character))).sum::<f32>() * size / 1000.0
    }

    /// Returns the glyphs of a text, as a string of the font's encoding.
    pub(crate) fn encode(&self, text: &str) -> Vec<u8> {
        text.chars().flat_map(|character| self.glyph(character).0.to_be_bytes()).collect()
    }

    /// Embeds the font under an id, with its parts under the four that follow.
    pub(crate) fn embed(&self, pdf: &mut Pdf, [font, descendant, descriptor, file, unicode]: [Ref; 5]) {
        pdf.type0_font(font)
            .base_font(self.name)
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(descendant)
            .to_unicode(unicode);
        let mut cid = pdf.cid_font(descendant);
        cid.subtype(CidFontType::Type2)
            .base_font(self.name)
            .system_info(SYSTEM)
            .font_descriptor(descriptor)
            .default_width(0.0)
            .cid_to_gid_map_predefined(Name(b"Identity"));
        let glyphs = 0..self.face.number_of_glyphs();
        cid.widths().consecutive(0, glyphs.map(|glyph| self.advance(GlyphId(glyph))));
        cid.finish();
        let unit = |value: i16| self.thousandths(i32::from(value));
        let bounds = self.face.global_bounding_box();
        pdf.font_descriptor(descriptor)
            .name(self.name)
            .flags(FontFlags::NON_SYMBOLIC)
            .bbox(Rect::new(unit(bounds.x_min), unit(bounds.y_min), unit(bounds.x_max), unit(bounds.y_max)))
            .italic_angle(0.0)
            .ascent(unit(self.face.ascender()))
            .descent(unit(self.face.descender()))
            .cap_height(unit(self.face.capital_height().unwrap_or(self.face.ascender())))
            .stem_v(if self.name == Name(b"DejaVuSans") { 90.0 } else { 160.0 })
            .font_file2(file);
        pdf.stream(file, &deflated(self.data)).filter(Filter::FlateDecode);
        pdf.cmap(unicode, &self.characters());
    }

    /// Returns the map from glyphs to characters, for searching and copying.
    fn characters(&self) -> Vec<u8> {
        let mut map = UnicodeCmap::<u16>::new(Name(b"Characters"), SYSTEM);
        let mut seen = std::collections::BTreeMap::new();
        for table in self.face.tables().cmap.iter().flat_map(|cmap| cmap.subtables) {
            table.codepoints(|code| {
                if let (Some(character), Some(glyph)) = (char::from_u32(code), table.glyph_index(code)) {
                    seen.entry(glyph.0).or_insert(character);
                }
            });
        }
        seen.into_iter().for_each(|(glyph, character)| map.pair(glyph, character));
        map.finish().into_vec()
    }
}

/// Writes a text at a place that a matrix tells.
pub(super) fn write_text(
    page: &mut Content,
    fonts: &Fonts,
    text: &str,
    (weight, size): (Weight, f32),
    matrix: [f32; 6],
) {
    let font = fonts.of(weight);
    let text = font.encode(text);
    page.begin_text().set_font(font.key, size).set_text_matrix(matrix).show(Str(&text)).end_text();
}

/// Compresses bytes.
pub(super) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
