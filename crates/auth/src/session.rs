//! A session, and the judgement of its refresh tokens.

use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::ids::{SessionId, UserId};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::users::User;

/// A user's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id: the `sid` of its access tokens.
    pub id: SessionId,
    /// The tenant of its user.
    pub tenant_id: TenantId,
    /// The user who logged in.
    pub user_id: UserId,
    /// The time of the log-in.
    pub created_at: Timestamp,
    /// The time at which it ends unless it is refreshed before.
    pub expires_at: Timestamp,
    /// The time at which it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The time at which its user last proved the second factor in it.
    pub factor_at: Option<Timestamp>,
}

impl Session {
    /// The idle timeout in seconds: 14 days without a refresh.
    pub const IDLE_SECONDS: i64 = 14 * 24 * 3600;
    /// The maximum lifetime in seconds, however often it is refreshed: 90 days.
    pub const MAX_SECONDS: i64 = 90 * 24 * 3600;

    /// Creates a session that begins now.
    pub(crate) fn begin(id: SessionId, user: &User, at: Timestamp) -> Self {
        Self {
            id,
            tenant_id: user.tenant_id.clone(),
            user_id: user.id,
            created_at: at,
            expires_at: later(at, Self::IDLE_SECONDS),
            revoked_at: None,
            factor_at: None,
        }
    }

    /// Returns true if it has neither expired nor been revoked.
    #[must_use]
    pub fn is_live(&self, at: Timestamp) -> bool {
        self.revoked_at.is_none() && at < self.expires_at
    }

    /// Builds the event of its revocation: by its user, or after a refresh token was used twice.
    #[must_use]
    pub fn revoked_by(&self, act: &Act) -> NewEvent {
        let event = act.done(&self.tenant_id, Action::SessionRevoked, Object::Session(self.id));
        event.with("user_id", self.user_id.to_string())
    }

    /// Returns the time of its last refresh, or of its begin; `None` if its expiry does not tell, close to its maximum
    /// lifetime.
    #[must_use]
    pub fn refreshed_at(&self) -> Option<Timestamp> {
        let is_bounded = self.expires_at == later(self.created_at, Self::MAX_SECONDS);
        if is_bounded { None } else { self.expires_at.plus_seconds(-Self::IDLE_SECONDS) }
    }

    /// Returns the new expiry after a refresh at this instant.
    fn prolonged(&self, at: Timestamp) -> Timestamp {
        later(at, Self::IDLE_SECONDS).min(later(self.created_at, Self::MAX_SECONDS))
    }
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.plus_seconds(seconds).unwrap_or(at)
}

/// The action to take on a session whose refresh token is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// Spends the token, issues the next one, and sets the new expiry.
    Rotate {
        /// The time at which the session ends unless it is refreshed before.
        expires_at: Timestamp,
    },
    /// Ends the session: the token was used twice, so that it may have been stolen (RFC 9700, section 4.14.2).
    Revoke,
    /// Does nothing: the session has ended, or its user is disabled.
    Refuse,
}

/// Decides about a refresh token from its session, from whether it was spent, and from whether the user is disabled.
#[must_use]
pub fn judge_refresh(session: &Session, spent: bool, disabled: bool, at: Timestamp) -> RefreshVerdict {
    if !session.is_live(at) {
        RefreshVerdict::Refuse
    } else if spent {
        RefreshVerdict::Revoke
    } else if disabled {
        RefreshVerdict::Refuse
    } else {
        RefreshVerdict::Rotate { expires_at: session.prolonged(at) }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const DAY: i64 = 24 * 3600;

    fn day(days: i64) -> Timestamp {
        Timestamp::from_unix_micros(days * DAY * 1_000_000).unwrap()
    }

    fn session(expires_at: Timestamp, revoked_at: Option<Timestamp>) -> Session {
        Session {
            id: SessionId::from_uuid(Uuid::nil()),
            tenant_id: TenantId::parse("default").unwrap(),
            user_id: UserId::from_uuid(Uuid::nil()),
            created_at: day(0),
            expires_at,
            revoked_at,
            factor_at: None,
        }
    }

    #[test]
    fn a_session_lives_until_it_expires_or_is_revoked() {
        assert!(session(day(14), None).is_live(day(13)));
        assert!(!session(day(14), None).is_live(day(14)));
        assert!(!session(day(14), Some(day(1))).is_live(day(1)));
    }

    #[test]
    fn refreshing_prolongs_a_session_but_not_for_ever() {
        let rotate = |expires, now| judge_refresh(&session(day(expires), None), false, false, day(now));
        assert_eq!(rotate(14, 10), RefreshVerdict::Rotate { expires_at: day(24) });
        assert_eq!(rotate(90, 80), RefreshVerdict::Rotate { expires_at: day(90) });
        assert_eq!(rotate(90, 90), RefreshVerdict::Refuse);
    }

    #[test]
    fn the_expiry_tells_the_last_refresh_until_the_maximum_lifetime_bounds_it() {
        assert_eq!(session(day(14), None).refreshed_at(), Some(day(0)));
        assert_eq!(session(day(24), None).refreshed_at(), Some(day(10)));
        assert_eq!(session(day(90), None).refreshed_at(), None);
    }

    #[test]
    fn reuse_ends_a_live_session_and_leaves_a_dead_one() {
        let live = session(day(14), None);
        assert_eq!(judge_refresh(&live, true, false, day(1)), RefreshVerdict::Revoke);
        assert_eq!(judge_refresh(&live, true, true, day(1)), RefreshVerdict::Revoke);
        assert_eq!(judge_refresh(&live, false, true, day(1)), RefreshVerdict::Refuse);
        assert_eq!(judge_refresh(&session(day(14), Some(day(1))), true, false, day(2)), RefreshVerdict::Refuse);
    }
}
