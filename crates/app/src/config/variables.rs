//! The variables of settings, derived from clap's arguments: the field `port` is the flag `--port` and the variable
//! `MASS_PORT`.

use std::collections::BTreeMap;

use clap::error::Error;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::{HEADING, LogSettings, Settings};

/// The prefix of MASS's own variables.
pub(super) const PREFIX: &str = "MASS_";

/// Assigns variables to the settings among the arguments of a command and its subcommands, which also name the values
/// in help and errors. Help never shows a variable's value, which may be private.
#[must_use]
pub fn with_variables(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        if argument.get_help_heading() != Some(HEADING) {
            return argument;
        }
        let variable = variable_of(&argument);
        argument.env(&variable).value_name(variable).hide_env(true)
    });
    command.mut_subcommands(with_variables)
}

/// Returns the variable of a setting: its own, or `MASS_` and the name of its field.
pub(super) fn variable_of(setting: &Arg) -> String {
    let own = setting.get_env().map(|name| name.to_string_lossy().into_owned());
    own.unwrap_or_else(|| format!("{PREFIX}{}", setting.get_id().as_str().to_ascii_uppercase()))
}

/// Returns every setting that has a flag.
pub(super) fn arguments() -> Vec<Arg> {
    let command = LogSettings::augment_args(Settings::augment_args(Command::new("mass")));
    command.get_arguments().cloned().collect()
}

/// Returns the flag of a variable: `--port` of `MASS_PORT`.
#[must_use]
pub fn flag_of(variable: &str) -> Option<String> {
    let setting = arguments().into_iter().find(|setting| variable_of(setting) == variable)?;
    Some(format!("--{}", setting.get_long()?))
}

/// The texts of the settings that have a flag, by variable. Read them before the settings themselves, which take their
/// values out of the matches.
#[derive(Debug, Clone, Default)]
pub struct Texts(pub(super) BTreeMap<String, String>);

impl FromArgMatches for Texts {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let text = |setting: &Arg| {
            let values = matches.try_get_raw(setting.get_id().as_str()).ok().flatten()?;
            Some(values.map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(","))
        };
        Ok(Self(arguments().iter().map(|setting| (variable_of(setting), text(setting).unwrap_or_default())).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Texts {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
