//! Signing and verifying of checkpoints (Ed25519, RFC 8032).

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use mass_domain::audit::note::{
    Checkpoint, InvalidCheckpoint, InvalidNote, KeyName, NoteKey, NoteSignature, SignedNote,
};

/// Signs checkpoints. The secret key is zeroised on drop and never printed.
pub struct CheckpointSigner {
    pair: Ed25519KeyPair,
    key: NoteKey,
}

/// The bytes are not a valid Ed25519 seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no Ed25519 key can be derived from this seed")]
pub struct InvalidSeed;

impl CheckpointSigner {
    /// Derives the key pair of a seed (RFC 8032, section 5.1.5). The caller has to erase the seed.
    ///
    /// # Errors
    /// [`InvalidSeed`].
    pub fn from_seed(name: KeyName, seed: &[u8; 32]) -> Result<Self, InvalidSeed> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| InvalidSeed)?;
        let public_key = pair.public_key().as_ref().try_into().map_err(|_| InvalidSeed)?;
        Ok(Self { pair, key: NoteKey::new(name, public_key) })
    }

    /// Returns the public key of its signatures.
    #[must_use]
    pub const fn key(&self) -> &NoteKey {
        &self.key
    }

    /// Returns the signed note of a checkpoint.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        self.sign_text(checkpoint.text())
    }

    /// Returns the signed note of a text that is no checkpoint and cannot be read as one. It ends with a line break.
    #[must_use]
    pub fn sign_text(&self, text: String) -> String {
        let bytes = self.pair.sign(text.as_bytes()).as_ref().to_vec();
        let signature = NoteSignature { name: self.key.name().clone(), key_id: self.key.id(), bytes };
        SignedNote { text, signatures: vec![signature] }.to_string()
    }
}

impl fmt::Debug for CheckpointSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointSigner").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The reasons for which a note is not accepted as signed by a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenTextError {
    /// The text is not a note.
    #[error(transparent)]
    NotANote(#[from] InvalidNote),
    /// The note has no signature by the key.
    #[error("the note is not signed by the key")]
    NotSigned,
    /// The signature that names the key is wrong.
    #[error("the signature of the note is wrong")]
    WrongSignature,
}

/// The reasons for which a note is not accepted as a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenCheckpointError {
    /// The text is not a note.
    #[error(transparent)]
    NotANote(#[from] InvalidNote),
    /// The note has no signature by the key.
    #[error("the checkpoint is not signed by the key")]
    NotSigned,
    /// The signature that names the key is wrong.
    #[error("the signature of the checkpoint is wrong")]
    WrongSignature,
    /// The signed text is not a checkpoint.
    #[error(transparent)]
    NotACheckpoint(#[from] InvalidCheckpoint),
}

impl From<OpenTextError> for OpenCheckpointError {
    fn from(error: OpenTextError) -> Self {
        match error {
            OpenTextError::NotANote(error) => Self::NotANote(error),
            OpenTextError::NotSigned => Self::NotSigned,
            OpenTextError::WrongSignature => Self::WrongSignature,
        }
    }
}

/// Returns the text of a note, whose signature by the key is verified. Signatures of other keys are ignored (C2SP
/// signed-note, section "Signatures").
///
/// # Errors
/// [`OpenTextError`].
pub fn open_text(note: &str, key: &NoteKey) -> Result<String, OpenTextError> {
    let note: SignedNote = note.parse()?;
    let public_key = UnparsedPublicKey::new(&ED25519, key.public_key());
    let mut ours = note.signatures.iter().filter(|line| line.name == *key.name() && line.key_id == key.id()).peekable();
    if ours.peek().is_none() {
        return Err(OpenTextError::NotSigned);
    }
    if !ours.all(|line| public_key.verify(note.text.as_bytes(), &line.bytes).is_ok()) {
        return Err(OpenTextError::WrongSignature);
    }
    Ok(note.text)
}

/// Parses a checkpoint and verifies its signature by the key, as [`open_text`] does.
///
/// # Errors
/// [`OpenCheckpointError`].
pub fn open_checkpoint(note: &str, key: &NoteKey) -> Result<Checkpoint, OpenCheckpointError> {
    Ok(open_text(note, key)?.parse()?)
}

/// Parses a checkpoint and verifies that any of the keys has signed it; without keys, does not check signatures.
pub(crate) fn open_with_any(note: &str, keys: &[NoteKey]) -> Result<Checkpoint, OpenCheckpointError> {
    if keys.is_empty() {
        return Ok(note.parse::<SignedNote>()?.text.parse()?);
    }
    let mut opened = keys.iter().map(|key| open_checkpoint(note, key));
    opened.find(|opened| *opened != Err(OpenCheckpointError::NotSigned)).unwrap_or(Err(OpenCheckpointError::NotSigned))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use mass_domain::audit::tree::TreeHash;

    use super::*;

    fn signer(name: &str, seed: u8) -> CheckpointSigner {
        CheckpointSigner::from_seed(KeyName::parse(name).unwrap(), &[seed; 32]).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "mass.local/acme".to_owned(), size: 3, root: TreeHash::of_leaf(b"x") }
    }

    #[test]
    fn only_the_signing_key_opens_a_checkpoint() {
        let ours = signer("mass.local", 1);
        let note = ours.sign(&checkpoint());
        assert_eq!(open_checkpoint(&note, ours.key()), Ok(checkpoint()));
        for other in [signer("mass.local", 2), signer("mass.elsewhere", 1)] {
            assert_eq!(open_checkpoint(&note, other.key()), Err(OpenCheckpointError::NotSigned));
        }
    }

    #[test]
    fn refuses_a_changed_checkpoint() {
        let ours = signer("mass.local", 1);
        let note = ours.sign(&checkpoint());
        let changed = note.replacen("\n3\n", "\n4\n", 1);
        assert_ne!(changed, note);
        assert_eq!(open_checkpoint(&changed, ours.key()), Err(OpenCheckpointError::WrongSignature));
        assert_eq!(open_checkpoint("", ours.key()), Err(OpenCheckpointError::NotANote(InvalidNote)));
    }

    #[test]
    fn ignores_signatures_of_other_keys_but_refuses_a_wrong_one() {
        let (ours, other) = (signer("mass.local", 1), signer("witness.example", 2));
        let mut note: SignedNote = ours.sign(&checkpoint()).parse().unwrap();
        let witness: SignedNote = other.sign(&checkpoint()).parse().unwrap();
        note.signatures.splice(0..0, witness.signatures);
        assert_eq!(open_checkpoint(&note.to_string(), ours.key()), Ok(checkpoint()));
        let mut wrong = note.signatures[1].clone();
        wrong.bytes[0] ^= 1;
        note.signatures.push(NoteSignature { name: other.key().name().clone(), ..wrong.clone() });
        note.signatures.push(NoteSignature { key_id: other.key().id(), ..wrong.clone() });
        assert_eq!(open_checkpoint(&note.to_string(), ours.key()), Ok(checkpoint()));
        note.signatures.push(wrong);
        assert_eq!(open_checkpoint(&note.to_string(), ours.key()), Err(OpenCheckpointError::WrongSignature));
    }

    #[test]
    fn refuses_a_signed_note_that_is_not_a_checkpoint() {
        let ours = signer("mass.local", 1);
        let text = "hello\n".to_owned();
        let bytes = ours.pair.sign(text.as_bytes()).as_ref().to_vec();
        let line = NoteSignature { name: ours.key.name().clone(), key_id: ours.key.id(), bytes };
        let note = SignedNote { text, signatures: vec![line] }.to_string();
        assert_eq!(open_checkpoint(&note, ours.key()), Err(OpenCheckpointError::NotACheckpoint(InvalidCheckpoint)));
    }

    #[test]
    fn only_the_signing_key_opens_a_text() {
        let ours = signer("mass.local", 1);
        let note = ours.sign_text("hello\n".to_owned());
        assert_eq!(open_text(&note, ours.key()).as_deref(), Ok("hello\n"));
        assert_eq!(open_text(&note, signer("mass.local", 2).key()), Err(OpenTextError::NotSigned));
        let changed = note.replacen("hello", "hallo", 1);
        assert_eq!(open_text(&changed, ours.key()), Err(OpenTextError::WrongSignature));
        assert_eq!(open_text("hello\n", ours.key()), Err(OpenTextError::NotANote(InvalidNote)));
    }

    #[test]
    fn the_seed_is_not_printed() {
        let printed = format!("{:?}", signer("mass.local", 0xab));
        assert!(!printed.contains(&"ab".repeat(4)) && !printed.contains("171, 171"), "{printed}");
    }

    #[test]
    fn a_seed_gives_the_key_and_signature_of_the_reference_implementation() {
        let seed: Vec<u8> = STANDARD.decode("gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM=").unwrap();
        let ours = CheckpointSigner::from_seed(KeyName::parse("example.com/log").unwrap(), &seed.try_into().unwrap());
        let ours = ours.unwrap();
        assert_eq!(ours.key().to_string(), "example.com/log+baa06b0f+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
        let text =
            "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let expected = "9kmS4FL1Qb9J99y8gBDFUG2IW6ksuvykBwSVkic0i4ZSBg3UUVgLallI1eAq+p+p2eCi2lFlvooTpHLIHAmcAw==";
        assert_eq!(STANDARD.encode(ours.pair.sign(text.as_bytes())), expected);
    }
}
