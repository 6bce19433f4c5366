//! Public ids of secret keys.

use mass_domain::hex::Hex;
use sha2::{Digest, Sha256};

/// Returns sixteen hexadecimal digits that identify a key.
///
/// `purpose` separates the domains, so that one secret in two uses has two unrelated ids. All keys have at least 32
/// bytes, which makes it infeasible to guess a key from its id.
pub(crate) fn fingerprint(purpose: &str, key: &[u8]) -> String {
    let digest = Sha256::new().chain_update(purpose).chain_update([0]).chain_update(key).finalize();
    Hex(&digest[..8]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_the_key_and_on_its_purpose() {
        let name = fingerprint("a", b"key");
        assert_eq!(name.len(), 16);
        assert_eq!(name, fingerprint("a", b"key"));
        assert_ne!(name, fingerprint("b", b"key"));
        assert_ne!(name, fingerprint("a", b"yek"));
        assert_ne!(fingerprint("a", b"bc"), fingerprint("ab", b"c"));
    }
}
