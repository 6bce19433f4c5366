//! A bridge from an MQTT broker: takes messages, keeps them on disk, hands them to a [`Destination`], and acknowledges
//! what is stored there.
//!
//! Every message is written to the [`Spool`] first. It is acknowledged to the broker when the destination has stored it
//! or, while the destination is away, when the spool holds it durably. It leaves the spool when the destination has
//! stored it, or when the [`DeadLetters`] have it with the reasons for which it was refused.
//!
//! Belongs here: MQTT, the spool, the order of acknowledgements. Does not belong here: how a message becomes documents,
//! and how they are sent (`mass-app`).

mod bridge;
mod broker;
mod dead_letters;
mod message;
mod spool;
mod subscriptions;
mod trial;

pub use bridge::{Bridge, BridgeError, Options, Summary};
pub use broker::{Broker, BrokerError, Login, Tls};
pub use dead_letters::{DeadLetterError, DeadLetters};
pub use message::{Message, MessageId};
pub use spool::{Spool, SpoolError};
pub use subscriptions::{Topic, WrongTopic};
pub use trial::{Trial, try_out};

use std::future::Future;
use std::time::Duration;

use serde_json::Value;

/// Where messages are stored.
pub trait Destination {
    /// Stores the messages of a batch, and returns one verdict for each, in order. Calling it again with a message that
    /// is stored already changes nothing.
    ///
    /// # Errors
    /// [`Away`] if it is not known what is stored: the batch is offered again.
    fn deliver(&mut self, batch: &[Message]) -> impl Future<Output = Result<Vec<Verdict>, Away>>;
}

/// The result of one message, which may become several records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The number of records that are stored.
    pub stored: u64,
    /// The number of records that were stored before.
    pub duplicates: u64,
    /// The reasons for which records, or the message itself, are refused; empty if none is.
    pub refusals: Vec<Value>,
}

/// A destination that cannot store anything at present.
#[derive(Debug, Clone)]
pub struct Away {
    /// A sentence for people, without a full stop.
    pub failure: String,
    /// The pause before the next attempt, if the destination states one.
    pub after: Option<Duration>,
}
