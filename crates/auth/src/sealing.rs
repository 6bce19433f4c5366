//! Encryption of secrets that have to be read again: the seeds of second factors.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use mass_domain::ids::UserId;
use mass_domain::tenancy::TenantId;
use secrecy::zeroize::Zeroizing;

/// Separates this use of the secret from all others.
const PURPOSE: &[u8] = b"mass second factor key v1";

/// The key that encrypts seeds, with AES-256-GCM.
#[derive(Clone)]
pub(crate) struct SealingKey(Arc<RandomizedNonceKey>);

impl SealingKey {
    /// Derives the key from a secret with HKDF-SHA-256 (RFC 5869).
    pub(crate) fn derive(secret: &[u8]) -> Result<Self, Unspecified> {
        let mut key = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, &[]).extract(secret).expand(&[PURPOSE], HKDF_SHA256)?.fill(key.as_mut_slice())?;
        Ok(Self(Arc::new(RandomizedNonceKey::new(&AES_256_GCM, key.as_slice())?)))
    }

    /// Encrypts a user's seed: the nonce, the ciphertext and its tag. It can be read for this user alone.
    pub(crate) fn seal(&self, tenant: &TenantId, user: UserId, seed: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut text = seed.to_vec();
        let nonce = self.0.seal_in_place_append_tag(bound_to(tenant, user), &mut text)?;
        Ok([nonce.as_ref().as_slice(), &text].concat())
    }

    /// Decrypts a user's seed; `None` if it was encrypted with another key or for somebody else.
    pub(crate) fn open(&self, tenant: &TenantId, user: UserId, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self.0.open_in_place(nonce, bound_to(tenant, user), text.as_mut_slice()).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

fn bound_to(tenant: &TenantId, user: UserId) -> Aad<Vec<u8>> {
    Aad::from([tenant.as_str().as_bytes(), &[0], user.as_uuid().as_bytes()].concat())
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey")
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_seed_is_read_with_its_key_for_its_user_alone() {
        let key = |text: &str| SealingKey::derive(text.as_bytes()).unwrap();
        let tenant = |name| TenantId::parse(name).unwrap();
        let user = |number| UserId::from_uuid(Uuid::from_u128(number));
        let sealed = key("one").seal(&tenant("default"), user(1), b"seed").unwrap();
        assert_ne!(sealed, key("one").seal(&tenant("default"), user(1), b"seed").unwrap(), "each has its own nonce");
        assert!(!sealed.windows(4).any(|window| window == b"seed"));
        let open = |secret, name, number| key(secret).open(&tenant(name), user(number), &sealed);
        assert_eq!(open("one", "default", 1).unwrap().as_slice(), b"seed");
        assert!(open("other", "default", 1).is_none());
        assert!(open("one", "other", 1).is_none() && open("one", "default", 2).is_none());
        assert!(key("one").open(&tenant("default"), user(1), &sealed[..5]).is_none());
    }
}
