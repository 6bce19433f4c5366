//! Retention: how long documents are kept, and the legal holds that keep them longer.

use crate::access::Actor;
use crate::contracts::{self, ContractId};
use crate::ids::LegalHoldId;
use crate::time::Timestamp;

/// The seconds of a day.
const DAY: i64 = 86_400;

/// A rule: documents of a contract are erased at an age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionRule {
    /// The contract; `None` for all contracts without a rule of their own.
    pub contract: Option<ContractId>,
    /// The age in days since the document was received.
    pub days: u16,
}

/// The rules of a tenant, at most one for each contract. Without a rule, documents are kept until somebody deletes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionRules(Vec<RetentionRule>);

/// Error for a second rule of the same contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the contract has a rule already")]
pub struct SecondRule {
    /// The place of the second rule.
    pub index: usize,
}

/// The documents of a contract that a rule lets go at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// The contract.
    pub contract: ContractId,
    /// The days of the rule.
    pub days: u16,
    /// Documents that were received before this instant are erased.
    pub received_before: Timestamp,
}

impl RetentionRules {
    /// Builds the rules.
    ///
    /// # Errors
    /// [`SecondRule`].
    pub fn new(mut rules: Vec<RetentionRule>) -> Result<Self, SecondRule> {
        let is_second = |(index, rule): &(usize, &RetentionRule)| {
            rules[..*index].iter().any(|earlier| earlier.contract == rule.contract)
        };
        match rules.iter().enumerate().find(is_second) {
            Some((index, _)) => Err(SecondRule { index }),
            None => {
                rules.sort_by_key(|rule| rule.contract);
                Ok(Self(rules))
            }
        }
    }

    /// Returns the rules, ordered by contract; that of all others comes first.
    #[must_use]
    pub fn as_slice(&self) -> &[RetentionRule] {
        &self.0
    }

    /// Returns whether there is no rule.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the documents to be erased at an instant, contract by contract, whatever holds there are.
    #[must_use]
    pub fn expiries(&self, at: Timestamp) -> Vec<Expiry> {
        let of_contract = |contract: ContractId| {
            let rule_of = |contract| self.0.iter().find(|rule| rule.contract == contract);
            let days = rule_of(Some(contract)).or_else(|| rule_of(None))?.days;
            let received_before = at.plus_seconds(-i64::from(days) * DAY)?;
            Some(Expiry { contract, days, received_before })
        };
        contracts::all().iter().filter_map(|contract| of_contract(contract.id())).collect()
    }
}

/// A legal hold: as long as it is there, no document that it covers is deleted or erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegalHold {
    /// Its id.
    pub id: LegalHoldId,
    /// The contract whose documents it covers; `None` for all documents of the tenant.
    pub contract: Option<ContractId>,
    /// The reason.
    pub reason: String,
    /// The instant from which it is in force.
    pub since: Timestamp,
    /// Who has set it.
    pub set_by: Actor,
}

impl LegalHold {
    /// Tells whether it covers documents of this contract, or of any contract for `None`.
    #[must_use]
    pub fn covers(&self, contract: Option<ContractId>) -> bool {
        match (self.contract, contract) {
            (None, _) | (_, None) => true,
            (Some(held), Some(contract)) => held == contract,
        }
    }
}

/// Error for a deletion that a legal hold forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a legal hold covers the documents")]
pub struct Held {
    /// The hold.
    pub hold: LegalHoldId,
    /// The contract that it covers; `None` for all.
    pub contract: Option<ContractId>,
}

/// Requires that no hold covers documents of this contract, or of any contract for `None`.
///
/// # Errors
/// [`Held`] with the first hold that does.
pub fn require_unheld(holds: &[LegalHold], contract: Option<ContractId>) -> Result<(), Held> {
    match holds.iter().find(|hold| hold.covers(contract)) {
        Some(hold) => Err(Held { hold: hold.id, contract: hold.contract }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::contracts::{DEVICE_1_1, SIMPLE_1_0};

    fn rule(contract: Option<ContractId>, days: u16) -> RetentionRule {
        RetentionRule { contract, days }
    }

    #[test]
    fn a_contract_has_one_rule() {
        let twice = [rule(Some(DEVICE_1_1), 30), rule(None, 9), rule(Some(DEVICE_1_1), 31)];
        assert_eq!(RetentionRules::new(twice.to_vec()), Err(SecondRule { index: 2 }));
        assert_eq!(RetentionRules::new(vec![rule(None, 9), rule(None, 9)]), Err(SecondRule { index: 1 }));
        assert!(RetentionRules::new(twice[..2].to_vec()).is_ok());
    }

    #[test]
    fn a_rule_of_a_contract_goes_before_the_rule_of_all() {
        let at: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        let rules = RetentionRules::new(vec![rule(None, 10), rule(Some(DEVICE_1_1), 1)]).unwrap();
        let expiries = rules.expiries(at);
        assert_eq!(expiries.len(), contracts::all().len());
        for expiry in expiries {
            let expected = if expiry.contract == DEVICE_1_1 { "2026-11-30T00:00:00Z" } else { "2026-11-21T00:00:00Z" };
            assert_eq!(expiry.received_before.to_string(), expected);
        }
        let one = RetentionRules::new(vec![rule(Some(SIMPLE_1_0), 1)]).unwrap().expiries(at);
        assert_eq!(one.iter().map(|expiry| expiry.contract).collect::<Vec<_>>(), [SIMPLE_1_0]);
        assert_eq!(RetentionRules::default().expiries(at), []);
    }

    #[test]
    fn a_hold_covers_its_contract_and_what_may_be_of_it() {
        let hold = |contract| LegalHold {
            id: LegalHoldId::from_uuid(Uuid::nil()),
            contract,
            reason: "a claim".to_owned(),
            since: "2026-12-01T00:00:00Z".parse().unwrap(),
            set_by: Actor::System,
        };
        let (of_all, of_one) = (hold(None), hold(Some(DEVICE_1_1)));
        for (hold, contract, covered) in [
            (&of_all, None, true),
            (&of_all, Some(SIMPLE_1_0), true),
            (&of_one, None, true),
            (&of_one, Some(DEVICE_1_1), true),
            (&of_one, Some(SIMPLE_1_0), false),
        ] {
            assert_eq!(hold.covers(contract), covered, "{hold:?} {contract:?}");
            assert_eq!(require_unheld(std::slice::from_ref(hold), contract).is_err(), covered);
        }
        assert_eq!(require_unheld(&[], None), Ok(()));
    }
}
