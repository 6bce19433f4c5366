//! `mass create-user`, `mass reset-password` and `mass reset-second-factor`: local commands that act as the system in one tenant.

use std::io::Read;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use mass_admin_service::{NewUser, RegistrationPolicy};
use mass_auth::NewPassword;
use mass_domain::access::Role;
use mass_domain::tenancy::{AutoSend, TenantId};
use mass_domain::users::Email;
use secrecy::{ExposeSecret, SecretString};

use super::{open, print};
use crate::config::{LocalSettings, Secrets};
use crate::http::context::local_origin;

/// The user to create.
#[derive(Debug, Args)]
pub struct CreateUser {
    /// Its e-mail address.
    #[arg(long, value_parser = Email::parse)]
    email: Email,
    /// A role; may be given several times.
    #[arg(long = "role", required = true, value_name = "ROLE", help = roles())]
    roles: Vec<Role>,
    /// Its tenant [default: MASS_TENANT].
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    #[command(flatten)]
    password: PasswordSource,
    #[command(flatten)]
    settings: LocalSettings,
}

/// The user whose password to reset.
#[derive(Debug, Args)]
pub struct ResetPassword {
    /// Its e-mail address.
    #[arg(long, value_parser = Email::parse_existing)]
    email: Email,
    /// Its tenant [default: MASS_TENANT].
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    #[command(flatten)]
    password: PasswordSource,
    #[command(flatten)]
    settings: LocalSettings,
}

/// The user whose second factor to reset.
#[derive(Debug, Args)]
pub struct ResetSecondFactor {
    /// Its e-mail address.
    #[arg(long, value_parser = Email::parse_existing)]
    email: Email,
    /// Its tenant [default: MASS_TENANT].
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    #[command(flatten)]
    settings: LocalSettings,
}

#[derive(Debug, Args)]
struct PasswordSource {
    /// Read the password from standard input, instead of generating one and printing it once.
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordSource {
    /// Reads or generates the password of a user; returns a generated one to be shown.
    fn password(&self, email: &Email) -> anyhow::Result<(NewPassword, Option<SecretString>)> {
        if self.password_stdin {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("the password cannot be read")?;
            let text = SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned());
            return Ok((NewPassword::parse(&text, email)?, None));
        }
        let password = NewPassword::generate();
        let shown = password.secret().clone();
        Ok((password, Some(shown)))
    }
}

/// Creates a user.
///
/// # Errors
/// If the address is taken, the tenant does not exist, or the database cannot be reached.
pub async fn create_user(arguments: CreateUser, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let (password, shown) = arguments.password.password(&arguments.email)?;
    let (installation, principal) = open(&arguments.settings, secrets, arguments.tenant).await?;
    let roles = arguments.roles.into_iter().collect();
    let new = NewUser { email: arguments.email, roles, password: Some(password) };
    let admin = installation.admin(RegistrationPolicy::Closed, AutoSend::default());
    let created = admin.create_user(&principal, new, &local_origin()).await?;
    let line = password_line(shown.as_ref());
    print(&format!("created {} with id {}\n{line}", created.user.email, created.user.id))?;
    Ok(ExitCode::SUCCESS)
}

/// Resets a user's password.
///
/// # Errors
/// If there is no such user, or the database cannot be reached.
pub async fn reset_password(arguments: ResetPassword, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let (password, shown) = arguments.password.password(&arguments.email)?;
    let (installation, principal) = open(&arguments.settings, secrets, arguments.tenant).await?;
    installation.auth.reset_password(&principal, &arguments.email, &password, &local_origin()).await?;
    print(&format!("the password of {} is reset\n{}", arguments.email, password_line(shown.as_ref())))?;
    Ok(ExitCode::SUCCESS)
}

/// Removes the second factor of a user of the tenant, and ends the user's sessions.
///
/// # Errors
/// If there is no such user, or the database fails.
pub async fn reset_second_factor(arguments: ResetSecondFactor, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let (installation, system) = open(&arguments.settings, secrets, arguments.tenant).await?;
    installation.auth.reset_second_factor_of(&system, &arguments.email, &local_origin()).await?;
    print(&format!("{} has no second factor, and no session\n", arguments.email))?;
    Ok(ExitCode::SUCCESS)
}

fn password_line(shown: Option<&SecretString>) -> String {
    shown.map_or_else(String::new, |password| format!("password: {}   (shown this once)\n", password.expose_secret()))
}

fn roles() -> String {
    let names: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
    format!("A role: {}; may be given several times", names.join(", "))
}
