//! The engine behind its door: what it answers, and what it remembers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use actix_web::web::Bytes;
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use crate::Options;
use crate::answers::{Answers, Digest};
use crate::limits::{NAME_CHARACTERS, REMEMBERED_KEYS};
use crate::protocol::{GUARDRAILS, MODEL, Recommendation, Request};
use crate::recommend::advise;
use crate::refusal::Refusal;
use crate::signals::Signals;
use crate::statistics::Statistics;

/// The engine.
pub(crate) struct Engine {
    /// How it behaves.
    pub(crate) options: Options,
    memory: Mutex<Memory>,
}

struct Memory {
    statistics: Statistics,
    answers: Answers,
}

impl Engine {
    /// An engine that has not been asked anything.
    pub(crate) fn new(options: Options) -> Self {
        let memory = Memory { statistics: Statistics::default(), answers: Answers::of_the_last(REMEMBERED_KEYS) };
        Self { options, memory: Mutex::new(memory) }
    }

    /// What has been asked and answered.
    pub(crate) fn statistics(&self) -> Statistics {
        self.memory().statistics
    }

    /// Counts something.
    pub(crate) fn count(&self, counted: impl FnOnce(&mut Statistics)) {
        counted(&mut self.memory().statistics);
    }

    /// Counts a request, and tells its place in the order of arrival, from 0.
    pub(crate) fn arrived(&self) -> u64 {
        let requests = &mut self.memory().statistics.requests;
        *requests += 1;
        *requests - 1
    }

    /// The answer to a body; if its key was given one before, that one.
    ///
    /// # Errors
    /// When the engine cannot work with the body, or the key was used for another.
    pub(crate) fn answer(&self, key: Option<String>, body: &[u8]) -> Result<Bytes, Refusal> {
        let digest: Digest = Sha256::digest(body).into();
        let Some(key) = key else { return recommendation(body, &digest) };
        if let Some(answer) = self.recall(&key, &digest)? {
            return Ok(answer);
        }
        let answer = recommendation(body, &digest)?;
        self.remember(key, digest, answer)
    }

    fn recall(&self, key: &str, digest: &Digest) -> Result<Option<Bytes>, Refusal> {
        let mut memory = self.memory();
        let answer = memory.answers.recall(key, digest)?;
        memory.statistics.repeated += u64::from(answer.is_some());
        Ok(answer)
    }

    /// Remembers an answer, unless somebody else was given one under the same key in the meantime.
    fn remember(&self, key: String, digest: Digest, answer: Bytes) -> Result<Bytes, Refusal> {
        let mut memory = self.memory();
        if let Some(earlier) = memory.answers.recall(&key, &digest)? {
            memory.statistics.repeated += 1;
            return Ok(earlier);
        }
        memory.answers.remember(key, digest, answer.clone());
        memory.statistics.distinct_keys += 1;
        Ok(answer)
    }

    /// A panic cannot leave the memory half-written: nothing in between can fail.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a body with this digest: a pure function.
fn recommendation(body: &[u8], digest: &Digest) -> Result<Bytes, Refusal> {
    let Request { request_id, tenant_id, contract, fingerprint, mode, document } = read(body)?;
    let advice = advise(&Signals::read(&contract, document)?);
    let actions = advice.actions.len();
    let decision_id = decision_id(digest);
    tracing::info!(%request_id, tenant_id, contract, ?mode, %decision_id, actions, "recommended");
    let answer =
        Recommendation { decision_id, model: MODEL, input_fingerprint: &fingerprint, advice, guardrails: GUARDRAILS };
    serde_json::to_vec(&answer).map(Bytes::from).map_err(|error| Refusal::unworkable(&error.to_string()))
}

/// A decision's id: the same request to the same version of the engine always has the same. Version 8 of RFC 9562 is for
/// such ids.
fn decision_id(request: &Digest) -> Uuid {
    let digest = Sha256::new_with_prefix(MODEL.version).chain_update(MODEL.policy).chain_update(request).finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(id).into_uuid()
}

fn read(body: &[u8]) -> Result<Request, Refusal> {
    let value = serde_json::from_slice(body).map_err(|error| Refusal::no_json(&error.to_string()))?;
    let serde_json::Value::Object(_) = value else { return Err(Refusal::unworkable("an object is due")) };
    let request: Request = serde_path_to_error::deserialize(value)
        .map_err(|error| Refusal::unworkable(&format!("{}: {}", error.path(), error.inner())))?;
    let fingerprint = request.fingerprint.strip_prefix("sha256:").unwrap_or_default();
    if fingerprint.len() != 64 || !fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::unworkable("fingerprint: \"sha256:\" and 64 hexadecimal digits are due"));
    }
    if request.tenant_id.is_empty() || request.tenant_id.len() > NAME_CHARACTERS {
        return Err(Refusal::unworkable("tenant_id: the name of a tenant is due"));
    }
    Ok(request)
}
