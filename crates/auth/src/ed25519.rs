//! The Ed25519 key that is derived from a signing secret.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::signature::Ed25519KeyPair;
use secrecy::zeroize::Zeroizing;

/// Separates this use of the secret from all others.
const PURPOSE: &[u8] = b"mass access token ed25519 seed v1";

/// Derives the key with HKDF-SHA-256 (RFC 5869). The derivation is deterministic, so that rotating the secret rotates
/// the key.
pub(crate) fn derive(secret: &[u8]) -> Result<Ed25519KeyPair, Unspecified> {
    let mut seed = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, &[]).extract(secret).expand(&[PURPOSE], HKDF_SHA256)?.fill(seed.as_mut_slice())?;
    Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| Unspecified)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::KeyPair as _;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;

    use super::*;

    fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
        Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(message).finalize().into_bytes().to_vec()
    }

    #[test]
    fn derives_the_key_as_in_rfc_5869() {
        let secret = b"current-current-current-current-";
        let extracted = hmac(&[0; 32], secret);
        let seed = hmac(&extracted, &[PURPOSE, &[1]].concat());
        let expected = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        assert_eq!(derive(secret).unwrap().public_key().as_ref(), expected.public_key().as_ref());
        assert_ne!(derive(b"another").unwrap().public_key().as_ref(), expected.public_key().as_ref());
    }
}
