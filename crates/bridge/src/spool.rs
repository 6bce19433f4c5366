//! The spool: the messages that the destination has not stored yet, in one file.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::message::{Message, MessageId};

/// The waiting messages by their numbers: received in nanoseconds, retained, topic, payload.
const MESSAGES: TableDefinition<'_, u64, (u64, bool, &str, &[u8])> = TableDefinition::new("messages");

/// By packet identifier, the number and the digest of the last message that came with it, by which one that the broker
/// sends again is recognised.
const PACKETS: TableDefinition<'_, u16, (u64, [u8; 32])> = TableDefinition::new("packets");

/// Texts by their names.
const TEXTS: TableDefinition<'_, &str, &str> = TableDefinition::new("texts");

/// Numbers by their names.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

const ID: &str = "id";
const TOPICS: &str = "topics";
const NEXT: &str = "next";

/// The file's name in its folder.
const FILE: &str = "spool.redb";

/// The memory for pages of the file in bytes.
const CACHE_BYTES: usize = 16 << 20;

/// The number of messages after which a packet identifier says nothing any more: brokers use them again.
const REMEMBERED: u64 = 20_000;

/// About the room that a message takes besides its topic and payload, in bytes.
const OVERHEAD: u64 = 64;

/// An error of the spool's file.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process has it open.
    #[error("the spool is in use by another process: expected one bridge for each spool")]
    InUse,
    /// The file cannot be read or written.
    #[error("the spool cannot be read or written")]
    Io(#[from] std::io::Error),
    /// The file cannot be read or written, or is damaged.
    #[error("the spool cannot be read or written")]
    Database(#[source] Box<redb::Error>),
}

/// Converts any error of the database.
fn database_error(error: impl Into<redb::Error>) -> SpoolError {
    SpoolError::Database(Box::new(error.into()))
}

/// A message as the broker sends it.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// The packet identifier; 0 for QoS 0.
    pub(crate) packet: u16,
    /// True if the broker says that it sends the message again.
    pub(crate) again: bool,
    /// The time of its receipt since 1970.
    pub(crate) received: Duration,
    pub(crate) topic: String,
    pub(crate) retained: bool,
    pub(crate) payload: Vec<u8>,
}

/// The result of adding a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is in the spool, or was in it before, under this number.
    Number(u64),
    /// It has no room.
    Full,
}

/// A file of waiting messages, with a limit on their size.
#[derive(Debug)]
pub struct Spool {
    database: Database,
    id: String,
    limit: u64,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// The number of the next message.
    next: u64,
    /// The highest number below those of all waiting messages.
    delivered: u64,
    /// The number and size of the waiting messages.
    count: u64,
    bytes: u64,
}

impl Spool {
    /// Opens or creates the spool in a folder. `limit` is the size of the waiting messages in bytes.
    ///
    /// # Errors
    /// If the folder cannot be written, or another process has the spool open.
    pub fn open(folder: &Path, limit: u64) -> Result<Self, SpoolError> {
        fs::create_dir_all(folder)?;
        let opened = Builder::new().set_cache_size(CACHE_BYTES).create(folder.join(FILE));
        let database = match opened {
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(SpoolError::InUse),
            opened => opened.map_err(database_error)?,
        };
        let write = database.begin_write().map_err(database_error)?;
        let (id, state) = {
            let mut texts = write.open_table(TEXTS).map_err(database_error)?;
            let stored = texts.get(ID).map_err(database_error)?.map(|id| id.value().to_owned());
            let id = match stored {
                Some(id) => id,
                None => {
                    let id = Uuid::now_v7().simple().to_string();
                    texts.insert(ID, id.as_str()).map_err(database_error)?;
                    id
                }
            };
            write.open_table(PACKETS).map_err(database_error)?;
            let numbers = write.open_table(NUMBERS).map_err(database_error)?;
            let next = numbers.get(NEXT).map_err(database_error)?.map_or(1, |next| next.value());
            let messages = write.open_table(MESSAGES).map_err(database_error)?;
            let mut state = State { next, delivered: next - 1, count: 0, bytes: 0 };
            for entry in messages.iter().map_err(database_error)? {
                let (number, value) = entry.map_err(database_error)?;
                let (_, _, topic, payload) = value.value();
                state.delivered = state.delivered.min(number.value() - 1);
                state.count += 1;
                state.bytes += size(topic, payload);
            }
            (id, state)
        };
        write.commit().map_err(database_error)?;
        Ok(Self { database, id, limit, state: Mutex::new(state) })
    }

    /// Returns the spool's own id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of waiting messages.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.state().count
    }

    /// Returns the size of the waiting messages in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Returns the number of the next message.
    pub(crate) fn next(&self) -> u64 {
        self.state().next
    }

    /// Returns the number up to which all messages have been removed.
    pub(crate) fn delivered(&self) -> u64 {
        self.state().delivered
    }

    /// Returns true if there is room for more than a few messages.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes() <= self.limit / 10 * 9
    }

    /// Adds messages durably; returns the result of each. After one without room, none is added.
    ///
    /// A message that the broker sends again is recognised by its packet identifier and content.
    pub(crate) fn add(&self, arrivals: &[Arrival]) -> Result<Vec<Added>, SpoolError> {
        let before = *self.state();
        let mut state = before;
        let write = self.database.begin_write().map_err(database_error)?;
        let mut results = Vec::with_capacity(arrivals.len());
        {
            let mut messages = write.open_table(MESSAGES).map_err(database_error)?;
            let mut packets = write.open_table(PACKETS).map_err(database_error)?;
            for arrival in arrivals {
                let digest = digest(arrival);
                let known = packets.get(arrival.packet).map_err(database_error)?.map(|known| known.value());
                let known = known
                    .filter(|(number, known)| arrival.again && *known == digest && number + REMEMBERED > state.next);
                if let Some((number, _)) = known {
                    results.push(Added::Number(number));
                    continue;
                }
                let size = size(&arrival.topic, &arrival.payload);
                // A message larger than the limit needs an empty spool.
                if state.bytes + size > self.limit && state.count > 0 {
                    results.push(Added::Full);
                    break;
                }
                let received = u64::try_from(arrival.received.as_nanos()).unwrap_or(u64::MAX);
                let value = (received, arrival.retained, arrival.topic.as_str(), arrival.payload.as_slice());
                messages.insert(state.next, value).map_err(database_error)?;
                if arrival.packet != 0 {
                    packets.insert(arrival.packet, (state.next, digest)).map_err(database_error)?;
                }
                results.push(Added::Number(state.next));
                (state.next, state.count, state.bytes) = (state.next + 1, state.count + 1, state.bytes + size);
            }
            let mut numbers = write.open_table(NUMBERS).map_err(database_error)?;
            numbers.insert(NEXT, state.next).map_err(database_error)?;
        }
        results.resize(arrivals.len(), Added::Full);
        write.commit().map_err(database_error)?;
        // Others may have been removed meanwhile.
        let mut current = self.state();
        current.count += state.count - before.count;
        current.bytes += state.bytes - before.bytes;
        current.next = state.next;
        Ok(results)
    }

    /// Returns the oldest messages: at most `count` and, unless it is one, at most `bytes`.
    pub(crate) fn oldest(&self, count: usize, bytes: u64) -> Result<Vec<Message>, SpoolError> {
        let read = self.database.begin_read().map_err(database_error)?;
        let messages = read.open_table(MESSAGES).map_err(database_error)?;
        let (mut found, mut total) = (Vec::new(), 0);
        for entry in ReadableTable::iter(&messages).map_err(database_error)?.take(count) {
            let (number, value) = entry.map_err(database_error)?;
            let (received, retained, topic, payload) = value.value();
            total += size(topic, payload);
            if total > bytes && !found.is_empty() {
                break;
            }
            found.push(Message {
                id: MessageId { spool: self.id.clone(), number: number.value() },
                received: Duration::from_nanos(received),
                topic: topic.to_owned(),
                retained,
                payload: payload.to_vec(),
            });
        }
        Ok(found)
    }

    /// Removes messages, which are the oldest.
    pub(crate) fn remove(&self, delivered: &[Message]) -> Result<(), SpoolError> {
        let write = self.database.begin_write().map_err(database_error)?;
        {
            let mut messages = write.open_table(MESSAGES).map_err(database_error)?;
            for message in delivered {
                messages.remove(message.id.number).map_err(database_error)?;
            }
        }
        write.commit().map_err(database_error)?;
        let bytes: u64 = delivered.iter().map(|message| size(&message.topic, &message.payload)).sum();
        let mut state = self.state();
        state.count = state.count.saturating_sub(delivered.len() as u64);
        state.bytes = state.bytes.saturating_sub(bytes);
        state.delivered = delivered.last().map_or(state.delivered, |message| message.id.number);
        Ok(())
    }

    /// Forgets the packet identifiers, which a new session assigns anew.
    pub(crate) fn forget_packets(&self) -> Result<(), SpoolError> {
        let write = self.database.begin_write().map_err(database_error)?;
        write.delete_table(PACKETS).map_err(database_error)?;
        write.open_table(PACKETS).map_err(database_error)?;
        write.commit().map_err(database_error)
    }

    /// Returns the topics of the broker's session, as they were kept.
    pub(crate) fn topics(&self) -> Result<String, SpoolError> {
        let read = self.database.begin_read().map_err(database_error)?;
        let texts = read.open_table(TEXTS).map_err(database_error)?;
        let topics = texts.get(TOPICS).map_err(database_error)?;
        Ok(topics.map(|topics| topics.value().to_owned()).unwrap_or_default())
    }

    /// Keeps the topics of the broker's session.
    pub(crate) fn keep_topics(&self, topics: &str) -> Result<(), SpoolError> {
        let write = self.database.begin_write().map_err(database_error)?;
        {
            let mut texts = write.open_table(TEXTS).map_err(database_error)?;
            texts.insert(TOPICS, topics).map_err(database_error)?;
        }
        write.commit().map_err(database_error)
    }
}

fn size(topic: &str, payload: &[u8]) -> u64 {
    OVERHEAD + topic.len() as u64 + payload.len() as u64
}

fn digest(arrival: &Arrival) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update((arrival.topic.len() as u64).to_be_bytes());
    digest.update(&arrival.topic);
    digest.update(&arrival.payload);
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(packet: u16, payload: &str) -> Arrival {
        Arrival {
            packet,
            again: false,
            received: Duration::new(1, 2),
            topic: "a/b".to_owned(),
            retained: false,
            payload: payload.into(),
        }
    }

    fn numbers(added: &[Added]) -> Vec<u64> {
        added.iter().map(|added| if let Added::Number(number) = added { *number } else { 0 }).collect()
    }

    #[test]
    fn keeps_messages_in_order_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(numbers(&spool.add(&[arrival(1, "one"), arrival(2, "two")]).unwrap()), [1, 2]);
        assert!(matches!(Spool::open(folder.path(), 1 << 20), Err(SpoolError::InUse)));
        let (id, bytes) = (spool.id().to_owned(), spool.bytes());
        drop(spool);
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!((spool.id(), spool.bytes(), spool.waiting()), (id.as_str(), bytes, 2));
        let oldest = spool.oldest(10, 1 << 20).unwrap();
        assert_eq!(oldest.iter().map(|it| &it.payload[..]).collect::<Vec<_>>(), [b"one", b"two"]);
        assert_eq!((oldest[0].id.number, oldest[0].received), (1, Duration::new(1, 2)));
        spool.remove(&oldest).unwrap();
        assert_eq!((spool.waiting(), spool.bytes()), (0, 0));
        // Numbers are never used again.
        drop(spool);
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(numbers(&spool.add(&[arrival(3, "three")]).unwrap()), [3]);
    }

    #[test]
    fn recognises_what_the_broker_sends_again() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        spool.add(&[arrival(1, "one"), arrival(2, "two")]).unwrap();
        let again = |packet, payload| Arrival { again: true, ..arrival(packet, payload) };
        // Another content, another packet, or a message that the broker sends for the first time, is another message.
        let sent = [again(1, "one"), again(1, "other"), again(7, "two"), arrival(2, "two")];
        assert_eq!(numbers(&spool.add(&sent).unwrap()), [1, 3, 4, 5]);
        assert_eq!(spool.waiting(), 5);
        // Delivered meanwhile: still known.
        spool.remove(&spool.oldest(10, 1 << 20).unwrap()).unwrap();
        assert_eq!(numbers(&spool.add(&[again(7, "two")]).unwrap()), [4]);
        assert_eq!(spool.waiting(), 0);
        spool.forget_packets().unwrap();
        assert_eq!(numbers(&spool.add(&[again(7, "two")]).unwrap()), [6]);
        // QoS 0 has no packet identifier.
        assert_eq!(numbers(&spool.add(&[arrival(0, "x"), again(0, "x")]).unwrap()), [7, 8]);
    }

    #[test]
    fn takes_nothing_after_a_message_without_room() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 200).unwrap();
        let large = "x".repeat(300);
        let added = spool.add(&[arrival(1, &large), arrival(2, "a"), arrival(3, "b")]).unwrap();
        assert_eq!(added, [Added::Number(1), Added::Full, Added::Full]);
        assert!(!spool.has_room());
        let oldest = spool.oldest(10, 1).unwrap();
        assert_eq!(oldest.len(), 1, "a message alone may be larger than a batch");
        spool.remove(&oldest).unwrap();
        assert!(spool.has_room());
        let added = spool.add(&[arrival(2, "a"), arrival(3, "b"), arrival(4, "c")]).unwrap();
        assert_eq!(added, [Added::Number(2), Added::Number(3), Added::Full]);
        assert_eq!(spool.oldest(1, 1 << 20).unwrap().len(), 1);
    }

    #[test]
    fn keeps_the_topics_of_the_session() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 200).unwrap();
        assert_eq!(spool.topics().unwrap(), "");
        spool.keep_topics("[\"a\"]").unwrap();
        assert_eq!(spool.topics().unwrap(), "[\"a\"]");
    }
}
