//! The report on a valid export.

use std::fmt;

use mass_domain::audit::tree::TreeHash;
use mass_domain::tenancy::TenantId;

/// The properties of a valid export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportReport {
    /// The tenant that the log belongs to.
    pub tenant: TenantId,
    /// The origin line of the log's checkpoints.
    pub origin: String,
    /// The number of events that it leaves out, all at the beginning of the log.
    pub after: u64,
    /// The number of events in it: those with the sequences `after` + 1 … `after` + `events`.
    pub events: u64,
    /// The root of the tree over all events up to its last one.
    pub root: TreeHash,
    /// The number of checkpoints in it.
    pub checkpoints: u64,
    /// True if a key was given, so that signatures were checked.
    pub signatures_checked: bool,
    /// The last event that a checkpoint covers, in the export or given; `after` if none does.
    pub covered: u64,
    /// The sizes of the earlier checkpoints that the export agrees with.
    pub confirmed: Vec<u64>,
    /// The sizes of the given checkpoints below the start of the export, which therefore cannot be compared.
    pub not_comparable: Vec<u64>,
}

impl ExportReport {
    /// Returns the sequence of the last event of the export, or of the events before it.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.after + self.events
    }

    /// Returns the first and the last event that no checkpoint covers, if there are any.
    #[must_use]
    pub fn uncovered(&self) -> Option<(u64, u64)> {
        (self.covered < self.last()).then(|| (self.covered + 1, self.last()))
    }
}

impl fmt::Display for ExportReport {
    /// Writes one sentence per line, with warnings last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, origin, after, events, root, checkpoints, .. } = self;
        match events {
            0 => writeln!(f, "no events of {tenant} ({origin}) after {after}: nothing was changed")?,
            1 => writeln!(f, "event {} of {tenant} ({origin}): not changed", self.last())?,
            _ => {
                writeln!(f, "{events} events of {tenant} ({origin}), {}…{}: none was changed", after + 1, self.last())?
            }
        }
        writeln!(f, "the tree over {} events has the root {root}", self.last())?;
        write!(f, "{checkpoints} checkpoints in the export agree with it")?;
        for size in &self.confirmed {
            write!(f, "\nthe earlier checkpoint of {size} events agrees with it")?;
        }
        for size in &self.not_comparable {
            write!(
                f,
                "\nNOT compared: the earlier checkpoint of {size} events, because the export begins after {after}"
            )?;
        }
        if !self.signatures_checked {
            write!(f, "\nNOT checked: the signatures, because no key was given")?;
        }
        let by = if self.signatures_checked { "a signature" } else { "a checkpoint" };
        match self.uncovered() {
            Some((first, last)) if first == last => write!(f, "\nNOT covered by {by}: event {first}"),
            Some((first, last)) => write!(f, "\nNOT covered by {by}: events {first}…{last}"),
            None => Ok(()),
        }
    }
}
