//! `mass completions`

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use super::write_out;

/// The arguments: the shell.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The shell.
    shell: Shell,
}

/// Prints the completions of the command line for a shell.
///
/// # Errors
/// If standard output cannot be written.
pub fn run(arguments: &Arguments, mut program: Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, "mass", &mut script);
    write_out(&script)?;
    Ok(ExitCode::SUCCESS)
}
