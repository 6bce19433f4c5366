//! How an attempt to prove a password gets its place in the line for bcrypt and its turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::Context as _;
use mass_domain::port::PortError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::AuthService;
use crate::passwords::{PasswordsError, Place};
use crate::throttle::{AttemptKeys, Throttled};

/// How many attempts on one account are judged at a time: one after the other, so that each finds what became of those
/// before it, and right passwords that come at once are no failures of each other.
const PER_ACCOUNT: usize = 1;
/// How many attempts from one address are judged at a time, and from the networks that it lies in. Far fewer than these may
/// fail, so that people who share an address log in at once without counting against each other.
const PER_NETWORK: [usize; 3] = [16, 32, 64];
/// How many look at a time whether they are known where the line is full.
const LOOK_UPS: usize = 8;

/// What attempts wait for.
pub(crate) struct Line {
    turns: Mutex<HashMap<[u8; 32], Weak<Semaphore>>>,
    look_ups: Semaphore,
}

impl Default for Line {
    fn default() -> Self {
        Self { turns: Mutex::default(), look_ups: Semaphore::new(LOOK_UPS) }
    }
}

/// The turn of an attempt, which is over once this is gone.
pub(crate) struct Turn {
    _held: Vec<OwnedSemaphorePermit>,
}

impl Line {
    /// Waits for the turn of an attempt. It waits for its account last, so that who waits because of the address keeps
    /// nobody from the account.
    async fn turn(&self, keys: &AttemptKeys) -> anyhow::Result<Turn> {
        let networks = keys.networks.iter().zip(PER_NETWORK).rev();
        let mut held = Vec::new();
        for (key, at_once) in networks.chain([(&keys.account, PER_ACCOUNT)]) {
            held.push(self.of(key, at_once).acquire_owned().await.context("the turns are gone")?);
        }
        Ok(Turn { _held: held })
    }

    fn of(&self, key: &[u8; 32], at_once: usize) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        // Never more of them than have a place in the line.
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Semaphore::new(at_once));
        turns.insert(*key, Arc::downgrade(&turn));
        turn
    }
}

impl AuthService {
    /// Lets an attempt begin once it is its turn.
    pub(crate) async fn begin_attempt<E>(&self, keys: &AttemptKeys) -> Result<(Place, Turn), E>
    where
        E: From<PasswordsError> + From<PortError> + From<Throttled>,
    {
        // First: an attempt that nobody has the time to judge must not count as failed.
        let place = self.place::<E>(keys).await?;
        let turn = self.line.turn(keys).await.map_err(PasswordsError::Unexpected)?;
        self.attempts.begin(keys, self.clock.now()).await??;
        Ok((place, turn))
    }

    /// Takes a place in the line. Some are kept for those who have logged in from where they are before: otherwise
    /// strangers from many addresses could shut them out.
    async fn place<E>(&self, keys: &AttemptKeys) -> Result<Place, E>
    where
        E: From<PasswordsError> + From<PortError>,
    {
        let full = match self.passwords.place() {
            Ok(place) => return Ok(place),
            Err(full) => full,
        };
        let Ok(_look_up) = self.line.look_ups.try_acquire() else { return Err(full.into()) };
        if self.attempts.is_known(keys).await? { Ok(self.passwords.kept_place()?) } else { Err(full.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(account: u8, address: u8) -> AttemptKeys {
        AttemptKeys { pair: [0; 32], account: [account; 32], networks: vec![[address; 32]] }
    }

    #[tokio::test]
    async fn attempts_on_one_account_have_their_turns_one_after_the_other_and_others_meanwhile() {
        let line = Line::default();
        let first = line.turn(&keys(1, 8)).await.unwrap();
        let (waiting, other) = (keys(1, 9), keys(2, 8));
        let mut waiting = Box::pin(line.turn(&waiting));
        tokio::select! { biased;
            _ = &mut waiting => panic!("two at a time"),
            other = line.turn(&other) => assert!(other.is_ok()),
        }
        drop(first);
        drop(waiting.await.unwrap());
        line.turn(&keys(3, 7)).await.unwrap();
        assert_eq!(line.turns.lock().unwrap().len(), 2, "those that nobody needs any more are gone");
    }
}
