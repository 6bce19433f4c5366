//! Authentication by API key.

use std::net::IpAddr;
use std::sync::Arc;

use mass_domain::access::Principal;
use mass_domain::api_keys::{ApiKey, KeyToken, RefusedKey};
use mass_domain::tenancy::Suspended;
use mass_domain::time::Timestamp;
use tracing::Instrument as _;

use crate::AuthService;
use crate::authenticate::{AuthenticateError, CachedPrincipal};
use crate::stored_key::RefusedApiKey;

/// The precision in seconds to which the last use of a key is recorded.
const LAST_USE_SECONDS: i64 = 60;

impl AuthService {
    /// Returns the cached principal of an API key, if the key may be used now and from this address.
    pub(crate) fn cached_key(
        &self,
        token: &KeyToken,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Option<CachedPrincipal> {
        let known = self.cached_keys.get(token.prefix()).filter(|known| known.found.secret == token.digest())?;
        known.found.key.check(now, address).ok()?;
        let principal = known.found.key.clone().into_principal();
        Some(CachedPrincipal { principal, as_of: known.version, key: Some(known) })
    }

    /// Authenticates an API key against the store.
    pub(crate) async fn look_up_key(
        &self,
        token: &KeyToken,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Result<Principal, AuthenticateError> {
        let Some(found) = self.api_keys.find_by_prefix(token.prefix()).await? else {
            self.cached_keys.forget(token.prefix());
            return Err(RefusedApiKey::Unknown.into());
        };
        if found.found.secret != token.digest() {
            return Err(RefusedApiKey::WrongSecret.into());
        }
        let key = found.found.key.clone();
        let judged = key.check(now, address);
        let is_suspended = found.is_suspended;
        match judged {
            _ if is_suspended => self.cached_keys.forget(token.prefix()),
            // The address is checked again for each request.
            Ok(()) | Err(RefusedKey::ForeignAddress) => {
                self.cached_keys.insert(token.prefix(), Arc::new(found));
            }
            Err(RefusedKey::Revoked | RefusedKey::Expired) => self.cached_keys.forget(token.prefix()),
        }
        judged.map_err(RefusedApiKey::Refused)?;
        if is_suspended {
            return Err(Suspended.into());
        }
        self.mark_used(&key, now);
        Ok(key.into_principal())
    }

    /// Records the use of a key, at most once a minute, so that a busy gateway does not write with every request, and
    /// in a task of its own, because the request need not wait. After a failure or a stop of the server the date is
    /// merely older.
    pub(crate) fn mark_used(&self, key: &ApiKey, now: Timestamp) {
        let fresh = |last: Timestamp| last.plus_seconds(LAST_USE_SECONDS).is_some_and(|next| now < next);
        // The cached key may be older than its last recorded use. Of several requests at once, the first records the
        // use.
        if key.last_used_at.is_some_and(fresh)
            || self.recorded_uses.get(&key.id).is_some_and(fresh)
            || self.recorded_uses.insert(&key.id, now).is_some_and(fresh)
        {
            return;
        }
        let (keys, tenant, id) = (Arc::clone(&self.api_keys), key.tenant_id.clone(), key.id);
        let mark = async move {
            if let Err(error) = keys.mark_used(&tenant, id, now).await {
                tracing::warn!(key.id = %id, error = &error as &dyn std::error::Error, "the use of a key was not recorded");
            }
        };
        tokio::spawn(mark.in_current_span());
    }
}
