//! A map with a bound: once it is full, what was not touched for longest makes room.
//!
//! What strangers can make entries of must not grow without end, and must not be cleared by them either: an entry that is
//! in use outlives those that are not.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The map.
#[derive(Clone, Debug)]
pub struct Recent<K, V> {
    bound: usize,
    turn: u64,
    entries: HashMap<K, (u64, V)>,
    /// The keys by when they were last touched.
    order: BTreeMap<u64, K>,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    /// An empty map of at most `bound` entries, at least one.
    pub fn new(bound: usize) -> Self {
        Self { bound: bound.max(1), turn: 0, entries: HashMap::new(), order: BTreeMap::new() }
    }

    /// The value, which this does not touch.
    pub fn peek(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// The value to change, which this does not touch.
    pub fn peek_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// The value to change, the default if there was none, touched now.
    pub fn touch(&mut self, key: &K) -> &mut V
    where
        V: Default,
    {
        if !self.entries.contains_key(key)
            && self.entries.len() >= self.bound
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.turn += 1;
        let (touched, value) = self.entries.entry(key.clone()).or_default();
        self.order.remove(touched);
        *touched = self.turn;
        self.order.insert(self.turn, key.clone());
        value
    }

    /// Forgets the entry.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (touched, value) = self.entries.remove(key)?;
        self.order.remove(&touched);
        Some(value)
    }

    /// Forgets the entries whose keys are not `kept`.
    pub fn retain(&mut self, mut kept: impl FnMut(&K) -> bool) {
        let order = &mut self.order;
        self.entries.retain(|key, (touched, _)| {
            let keep = kept(key);
            if !keep {
                order.remove(touched);
            }
            keep
        });
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_not_touched_for_longest_makes_room() {
        let mut map = Recent::new(2);
        *map.touch(&"a") = 1;
        *map.touch(&"b") = 2;
        map.touch(&"a");
        *map.touch(&"c") = 3;
        assert_eq!((map.peek(&"a"), map.peek(&"b"), map.peek(&"c")), (Some(&1), None, Some(&3)));
    }

    proptest! {
        #[test]
        fn it_holds_the_last_touched_keys_and_no_more(keys in prop::collection::vec((0_u8..12, any::<bool>()), 0..200)) {
            let (mut map, mut model) = (Recent::<u8, u8>::new(5), Vec::<u8>::new());
            for (key, remove) in keys {
                model.retain(|other| *other != key);
                if remove {
                    map.remove(&key);
                } else {
                    *map.touch(&key) = key;
                    model.push(key);
                    if model.len() > 5 {
                        model.remove(0);
                    }
                }
                prop_assert_eq!(map.len(), model.len());
                prop_assert_eq!(map.order.len(), model.len());
                for key in 0..12 {
                    prop_assert_eq!(map.peek(&key), model.contains(&key).then_some(&key));
                }
            }
        }
    }
}
