//! The codes of second factors: those of the clock (TOTP, RFC 6238), and those for a lost device.

use data_encoding::BASE32_NOPAD;
use mass_domain::time::Timestamp;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use totp_rs::{Algorithm, Builder, Totp};

/// The length of a seed in bytes: 160 bits, as RFC 4226 recommends.
const SEED_BYTES: usize = 20;

/// The length of a code of the clock.
const DIGITS: u8 = 6;

/// The time for which a code is shown, in seconds. The code before and the one after are taken, too.
const STEP_SECONDS: i64 = 30;

/// The number of recovery codes.
pub(crate) const RECOVERY_CODES: usize = 10;

/// The random part of a recovery code in bytes: 80 bits, so that a plain hash can be neither guessed nor reversed.
const RECOVERY_BYTES: usize = 10;

/// The name that authenticator apps show.
const ISSUER: &str = "MASS";

/// What a code proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorProof {
    /// The code of a step of the clock, which is good once.
    Step(i64),
    /// The recovery code with this hash, which is good once.
    Recovery([u8; 32]),
}

impl FactorProof {
    /// Returns the kind of code, for the audit trail.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Step(_) => "totp",
            Self::Recovery(_) => "recovery_code",
        }
    }
}

/// Generates a seed.
pub(crate) fn seed() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(rand::random::<[u8; SEED_BYTES]>().to_vec())
}

/// Writes a seed as people type it.
pub(crate) fn written(seed: &[u8]) -> SecretString {
    BASE32_NOPAD.encode(seed).into()
}

/// Returns the URI that authenticator apps read, for the user with this address.
pub(crate) fn uri(seed: &[u8], email: &str) -> SecretString {
    let label = |text: &str| -> String {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        text.bytes().map(byte).collect()
    };
    let (email, secret) = (label(email), BASE32_NOPAD.encode(seed));
    format!("otpauth://totp/{ISSUER}:{email}?secret={secret}&issuer={ISSUER}").into()
}

/// Judges a code. `last_step` is the last step whose code was taken. `None` if it is wrong, or was taken before.
pub(crate) fn judge(code: &SecretString, seed: &[u8], last_step: i64, now: Timestamp) -> Option<FactorProof> {
    let is_separator = |character: char| character == '-' || character.is_whitespace();
    let text = code.expose_secret().chars().filter(|character| !is_separator(*character));
    let text = Zeroizing::new(text.collect::<String>().to_ascii_uppercase());
    if text.len() == usize::from(DIGITS) {
        return step(&text, seed, now).filter(|step| *step > last_step).map(FactorProof::Step);
    }
    let random = BASE32_NOPAD.decode(text.as_bytes()).ok().filter(|random| random.len() == RECOVERY_BYTES)?;
    Some(FactorProof::Recovery(hash(&random)))
}

/// Returns the step whose code it is: the present one, the one before or the one after.
fn step(text: &str, seed: &[u8], now: Timestamp) -> Option<i64> {
    let totp = clock(seed)?;
    let seconds = u64::try_from(now.unix_micros().div_euclid(1_000_000)).ok()?;
    totp.check(text, seconds).and_then(|step| i64::try_from(step).ok())
}

fn clock(seed: &[u8]) -> Option<Totp> {
    let builder = Builder::new().with_algorithm(Algorithm::SHA1).with_digits(DIGITS).with_skew(1);
    let builder = builder.with_step_duration(STEP_SECONDS.unsigned_abs());
    builder.with_secret(seed.to_vec()).build().ok()
}

/// Generates recovery codes, each with its hash.
pub(crate) fn recovery_codes() -> Vec<(SecretString, [u8; 32])> {
    let code = |_| {
        let random = Zeroizing::new(rand::random::<[u8; RECOVERY_BYTES]>());
        let text = Zeroizing::new(BASE32_NOPAD.encode(random.as_slice()).to_ascii_lowercase());
        let groups: Vec<&str> = (0..text.len()).step_by(4).filter_map(|at| text.get(at..at + 4)).collect();
        (SecretString::from(groups.join("-")), hash(random.as_slice()))
    };
    (0..RECOVERY_CODES).map(code).collect()
}

fn hash(random: &[u8]) -> [u8; 32] {
    Sha256::digest(random).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seed of the examples of RFC 6238, appendix B.
    const SEED: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000).unwrap()
    }

    fn judged(code: &str, last: i64, now: i64) -> Option<FactorProof> {
        judge(&code.into(), SEED, last, at(now))
    }

    #[test]
    fn takes_the_codes_of_rfc_6238() {
        // The last six of the eight digits there.
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(judged(code, 0, seconds), Some(FactorProof::Step(seconds / 30)), "{seconds}");
        }
    }

    #[test]
    fn takes_a_code_around_its_time_once() {
        let now = 1_111_111_109;
        let step = now / 30;
        for seconds in [now - 30, now, now + 30] {
            assert_eq!(judged("081 804", step - 1, seconds), Some(FactorProof::Step(step)));
            assert_eq!(judged("081804", step, seconds), None, "taken before");
        }
        for seconds in [now - 60, now + 60] {
            assert_eq!(judged("081804", 0, seconds), None);
        }
        for wrong in ["081805", "", "81804", "+81804", "0818041", "abcdef"] {
            assert_eq!(judged(wrong, 0, now), None, "{wrong}");
        }
    }

    #[test]
    fn recovery_codes_are_read_however_they_are_typed() {
        let codes = recovery_codes();
        assert_eq!(codes.len(), RECOVERY_CODES);
        let (code, hash) = &codes[0];
        assert_eq!(code.expose_secret().len(), 19);
        for typed in [code.expose_secret().to_owned(), code.expose_secret().replace('-', " ").to_uppercase()] {
            assert_eq!(judged(&typed, 0, 0), Some(FactorProof::Recovery(*hash)));
        }
    }

    #[test]
    fn the_uri_has_the_seed_and_the_address() {
        let uri = uri(SEED, "ana+1@example.test");
        let expected = "otpauth://totp/MASS:ana%2B1%40example.test?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=MASS";
        assert_eq!(uri.expose_secret(), expected);
    }
}
