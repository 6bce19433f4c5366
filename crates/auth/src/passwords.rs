//! Hashing and comparing passwords without standing in anybody's way.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Context as _;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::hasher::{Cost, Hasher, Pepper, Verification};
use crate::new_password::NewPassword;
use crate::store::PasswordHash;

/// How much password work is taken on. The rest is turned away at once, so that a flood of log-ins neither takes the
/// processors from ingestion nor lets a line grow whose end nobody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// How many passwords are worked on at a time, each keeping one processor busy.
    pub at_once: NonZeroUsize,
    /// How many more may wait.
    pub waiting: usize,
    /// How many more of those may wait who have proved their password from where they are before.
    pub waiting_known: usize,
}

impl Default for Capacity {
    /// Half of the processors, and a line that takes some six seconds at cost 12.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let at_once = NonZeroUsize::new(processors / 2).unwrap_or(NonZeroUsize::MIN);
        Self { at_once, waiting: 16 * at_once.get(), waiting_known: 4 * at_once.get() }
    }
}

/// Why a password is neither hashed nor compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordsError {
    /// As many passwords as allowed are being worked on or waiting; trying again later helps.
    #[error("too many passwords are being checked at the moment")]
    Busy,
    /// A fault of MASS or of its surroundings.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

macro_rules! from_passwords_error {
    ($error:ident) => {
        impl From<crate::passwords::PasswordsError> for $error {
            fn from(error: crate::passwords::PasswordsError) -> Self {
                match error {
                    crate::passwords::PasswordsError::Busy => Self::Busy,
                    crate::passwords::PasswordsError::Unexpected(cause) => Self::Unexpected(cause),
                }
            }
        }
    };
}
pub(crate) use from_passwords_error;

/// A place at work or in the line, which is free again once this is gone.
pub(crate) type Place = OwnedSemaphorePermit;

/// Hashes and compares passwords, on threads where that blocks nobody. Clones share one capacity.
#[derive(Clone)]
pub struct Passwords {
    hasher: Arc<Hasher>,
    /// Places at work or in the line.
    places: Arc<Semaphore>,
    /// Places that are kept for who has proved the password before.
    kept: Arc<Semaphore>,
    /// Places at work.
    workers: Arc<Semaphore>,
}

impl Passwords {
    /// Passwords hashed from now on get this cost and pepper; those hashed before stay good, as long as their pepper is
    /// this one or none.
    #[must_use]
    pub fn new(cost: Cost, pepper: Option<Pepper>, capacity: Capacity) -> Self {
        let at_once = capacity.at_once.get().min(Semaphore::MAX_PERMITS);
        let places = at_once.saturating_add(capacity.waiting).min(Semaphore::MAX_PERMITS);
        Self {
            hasher: Arc::new(Hasher::new(cost, pepper)),
            places: Arc::new(Semaphore::new(places)),
            kept: Arc::new(Semaphore::new(capacity.waiting_known.min(Semaphore::MAX_PERMITS))),
            workers: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// Hashes a password that is to be set.
    ///
    /// # Errors
    /// [`PasswordsError`].
    pub async fn hash(&self, password: &NewPassword) -> Result<PasswordHash, PasswordsError> {
        let password = password.clone();
        self.run(self.place()?, move |hasher| hasher.hash(password.secret().expose_secret())).await
    }

    /// Takes a place ahead of the work.
    pub(crate) fn place(&self) -> Result<Place, PasswordsError> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| PasswordsError::Busy)
    }

    /// Takes one of the places that are kept.
    pub(crate) fn kept_place(&self) -> Result<Place, PasswordsError> {
        Arc::clone(&self.kept).try_acquire_owned().map_err(|_| PasswordsError::Busy)
    }

    /// Compares a password, as it was typed in, with a stored hash.
    ///
    /// Any other answer than a match takes the same time, whether there is a hash or not, as long as no stored hash has
    /// a higher cost than the configured one.
    ///
    /// # Errors
    /// [`PasswordsError::Unexpected`].
    pub(crate) async fn verify(
        &self,
        place: Place,
        typed: &SecretString,
        stored: Option<&PasswordHash>,
    ) -> Result<Verification, PasswordsError> {
        let (typed, stored) = (typed.clone(), stored.cloned());
        self.run(place, move |hasher| hasher.verify(typed.expose_secret(), stored.as_ref())).await
    }

    async fn run<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce(&Hasher) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, PasswordsError> {
        let worker = Arc::clone(&self.workers).acquire_owned().await.context("the password workers are gone")?;
        let hasher = Arc::clone(&self.hasher);
        let result = tokio::task::spawn_blocking(move || {
            // Moved here because the work goes on when the caller does not wait for it any more.
            let _held = (place, worker);
            work(&hasher)
        });
        Ok(result.await.context("password work ended early")??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(at_once: usize, waiting: usize) -> Passwords {
        let capacity = Capacity { at_once: NonZeroUsize::new(at_once).unwrap(), waiting, waiting_known: 1 };
        Passwords::new(Cost::try_from(10).unwrap(), None, capacity)
    }

    #[tokio::test]
    async fn a_password_is_recognised() {
        let passwords = passwords(1, 0);
        let password = NewPassword::generate();
        let hash = passwords.hash(&password).await.unwrap();
        let right = passwords.verify(passwords.place().unwrap(), password.secret(), Some(&hash)).await.unwrap();
        assert_eq!(right, Verification::Match { rehashed: None });
        let another = SecretString::from("another");
        let wrong = passwords.verify(passwords.place().unwrap(), &another, Some(&hash)).await.unwrap();
        assert_eq!(wrong, Verification::Mismatch);
    }

    #[tokio::test]
    async fn who_finds_the_line_full_is_turned_away_and_who_finds_a_place_waits() {
        let passwords = passwords(1, 1);
        let password = NewPassword::generate();
        let (first, second, third) =
            tokio::join!(passwords.hash(&password), passwords.hash(&password), passwords.hash(&password));
        assert!(first.is_ok() && second.is_ok());
        assert!(matches!(third, Err(PasswordsError::Busy)));
        assert!(passwords.hash(&password).await.is_ok(), "the places are free again");
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_place() {
        let passwords = passwords(1, 0);
        let (started, has_started) = std::sync::mpsc::channel();
        let (finish, may_finish) = std::sync::mpsc::channel::<()>();
        let mut abandoned = Box::pin(passwords.run(passwords.place().unwrap(), move |_| {
            started.send(())?;
            Ok(may_finish.recv()?)
        }));
        assert!(poll_once(&mut abandoned).await.is_none());
        has_started.recv().unwrap();
        drop(abandoned);
        assert!(matches!(passwords.hash(&NewPassword::generate()).await, Err(PasswordsError::Busy)));
        finish.send(()).unwrap();
    }

    async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::select! { biased; output = future => Some(output), () = std::future::ready(()) => None }
    }
}
