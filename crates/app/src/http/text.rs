//! Values that are sent as text.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// A value that is sent as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<T>(pub T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        String::deserialize(text)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// The values of texts.
pub(super) fn values<T: Ord>(texts: Vec<Text<T>>) -> BTreeSet<T> {
    texts.into_iter().map(|text| text.0).collect()
}
