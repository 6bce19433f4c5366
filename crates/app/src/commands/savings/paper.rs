//! `mass savings paper`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mass_savings_report::{Figure, Language, csv, pdf, svg};

use super::given::GivenReport;
use crate::commands::new_file::NewFile;

/// The arguments: a report and a folder.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The report, as GET /v1/savings/reports/{id} answered it, or as `mass savings report --json` printed it.
    report: PathBuf,
    /// The folder to write report.pdf, report.csv and the figures into. Files that are there are not overwritten.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    to: PathBuf,
    /// The language of the paper and the figures: `en` or `es`.
    #[arg(long, default_value = "en")]
    language: Language,
}

/// Writes the files of a report.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { report, to, language } = arguments;
    let GivenReport { document, note, .. } = GivenReport::read(report)?;
    let write = |name: &str, bytes: &[u8]| {
        let mut file = NewFile::create(&to.join(name))?;
        file.write(bytes)?;
        file.finish()
    };
    write("report.pdf", &pdf(&document, note.as_deref(), *language)?)?;
    write("report.csv", csv(&document).as_bytes())?;
    for figure in Figure::ALL {
        write(&format!("{}.svg", figure.name()), svg(&document, figure, *language)?.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}
