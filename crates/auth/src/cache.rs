//! Bounded cache of recent sessions and keys.

use std::hash::Hash;
use std::mem;

use quick_cache::sync::{Cache, EntryAction, EntryResult};

/// The maximum number of entries. An entry takes less than a kilobyte.
const CAPACITY: usize = 10_000;

/// Caches values by keys, and evicts entries that were not used lately.
pub(crate) struct BoundedCache<K, V>(Cache<K, V>);

impl<K: Clone + Eq + Hash, V: Clone> Default for BoundedCache<K, V> {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl<K: Clone + Eq + Hash, V: Clone> BoundedCache<K, V> {
    /// Returns the value of a key.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.0.get(key)
    }

    /// Inserts a value, and returns the one that it replaces. Of several concurrent calls, exactly one gets `None`.
    pub(crate) fn insert(&self, key: &K, value: V) -> Option<V> {
        let mut new = Some(value);
        let replace = |_: &K, held: &mut V| EntryAction::Retain(new.take().map(|value| mem::replace(held, value)));
        match self.0.entry(key, None, replace) {
            EntryResult::Retained(before) => before,
            EntryResult::Vacant(place) => {
                // A key that was evicted meanwhile stays evicted.
                new.and_then(|value| place.insert(value).err())
            }
            EntryResult::Removed(..) | EntryResult::Replaced(..) | EntryResult::Timeout => None,
        }
    }

    /// Removes a key.
    pub(crate) fn forget(&self, key: &K) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_capacity<V: Clone>(capacity: usize) -> BoundedCache<u32, V> {
        BoundedCache(Cache::new(capacity))
    }

    #[test]
    fn entries_are_found_until_removed_or_replaced() {
        let memory = with_capacity(4);
        assert_eq!((memory.get(&1), memory.insert(&1, "one")), (None, None));
        assert_eq!((memory.insert(&1, "another"), memory.get(&1)), (Some("one"), Some("another")));
        memory.forget(&1);
        assert_eq!((memory.get(&1), memory.insert(&1, "one again")), (None, None));
    }

    #[test]
    fn holds_no_more_entries_than_its_capacity() {
        let memory = with_capacity(100);
        for key in 0..10_000 {
            memory.insert(&key, key);
            memory.get(&(key / 2));
        }
        let held = memory.0.len();
        assert!((50..=100).contains(&held), "{held}");
    }

    #[test]
    fn entries_in_use_are_not_evicted() {
        let memory = with_capacity(10);
        memory.insert(&0, 0);
        for stranger in 1..1_000 {
            memory.insert(&stranger, stranger);
            assert_eq!((memory.get(&0), memory.get(&stranger)), (Some(0), Some(stranger)));
        }
    }

    #[test]
    fn only_one_of_concurrent_inserts_replaces_nothing() {
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
