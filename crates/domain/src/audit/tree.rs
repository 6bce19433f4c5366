//! The Merkle tree of an audit log (RFC 9162, section 2.1), with SHA-256.
//!
//! A tree only ever grows at its right edge. What is needed to append to it and to tell its root is its
//! [`Frontier`]: at most 63 hashes, whatever its size. Proofs are made of the hashes of [perfect subtrees](Subtree),
//! which never change once they are complete.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The hash of a leaf, of a node or of a tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash([u8; 32]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a hash: 64 lower-case hexadecimal digits are due")]
pub struct InvalidTreeHash;

impl TreeHash {
    /// The root of a tree without leaves: the hash of nothing (RFC 9162, section 2.1.1).
    #[must_use]
    pub fn of_nothing() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// The hash of a leaf (RFC 9162, section 2.1.1): over a zero byte and the entry.
    #[must_use]
    pub fn of_leaf(entry: &[u8]) -> Self {
        Self(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
    }

    /// The hash of a node with two children (RFC 9162, section 2.1.1).
    #[must_use]
    pub fn of_node(left: Self, right: Self) -> Self {
        Self(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// Takes 32 bytes as they were stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
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
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| InvalidTreeHash)?;
        let nibble = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(InvalidTreeHash),
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

/// A subtree with 2^`level` leaves, of which the first is leaf `position` × 2^`level`. At level 0 it is a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subtree {
    /// How far above the leaves its root is.
    pub level: u32,
    /// How many of its size are left of it.
    pub position: u64,
}

impl Subtree {
    /// Its first leaf, counted from 0.
    #[must_use]
    pub const fn first_leaf(self) -> u64 {
        self.position << self.level
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn leaves(self) -> u64 {
        1 << self.level
    }
}

/// What the hash of a perfect subtree is told to or asked for with.
pub type Told = (Subtree, TreeHash);

/// The right edge of a tree: the roots of the perfect subtrees that it consists of, from the left, largest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<TreeHash>,
}

/// A number of peaks that a tree of this size does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves does not have {peaks} peaks")]
pub struct InvalidFrontier {
    size: u64,
    peaks: usize,
}

impl Frontier {
    /// Takes a frontier as it was stored.
    ///
    /// # Errors
    /// [`InvalidFrontier`].
    pub fn from_parts(size: u64, peaks: Vec<TreeHash>) -> Result<Self, InvalidFrontier> {
        let due = usize::try_from(size.count_ones()).unwrap_or(usize::MAX);
        if peaks.len() == due { Ok(Self { size, peaks }) } else { Err(InvalidFrontier { size, peaks: peaks.len() }) }
    }

    /// The frontier of the first `size` leaves of a tree whose perfect subtrees are known.
    ///
    /// # Errors
    /// Those of `perfect`.
    pub fn of<E>(size: u64, mut perfect: impl FnMut(Subtree) -> Result<TreeHash, E>) -> Result<Self, E> {
        let levels = (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1);
        let peaks = levels.map(|level| perfect(Subtree { level, position: (size >> level) - 1 }));
        Ok(Self { size, peaks: peaks.collect::<Result<_, E>>()? })
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its perfect subtrees, from the left.
    #[must_use]
    pub fn peaks(&self) -> &[TreeHash] {
        &self.peaks
    }

    /// Appends a leaf, and tells of each perfect subtree above it that is now complete.
    pub fn push(&mut self, leaf: TreeHash, mut complete: impl FnMut(Told)) {
        let mut hash = leaf;
        for level in 1..=self.size.trailing_ones() {
            // As many peaks end here as the size has ones at its end.
            let Some(left) = self.peaks.pop() else { break };
            hash = TreeHash::of_node(left, hash);
            complete((Subtree { level, position: self.size >> level }, hash));
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        let from_the_right = self.peaks.iter().rev().copied();
        from_the_right.reduce(|right, left| TreeHash::of_node(left, right)).unwrap_or_else(TreeHash::of_nothing)
    }
}

/// The largest power of two below a number of leaves, which is at least 2: where a tree divides.
const fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The root over `leaves` leaves from `start` on, which begin a subtree.
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

/// The proof that leaf `index`, counted from 0, is in the tree of the first `size` leaves (RFC 9162, section 2.1.3.1).
/// Nothing for an index that is not in it.
///
/// # Errors
/// Those of `perfect`, which is asked for the hashes of perfect subtrees.
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

/// The proof that the tree of the first `to` leaves begins with the one of the first `from` (RFC 9162, section 2.1.4.1).
/// Nothing where there is nothing to prove: for no leaves, for as many, and for more.
///
/// # Errors
/// Those of `perfect`, which is asked for the hashes of perfect subtrees.
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

/// Whether a proof shows that a leaf is leaf `index` of the tree with this size and root (RFC 9162, section 2.1.3.2).
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

/// Whether a proof shows that a tree begins with another one (RFC 9162, section 2.1.4.2).
#[must_use]
pub fn verify_consistency(from: u64, to: u64, proof: &[TreeHash], old_root: TreeHash, new_root: TreeHash) -> bool {
    if from == 0 || from > to {
        // Everything begins with nothing.
        return from == 0 && proof.is_empty() && old_root == TreeHash::of_nothing();
    }
    if from == to {
        return proof.is_empty() && old_root == new_root;
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

/// All leaves of a small tree, from which every perfect subtree follows.
#[must_use]
pub fn of_leaves(leaves: &[TreeHash]) -> impl Fn(Subtree) -> Result<TreeHash, Infallible> {
    move |subtree| {
        let mut frontier = Frontier::default();
        let (first, count) = (subtree.first_leaf(), subtree.leaves());
        let of_subtree = leaves.iter().skip(usize::try_from(first).unwrap_or(usize::MAX));
        of_subtree.take(usize::try_from(count).unwrap_or(usize::MAX)).for_each(|leaf| frontier.push(*leaf, |_| {}));
        Ok(frontier.root())
    }
}
