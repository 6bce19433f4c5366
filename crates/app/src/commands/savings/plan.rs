//! `mass savings plan`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use mass_domain::savings::{Boundary, Period};
use mass_domain::time::Timestamp;
use mass_savings_service::{PlanError, PlanQuery, Prediction, SavingsPlan};

use super::{Output, told};
use crate::commands::{open, write_out};
use crate::config::Secrets;
use crate::http::savings::shapes;

/// The arguments: a site and its baseline.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The site.
    #[arg(long)]
    site_id: String,
    /// The device that measures the weather outdoors.
    #[arg(long)]
    weather_device: String,
    /// The energy that the saving would be measured in: `hvac`, or `facility_less_it`.
    #[arg(long, default_value = "hvac", value_parser = boundary)]
    boundary: Boundary,
    /// The begin of the baseline.
    #[arg(long, value_name = "INSTANT")]
    from: Timestamp,
    /// The end of the baseline, which is no part of it.
    #[arg(long, value_name = "INSTANT")]
    to: Timestamp,
    /// The zone of the site, of the IANA database.
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// The seed of the trials.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

fn boundary(text: &str) -> Result<Boundary, &'static str> {
    match text {
        "hvac" => Ok(Boundary::Hvac),
        "facility_less_it" => Ok(Boundary::FacilityLessIt),
        _ => Err("expected hvac or facility_less_it"),
    }
}

/// Prints a plan.
pub(super) async fn run(arguments: Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let Arguments { site_id, weather_device, boundary, from, to, zone, seed, output } = arguments;
    let (installation, principal) = open(&output.local, secrets, output.tenant.clone()).await?;
    let baseline = Period { from, until: to };
    let query = PlanQuery { site_id, weather_device, boundary, baseline, zone, modes: Vec::new(), seed };
    let service = installation.savings(&Arc::new(installation.analytics()));
    let plan = match service.plan(&principal, query).await {
        Ok(plan) => plan,
        Err(PlanError::Invalid(faults)) => bail!(told(&faults)),
        Err(error) => return Err(error.into()),
    };
    let text = if output.json {
        format!("{}\n", serde_json::to_string(&shapes::SavingsPlan::from(plan))?)
    } else {
        table(&plan)?
    };
    write_out(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a plan for people.
fn table(plan: &SavingsPlan) -> Result<String, std::fmt::Error> {
    let mut text = format!("{} hours; in % of the energy without the retrofit, at 90 % confidence\n", plan.hours);
    writeln!(text, "weeks  crossover  shows from  pre/post  shows from")?;
    let shown = |prediction: Option<Prediction>| {
        let pair =
            |it: Prediction| (format!("±{:.1}", it.half_width_percent), format!("{:.1}", it.smallest_saving_percent));
        prediction.map_or_else(|| ("-".to_owned(), "-".to_owned()), pair)
    };
    for row in &plan.rows {
        let (crossover, pre_post) = (shown(row.crossover), shown(row.pre_post));
        writeln!(
            text,
            "{:>5}  {:>9}  {:>10}  {:>8}  {:>10}",
            row.weeks, crossover.0, crossover.1, pre_post.0, pre_post.1
        )?;
    }
    Ok(text)
}
