//! A report as PDF: pages of text, tables and figures. The same document gives the same bytes.

mod backend;
mod font;
mod pages;
mod paper;
mod sentences;

use mass_domain::canonical::Fingerprint;

use crate::document::ReportDocument;
use crate::figure::DrawError;
use crate::language::Language;

/// Writes a report as PDF (A4, its fonts embedded). `note` is the signed note of its fingerprint, if it is signed.
///
/// # Errors
/// [`DrawError`].
pub fn pdf(document: &ReportDocument, note: Option<&str>, language: Language) -> Result<Vec<u8>, DrawError> {
    let fingerprint: Fingerprint = document.fingerprint();
    let fonts = font::Fonts::load()?;
    let mut pages = pages::Pages::new(&fonts);
    paper::write(&mut pages, document, &fingerprint, note, language)?;
    Ok(pages.finish(&document.project.terms.name, &fingerprint.to_string(), language))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Figure, svg};
    use crate::testing::{crossover, pre_post, report};

    #[test]
    fn papers_of_both_designs_in_both_languages_have_the_same_bytes_each_time() {
        for pilot in [pre_post(), crossover()] {
            let document = report(&pilot);
            for language in [Language::English, Language::Spanish] {
                let bytes = pdf(&document, Some("mass savings report\n"), language).unwrap();
                assert_eq!(pdf(&document, Some("mass savings report\n"), language).unwrap(), bytes);
                assert!(bytes.starts_with(b"%PDF-1.7") && bytes.len() < 400_000, "{}", bytes.len());
                for figure in Figure::ALL {
                    let text = svg(&document, figure, language).unwrap();
                    assert!(text.starts_with("<svg") && !text.contains("NaN"), "{text}");
                    assert_eq!(svg(&document, figure, language).unwrap(), text);
                }
            }
        }
    }

    #[test]
    fn refused_reports_have_a_paper_too() {
        let (project, mut hours) = pre_post();
        hours.truncate(50);
        let document = report(&(project, hours));
        let bytes = pdf(&document, None, Language::English).unwrap();
        assert!(bytes.len() > 10_000);
        assert!(svg(&document, Figure::Placebo, Language::Spanish).unwrap().contains("No se calculó"));
    }

    #[test]
    fn long_and_foreign_texts_fit() {
        let (mut project, hours) = crossover();
        project.terms.name = "長い名前 ".repeat(40);
        project.terms.assumptions = vec!["x".repeat(1000), "word ".repeat(190)];
        let bytes = pdf(&report(&(project, hours)), None, Language::English).unwrap();
        assert!(bytes.starts_with(b"%PDF"));
    }
}
