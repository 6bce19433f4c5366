//! Batches: many documents, each with a result of its own, examined while those before them are being stored.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::NewEvent;
use mass_domain::contracts::ContractId;
use mass_domain::tenancy::CredentialsVersion;

use crate::MassService;
use crate::accept::{AcceptError, Options, Receipt, Refusal, Submission, contracts_of, missing_result};
use crate::document::{DocumentError, Record};

/// Documents that have been examined and wait to be stored, in their order.
#[derive(Debug, Default)]
pub struct Prepared {
    submissions: Vec<Submission>,
    refused: Vec<NewEvent>,
    verdicts: Vec<Result<(), DocumentError>>,
}

/// One result per document, in their order.
pub type Results = Vec<Result<Receipt, AcceptError>>;

impl Prepared {
    /// How many they are, refused ones among them.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.verdicts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.verdicts.is_empty()
    }

    /// Whether each of them passed.
    #[must_use]
    pub const fn all_passed(&self) -> bool {
        self.submissions.len() == self.verdicts.len()
    }
}

impl MassService {
    /// Accepts documents in their order, in one unit of work; one result per record.
    ///
    /// # Errors
    /// As [`accept_prepared`](Self::accept_prepared).
    pub async fn accept_all(
        &self,
        principal: &Principal,
        records: Vec<Record>,
        options: &Options,
    ) -> Result<Results, AcceptError> {
        let mut prepared = Prepared::default();
        for record in records {
            self.prepare_next(principal, record, options, &mut prepared)?;
        }
        self.accept_prepared(principal, prepared).await
    }

    /// Examines a document, which takes no store but the time of a processor, and adds it to those that wait.
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
        prepared.verdicts.push(match self.prepare(principal, &record, options) {
            Ok(submission) => {
                prepared.submissions.push(submission);
                Ok(())
            }
            Err((event, error)) => {
                prepared.refused.push(*event);
                Err(error)
            }
        });
        Ok(())
    }

    /// Stores what was prepared, in its order and in one unit of work. A refused document leaves its neighbours alone.
    ///
    /// # Errors
    /// [`AcceptError::Forbidden`] and [`AcceptError::Store`] concern all documents, and then none is stored, nor is it
    /// recorded that one was refused.
    pub async fn accept_prepared(&self, principal: &Principal, prepared: Prepared) -> Result<Results, AcceptError> {
        principal.require(Permission::MassWrite)?;
        let Prepared { submissions, refused, verdicts } = prepared;
        if verdicts.is_empty() {
            return Ok(Vec::new());
        }
        let contracts = contracts_of(&submissions);
        let stored = self.store.accept(principal.tenant(), submissions, refused).await?;
        self.results(&contracts, stored, verdicts)
    }

    /// Does what [`accept_prepared`](Self::accept_prepared) does if the credentials of the caller's tenant are at this
    /// version when the documents are stored, and else nothing: what was prepared is handed back then.
    ///
    /// # Errors
    /// As [`accept_prepared`](Self::accept_prepared).
    pub async fn accept_prepared_as_of(
        &self,
        version: CredentialsVersion,
        principal: &Principal,
        prepared: Prepared,
    ) -> Result<Result<Results, Prepared>, AcceptError> {
        principal.require(Permission::MassWrite)?;
        if prepared.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let contracts = contracts_of(&prepared.submissions);
        let (submissions, refused) = (prepared.submissions.clone(), prepared.refused.clone());
        match self.store.accept_as_of(principal.tenant(), version, submissions, refused).await? {
            Some(stored) => Ok(Ok(self.results(&contracts, stored, prepared.verdicts)?)),
            None => Ok(Err(prepared)),
        }
    }

    fn results(
        &self,
        contracts: &[ContractId],
        stored: Vec<Result<Receipt, Refusal>>,
        verdicts: Vec<Result<(), DocumentError>>,
    ) -> Result<Results, AcceptError> {
        self.count_refusals(contracts, &stored);
        let mut stored = stored.into_iter();
        let result = |verdict: Result<(), DocumentError>| match verdict {
            Ok(()) => Ok(stored.next().ok_or_else(missing_result)?.map_err(AcceptError::from)),
            Err(error) => Ok(Err(error.into())),
        };
        verdicts.into_iter().map(result).collect()
    }

    /// Stores what was prepared if each document can be stored or is stored already, and else none of it; that any was
    /// refused is recorded all the same. Where no document is refused for what it is, the results tell of each what is
    /// stored against it.
    ///
    /// # Errors
    /// As [`accept_prepared`](Self::accept_prepared).
    pub async fn accept_all_or_none(&self, principal: &Principal, prepared: Prepared) -> Result<Verdicts, AcceptError> {
        principal.require(Permission::MassWrite)?;
        let all_passed = prepared.all_passed();
        let Prepared { submissions, refused, verdicts } = prepared;
        if !all_passed {
            self.store.accept(principal.tenant(), Vec::new(), refused).await?;
            let refused = verdicts.into_iter().map(|verdict| verdict.err().map(AcceptError::from));
            return Ok(Err(refused.collect()));
        }
        let contracts = contracts_of(&submissions);
        let results = self.store.accept_all_or_none(principal.tenant(), submissions).await?;
        self.count_refusals(&contracts, &results);
        if results.iter().any(Result::is_err) {
            return Ok(Err(results.into_iter().map(|result| result.err().map(AcceptError::from)).collect()));
        }
        Ok(Ok(results.into_iter().filter_map(Result::ok).collect()))
    }
}

/// What became of documents that belong together: the receipt of each, or of each what is against it.
pub type Verdicts = Result<Vec<Receipt>, Vec<Option<AcceptError>>>;
