//! What is remembered of those who call: so much at most, and what was not used lately is forgotten.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How much one memory holds at most. What is known of a session or key takes less than a kilobyte.
const CAPACITY: usize = 10_000;

/// Remembers values by keys, in two generations. What is used is in the young one. Once that is full it becomes the old
/// one, of which is forgotten what is not used again before the young one is full once more.
pub(crate) struct Recognised<K, V> {
    generations: Mutex<Generations<K, V>>,
}

struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// How much a generation holds at most.
    size: usize,
}

impl<K, V> Default for Recognised<K, V> {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl<K, V> Recognised<K, V> {
    fn with_capacity(capacity: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), size: capacity / 2 };
        Self { generations: Mutex::new(generations) }
    }

    fn lock(&self) -> MutexGuard<'_, Generations<K, V>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Recognised<K, V> {
    /// What is remembered by a key.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let mut generations = self.lock();
        if let Some(value) = generations.young.get(key) {
            return Some(value.clone());
        }
        let value = generations.old.remove(key)?;
        generations.put(key.clone(), value.clone());
        Some(value)
    }

    /// Remembers a value instead of what was remembered by its key, which is returned.
    pub(crate) fn insert(&self, key: K, value: V) -> Option<V> {
        let mut generations = self.lock();
        let before = generations.take(&key);
        generations.put(key, value);
        before
    }

    /// Forgets what is remembered by a key.
    pub(crate) fn forget(&self, key: &K) {
        self.lock().take(key);
    }
}

impl<K: Eq + Hash, V> Generations<K, V> {
    fn take(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// Stores what is in neither generation.
    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.size {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_found_until_it_is_forgotten_or_replaced() {
        let memory = Recognised::with_capacity(4);
        assert_eq!((memory.get(&1), memory.insert(1, "one")), (None, None));
        assert_eq!((memory.insert(1, "another"), memory.get(&1)), (Some("one"), Some("another")));
        memory.forget(&1);
        assert_eq!(memory.get(&1), None);
    }

    #[test]
    fn however_many_come_no_more_than_the_capacity_are_remembered() {
        let memory = Recognised::with_capacity(100);
        for key in 0..10_000 {
            memory.insert(key, key);
            memory.get(&(key / 2));
        }
        let generations = memory.lock();
        let held = generations.young.len() + generations.old.len();
        assert!((50..=100).contains(&held), "{held}");
    }

    #[test]
    fn what_is_used_stays_while_others_come_and_go() {
        let memory = Recognised::with_capacity(10);
        memory.insert(0, 0);
        for stranger in 1..1_000 {
            memory.insert(stranger, stranger);
            assert_eq!(memory.get(&0), Some(0));
        }
        assert_eq!((memory.get(&1), memory.get(&999)), (None, Some(999)));
    }

    #[test]
    fn an_old_value_is_replaced_and_forgotten_like_a_young_one() {
        let memory = Recognised::with_capacity(4);
        for key in 0..3 {
            memory.insert(key, "first");
        }
        assert!(memory.lock().old.contains_key(&0) && memory.lock().old.contains_key(&1));
        memory.forget(&0);
        assert_eq!(memory.insert(1, "second"), Some("first"));
        assert_eq!((memory.get(&0), memory.get(&1)), (None, Some("second")));
    }
}
