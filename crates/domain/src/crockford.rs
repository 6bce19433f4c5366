//! Crockford's base 32: an encoding that people can read out and copy by hand.

/// The 32 symbols. They omit i, l, o and u, which are easily confused with others.
const SYMBOLS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Returns the symbol of a random byte. All symbols are equally likely, because 32 divides 256.
#[must_use]
pub fn symbol(byte: u8) -> char {
    char::from(SYMBOLS[usize::from(byte) % SYMBOLS.len()])
}

/// Tells whether a text consists of this many symbols.
#[must_use]
pub fn is_symbols(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| SYMBOLS.contains(&byte))
}
