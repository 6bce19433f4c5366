//! How a batch ends early: told by the end that stores to the end that reads.

use std::sync::atomic::{AtomicBool, Ordering};

/// How much is still done about a batch.
#[derive(Debug, Default)]
pub(super) struct Halt {
    storing: AtomicBool,
    reading: AtomicBool,
}

impl Halt {
    /// Ends storing: further records are read and counted.
    pub(super) fn end_storing(&self) {
        self.storing.store(true, Ordering::Relaxed);
    }

    /// Ends storing and reading: further records are not even counted.
    pub(super) fn end_reading(&self) {
        self.end_storing();
        self.reading.store(true, Ordering::Relaxed);
    }

    /// Whether nothing more is stored.
    pub(super) fn is_storing_over(&self) -> bool {
        self.storing.load(Ordering::Relaxed)
    }

    /// Whether nothing more is read.
    pub(super) fn is_reading_over(&self) -> bool {
        self.reading.load(Ordering::Relaxed)
    }
}
