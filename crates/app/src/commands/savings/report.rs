//! `mass savings report`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use mass_domain::ids::SavingsProjectId;
use mass_savings_report::{Figures, ReportDocument};

use super::Output;
use crate::commands::{open, write_out};
use crate::config::Secrets;
use crate::program::program;
use crate::reporter::document;

/// The arguments: a project.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The id of the project.
    project: SavingsProjectId,
    #[command(flatten)]
    output: Output,
}

/// Prints a report on the present version of a project, from the figures as they are.
pub(super) async fn run(arguments: Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let Arguments { project, output } = arguments;
    let (installation, principal) = open(&output.local, secrets, output.tenant.clone()).await?;
    let service = installation.savings(&Arc::new(installation.analytics()));
    let data = service.report_data(&principal, project).await?;
    let report = document(&data, &program())?;
    let text = if output.json { format!("{}\n", report.text()) } else { summary(&report)? };
    write_out(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a report for people.
fn summary(report: &ReportDocument) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(text, "project   {} (version {})", report.project.terms.name, report.project.version)?;
    writeln!(text, "events    {} ({})", report.as_of.sequence, report.as_of.root)?;
    writeln!(text, "hours     {}", report.hours.count)?;
    writeln!(text, "verdict   {}", serde_json::json!(report.verdict.standing).as_str().unwrap_or_default())?;
    for reason in &report.verdict.reasons {
        writeln!(text, "          {}", serde_json::json!(reason))?;
    }
    match &report.saving {
        Some(saving) => write_figures(&mut text, saving)?,
        None => writeln!(text, "saving    none is claimed")?,
    }
    Ok(text)
}

fn write_figures(text: &mut String, figures: &Figures) -> std::fmt::Result {
    let Figures { energy_kwh, half_width_kwh, percent, half_width_percent, cost, priced, co2e } = figures;
    writeln!(text, "saving    {energy_kwh:.0} ± {half_width_kwh:.0} kWh ({percent:.1} ± {half_width_percent:.1} %)")?;
    if let Some(cost) = cost {
        writeln!(text, "cost      {:.2} ± {:.2} {}", cost.amount, cost.half_width, cost.currency)?;
    }
    if let Some(priced) = priced {
        writeln!(text, "priced    {} hours ({:.1} %)", priced.hours, 100.0 * priced.share)?;
    }
    if let Some(co2e) = co2e {
        writeln!(text, "CO2e      {:.0} ± {:.0} kg", co2e.kg, co2e.half_width_kg)?;
    }
    Ok(())
}
