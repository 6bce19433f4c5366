//! The second factor of users: what it allows, and how long a proof of it counts as fresh.

use crate::time::Timestamp;

/// The time for which a proof counts as fresh, in seconds: 15 minutes.
pub const FRESH_SECONDS: i64 = 15 * 60;

/// The second factor of a user in one session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecondFactor {
    /// True if the tenant demands one of the user.
    pub is_demanded: bool,
    /// True if the user has one.
    pub is_enrolled: bool,
    /// The time at which the session last proved it.
    pub proved_at: Option<Timestamp>,
}

/// What a caller has to do before an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FactorNeeded {
    /// Enrol a second factor.
    #[error("a second factor has to be enrolled first")]
    Enrolment,
    /// Prove the second factor, now or anew.
    #[error("the second factor has to be proved")]
    Proof,
}

impl FactorNeeded {
    /// Returns the need as a stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enrolment => "enrolment",
            Self::Proof => "proof",
        }
    }
}

impl SecondFactor {
    /// Returns true if nothing but enrolment is allowed.
    #[must_use]
    pub const fn must_enrol(&self) -> bool {
        self.is_demanded && !self.is_enrolled
    }

    /// Returns the instant at which the last proof stops being fresh.
    #[must_use]
    pub fn fresh_until(&self) -> Option<Timestamp> {
        self.proved_at.and_then(|at| at.plus_seconds(FRESH_SECONDS))
    }

    /// Requires that nothing but the ordinary is done by a user who must enrol.
    ///
    /// # Errors
    /// [`FactorNeeded::Enrolment`].
    pub const fn require(&self) -> Result<(), FactorNeeded> {
        if self.must_enrol() { Err(FactorNeeded::Enrolment) } else { Ok(()) }
    }

    /// Requires a fresh proof, of users who have a second factor.
    ///
    /// # Errors
    /// [`FactorNeeded`].
    pub fn require_fresh(&self, now: Timestamp) -> Result<(), FactorNeeded> {
        self.require()?;
        let is_fresh = self.fresh_until().is_some_and(|until| now < until);
        if self.is_enrolled && !is_fresh { Err(FactorNeeded::Proof) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000).unwrap()
    }

    #[test]
    fn a_proof_is_fresh_for_a_quarter_of_an_hour() {
        let proved = SecondFactor { is_enrolled: true, proved_at: Some(at(0)), ..SecondFactor::default() };
        assert_eq!(proved.require_fresh(at(FRESH_SECONDS - 1)), Ok(()));
        assert_eq!(proved.require_fresh(at(FRESH_SECONDS)), Err(FactorNeeded::Proof));
        let unproved = SecondFactor { proved_at: None, ..proved };
        assert_eq!((unproved.require(), unproved.require_fresh(at(0))), (Ok(()), Err(FactorNeeded::Proof)));
    }

    #[test]
    fn without_a_factor_all_or_nothing_is_allowed() {
        assert_eq!(SecondFactor::default().require_fresh(at(0)), Ok(()));
        let demanded = SecondFactor { is_demanded: true, ..SecondFactor::default() };
        assert_eq!(demanded.require(), Err(FactorNeeded::Enrolment));
        assert_eq!(demanded.require_fresh(at(0)), Err(FactorNeeded::Enrolment));
    }
}
