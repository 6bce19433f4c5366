//! Cache of recent callers, bounded in number.

use std::hash::Hash;
use std::mem;

use quick_cache::sync::{Cache, EntryAction, EntryResult};

/// How much one cache holds at most. What is known of a session or key takes less than a kilobyte.
const CAPACITY: usize = 10_000;

/// Remembers values by keys. When it is full, a value goes that was not used lately.
pub(crate) struct Recognised<K, V>(Cache<K, V>);

impl<K: Clone + Eq + Hash, V: Clone> Default for Recognised<K, V> {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Recognised<K, V> {
    /// Returns the value of a key.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.0.get(key)
    }

    /// Stores a value, and returns the one that it replaces. Of several callers at once, one is the first.
    pub(crate) fn insert(&self, key: &K, value: V) -> Option<V> {
        let mut new = Some(value);
        let replace = |_: &K, held: &mut V| EntryAction::Retain(new.take().map(|value| mem::replace(held, value)));
        match self.0.entry(key, None, replace) {
            EntryResult::Retained(before) => before,
            EntryResult::Vacant(place) => {
                // A key that was forgotten meanwhile stays forgotten.
                new.and_then(|value| place.insert(value).err())
            }
            EntryResult::Removed(..) | EntryResult::Replaced(..) | EntryResult::Timeout => None,
        }
    }

    /// Forgets the value of a key.
    pub(crate) fn forget(&self, key: &K) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_capacity<V: Clone>(capacity: usize) -> Recognised<u32, V> {
        Recognised(Cache::new(capacity))
    }

    #[test]
    fn what_is_remembered_is_found_until_it_is_forgotten_or_replaced() {
        let memory = with_capacity(4);
        assert_eq!((memory.get(&1), memory.insert(&1, "one")), (None, None));
        assert_eq!((memory.insert(&1, "another"), memory.get(&1)), (Some("one"), Some("another")));
        memory.forget(&1);
        assert_eq!((memory.get(&1), memory.insert(&1, "one again")), (None, None));
    }

    #[test]
    fn however_many_come_no_more_than_the_capacity_are_remembered() {
        let memory = with_capacity(100);
        for key in 0..10_000 {
            memory.insert(&key, key);
            memory.get(&(key / 2));
        }
        let held = memory.0.len();
        assert!((50..=100).contains(&held), "{held}");
    }

    #[test]
    fn what_is_used_stays_while_others_come_and_go() {
        let memory = with_capacity(10);
        memory.insert(&0, 0);
        for stranger in 1..1_000 {
            memory.insert(&stranger, stranger);
            assert_eq!((memory.get(&0), memory.get(&stranger)), (Some(0), Some(stranger)));
        }
    }

    #[test]
    fn of_several_who_insert_at_once_one_replaces_nothing() {
        let memory = with_capacity(10);
        let first = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|value| {
                    scope.spawn({
                        let memory = &memory;
                        move || memory.insert(&1, value)
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).count()
        });
        assert_eq!(first, 7);
    }
}
