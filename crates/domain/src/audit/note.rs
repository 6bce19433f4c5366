//! Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint): the text forms.
//!
//! `mass_audit_service::signer` signs them and verifies their signatures.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::tree::TreeHash;
use crate::tenancy::TenantId;

/// The byte that identifies Ed25519 keys (C2SP signed-note, section "Signature types").
const ED25519: u8 = 1;

/// The start of a signature line: an em dash and a space.
const SIGNATURE_LINE: &str = "\u{2014} ";

/// The maximum number of signatures of a note.
const MOST_SIGNATURES: usize = 100;

/// The name of a key that signs notes: not empty, and without white space, control characters and `+`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyName(Box<str>);

/// The text cannot be the name of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key's name is not empty and has no white space, no control characters and no plus sign")]
pub struct InvalidKeyName;

impl KeyName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`InvalidKeyName`].
    pub fn parse(text: &str) -> Result<Self, InvalidKeyName> {
        let forbidden = |character: char| character.is_whitespace() || character.is_control() || character == '+';
        if text.is_empty() || text.contains(forbidden) { Err(InvalidKeyName) } else { Ok(Self(text.into())) }
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the origin line of the checkpoints of a tenant's log.
    #[must_use]
    pub fn origin(&self, tenant: &TenantId) -> String {
        format!("{self}/{tenant}")
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyName {
    type Err = InvalidKeyName;

    fn from_str(text: &str) -> Result<Self, InvalidKeyName> {
        Self::parse(text)
    }
}

/// A statement about a log: its size and the root of its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log: one line that is not empty.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The root of the tree over them.
    pub root: TreeHash,
}

/// The text is not a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint: expected lines with an origin, a size and a root in base64")]
pub struct InvalidCheckpoint;

impl Checkpoint {
    /// Returns the text to sign (C2SP tlog-checkpoint, section "Note text").
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.as_bytes()))
    }
}

impl FromStr for Checkpoint {
    type Err = InvalidCheckpoint;

    /// Parses the text of a checkpoint. Extension lines may follow, and are ignored.
    fn from_str(text: &str) -> Result<Self, InvalidCheckpoint> {
        let lines: Vec<_> = text.strip_suffix('\n').ok_or(InvalidCheckpoint)?.split('\n').collect();
        let [origin, size, root, extensions @ ..] = lines.as_slice() else { return Err(InvalidCheckpoint) };
        if origin.is_empty() || extensions.iter().any(|line| line.is_empty()) {
            return Err(InvalidCheckpoint);
        }
        let root: [u8; 32] = decode(root).ok_or(InvalidCheckpoint)?;
        let size = parse_size(size).ok_or(InvalidCheckpoint)?;
        Ok(Self { origin: (*origin).to_owned(), size, root: TreeHash::from_bytes(root) })
    }
}

/// Parses a decimal number in canonical form: without sign and leading zeros.
fn parse_size(text: &str) -> Option<u64> {
    let size = text.parse::<u64>().ok()?;
    (size.to_string() == text).then_some(size)
}

fn decode<const N: usize>(base64: &str) -> Option<[u8; N]> {
    STANDARD.decode(base64).ok()?.try_into().ok()
}

/// A public Ed25519 key that verifies notes. Its text form is a *vkey*: the name, the id in hexadecimal digits and the
/// key in base64, joined by `+`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteKey {
    name: KeyName,
    id: [u8; 4],
    public_key: [u8; 32],
}

/// The text is not a verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key: expected NAME+ID+BASE64 of an Ed25519 key, with the id that follows from the others")]
pub struct InvalidNoteKey;

impl NoteKey {
    /// Names a public key (RFC 8032, section 5.1.5).
    #[must_use]
    pub fn new(name: KeyName, public_key: [u8; 32]) -> Self {
        let hash = Sha256::new().chain_update(name.as_str()).chain_update([b'\n', ED25519]).chain_update(public_key);
        let [a, b, c, d, ..]: [u8; 32] = hash.finalize().into();
        Self { name, id: [a, b, c, d], public_key }
    }

    /// Returns its name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Returns its id, which each of its signatures begins with.
    #[must_use]
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Returns the 32 bytes of the key.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = [ED25519; 33];
        typed[1..].copy_from_slice(&self.public_key);
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), STANDARD.encode(typed))
    }
}

impl FromStr for NoteKey {
    type Err = InvalidNoteKey;

    fn from_str(text: &str) -> Result<Self, InvalidNoteKey> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(InvalidNoteKey);
        };
        let name = KeyName::parse(name).map_err(|_| InvalidNoteKey)?;
        let [ED25519, public_key @ ..]: [u8; 33] = decode(key).ok_or(InvalidNoteKey)? else {
            return Err(InvalidNoteKey);
        };
        let key = Self::new(name, public_key);
        if key.to_string() == text { Ok(key) } else { Err(InvalidNoteKey) }
    }
}

/// A signature line of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the signing key.
    pub name: KeyName,
    /// The id of the signing key.
    pub key_id: [u8; 4],
    /// The signature bytes; not empty.
    pub bytes: Vec<u8>,
}

/// A text with signatures. It is untrusted until one of them is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    /// The signed text: ends with a line feed, and has no other control characters.
    pub text: String,
    /// The signatures: at least one.
    pub signatures: Vec<NoteSignature>,
}

/// The text is not a signed note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a signed note: expected a text, an empty line and signature lines")]
pub struct InvalidNote;

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|NoteSignature { name, key_id, bytes }| {
            writeln!(f, "{SIGNATURE_LINE}{name} {}", STANDARD.encode([key_id.as_slice(), bytes].concat()))
        })
    }
}

impl FromStr for SignedNote {
    type Err = InvalidNote;

    fn from_str(note: &str) -> Result<Self, InvalidNote> {
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(InvalidNote);
        }
        // The text may contain empty lines; the last one separates it from the signatures.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(InvalidNote)?;
        let lines = lines.strip_suffix('\n').ok_or(InvalidNote)?.split('\n');
        let signatures: Vec<_> =
            lines.take(MOST_SIGNATURES + 1).map(signature).collect::<Option<_>>().ok_or(InvalidNote)?;
        if signatures.len() > MOST_SIGNATURES {
            return Err(InvalidNote);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }
}

fn signature(line: &str) -> Option<NoteSignature> {
    let (name, base64) = line.strip_prefix(SIGNATURE_LINE)?.split_once(' ')?;
    let decoded = STANDARD.decode(base64).ok()?;
    let (key_id, bytes) = decoded.split_first_chunk()?;
    let name = KeyName::parse(name).ok()?;
    (!bytes.is_empty()).then(|| NoteSignature { name, key_id: *key_id, bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of C2SP tlog-checkpoint.
    const CHECKPOINT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    /// The example of C2SP signed-note, whose text has an empty line.
    const POEM: &str = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n\
        — quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

    /// A key whose id was computed by hand from its name and its bytes.
    const VKEY: &str = "example.com/log+baa06b0f+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn the_examples_of_the_specifications_round_trip() {
        for example in [CHECKPOINT, POEM] {
            assert_eq!(example.parse::<SignedNote>().unwrap().to_string(), example);
        }
        let note: SignedNote = POEM.parse().unwrap();
        assert!(note.text.ends_with("sole:\n\ned è subito sera.\n"), "{}", note.text);
        assert_eq!(note.signatures[0].bytes.len(), 64);
        let note: SignedNote = CHECKPOINT.parse().unwrap();
        let checkpoint: Checkpoint = note.text.parse().unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(checkpoint.text(), note.text);
    }

    #[test]
    fn extension_lines_are_ignored() {
        let text = "log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
        let checkpoint: Checkpoint = text.parse().unwrap();
        assert_eq!(checkpoint.root, TreeHash::of_nothing());
        assert_eq!(format!("{text}one\ntwo\n").parse(), Ok(checkpoint));
    }

    #[test]
    fn refuses_texts_that_are_not_checkpoints() {
        let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        for bad in [
            String::new(),
            "\n".to_owned(),
            format!("log\n0\n{root}"),
            format!("\n0\n{root}\n"),
            format!("log\n01\n{root}\n"),
            format!("log\n+1\n{root}\n"),
            format!("log\n-1\n{root}\n"),
            format!("log\n\n{root}\n"),
            format!("log\n18446744073709551616\n{root}\n"),
            "log\n0\n".to_owned(),
            "log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\n".to_owned(),
            "log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n".to_owned(),
            "log\n0\n47DEQpj8HBSa\n".to_owned(),
            format!("log\n0\n{root}\n\n"),
            format!("log\n0\n{root}\n\nextension\n"),
        ] {
            assert_eq!(bad.parse::<Checkpoint>(), Err(InvalidCheckpoint), "{bad:?}");
        }
    }

    #[test]
    fn refuses_texts_that_are_not_signed_notes() {
        for (from, to) in [
            ("— ", "- "),
            ("— ", "—"),
            ("YQ8=\n", "YQ8=\n\n"),
            ("YQ8=\n", "YQ8="),
            ("YQ8=\n", "YQ8\n"),
            ("YQ8=\n", "YQ9=\n"),
            ("\n\n", "\n"),
            ("20852163", "20852163\r"),
            ("sofa Az3g", "sofaAz3g"),
            ("sofa Az3g", "so+fa Az3g"),
        ] {
            assert!(CHECKPOINT.contains(from), "{from}");
            let bad = CHECKPOINT.replace(from, to);
            assert_eq!(bad.parse::<SignedNote>(), Err(InvalidNote), "{bad:?}");
        }
        for bad in ["", "\n", "\n\n", "text\n\n", "text\n\n\n", "text\n\n— name AAAAAA==\n"] {
            assert_eq!(bad.parse::<SignedNote>(), Err(InvalidNote), "{bad:?}");
        }
    }

    #[test]
    fn a_note_has_at_most_a_hundred_signatures() {
        let note = |signatures| format!("text\n\n{}", "— name AAAAAAA=\n".repeat(signatures));
        assert_eq!(note(MOST_SIGNATURES).parse::<SignedNote>().unwrap().signatures.len(), 100);
        assert_eq!(note(MOST_SIGNATURES + 1).parse::<SignedNote>(), Err(InvalidNote));
    }

    #[test]
    fn key_ids_follow_the_specification() {
        let key: NoteKey = VKEY.parse().unwrap();
        assert_eq!(key.name().as_str(), "example.com/log");
        assert_eq!(key.id(), [0xba, 0xa0, 0x6b, 0x0f]);
        assert_eq!(key.to_string(), VKEY);
        assert_eq!(NoteKey::new(key.name().clone(), *key.public_key()), key);
    }

    #[test]
    fn refuses_texts_that_are_not_keys() {
        let with = |from: &str, to: &str| {
            assert!(VKEY.contains(from), "{from}");
            VKEY.replacen(from, to, 1)
        };
        for bad in [
            String::new(),
            with("log", "lot"),
            with("baa06b0f", "baa06b00"),
            with("baa06b0f", "BAA06B0F"),
            with("baa06b0f", "aa06b0f"),
            with("+ARpc", "+BRpc"),
            with("10TW", "10T"),
            with("example.com/log", ""),
            format!("{VKEY}\n"),
        ] {
            assert_eq!(bad.parse::<NoteKey>(), Err(InvalidNoteKey), "{bad}");
        }
    }

    #[test]
    fn refuses_names_that_would_break_a_line() {
        for bad in ["", "a b", "a+b", "a\nb", "a\u{a0}b", "a\u{2028}b", "a\u{7f}b"] {
            assert_eq!(KeyName::parse(bad), Err(InvalidKeyName), "{bad:?}");
        }
        let origin = KeyName::parse("mass.local").unwrap().origin(&TenantId::parse("acme").unwrap());
        assert_eq!(origin, "mass.local/acme");
    }

    proptest! {
        #[test]
        fn notes_round_trip(
            text in "([^\\x00-\\x1f]{1,20}\n){1,5}(\n[a-z]{1,9}\n){0,2}",
            lines in prop::collection::vec(("[^\\s\\p{Cc}+]{1,20}", any::<[u8; 4]>(), prop::collection::vec(any::<u8>(), 1..99)), 1..9),
        ) {
            let signature = |(name, key_id, bytes): (String, _, _)| NoteSignature { name: KeyName::parse(&name).unwrap(), key_id, bytes };
            let note = SignedNote { text, signatures: lines.into_iter().map(signature).collect() };
            prop_assert_eq!(note.to_string().parse(), Ok(note));
        }

        #[test]
        fn parsed_notes_are_canonical(text in "(\\PC{0,9}\n){0,3}\n(— [a-z]{1,3} (AAAAAAA=|[A-Za-z0-9+/=]{6,9})\n){0,3}") {
            if let Ok(note) = text.parse::<SignedNote>() {
                prop_assert_eq!(note.to_string(), text);
            }
        }
    }
}
