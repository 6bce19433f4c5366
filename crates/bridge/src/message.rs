//! Messages, and the JSON document that a mapping profile reads of each.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

/// The identity of a message in a spool. It stays the same however often the message is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageId {
    /// The spool's own id.
    pub spool: String,
    /// The number of the message in the spool, from 1.
    pub number: u64,
}

impl MessageId {
    /// Returns the beginning of the ids of a spool.
    pub(crate) fn prefix(spool: &str) -> String {
        format!("mqtt-{spool}-")
    }
}

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", Self::prefix(&self.spool), self.number)
    }
}

/// A message that a broker has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its identity.
    pub id: MessageId,
    /// The time of its receipt since 1970.
    pub received: Duration,
    /// Its topic.
    pub topic: String,
    /// True if the broker had kept it for new subscribers.
    pub retained: bool,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// Returns the present time since 1970.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The document of a message, in the order of its members.
#[derive(Serialize)]
struct Envelope<'a> {
    received: &'a RawValue,
    topic: &'a str,
    levels: Vec<&'a str>,
    retained: bool,
    payload: Payload<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    Json(Box<RawValue>),
    Text(&'a str),
}

impl Message {
    /// Returns the message as one line of JSON: `received` (seconds since 1970), `topic`, its `levels`, `retained`, and
    /// the `payload`, which is JSON if it is that, and otherwise a text. `None` if the payload is neither.
    #[must_use]
    pub fn document(&self) -> Option<String> {
        self.text(self.payload()?)
    }

    fn payload(&self) -> Option<Payload<'_>> {
        let text = std::str::from_utf8(&self.payload).ok()?;
        // Line breaks in JSON are white space, since strings cannot hold them.
        let line = || text.trim().replace(['\n', '\r'], " ");
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        let json = is_json.then(|| RawValue::from_string(line()).ok()).flatten();
        Some(json.map_or(Payload::Text(text), Payload::Json))
    }

    fn text(&self, payload: Payload<'_>) -> Option<String> {
        let (seconds, nanoseconds) = (self.received.as_secs(), self.received.subsec_nanos());
        let received = RawValue::from_string(format!("{seconds}.{nanoseconds:09}")).ok()?;
        let (topic, levels) = (self.topic.as_str(), self.topic.split('/').collect());
        let envelope = Envelope { received: &received, topic, levels, retained: self.retained, payload };
        serde_json::to_string(&envelope).ok()
    }

    /// Returns the line of the message among the dead letters: its document with its id and the reasons, or with the
    /// payload in base64 if that is not text.
    pub(crate) fn dead_letter(&self, reasons: &[serde_json::Value]) -> Option<String> {
        let (document, encoded) = match self.payload() {
            Some(payload) => (self.text(payload)?, None),
            None => (self.text(Payload::Text(""))?, Some(STANDARD.encode(&self.payload))),
        };
        let id = self.id.to_string();
        let head = serde_json::json!({"_id": id, "_reasons": reasons, "_payload_base64": encoded}).to_string();
        // Both are objects: the one's members go before the other's.
        Some(format!("{},{}", head.strip_suffix('}')?, document.strip_prefix('{')?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: &[u8]) -> Message {
        Message {
            id: MessageId { spool: "s".to_owned(), number: 7 },
            received: Duration::new(1_769_853_600, 1),
            topic: "site/rack-07/env".to_owned(),
            retained: false,
            payload: payload.to_vec(),
        }
    }

    #[test]
    fn a_payload_is_json_or_a_text() {
        let head = r#"{"received":1769853600.000000001,"topic":"site/rack-07/env","levels":["site","rack-07","env"],"retained":false"#;
        for (payload, expected) in [
            (&b"{\"t\":\r\n 21.50}"[..], r#"{"t":   21.50}"#),
            (b" 21.5 ", "21.5"),
            (b"ON", r#""ON""#),
            (b"", r#""""#),
            (b"{\"t\":", r#""{\"t\":""#),
            (b"a\nb", r#""a\nb""#),
        ] {
            assert_eq!(message(payload).document().unwrap(), format!("{head},\"payload\":{expected}}}"));
        }
        assert_eq!(message(b"\xff\x00").document(), None);
    }

    #[test]
    fn a_dead_letter_is_the_document_with_the_reasons() {
        let line = message(b"21.5").dead_letter(&[serde_json::json!({"code": "type"})]).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["_id"], "mqtt-s-7");
        assert_eq!((&value["_reasons"][0]["code"], &value["payload"]), (&"type".into(), &21.5.into()));
        let line = message(b"\xff").dead_letter(&[]).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["_payload_base64"], &value["payload"]), (&"/w==".into(), &"".into()));
    }
}
