//! Fault injection. The same seed injects the same faults in the same order.

use std::str::FromStr;

/// Error for a text that is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a rate must be a number from 0 to 1")]
pub struct InvalidRate;

/// The probability of a fault: 0 is never, 1 is always.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rate(f64);

impl Rate {
    /// The rate 0.
    pub const NEVER: Self = Self(0.0);
    /// The rate 1.
    pub const ALWAYS: Self = Self(1.0);
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let share = text.parse().map_err(|_| InvalidRate)?;
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err(InvalidRate) }
    }
}

/// Error: the rates of the faults add up to more than 1, but each request has at most one fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rates of the faults add up to more than 1")]
pub struct RatesExceedOne;

/// The faults to inject, and their rates. The default injects none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Rate of error responses.
    pub errors: Rate,
    /// Rate of 200 responses with an unusable body.
    pub garbage: Rate,
    /// Rate of requests without a response.
    pub hangs: Rate,
    /// Rate of truncated responses.
    pub truncations: Rate,
    /// The `Retry-After` of error responses in seconds. With it the status is 503, without it 500.
    pub retry_after: Option<u32>,
    /// The seed that selects the requests with faults.
    pub seed: u64,
}

/// The fault injected into one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InjectedFault {
    Error,
    Garbage(Garbage),
    Hang,
    Truncation,
}

/// The kinds of unusable body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Garbage {
    /// An HTML page, as a proxy might return.
    Page,
    /// Bytes that are not UTF-8.
    Bytes,
    /// JSON with other members.
    OtherShape,
    /// The right members with an impossible value.
    OutOfRange,
    /// The answer to another document.
    OtherInput,
}

impl Faults {
    /// Checks that the rates add up to at most 1.
    ///
    /// # Errors
    /// [`RatesExceedOne`].
    pub fn check(&self) -> Result<(), RatesExceedOne> {
        // Rounding: ten times 0.1 is slightly less than 1, and three times 0.33… can be slightly more.
        if self.rates().iter().sum::<f64>() <= 1.0 + 1e-9 { Ok(()) } else { Err(RatesExceedOne) }
    }

    const fn rates(&self) -> [f64; 4] {
        [self.errors.0, self.garbage.0, self.hangs.0, self.truncations.0]
    }

    /// Selects the fault of a request by its index in the order of arrival.
    pub(crate) fn at(&self, place: u64) -> Option<InjectedFault> {
        let mut left = share(scattered(self.seed, place));
        let faults = [
            InjectedFault::Error,
            InjectedFault::Garbage(self.garbage_at(place)),
            InjectedFault::Hang,
            InjectedFault::Truncation,
        ];
        for (rate, fault) in self.rates().into_iter().zip(faults) {
            if left < rate {
                return Some(fault);
            }
            left -= rate;
        }
        None
    }

    fn garbage_at(&self, place: u64) -> Garbage {
        match scattered(!self.seed, place) % 5 {
            0 => Garbage::Page,
            1 => Garbage::Bytes,
            2 => Garbage::OtherShape,
            3 => Garbage::OutOfRange,
            _ => Garbage::OtherInput,
        }
    }
}

/// Hashes an index to a pseudo-random number: SplitMix64 (Steele, Lea and Flood, 2014).
const fn scattered(seed: u64, place: u64) -> u64 {
    let mut number = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Converts a number to a fraction in [0, 1).
#[expect(clippy::cast_precision_loss, reason = "53 bits are what a double holds")]
const fn share(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seed: u64) -> Faults {
        let rate = |text: &str| text.parse().unwrap();
        Faults {
            errors: rate("0.1"),
            garbage: rate("0.2"),
            hangs: rate("0.3"),
            truncations: rate("0.1"),
            retry_after: None,
            seed,
        }
    }

    #[test]
    fn parses_rates_from_0_to_1() {
        assert_eq!("0.25".parse(), Ok(Rate(0.25)));
        for text in ["-0.1", "1.1", "NaN", "inf", "", "often"] {
            assert_eq!(text.parse::<Rate>(), Err(InvalidRate), "{text}");
        }
    }

    #[test]
    fn refuses_rates_with_a_sum_above_1() {
        assert_eq!(faults(1).check(), Ok(()));
        assert_eq!(Faults { errors: Rate(0.4), ..faults(1) }.check(), Ok(()));
        assert_eq!(Faults { errors: Rate(0.5), ..faults(1) }.check(), Err(RatesExceedOne));
    }

    #[test]
    fn seed_selects_the_requests_with_faults() {
        let struck = |seed| (0..200).map(|place| faults(seed).at(place)).collect::<Vec<_>>();
        assert_eq!(struck(7), struck(7));
        assert_ne!(struck(7), struck(8));
    }

    #[test]
    fn injects_each_fault_at_its_rate() {
        let struck: Vec<_> = (0..10_000).filter_map(|place| faults(42).at(place)).collect();
        let count = |is: fn(&InjectedFault) -> bool| struck.iter().filter(|fault| is(fault)).count();
        for (counted, ordered) in [
            (count(|it| matches!(it, InjectedFault::Error)), 1_000),
            (count(|it| matches!(it, InjectedFault::Garbage(_))), 2_000),
            (count(|it| matches!(it, InjectedFault::Hang)), 3_000),
            (count(|it| matches!(it, InjectedFault::Truncation)), 1_000),
        ] {
            assert!(counted.abs_diff(ordered) < 150, "{counted} instead of {ordered}");
        }
    }

    #[test]
    fn injects_nothing_by_default_and_everything_at_rate_1() {
        let never = Faults { seed: 3, ..Faults::default() };
        let always = Faults { hangs: Rate::ALWAYS, seed: 3, ..Faults::default() };
        assert!((0..1_000).all(|place| never.at(place).is_none()));
        assert!((0..1_000).all(|place| always.at(place) == Some(InjectedFault::Hang)));
    }
}
