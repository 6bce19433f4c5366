//! The process's environment, the file `.env`, and variables that look like settings but are none.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, anyhow};

use super::secrets::SECRETS;
use super::variables::{PREFIX, arguments, variable_of};

/// Variables of the build, which `cargo run` passes to the program.
const OF_THE_BUILD: [&str; 2] = ["MASS_BUILT_AT", "MASS_COMMIT"];

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

/// Adds the variables of `.env` in the working directory to the environment, unless they are set already.
///
/// # Errors
/// If the file exists but cannot be read. The message has the line number and at most the variable's name, because the
/// rest of the line may be a secret.
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

/// Describes an invalid line of a variables file without its value. The argument is the line or its value, possibly
/// with further lines.
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

/// A variable that looks like a setting but is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Its name.
    pub name: String,
    /// The most similar setting, if there is one.
    pub nearest: Option<String>,
}

/// Finds the variables of the environment that begin with `MASS_` but are not settings.
#[must_use]
pub fn unknown_variables() -> Vec<Unknown> {
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    unknown(names, &settings())
}

/// Returns the names of all variables that are read.
fn settings() -> BTreeSet<String> {
    let secrets = SECRETS.iter().flat_map(|name| [(*name).to_owned(), format!("{name}_FILE")]);
    arguments().iter().map(variable_of).chain(secrets).collect()
}

fn unknown(names: impl Iterator<Item = String>, settings: &BTreeSet<String>) -> Vec<Unknown> {
    let is_known = |name: &str| settings.contains(name) || OF_THE_BUILD.contains(&name);
    let unknown = names.filter(|name| name.to_ascii_uppercase().starts_with(PREFIX) && !is_known(name));
    let mut unknown: Vec<_> = unknown.map(|name| Unknown { nearest: nearest(&name, settings), name }).collect();
    unknown.sort_by(|one, other| one.name.cmp(&other.name));
    unknown
}

/// Returns the setting whose name differs in a few letters.
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
        let known =
            ["MASS_PORT", "MASS_TOKEN", "MASS_TOKEN_FILE", "MASS_COMMIT", "DATABASE_URL", "PATH", "MASSACHUSETTS"];
        assert_eq!(unknown(known.into_iter().map(str::to_owned), &settings()), []);
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
