//! The engine without HTTP: its answers, cache and statistics.

use std::sync::{Mutex, MutexGuard, PoisonError};

use actix_web::web::Bytes;
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use crate::Options;
use crate::answer_cache::{AnswerCache, Digest};
use crate::limits::{NAME_CHARACTERS, REMEMBERED_KEYS};
use crate::protocol::{Advice, AdviceRequest, GUARDRAILS, MODEL};
use crate::recommend::advise;
use crate::request_error::RequestError;
use crate::signals::Signals;
use crate::statistics::Statistics;

/// The engine.
pub(crate) struct Engine {
    /// Configuration of the engine.
    pub(crate) options: Options,
    state: Mutex<State>,
}

struct State {
    statistics: Statistics,
    answers: AnswerCache,
}

impl Engine {
    /// Builds an engine with an empty cache.
    pub(crate) fn new(options: Options) -> Self {
        let state = State { statistics: Statistics::default(), answers: AnswerCache::with_capacity(REMEMBERED_KEYS) };
        Self { options, state: Mutex::new(state) }
    }

    /// Returns the statistics since the start.
    pub(crate) fn statistics(&self) -> Statistics {
        self.state().statistics
    }

    /// Updates the statistics.
    pub(crate) fn count(&self, counted: impl FnOnce(&mut Statistics)) {
        counted(&mut self.state().statistics);
    }

    /// Counts a request and returns its index in the order of arrival, from 0.
    pub(crate) fn arrived(&self) -> u64 {
        let requests = &mut self.state().statistics.requests;
        *requests += 1;
        *requests - 1
    }

    /// Answers a request; a repeated idempotency key gets its cached answer.
    ///
    /// # Errors
    /// [`RequestError`] if the body is invalid, or if the key was used with another body.
    pub(crate) fn answer(&self, key: Option<String>, body: &[u8]) -> Result<Bytes, RequestError> {
        let digest: Digest = Sha256::digest(body).into();
        let Some(key) = key else { return recommendation(body, &digest) };
        if let Some(answer) = self.cached(&key, &digest)? {
            return Ok(answer);
        }
        let answer = recommendation(body, &digest)?;
        self.insert_or_get(key, digest, answer)
    }

    fn cached(&self, key: &str, digest: &Digest) -> Result<Option<Bytes>, RequestError> {
        let mut state = self.state();
        let answer = state.answers.get(key, digest)?;
        state.statistics.repeated += u64::from(answer.is_some());
        Ok(answer)
    }

    /// Caches an answer, unless a concurrent request with the same key was answered first. Returns the cached answer.
    fn insert_or_get(&self, key: String, digest: Digest, answer: Bytes) -> Result<Bytes, RequestError> {
        let mut state = self.state();
        if let Some(earlier) = state.answers.get(&key, &digest)? {
            state.statistics.repeated += 1;
            return Ok(earlier);
        }
        state.answers.insert(key, digest, answer.clone());
        state.statistics.distinct_keys += 1;
        Ok(answer)
    }

    /// Locks the state. A panic cannot leave it inconsistent, because no update can fail half-way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Computes the answer to a body with this digest.
fn recommendation(body: &[u8], digest: &Digest) -> Result<Bytes, RequestError> {
    let AdviceRequest { request_id, tenant_id, contract, fingerprint, mode, document } = read(body)?;
    let advice = advise(&Signals::read(&contract, document)?);
    let actions = advice.actions.len();
    let decision_id = decision_id(digest);
    tracing::info!(%request_id, tenant_id, contract, ?mode, %decision_id, actions, "recommended");
    let answer = Advice { decision_id, model: MODEL, input_fingerprint: &fingerprint, advice, guardrails: GUARDRAILS };
    serde_json::to_vec(&answer).map(Bytes::from).map_err(|error| RequestError::unworkable(&error.to_string()))
}

/// Derives the decision id from the request and the engine's version, so that equal requests have equal ids. Such ids
/// are UUIDs of version 8 (RFC 9562).
fn decision_id(request: &Digest) -> Uuid {
    let digest = Sha256::new_with_prefix(MODEL.version).chain_update(MODEL.policy).chain_update(request).finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(id).into_uuid()
}

fn read(body: &[u8]) -> Result<AdviceRequest, RequestError> {
    let value = serde_json::from_slice(body).map_err(|error| RequestError::no_json(&error.to_string()))?;
    let serde_json::Value::Object(_) = value else { return Err(RequestError::unworkable("expected a JSON object")) };
    let request: AdviceRequest = serde_path_to_error::deserialize(value)
        .map_err(|error| RequestError::unworkable(&format!("{}: {}", error.path(), error.inner())))?;
    let fingerprint = request.fingerprint.strip_prefix("sha256:").unwrap_or_default();
    if fingerprint.len() != 64 || !fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(RequestError::unworkable("fingerprint: expected \"sha256:\" and 64 hexadecimal digits"));
    }
    if request.tenant_id.is_empty() || request.tenant_id.len() > NAME_CHARACTERS {
        return Err(RequestError::unworkable("tenant_id: expected the name of a tenant"));
    }
    Ok(request)
}
