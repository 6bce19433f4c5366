//! The Merkle tree of an audit log (RFC 9162, section 2.1), with SHA-256.
//!
//! A tree grows only at its right edge. Its [`Frontier`], at most 63 hashes, is enough to append to it and to compute
//! its root. Proofs consist of the hashes of [perfect subtrees](Subtree), which never change once they are complete.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::hex::{self, Hex};

/// The hash of a leaf, a node or a tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash([u8; 32]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a hash: expected 64 lower-case hexadecimal digits")]
pub struct InvalidTreeHash;

impl TreeHash {
    /// Returns the root of the empty tree: the hash of an empty string (RFC 9162, section 2.1.1).
    #[must_use]
    pub fn of_nothing() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// Returns the hash of a leaf (RFC 9162, section 2.1.1): over a zero byte and the entry.
    #[must_use]
    pub fn of_leaf(entry: &[u8]) -> Self {
        Self(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
    }

    /// Returns the hash of a node with two children (RFC 9162, section 2.1.1).
    #[must_use]
    pub fn of_node(left: Self, right: Self) -> Self {
        Self(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// Wraps 32 stored bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TreeHash {
    type Err = InvalidTreeHash;

    fn from_str(text: &str) -> Result<Self, InvalidTreeHash> {
        hex::read(text).map(Self).ok_or(InvalidTreeHash)
    }
}

/// A perfect subtree with 2^`level` leaves, which begins at leaf `position` × 2^`level`. At level 0 it is a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subtree {
    /// The level of its root above the leaves.
    pub level: u32,
    /// Its position among the subtrees of its level, from 0.
    pub position: u64,
}

impl Subtree {
    /// Returns the index of its first leaf, from 0.
    #[must_use]
    pub const fn first_leaf(self) -> u64 {
        self.position << self.level
    }

    /// Returns the number of its leaves.
    #[must_use]
    pub const fn leaves(self) -> u64 {
        1 << self.level
    }
}

/// The right edge of a tree: the roots of its maximal perfect subtrees, from the left, largest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<TreeHash>,
}

/// The size is too large, or does not match the number of peaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no tree of {size} leaves with {peaks} peaks")]
pub struct InvalidFrontier {
    size: u64,
    peaks: usize,
}

impl Frontier {
    /// Restores a stored frontier.
    ///
    /// # Errors
    /// [`InvalidFrontier`].
    pub fn from_parts(size: u64, peaks: Vec<TreeHash>) -> Result<Self, InvalidFrontier> {
        let expected = usize::try_from(size.count_ones()).unwrap_or(usize::MAX);
        // Sequences are stored as i64.
        if peaks.len() == expected && i64::try_from(size).is_ok() {
            Ok(Self { size, peaks })
        } else {
            Err(InvalidFrontier { size, peaks: peaks.len() })
        }
    }

    /// Computes the frontier of the first `size` leaves from the hashes of perfect subtrees.
    ///
    /// # Errors
    /// The errors of `perfect`.
    pub fn of<E>(size: u64, mut perfect: impl FnMut(Subtree) -> Result<TreeHash, E>) -> Result<Self, E> {
        let levels = (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1);
        let peaks = levels.map(|level| perfect(Subtree { level, position: (size >> level) - 1 }));
        Ok(Self { size, peaks: peaks.collect::<Result<_, E>>()? })
    }

    /// Returns the number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the roots of its perfect subtrees, from the left.
    #[must_use]
    pub fn peaks(&self) -> &[TreeHash] {
        &self.peaks
    }

    /// Appends a leaf, and reports each perfect subtree that it completes.
    pub fn push(&mut self, leaf: TreeHash, mut complete: impl FnMut((Subtree, TreeHash))) {
        let mut hash = leaf;
        for level in 1..=self.size.trailing_ones() {
            // As many peaks end here as the size has trailing ones.
            let Some(left) = self.peaks.pop() else { break };
            hash = TreeHash::of_node(left, hash);
            complete((Subtree { level, position: self.size >> level }, hash));
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Returns the root of the tree.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        let from_the_right = self.peaks.iter().rev().copied();
        from_the_right.reduce(|right, left| TreeHash::of_node(left, right)).unwrap_or_else(TreeHash::of_nothing)
    }
}

/// Returns the largest power of two below a number of leaves, which is at least 2: the size of the left subtree.
const fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// Computes the root over `leaves` leaves from `start`, which must begin a subtree.
fn root_of<E>(
    start: u64,
    leaves: u64,
    perfect: &mut impl FnMut(Subtree) -> Result<TreeHash, E>,
) -> Result<TreeHash, E> {
    if leaves.is_power_of_two() {
        let level = leaves.trailing_zeros();
        return perfect(Subtree { level, position: start >> level });
    }
    let left = split(leaves);
    let (left, right) = (root_of(start, left, perfect)?, root_of(start + left, leaves - left, perfect)?);
    Ok(TreeHash::of_node(left, right))
}

/// Returns the proof that leaf `index`, from 0, is in the tree of the first `size` leaves (RFC 9162, section 2.1.3.1).
/// Empty if the index is outside.
///
/// # Errors
/// The errors of `perfect`, which returns the hashes of perfect subtrees.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    mut perfect: impl FnMut(Subtree) -> Result<TreeHash, E>,
) -> Result<Vec<TreeHash>, E> {
    let mut proof = Vec::new();
    if index >= size {
        return Ok(proof);
    }
    let (mut start, mut leaves) = (0, size);
    while leaves > 1 {
        let left = split(leaves);
        if index < start + left {
            proof.push(root_of(start + left, leaves - left, &mut perfect)?);
            leaves = left;
        } else {
            proof.push(root_of(start, left, &mut perfect)?);
            start += left;
            leaves -= left;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Returns the proof that the tree of the first `to` leaves extends the one of the first `from` (RFC 9162, section
/// 2.1.4.1). Empty unless 0 < `from` < `to`.
///
/// # Errors
/// The errors of `perfect`, which returns the hashes of perfect subtrees.
pub fn consistency_proof<E>(
    from: u64,
    to: u64,
    mut perfect: impl FnMut(Subtree) -> Result<TreeHash, E>,
) -> Result<Vec<TreeHash>, E> {
    let mut proof = Vec::new();
    if from == 0 || from >= to {
        return Ok(proof);
    }
    let (mut start, mut leaves, mut known) = (0, to, true);
    while start + leaves != from {
        let left = split(leaves);
        if from <= start + left {
            proof.push(root_of(start + left, leaves - left, &mut perfect)?);
            leaves = left;
        } else {
            proof.push(root_of(start, left, &mut perfect)?);
            start += left;
            leaves -= left;
            known = false;
        }
    }
    if !known {
        proof.push(root_of(start, leaves, &mut perfect)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Verifies that a leaf is leaf `index` of the tree with this size and root (RFC 9162, section 2.1.3.2).
#[must_use]
pub fn verify_inclusion(index: u64, size: u64, leaf: TreeHash, proof: &[TreeHash], root: TreeHash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = TreeHash::of_node(*sibling, hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = TreeHash::of_node(hash, *sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// Verifies that a tree extends an older one (RFC 9162, section 2.1.4.2).
#[must_use]
pub fn verify_consistency(from: u64, to: u64, proof: &[TreeHash], old_root: TreeHash, new_root: TreeHash) -> bool {
    if from >= to {
        return from == to && proof.is_empty() && old_root == new_root;
    }
    if from == 0 {
        // Every tree extends the empty one.
        return proof.is_empty() && old_root == TreeHash::of_nothing();
    }
    let first = from.is_power_of_two().then_some(&old_root);
    let mut path = first.into_iter().chain(proof);
    let Some(first) = path.next() else { return false };
    let (mut node, mut last) = (from - 1, to - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = TreeHash::of_node(*sibling, old);
            new = TreeHash::of_node(*sibling, new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = TreeHash::of_node(new, *sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old == old_root && new == new_root
}

/// Returns the hashes of all perfect subtrees of a small tree.
pub fn of_leaves(leaves: &[TreeHash]) -> impl Fn(Subtree) -> Result<TreeHash, Infallible> {
    move |subtree| {
        let mut frontier = Frontier::default();
        let (first, count) = (subtree.first_leaf(), subtree.leaves());
        let of_subtree = leaves.iter().skip(usize::try_from(first).unwrap_or(usize::MAX));
        of_subtree.take(usize::try_from(count).unwrap_or(usize::MAX)).for_each(|leaf| frontier.push(*leaf, |_| {}));
        Ok(frontier.root())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The test vectors of the reference implementation of Certificate Transparency.
    const LEAVES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    const LEAF_0: &str = ROOTS[1];
    const LEAF_1: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
    const LEAF_4: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
    const LEAVES_0_TO_1: &str = ROOTS[2];
    const LEAVES_2_TO_3: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
    const LEAVES_0_TO_3: &str = ROOTS[4];
    const LEAVES_4_TO_5: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
    const LEAVES_6_TO_7: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
    const LEAVES_4_TO_7: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";

    fn reference_leaves() -> Vec<TreeHash> {
        LEAVES.iter().map(|entry| TreeHash::of_leaf(entry)).collect()
    }

    fn hashes(texts: &[&str]) -> Vec<TreeHash> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn root(size: usize) -> TreeHash {
        ROOTS[size].parse().unwrap()
    }

    fn leaves(count: usize) -> Vec<TreeHash> {
        (0..count).map(|index| TreeHash::of_leaf(&index.to_be_bytes())).collect()
    }

    fn grown(leaves: &[TreeHash]) -> Frontier {
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(*leaf, |_| {}));
        frontier
    }

    fn count(leaves: &[TreeHash]) -> u64 {
        leaves.len().try_into().unwrap()
    }

    /// Finds the largest power of two below `leaves` by search.
    fn largest_power_below(leaves: usize) -> usize {
        (0..).map(|exponent| 1 << exponent).take_while(|power| *power < leaves).last().unwrap()
    }

    /// MTH of RFC 9162, section 2.1.1, as written there.
    fn naive_root(leaves: &[TreeHash]) -> TreeHash {
        match leaves {
            [] => TreeHash::of_nothing(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(largest_power_below(leaves.len()));
                TreeHash::of_node(naive_root(left), naive_root(right))
            }
        }
    }

    /// PATH of RFC 9162, section 2.1.3.1.
    fn naive_path(index: usize, leaves: &[TreeHash]) -> Vec<TreeHash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let middle = largest_power_below(leaves.len());
        let (left, right) = leaves.split_at(middle);
        let (mut path, sibling) = if index < middle {
            (naive_path(index, left), naive_root(right))
        } else {
            (naive_path(index - middle, right), naive_root(left))
        };
        path.push(sibling);
        path
    }

    /// SUBPROOF of RFC 9162, section 2.1.4.1.
    fn naive_subproof(from: usize, leaves: &[TreeHash], known: bool) -> Vec<TreeHash> {
        if from == leaves.len() {
            return if known { Vec::new() } else { vec![naive_root(leaves)] };
        }
        let middle = largest_power_below(leaves.len());
        let (left, right) = leaves.split_at(middle);
        let (mut proof, sibling) = if from <= middle {
            (naive_subproof(from, left, known), naive_root(right))
        } else {
            (naive_subproof(from - middle, right, false), naive_root(left))
        };
        proof.push(sibling);
        proof
    }

    #[test]
    fn roots_are_those_of_the_reference() {
        let leaves = reference_leaves();
        for size in 0..=8 {
            assert_eq!(grown(&leaves[..size]).root(), root(size), "{size}");
        }
    }

    #[test]
    fn inclusion_proofs_are_those_of_the_reference() {
        let leaves = reference_leaves();
        for (index, size, expected) in [
            (0, 1, vec![]),
            (0, 8, vec![LEAF_1, LEAVES_2_TO_3, LEAVES_4_TO_7]),
            (5, 8, vec![LEAF_4, LEAVES_6_TO_7, LEAVES_0_TO_3]),
            (2, 3, vec![LEAVES_0_TO_1]),
            (1, 5, vec![LEAF_0, LEAVES_2_TO_3, LEAF_4]),
        ] {
            let proof = inclusion_proof(index, size, of_leaves(&leaves)).unwrap();
            assert_eq!(proof, hashes(&expected), "{index} of {size}");
            let (place, size) = (usize::try_from(index).unwrap(), usize::try_from(size).unwrap());
            assert!(verify_inclusion(index, count(&leaves[..size]), leaves[place], &proof, root(size)));
        }
    }

    #[test]
    fn consistency_proofs_are_those_of_the_reference() {
        let leaves = reference_leaves();
        for (from, to, expected) in [
            (1, 1, vec![]),
            (1, 8, vec![LEAF_1, LEAVES_2_TO_3, LEAVES_4_TO_7]),
            (6, 8, vec![LEAVES_4_TO_5, LEAVES_6_TO_7, LEAVES_0_TO_3]),
            (2, 5, vec![LEAVES_2_TO_3, LEAF_4]),
        ] {
            let (from_size, to_size) = (count(&leaves[..from]), count(&leaves[..to]));
            let proof = consistency_proof(from_size, to_size, of_leaves(&leaves)).unwrap();
            assert_eq!(proof, hashes(&expected), "{from} to {to}");
            assert!(verify_consistency(from_size, to_size, &proof, root(from), root(to)));
        }
    }

    #[test]
    fn proofs_of_small_trees_verify_and_match_the_definition() {
        let leaves = leaves(40);
        for size in 1..=leaves.len() {
            let (tree, all) = (&leaves[..size], count(&leaves[..size]));
            for (index, place) in (0..size).zip(0..) {
                let proof = inclusion_proof(place, all, of_leaves(tree)).unwrap();
                assert_eq!(proof, naive_path(index, tree), "{index} of {size}");
                assert!(verify_inclusion(place, all, tree[index], &proof, naive_root(tree)), "{index} of {size}");
            }
            for (from, part) in (1..=size).zip(1..) {
                let proof = consistency_proof(part, all, of_leaves(tree)).unwrap();
                assert_eq!(proof, naive_subproof(from, tree, true), "{from} to {size}");
                let roots = (naive_root(&tree[..from]), naive_root(tree));
                assert!(verify_consistency(part, all, &proof, roots.0, roots.1), "{from} to {size}");
            }
        }
    }

    #[test]
    fn every_tree_extends_the_empty_tree_and_the_empty_tree_no_other() {
        let (nothing, something) = (TreeHash::of_nothing(), root(3));
        assert!(verify_consistency(0, 0, &[], nothing, nothing));
        assert!(verify_consistency(0, 3, &[], nothing, something));
        assert!(!verify_consistency(0, 0, &[], nothing, something));
        assert!(!verify_consistency(0, 3, &[], something, something));
        assert!(!verify_consistency(0, 3, &[something], nothing, something));
        assert!(!verify_consistency(3, 0, &[], something, nothing));
        assert!(consistency_proof(0, 3, of_leaves(&leaves(3))).unwrap().is_empty());
        assert!(consistency_proof(4, 3, of_leaves(&leaves(3))).unwrap().is_empty());
        assert!(inclusion_proof(3, 3, of_leaves(&leaves(3))).unwrap().is_empty());
        assert!(!verify_inclusion(0, 0, nothing, &[], nothing));
    }

    #[test]
    fn a_frontier_has_as_many_peaks_as_its_size_has_ones() {
        let peaks = leaves(64);
        assert!(Frontier::from_parts(0, Vec::new()).is_ok());
        assert!(Frontier::from_parts(5, peaks[..2].to_vec()).is_ok());
        assert!(Frontier::from_parts(5, peaks[..3].to_vec()).is_err());
        assert!(Frontier::from_parts(5, Vec::new()).is_err());
        assert!(Frontier::from_parts(u64::MAX, peaks.clone()).is_err());
        let mut largest = Frontier::from_parts(u64::MAX >> 1, peaks[..63].to_vec()).unwrap();
        largest.push(peaks[63], |_| {});
        assert_eq!((largest.size(), largest.peaks().len()), (1 << 63, 1));
    }

    #[test]
    fn hashes_have_one_spelling() {
        assert_eq!(root(8).to_string(), ROOTS[8]);
        for bad in
            ["", &ROOTS[8][1..], &ROOTS[8].to_uppercase(), &ROOTS[8].replace('5', "g"), &format!("{}0", ROOTS[8])]
        {
            assert_eq!(bad.parse::<TreeHash>(), Err(InvalidTreeHash), "{bad}");
        }
    }

    /// A number near the limits of the type, or near the others.
    fn sizes() -> impl Strategy<Value = u64> {
        prop_oneof![0_u64..70, any::<u64>(), Just(u64::MAX), Just(u64::MAX - 1), Just(1 << 63)]
    }

    fn some_hashes() -> impl Strategy<Value = Vec<TreeHash>> {
        prop::collection::vec(any::<[u8; 32]>().prop_map(TreeHash::from_bytes), 0..70)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn appending_matches_the_definition(size in 0_usize..2000, more in 1_usize..70) {
            let leaves = leaves(size + more);
            let mut frontier = Frontier::of(count(&leaves[..size]), of_leaves(&leaves)).unwrap();
            prop_assert_eq!(&frontier, &grown(&leaves[..size]));
            prop_assert_eq!(frontier.root(), naive_root(&leaves[..size]));
            let mut told = Vec::new();
            leaves[size..].iter().for_each(|leaf| frontier.push(*leaf, |subtree| told.push(subtree)));
            prop_assert_eq!(frontier.root(), naive_root(&leaves));
            let mut due = Vec::new();
            for end in size + 1..=leaves.len() {
                for level in (1..12).filter(|level| end.is_multiple_of(1 << level)) {
                    let first = end - (1 << level);
                    let subtree = Subtree { level, position: (first >> level).try_into().unwrap() };
                    due.push((subtree, naive_root(&leaves[first..end])));
                }
            }
            prop_assert_eq!(told, due);
        }

        #[test]
        fn inclusion_proofs_verify_only_for_their_leaf(size in 1_usize..2000, at in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
            let leaves = leaves(size);
            let index = at.index(size);
            let (place, all, root) = (count(&leaves[..index]), count(&leaves), naive_root(&leaves));
            let proof = inclusion_proof(place, all, of_leaves(&leaves)).unwrap();
            prop_assert_eq!(&proof, &naive_path(index, &leaves));
            prop_assert!(verify_inclusion(place, all, leaves[index], &proof, root));

            let wrong = TreeHash::of_leaf(b"wrong");
            prop_assert!(!verify_inclusion(place, all, wrong, &proof, root));
            prop_assert!(!verify_inclusion(place, all, leaves[index], &proof, wrong));
            prop_assert!(!verify_inclusion(all, all, leaves[index], &proof, root));
            let elsewhere = count(&leaves[..other.index(size)]);
            prop_assert!(elsewhere == place || !verify_inclusion(elsewhere, all, leaves[index], &proof, root));
            let longer = [proof.as_slice(), &[wrong]].concat();
            prop_assert!(!verify_inclusion(place, all, leaves[index], &longer, root));
            if let Some((_, shorter)) = proof.split_last() {
                prop_assert!(!verify_inclusion(place, all, leaves[index], shorter, root));
                let mut changed = proof.clone();
                changed[other.index(proof.len())] = wrong;
                prop_assert!(!verify_inclusion(place, all, leaves[index], &changed, root));
                prop_assert!(!verify_inclusion(place, 2 * all + 1, leaves[index], &proof, root));
            }
        }

        #[test]
        fn consistency_proofs_verify_only_for_their_trees(to in 2_usize..2000, at in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
            let leaves = leaves(to);
            let from = 1 + at.index(to - 1);
            let (part, all) = (count(&leaves[..from]), count(&leaves));
            let (old, new) = (naive_root(&leaves[..from]), naive_root(&leaves));
            let proof = consistency_proof(part, all, of_leaves(&leaves)).unwrap();
            prop_assert_eq!(&proof, &naive_subproof(from, &leaves, true));
            prop_assert!(verify_consistency(part, all, &proof, old, new));

            let wrong = TreeHash::of_leaf(b"wrong");
            prop_assert!(!verify_consistency(part, all, &proof, wrong, new));
            prop_assert!(!verify_consistency(part, all, &proof, old, wrong));
            prop_assert!(!verify_consistency(all, part, &proof, old, new));
            prop_assert!(!verify_consistency(part, 2 * all + 1, &proof, old, new));
            let longer = [proof.as_slice(), &[wrong]].concat();
            prop_assert!(!verify_consistency(part, all, &longer, old, new));
            let (_, shorter) = proof.split_last().unwrap();
            prop_assert!(!verify_consistency(part, all, shorter, old, new));
            let mut changed = proof.clone();
            changed[other.index(proof.len())] = wrong;
            prop_assert!(!verify_consistency(part, all, &changed, old, new));
        }

        #[test]
        fn verifiers_accept_any_input_without_panicking(a in sizes(), b in sizes(), hashes in some_hashes()) {
            let root = TreeHash::of_leaf(b"nobody's");
            prop_assert!(!verify_inclusion(a, b, TreeHash::of_leaf(b"x"), &hashes, root));
            prop_assert!(!verify_consistency(a, b, &hashes, TreeHash::of_leaf(b"x"), root));
        }

        #[test]
        fn proofs_of_the_largest_trees_verify(a in sizes(), b in sizes()) {
            // In a tree of equal leaves, the hash of a perfect subtree depends only on its level.
            let perfect = |subtree: Subtree| {
                Ok::<_, Infallible>((0..subtree.level).fold(TreeHash::of_leaf(b""), |hash, _| TreeHash::of_node(hash, hash)))
            };
            let (from, to) = (a.min(b), a.max(b));
            let root = |size| Frontier::of(size, perfect).unwrap().root();
            let proof = consistency_proof(from, to, perfect).unwrap();
            prop_assert!(verify_consistency(from, to, &proof, root(from), root(to)));
            if from < to {
                let proof = inclusion_proof(from, to, perfect).unwrap();
                prop_assert!(verify_inclusion(from, to, TreeHash::of_leaf(b""), &proof, root(to)));
            }
        }
    }
}
