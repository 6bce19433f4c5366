//! How long refusals take, for an unknown user and for a wrong password: two distributions that should look alike.
//!
//! `cargo run --release --example login-timing` measures on an SQLite database of its own;
//! `DATABASE_URL=postgres://… cargo run --release --example login-timing` on an empty PostgreSQL database. Settings and
//! flags are those of `mass`.
#![expect(clippy::print_stdout, reason = "a bench tells what it has measured")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::{CommandFactory, FromArgMatches, Parser};
use mass_admin_service::NewUser;
use mass_app::config::{self, Secrets, Settings};
use mass_app::http::Services;
use mass_app::http::context::local_origin;
use mass_app::startup::Application;
use mass_app::telemetry::Telemetry;
use mass_auth::LoginError;
use mass_domain::access::{Principal, Role};
use mass_domain::trace::Origin;
use mass_domain::users::Email;
use secrecy::SecretString;

const ATTEMPTS: u32 = 200;
/// So few that the account is not throttled yet.
const ATTEMPTS_PER_ACCOUNT: u32 = 5;

/// The settings of the server.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    settings: Settings,
}

fn main() -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(measure())
}

async fn measure() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let matches = config::with_variables(Flags::command()).get_matches();
    let Flags { mut settings } = Flags::from_arg_matches(&matches)?;
    settings.local.database.folder.data_dir = folder.path().to_owned();
    let secrets = Secrets::read(config::variable)?;
    let application = Application::build(&settings, &secrets, Telemetry::silent()?).await?;
    let services = &application.services;
    let system = Principal::system(settings.local.default_tenant.clone());
    for n in 0..ATTEMPTS.div_ceil(ATTEMPTS_PER_ACCOUNT) {
        let user = NewUser { email: known(n)?, roles: BTreeSet::from([Role::Viewer]), password: None };
        services.admin.create_user(&system, user, &local_origin()).await.context("an empty database is due")?;
    }
    // In turn, so that whatever else the machine does falls on both alike.
    let (mut unknown, mut wrong) = (Vec::new(), Vec::new());
    for n in 0..ATTEMPTS {
        unknown.push(refusal(services, &format!("unknown-{n}@example.test"), 2 * n).await?);
        wrong.push(refusal(services, known(n / ATTEMPTS_PER_ACCOUNT)?.as_str(), 2 * n + 1).await?);
    }
    println!("{ATTEMPTS} refusals each at bcrypt cost {}, in milliseconds", settings.local.bcrypt_cost);
    println!("                   p1      p10      p25      p50      p75      p90      p99");
    print_distribution("unknown user  ", &mut unknown);
    print_distribution("wrong password", &mut wrong);
    Ok(())
}

fn known(n: u32) -> anyhow::Result<Email> {
    Ok(Email::parse(&format!("known-{n}@example.test"))?)
}

/// How many milliseconds a refusal takes. Each attempt comes from an address of its own, which is not throttled.
async fn refusal(services: &Services, email: &str, n: u32) -> anyhow::Result<f64> {
    let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
    let origin = Origin { address: Some(address), ..local_origin() };
    let started = Instant::now();
    let result = services.auth.login(email, &SecretString::from("incorrect horse battery staple"), None, &origin).await;
    let millis = started.elapsed().as_secs_f64() * 1000.0;
    match result {
        Err(LoginError::InvalidCredentials) => Ok(millis),
        Ok(_) => bail!("the password of {email} was guessed"),
        Err(error) => Err(error.into()),
    }
}

fn print_distribution(name: &str, millis: &mut [f64]) {
    millis.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| millis.get(percent * millis.len() / 100).copied().unwrap_or(f64::NAN);
    let cells: Vec<_> = [1, 10, 25, 50, 75, 90, 99].map(|percent| format!("{:8.2}", at(percent))).into();
    println!("{name} {}", cells.join(" "));
}
