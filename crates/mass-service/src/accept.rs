//! Accepting a document: validate it, and store it unless it is stored already.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::{Act, NewEvent, Refusals};
use mass_domain::port::PortError;
use mass_domain::tenancy::{AutoSend, CredentialsVersion};
use mass_domain::trace::{Origin, RequestId, SPANS};

use crate::MassService;
use crate::decision::{Receipt, Refusal};
use crate::document::{DocumentError, Record, examine};
use crate::observer::RefusedAt;
use crate::refused::Sent;
use crate::submission::{MappingSource, OnConflict, Submission};

/// Options for accepting documents.
#[derive(Debug, Clone)]
pub struct Options {
    /// Treatment of a conflict with a stored document.
    pub on_conflict: OnConflict,
    /// Default of the server for sending new requests to the engine; the tenant's setting overrides it.
    pub auto_send: AutoSend,
    /// The origin of the call.
    pub origin: Origin,
    /// True to take the successor of an idempotency key if its request has been deleted: for keys that are made of
    /// the content, so that it can be stored again. Only batches do so.
    pub renew_keys: bool,
    /// The mapping profile that the documents were made by.
    pub mapping: Option<MappingSource>,
    /// The id by which the requests of a batch are found again, if it is not the call's request id.
    pub call_id: Option<RequestId>,
}

impl Options {
    /// Builds the options for a single document.
    #[must_use]
    pub const fn for_one(on_conflict: OnConflict, auto_send: AutoSend, origin: Origin) -> Self {
        Self { on_conflict, auto_send, origin, renew_keys: false, mapping: None, call_id: None }
    }
}

/// Reason for which a document is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The document itself is at fault.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The stored state does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl MassService {
    /// Accepts one document. With `as_of`, which a cached principal comes with, nothing is stored and `None` returned
    /// unless the tenant's credentials are at that version in the same transaction.
    ///
    /// # Errors
    /// [`AcceptError`]; nothing is stored then.
    pub async fn accept(
        &self,
        principal: &Principal,
        record: &Record,
        options: &Options,
        as_of: Option<CredentialsVersion>,
    ) -> Result<Option<Receipt>, AcceptError> {
        principal.require(Permission::MassWrite)?;
        let span = tracing::info_span!(
            target: SPANS,
            "examine",
            mass.contract = tracing::field::Empty,
            mass.refused_at = tracing::field::Empty,
        );
        let prepared = span.in_scope(|| self.prepare(principal, record, options));
        drop(span);
        let submission = match prepared {
            Ok(submission) => submission,
            Err((sent, error)) => {
                let mut refusals = Refusals::default();
                refusals.refused(&sent.refused(&error));
                let event = self.refusal_event(principal, &options.origin, refusals);
                let events = event.into_iter().collect();
                let recorded = self.store.accept(principal.tenant(), Vec::new(), events, as_of).await?;
                return recorded.map_or(Ok(None), |_| Err(error.into()));
            }
        };
        let sent = Sent::of(&submission);
        let stored = self.store.accept(principal.tenant(), vec![submission], Vec::new(), as_of).await?;
        let Some(mut stored) = stored else { return Ok(None) };
        self.count_refusals(&[sent], &stored);
        let result = stored.pop().ok_or_else(missing_result)?;
        if let Err(refusal) = &result {
            let mut refusals = Refusals::default();
            refusals.refused(&sent.refused_by(refusal));
            self.record_refusals(principal, &options.origin, refusals).await?;
        }
        Ok(Some(result?))
    }

    /// Appends one event about all refusals of a call to the audit log; none if nothing was refused.
    ///
    /// # Errors
    /// [`PortError`] of the store; nothing is recorded then.
    pub async fn record_refusals(
        &self,
        principal: &Principal,
        origin: &Origin,
        refusals: Refusals,
    ) -> Result<(), PortError> {
        match self.refusal_event(principal, origin, refusals) {
            Some(event) => self.store.accept(principal.tenant(), Vec::new(), vec![event], None).await.map(|_| ()),
            None => Ok(()),
        }
    }

    fn refusal_event(&self, principal: &Principal, origin: &Origin, refusals: Refusals) -> Option<NewEvent> {
        refusals.into_event(&Act::new(principal.actor(), self.clock.now(), origin), principal.tenant())
    }

    /// Counts the submissions that the store refused.
    pub(crate) fn count_refusals(&self, sent: &[Sent], results: &[Result<Receipt, Refusal>]) {
        for (sent, result) in sent.iter().zip(results) {
            if let Err(refusal) = result {
                self.observer.refused(RefusedAt::of_refusal(refusal), sent.contract);
            }
        }
    }

    /// Validates a record and makes a submission of it.
    pub(crate) fn prepare(
        &self,
        principal: &Principal,
        record: &Record,
        options: &Options,
    ) -> Result<Submission, (Box<Sent>, DocumentError)> {
        let at = self.clock.now();
        let id = self.next_id(at);
        let Options { on_conflict, auto_send, origin, renew_keys: _, mapping, call_id: _ } = options.clone();
        let actor = principal.actor();
        let span = tracing::Span::current();
        match examine(principal, record, at) {
            Ok((examined, idempotency_key)) => {
                span.record("mass.contract", tracing::field::display(examined.contract));
                let input = record.fingerprint();
                Ok(Submission {
                    id,
                    at,
                    actor,
                    input,
                    examined,
                    idempotency_key,
                    on_conflict,
                    auto_send,
                    origin,
                    mapping,
                    call_id: None,
                    quarantined: None,
                })
            }
            Err(error) => {
                let sent = Sent { id, contract: record.contract(), input: record.fingerprint() };
                let refused_at = RefusedAt::of_document(&error);
                span.record("mass.contract", sent.contract.map(tracing::field::display));
                span.record("mass.refused_at", refused_at.as_str());
                self.observer.refused(refused_at, sent.contract);
                Err((Box::new(sent), error))
            }
        }
    }
}

pub(crate) fn missing_result() -> PortError {
    PortError::Unexpected(anyhow::anyhow!("the store gave fewer results than it was given submissions"))
}
