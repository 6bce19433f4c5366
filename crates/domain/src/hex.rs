//! Hexadecimal encoding of bytes: two lower-case digits each.

use std::fmt;

/// Displays bytes as hexadecimal digits.
#[derive(Debug, Clone, Copy)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Parses exactly this many bytes. Returns `None` for any other length or for upper-case digits.
#[must_use]
pub fn read<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * BYTES {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
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
