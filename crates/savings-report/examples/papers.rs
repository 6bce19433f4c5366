//! Writes the papers, figures and table of a report, to look at them:
//! `cargo run -p mass-savings-report --example papers -- REPORT.json FOLDER`.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use mass_savings_report::{Figure, Language, ReportDocument, csv, pdf, svg};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(report), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("expected a report and a folder".into());
    };
    let document = ReportDocument::parse(&fs::read_to_string(report)?)?;
    let folder = PathBuf::from(folder);
    fs::write(folder.join("report.csv"), csv(&document))?;
    for (language, code) in [(Language::English, "en"), (Language::Spanish, "es")] {
        fs::write(folder.join(format!("report.{code}.pdf")), pdf(&document, None, language)?)?;
        for figure in Figure::ALL {
            fs::write(folder.join(format!("{}.{code}.svg", figure.name())), svg(&document, figure, language)?)?;
        }
    }
    Ok(())
}
