//! Signing checkpoints, and checking their signatures (Ed25519, RFC 8032).

/// Signs checkpoints.
pub struct CheckpointSigner {}
