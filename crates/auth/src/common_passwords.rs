//! Passwords that are tried first: the most common ones, and what people make of them to reach a length.

use std::collections::HashSet;
use std::sync::LazyLock;

use mass_domain::users::Email;

/// The 3,000 most common passwords, in lower case. assets/README.md tells where they come from.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("../assets/common-passwords.txt").lines().collect());

/// From this many times on, a character that is repeated adds nothing.
const RUN: usize = 3;
/// The longest unit whose mere repetition is no password.
const UNIT: usize = 7;

/// Whether a password is nothing but common passwords, digits and repeated characters strung together, or one short unit
/// again and again. Letter case does not matter.
pub(crate) fn is_common(password: &str) -> bool {
    let characters = folded(password);
    is_repetition(&characters) || is_strung_together(&characters, &[])
}

/// Whether a password is as easy to guess for whoever knows the user's address: it is made of the address, of the part
/// before the `@`, and of what makes a password common.
pub(crate) fn is_made_of(password: &str, email: &Email) -> bool {
    let address = email.as_str();
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
    is_strung_together(&folded(password), &[folded(address), folded(local)])
}

fn folded(text: &str) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn is_repetition(characters: &[char]) -> bool {
    (1..=UNIT.min(characters.len() / 2))
        .any(|unit| characters.iter().zip(&characters[unit..]).all(|(one, next)| one == next))
}

/// Whether the characters can be cut into pieces that are each common or one of the words.
fn is_strung_together(characters: &[char], words: &[Vec<char>]) -> bool {
    let longest = COMMON.iter().map(|password| password.len()).max().unwrap_or_default();
    // `cut[n]`: the first n characters can be.
    let mut cut = vec![true];
    for end in 1..=characters.len() {
        let ends_here = |start: usize| {
            let piece = &characters[start..end];
            is_run_or_digit(piece)
                || words.iter().any(|word| word.as_slice() == piece)
                || (piece.len() <= longest && COMMON.contains(piece.iter().collect::<String>().as_str()))
        };
        cut.push((0..end).any(|start| cut[start] && ends_here(start)));
    }
    cut.last().copied().unwrap_or_default()
}

fn is_run_or_digit(piece: &[char]) -> bool {
    match piece {
        [digit] => digit.is_ascii_digit(),
        [first, rest @ ..] => piece.len() >= RUN && rest.iter().all(|next| next == first),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_3000_passwords_in_lower_case() {
        assert_eq!(COMMON.len(), 3000);
        assert!(COMMON.iter().all(|password| password.len() >= 4 && **password == password.to_lowercase()));
        assert!(COMMON.contains("123456") && COMMON.contains("qwertyuiop"));
    }

    #[test]
    fn common_passwords_strung_together_stay_common() {
        for common in [
            "passwordpassword",
            "PasswordPassword1",
            "letmein20242025",
            "qwertyuiop123456789",
            "dragonmonkeyshadow",
            "123456789012345",
            "aaaaaaaaaaaaaaa",
            "aaaaaaaabbbbbbbb",
            "x1!x1!x1!x1!x1!",
            "\u{1f511}\u{1f511}\u{1f511}\u{1f511}",
        ] {
            assert!(is_common(common), "{common}");
        }
    }

    #[test]
    fn anything_else_in_it_makes_a_password_uncommon() {
        for good in [
            "correct horse battery staple",
            "correcthorsebatterystaple",
            "passwordpasswordx",
            "password password",
            "kestrel-umbrella-7",
            "abcdefgh abcdefgh",
        ] {
            assert!(!is_common(good), "{good}");
        }
    }

    #[test]
    fn a_users_own_address_is_no_secret() {
        let ana = Email::parse("Ana.Lopez@example.test").unwrap();
        for bad in ["ana.lopez@example.test", "ANA.LOPEZana.lopez", "ana.lopez123456", "passwordana.lopez2026"] {
            assert!(is_made_of(bad, &ana), "{bad}");
        }
        for good in ["ana.lopez likes kestrels", "another@example.test"] {
            assert!(!is_made_of(good, &ana), "{good}");
        }
    }
}
