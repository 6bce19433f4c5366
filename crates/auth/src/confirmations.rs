//! Confirmation tokens: a caller that was shown the extent of an action asks for exactly that.
//!
//! They are signed and not stored: the extent fits into the token, and a token that is used twice only repeats an action
//! that then finds nothing left. A token gives no permission, which every call needs anyway.

use std::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac::{self, HMAC_SHA256, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mass_domain::access::Principal;
use mass_domain::time::Timestamp;
use secrecy::zeroize::Zeroizing;

use crate::AuthService;

/// Separates this use of the secret from all others.
const PURPOSE: &[u8] = b"mass confirmation token key v1";

/// The lifetime of a token in seconds.
const LIFETIME_SECONDS: i64 = 3600;

/// The number of bytes before the tag: three numbers.
const CLAIMS_BYTES: usize = 24;

/// The key that signs confirmation tokens.
#[derive(Clone)]
pub(crate) struct ConfirmationKey(hmac::Key);

impl ConfirmationKey {
    /// Derives the key from a secret with HKDF-SHA-256 (RFC 5869).
    pub(crate) fn derive(secret: &[u8]) -> Result<Self, Unspecified> {
        let mut key = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, &[]).extract(secret).expand(&[PURPOSE], HKDF_SHA256)?.fill(key.as_mut_slice())?;
        Ok(Self(hmac::Key::new(HMAC_SHA256, key.as_slice())))
    }

    fn sign(&self, text: &[u8]) -> Tag {
        hmac::sign(&self.0, text)
    }

    fn verifies(&self, text: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, text, tag).is_ok()
    }
}

impl fmt::Debug for ConfirmationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConfirmationKey")
    }
}

/// The extent of an action that its caller was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The number of objects.
    pub count: u64,
    /// The number of events in the tenant's audit log at that time, which later objects and changes come after.
    pub log_size: u64,
}

/// A new confirmation token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmationToken {
    /// The token.
    pub text: String,
    /// The instant from which on it is refused.
    pub expires_at: Timestamp,
}

/// Reason for which a confirmation token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedConfirmation {
    /// It was not given to this caller for this action.
    #[error("not a token that this caller got for this action")]
    Foreign,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

impl AuthService {
    /// Issues the token with which the caller may confirm an action. `action` says all that the token is bound to
    /// besides the caller, its tenant and the extent.
    #[must_use]
    pub fn issue_confirmation(&self, principal: &Principal, action: &str, extent: Extent) -> ConfirmationToken {
        let now = self.clock.now();
        let expires_at = now.plus_seconds(LIFETIME_SECONDS).unwrap_or(now);
        let claims = claims(extent, expires_at);
        let tag = self.tokens.confirmation_key().sign(&signed(principal, action, &claims));
        ConfirmationToken { text: URL_SAFE_NO_PAD.encode([claims.as_slice(), tag.as_ref()].concat()), expires_at }
    }

    /// Verifies a token, and returns the extent that its caller was shown.
    ///
    /// # Errors
    /// [`RefusedConfirmation`].
    pub fn verify_confirmation(
        &self,
        principal: &Principal,
        action: &str,
        token: &str,
    ) -> Result<Extent, RefusedConfirmation> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| RefusedConfirmation::Foreign)?;
        let (claims, tag) = bytes.split_at_checked(CLAIMS_BYTES).ok_or(RefusedConfirmation::Foreign)?;
        let signed = signed(principal, action, claims);
        if !self.tokens.confirmation_keys().any(|key| key.verifies(&signed, tag)) {
            return Err(RefusedConfirmation::Foreign);
        }
        let (numbers, _) = claims.as_chunks::<8>();
        let &[count, log_size, expires_at] = numbers else { return Err(RefusedConfirmation::Foreign) };
        if self.clock.now().unix_micros() >= i64::from_be_bytes(expires_at) {
            return Err(RefusedConfirmation::Expired);
        }
        Ok(Extent { count: u64::from_be_bytes(count), log_size: u64::from_be_bytes(log_size) })
    }
}

fn claims(Extent { count, log_size }: Extent, expires_at: Timestamp) -> Vec<u8> {
    [count.to_be_bytes(), log_size.to_be_bytes(), expires_at.unix_micros().to_be_bytes()].concat()
}

/// Returns the text that is signed: each part after its length, so that no two combinations have the same text.
fn signed(principal: &Principal, action: &str, claims: &[u8]) -> Vec<u8> {
    let actor = principal.actor();
    let id = actor.id().map(|id| id.to_string()).unwrap_or_default();
    let parts =
        [principal.tenant().as_str().as_bytes(), actor.kind().as_bytes(), id.as_bytes(), action.as_bytes(), claims];
    let mut text = Vec::new();
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use mass_domain::access::Permission;
    use mass_domain::ids::ApiKeyId;
    use mass_domain::tenancy::TenantId;
    use uuid::Uuid;

    use super::*;

    fn key(number: u128, tenant: &str) -> Principal {
        let permissions = [Permission::MassWrite].into_iter().collect();
        Principal::api_key(ApiKeyId::from_uuid(Uuid::from_u128(number)), TenantId::parse(tenant).unwrap(), permissions)
    }

    #[test]
    fn what_is_signed_differs_by_each_part() {
        let claims = claims(Extent { count: 1, log_size: 2 }, "2026-11-24T18:00:00Z".parse().unwrap());
        assert_eq!(claims.len(), CLAIMS_BYTES);
        let one = signed(&key(1, "default"), "a", &claims);
        assert_eq!(one, signed(&key(1, "default"), "a", &claims));
        for other in [
            signed(&key(2, "default"), "a", &claims),
            signed(&key(1, "other"), "a", &claims),
            signed(&key(1, "default"), "ab", &claims),
            signed(&key(1, "default"), "a", &[0; CLAIMS_BYTES]),
            signed(&Principal::system(TenantId::parse("default").unwrap()), "a", &claims),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_tag_is_of_one_secret() {
        let [one, other] = [&b"one"[..], b"other"].map(|secret| ConfirmationKey::derive(secret).unwrap());
        let tag = one.sign(b"text");
        assert!(one.verifies(b"text", tag.as_ref()));
        assert!(!one.verifies(b"texts", tag.as_ref()) && !other.verifies(b"text", tag.as_ref()));
        assert!(!one.verifies(b"text", &tag.as_ref()[..31]) && !one.verifies(b"text", b""));
        assert_eq!(format!("{one:?}"), "ConfirmationKey");
    }
}
