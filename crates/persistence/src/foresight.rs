//! Optimistic cache of a tenant's state after its last group commit.
//!
//! Each change of a tenant's settings, quotas, usage or natural keys appends to its audit log in the same transaction. As long
//! as the log, a Merkle tree, ends where the last group of this process left it, the state is therefore unchanged. Documents
//! can then be judged without reading, and written in one statement instead of seven, on the conditions that the log still
//! ends there, that none of their keys is stored, and that the credentials are at the same version.
//!
//! This process's own worker appends events of deliveries, which change none of that: the cache follows them.

use mass_domain::audit::tree::Frontier;
use mass_service::TenantState;

/// The number of failures in a row from which on the wait no longer grows.
const MOST_FAILURES: u32 = 6;

/// A tenant's state after a group of documents.
#[derive(Debug, Clone)]
pub(crate) struct CachedState {
    /// The end of the audit log.
    pub(crate) frontier: Frontier,
    /// The values that documents are judged by.
    pub(crate) tenant: TenantState,
}

/// The end of a log before and after an append.
pub(crate) struct LogAdvance {
    pub(crate) from: Frontier,
    pub(crate) to: Frontier,
}

/// The cache of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Foresight {
    cached: Option<CachedState>,
    failures: u32,
    /// The number of groups that read first although something is cached.
    wait: u32,
}

impl Foresight {
    /// Takes the state to judge the next group by. The caller reports the outcome with [`held`](Self::held) or
    /// [`failed`](Self::failed).
    pub(crate) fn take(&mut self) -> Option<CachedState> {
        let cached = self.cached.take();
        if self.wait > 0 {
            self.wait -= 1;
            return None;
        }
        cached
    }

    /// Caches the state after a group that was committed on cached state.
    pub(crate) fn held(&mut self, state: CachedState) {
        self.failures = 0;
        self.cached = Some(state);
    }

    /// Counts a failure: another process writes for the tenant, or documents come that are stored already. Each failure
    /// in a row doubles the number of groups that read first.
    pub(crate) fn failed(&mut self) {
        self.failures = (self.failures + 1).min(MOST_FAILURES);
        self.wait = (1 << self.failures) - 1;
    }

    /// Follows an append that changed nothing which documents are judged by.
    pub(crate) fn follow(&mut self, advance: &LogAdvance) {
        if let Some(cached) = &mut self.cached
            && cached.frontier == advance.from
        {
            cached.frontier = advance.to.clone();
        }
    }

    /// Caches the state after a group that read first.
    pub(crate) fn learned(&mut self, state: CachedState) {
        self.cached = Some(state);
    }
}

#[cfg(test)]
mod tests {
    use mass_domain::audit::tree::TreeHash;
    use mass_domain::tenancy::{CredentialsVersion, Quotas, TenantSettings, Usage};

    use super::*;

    fn state() -> CachedState {
        let tenant = TenantState {
            settings: TenantSettings::default(),
            quotas: Quotas::default(),
            usage: Usage::default(),
            credentials: CredentialsVersion::default(),
            is_suspended: false,
        };
        CachedState { frontier: Frontier::default(), tenant }
    }

    /// Counts the groups that read first until one does not.
    fn groups_that_read(foresight: &mut Foresight) -> usize {
        (0..)
            .find(|_| {
                foresight.take().is_some() || {
                    foresight.learned(state());
                    false
                }
            })
            .unwrap()
    }

    #[test]
    fn the_first_group_reads_and_the_second_uses_the_cache() {
        let mut foresight = Foresight::default();
        assert_eq!(groups_that_read(&mut foresight), 1);
        foresight.held(state());
        assert_eq!(groups_that_read(&mut foresight), 0);
        assert!(foresight.take().is_none(), "state that was taken and not given back is not cached");
    }

    #[test]
    fn follows_an_append_only_from_the_cached_end() {
        let mut foresight = Foresight::default();
        let size = |size| Frontier::of::<()>(size, |_| Ok(TreeHash::of_leaf(b"leaf"))).unwrap();
        foresight.learned(CachedState { frontier: size(3), ..state() });
        foresight.follow(&LogAdvance { from: size(2), to: size(4) });
        foresight.follow(&LogAdvance { from: size(3), to: size(5) });
        foresight.follow(&LogAdvance { from: size(3), to: size(6) });
        assert_eq!(foresight.take().unwrap().frontier, size(5));
        foresight.follow(&LogAdvance { from: size(5), to: size(6) });
        assert!(foresight.take().is_none());
    }

    #[test]
    fn each_failure_in_a_row_makes_more_groups_read_first() {
        let mut foresight = Foresight::default();
        for expected in [1, 3, 7, 15, 31, 63, 63] {
            foresight.learned(state());
            foresight.failed();
            assert_eq!(groups_that_read(&mut foresight), expected);
        }
        foresight.held(state());
        foresight.failed();
        assert_eq!(groups_that_read(&mut foresight), 1, "one success resets the failures");
    }
}
