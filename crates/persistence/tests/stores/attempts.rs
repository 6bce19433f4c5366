//! Counters of password attempts.

use std::sync::Arc;

use mass_auth::{AttemptKeys, ThrottleScope, Throttled};
use mass_domain::time::Timestamp;
use tokio::task::JoinSet;

use crate::databases::TestDatabase;
use crate::fixtures::at;

on_both!(
    failures_are_counted_until_one_succeeds,
    concurrent_attempts_are_counted_like_sequential_ones,
    old_attempts_are_forgotten,
    a_network_is_delayed_across_addresses_except_for_known_users,
);

fn keys(account: u8, address: u8) -> AttemptKeys {
    AttemptKeys {
        pair: [account, address, 1].repeat(11)[..32].try_into().unwrap(),
        account: [account; 32],
        networks: vec![[address; 32], [250; 32], [251; 32]],
    }
}

fn seconds(seconds: i64) -> Timestamp {
    at(seconds * 1_000_000)
}

const THROTTLED: Throttled = Throttled { scope: ThrottleScope::Account, retry_after_seconds: 1 };

async fn failures_are_counted_until_one_succeeds(db: TestDatabase) {
    for _ in 0..5 {
        assert_eq!(db.attempts().begin(&keys(1, 2), seconds(0)).await.unwrap(), Ok(()));
    }
    assert_eq!(db.attempts().begin(&keys(1, 2), seconds(0)).await.unwrap(), Err(THROTTLED));
    assert_eq!(db.attempts().begin(&keys(3, 2), seconds(0)).await.unwrap(), Ok(()));
    assert_eq!(db.attempts().begin(&keys(1, 4), seconds(0)).await.unwrap(), Ok(()));
    assert_eq!(db.attempts().begin(&keys(1, 2), seconds(1)).await.unwrap(), Ok(()));
    db.attempts().succeed(&keys(1, 2), seconds(2)).await.unwrap();
    for _ in 0..5 {
        assert_eq!(db.attempts().begin(&keys(1, 2), seconds(2)).await.unwrap(), Ok(()));
    }
}

async fn concurrent_attempts_are_counted_like_sequential_ones(db: TestDatabase) {
    let other = db.place.open();
    let stores = [&db.database, &other].map(|database| Arc::clone(&database.stores().auth.attempts));
    let mut attempts = JoinSet::new();
    for (n, store) in (0..20).zip(stores.into_iter().cycle()) {
        attempts.spawn(async move { (n, store.begin(&keys(1, 2), seconds(0)).await.unwrap()) });
    }
    let results = attempts.join_all().await;
    assert_eq!(results.iter().filter(|(_, result)| result.is_ok()).count(), 5);
    assert!(results.iter().all(|(_, result)| result.is_ok() || *result == Err(THROTTLED)));
}

async fn a_network_is_delayed_across_addresses_except_for_known_users(db: TestDatabase) {
    let known = keys(1, 2);
    db.attempts().begin(&known, seconds(0)).await.unwrap().unwrap();
    assert!(!db.attempts().is_known(&known).await.unwrap());
    db.attempts().succeed(&known, seconds(0)).await.unwrap();
    assert!(db.attempts().is_known(&known).await.unwrap());
    assert!(!db.attempts().is_known(&keys(1, 3)).await.unwrap());
    for n in 10..110 {
        assert_eq!(db.attempts().begin(&keys(n, n), seconds(0)).await.unwrap(), Ok(()));
    }
    let refused = Throttled { scope: ThrottleScope::Address, retry_after_seconds: 1 };
    assert_eq!(db.attempts().begin(&keys(110, 110), seconds(0)).await.unwrap(), Err(refused));
    assert_eq!(db.attempts().begin(&known, seconds(0)).await.unwrap(), Ok(()));
}

async fn old_attempts_are_forgotten(db: TestDatabase) {
    db.attempts().begin(&keys(1, 2), seconds(0)).await.unwrap().unwrap();
    db.attempts().begin(&keys(3, 4), seconds(0)).await.unwrap().unwrap();
    db.attempts().succeed(&keys(3, 4), seconds(0)).await.unwrap();
    assert_eq!(db.database.purge_logins(seconds(0), seconds(0)).await.unwrap(), 0);
    // Two keys with a success remain: the pair and the account.
    assert_eq!(db.database.purge_logins(seconds(1), seconds(0)).await.unwrap(), 6);
    assert_eq!(db.database.purge_logins(seconds(1), seconds(1)).await.unwrap(), 2);
}
