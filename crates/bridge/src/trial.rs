//! Dry runs: messages are judged, and nothing is kept, stored or acknowledged.

use std::time::Duration;

use rumqttc::{QoS, SubscribeReasonCode};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::bridge::BridgeError;
use crate::broker::{Broker, BrokerError, BrokerEvent, Client, Connection};
use crate::message::{Message, MessageId, now};
use crate::subscriptions::Topic;
use crate::{Destination, Verdict};

/// What a dry run has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// The messages.
    pub received: u64,
    /// The retained messages that were left out.
    pub retained: u64,
    /// The records that would be stored.
    pub valid: u64,
    /// The messages that would be refused.
    pub refused: u64,
}

/// Judges the messages of topics as they come, in a session that the broker forgets, until `stop` is ready or, with
/// `ends_after`, until there has been none for a while.
///
/// # Errors
/// If the broker cannot be reached, refuses the client, or ends the connection.
pub async fn try_out<D: Destination>(
    broker: &Broker,
    topics: &[Topic],
    takes_retained: bool,
    destination: &mut D,
    ends_after: Option<Duration>,
    stop: impl Future<Output = ()>,
) -> Result<Trial, BridgeError> {
    let client = Client { id: format!("mass-{}", Uuid::now_v7().simple()), is_passing: true };
    let mut connection = Connection::open(broker, &client);
    let mut trial = Trial::default();
    let mut stop = std::pin::pin!(stop);
    let mut last = Instant::now();
    let mut is_subscribed = false;
    loop {
        let quiet = ends_after.map(|quiet| last + quiet);
        let event = tokio::select! {
            event = connection.next() => event,
            () = &mut stop => break,
            () = sleep_until(quiet.unwrap_or_else(Instant::now)), if quiet.is_some() && is_subscribed => break,
        };
        match event {
            BrokerEvent::Connected { .. } => {
                let topics: Vec<String> = topics.iter().map(|topic| topic.as_str().to_owned()).collect();
                connection.subscribe(&[], &topics, QoS::AtMostOnce)?;
            }
            BrokerEvent::Subscribed(answers) => {
                let refused = answers.iter().position(|answer| *answer == SubscribeReasonCode::Failure);
                if let Some(topic) = refused.and_then(|refused| topics.get(refused)) {
                    return Err(BrokerError::Topic(topic.as_str().to_owned()).into());
                }
                (is_subscribed, last) = (true, Instant::now());
            }
            BrokerEvent::Message(message) if message.retain && !takes_retained => trial.retained += 1,
            BrokerEvent::Message(message) => {
                last = Instant::now();
                trial.received += 1;
                let message = Message {
                    id: MessageId { spool: "trial".to_owned(), number: trial.received },
                    received: now(),
                    topic: message.topic,
                    retained: message.retain,
                    payload: message.payload.to_vec(),
                };
                match destination.deliver(std::slice::from_ref(&message)).await {
                    Ok(verdicts) => trial.count(&message, &verdicts),
                    Err(away) => tracing::warn!("{}", away.failure),
                }
            }
            BrokerEvent::Ended(error) => return Err(error.into()),
        }
    }
    connection.close().await;
    Ok(trial)
}

impl Trial {
    fn count(&mut self, message: &Message, verdicts: &[Verdict]) {
        for Verdict { stored, refusals, .. } in verdicts {
            self.valid += stored;
            if !refusals.is_empty() {
                self.refused += 1;
                let reasons = serde_json::Value::from(refusals.clone()).to_string();
                tracing::warn!(topic = message.topic, reasons, "a message would be refused");
            }
        }
    }
}
