//! The early end of a batch, signalled by the storing side to the reading side.

use std::sync::atomic::{AtomicBool, Ordering};

/// The degree to which a batch still runs.
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

    /// Returns true if nothing more is stored.
    pub(super) fn is_storing_over(&self) -> bool {
        self.storing.load(Ordering::Relaxed)
    }

    /// Returns true if nothing more is read.
    pub(super) fn is_reading_over(&self) -> bool {
        self.reading.load(Ordering::Relaxed)
    }
}
