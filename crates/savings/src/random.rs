//! Seeded random numbers: ChaCha with 12 rounds, and the few draws that the method needs.
//!
//! The draws are written out here, since libraries change how they turn random bits into numbers.

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{RngCore, SeedableRng},
};

use crate::numbers::real;

/// A stream of random numbers that depends on a seed alone.
#[derive(Debug, Clone)]
pub(crate) struct Random(ChaCha12Rng);

impl Random {
    /// Starts the stream of a seed for one purpose: streams of different purposes are independent.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut generator = ChaCha12Rng::from_seed(key);
        generator.set_stream(purpose);
        Self(generator)
    }

    /// Draws an index below `count`, which must be positive.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        crate::numbers::floor(self.unit() * real(count)).min(count.saturating_sub(1))
    }

    /// Draws a number in 0…1, with 53 random bits.
    pub(crate) fn unit(&mut self) -> f64 {
        let bits = self.0.next_u64() >> 11;
        let (high, low) = (u32::try_from(bits >> 32).unwrap_or_default(), u32::try_from(bits & 0xFFFF_FFFF));
        (f64::from(high) * 4_294_967_296.0 + f64::from(low.unwrap_or_default())) / 9_007_199_254_740_992.0
    }

    /// Draws true or false.
    pub(crate) fn coin(&mut self) -> bool {
        self.0.next_u32() & 1 == 1
    }

    /// Draws from the standard normal distribution: the sum of twelve uniform numbers less six.
    ///
    /// Its tails end at ±6, which is far beyond what any use here can tell.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_seed_and_purpose_alone() {
        let draw = |seed, purpose| {
            let mut random = Random::new(seed, purpose);
            (0..5).map(|_| random.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 1), draw(1, 1));
        assert_ne!(draw(1, 1), draw(2, 1));
        assert_ne!(draw(1, 1), draw(1, 2));
    }

    #[test]
    fn draws_have_their_distributions() {
        let mut random = Random::new(7, 0);
        let normals: Vec<f64> = (0..4000).map(|_| random.normal()).collect();
        assert!(crate::numbers::mean(&normals).abs() < 0.06);
        assert!((crate::numbers::deviation(&normals) - 1.0).abs() < 0.05);
        assert!((0..4000).all(|_| random.below(3) < 3));
    }
}
