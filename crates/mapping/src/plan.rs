//! A profile that is checked and ready to be applied.

mod contract;
mod tree;

use std::collections::{BTreeMap, HashMap};

use mass_domain::contracts::{self, ContractId};
use mass_domain::json::{self, Value};

use crate::errors::ProfileError;
use crate::limits::MAX_ALTERNATIVES;
use crate::numbers::Notation;
use crate::profile::{
    Absent, Ignore, Long, LongMetric, MAX_MEMBERS, Member, Profile, Read, Unlisted, ValueType, escaped,
};
use crate::sources::{SourceId, Sources, Token, tokens};
use crate::times::TimeReader;
use crate::units::Conversion;

pub(crate) use tree::{Child, Node};

/// A compiled profile.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) contract: ContractId,
    pub(crate) read: Read,
    pub(crate) notation: Notation,
    pub(crate) sources: Sources,
    /// The pointers to the records of a JSON document.
    pub(crate) records: Vec<Vec<Token>>,
    pub(crate) ignore: Vec<(SourceId, Ignore)>,
    pub(crate) time: Option<TimePlan>,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) tree: Vec<Node>,
    pub(crate) long: Option<LongPlan>,
    pub(crate) others: Option<OthersPlan>,
    /// Sets of columns, of each of which a header row must have one.
    pub(crate) needed: Vec<Vec<SourceId>>,
    /// The columns that members name, which are no others.
    pub(crate) named: Vec<SourceId>,
}

#[derive(Debug)]
pub(crate) struct TimePlan {
    pub(crate) from: Vec<SourceId>,
    pub(crate) reader: TimeReader,
}

/// A member of the document.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) input: Input,
    pub(crate) kind: LeafKind,
    pub(crate) absent: Absent,
    /// The path, for refusals of members without a single source.
    pub(crate) path: String,
}

#[derive(Debug)]
pub(crate) enum Input {
    /// The first of these that has a value.
    First(Vec<SourceId>),
    Template(Vec<Part>),
    Constant(Value),
    /// The time of the record.
    Time,
}

#[derive(Debug)]
pub(crate) enum Part {
    Literal(String),
    Source(SourceId),
}

#[derive(Debug)]
pub(crate) enum LeafKind {
    Number(NumberPlan),
    Text { names: HashMap<String, String>, identifier: bool },
    Boolean,
    Time,
    Json,
}

/// The conversion of a number.
#[derive(Debug, Default)]
pub(crate) struct NumberPlan {
    pub(crate) unit: Option<Conversion>,
    pub(crate) suffix: Vec<String>,
}

/// Names and values of metrics, one a row.
#[derive(Debug)]
pub(crate) struct LongPlan {
    pub(crate) name: SourceId,
    pub(crate) value: Vec<SourceId>,
    pub(crate) metrics: HashMap<String, LongMetricPlan>,
    pub(crate) unlisted: Unlisted,
    pub(crate) absent: Absent,
    pub(crate) window: usize,
    pub(crate) into: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct LongMetricPlan {
    pub(crate) to: String,
    pub(crate) number: NumberPlan,
    pub(crate) device: Option<String>,
}

/// All numbers that no member names.
#[derive(Debug)]
pub(crate) struct OthersPlan {
    /// For JSON, the object.
    pub(crate) from: Option<SourceId>,
    pub(crate) into: Vec<String>,
}

impl Plan {
    /// Builds a document with the contract's marker.
    pub(crate) fn with_marker(&self, members: Vec<(String, Value)>) -> Value {
        contracts::with_marker(self.contract, Value::Object(members))
    }

    /// Checks and compiles a profile.
    pub(crate) fn new(profile: &Profile) -> Result<Self, Vec<ProfileError>> {
        let mut compiler = Compiler::new(profile);
        let plan = compiler.compile();
        match plan {
            Some(plan) if compiler.errors.is_empty() => Ok(plan),
            _ => Err(compiler.errors),
        }
    }
}

/// The path of a member, and the pointer into the profile that errors name.
type PlacedPath = (String, Vec<String>);

/// Compiles a profile and collects its errors.
struct Compiler<'a> {
    profile: &'a Profile,
    sources: Sources,
    errors: Vec<ProfileError>,
    needed: Vec<Vec<SourceId>>,
    named: Vec<SourceId>,
}

impl<'a> Compiler<'a> {
    fn new(profile: &'a Profile) -> Self {
        let stars = |pointer: &String| pointer.split('/').filter(|token| *token == "*").count();
        let stars = profile.read.records.iter().map(stars).min().unwrap_or(0);
        let sources = Sources::new(profile.read.format.is_table(), stars);
        Self { profile, sources, errors: Vec::new(), needed: Vec::new(), named: Vec::new() }
    }

    fn fail(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(ProfileError::new(pointer, detail));
    }

    fn compile(&mut self) -> Option<Plan> {
        let contract = self.contract();
        self.check_read();
        let (records, ignore, time) = (self.records(), self.ignore(), self.time());
        let (mut leaves, mut paths) = self.members(contract)?;
        let contract = contract?;
        if let Some((leaf, path)) = self.time_leaf(contract) {
            leaves.push(leaf);
            paths.push(path);
        }
        let long = self.profile.long.as_ref().and_then(|long| self.long(contract, long));
        let others = self.profile.others.as_ref().and_then(|others| {
            let into = self.path_into(contract, others.into.as_deref(), "/others/into")?;
            let from = if self.sources_are_columns() { None } else { Some(self.source(&others.from, "/others/from")?) };
            Some(OthersPlan { from, into })
        });
        let device = long.as_ref().is_some_and(|long| long.metrics.values().any(|metric| metric.device.is_some()));
        let intos = long.iter().map(|long| &long.into).chain(others.iter().map(|others| &others.into));
        self.errors.extend(contract::check_paths(contract, &paths, intos.cloned().collect(), device));
        let tree = tree::build(&paths).unwrap_or_else(|error| {
            self.errors.push(error);
            Vec::new()
        });
        let read = self.profile.read.clone();
        Some(Plan {
            contract,
            notation: Notation { decimal: read.decimal, thousands: read.thousands },
            read,
            sources: std::mem::replace(&mut self.sources, Sources::new(true, 0)),
            records,
            ignore,
            time,
            leaves,
            tree,
            long,
            others,
            needed: std::mem::take(&mut self.needed),
            named: std::mem::take(&mut self.named),
        })
    }

    /// Compiles the members. Returns `None` if there are too many.
    fn members(&mut self, contract: Option<ContractId>) -> Option<(Vec<Leaf>, Vec<PlacedPath>)> {
        let members = &self.profile.members;
        if members.len() > MAX_MEMBERS {
            self.fail("/members", format!("expected at most {MAX_MEMBERS} members, found {}", members.len()));
            return None;
        }
        let (mut leaves, mut paths) = (Vec::new(), Vec::new());
        for (path, member) in members {
            let pointer = format!("/members/{}", escaped(path));
            let segments = contract.map_or_else(Vec::new, |contract| contract::segments(contract, path));
            let value_type = contract.and_then(|contract| contract::value_type(contract, &segments));
            leaves.push(self.leaf(path, member, &pointer, value_type));
            paths.push((pointer, segments));
        }
        Some((leaves, paths))
    }

    /// Compiles the member that holds the time.
    fn time_leaf(&mut self, contract: ContractId) -> Option<(Leaf, PlacedPath)> {
        let time = self.profile.time.as_ref()?;
        let Some(path) = time.to.as_deref().or_else(|| contract::time_path(contract)) else {
            self.fail("/time/to", "expected the path of the time, since the contract has none");
            return None;
        };
        let leaf = Leaf { input: Input::Time, kind: LeafKind::Time, absent: Absent::Refuse, path: path.to_owned() };
        Some((leaf, ("/time/to".to_owned(), contract::segments(contract, path))))
    }

    const fn sources_are_columns(&self) -> bool {
        self.profile.read.format.is_table()
    }

    fn contract(&mut self) -> Option<ContractId> {
        let parsed = self.profile.contract.parse().ok();
        if parsed.is_none() {
            let known: Vec<_> = contracts::all().iter().map(|contract| contract.id().to_string()).collect();
            self.fail("/contract", format!("expected {}, found \"{}\"", known.join(", "), self.profile.contract));
        }
        parsed
    }

    fn check_read(&mut self) {
        let read = &self.profile.read;
        if encoding_rs::Encoding::for_label(read.encoding.as_bytes()).is_none() {
            self.fail(
                "/read/encoding",
                format!("expected a label such as utf-8 or windows-1252, found \"{}\"", read.encoding),
            );
        }
        for (pointer, character) in [("/read/delimiter", read.delimiter), ("/read/quote", Some(read.quote))] {
            if character.is_some_and(|character| !character.is_ascii() || matches!(character, '\n' | '\r')) {
                self.fail(pointer, "expected an ASCII character other than a line break");
            }
        }
        if read.delimiter == Some(read.quote) {
            self.fail("/read/quote", "expected another character than the delimiter");
        }
        if !matches!(read.decimal, '.' | ',') {
            self.fail("/read/decimal", format!("expected . or , found {:?}", read.decimal));
        }
        if read
            .thousands
            .is_some_and(|thousands| !matches!(thousands, '.' | ',' | '\'' | ' ') || thousands == read.decimal)
        {
            self.fail(
                "/read/thousands",
                "expected one of . , ' and a space, and another one than the decimal separator",
            );
        }
        let table = read.format.is_table();
        if table && !read.header && read.columns.is_empty() {
            self.fail("/read/columns", "expected the names of the columns, since there is no header row");
        }
        if table && read.header && !read.columns.is_empty() {
            self.fail("/read/columns", "expected no names beside a header row");
        }
        if !table && !read.columns.is_empty() {
            self.fail("/read/columns", "expected columns only for csv and tsv");
        }
        if table && !read.records.is_empty() {
            self.fail("/read/records", "expected pointers only for ndjson and json");
        }
        self.check_count("/read/absent", read.absent.len());
        self.check_count("/read/records", read.records.len());
    }

    /// Refuses a list that each row would be compared with for too long.
    fn check_count(&mut self, pointer: impl Into<String>, count: usize) {
        if count > MAX_ALTERNATIVES {
            self.fail(pointer, format!("expected at most {MAX_ALTERNATIVES} entries, found {count}"));
        }
    }

    fn records(&mut self) -> Vec<Vec<Token>> {
        let mut records = Vec::new();
        for (index, pointer) in self.profile.read.records.iter().enumerate() {
            match tokens(pointer) {
                Ok(tokens) => records.push(tokens),
                Err(detail) => self.fail(format!("/read/records/{index}"), detail),
            }
        }
        if records.is_empty() {
            records.push(Vec::new());
        }
        records
    }

    fn source(&mut self, text: &str, pointer: &str) -> Option<SourceId> {
        match self.sources.add(text) {
            Ok(id) => Some(id),
            Err(detail) => {
                self.fail(pointer, detail);
                None
            }
        }
    }

    /// Adds the alternatives of a value, of which a header row must have one.
    fn any_of(&mut self, texts: &[String], pointer: &str) -> Vec<SourceId> {
        self.check_count(pointer, texts.len());
        let ids: Vec<_> = texts.iter().filter_map(|text| self.source(text, pointer)).collect();
        if texts.is_empty() {
            self.fail(pointer, "expected a column or pointer");
        }
        self.needed.push(ids.clone());
        self.named.extend(&ids);
        ids
    }

    fn all_of(&mut self, texts: &[String], pointer: &str) -> Vec<SourceId> {
        texts.iter().flat_map(|text| self.any_of(std::slice::from_ref(text), pointer)).collect()
    }

    fn ignore(&mut self) -> Vec<(SourceId, Ignore)> {
        let mut rules = Vec::new();
        for (index, rule) in self.profile.ignore.iter().enumerate().take(MAX_MEMBERS) {
            let pointer = format!("/ignore/{index}");
            if rule.equals.is_none() && rule.starts_with.is_none() && rule.absent.is_none() {
                self.fail(&pointer, "expected equals, starts_with or absent");
            }
            if let Some(id) = self.source(&rule.from, &format!("{pointer}/from")) {
                self.needed.push(vec![id]);
                rules.push((id, rule.clone()));
            }
        }
        rules
    }

    fn time(&mut self) -> Option<TimePlan> {
        let time = self.profile.time.as_ref()?;
        self.check_count("/time/from", time.from.len());
        let from = self.all_of(&time.from, "/time/from");
        if from.is_empty() {
            self.fail("/time/from", "expected a column or pointer");
        }
        match TimeReader::new(time) {
            Ok(reader) => Some(TimePlan { from, reader }),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    fn leaf(&mut self, path: &str, member: &Member, pointer: &str, of_contract: Option<ValueType>) -> Leaf {
        let given = [!member.from.is_empty(), member.value.is_some(), member.template.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            self.fail(pointer, "expected one of from, value and template");
        }
        let input = if let Some(value) = &member.value {
            Input::Constant(constant(value))
        } else if let Some(template) = &member.template {
            Input::Template(self.template(template, &format!("{pointer}/template")))
        } else {
            Input::First(self.any_of(&member.from, &format!("{pointer}/from")))
        };
        let converts = member.unit.is_some() || !member.suffix.is_empty();
        let names = !member.names.is_empty() || member.identifier || member.template.is_some();
        let untyped = if self.sources_are_columns() { ValueType::Text } else { ValueType::Json };
        let guess = if converts { ValueType::Number } else { of_contract.unwrap_or(untyped) };
        let value_type = member.value_type.unwrap_or(if names { ValueType::Text } else { guess });
        if converts && value_type != ValueType::Number {
            self.fail(pointer, "expected unit and suffix only beside the type number");
        }
        if (!member.names.is_empty() || member.identifier) && value_type != ValueType::Text {
            self.fail(pointer, "expected names and identifier only beside the type text");
        }
        if value_type == ValueType::Time && self.profile.time.is_none() {
            self.fail(pointer, "expected [time] with the format of times");
        }
        let kind = match value_type {
            ValueType::Number => LeafKind::Number(self.number(member.unit.as_deref(), &member.suffix, pointer)),
            ValueType::Text => {
                LeafKind::Text { names: member.names.clone().into_iter().collect(), identifier: member.identifier }
            }
            ValueType::Boolean => LeafKind::Boolean,
            ValueType::Time => LeafKind::Time,
            ValueType::Json => LeafKind::Json,
        };
        Leaf { input, kind, absent: member.absent, path: path.to_owned() }
    }

    fn number(&mut self, unit: Option<&str>, suffix: &[String], pointer: &str) -> NumberPlan {
        let conversion = unit.and_then(Conversion::find);
        if let (Some(unit), None) = (unit, &conversion) {
            self.fail(format!("{pointer}/unit"), format!("expected a conversion such as w->kw, found \"{unit}\""));
        }
        self.check_count(format!("{pointer}/suffix"), suffix.len());
        NumberPlan { unit: conversion, suffix: suffix.to_vec() }
    }

    fn template(&mut self, template: &str, pointer: &str) -> Vec<Part> {
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), template);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                literal.push_str(&brace[..1]);
                rest = after;
            } else if let Some((source, after)) = brace.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.extend(self.any_of(&[source.to_owned()], pointer).into_iter().map(Part::Source));
                rest = after;
            } else {
                self.fail(pointer, "expected a source in braces, such as rack-{Rack}; {{ and }} are braces");
                return parts;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        parts
    }

    fn path_into(&mut self, contract: ContractId, given: Option<&str>, pointer: &str) -> Option<Vec<String>> {
        let path = given.or_else(|| contract::metrics_path(contract));
        if path.is_none() {
            self.fail(pointer, "expected the path of an object, since the contract has no metrics");
        }
        Some(contract::segments(contract, path?))
    }

    fn long(&mut self, contract: ContractId, long: &Long) -> Option<LongPlan> {
        if !(1..=256).contains(&long.window) {
            self.fail("/long/window", format!("expected 1 to 256, found {}", long.window));
        }
        if long.metrics.len() > MAX_MEMBERS {
            self.fail("/long/metrics", format!("expected at most {MAX_MEMBERS} metrics, found {}", long.metrics.len()));
            return None;
        }
        if long.metrics.is_empty() && long.unlisted != Unlisted::Keep {
            self.fail("/long/metrics", "expected metrics, or unlisted = \"keep\"");
        }
        let name = self.any_of(std::slice::from_ref(&long.name), "/long/name");
        let value = self.any_of(&long.value, "/long/value");
        let metrics = self.long_metrics(&long.metrics);
        let into = self.path_into(contract, long.into.as_deref(), "/long/into");
        Some(LongPlan {
            name: *name.first()?,
            value,
            metrics,
            unlisted: long.unlisted,
            absent: long.absent,
            window: usize::from(long.window),
            into: into?,
        })
    }

    fn long_metrics(&mut self, metrics: &BTreeMap<String, LongMetric>) -> HashMap<String, LongMetricPlan> {
        let mut compiled = HashMap::new();
        for (name, metric) in metrics {
            let pointer = format!("/long/metrics/{}", escaped(name));
            let number = self.number(metric.unit.as_deref(), &metric.suffix, &pointer);
            compiled
                .insert(name.clone(), LongMetricPlan { to: metric.to.clone(), number, device: metric.device.clone() });
        }
        compiled
    }
}

/// Converts a constant to the document's type.
fn constant(value: &serde_json::Value) -> Value {
    json::parse(value.to_string().as_bytes()).unwrap_or(Value::Null)
}
