//! Queueing of password attempts: backpressure before bcrypt, and limits per account and address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::Context as _;
use mass_domain::port::PortError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::AuthService;
use crate::passwords::{PasswordsError, QueuePlace};
use crate::throttle::{AttemptKeys, Throttled};

/// The number of attempts on one account that are judged at a time. They run one after the other, so that each sees the
/// outcome of the earlier ones, and concurrent right passwords do not count as each other's failures.
const PER_ACCOUNT: usize = 1;
/// The numbers of attempts that are judged at a time from one address and from its networks. They are far below the
/// allowed failures, so that people who share an address can log in at once.
const PER_NETWORK: [usize; 3] = [16, 32, 64];
/// The number of concurrent checks for an earlier log-in while the queue is full.
const LOOK_UPS: usize = 8;

/// The limits on concurrent attempts.
pub(crate) struct AttemptQueue {
    semaphores: Mutex<HashMap<[u8; 32], Weak<Semaphore>>>,
    look_ups: Semaphore,
}

impl Default for AttemptQueue {
    fn default() -> Self {
        Self { semaphores: Mutex::default(), look_ups: Semaphore::new(LOOK_UPS) }
    }
}

/// The permits of an attempt, released on drop.
pub(crate) struct AttemptPermits {
    _held: Vec<OwnedSemaphorePermit>,
}

impl AttemptQueue {
    /// Waits for the permits of an attempt. The account's permit comes last, so that an attempt that waits for its
    /// address does not block the account.
    pub(crate) async fn permits(&self, keys: &AttemptKeys) -> anyhow::Result<AttemptPermits> {
        let networks = keys.networks.iter().zip(PER_NETWORK).rev();
        let mut held = Vec::new();
        for (key, at_once) in networks.chain([(&keys.account, PER_ACCOUNT)]) {
            held.push(self.of(key, at_once).acquire_owned().await.context("the semaphore is closed")?);
        }
        Ok(AttemptPermits { _held: held })
    }

    fn of(&self, key: &[u8; 32], at_once: usize) -> Arc<Semaphore> {
        let mut semaphores = self.semaphores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(semaphore) = semaphores.get(key).and_then(Weak::upgrade) {
            return semaphore;
        }
        // Bounded by the attempts in the queue.
        semaphores.retain(|_, semaphore| semaphore.strong_count() > 0);
        let semaphore = Arc::new(Semaphore::new(at_once));
        semaphores.insert(*key, Arc::downgrade(&semaphore));
        semaphore
    }
}

impl AuthService {
    /// Begins an attempt once a permit is free.
    pub(crate) async fn begin_attempt<E>(&self, keys: &AttemptKeys) -> Result<(QueuePlace, AttemptPermits), E>
    where
        E: From<PasswordsError> + From<PortError> + From<Throttled>,
    {
        // First, because an attempt that is turned away must not count as failed.
        let place = self.place::<E>(keys).await?;
        let permits = self.queue.permits(keys).await.map_err(PasswordsError::Unexpected)?;
        self.attempts.begin(keys, self.clock.now()).await??;
        Ok((place, permits))
    }

    /// Takes a place in the queue. Some places are reserved for attempts from an address where the account has logged
    /// in before; otherwise attackers with many addresses could lock users out.
    async fn place<E>(&self, keys: &AttemptKeys) -> Result<QueuePlace, E>
    where
        E: From<PasswordsError> + From<PortError>,
    {
        let full = match self.passwords.place() {
            Ok(place) => return Ok(place),
            Err(full) => full,
        };
        let Ok(_look_up) = self.queue.look_ups.try_acquire() else { return Err(full.into()) };
        if self.attempts.is_known(keys).await? { Ok(self.passwords.reserved_place()?) } else { Err(full.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(account: u8, address: u8) -> AttemptKeys {
        AttemptKeys { pair: [0; 32], account: [account; 32], networks: vec![[address; 32]] }
    }

    #[tokio::test]
    async fn attempts_on_one_account_run_one_at_a_time() {
        let queue = AttemptQueue::default();
        let first = queue.permits(&keys(1, 8)).await.unwrap();
        let (waiting, other) = (keys(1, 9), keys(2, 8));
        let mut waiting = Box::pin(queue.permits(&waiting));
        tokio::select! { biased;
            _ = &mut waiting => panic!("two attempts at a time"),
            other = queue.permits(&other) => assert!(other.is_ok()),
        }
        drop(first);
        drop(waiting.await.unwrap());
        queue.permits(&keys(3, 7)).await.unwrap();
        assert_eq!(queue.semaphores.lock().unwrap().len(), 2, "unused semaphores are removed");
    }
}
