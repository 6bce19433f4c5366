//! The report on a valid log in its database.

use std::fmt;

use mass_domain::audit::tree::TreeHash;
use mass_domain::tenancy::TenantId;

/// The properties of a valid log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveReport {
    /// The tenant that the log belongs to.
    pub tenant: TenantId,
    /// The number of events, with archived ones.
    pub events: u64,
    /// The number of archived events.
    pub archived: u64,
    /// The root of the tree over all events.
    pub root: TreeHash,
    /// The number of requests that were compared with their events.
    pub requests: u64,
    /// The number of those requests whose acceptance event has no digest of the index columns, because an older version
    /// wrote it.
    pub unindexed: u64,
    /// The number of accounts that were compared with their events.
    pub users: u64,
    /// The number of those accounts that the log describes only in part.
    pub untold_users: u64,
    /// The number of stored checkpoints.
    pub checkpoints: u64,
    /// True if a key was given, so that signatures were checked.
    pub signatures_checked: bool,
    /// The last event that a checkpoint covers, stored or given; 0 if none does.
    pub covered: u64,
    /// The sizes of the given checkpoints, which the log extends.
    pub confirmed: Vec<u64>,
}

impl fmt::Display for LiveReport {
    /// Writes one sentence per line, with warnings last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, events, archived, root, requests, users, checkpoints, covered, .. } = self;
        writeln!(f, "{events} events of {tenant}: none was changed")?;
        writeln!(f, "{requests} requests match their events")?;
        writeln!(f, "{users} users match their events")?;
        writeln!(f, "the tree over {events} events has the root {root}")?;
        write!(f, "{checkpoints} checkpoints agree with it")?;
        for size in &self.confirmed {
            write!(f, "\nthe earlier checkpoint of {size} events agrees with it")?;
        }
        if *archived > 0 {
            write!(f, "\nNOT read: the texts of {archived} archived events; verify their exports")?;
        }
        if self.unindexed > 0 {
            let unindexed = self.unindexed;
            write!(
                f,
                "\nNOT compared: the index columns of {unindexed} requests, whose events have no digest of them"
            )?;
        }
        if self.untold_users > 0 {
            let untold = self.untold_users;
            write!(f, "\nNOT compared: some columns of {untold} users, which the log does not have")?;
        }
        if !self.signatures_checked {
            write!(f, "\nNOT checked: the signatures, because no key was given")?;
        }
        let by = if self.signatures_checked { "a signature" } else { "a checkpoint" };
        match events - covered {
            0 => Ok(()),
            1 => write!(f, "\nNOT covered by {by}: event {events}"),
            _ => write!(f, "\nNOT covered by {by}: events {}…{events}", covered + 1),
        }
    }
}
