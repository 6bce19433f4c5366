//! The second factor of users: enrolled, proved, and removed by themselves.

use async_trait::async_trait;
use mass_domain::access::{Actor, Forbidden, Permission, Principal};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::ids::{SessionId, UserId};
use mass_domain::port::PortError;
use mass_domain::second_factor::{FRESH_SECONDS, FactorNeeded};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;
use mass_domain::users::{Email, User};
use secrecy::SecretString;

use crate::AuthService;
use crate::factor_codes::{self, FactorProof};
use crate::hasher::Verification;
use crate::passwords::{PasswordsError, from_passwords_error};
use crate::throttle::{AttemptKeys, Throttled};

/// A user's second factor, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredFactor {
    /// The encrypted seed.
    pub sealed: Vec<u8>,
    /// True once the user has shown that its device has the seed.
    pub is_confirmed: bool,
    /// The last step of the clock whose code was taken.
    pub last_step: i64,
    /// The number of unused recovery codes.
    pub recovery_codes: u32,
}

/// A proof of a user's second factor in one of its sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvedFactor {
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// The proof.
    pub proof: FactorProof,
}

/// Port to stored second factors. Each call is one transaction, and appends the given event if it makes the change.
#[async_trait]
pub trait FactorStore: Send + Sync {
    /// Finds a user's second factor.
    async fn find(&self, tenant: &TenantId, user: UserId) -> Result<Option<StoredFactor>, PortError>;

    /// Stores a seed that waits to be confirmed, in place of another such one. Returns `false` if the user has a
    /// confirmed one.
    async fn begin(&self, tenant: &TenantId, user: UserId, sealed: Vec<u8>, at: Timestamp) -> Result<bool, PortError>;

    /// Confirms the seed that waits, stores the hashes of recovery codes, marks the session as proved, and ends the
    /// user's other sessions. Returns `false` if this seed does not wait any more.
    async fn confirm(
        &self,
        tenant: &TenantId,
        proved: ProvedFactor,
        sealed: Vec<u8>,
        codes: Vec<[u8; 32]>,
        event: NewEvent,
    ) -> Result<bool, PortError>;

    /// Takes a proof, and marks the session as proved. Returns `false` if the proof was taken before.
    async fn prove(&self, tenant: &TenantId, proved: ProvedFactor, event: NewEvent) -> Result<bool, PortError>;

    /// Replaces the recovery codes. Returns `false` if the user has no second factor.
    async fn replace_codes(
        &self,
        tenant: &TenantId,
        user: UserId,
        codes: Vec<[u8; 32]>,
        event: NewEvent,
    ) -> Result<bool, PortError>;

    /// Removes the second factor with its recovery codes, and ends the user's sessions but one. Returns `false` if there
    /// is none.
    async fn remove(
        &self,
        tenant: &TenantId,
        user: UserId,
        kept: Option<SessionId>,
        event: NewEvent,
    ) -> Result<bool, PortError>;
}

/// The reasons for which a second factor is not enrolled, proved or changed.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// The caller is an API key or MASS itself.
    #[error("only users have second factors")]
    NotAUser,
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The password is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// The code is wrong, or was used before.
    #[error("the code is wrong, or was used before")]
    WrongCode,
    /// The user has one already.
    #[error("the user has a second factor already")]
    Enrolled,
    /// The user has none.
    #[error("the user has no second factor")]
    NotEnrolled,
    /// There is no such user.
    #[error("there is no such user")]
    NoSuchUser,
    /// Too many attempts failed before; trying again after a while helps.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// Too many passwords are being hashed; trying again later helps.
    #[error("too many passwords are being hashed at the moment")]
    Busy,
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
    /// A fault of MASS or of its surroundings.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}
from_passwords_error!(FactorError);

/// What a user knows of its own second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactorStatus {
    /// True if the tenant demands one of the user.
    pub is_demanded: bool,
    /// True if the user has one.
    pub is_enrolled: bool,
    /// The instant until which the session's last proof is fresh.
    pub fresh_until: Option<Timestamp>,
    /// The number of unused recovery codes.
    pub recovery_codes: u32,
}

/// A seed to be put into a device.
#[derive(Debug)]
pub struct NewSeed {
    /// The seed in base32, as people type it.
    pub secret: SecretString,
    /// The URI that devices read from a QR code.
    pub uri: SecretString,
}

/// A user who calls in a session.
struct Person<'a> {
    id: UserId,
    email: &'a Email,
    session: SessionId,
}

fn person(principal: &Principal) -> Result<Person<'_>, FactorError> {
    match (principal.actor(), principal.email(), principal.session()) {
        (Actor::User(id), Some(email), Some(session)) => Ok(Person { id, email, session }),
        _ => Err(FactorError::NotAUser),
    }
}

impl AuthService {
    /// Requires a fresh proof of the caller's second factor, if it has one.
    ///
    /// # Errors
    /// [`FactorNeeded`].
    pub fn require_fresh_factor(&self, principal: &Principal) -> Result<(), FactorNeeded> {
        principal.factor().require_fresh(self.clock.now())
    }

    /// Returns what the caller knows of its second factor. Nobody but a user has one.
    ///
    /// # Errors
    /// [`PortError`] of the store.
    pub async fn second_factor(&self, principal: &Principal) -> Result<FactorStatus, PortError> {
        let stored = match person(principal) {
            Ok(person) => self.factors.find(principal.tenant(), person.id).await?,
            Err(_) => None,
        };
        let factor = principal.factor();
        let stored = stored.filter(|stored| stored.is_confirmed);
        Ok(FactorStatus {
            is_demanded: factor.is_demanded,
            is_enrolled: stored.is_some(),
            fresh_until: factor.fresh_until().filter(|until| self.clock.now() < *until),
            recovery_codes: stored.map_or(0, |stored| stored.recovery_codes),
        })
    }

    /// Generates a seed for the caller's device, which counts once it is
    /// [confirmed](Self::confirm_second_factor). The password is required because a token may have been stolen.
    ///
    /// # Errors
    /// [`FactorError`].
    pub async fn begin_second_factor(
        &self,
        principal: &Principal,
        password: &SecretString,
        origin: &Origin,
    ) -> Result<NewSeed, FactorError> {
        let person = person(principal)?;
        let keys = AttemptKeys::new(person.email.as_str(), origin.address);
        let (place, _permits) = self.begin_attempt::<FactorError>(&keys).await?;
        let account = self.users.find_by_email(person.email).await?.filter(|account| account.user.id == person.id);
        let stored = account.as_ref().map(|account| &account.password);
        let verification = self.passwords.verify(place, password, stored).await?;
        if !matches!(verification, Verification::Match { .. }) {
            let event = self.act_of(principal, origin).refused(
                principal.tenant(),
                Action::SecondFactorEnrolled,
                Object::User(person.id),
            );
            self.attempts.fail(event.with("reason", "wrong_password")).await?;
            return Err(FactorError::WrongPassword);
        }
        self.remember_success(&keys).await;
        let seed = factor_codes::seed();
        let sealed = self.tokens.sealing_key().seal(principal.tenant(), person.id, &seed);
        let sealed = sealed.map_err(|_| anyhow::anyhow!("the seed cannot be encrypted"))?;
        if !self.factors.begin(principal.tenant(), person.id, sealed, self.clock.now()).await? {
            return Err(FactorError::Enrolled);
        }
        Ok(NewSeed { secret: factor_codes::written(&seed), uri: factor_codes::uri(&seed, person.email.as_str()) })
    }

    /// Enrols the second factor whose seed waits, as its first code proves, and returns the recovery codes, which are
    /// shown this once. The caller's other sessions end.
    ///
    /// # Errors
    /// [`FactorError`].
    pub async fn confirm_second_factor(
        &self,
        principal: &Principal,
        code: &SecretString,
        origin: &Origin,
    ) -> Result<Vec<SecretString>, FactorError> {
        let person = person(principal)?;
        let stored = self.factors.find(principal.tenant(), person.id).await?.ok_or(FactorError::NotEnrolled)?;
        if stored.is_confirmed {
            return Err(FactorError::Enrolled);
        }
        let keys = AttemptKeys::new(person.email.as_str(), origin.address);
        let _permits = self.begin_code::<FactorError>(&keys).await?;
        let proof = self.judge(principal.tenant(), person.id, &stored, code);
        let act = self.act_of(principal, origin);
        let Some(proof @ FactorProof::Step(_)) = proof else {
            return self.refuse_code(&act, principal, person.id, Action::SecondFactorEnrolled).await;
        };
        let (codes, hashes) = factor_codes::recovery_codes().into_iter().unzip();
        let event = act.done(principal.tenant(), Action::SecondFactorEnrolled, Object::User(person.id));
        let proved = ProvedFactor { user: person.id, session: person.session, proof };
        if !self.factors.confirm(principal.tenant(), proved, stored.sealed, hashes, event).await? {
            return Err(FactorError::WrongCode);
        }
        self.remember_success(&keys).await;
        Ok(codes)
    }

    /// Proves the caller's second factor anew, by a code of the clock or a recovery code. Returns the instant until
    /// which the proof is fresh.
    ///
    /// # Errors
    /// [`FactorError`].
    pub async fn prove_second_factor(
        &self,
        principal: &Principal,
        code: &SecretString,
        origin: &Origin,
    ) -> Result<Timestamp, FactorError> {
        let person = person(principal)?;
        let stored = self.factors.find(principal.tenant(), person.id).await?.filter(|stored| stored.is_confirmed);
        let stored = stored.ok_or(FactorError::NotEnrolled)?;
        let keys = AttemptKeys::new(person.email.as_str(), origin.address);
        let _permits = self.begin_code::<FactorError>(&keys).await?;
        let act = self.act_of(principal, origin);
        let action = Action::SecondFactorProved;
        let Some(proof) = self.judge(principal.tenant(), person.id, &stored, code) else {
            return self.refuse_code(&act, principal, person.id, action).await;
        };
        let event = act.done(principal.tenant(), action, Object::User(person.id)).with("by", proof.kind());
        let proved = ProvedFactor { user: person.id, session: person.session, proof };
        if !self.factors.prove(principal.tenant(), proved, event).await? {
            return self.refuse_code(&act, principal, person.id, action).await;
        }
        self.remember_success(&keys).await;
        Ok(act.at.plus_seconds(FRESH_SECONDS).unwrap_or(act.at))
    }

    /// Replaces the caller's recovery codes, and returns the new ones, which are shown this once.
    ///
    /// # Errors
    /// [`FactorError`].
    pub async fn replace_recovery_codes(
        &self,
        principal: &Principal,
        origin: &Origin,
    ) -> Result<Vec<SecretString>, FactorError> {
        let person = person(principal)?;
        let (codes, hashes) = factor_codes::recovery_codes().into_iter().unzip();
        let act = self.act_of(principal, origin);
        let event = act.done(principal.tenant(), Action::RecoveryCodesReplaced, Object::User(person.id));
        if self.factors.replace_codes(principal.tenant(), person.id, hashes, event).await? {
            Ok(codes)
        } else {
            Err(FactorError::NotEnrolled)
        }
    }

    /// Removes the caller's second factor, and ends its other sessions.
    ///
    /// # Errors
    /// [`FactorError`].
    pub async fn remove_second_factor(&self, principal: &Principal, origin: &Origin) -> Result<(), FactorError> {
        let person = person(principal)?;
        let act = self.act_of(principal, origin);
        let event = act.done(principal.tenant(), Action::SecondFactorRemoved, Object::User(person.id));
        if self.factors.remove(principal.tenant(), person.id, Some(person.session), event).await? {
            Ok(())
        } else {
            Err(FactorError::NotEnrolled)
        }
    }

    /// Removes the second factor of a user of the caller's tenant, who has lost its device and its recovery codes, and
    /// ends its sessions. Does nothing for a user without one.
    ///
    /// # Errors
    /// [`FactorError`]; [`FactorError::Forbidden`] if the user may do more than the caller could grant.
    pub async fn reset_second_factor(
        &self,
        principal: &Principal,
        user: &User,
        origin: &Origin,
    ) -> Result<(), FactorError> {
        principal.require(Permission::UsersManage)?;
        if user.tenant_id != *principal.tenant() || user.deleted_at.is_some() {
            return Err(FactorError::NoSuchUser);
        }
        principal.require_authority_over(&user.roles)?;
        let act = self.act_of(principal, origin);
        let event = act.done(principal.tenant(), Action::SecondFactorRemoved, Object::User(user.id));
        self.factors.remove(principal.tenant(), user.id, None, event).await?;
        Ok(())
    }

    /// Removes the second factor of the user with this address, as [`reset_second_factor`](Self::reset_second_factor).
    ///
    /// # Errors
    /// [`FactorError`].
    pub async fn reset_second_factor_of(
        &self,
        principal: &Principal,
        email: &Email,
        origin: &Origin,
    ) -> Result<(), FactorError> {
        let account = self.users.find_by_email(email).await?.ok_or(FactorError::NoSuchUser)?;
        self.reset_second_factor(principal, &account.user, origin).await
    }

    /// Judges a code of a user's second factor.
    pub(crate) fn judge(
        &self,
        tenant: &TenantId,
        user: UserId,
        stored: &StoredFactor,
        code: &SecretString,
    ) -> Option<FactorProof> {
        let seed = self.tokens.sealing_keys().find_map(|key| key.open(tenant, user, &stored.sealed));
        if seed.is_none() {
            tracing::warn!(user.id = %user, "a second factor cannot be read with the present or the previous SECRET_KEY");
        }
        // Recovery codes need no seed.
        let seed = seed.unwrap_or_default();
        factor_codes::judge(code, &seed, stored.last_step, self.clock.now())
    }

    /// Begins an attempt with a code once a permit is free: throttled as attempts with passwords are.
    async fn begin_code<E>(&self, keys: &AttemptKeys) -> Result<crate::attempt_queue::AttemptPermits, E>
    where
        E: From<PasswordsError> + From<PortError> + From<Throttled>,
    {
        let permits = self.queue.permits(keys).await.map_err(PasswordsError::Unexpected)?;
        self.attempts.begin(keys, self.clock.now()).await??;
        Ok(permits)
    }

    fn act_of(&self, principal: &Principal, origin: &Origin) -> Act {
        Act::new(principal.actor(), self.clock.now(), origin)
    }

    /// Records a wrong code, and returns the error for it.
    async fn refuse_code<T>(
        &self,
        act: &Act,
        principal: &Principal,
        user: UserId,
        action: Action,
    ) -> Result<T, FactorError> {
        let event = act.refused(principal.tenant(), action, Object::User(user)).with("reason", "wrong_code");
        self.attempts.fail(event).await?;
        Err(FactorError::WrongCode)
    }
}
