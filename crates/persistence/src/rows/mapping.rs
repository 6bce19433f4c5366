//! Rows of mapping profiles.

use diesel::prelude::*;
use mass_domain::contracts::ContractId;
use mass_domain::mappings::{MappingName, ProfileFormat};
use mass_domain::tenancy::TenantId;
use mass_service::{Mapping, MappingSummary, ProfileText};

use super::actor;
use crate::columns::{Hash, Id, Instant, Word};
use crate::schema::mapping_profiles;

/// A mapping profile.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = mapping_profiles, treat_none_as_default_value = false)]
pub(crate) struct MappingRow {
    tenant_id: Word<TenantId>,
    #[diesel(embed)]
    summary: MappingSummaryRow,
    profile: String,
}

/// A mapping profile without its text.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = mapping_profiles, treat_none_as_default_value = false)]
pub(crate) struct MappingSummaryRow {
    name: Word<MappingName>,
    format: Word<ProfileFormat>,
    digest: Hash,
    contract: Word<ContractId>,
    created_at: Instant,
    created_by_kind: String,
    created_by_id: Option<Id>,
    updated_at: Instant,
    updated_by_kind: String,
    updated_by_id: Option<Id>,
}

/// The columns of a mapping profile that a change replaces.
#[derive(Debug, AsChangeset)]
#[diesel(table_name = mapping_profiles, treat_none_as_null = true)]
pub(crate) struct MappingChangeset {
    format: Word<ProfileFormat>,
    digest: Hash,
    contract: Word<ContractId>,
    profile: String,
    updated_at: Instant,
    updated_by_kind: String,
    updated_by_id: Option<Id>,
}

impl MappingRow {
    /// Builds the row of a tenant's profile.
    pub(crate) fn new(tenant: &TenantId, mapping: &Mapping) -> Self {
        let Mapping { summary, text } = mapping;
        let summary = MappingSummaryRow::new(summary);
        Self { tenant_id: Word(tenant.clone()), summary, profile: text.text.clone() }
    }

    /// Builds the profile.
    pub(crate) fn into_mapping(self) -> QueryResult<Mapping> {
        let summary = self.summary.into_summary()?;
        let text = ProfileText { format: summary.format, text: self.profile };
        Ok(Mapping { summary, text })
    }
}

impl MappingSummaryRow {
    fn new(summary: &MappingSummary) -> Self {
        Self {
            name: Word(summary.name.clone()),
            format: Word(summary.format),
            digest: Hash(summary.digest),
            contract: Word(summary.contract),
            created_at: Instant(summary.created_at),
            created_by_kind: summary.created_by.kind().to_owned(),
            created_by_id: summary.created_by.id().map(Id),
            updated_at: Instant(summary.updated_at),
            updated_by_kind: summary.updated_by.kind().to_owned(),
            updated_by_id: summary.updated_by.id().map(Id),
        }
    }

    /// Builds the profile without its text.
    pub(crate) fn into_summary(self) -> QueryResult<MappingSummary> {
        Ok(MappingSummary {
            name: self.name.0,
            digest: self.digest.0,
            format: self.format.0,
            contract: self.contract.0,
            created_at: self.created_at.0,
            created_by: actor(&self.created_by_kind, self.created_by_id)?,
            updated_at: self.updated_at.0,
            updated_by: actor(&self.updated_by_kind, self.updated_by_id)?,
        })
    }
}

impl MappingChangeset {
    /// Builds the columns from the profile as it is to be stored.
    pub(crate) fn new(mapping: &Mapping) -> Self {
        let Mapping { summary, text } = mapping;
        Self {
            format: Word(summary.format),
            digest: Hash(summary.digest),
            contract: Word(summary.contract),
            profile: text.text.clone(),
            updated_at: Instant(summary.updated_at),
            updated_by_kind: summary.updated_by.kind().to_owned(),
            updated_by_id: summary.updated_by.id().map(Id),
        }
    }
}
