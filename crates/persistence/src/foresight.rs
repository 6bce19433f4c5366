//! What the next documents of a tenant will find stored, as far as it can be told without asking.
//!
//! Whatever changes a tenant's settings, quotas, usage or natural keys appends to its audit log in the same transaction. So
//! while the end of the log, a Merkle tree's, is where the last group of this process left it, these are as that group
//! left them. Documents can then be judged before anything is asked, and written under the conditions that this holds, that
//! none of their keys is stored and that the credentials are at the same version: one statement instead of seven.
//!
//! What this process's own worker appends of deliveries changes nothing of that, and is followed.

use mass_domain::audit::tree::Frontier;

use crate::batch::Terms;

/// After how many failures in a row nothing more is added to the wait.
const MOST_FAILURES: u32 = 6;

/// What a group of documents left behind.
#[derive(Debug, Clone)]
pub(crate) struct Left {
    /// Where the tenant's log ended.
    pub(crate) frontier: Frontier,
    /// What the tenant had decided, may use and had used.
    pub(crate) terms: Terms,
}

/// How a log has moved on.
pub(crate) struct Moved {
    pub(crate) from: Frontier,
    pub(crate) to: Frontier,
}

/// What is foreseen for one tenant.
#[derive(Debug, Default)]
pub(crate) struct Foresight {
    left: Option<Left>,
    failures: u32,
    /// How many groups do not try it.
    wait: u32,
}

impl Foresight {
    /// What the next group can be judged by. It is foreseen no more: whoever takes it says how it went.
    pub(crate) fn take(&mut self) -> Option<Left> {
        let left = self.left.take();
        if self.wait > 0 {
            self.wait -= 1;
            return None;
        }
        left
    }

    /// It held, and this is what was left.
    pub(crate) fn held(&mut self, left: Left) {
        self.failures = 0;
        self.left = Some(left);
    }

    /// It did not hold: another process writes for the tenant, or documents come that are stored already. Each failure
    /// in a row makes twice as many groups ask first.
    pub(crate) fn failed(&mut self) {
        self.failures = (self.failures + 1).min(MOST_FAILURES);
        self.wait = (1 << self.failures) - 1;
    }

    /// Something else has moved the log on, and changed nothing that documents are judged by.
    pub(crate) fn follow(&mut self, moved: &Moved) {
        if let Some(left) = &mut self.left
            && left.frontier == moved.from
        {
            left.frontier = moved.to.clone();
        }
    }

    /// A group that asked first left this.
    pub(crate) fn learned(&mut self, left: Left) {
        self.left = Some(left);
    }
}

#[cfg(test)]
mod tests {
    use mass_domain::audit::tree::TreeHash;
    use mass_domain::tenancy::{CredentialsVersion, Quotas, TenantSettings, Usage};

    use super::*;

    fn left() -> Left {
        let terms = Terms {
            settings: TenantSettings::default(),
            quotas: Quotas::default(),
            usage: Usage::default(),
            credentials: CredentialsVersion::default(),
        };
        Left { frontier: Frontier::default(), terms }
    }

    /// How many groups ask first until one does not.
    fn groups_that_ask(foresight: &mut Foresight) -> usize {
        (0..)
            .find(|_| {
                foresight.take().is_some() || {
                    foresight.learned(left());
                    false
                }
            })
            .unwrap()
    }

    #[test]
    fn the_first_group_asks_and_the_second_knows() {
        let mut foresight = Foresight::default();
        assert_eq!(groups_that_ask(&mut foresight), 1);
        foresight.held(left());
        assert_eq!(groups_that_ask(&mut foresight), 0);
        assert!(foresight.take().is_none(), "what was taken and not given back is not known");
    }

    #[test]
    fn what_moves_the_log_on_from_where_it_was_left_is_followed() {
        let mut foresight = Foresight::default();
        let size = |size| Frontier::of::<()>(size, |_| Ok(TreeHash::of_leaf(b"leaf"))).unwrap();
        foresight.learned(Left { frontier: size(3), ..left() });
        foresight.follow(&Moved { from: size(2), to: size(4) });
        foresight.follow(&Moved { from: size(3), to: size(5) });
        foresight.follow(&Moved { from: size(3), to: size(6) });
        assert_eq!(foresight.take().unwrap().frontier, size(5));
        foresight.follow(&Moved { from: size(5), to: size(6) });
        assert!(foresight.take().is_none());
    }

    #[test]
    fn each_failure_in_a_row_makes_more_groups_ask_first() {
        let mut foresight = Foresight::default();
        for expected in [1, 3, 7, 15, 31, 63, 63] {
            foresight.learned(left());
            foresight.failed();
            assert_eq!(groups_that_ask(&mut foresight), expected);
        }
        foresight.held(left());
        foresight.failed();
        assert_eq!(groups_that_ask(&mut foresight), 1, "what held makes up for what did not");
    }
}
