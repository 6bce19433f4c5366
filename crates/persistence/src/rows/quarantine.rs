//! Rows of the quarantine.

use diesel::prelude::*;
use mass_domain::contracts::ContractId;
use mass_domain::ids::QuarantineId;
use mass_domain::quarantine::{Quarantined, QuarantinedSummary, RecordForm};
use mass_domain::tenancy::TenantId;
use mass_domain::trace::RequestId;
use mass_domain::validation::Violation;
use mass_service::NewRecord;

use super::{actor, corrupt};
use crate::columns::{Hash, Id, Instant, Json, Word};
use crate::schema::quarantined_records;

/// A record in the quarantine without its bytes and violations.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = quarantined_records, treat_none_as_default_value = false)]
pub(crate) struct QuarantineSummaryRow {
    tenant_id: Word<TenantId>,
    id: Id,
    received_at: Instant,
    expires_at: Instant,
    call_id: String,
    created_by_kind: String,
    created_by_id: Option<Id>,
    form: Word<RecordForm>,
    contract: Option<Word<ContractId>>,
    idempotency_key: Option<String>,
    mapping: Option<String>,
    /// With a comma before and after each.
    codes: String,
    violation_count: i64,
    bytes: i64,
}

impl QuarantineSummaryRow {
    fn new(tenant: &TenantId, summary: &QuarantinedSummary) -> Self {
        let column = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            tenant_id: Word(tenant.clone()),
            id: Id(summary.id.as_uuid()),
            received_at: Instant(summary.received_at),
            expires_at: Instant(summary.expires_at),
            call_id: summary.request_id.to_string(),
            created_by_kind: summary.created_by.kind().to_owned(),
            created_by_id: summary.created_by.id().map(Id),
            form: Word(summary.form),
            contract: summary.contract.map(Word),
            idempotency_key: summary.idempotency_key.clone(),
            mapping: summary.mapping.clone(),
            codes: format!(",{},", summary.codes.join(",")),
            violation_count: column(summary.violation_count),
            bytes: column(summary.bytes),
        }
    }

    /// Builds the summary.
    pub(crate) fn into_summary(self) -> QueryResult<QuarantinedSummary> {
        let count = |column: i64| u64::try_from(column).unwrap_or(0);
        Ok(QuarantinedSummary {
            id: QuarantineId::from_uuid(self.id.0),
            received_at: self.received_at.0,
            expires_at: self.expires_at.0,
            request_id: RequestId::parse(&self.call_id).map_err(corrupt)?,
            created_by: actor(&self.created_by_kind, self.created_by_id)?,
            form: self.form.0,
            contract: self.contract.map(|contract| contract.0),
            idempotency_key: self.idempotency_key,
            mapping: self.mapping,
            codes: self.codes.split(',').filter(|code| !code.is_empty()).map(str::to_owned).collect(),
            violation_count: count(self.violation_count),
            bytes: count(self.bytes),
        })
    }
}

/// A record in the quarantine to read.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = quarantined_records)]
pub(crate) struct QuarantineRow {
    #[diesel(embed)]
    summary: QuarantineSummaryRow,
    violations: Json<Vec<Violation>>,
    record: Vec<u8>,
}

impl QuarantineRow {
    /// Builds the record.
    pub(crate) fn into_quarantined(self) -> QueryResult<Quarantined> {
        Ok(Quarantined { summary: self.summary.into_summary()?, record: self.record, violations: self.violations.0 })
    }
}

/// A record in the quarantine to insert.
#[derive(Debug, Insertable)]
#[diesel(table_name = quarantined_records, treat_none_as_default_value = false)]
pub(crate) struct NewQuarantineRow<'a> {
    #[diesel(embed)]
    summary: QuarantineSummaryRow,
    digest: Option<Hash>,
    violations: Json<&'a [Violation]>,
    record: &'a [u8],
}

impl<'a> NewQuarantineRow<'a> {
    /// Builds the row of a record.
    pub(crate) fn new(tenant: &TenantId, new: &'a NewRecord) -> Self {
        let NewRecord { quarantined: Quarantined { summary, record, violations }, digest } = new;
        Self {
            summary: QuarantineSummaryRow::new(tenant, summary),
            digest: digest.map(Hash),
            violations: Json(violations),
            record,
        }
    }
}
