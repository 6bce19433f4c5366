//! `mass analytics kpis` and `mass analytics series`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use mass_analytics_service::{AnswerStream, KpiQuery, Position, SeriesQuery, SiteKpis, TooSlow};
use mass_domain::analytics::{Aggregate, Resolution, Split};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use crate::commands::{open, write_out};
use crate::config::{LocalSettings, Secrets};
use crate::figures::{self, CsvKpis, Form, JsonKpis, Write};
use crate::http::analytics::shapes::{AnalyticsKpiQuery, AnalyticsSeriesQuery};
use crate::terminal::write_stderr;

/// The period, and what it is cut into.
#[derive(Debug, Args)]
struct Period {
    /// The begin of the period.
    #[arg(long, value_name = "INSTANT")]
    from: Timestamp,
    /// The end of the period, which is no part of it.
    #[arg(long, value_name = "INSTANT")]
    to: Timestamp,
    /// The zone of hours, days and months, of the IANA database [default: UTC].
    #[arg(long)]
    zone: Option<String>,
}

/// The database and the form of the output.
#[derive(Debug, Args)]
struct Output {
    /// Print one JSON document, as the API answers it, instead of CSV.
    #[arg(long)]
    json: bool,
    /// The tenant [default: MASS_TENANT].
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    #[command(flatten)]
    local: LocalSettings,
}

/// The arguments: sites, a period, and what a kWh costs.
#[derive(Debug, Args)]
pub struct Kpis {
    /// Only this site; may be given several times.
    #[arg(long)]
    site_id: Vec<String>,
    #[command(flatten)]
    period: Period,
    /// Indicators of the whole period, or of each day or month of it: period, day or month.
    #[arg(long, default_value = "period")]
    step: Split,
    /// The price of a kWh, in any currency, instead of the series of prices.
    #[arg(long)]
    tariff: Option<f64>,
    /// The greenhouse gases of a kWh, in kg of CO2 equivalent, instead of the series of carbon intensities.
    #[arg(long)]
    carbon: Option<f64>,
    #[command(flatten)]
    output: Output,
}

/// The arguments: series and a period.
#[derive(Debug, Args)]
pub struct Series {
    /// The metric; may be given several times.
    #[arg(long, required = true)]
    metric: Vec<String>,
    /// Only of this site; may be given several times.
    #[arg(long)]
    site_id: Vec<String>,
    /// Only of this device; may be given several times.
    #[arg(long)]
    device_id: Vec<String>,
    #[command(flatten)]
    period: Period,
    /// The length of the stretches: raw, 5m, hour, day or month.
    #[arg(long, default_value = "hour")]
    step: Resolution,
    /// The value of a stretch: mean, min, max, sum or last [default: mean, and sum of counters].
    #[arg(long)]
    aggregate: Option<Aggregate>,
    #[command(flatten)]
    output: Output,
}

/// Prints indicators.
pub(super) async fn kpis(arguments: Kpis, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let Kpis { site_id: sites, period, step, tariff, carbon, output } = arguments;
    let Period { from, to, zone } = period;
    let (installation, principal) = open(&output.local, secrets, output.tenant.clone()).await?;
    let query = KpiQuery { sites, from, to, step, zone, tariff, carbon };
    let pages = installation.analytics().kpis(&principal, query.clone()).await?;
    let told = AnalyticsKpiQuery::new(pages.as_of.clone(), &query);
    let writer: Box<dyn Write<Vec<SiteKpis>>> =
        if output.json { Box::new(JsonKpis::new(told)) } else { Box::new(CsvKpis) };
    write(pages, writer, output.json).await
}

/// Prints series.
pub(super) async fn series(arguments: Series, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let Series { metric: metrics, site_id: sites, device_id: devices, period, step, aggregate, output } = arguments;
    let Period { from, to, zone } = period;
    let (installation, principal) = open(&output.local, secrets, output.tenant.clone()).await?;
    let query = SeriesQuery { metrics, sites, devices, from, to, step, zone, aggregate };
    let pages = installation.analytics().series(&principal, query.clone()).await?;
    let told = AnalyticsSeriesQuery::new(pages.as_of.clone(), &query);
    let form = if output.json { Form::Json } else { Form::Csv };
    let writer = figures::series(form, told, pages.head.clone())?;
    write(pages, writer, output.json).await
}

/// Writes an answer to standard output; beside CSV, which has no place for it, the events that it is computed from to
/// standard error.
async fn write<H, P, E>(
    mut pages: AnswerStream<H, P, E>,
    mut writer: Box<dyn Write<P>>,
    is_json: bool,
) -> anyhow::Result<ExitCode>
where
    E: From<PortError> + From<TooSlow> + std::error::Error + Send + Sync + 'static,
{
    write_out(&writer.begin()?)?;
    while let Some(page) = pages.next().await? {
        write_out(&writer.page(page)?.0)?;
    }
    write_out(&writer.end()?)?;
    if is_json {
        write_out(b"\n")?;
    } else {
        write_stderr(&told(&pages.as_of));
    }
    if let Some(stop) = &pages.as_of.stopped {
        bail!("the figures cannot go past event {}: {}", stop.sequence, stop.reason);
    }
    Ok(ExitCode::SUCCESS)
}

/// Says which events figures are computed from.
fn told(as_of: &Position) -> String {
    let Position { sequence, root, head, .. } = as_of;
    format!("computed from {sequence} of {head} events, root {root}\n")
}
