//! The secrets of webhooks, and the signatures of what they are sent (Standard Webhooks).
//!
//! A secret is derived from the server's `SECRET_KEY` and a random salt, so that the database has none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use mass_domain::hex::Hex;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use sha2::Sha256;

/// The bytes of a salt.
pub const SALT_BYTES: usize = 16;

/// The random part of a secret, and the key that the other part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSeed {
    /// The salt.
    pub salt: [u8; SALT_BYTES],
    /// Tells the key from others, without revealing it.
    pub key_id: String,
}

/// The secret of a webhook. Displayed as its receiver is given it: `whsec_` and base64.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret([u8; 32]);

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

impl WebhookSecret {
    /// Returns the secret as its receiver is given it.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0))
    }

    /// Signs a body: `v1,` and the HMAC-SHA-256 of `id.timestamp.body` in base64.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        format!("v1,{}", STANDARD.encode(mac(&self.0, &[id, ".", &timestamp.to_string(), ".", body])))
    }
}

/// The keys that secrets are derived from: the present one, and the one before it while it is rotated.
#[derive(Clone)]
pub struct WebhookKeys {
    current: Vec<u8>,
    previous: Option<Vec<u8>>,
}

impl WebhookKeys {
    /// Takes the keys.
    #[must_use]
    pub const fn new(current: Vec<u8>, previous: Option<Vec<u8>>) -> Self {
        Self { current, previous }
    }

    /// Builds the seed of a new secret from a random salt.
    #[must_use]
    pub fn seed(&self, salt: [u8; SALT_BYTES]) -> SecretSeed {
        SecretSeed { salt, key_id: key_id(&self.current) }
    }

    /// Derives the secret of a seed; `None` if its key is not known any more.
    #[must_use]
    pub fn secret(&self, tenant: &TenantId, seed: &SecretSeed) -> Option<WebhookSecret> {
        let keys = [Some(&self.current), self.previous.as_ref()];
        let key = keys.into_iter().flatten().find(|key| key_id(key) == seed.key_id)?;
        Some(WebhookSecret(mac(key, &["mass webhook secret\n", tenant.as_str(), "\n", &Hex(&seed.salt).to_string()])))
    }
}

/// The headers of an attempt (Standard Webhooks).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeaders {
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`, in seconds since 1970.
    pub timestamp: i64,
    /// `webhook-signature`: one signature for each secret, with spaces between.
    pub signature: String,
}

impl SignedHeaders {
    /// Signs a body with each of these secrets.
    #[must_use]
    pub fn new(id: &str, at: Timestamp, body: &str, secrets: &[WebhookSecret]) -> Self {
        let timestamp = at.unix_micros().div_euclid(1_000_000);
        let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect();
        Self { id: id.to_owned(), timestamp, signature: signatures.join(" ") }
    }
}

fn key_id(key: &[u8]) -> String {
    let digest = mac(key, &["mass webhook key"]);
    Hex(&digest[..8]).to_string()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length (RFC 2104, section 3)")]
fn mac(key: &[u8], parts: &[&str]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of the libraries of Standard Webhooks.
        let secret: [u8; 24] = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap().try_into().unwrap();
        let parts = ["msg_p5jXN8AQM9LWM0D4loKWxJek", ".", "1614265330", ".", "{\"test\": 2432232314}"];
        assert_eq!(STANDARD.encode(mac(&secret, &parts)), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let secret = WebhookSecret([7; 32]);
        let expected = format!("v1,{}", STANDARD.encode(mac(&[7; 32], &["a.", "12", ".b"])));
        assert_eq!(secret.sign("a", 12, "b"), expected);
        assert!(secret.reveal().starts_with("whsec_BwcH") && !format!("{secret:?}").contains("BwcH"));
    }

    #[test]
    fn a_secret_depends_on_key_tenant_and_salt_and_outlives_a_rotation_of_the_key() {
        let tenant = |text| TenantId::parse(text).unwrap();
        let keys = WebhookKeys::new(b"one".to_vec(), None);
        let seed = keys.seed([1; SALT_BYTES]);
        let secret = keys.secret(&tenant("a"), &seed).unwrap();
        assert_ne!(keys.secret(&tenant("b"), &seed).unwrap(), secret);
        assert_ne!(keys.secret(&tenant("a"), &keys.seed([2; SALT_BYTES])).unwrap(), secret);
        let rotated = WebhookKeys::new(b"two".to_vec(), Some(b"one".to_vec()));
        assert_eq!(rotated.secret(&tenant("a"), &seed), Some(secret));
        assert_ne!(rotated.seed([1; SALT_BYTES]), seed);
        assert_eq!(WebhookKeys::new(b"two".to_vec(), None).secret(&tenant("a"), &seed), None);
    }
}
