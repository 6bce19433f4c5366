//! Recognising the bearer of an API key.

use std::net::IpAddr;
use std::sync::Arc;

use mass_domain::access::Principal;
use mass_domain::api_keys::{ApiKey, KeyToken, RefusedKey};
use mass_domain::time::Timestamp;
use tracing::Instrument as _;

use crate::AuthService;
use crate::authenticate::{AuthenticateError, Remembered};
use crate::stored_key::RefusedApiKey;

/// How exactly it is known when a key was used last.
const LAST_USE_SECONDS: i64 = 60;

impl AuthService {
    /// Tells who the bearer of an API key is, if it is remembered and may be used now and from here.
    pub(crate) fn remembered_key(
        &self,
        token: &KeyToken,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Option<Remembered> {
        let known = self.known_keys.get(token.prefix()).filter(|known| known.found.secret == token.digest())?;
        known.found.key.check(now, address).ok()?;
        let principal = known.found.key.clone().into_principal();
        Some(Remembered { principal, as_of: known.version, key: Some(known) })
    }

    /// Recognises the bearer of an API key by the store.
    pub(crate) async fn look_up_key(
        &self,
        token: &KeyToken,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Result<Principal, AuthenticateError> {
        let Some(found) = self.api_keys.find_by_prefix(token.prefix()).await? else {
            self.known_keys.forget(token.prefix());
            return Err(RefusedApiKey::Unknown.into());
        };
        if found.found.secret != token.digest() {
            return Err(RefusedApiKey::WrongSecret.into());
        }
        let key = found.found.key.clone();
        let judged = key.check(now, address);
        match judged {
            // From where it is used is judged by each request.
            Ok(()) | Err(RefusedKey::ForeignAddress) => {
                self.known_keys.insert(token.prefix(), Arc::new(found));
            }
            Err(RefusedKey::Revoked | RefusedKey::Expired) => self.known_keys.forget(token.prefix()),
        }
        judged.map_err(RefusedApiKey::Refused)?;
        self.mark_used(&key, now);
        Ok(key.into_principal())
    }

    /// At most once a minute, so that a busy gateway does not write with every request, and beside the request, which
    /// need not wait for it. A failure, or a stop of the server meanwhile, costs nothing but a stale date.
    pub(crate) fn mark_used(&self, key: &ApiKey, now: Timestamp) {
        let fresh = |last: Timestamp| last.plus_seconds(LAST_USE_SECONDS).is_some_and(|next| now < next);
        // What is remembered of the key may be older than its last mark. Of several at once, the first marks it.
        if key.last_used_at.is_some_and(fresh)
            || self.marked_uses.get(&key.id).is_some_and(fresh)
            || self.marked_uses.insert(&key.id, now).is_some_and(fresh)
        {
            return;
        }
        let (keys, tenant, id) = (Arc::clone(&self.api_keys), key.tenant_id.clone(), key.id);
        let mark = async move {
            if let Err(error) = keys.mark_used(&tenant, id, now).await {
                tracing::warn!(key.id = %id, error = &error as &dyn std::error::Error, "a use was not remembered");
            }
        };
        tokio::spawn(mark.in_current_span());
    }
}
