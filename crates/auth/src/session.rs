//! A session, and the judgement of its refresh tokens.

use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::ids::{SessionId, UserId};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::users::User;

/// A login and all that follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id: the `sid` of its access tokens.
    pub id: SessionId,
    /// The tenant of its user.
    pub tenant_id: TenantId,
    /// Who logged in.
    pub user_id: UserId,
    /// When.
    pub created_at: Timestamp,
    /// When it ends unless it is refreshed before.
    pub expires_at: Timestamp,
    /// When it was ended before its time.
    pub revoked_at: Option<Timestamp>,
}

impl Session {
    /// For how many seconds a session lives on without being refreshed: 14 days.
    pub const IDLE_SECONDS: i64 = 14 * 24 * 3600;
    /// For how many seconds a session lives at most, however often it is refreshed: 90 days.
    pub const MAX_SECONDS: i64 = 90 * 24 * 3600;

    /// A session of a user that begins now.
    pub(crate) fn begin(id: SessionId, user: &User, at: Timestamp) -> Self {
        Self {
            id,
            tenant_id: user.tenant_id.clone(),
            user_id: user.id,
            created_at: at,
            expires_at: later(at, Self::IDLE_SECONDS),
            revoked_at: None,
        }
    }

    /// Whether it has neither expired nor been revoked.
    #[must_use]
    pub fn is_live(&self, at: Timestamp) -> bool {
        self.revoked_at.is_none() && at < self.expires_at
    }

    /// The event of its end because a token of it was used twice, by whoever did so.
    #[must_use]
    pub fn revoked_by(&self, act: &Act) -> NewEvent {
        let event = act.done(&self.tenant_id, Action::SessionRevoked, Object::Session(self.id));
        event.with("user_id", self.user_id.to_string())
    }

    /// When it ends if it is refreshed now.
    fn prolonged(&self, at: Timestamp) -> Timestamp {
        later(at, Self::IDLE_SECONDS).min(later(self.created_at, Self::MAX_SECONDS))
    }
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.plus_seconds(seconds).unwrap_or(at)
}

/// What has to become of a session whose refresh token is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// The token is spent, another takes its place, and the session ends at this instant.
    Rotate {
        /// When the session ends unless it is refreshed before.
        expires_at: Timestamp,
    },
    /// Two hold the token, one of whom stole it. Nobody can tell which, so the session ends (RFC 9700, section 4.14.2).
    Revoke,
    /// The session is over already, or its user may not log in.
    Refuse,
}

/// Judges a refresh token of a session by whether it has been spent and whether the session's user is disabled.
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
    fn reuse_ends_a_live_session_and_changes_nothing_of_a_dead_one() {
        let live = session(day(14), None);
        assert_eq!(judge_refresh(&live, true, false, day(1)), RefreshVerdict::Revoke);
        assert_eq!(judge_refresh(&live, true, true, day(1)), RefreshVerdict::Revoke);
        assert_eq!(judge_refresh(&live, false, true, day(1)), RefreshVerdict::Refuse);
        assert_eq!(judge_refresh(&session(day(14), Some(day(1))), true, false, day(2)), RefreshVerdict::Refuse);
    }
}
