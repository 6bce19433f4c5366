//! Idempotency keys.

/// An idempotency key, so that a repeated submission has no further effect: 1–255 printable ASCII characters (IETF
/// draft "The Idempotency-Key HTTP Header Field"). Unique within the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

/// Error for a text that is not an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key must have 1 to 255 printable ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// Trims white space, then parses a key.
    ///
    /// # Errors
    /// [`InvalidIdempotencyKey`] if the rest is empty, too long or contains another character.
    pub fn parse(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let text = text.trim();
        let printable = |b: u8| (b' '..=b'~').contains(&b);
        if (1..=255).contains(&text.len()) && text.bytes().all(printable) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidIdempotencyKey)
        }
    }

    /// Returns the key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the key that follows this one once its request has been deleted: `KEY~1`, then `KEY~2` and so on; `None`
    /// if it would be too long.
    #[must_use]
    pub fn successor(&self) -> Option<Self> {
        let counted = self.0.rsplit_once('~').and_then(|(key, number)| Some((key, number.parse::<u32>().ok()?)));
        let (key, number) = counted.unwrap_or((&self.0, 0));
        Self::parse(&format!("{key}~{}", number.checked_add(1)?)).ok()
    }
}
