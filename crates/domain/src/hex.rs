//! Hexadecimal encoding of bytes: two lower-case digits each.

use std::fmt;

use data_encoding::HEXLOWER;

/// Displays bytes as hexadecimal digits.
#[derive(Debug, Clone, Copy)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(self.0).fmt(f)
    }
}

/// Parses exactly this many bytes. Returns `None` for any other length or for upper-case digits.
#[must_use]
pub fn read<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let is_whole = HEXLOWER.decode_len(text.len()) == Ok(BYTES);
    (is_whole && HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).is_ok()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_its_own_digits_and_refuses_all_others() {
        let bytes = [0x00, 0x0f, 0xa0, 0xff];
        assert_eq!(Hex(&bytes).to_string(), "000fa0ff");
        assert_eq!(read("000fa0ff"), Some(bytes));
        for bad in ["", "000fa0f", "000fa0ff0", "000fa0fF", "000fa0f ", "+00fa0ff", "000fa0fg", "é0fa0ff"] {
            assert_eq!(read::<4>(bad), None, "{bad}");
        }
    }
}
