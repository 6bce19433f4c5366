//! What the verification of an export has shown.

use std::fmt;

use mass_domain::audit::tree::TreeHash;
use mass_domain::tenancy::TenantId;

/// What holds for an export in which nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose log it is.
    pub tenant: TenantId,
    /// The origin line of the log's checkpoints.
    pub origin: String,
    /// How many events it leaves out, all of them at the log's beginning.
    pub after: u64,
    /// How many events it has: those with the sequences `after` + 1 … `after` + `events`.
    pub events: u64,
    /// The root of the tree over all events up to its last one.
    pub root: TreeHash,
    /// How many checkpoints it has.
    pub checkpoints: u64,
    /// Whether a key was given, so that signatures were checked.
    pub signatures_checked: bool,
    /// The last event that a checkpoint covers, of the export or an earlier one; `after` if none does.
    pub covered: u64,
    /// The sizes of the earlier checkpoints that the export agrees with.
    pub confirmed: Vec<u64>,
    /// The sizes of the earlier checkpoints that cover less than the export leaves out: it says nothing about them.
    pub not_comparable: Vec<u64>,
}

impl Report {
    /// The sequence of the last event up to which the log is told of.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.after + self.events
    }

    /// The first and the last event that no checkpoint covers, if there are such.
    #[must_use]
    pub fn uncovered(&self) -> Option<(u64, u64)> {
        (self.covered < self.last()).then(|| (self.covered + 1, self.last()))
    }
}

impl fmt::Display for Report {
    /// One sentence a line, what is to be heeded last.
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
                "\nNOT compared: the earlier checkpoint of {size} events, since the export begins after {after}"
            )?;
        }
        if !self.signatures_checked {
            write!(f, "\nNOT checked: the signatures, since no key was given")?;
        }
        let by = if self.signatures_checked { "a signature" } else { "a checkpoint" };
        match self.uncovered() {
            Some((first, last)) if first == last => write!(f, "\nNOT covered by {by}: event {first}"),
            Some((first, last)) => write!(f, "\nNOT covered by {by}: events {first}…{last}"),
            None => Ok(()),
        }
    }
}
