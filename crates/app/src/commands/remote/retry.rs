//! Retries of calls to a server.

use std::time::Duration;

use anyhow::bail;
use indicatif::ProgressBar;
use tokio::time::Instant;

use super::PassingFailure;
use crate::terminal::{visible_line, write_stderr};

/// The pause before the first retry, if the server states none. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause, if the server states none.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The retries of one call. They end with an error once the server has answered nothing useful for too long.
pub(crate) struct Retries<'a> {
    /// `None` makes no attempts again.
    limit: Option<Duration>,
    progress: &'a ProgressBar,
    /// The time of the first failure since the last success.
    since: Option<Instant>,
    pause: Duration,
}

impl<'a> Retries<'a> {
    /// Begins without a failure.
    pub(crate) const fn new(limit: Option<Duration>, progress: &'a ProgressBar) -> Self {
        Self { limit, progress, since: None, pause: FIRST_PAUSE }
    }

    /// Reports a failure on standard error and waits until the next attempt.
    ///
    /// # Errors
    /// The failure, if there are no retries, the time for them is over, or would be before the server wants the next attempt.
    pub(crate) async fn wait(&mut self, passing: PassingFailure) -> anyhow::Result<()> {
        let Some(limit) = self.limit else { return Err(passing.into()) };
        let PassingFailure { failure, after: stated } = passing;
        let since = *self.since.get_or_insert_with(Instant::now);
        let left = limit.saturating_sub(since.elapsed());
        let pause = stated.unwrap_or(self.pause);
        if left.is_zero() || pause > left {
            let limit = limit.as_secs();
            bail!("{failure}; no further attempt within {limit} s (--retry-seconds)");
        }
        if stated.is_none() {
            self.pause = LONGEST_PAUSE.min(self.pause * 2);
        }
        let line = format!("{failure}; next attempt in {} s, for up to {} s", pause.as_secs(), left.as_secs());
        self.progress.suspend(|| write_stderr(&format!("mass: {}\n", visible_line(&line))));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Gives the next failure the whole time again.
    pub(crate) const fn restart(&mut self) {
        self.since = None;
        self.pause = FIRST_PAUSE;
    }
}
