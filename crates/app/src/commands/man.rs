//! `mass man`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::Man;

use super::print;

/// The arguments: the folder to write to.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder, which is made if it is missing. Pages of the same names are replaced.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes a page for the program and for each of its commands.
///
/// # Errors
/// If a page cannot be written.
pub fn run(arguments: &Arguments, mut program: Command) -> anyhow::Result<ExitCode> {
    let folder = &arguments.folder;
    fs::create_dir_all(folder).with_context(|| format!("the folder {}", folder.display()))?;
    // Gives each command its whole name: mass-audit-verify.
    program.build();
    let pages = write(&program, folder)?;
    print(&format!("{pages} pages in {}\n", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages of a command and those below it, and returns their number.
fn write(command: &Command, folder: &Path) -> anyhow::Result<usize> {
    let man = Man::new(command.clone());
    let path = folder.join(man.get_filename());
    let mut page = Vec::new();
    man.render(&mut page)?;
    fs::write(&path, page).with_context(|| format!("the file {}", path.display()))?;
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    below.map(|below| write(below, folder)).try_fold(1, |pages, below| Ok(pages + below?))
}
