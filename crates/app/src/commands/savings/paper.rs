//! `mass savings paper`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use mass_savings_report::{Figure, Language, ReportDocument, csv, pdf, svg};
use serde::Deserialize;
use serde_json::value::RawValue;

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
    #[arg(long, default_value = "en", value_parser = language)]
    language: Language,
}

fn language(text: &str) -> Result<Language, &'static str> {
    match text {
        "en" => Ok(Language::English),
        "es" => Ok(Language::Spanish),
        _ => Err("expected en or es"),
    }
}

/// A report as the API answers it.
#[derive(Deserialize)]
struct Answered {
    document: Box<RawValue>,
    note: Option<String>,
}

/// Writes the files of a report.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { report, to, language } = arguments;
    let context = || format!("the report {}", report.display());
    let text = fs::read_to_string(report).with_context(context)?;
    let answered: Option<Answered> = serde_json::from_str(&text).ok();
    let (document, note) = match &answered {
        Some(Answered { document, note }) => (document.get(), note.as_deref()),
        None => (text.as_str(), None),
    };
    let document = ReportDocument::parse(document).with_context(context)?;
    let write = |name: &str, bytes: &[u8]| {
        let mut file = NewFile::create(&to.join(name))?;
        file.write(bytes)?;
        file.finish()
    };
    write("report.pdf", &pdf(&document, note, *language)?)?;
    write("report.csv", csv(&document).as_bytes())?;
    for figure in Figure::ALL {
        write(&format!("{}.svg", figure.name()), svg(&document, figure, *language)?.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}
