//! Batches: many documents, each with a result of its own, examined while those before them are being stored.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::Refusals;
use mass_domain::tenancy::CredentialsVersion;
use mass_domain::trace::Origin;

use crate::MassService;
use crate::accept::{AcceptError, Options, Receipt, Refusal, Submission, missing_result};
use crate::document::{DocumentError, Record};
use crate::refused::Sent;

/// Documents that have been examined and wait to be stored, in their order.
#[derive(Debug, Default)]
pub struct Prepared {
    submissions: Vec<Submission>,
    verdicts: Vec<(Sent, Result<(), DocumentError>)>,
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
    /// Accepts documents in their order, in one unit of work; one result per record. What is refused is summed up, for
    /// [`record_refusals`](Self::record_refusals) once the call ends.
    ///
    /// # Errors
    /// As [`accept_prepared`](Self::accept_prepared).
    pub async fn accept_all(
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
        self.accept_prepared(principal, prepared, refusals).await
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
                let sent = Sent::of(&submission);
                prepared.submissions.push(submission);
                (sent, Ok(()))
            }
            Err((sent, error)) => (*sent, Err(error)),
        });
        Ok(())
    }

    /// Stores what was prepared, in its order and in one unit of work. A refused document leaves its neighbours alone, and is
    /// summed up.
    ///
    /// # Errors
    /// [`AcceptError::Forbidden`] and [`AcceptError::Store`] concern all documents; none is stored or summed up then.
    pub async fn accept_prepared(
        &self,
        principal: &Principal,
        prepared: Prepared,
        refusals: &mut Refusals,
    ) -> Result<Results, AcceptError> {
        principal.require(Permission::MassWrite)?;
        let Prepared { submissions, verdicts } = prepared;
        let stored = if submissions.is_empty() {
            Vec::new()
        } else {
            self.store.accept(principal.tenant(), submissions, Vec::new()).await?
        };
        self.results(stored, verdicts, refusals)
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
        refusals: &mut Refusals,
    ) -> Result<Result<Results, Prepared>, AcceptError> {
        principal.require(Permission::MassWrite)?;
        if prepared.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        match self.store(Some(version), principal, prepared.submissions.clone(), None).await? {
            Some(stored) => Ok(Ok(self.results(stored, prepared.verdicts, refusals)?)),
            None => Ok(Err(prepared)),
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

    /// Stores what was prepared if each document can be stored or is stored already, and else none of it; what was refused is
    /// recorded all the same. Where no document is refused for what it is, the results tell of each what is stored against it.
    ///
    /// # Errors
    /// As [`accept_prepared`](Self::accept_prepared).
    pub async fn accept_all_or_none(
        &self,
        principal: &Principal,
        origin: &Origin,
        prepared: Prepared,
    ) -> Result<Verdicts, AcceptError> {
        principal.require(Permission::MassWrite)?;
        let mut refusals = Refusals::default();
        let all_passed = prepared.all_passed();
        let Prepared { submissions, verdicts } = prepared;
        if all_passed {
            let stored = self.store.accept_all_or_none(principal.tenant(), submissions).await?;
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

/// What became of documents that belong together: the receipt of each, or of each what is against it.
pub type Verdicts = Result<Vec<Receipt>, Vec<Option<AcceptError>>>;
