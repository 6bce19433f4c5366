//! The profile: TOML for people, JSON on the wire.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::errors::ProfileError;

/// The maximum size of a profile's text in bytes.
pub const MAX_PROFILE_BYTES: usize = 64 * 1024;

/// The maximum number of members, and of listed metrics.
pub const MAX_MEMBERS: usize = 256;

/// The rules by which an input becomes documents of one contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The contract of the documents, such as `device/2.0`.
    pub contract: String,
    /// Free text about the profile.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The form of the input.
    #[serde(default)]
    pub read: Read,
    /// Rows that are not records: a row is left out if one of these applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<Ignore>,
    /// The time of a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// The members of a document by their paths, with dots: `device.id`. A text alone is the member's source.
    #[serde(default)]
    pub members: BTreeMap<String, Member>,
    /// For inputs with one value a row: the names and values of metrics. Rows that agree in the time and all members
    /// become one reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<Long>,
    /// Takes all numbers that no member names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Others>,
}

/// The form of the input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Read {
    /// The format.
    pub format: Format,
    /// The encoding by its label, such as `utf-8`, `utf-16le` or `windows-1252`. A byte order mark overrides it.
    pub encoding: String,
    /// The character between cells; by default a comma, or a tab for `tsv`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// The character around cells that contain the delimiter or line breaks.
    pub quote: char,
    /// Lines before the header row.
    pub skip_lines: u32,
    /// True if the first row names the columns.
    pub header: bool,
    /// The names of the columns if there is no header row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Rows after the header row that are not records, such as one with units.
    pub skip_after_header: u32,
    /// Rows that begin with this text are left out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// The decimal separator: `.` or `,`.
    pub decimal: char,
    /// The separator of thousands: `.`, `,`, `'` or a space (which also stands for no-break spaces).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thousands: Option<char>,
    /// Texts that stand for no value.
    pub absent: Vec<String>,
    /// JSON Pointers to the records in a JSON document; `*` stands for every item of an array. An array at the end of
    /// a pointer is a list of records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<String>,
}

impl Default for Read {
    fn default() -> Self {
        Self {
            format: Format::Csv,
            encoding: "utf-8".to_owned(),
            delimiter: None,
            quote: '"',
            skip_lines: 0,
            header: true,
            columns: Vec::new(),
            skip_after_header: 0,
            comment: String::new(),
            decimal: '.',
            thousands: None,
            absent: vec![String::new()],
            records: Vec::new(),
        }
    }
}

/// The format of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Rows of cells between delimiters.
    Csv,
    /// Rows of cells between tabs.
    Tsv,
    /// One JSON document a line.
    Ndjson,
    /// One JSON document.
    Json,
}

impl Format {
    pub(crate) const fn is_table(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv)
    }
}

/// A rule for rows that are not records. All of its conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ignore {
    /// The column or pointer.
    pub from: String,
    /// The value is this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    /// The value begins with this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_with: Option<String>,
    /// True: there is no value. False: there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<bool>,
}

/// The time of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// The columns or pointers of the time; several are joined with a space.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(schema_with = "one_or_more_schema")]
    pub from: Vec<String>,
    /// `rfc3339`, `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns`, or a pattern of strptime such as `%d/%m/%Y %H:%M`.
    #[serde(default = "rfc3339")]
    pub format: String,
    /// The zone of times without an offset: a name such as `Europe/Madrid`, or an offset such as `+02:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The meaning of a local time that occurs twice, when clocks are put back.
    #[serde(default)]
    pub doubled: Doubled,
    /// The path of the member; by default the contract's time of a report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

fn rfc3339() -> String {
    "rfc3339".to_owned()
}

/// The meaning of a local time that occurs twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Doubled {
    /// Refuses the row.
    #[default]
    Refuse,
    /// Takes the first of the two.
    Earlier,
    /// Takes the second of the two.
    Later,
}

/// The source of a member and its conversion.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(with = "MemberForm")]
pub struct Member {
    /// The column or pointer; of several, the first that has a value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// A constant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// A text with sources in braces: `rack-{Rack}`. `{{` and `}}` are braces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The type of the value; by default that of the contract's member.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub value_type: Option<ValueType>,
    /// A conversion of units, such as `fahrenheit->celsius`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Texts that may follow a number, such as `kWh`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suffix: Vec<String>,
    /// Replacements of whole texts. A text that is not listed is refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
    /// Replaces the characters that an id may not have by hyphens.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub identifier: bool,
    /// The treatment of an absent value.
    #[serde(skip_serializing_if = "Absent::is_default")]
    pub absent: Absent,
}

/// A member as it is written.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the schema alone")]
enum MemberForm {
    /// The column or pointer.
    Source(String),
    /// The source and its conversion.
    Full(MemberTable),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemberTable {
    /// The column or pointer; of several, the first that has a value.
    #[serde(default, deserialize_with = "one_or_more")]
    #[schemars(schema_with = "one_or_more_schema")]
    from: Vec<String>,
    /// A constant.
    #[serde(default)]
    value: Option<serde_json::Value>,
    /// A text with sources in braces: `rack-{Rack}`. `{{` and `}}` are braces.
    #[serde(default)]
    template: Option<String>,
    /// The type of the value; by default that of the contract's member.
    #[serde(default, rename = "type")]
    value_type: Option<ValueType>,
    /// A conversion of units, such as `fahrenheit->celsius`.
    #[serde(default)]
    unit: Option<String>,
    /// Texts that may follow a number, such as `kWh`.
    #[serde(default, deserialize_with = "one_or_more")]
    #[schemars(schema_with = "one_or_more_schema")]
    suffix: Vec<String>,
    /// Replacements of whole texts. A text that is not listed is refused.
    #[serde(default)]
    names: BTreeMap<String, String>,
    /// Replaces the characters that an id may not have by hyphens.
    #[serde(default)]
    identifier: bool,
    /// The treatment of an absent value.
    #[serde(default)]
    absent: Absent,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = Member;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a source, or a table with a source")
            }

            fn visit_str<E: Error>(self, source: &str) -> Result<Member, E> {
                Ok(Member { from: vec![source.to_owned()], ..Member::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Member, A::Error> {
                let table = MemberTable::deserialize(MapAccessDeserializer::new(map))?;
                let MemberTable { from, value, template, value_type, unit, suffix, names, identifier, absent } = table;
                Ok(Member { from, value, template, value_type, unit, suffix, names, identifier, absent })
            }
        }

        deserializer.deserialize_any(Form)
    }
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// A number, in the notation that `read` describes.
    Number,
    /// A string.
    Text,
    /// `true` or `false`; also `yes`, `no`, `on`, `off`, `1` and `0`.
    Boolean,
    /// A time, in the format and zone of `time`.
    Time,
    /// The JSON value as it is.
    Json,
}

/// The treatment of an absent value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Absent {
    /// Leaves the member out.
    #[default]
    Omit,
    /// Makes it null: the sensor was read and had no value.
    Null,
    /// Refuses the row.
    Refuse,
}

impl Absent {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Names and values of metrics, one a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Long {
    /// The column or pointer of the metric's name.
    pub name: String,
    /// The column or pointer of its value; of several, the first that has a value.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(schema_with = "one_or_more_schema")]
    pub value: Vec<String>,
    /// The metrics by the names in the input. A text alone is the metric's name in the document.
    #[serde(default)]
    pub metrics: BTreeMap<String, LongMetric>,
    /// The treatment of names that are not listed.
    #[serde(default)]
    pub unlisted: Unlisted,
    /// The treatment of absent values.
    #[serde(default)]
    pub absent: Absent,
    /// The number of readings that may be incomplete at the same time, 1 to 256: 1 if the rows of a reading follow
    /// each other.
    #[serde(default = "one")]
    pub window: u16,
    /// The path of the object of metrics; by default `metrics`, or the payload of `simple/1.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
}

const fn one() -> u16 {
    1
}

/// A metric of a long input.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(with = "LongMetricForm")]
pub struct LongMetric {
    /// The name in the document.
    pub to: String,
    /// A conversion of units, such as `w->kw`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The device's id, where the name tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Texts that may follow the number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suffix: Vec<String>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the schema alone")]
enum LongMetricForm {
    /// The name in the document.
    Name(String),
    /// The name and the conversion.
    Full(LongMetricTable),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LongMetricTable {
    /// The name in the document.
    to: String,
    /// A conversion of units, such as `w->kw`.
    #[serde(default)]
    unit: Option<String>,
    /// The device's id, where the name tells it.
    #[serde(default)]
    device: Option<String>,
    /// Texts that may follow the number.
    #[serde(default, deserialize_with = "one_or_more")]
    #[schemars(schema_with = "one_or_more_schema")]
    suffix: Vec<String>,
}

impl<'de> Deserialize<'de> for LongMetric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = LongMetric;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a metric, or a table with it")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<LongMetric, E> {
                Ok(LongMetric { to: name.to_owned(), ..LongMetric::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LongMetric, A::Error> {
                let LongMetricTable { to, unit, device, suffix } =
                    LongMetricTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(LongMetric { to, unit, device, suffix })
            }
        }

        deserializer.deserialize_any(Form)
    }
}

/// The treatment of names that are not listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unlisted {
    /// Refuses the row.
    #[default]
    Refuse,
    /// Leaves the row out.
    Skip,
    /// Takes the name in snake case.
    Keep,
}

/// Takes all numbers that no member names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Others {
    /// For JSON, the pointer to the object whose members are taken.
    pub from: String,
    /// The path of the object that gets them, with names in snake case; by default `metrics`, or the payload of
    /// `simple/1.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
}

/// Reads a text or a list of texts.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Form;

    impl<'de> Visitor<'de> for Form {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text or a list of texts")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = items.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }

    deserializer.deserialize_any(Form)
}

fn one_or_more_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
}

impl Profile {
    /// Parses a profile in TOML.
    ///
    /// # Errors
    /// [`ProfileError`] with the place of the first mistake in the form. Compiling a
    /// [`Mapper`](crate::Mapper::new) finds the mistakes in the content.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        check_size(text.len())?;
        let deserializer = toml::Deserializer::parse(text).map_err(|error| toml_error(text, &error, ""))?;
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let pointer = pointer_of(error.path());
            toml_error(text, error.inner(), &pointer)
        })
    }

    /// Parses a profile in JSON.
    ///
    /// # Errors
    /// As for [`from_toml`](Self::from_toml).
    pub fn from_json(text: &[u8]) -> Result<Self, ProfileError> {
        check_size(text.len())?;
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let profile = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| ProfileError::new(pointer_of(error.path()), error.inner().to_string()))?;
        deserializer.end().map_err(|error| ProfileError::new("", error.to_string()))?;
        Ok(profile)
    }

    /// Writes the profile in TOML.
    ///
    /// # Errors
    /// [`ProfileError`] for a constant that TOML cannot represent: null.
    pub fn to_toml(&self) -> Result<String, ProfileError> {
        toml::to_string(self).map_err(|error| ProfileError::new("", error.to_string()))
    }

    /// Returns the JSON Schema (draft 2020-12) of profiles.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}

fn check_size(bytes: usize) -> Result<(), ProfileError> {
    if bytes <= MAX_PROFILE_BYTES {
        return Ok(());
    }
    Err(ProfileError::new("", format!("expected at most {MAX_PROFILE_BYTES} bytes, found {bytes}")))
}

/// Describes an error of the TOML parser with its line.
fn toml_error(text: &str, error: &toml::de::Error, pointer: &str) -> ProfileError {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or_else(String::new, |before| format!(", on line {}", before.matches('\n').count() + 1));
    ProfileError::new(pointer, format!("{}{line}", error.message()))
}

/// Converts the path of a deserialization error to a JSON Pointer.
fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path.iter() {
        let token = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escaped(key),
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&token);
    }
    pointer
}

/// Escapes a key for a JSON Pointer.
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
