//! Password hashing off the async threads, with bounded concurrency.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Context as _;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::hasher::{Cost, Hasher, Pepper, Verification};
use crate::new_password::NewPassword;
use crate::store::PasswordHash;

/// The limits on concurrent password work. Beyond them, work is refused at once, so that a flood of log-ins neither
/// takes the processors from ingestion nor builds up a queue that nobody waits out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// The number of passwords that are hashed at a time, each on one processor.
    pub at_once: NonZeroUsize,
    /// The number of further passwords that may wait.
    pub waiting: usize,
    /// The number of further waiting places for users who have logged in from their address before.
    pub waiting_known: usize,
}

impl Default for Capacity {
    /// Half of the processors, and a queue of about six seconds at cost 12.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let at_once = NonZeroUsize::new(processors / 2).unwrap_or(NonZeroUsize::MIN);
        Self { at_once, waiting: 16 * at_once.get(), waiting_known: 4 * at_once.get() }
    }
}

/// The reasons for which a password is neither hashed nor compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordsError {
    /// The queue is full; trying again later helps.
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

/// A place in the queue or at a worker, released on drop.
pub(crate) type QueuePlace = OwnedSemaphorePermit;

/// Hashes and compares passwords on blocking threads. Clones share one capacity.
#[derive(Clone)]
pub struct Passwords {
    hasher: Arc<Hasher>,
    /// Places in the queue and at the workers.
    places: Arc<Semaphore>,
    /// Places reserved for users who have logged in from their address before.
    kept: Arc<Semaphore>,
    /// Worker permits.
    workers: Arc<Semaphore>,
}

impl Passwords {
    /// Creates the service with the cost and pepper of new hashes. Older hashes stay valid if they were made with this
    /// pepper or with none.
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

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`PasswordsError`].
    pub async fn hash(&self, password: &NewPassword) -> Result<PasswordHash, PasswordsError> {
        let password = password.clone();
        self.run(self.place()?, move |hasher| hasher.hash(password.secret().expose_secret())).await
    }

    /// Takes a place in the queue ahead of the work.
    pub(crate) fn place(&self) -> Result<QueuePlace, PasswordsError> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| PasswordsError::Busy)
    }

    /// Takes a reserved place.
    pub(crate) fn reserved_place(&self) -> Result<QueuePlace, PasswordsError> {
        Arc::clone(&self.kept).try_acquire_owned().map_err(|_| PasswordsError::Busy)
    }

    /// Compares a typed password with a stored hash.
    ///
    /// Every result but a match takes the same time, with or without a hash, as long as no stored hash has a higher
    /// cost than the configured one.
    ///
    /// # Errors
    /// [`PasswordsError::Unexpected`].
    pub(crate) async fn verify(
        &self,
        place: QueuePlace,
        typed: &SecretString,
        stored: Option<&PasswordHash>,
    ) -> Result<Verification, PasswordsError> {
        let (typed, stored) = (typed.clone(), stored.cloned());
        self.run(place, move |hasher| hasher.verify(typed.expose_secret(), stored.as_ref())).await
    }

    async fn run<T: Send + 'static>(
        &self,
        place: QueuePlace,
        work: impl FnOnce(&Hasher) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, PasswordsError> {
        let worker = Arc::clone(&self.workers).acquire_owned().await.context("the password workers are gone")?;
        let hasher = Arc::clone(&self.hasher);
        let result = tokio::task::spawn_blocking(move || {
            // Moved into the task, because the work goes on after its caller is gone.
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
    async fn the_right_password_matches() {
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
    async fn waits_for_a_place_in_the_queue_and_refuses_when_it_is_full() {
        let passwords = passwords(1, 1);
        let password = NewPassword::generate();
        let (first, second, third) =
            tokio::join!(passwords.hash(&password), passwords.hash(&password), passwords.hash(&password));
        assert!(first.is_ok() && second.is_ok());
        assert!(matches!(third, Err(PasswordsError::Busy)));
        assert!(passwords.hash(&password).await.is_ok(), "the places are free again");
    }

    #[tokio::test]
    async fn abandoned_work_keeps_its_place_until_it_ends() {
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
