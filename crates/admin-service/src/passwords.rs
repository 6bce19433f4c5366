//! Initial passwords: given by the creator of the account, or generated and shown once.

use mass_auth::{NewPassword, PasswordHash, PasswordsError};
use secrecy::SecretString;

use crate::AdminService;

/// The initial password of an account.
pub(crate) struct InitialPassword {
    pub(crate) hash: PasswordHash,
    /// The password if it was generated. MASS stores only its hash.
    pub(crate) generated: Option<SecretString>,
}

impl AdminService {
    /// Hashes the given password, or a generated one.
    pub(crate) async fn initial_password(&self, given: Option<NewPassword>) -> Result<InitialPassword, PasswordsError> {
        if let Some(password) = given {
            return Ok(InitialPassword { hash: self.passwords.hash(&password).await?, generated: None });
        }
        let password = NewPassword::generate();
        let hash = self.passwords.hash(&password).await?;
        Ok(InitialPassword { hash, generated: Some(password.secret().clone()) })
    }
}

macro_rules! from_passwords_error {
    ($error:ident) => {
        impl From<mass_auth::PasswordsError> for $error {
            fn from(error: mass_auth::PasswordsError) -> Self {
                match error {
                    mass_auth::PasswordsError::Busy => Self::Busy,
                    mass_auth::PasswordsError::Unexpected(cause) => Self::Unexpected(cause),
                }
            }
        }
    };
}
pub(crate) use from_passwords_error;
