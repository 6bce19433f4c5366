//! The bridge: from the broker into the spool, and from there to the destination.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rumqttc::{Publish, QoS, SubscribeReasonCode};
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::broker::{Broker, BrokerError, BrokerEvent, Client, Connection};
use crate::dead_letters::{DeadLetterError, DeadLetters};
use crate::message::{Message, now};
use crate::spool::{Added, Arrival, Spool, SpoolError};
use crate::subscriptions::{Changes, Topic, kept};
use crate::{Away, Destination, Verdict};

/// The pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause, unless the destination states one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause that a destination can state.
const LONGEST_STATED_PAUSE: Duration = Duration::from_secs(300);

/// The maximum number of messages that are handed to the destination at a time.
const BATCH_MESSAGES: usize = 1000;

/// The maximum size of a batch of several messages in bytes.
const BATCH_BYTES: u64 = 4 << 20;

/// The maximum number of messages that are written to the spool at a time.
const WRITTEN_TOGETHER: usize = 256;

/// The interval of the log's totals.
const REPORT: Duration = Duration::from_secs(60);

/// The time for the last acknowledgements.
const GOODBYE: Duration = Duration::from_secs(6);

/// How a bridge works.
#[derive(Debug, Clone)]
pub struct Options {
    /// The topics.
    pub topics: Vec<Topic>,
    /// The client's id, which the broker knows the session by.
    pub client_id: String,
    /// The number of waiting messages that are sent without waiting for more.
    pub batch_messages: u64,
    /// The longest time that a message waits for others.
    pub batch_wait: Duration,
    /// True if messages count that the broker had kept for new subscribers.
    pub takes_retained: bool,
    /// The time without a message after which the bridge ends by itself.
    pub ends_after: Option<Duration>,
    /// The time for retries of a bridge that ends by itself.
    pub patience: Duration,
    /// The time to deliver what waits after the stop signal.
    pub drain: Duration,
}

/// An error that ends the bridge. What is in the spool stays there.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// Of the spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Of the dead letters.
    #[error(transparent)]
    DeadLetters(#[from] DeadLetterError),
    /// Of the connection to the broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Of a task of the program.
    #[error("a task of the bridge failed")]
    Task(#[from] tokio::task::JoinError),
}

/// What a bridge has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The messages that are in the spool or went through it.
    pub received: u64,
    /// The messages that the broker sent again, and that were in the spool already.
    pub received_again: u64,
    /// The retained messages that were left out.
    pub retained: u64,
    /// The records that are stored.
    pub stored: u64,
    /// The records that were stored before.
    pub duplicates: u64,
    /// The messages among the dead letters.
    pub refused: u64,
    /// The messages that wait in the spool.
    pub waiting: u64,
}

/// A bridge from a broker to a destination.
#[derive(Debug)]
pub struct Bridge<D> {
    /// The broker.
    pub broker: Broker,
    /// The spool.
    pub spool: Spool,
    /// The dead letters.
    pub dead_letters: DeadLetters,
    /// The destination.
    pub destination: D,
    /// The options.
    pub options: Options,
}

/// The progress of delivery, which decides what is acknowledged.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// The number up to which all messages are delivered.
    delivered: u64,
    /// True while the destination is away or behind: then the spool has the messages in its place.
    spooling: bool,
}

/// The phases of a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// Nothing more is taken; what waits is delivered, with retries.
    Finishing,
    /// Nothing more is taken; what waits is delivered if the destination is there.
    Stopping,
    /// Nothing more is delivered.
    Done,
}

/// What the receiving and the sending side share.
struct Shared {
    spool: Arc<Spool>,
    options: Options,
    progress: watch::Sender<Progress>,
    phase: watch::Sender<Phase>,
    arrived: Notify,
    counts: Mutex<Summary>,
}

impl Shared {
    fn count(&self, change: impl FnOnce(&mut Summary)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn summary(&self) -> Summary {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Summary { waiting: self.spool.waiting(), ..counts }
    }

    fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Runs a call of the spool, which waits for the disk.
    async fn on_disk<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Spool) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, BridgeError> {
        let spool = Arc::clone(&self.spool);
        Ok(tokio::task::spawn_blocking(move || call(&spool)).await??)
    }
}

impl<D: Destination> Bridge<D> {
    /// Runs until `stop` is ready or, if the options say so, until the broker has had nothing for a while. Returns what
    /// has been done; what waits then stays in the spool.
    ///
    /// # Errors
    /// If the broker refuses the client, or the disk fails.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<Summary, BridgeError> {
        let Self { broker, spool, mut dead_letters, mut destination, options } = self;
        let spool = Arc::new(spool);
        let drain = options.drain;
        let progress = Progress { delivered: spool.delivered(), spooling: false };
        let shared = Shared {
            spool,
            options,
            progress: watch::Sender::new(progress),
            phase: watch::Sender::new(Phase::Running),
            arrived: Notify::new(),
            counts: Mutex::default(),
        };
        {
            let mut receiving = std::pin::pin!(receive(&shared, &broker));
            let mut sending = std::pin::pin!(send(&shared, &mut dead_letters, &mut destination));
            let mut reporting = std::pin::pin!(report(&shared));
            tokio::select! {
                result = &mut receiving => return result.map(|()| shared.summary()),
                result = &mut sending => result?,
                () = &mut reporting => {}
                () = stop => {
                    tracing::info!(waiting = shared.spool.waiting(), "stopping");
                    shared.phase.send_replace(Phase::Stopping);
                    tokio::select! {
                        result = timeout(drain, &mut sending) => result.unwrap_or(Ok(()))?,
                        result = &mut receiving => return result.map(|()| shared.summary()),
                    }
                }
            }
            shared.phase.send_replace(Phase::Done);
            timeout(GOODBYE, receiving).await.unwrap_or(Ok(()))?;
        }
        Ok(shared.summary())
    }
}

/// Logs the totals from time to time, if they have changed.
async fn report(shared: &Shared) {
    let mut last = shared.summary();
    loop {
        sleep(REPORT).await;
        let summary = shared.summary();
        if summary != last {
            let Summary { received, received_again, retained, stored, duplicates, refused, waiting } = summary;
            tracing::info!(received, received_again, retained, stored, duplicates, refused, waiting, "totals");
            last = summary;
        }
    }
}

// --- From the broker into the spool -------------------------------------------------------------------------------------

/// The end of a connection.
enum End {
    /// The bridge is done.
    Done,
    /// The spool is full.
    Full,
    /// The connection failed.
    Lost(BrokerError),
}

/// Connects again and again until the bridge is done.
async fn receive(shared: &Shared, broker: &Broker) -> Result<(), BridgeError> {
    let client = Client { id: shared.options.client_id.clone(), is_passing: false };
    let mut pause = FIRST_PAUSE;
    let mut failing_since: Option<Instant> = None;
    let mut phase = shared.phase.subscribe();
    let mut was_connected = false;
    loop {
        if shared.phase() != Phase::Running {
            // Nothing more is taken: there is nothing to connect for.
            let _ = phase.wait_for(|phase| *phase == Phase::Done).await;
            return Ok(());
        }
        let mut conversation = Conversation::new(shared, Connection::open(broker, &client));
        let end = conversation.hold().await?;
        let is_first = !was_connected;
        if conversation.is_connected {
            (was_connected, pause, failing_since) = (true, FIRST_PAUSE, None);
        }
        match end {
            End::Done => {
                conversation.connection.close().await;
                return Ok(());
            }
            End::Full => {
                drop(conversation);
                tracing::warn!(
                    waiting = shared.spool.waiting(),
                    bytes = shared.spool.bytes(),
                    "the spool is full: the broker keeps further messages until there is room"
                );
                let mut progress = shared.progress.subscribe();
                tokio::select! {
                    _ = progress.wait_for(|_| shared.spool.has_room()) => {}
                    _ = phase.wait_for(|phase| *phase != Phase::Running) => {}
                }
            }
            End::Lost(error @ (BrokerError::Refused(_) | BrokerError::Topic(_) | BrokerError::Tls(_))) if is_first => {
                return Err(error.into());
            }
            End::Lost(error) => {
                let since = *failing_since.get_or_insert_with(Instant::now);
                if shared.options.ends_after.is_some() && since.elapsed() >= shared.options.patience {
                    return Err(error.into());
                }
                tracing::warn!(seconds = pause.as_secs(), "{error}; next attempt in a while");
                tokio::select! {
                    () = sleep(pause) => {}
                    _ = phase.wait_for(|phase| *phase != Phase::Running) => {}
                }
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

/// One connection, with what it has to acknowledge.
struct Conversation<'a> {
    shared: &'a Shared,
    connection: Connection,
    is_connected: bool,
    is_subscribed: bool,
    /// The topics that a subscription under way names.
    asked: Vec<String>,
    /// The messages to acknowledge, by their numbers in the spool.
    waiting: BTreeMap<u64, Publish>,
    /// The time of the last message.
    last: Instant,
}

impl<'a> Conversation<'a> {
    fn new(shared: &'a Shared, connection: Connection) -> Self {
        Self {
            shared,
            connection,
            is_connected: false,
            is_subscribed: false,
            asked: Vec::new(),
            waiting: BTreeMap::new(),
            last: Instant::now(),
        }
    }

    /// Takes messages until the connection ends, or the bridge does.
    async fn hold(&mut self) -> Result<End, BridgeError> {
        let mut progress = self.shared.progress.subscribe();
        let mut phase = self.shared.phase.subscribe();
        loop {
            let quiet = self.shared.options.ends_after.map(|quiet| self.last + quiet);
            let is_waiting = self.is_subscribed && self.shared.phase() == Phase::Running;
            let end = tokio::select! {
                event = self.connection.next() => self.take(event).await?,
                _ = progress.changed() => None,
                _ = phase.changed() => None,
                () = sleep_until(quiet.unwrap_or_else(Instant::now)), if quiet.is_some() && is_waiting => {
                    self.shared.phase.send_replace(Phase::Finishing);
                    None
                }
            };
            if let Err(error) = self.acknowledge() {
                return Ok(End::Lost(error));
            }
            if end.is_some() || self.shared.phase() == Phase::Done {
                return Ok(end.unwrap_or(End::Done));
            }
        }
    }

    /// Takes an event, with those that are there already.
    async fn take(&mut self, event: BrokerEvent) -> Result<Option<End>, BridgeError> {
        let mut messages = Vec::new();
        let mut end = None;
        let mut next = Some(event);
        while let Some(event) = next {
            match event {
                BrokerEvent::Message(message) => messages.push(message),
                BrokerEvent::Connected { has_session } => end = self.connected(has_session).await?,
                BrokerEvent::Subscribed(answers) => end = self.subscribed(&answers).await?,
                BrokerEvent::Ended(error) => end = Some(End::Lost(error)),
            }
            next = if end.is_none() && messages.len() < WRITTEN_TOGETHER { self.connection.next_now() } else { None };
        }
        // What came before the connection ended is kept, too.
        let full = self.keep(messages).await?;
        Ok(full.or(end))
    }

    async fn connected(&mut self, has_session: bool) -> Result<Option<End>, BridgeError> {
        let (wanted, qos) = (self.shared.options.topics.clone(), QoS::AtLeastOnce);
        if !has_session {
            self.shared.on_disk(|spool| spool.forget_packets().and_then(|()| spool.keep_topics(""))).await?;
        }
        let kept = self.shared.on_disk(Spool::topics).await?;
        let Changes { mut new, old } = Changes::new(&wanted, &kept);
        tracing::info!(has_session, "connected to the broker");
        (self.is_connected, self.last) = (true, Instant::now());
        self.is_subscribed = new.is_empty() && old.is_empty();
        if !self.is_subscribed {
            if new.is_empty() {
                // An answer is needed that tells that the old ones are gone.
                new = wanted.iter().map(|topic| topic.as_str().to_owned()).collect();
            }
            if let Err(error) = self.connection.subscribe(&old, &new, qos) {
                return Ok(Some(End::Lost(error)));
            }
            self.asked = new;
        }
        Ok(None)
    }

    async fn subscribed(&mut self, answers: &[SubscribeReasonCode]) -> Result<Option<End>, BridgeError> {
        let refused = answers.iter().position(|answer| *answer == SubscribeReasonCode::Failure);
        if let Some(topic) = refused.and_then(|refused| self.asked.get(refused)) {
            return Ok(Some(End::Lost(BrokerError::Topic(topic.clone()))));
        }
        let topics = kept(&self.shared.options.topics);
        tracing::info!(topics = topics.replace('\n', " "), "subscribed");
        self.shared.on_disk(move |spool| spool.keep_topics(&topics)).await?;
        (self.is_subscribed, self.last) = (true, Instant::now());
        Ok(None)
    }

    /// Writes messages to the spool.
    async fn keep(&mut self, messages: Vec<Publish>) -> Result<Option<End>, BridgeError> {
        // What comes once the bridge is about to end is left to the broker.
        if messages.is_empty() || self.shared.phase() != Phase::Running {
            return Ok(None);
        }
        self.last = Instant::now();
        let is_left_out = |message: &Publish| message.retain && !self.shared.options.takes_retained;
        let (left_out, messages): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_left_out);
        for message in &left_out {
            self.shared.count(|counts| counts.retained += 1);
            if message.pkid != 0
                && let Err(error) = self.connection.acknowledge(message)
            {
                return Ok(Some(End::Lost(error)));
            }
        }
        let received = now();
        let arrivals: Vec<Arrival> = messages.iter().map(|message| arrival(message, received)).collect();
        let before = self.shared.spool.next();
        let added = self.shared.on_disk(move |spool| spool.add(&arrivals)).await?;
        let mut end = None;
        for (message, added) in messages.into_iter().zip(added) {
            let Added::Number(number) = added else {
                end = Some(End::Full);
                continue;
            };
            self.shared.count(|counts| {
                if number < before {
                    counts.received_again += 1;
                } else {
                    counts.received += 1;
                }
            });
            if message.pkid != 0 {
                self.waiting.insert(number, message);
            }
        }
        self.shared.arrived.notify_one();
        Ok(end)
    }

    /// Acknowledges what is delivered or, while the spool stands in for the destination, what is in the spool.
    fn acknowledge(&mut self) -> Result<(), BrokerError> {
        let Progress { delivered, spooling } = *self.shared.progress.borrow();
        while let Some(first) = self.waiting.first_entry() {
            if !spooling && *first.key() > delivered {
                break;
            }
            self.connection.acknowledge(&first.remove())?;
        }
        Ok(())
    }
}

fn arrival(message: &Publish, received: Duration) -> Arrival {
    Arrival {
        packet: message.pkid,
        again: message.dup,
        received,
        topic: message.topic.clone(),
        retained: message.retain,
        payload: message.payload.to_vec(),
    }
}

// --- From the spool to the destination ----------------------------------------------------------------------------------

/// Delivers what is in the spool until nothing more is taken and, if possible, nothing waits.
async fn send<D: Destination>(
    shared: &Shared,
    dead_letters: &mut DeadLetters,
    destination: &mut D,
) -> Result<(), BridgeError> {
    let mut pause = FIRST_PAUSE;
    let mut failing_since: Option<Instant> = None;
    while gather(shared).await {
        let batch = shared.on_disk(|spool| spool.oldest(BATCH_MESSAGES, BATCH_BYTES)).await?;
        let failure = match destination.deliver(&batch).await {
            Ok(verdicts) => settle(shared, dead_letters, batch, verdicts).await?,
            Err(away) => Some(away),
        };
        let Some(Away { failure, after }) = failure else {
            if failing_since.take().is_some() {
                tracing::info!(waiting = shared.spool.waiting(), "messages are delivered again");
            }
            pause = FIRST_PAUSE;
            continue;
        };
        let since = *failing_since.get_or_insert_with(Instant::now);
        shared.progress.send_modify(|progress| progress.spooling = true);
        let is_patient = shared.phase() != Phase::Finishing || since.elapsed() < shared.options.patience;
        if shared.phase() == Phase::Stopping || !is_patient {
            tracing::warn!(waiting = shared.spool.waiting(), "{failure}; what waits stays in the spool");
            break;
        }
        let wait = after.map_or(pause, |after| after.min(LONGEST_STATED_PAUSE));
        tracing::warn!(
            waiting = shared.spool.waiting(),
            seconds = wait.as_secs(),
            "{failure}; next attempt in a while"
        );
        let mut phase = shared.phase.subscribe();
        tokio::select! {
            () = sleep(wait) => {}
            _ = phase.wait_for(|phase| *phase == Phase::Stopping) => {}
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
    Ok(())
}

/// Waits until a batch is worth sending. Returns false if nothing waits and nothing more is taken.
async fn gather(shared: &Shared) -> bool {
    let mut phase = shared.phase.subscribe();
    while shared.spool.waiting() == 0 {
        if *phase.borrow_and_update() != Phase::Running {
            return false;
        }
        tokio::select! {
            () = shared.arrived.notified() => {}
            _ = phase.changed() => {}
        }
    }
    let full = async {
        while shared.spool.waiting() < shared.options.batch_messages {
            shared.arrived.notified().await;
        }
    };
    tokio::select! {
        _ = timeout(shared.options.batch_wait, full) => {}
        _ = phase.wait_for(|phase| *phase != Phase::Running) => {}
    }
    true
}

/// Writes the dead letters of a batch, and removes it from the spool. Returns the reason if that is not possible yet.
async fn settle(
    shared: &Shared,
    dead_letters: &mut DeadLetters,
    batch: Vec<Message>,
    verdicts: Vec<Verdict>,
) -> Result<Option<Away>, BridgeError> {
    if verdicts.len() != batch.len() {
        let failure = format!("expected {} verdicts, found {}", batch.len(), verdicts.len());
        return Ok(Some(Away { failure, after: None }));
    }
    let refused = batch.iter().zip(&verdicts).filter(|(_, verdict)| !verdict.refusals.is_empty());
    let refused: Vec<_> = refused.map(|(message, verdict)| (message, verdict.refusals.as_slice())).collect();
    match dead_letters.append(&refused) {
        Ok(()) => {}
        Err(error @ DeadLetterError::Full { .. }) if shared.phase() != Phase::Stopping => {
            return Ok(Some(Away { failure: error.to_string(), after: None }));
        }
        Err(error) => return Err(error.into()),
    }
    for (message, reasons) in &refused {
        let reasons = serde_json::Value::from(reasons.to_vec()).to_string();
        tracing::warn!(id = %message.id, topic = message.topic, reasons, "a message is refused");
    }
    shared.count(|counts| {
        counts.stored += verdicts.iter().map(|verdict| verdict.stored).sum::<u64>();
        counts.duplicates += verdicts.iter().map(|verdict| verdict.duplicates).sum::<u64>();
        counts.refused += refused.len() as u64;
    });
    let batch = shared.on_disk(move |spool| spool.remove(&batch).map(|()| batch)).await?;
    dead_letters.forget(&batch);
    let delivered = shared.spool.delivered();
    let is_behind = shared.spool.waiting() > shared.options.batch_messages;
    shared.progress.send_modify(|progress| {
        *progress = Progress { delivered, spooling: progress.spooling && is_behind };
    });
    Ok(None)
}
