//! The bearer token for a server.

use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};

use crate::commands::input_file::{STDIN, open_file};
use crate::config::Secrets;
use crate::engine::EngineToken as BearerToken;

/// The maximum length of a token's file in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// Reads the token: from the named file, where `-` is standard input, or from the secrets.
///
/// # Errors
/// If there is none, or it is not a bearer token. No message contains a part of it.
pub(crate) fn read_token(file: Option<&Path>, secrets: &Secrets) -> anyhow::Result<SecretString> {
    let (token, name) = match file {
        Some(path) => {
            let name = format!("the token in {}", path.display());
            (read_file(path).with_context(|| name.clone())?, name)
        }
        None => (
            secrets.token.clone().context(
                "--url needs a bearer token for that server: set the variable MASS_TOKEN, or MASS_TOKEN_FILE to the \
                 path of a file that holds it, or use --token-file",
            )?,
            "MASS_TOKEN".to_owned(),
        ),
    };
    BearerToken::parse(&token).context(name)?;
    Ok(token)
}

fn read_file(path: &Path) -> anyhow::Result<SecretString> {
    let mut text = String::new();
    if path == Path::new(STDIN) {
        io::stdin().take(MAX_BYTES).read_to_string(&mut text)?;
    } else {
        open_file(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    }
    let text = SecretString::from(text);
    Ok(SecretString::from(text.expose_secret().trim()))
}
