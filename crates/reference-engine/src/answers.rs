//! The answers that were given, so that the same key gets the same answer.

use std::collections::{HashMap, VecDeque};

use actix_web::web::Bytes;

use crate::refusal::Refusal;

/// The SHA-256 of a request's body.
pub(crate) type Digest = [u8; 32];

/// The answers to the last idempotency keys; the oldest are forgotten first.
#[derive(Debug)]
pub(crate) struct Answers {
    capacity: usize,
    by_key: HashMap<String, (Digest, Bytes)>,
    /// The keys in the order in which they came.
    order: VecDeque<String>,
}

impl Answers {
    /// Remembers that many.
    pub(crate) fn of_the_last(capacity: usize) -> Self {
        Self { capacity, by_key: HashMap::new(), order: VecDeque::new() }
    }

    /// The answer that a key was given for this body, if any.
    ///
    /// # Errors
    /// [`Refusal::KeyReused`] when it was given one for another body.
    pub(crate) fn recall(&self, key: &str, body: &Digest) -> Result<Option<Bytes>, Refusal> {
        match self.by_key.get(key) {
            None => Ok(None),
            Some((remembered, answer)) if remembered == body => Ok(Some(answer.clone())),
            Some(_) => Err(Refusal::KeyReused),
        }
    }

    /// Remembers the answer to a key that has none yet.
    pub(crate) fn remember(&mut self, key: String, body: Digest, answer: Bytes) {
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
    fn a_key_keeps_its_answer_and_its_body() {
        let mut answers = Answers::of_the_last(2);
        assert_eq!(answers.recall("a", &ONE), Ok(None));
        answers.remember("a".to_owned(), ONE, Bytes::from_static(b"first"));
        assert_eq!(answers.recall("a", &ONE), Ok(Some(Bytes::from_static(b"first"))));
        assert_eq!(answers.recall("a", &TWO), Err(Refusal::KeyReused));
    }

    #[test]
    fn the_oldest_key_is_forgotten_for_a_new_one() {
        let mut answers = Answers::of_the_last(2);
        for key in ["a", "b", "c"] {
            answers.remember(key.to_owned(), ONE, Bytes::from_static(b"answer"));
        }
        assert_eq!(answers.recall("a", &TWO), Ok(None));
        assert!(answers.recall("b", &ONE).unwrap().is_some());
        assert!(answers.recall("c", &ONE).unwrap().is_some());
        assert_eq!((answers.order.len(), answers.by_key.len()), (2, 2));
    }
}
