//! What the verification of a log in its database has shown.

use std::fmt;

use mass_domain::audit::tree::TreeHash;
use mass_domain::tenancy::TenantId;

/// What holds for a log in which nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveReport {
    /// Whose log it is.
    pub tenant: TenantId,
    /// How many events it has, with those that are archived.
    pub events: u64,
    /// How many of them are archived.
    pub archived: u64,
    /// The root of the tree over all events.
    pub root: TreeHash,
    /// How many requests were compared with their events.
    pub requests: u64,
    /// Of how many of them the log does not tell what they are looked up by: older versions did not write it.
    pub unindexed: u64,
    /// How many accounts were compared with their events.
    pub users: u64,
    /// Of how many of them the log does not tell everything that is compared.
    pub untold_users: u64,
    /// How many checkpoints are stored.
    pub checkpoints: u64,
    /// Whether a key was given, so that signatures were checked.
    pub signatures_checked: bool,
    /// The last event that a checkpoint covers, a stored or an earlier one; 0 if none does.
    pub covered: u64,
    /// The sizes of the earlier checkpoints, with which the log agrees.
    pub confirmed: Vec<u64>,
}

impl fmt::Display for LiveReport {
    /// One sentence a line, what is to be heeded last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, events, archived, root, requests, users, checkpoints, covered, .. } = self;
        writeln!(f, "{events} events of {tenant}: none was changed")?;
        writeln!(f, "{requests} requests are as their events tell")?;
        writeln!(f, "{users} users are as their events tell")?;
        writeln!(f, "the tree over {events} events has the root {root}")?;
        write!(f, "{checkpoints} checkpoints agree with it")?;
        for size in &self.confirmed {
            write!(f, "\nthe earlier checkpoint of {size} events agrees with it")?;
        }
        if *archived > 0 {
            write!(f, "\nNOT read: what the {archived} archived events say; verify their exports")?;
        }
        if self.unindexed > 0 {
            let unindexed = self.unindexed;
            write!(f, "\nNOT compared: what {unindexed} requests are looked up by, which their events do not tell")?;
        }
        if self.untold_users > 0 {
            let untold = self.untold_users;
            write!(f, "\nNOT compared: some of {untold} users, of which the log does not tell everything")?;
        }
        if !self.signatures_checked {
            write!(f, "\nNOT checked: the signatures, since no key was given")?;
        }
        let by = if self.signatures_checked { "a signature" } else { "a checkpoint" };
        match events - covered {
            0 => Ok(()),
            1 => write!(f, "\nNOT covered by {by}: event {events}"),
            _ => write!(f, "\nNOT covered by {by}: events {}…{events}", covered + 1),
        }
    }
}
