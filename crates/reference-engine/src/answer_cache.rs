//! The idempotency cache: a repeated key gets the same answer.

use std::collections::{HashMap, VecDeque};

use actix_web::web::Bytes;

use crate::request_error::RequestError;

/// The SHA-256 of a request's body.
pub(crate) type Digest = [u8; 32];

/// A cache of answers by idempotency key. Evicts the oldest entry first.
#[derive(Debug)]
pub(crate) struct AnswerCache {
    capacity: usize,
    by_key: HashMap<String, (Digest, Bytes)>,
    /// Keys in order of insertion.
    order: VecDeque<String>,
}

impl AnswerCache {
    /// Builds a cache with a maximum number of entries.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { capacity, by_key: HashMap::new(), order: VecDeque::new() }
    }

    /// Returns the cached answer for this key and body.
    ///
    /// # Errors
    /// [`RequestError::KeyReused`] if the key was used with another body.
    pub(crate) fn get(&self, key: &str, body: &Digest) -> Result<Option<Bytes>, RequestError> {
        match self.by_key.get(key) {
            None => Ok(None),
            Some((remembered, answer)) if remembered == body => Ok(Some(answer.clone())),
            Some(_) => Err(RequestError::KeyReused),
        }
    }

    /// Stores the answer for a new key.
    pub(crate) fn insert(&mut self, key: String, body: Digest, answer: Bytes) {
        if self.order.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.by_key.insert(key, (body, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Digest = [1; 32];
    const TWO: Digest = [2; 32];

    #[test]
    fn repeated_key_gets_the_same_answer_for_the_same_body_only() {
        let mut answers = AnswerCache::with_capacity(2);
        assert_eq!(answers.get("a", &ONE), Ok(None));
        answers.insert("a".to_owned(), ONE, Bytes::from_static(b"first"));
        assert_eq!(answers.get("a", &ONE), Ok(Some(Bytes::from_static(b"first"))));
        assert_eq!(answers.get("a", &TWO), Err(RequestError::KeyReused));
    }

    #[test]
    fn evicts_the_oldest_key() {
        let mut answers = AnswerCache::with_capacity(2);
        for key in ["a", "b", "c"] {
            answers.insert(key.to_owned(), ONE, Bytes::from_static(b"answer"));
        }
        assert_eq!(answers.get("a", &TWO), Ok(None));
        assert!(answers.get("b", &ONE).unwrap().is_some());
        assert!(answers.get("c", &ONE).unwrap().is_some());
        assert_eq!((answers.order.len(), answers.by_key.len()), (2, 2));
    }
}
