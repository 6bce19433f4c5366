//! Mapping profiles of a tenant: kept under a name, and used by the batches that name them.

use std::sync::Arc;

use async_trait::async_trait;
use mass_domain::access::{Actor, Forbidden, Permission, Principal};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::ContractId;
use mass_domain::mappings::{MappingName, ProfileFormat};
use mass_domain::page::{CursorScope, ForeignCursor, Limit, Page, decode_cursor};
use mass_domain::port::PortError;
use mass_domain::precondition::Precondition;
use mass_domain::tenancy::TenantId;
use mass_domain::time::{Clock, Timestamp};
use mass_domain::trace::Origin;
use mass_mapping::{Mapper, Profile, ProfileError};

/// The maximum number of profiles of a tenant.
pub const MAX_MAPPINGS: u64 = 100;

/// The text of a profile, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileText {
    /// Its format.
    pub format: ProfileFormat,
    /// The text.
    pub text: String,
}

impl ProfileText {
    /// Parses the profile.
    ///
    /// # Errors
    /// The first mistake in the form.
    pub fn profile(&self) -> Result<Profile, ProfileError> {
        match self.format {
            ProfileFormat::Toml => Profile::from_toml(&self.text),
            ProfileFormat::Json => Profile::from_json(self.text.as_bytes()),
        }
    }

    /// Parses and compiles the profile, which takes processor time.
    ///
    /// # Errors
    /// All mistakes, each with its place.
    pub fn mapper(&self) -> Result<Mapper, Vec<ProfileError>> {
        Mapper::new(&self.profile().map_err(|error| vec![error])?)
    }
}

/// A profile without mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedProfile {
    text: ProfileText,
    digest: Fingerprint,
    contract: ContractId,
}

impl CheckedProfile {
    /// Checks a profile, which takes processor time.
    ///
    /// # Errors
    /// All mistakes, each with its place.
    pub fn new(text: ProfileText) -> Result<Self, Vec<ProfileError>> {
        let contract = text.mapper()?.contract();
        let digest = Fingerprint::of(&text.text);
        Ok(Self { text, digest, contract })
    }
}

/// A stored profile without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingSummary {
    /// Its name.
    pub name: MappingName,
    /// The SHA-256 of its text: its version.
    pub digest: Fingerprint,
    /// The format of its text.
    pub format: ProfileFormat,
    /// The contract of the documents that it makes.
    pub contract: ContractId,
    /// The instant of its creation.
    pub created_at: Timestamp,
    /// Its creator.
    pub created_by: Actor,
    /// The instant of the last change.
    pub updated_at: Timestamp,
    /// The author of the last change.
    pub updated_by: Actor,
}

/// A stored profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// All but its text.
    pub summary: MappingSummary,
    /// Its text, as it was sent.
    pub text: ProfileText,
}

/// A profile to be stored.
#[derive(Debug, Clone)]
pub struct MappingChange {
    /// Its name.
    pub name: MappingName,
    /// The profile.
    pub profile: CheckedProfile,
    /// The condition.
    pub precondition: Precondition,
    /// The actor, the time and the origin of the change.
    pub act: Act,
}

/// The result of storing a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedMapping {
    /// The profile as it is stored now.
    pub mapping: Mapping,
    /// True if there was none of this name before.
    pub is_new: bool,
    /// False if the same text was stored already, so that nothing changes and no event is appended.
    pub is_changed: bool,
}

impl MappingChange {
    /// Decides on the change, from the stored profile of this name and the number of profiles that the tenant has.
    ///
    /// # Errors
    /// [`MappingError::Stale`] and [`MappingError::TooMany`].
    pub fn judge(&self, stored: Option<&MappingSummary>, count: u64) -> Result<ChangedMapping, MappingError> {
        check(&self.precondition, stored)?;
        if stored.is_none() && count >= MAX_MAPPINGS {
            return Err(MappingError::TooMany);
        }
        let CheckedProfile { text, digest, contract } = self.profile.clone();
        let is_changed = stored.is_none_or(|stored| (stored.digest, stored.format) != (digest, text.format));
        let summary = match stored {
            Some(stored) if !is_changed => stored.clone(),
            _ => MappingSummary {
                name: self.name.clone(),
                digest,
                format: text.format,
                contract,
                created_at: stored.map_or(self.act.at, |stored| stored.created_at),
                created_by: stored.map_or(self.act.actor, |stored| stored.created_by),
                updated_at: self.act.at,
                updated_by: self.act.actor,
            },
        };
        Ok(ChangedMapping { mapping: Mapping { summary, text }, is_new: stored.is_none(), is_changed })
    }

    /// Builds the event of the change, with the digest before.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, before: Option<&MappingSummary>) -> NewEvent {
        self.act
            .done(tenant, Action::MappingSet, Object::Mapping(self.name.clone()))
            .with("before", before.map(|before| before.digest.to_string()))
            .with("after", self.profile.digest.to_string())
            .with("contract", self.profile.contract.to_string())
    }
}

/// A profile to be deleted.
#[derive(Debug, Clone)]
pub struct MappingDeletion {
    /// Its name.
    pub name: MappingName,
    /// The condition.
    pub precondition: Precondition,
    /// The actor, the time and the origin of the deletion.
    pub act: Act,
}

impl MappingDeletion {
    /// Decides on the deletion of the stored profile, and builds its event.
    ///
    /// # Errors
    /// [`MappingError::NotFound`] and [`MappingError::Stale`].
    pub fn judge(&self, tenant: &TenantId, stored: Option<&MappingSummary>) -> Result<NewEvent, MappingError> {
        let stored = stored.ok_or(MappingError::NotFound)?;
        check(&self.precondition, Some(stored))?;
        let event = self.act.done(tenant, Action::MappingDeleted, Object::Mapping(self.name.clone()));
        Ok(event.with("before", stored.digest.to_string()))
    }
}

fn check(precondition: &Precondition, stored: Option<&MappingSummary>) -> Result<(), MappingError> {
    let holds = precondition.holds(stored.map(|stored| stored.digest));
    if holds { Ok(()) } else { Err(MappingError::Stale) }
}

/// Reason why a profile is not read, stored or deleted.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// The tenant has no profile of this name.
    #[error("the mapping profile does not exist")]
    NotFound,
    /// The stored profile is not as the caller's condition says.
    #[error("the mapping profile is not as the condition says")]
    Stale,
    /// The tenant has as many profiles as it may.
    #[error("the tenant has {MAX_MAPPINGS} mapping profiles, the most")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// The port that stores mapping profiles. Each call is one transaction, restricted to the tenant's data.
#[async_trait]
pub trait MappingStore: Send + Sync {
    /// Finds a profile.
    async fn find(&self, tenant: &TenantId, name: &MappingName) -> Result<Option<Mapping>, PortError>;

    /// Lists profiles by their names, from behind `after`: at most `limit + 1` rows.
    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<MappingName>,
        limit: Limit,
    ) -> Result<Vec<MappingSummary>, PortError>;

    /// Stores a profile as [`MappingChange::judge`] decides, and appends [`MappingChange::event`] if it changes.
    async fn upsert(&self, tenant: &TenantId, change: MappingChange) -> Result<ChangedMapping, MappingError>;

    /// Deletes a profile if [`MappingDeletion::judge`] allows it, and appends the event that it builds.
    async fn delete(&self, tenant: &TenantId, deletion: MappingDeletion) -> Result<(), MappingError>;
}

/// The use cases on mapping profiles.
pub struct MappingService {
    store: Arc<dyn MappingStore>,
    clock: Arc<dyn Clock>,
}

impl MappingService {
    /// Puts the use cases on top of a store.
    #[must_use]
    pub const fn new(store: Arc<dyn MappingStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Returns a profile of the caller's tenant.
    ///
    /// # Errors
    /// [`MappingError`].
    pub async fn get(&self, principal: &Principal, name: &MappingName) -> Result<Mapping, MappingError> {
        principal.require(Permission::MassRead)?;
        self.store.find(principal.tenant(), name).await?.ok_or(MappingError::NotFound)
    }

    /// Finds the profile that a caller sends records by, which needs no permission to read.
    ///
    /// # Errors
    /// [`MappingError`].
    pub async fn find_for_sending(
        &self,
        principal: &Principal,
        name: &MappingName,
    ) -> Result<Option<Mapping>, MappingError> {
        principal.require(Permission::MassWrite)?;
        Ok(self.store.find(principal.tenant(), name).await?)
    }

    /// Returns a page of the profiles of the caller's tenant, by name.
    ///
    /// # Errors
    /// [`MappingError`].
    pub async fn list(
        &self,
        principal: &Principal,
        limit: Limit,
        cursor: Option<&str>,
    ) -> Result<Page<MappingSummary>, MappingError> {
        principal.require(Permission::MassRead)?;
        let scope = CursorScope::of("mappings", [Some(principal.tenant().as_str())]);
        let after = cursor.map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let rows = self.store.list(principal.tenant(), after, limit).await?;
        Ok(Page::from_lookahead(rows, limit, scope, |row| row.name.clone()))
    }

    /// Stores a profile in the caller's tenant: a new one, or in place of the one of this name. Batches that have begun
    /// keep the profile that they began with.
    ///
    /// # Errors
    /// [`MappingError`].
    pub async fn set(
        &self,
        principal: &Principal,
        name: MappingName,
        profile: CheckedProfile,
        precondition: Precondition,
        origin: &Origin,
    ) -> Result<ChangedMapping, MappingError> {
        principal.require(Permission::SettingsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        self.store.upsert(principal.tenant(), MappingChange { name, profile, precondition, act }).await
    }

    /// Deletes a profile of the caller's tenant.
    ///
    /// # Errors
    /// [`MappingError`].
    pub async fn delete(
        &self,
        principal: &Principal,
        name: MappingName,
        precondition: Precondition,
        origin: &Origin,
    ) -> Result<(), MappingError> {
        principal.require(Permission::SettingsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        self.store.delete(principal.tenant(), MappingDeletion { name, precondition, act }).await
    }
}

#[cfg(test)]
mod tests {
    use mass_domain::precondition::Digests;
    use mass_domain::trace::RequestId;

    use super::*;

    const PROFILE: &str = "contract = \"simple/1.0\"\n[members]\n\"a\" = \"A\"\n";

    fn text(text: &str) -> ProfileText {
        ProfileText { format: ProfileFormat::Toml, text: text.to_owned() }
    }

    fn change(profile: &str, precondition: Precondition) -> MappingChange {
        let origin = Origin { request_id: RequestId::parse("r-1").unwrap(), trace: None, address: None };
        let name = MappingName::parse("site").unwrap();
        let act = Act::new(Actor::System, "2026-11-24T18:00:00Z".parse().unwrap(), &origin);
        MappingChange { name, profile: CheckedProfile::new(text(profile)).unwrap(), precondition, act }
    }

    fn stored() -> MappingSummary {
        change(PROFILE, Precondition::default()).judge(None, 0).unwrap().mapping.summary
    }

    #[test]
    fn a_profile_with_mistakes_is_not_checked() {
        let errors = CheckedProfile::new(text("contract = \"device/9.9\"\n")).unwrap_err();
        assert_eq!(errors[0].pointer, "/contract");
        assert_eq!(CheckedProfile::new(text("contract = 7\n")).unwrap_err().len(), 1);
    }

    #[test]
    fn the_same_text_again_changes_nothing_and_another_keeps_the_creation() {
        let later = |profile: &str| {
            let mut change = change(profile, Precondition::default());
            change.act.at = "2026-11-25T18:00:00Z".parse().unwrap();
            change.judge(Some(&stored()), MAX_MAPPINGS).unwrap()
        };
        let same = later(PROFILE);
        assert_eq!((same.is_new, same.is_changed, &same.mapping.summary), (false, false, &stored()));
        let other = later(&format!("# Another.\n{PROFILE}"));
        let summary = &other.mapping.summary;
        assert_eq!((other.is_new, other.is_changed, summary.created_at), (false, true, stored().created_at));
        assert!(summary.updated_at > summary.created_at && summary.digest != stored().digest);
    }

    #[test]
    fn conditions_and_the_limit_are_judged() {
        let one_of = |digest| Some(Digests::OneOf(vec![digest]));
        let (digest, other) = (stored().digest, Fingerprint::of("other"));
        let cases = [
            (Precondition { matches: one_of(digest), differs: None }, true, false),
            (Precondition { matches: one_of(other), differs: None }, false, false),
            (Precondition { matches: Some(Digests::Any), differs: None }, true, false),
            (Precondition { matches: None, differs: Some(Digests::Any) }, false, true),
            (Precondition { matches: None, differs: one_of(digest) }, false, true),
            (Precondition { matches: None, differs: one_of(other) }, true, true),
        ];
        for (precondition, if_stored, if_absent) in cases {
            let judged =
                |stored: Option<&MappingSummary>| change(PROFILE, precondition.clone()).judge(stored, 0).is_ok();
            assert_eq!((judged(Some(&stored())), judged(None)), (if_stored, if_absent), "{precondition:?}");
        }
        let full = change(PROFILE, Precondition::default()).judge(None, MAX_MAPPINGS);
        assert!(matches!(full, Err(MappingError::TooMany)), "{full:?}");
    }
}
