//! Crockford's base 32: what people read out and copy by hand.

/// The 32 symbols: no i, l, o or u, which are mistaken for others.
const SYMBOLS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The symbol of a random byte. 32 divides 256, so each is as likely as any other.
#[must_use]
pub fn symbol(byte: u8) -> char {
    char::from(SYMBOLS[usize::from(byte) % SYMBOLS.len()])
}

/// Whether a text is so many symbols.
#[must_use]
pub fn is_symbols(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| SYMBOLS.contains(&byte))
}
