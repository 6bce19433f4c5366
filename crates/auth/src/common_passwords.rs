//! Passwords that attackers try first: the most common ones, and their usual extensions.

use std::collections::HashSet;
use std::sync::LazyLock;

use mass_domain::users::Email;

/// The 3,000 most common passwords, in lower case. assets/README.md names their source.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("../assets/common-passwords.txt").lines().collect());

/// The shortest run of one character that adds no strength.
const RUN: usize = 3;
/// The longest unit whose repetition alone is refused as a password.
const UNIT: usize = 7;

/// Returns true if a password consists only of common passwords, digits and repeated characters, or of one short unit
/// repeated. Letter case does not matter.
pub(crate) fn is_common(password: &str) -> bool {
    let characters = folded(password);
    is_repetition(&characters) || is_strung_together(&characters, &[])
}

/// Returns true if a password is easy to guess from the user's e-mail address: it consists of the address, its local
/// part, and the pieces that make a password common.
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

/// Returns true if the characters can be split into pieces that are each common or one of the words.
fn is_strung_together(characters: &[char], words: &[Vec<char>]) -> bool {
    let longest = COMMON.iter().map(|password| password.len()).max().unwrap_or_default();
    // `cut[n]`: the first n characters can be split so.
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
    fn the_list_has_3000_lower_case_passwords() {
        assert_eq!(COMMON.len(), 3000);
        assert!(COMMON.iter().all(|password| password.len() >= 4 && **password == password.to_lowercase()));
        assert!(COMMON.contains("123456") && COMMON.contains("qwertyuiop"));
    }

    #[test]
    fn concatenated_common_passwords_are_common() {
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
    fn passwords_with_other_parts_are_not_common() {
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
    fn passwords_made_of_the_users_address_are_refused() {
        let ana = Email::parse("Ana.Lopez@example.test").unwrap();
        for bad in ["ana.lopez@example.test", "ANA.LOPEZana.lopez", "ana.lopez123456", "passwordana.lopez2026"] {
            assert!(is_made_of(bad, &ana), "{bad}");
        }
        for good in ["ana.lopez likes kestrels", "another@example.test"] {
            assert!(!is_made_of(good, &ana), "{good}");
        }
    }
}
