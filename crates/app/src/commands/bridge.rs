//! `mass bridge`: the messages of a broker, to a server.

mod destination;
mod mqtt;

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::Secrets;

/// The protocols that are bridged.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take the messages of an MQTT broker, and store them in a server.
    #[command(after_help = mqtt::help())]
    Mqtt(Box<mqtt::Arguments>),
}

/// Runs a bridge until SIGTERM or SIGINT.
///
/// # Errors
/// If the profile or the connection is wrong, or the disk fails.
pub async fn run(command: Command, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    match command {
        Command::Mqtt(arguments) => mqtt::run(*arguments, secrets).await,
    }
}
