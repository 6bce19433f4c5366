//! Batches: many documents, each with its own result, validated while those before them are being stored.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::Refusals;
use mass_domain::port::PortError;
use mass_domain::tenancy::CredentialsVersion;
use mass_domain::trace::Origin;

use crate::MassService;
use crate::accept::{AcceptError, Options, missing_result};
use crate::acceptance::SubmissionResults;
use crate::decision::{Receipt, Refusal};
use crate::document::{DocumentError, Record};
use crate::refused::Sent;
use crate::submission::Submission;

/// Validated documents that wait to be stored, in their order.
#[derive(Debug, Default)]
pub struct Prepared {
    submissions: Vec<Submission>,
    verdicts: Vec<(Sent, Result<(), DocumentError>)>,
    /// True if keys of deleted requests are followed by their successors.
    renew_keys: bool,
}

/// One result per document, in their order.
pub type Results = Vec<Result<Receipt, AcceptError>>;

impl Prepared {
    /// Returns the number of documents, including refused ones.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.verdicts.len()
    }

    /// Tells whether there is no document.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.verdicts.is_empty()
    }

    /// Tells whether every document is valid.
    #[must_use]
    pub const fn all_passed(&self) -> bool {
        self.submissions.len() == self.verdicts.len()
    }
}

impl MassService {
    /// Stores documents in their order, in one transaction; one result per record. Refusals are added up, for
    /// [`record_refusals`](Self::record_refusals) at the end of the call.
    ///
    /// # Errors
    /// As [`store_prepared`](Self::store_prepared).
    pub async fn store_records(
        &self,
        principal: &Principal,
        records: Vec<Record>,
        options: &Options,
        refusals: &mut Refusals,
    ) -> Result<Results, AcceptError> {
        let mut prepared = Prepared::default();
        for record in records {
            self.prepare_next(principal, record, options, &mut prepared)?;
        }
        let stored = self.store_prepared(principal, prepared, refusals, None).await?;
        Ok(stored.map_err(|_| missing_result())?)
    }

    /// Validates a document, which takes processor time and no store, and adds it to those that wait.
    ///
    /// # Errors
    /// [`Forbidden`] without the permission; nothing is added then.
    pub fn prepare_next(
        &self,
        principal: &Principal,
        record: Record,
        options: &Options,
        prepared: &mut Prepared,
    ) -> Result<(), Forbidden> {
        principal.require(Permission::MassWrite)?;
        prepared.renew_keys = options.renew_keys;
        prepared.verdicts.push(match self.prepare(principal, &record, options) {
            Ok(submission) => {
                let sent = Sent::of(&submission);
                let call_id = Some(options.call_id.as_ref().unwrap_or(&options.origin.request_id).clone());
                prepared.submissions.push(Submission { call_id, ..submission });
                (sent, Ok(()))
            }
            Err((sent, error)) => (*sent, Err(error)),
        });
        Ok(())
    }

    /// Stores prepared documents in their order, in one transaction. A refused document leaves its neighbours alone, and
    /// is added to `refusals`. With `as_of`, which a cached principal comes with, nothing is stored and the documents are
    /// handed back unless the tenant's credentials are at that version in the same transaction.
    ///
    /// # Errors
    /// [`AcceptError::Forbidden`] and [`AcceptError::Store`] concern all documents; none is stored or added up then.
    pub async fn store_prepared(
        &self,
        principal: &Principal,
        mut prepared: Prepared,
        refusals: &mut Refusals,
        as_of: Option<CredentialsVersion>,
    ) -> Result<Result<Results, Prepared>, AcceptError> {
        principal.require(Permission::MassWrite)?;
        // A cached caller's refusals are told only as of the version, too, so that the store is asked even about them alone.
        let needs_store = if as_of.is_some() { !prepared.is_empty() } else { !prepared.submissions.is_empty() };
        let stored = if needs_store {
            let kept = if as_of.is_some() { prepared.submissions.clone() } else { Vec::new() };
            let submissions = std::mem::replace(&mut prepared.submissions, kept);
            if prepared.renew_keys {
                self.store_renewing_keys(principal, submissions, as_of).await?
            } else {
                self.store.accept(principal.tenant(), submissions, Vec::new(), as_of).await?
            }
        } else {
            Some(Vec::new())
        };
        match stored {
            Some(stored) => Ok(Ok(self.results(stored, prepared.verdicts, refusals)?)),
            None => Ok(Err(prepared)),
        }
    }

    /// Stores submissions. Those whose idempotency key led to a deleted request are stored under the key's successor.
    async fn store_renewing_keys(
        &self,
        principal: &Principal,
        mut submissions: Vec<Submission>,
        as_of: Option<CredentialsVersion>,
    ) -> Result<Option<SubmissionResults>, PortError> {
        let tenant = principal.tenant();
        let stored = self.store.accept(tenant, submissions.clone(), Vec::new(), as_of).await?;
        let Some(mut results) = stored else { return Ok(None) };
        loop {
            let mut renewed = Vec::new();
            for (at, (submission, result)) in submissions.iter_mut().zip(&results).enumerate() {
                if let (Some(key), Err(Refusal::KeyOfDeleted { .. })) = (&submission.idempotency_key, result)
                    && let Some(successor) = key.successor()
                {
                    submission.idempotency_key = Some(successor);
                    renewed.push((at, submission.clone()));
                }
            }
            if renewed.is_empty() {
                return Ok(Some(results));
            }
            let (places, again): (Vec<usize>, Vec<Submission>) = renewed.into_iter().unzip();
            let stored = self.store.accept(tenant, again, Vec::new(), as_of).await?;
            let Some(stored) = stored else { return Ok(None) };
            for (at, result) in places.into_iter().zip(stored) {
                if let Some(place) = results.get_mut(at) {
                    *place = result;
                }
            }
        }
    }

    fn results(
        &self,
        stored: Vec<Result<Receipt, Refusal>>,
        verdicts: Vec<(Sent, Result<(), DocumentError>)>,
        refusals: &mut Refusals,
    ) -> Result<Results, AcceptError> {
        let submitted: Vec<_> = verdicts.iter().filter(|(_, verdict)| verdict.is_ok()).map(|(sent, _)| *sent).collect();
        self.count_refusals(&submitted, &stored);
        let mut stored = stored.into_iter();
        let result = |(sent, verdict): (Sent, Result<(), DocumentError>)| {
            let result = match verdict {
                Ok(()) => stored.next().ok_or_else(missing_result)?.map_err(AcceptError::from),
                Err(error) => Err(error.into()),
            };
            match &result {
                Err(AcceptError::Document(error)) => refusals.refused(&sent.refused(error)),
                Err(AcceptError::Refused(refusal)) => refusals.refused(&sent.refused_by(refusal)),
                Ok(_) | Err(AcceptError::Forbidden(_) | AcceptError::Store(_)) => refusals.passed(),
            }
            Ok(result)
        };
        verdicts.into_iter().map(result).collect()
    }

    /// Stores prepared documents if each of them can be stored or is stored already, and otherwise none; refusals are
    /// recorded all the same. If all documents are valid, the result tells for each the refusal by the stored state.
    ///
    /// # Errors
    /// As [`store_prepared`](Self::store_prepared).
    pub async fn store_all_or_none(
        &self,
        principal: &Principal,
        origin: &Origin,
        prepared: Prepared,
    ) -> Result<Verdicts, AcceptError> {
        principal.require(Permission::MassWrite)?;
        let mut refusals = Refusals::default();
        let all_passed = prepared.all_passed();
        let Prepared { submissions, verdicts, .. } = prepared;
        if all_passed {
            let stored = self.store.store_all_or_none(principal.tenant(), submissions).await?;
            let results = self.results(stored, verdicts, &mut refusals)?;
            if refusals.is_empty() {
                return Ok(Ok(results.into_iter().filter_map(Result::ok).collect()));
            }
            self.record_refusals(principal, origin, refusals).await?;
            return Ok(Err(results.into_iter().map(Result::err).collect()));
        }
        for (sent, verdict) in &verdicts {
            match verdict {
                Ok(()) => refusals.passed(),
                Err(error) => refusals.refused(&sent.refused(error)),
            }
        }
        self.record_refusals(principal, origin, refusals).await?;
        Ok(Err(verdicts.into_iter().map(|(_, verdict)| verdict.err().map(AcceptError::from)).collect()))
    }
}

/// The result of documents that are stored together: a receipt for each, or for each the reason against it, if any.
pub type Verdicts = Result<Vec<Receipt>, Vec<Option<AcceptError>>>;
