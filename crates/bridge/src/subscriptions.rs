//! Topic filters, and what of them the broker's session has already.

use std::collections::BTreeSet;
use std::str::FromStr;

/// A text that is not a topic filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a topic filter such as site/+/env or $share/GROUP/site/#")]
pub struct WrongTopic;

/// A topic filter, possibly of a shared subscription.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic(String);

impl Topic {
    /// Returns the filter as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = WrongTopic;

    fn from_str(text: &str) -> Result<Self, WrongTopic> {
        let filter = match text.strip_prefix("$share/") {
            Some(shared) => {
                let (group, filter) = shared.split_once('/').ok_or(WrongTopic)?;
                if group.is_empty() || group.contains(['+', '#']) {
                    return Err(WrongTopic);
                }
                filter
            }
            None => text,
        };
        let is_valid =
            rumqttc::valid_filter(filter) && !text.contains(char::is_control) && text.len() <= usize::from(u16::MAX);
        if is_valid { Ok(Self(text.to_owned())) } else { Err(WrongTopic) }
    }
}

/// The filters to subscribe to, and those to unsubscribe from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) new: Vec<String>,
    pub(crate) old: Vec<String>,
}

impl Changes {
    /// Compares the wanted topics with those of a session, as [`kept`] writes them. A topic that the session has is not
    /// subscribed to again, since the broker would send its retained messages again.
    pub(crate) fn new(wanted: &[Topic], kept: &str) -> Self {
        let wanted: BTreeSet<&str> = wanted.iter().map(Topic::as_str).collect();
        let kept: BTreeSet<&str> = kept.lines().collect();
        let owned = |topic: &&str| (*topic).to_owned();
        Self { new: wanted.difference(&kept).map(owned).collect(), old: kept.difference(&wanted).map(owned).collect() }
    }
}

/// Writes the topics of a session.
pub(crate) fn kept(topics: &[Topic]) -> String {
    topics.iter().map(Topic::as_str).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_wildcards_as_whole_levels() {
        for topic in ["a", "site/+/env", "site/#", "#", "$share/mass/site/+/env", "/a"] {
            assert_eq!(topic.parse::<Topic>().unwrap().as_str(), topic);
        }
        for topic in ["", "a/#/b", "a+/b", "$share/mass", "$share//a", "$share/+/a", "a\0", "a\nb"] {
            assert_eq!(topic.parse::<Topic>(), Err(WrongTopic), "{topic}");
        }
    }

    #[test]
    fn only_changes_are_told_to_the_broker() {
        let topics: Vec<Topic> = ["a", "b"].iter().map(|topic| topic.parse().unwrap()).collect();
        let changes = Changes::new(&topics, "b\nc");
        assert_eq!(changes, Changes { new: vec!["a".to_owned()], old: vec!["c".to_owned()] });
        assert_eq!(Changes::new(&topics, &kept(&topics)), Changes { new: vec![], old: vec![] });
        assert_eq!(Changes::new(&topics, "").new.len(), 2);
    }
}
