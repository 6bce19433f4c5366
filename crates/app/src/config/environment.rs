//! What is read from the environment and from `.env` beside clap: secrets, and variables that are no settings.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use secrecy::SecretString;

use super::Settings;

/// The settings that are secrets. They have no flag, since every user of a machine can read its command lines.
pub const SECRETS: [&str; 12] = [
    "DATABASE_URL",
    "MASS_MIGRATION_DATABASE_URL",
    "SECRET_KEY",
    "SECRET_KEY_PREVIOUS",
    "MASS_PASSWORD_PEPPER",
    "MASS_AUDIT_KEY",
    "MASS_ENGINE_TOKEN",
    "MASS_ADMIN_PASSWORD",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "MASS_TOKEN",
];

/// How every variable of MASS's own begins.
const PREFIX: &str = "MASS_";

/// Returns a variable of the process's environment.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where configuration is read")]
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Returns whether colours are unwanted (<https://no-color.org>).
#[must_use]
pub fn wants_no_colour() -> bool {
    variable("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Reads a secret from its variable, or from the file that `NAME_FILE` names. A variable that is set to nothing counts as
/// not set.
pub(super) fn secret(name: &str, variable: &impl Fn(&str) -> Option<OsString>) -> anyhow::Result<Option<SecretString>> {
    let file = format!("{name}_FILE");
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    match (set(name), set(&file)) {
        (Some(_), Some(_)) => bail!("expected {name} or {file}, found both"),
        (Some(value), None) => {
            let text = value.into_string().map_err(|_| anyhow!("{name}: expected UTF-8"))?;
            Ok(Some(text.into()))
        }
        (None, Some(path)) => {
            let path = PathBuf::from(path);
            let place = || format!("{file}: the file {}", path.display());
            let text = std::fs::read_to_string(&path).with_context(place)?;
            let text = text.trim_end_matches(['\r', '\n']);
            if text.is_empty() {
                bail!("{}: expected a secret, found nothing", place());
            }
            Ok(Some(text.into()))
        }
        (None, None) => Ok(None),
    }
}

/// Adds the variables of `.env` in the working directory to the environment, where they are not set already.
///
/// # Errors
/// When the file is there but cannot be read. The message has the line's number and the variable's name at most, since
/// the rest of the line may be a secret.
pub fn load_dotenv() -> anyhow::Result<()> {
    let path = Path::new(".env");
    match dotenvy::from_path(path) {
        Err(dotenvy::Error::LineParse(line, _)) => {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            Err(anyhow!("the file .env: {}", unreadable_line(&text, &line)))
        }
        Err(error) if !error.not_found() => Err(error).context("the file .env cannot be read"),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Describes a line of a file of variables without its value, given the line or its value, or either with lines below it.
fn unreadable_line(text: &str, unreadable: &str) -> String {
    let end = unreadable.lines().next().unwrap_or_default().trim_end();
    let found = text.lines().enumerate().find(|(_, line)| line.trim_end().ends_with(end));
    let (index, line) = found.unwrap_or_default();
    let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let name = line.split_once('=').map(|(name, _)| name.trim()).filter(is_name);
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    let number = index + 1;
    format!("line {number}{name}: expected NAME=VALUE, with a value that has spaces, quotes, # or $ in single quotes")
}

/// A variable that looks like a setting and is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Its name.
    pub name: String,
    /// The setting with the most similar name, if any is similar.
    pub nearest: Option<String>,
}

/// Finds the variables of the environment that begin with `MASS_` and are no settings.
#[must_use]
pub fn unknown_variables() -> Vec<Unknown> {
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    unknown(names, &settings())
}

/// The names of all variables that are read.
fn settings() -> BTreeSet<String> {
    let command = Settings::augment_args(clap::Command::new("mass"));
    let flags = command.get_arguments().filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned()));
    let secrets = SECRETS.iter().flat_map(|name| [(*name).to_owned(), format!("{name}_FILE")]);
    flags.chain(secrets).collect()
}

fn unknown(names: impl Iterator<Item = String>, settings: &BTreeSet<String>) -> Vec<Unknown> {
    let unknown = names.filter(|name| name.to_ascii_uppercase().starts_with(PREFIX) && !settings.contains(name));
    let mut unknown: Vec<_> = unknown.map(|name| Unknown { nearest: nearest(&name, settings), name }).collect();
    unknown.sort_by(|one, other| one.name.cmp(&other.name));
    unknown
}

/// The setting whose name differs from this one in a few letters.
fn nearest(name: &str, settings: &BTreeSet<String>) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    let distance = |setting: &String| strsim::damerau_levenshtein(setting, &upper);
    let nearest = settings.iter().min_by_key(|setting| distance(setting))?;
    (distance(nearest) <= 1 + name.len() / 5).then(|| nearest.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_misspelt_variables_and_names_the_nearest_setting() {
        let cases = [
            ("MASS_PROT", Some("MASS_PORT")),
            ("mass_port", Some("MASS_PORT")),
            ("MASS_DATABASE_URL", None),
            ("MASS_TOKEN_ALGORITM", Some("MASS_TOKEN_ALGORITHM")),
            ("MASS_AUDIT_KEYFILE", Some("MASS_AUDIT_KEY_FILE")),
            ("MASS_SOMETHING_ELSE_ALTOGETHER", None),
        ];
        for (name, nearest) in cases {
            let found = unknown(std::iter::once(name.to_owned()), &settings());
            assert_eq!(found, [Unknown { name: name.to_owned(), nearest: nearest.map(str::to_owned) }]);
        }
        let known = ["MASS_PORT", "MASS_TOKEN", "MASS_TOKEN_FILE", "DATABASE_URL", "PATH", "MASSACHUSETTS"];
        assert_eq!(unknown(known.into_iter().map(str::to_owned), &settings()), []);
    }

    #[test]
    fn reads_a_secret_from_its_variable_or_its_file() {
        use secrecy::ExposeSecret;

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "a secret in a file\r\n").unwrap();
        let read = |variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| value.into());
            secret("SECRET_KEY", &value).map(|secret| secret.map(|secret| secret.expose_secret().to_owned()))
        };
        let path = file.to_str().unwrap();
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[("SECRET_KEY", ""), ("SECRET_KEY_FILE", "")]).unwrap(), None);
        assert_eq!(read(&[("SECRET_KEY", "a secret")]).unwrap().as_deref(), Some("a secret"));
        assert_eq!(read(&[("SECRET_KEY_FILE", path)]).unwrap().as_deref(), Some("a secret in a file"));
        let both = read(&[("SECRET_KEY", "a secret"), ("SECRET_KEY_FILE", path)]).unwrap_err().to_string();
        assert_eq!(both, "expected SECRET_KEY or SECRET_KEY_FILE, found both");
        let absent = format!("{:#}", read(&[("SECRET_KEY_FILE", "/nowhere")]).unwrap_err());
        assert!(absent.starts_with("SECRET_KEY_FILE: the file /nowhere: "), "{absent}");
        std::fs::write(&file, "\n").unwrap();
        assert!(read(&[("SECRET_KEY_FILE", path)]).unwrap_err().to_string().contains("found nothing"));
    }

    #[test]
    fn describes_an_unreadable_line_without_its_value() {
        let text = "MASS_PORT=1\n\nSECRET_KEY='hunter2\nhunter3\nMASS_TOKEN=hunter 4 \r\n";
        for (line, told) in [
            ("SECRET_KEY='hunter2\nhunter3\n", "line 3 (SECRET_KEY): "),
            ("hunter3", "line 4: "),
            ("hunter 4", "line 5 (MASS_TOKEN): "),
        ] {
            let description = unreadable_line(text, line);
            assert!(description.starts_with(told) && !description.contains("hunter"), "{description}");
        }
    }
}
