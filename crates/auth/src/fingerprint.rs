//! Names for keys that do not give the key away.

use mass_domain::hex::Hex;
use sha2::{Digest, Sha256};

/// Sixteen hexadecimal digits that tell keys apart.
///
/// `purpose` separates the domains, so that one secret in two places has two unrelated names. All keys named here have
/// at least 32 bytes, which is what keeps a guess from being checked against the name.
pub(crate) fn fingerprint(purpose: &str, key: &[u8]) -> String {
    let digest = Sha256::new().chain_update(purpose).chain_update([0]).chain_update(key).finalize();
    Hex(&digest[..8]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_depends_on_the_key_and_on_its_purpose() {
        let name = fingerprint("a", b"key");
        assert_eq!(name.len(), 16);
        assert_eq!(name, fingerprint("a", b"key"));
        assert_ne!(name, fingerprint("b", b"key"));
        assert_ne!(name, fingerprint("a", b"yek"));
        assert_ne!(fingerprint("a", b"bc"), fingerprint("ab", b"c"));
    }
}
