//! Configuration of the signing key: the seed in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mass_domain::audit::note::KeyName;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::signer::{CheckpointSigner, InvalidSeed};

/// The text is not a key. The message does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not 32 bytes in base64.
    #[error("expected an Ed25519 seed: 32 bytes in base64 (openssl rand -base64 32)")]
    Text,
    /// The bytes are not a valid seed.
    #[error(transparent)]
    Seed(#[from] InvalidSeed),
}

impl CheckpointSigner {
    /// Parses a seed.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn parse(name: KeyName, seed: &SecretString) -> Result<Self, InvalidKey> {
        let bytes = Zeroizing::new(STANDARD.decode(seed.expose_secret().trim()).map_err(|_| InvalidKey::Text)?);
        let seed: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| InvalidKey::Text)?;
        Ok(Self::from_seed(name, seed)?)
    }
}

/// Formats a seed for storage.
#[must_use]
pub fn write_seed(seed: &[u8; 32]) -> SecretString {
    STANDARD.encode(seed).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_written_seeds_and_nothing_else() {
        let name = KeyName::parse("mass.local").unwrap();
        let signer = CheckpointSigner::parse(name.clone(), &write_seed(&[7; 32])).unwrap();
        assert_eq!(signer.key(), CheckpointSigner::from_seed(name.clone(), &[7; 32]).unwrap().key());
        for bad in ["", "short", &STANDARD.encode([7; 31]), &STANDARD.encode([7; 33]), &"07".repeat(32)] {
            assert_eq!(CheckpointSigner::parse(name.clone(), &bad.into()).err(), Some(InvalidKey::Text), "{bad}");
        }
    }
}
