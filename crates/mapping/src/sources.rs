//! Sources of values: columns of a table, and pointers into JSON.

use mass_domain::json::Value;

/// The index of a source in [`Sources`].
pub(crate) type SourceId = usize;

/// All sources that a profile names, each once.
#[derive(Debug)]
pub(crate) struct Sources {
    named: Vec<(String, Source)>,
    is_table: bool,
    /// The number of `*` in every pointer to the records.
    stars: usize,
}

#[derive(Debug)]
enum Source {
    /// A column by its name.
    Column,
    /// A column by its number, from 0.
    Number(usize),
    Pointer(Path),
}

impl Sources {
    pub(crate) const fn new(is_table: bool, stars: usize) -> Self {
        Self { named: Vec::new(), is_table, stars }
    }

    /// Adds a source, unless it is there. The error is a sentence without a full stop.
    pub(crate) fn add(&mut self, text: &str) -> Result<SourceId, String> {
        if let Some(id) = self.named.iter().position(|(name, _)| name == text) {
            return Ok(id);
        }
        let source = if self.is_table {
            match text.strip_prefix('#').and_then(|number| number.parse::<usize>().ok()) {
                Some(0) => return Err("expected a column number from 1, found #0".to_owned()),
                Some(number) => Source::Number(number - 1),
                None => Source::Column,
            }
        } else {
            Source::Pointer(Path::parse(text, self.stars)?)
        };
        self.named.push((text.to_owned(), source));
        Ok(self.named.len() - 1)
    }

    /// Returns a source as the profile names it.
    pub(crate) fn name(&self, id: SourceId) -> &str {
        self.named.get(id).map_or("", |(name, _)| name)
    }

    /// Finds the columns of a header row, by source. The error is the name of a column that occurs twice.
    pub(crate) fn columns(&self, header: &[String]) -> Result<Vec<Option<usize>>, String> {
        let find = |(name, source): &(String, Source)| match source {
            Source::Number(number) => Ok((*number < header.len()).then_some(*number)),
            Source::Column | Source::Pointer(_) => {
                let mut places = header.iter().enumerate().filter(|(_, column)| *column == name.trim());
                let first = places.next().map(|(index, _)| index);
                if places.next().is_some() { Err(name.clone()) } else { Ok(first) }
            }
        };
        self.named.iter().map(find).collect()
    }
}

/// A JSON Pointer (RFC 6901) from the record, or with `$` from the root of the document.
#[derive(Debug)]
struct Path {
    from_root: bool,
    tokens: Vec<Token>,
}

#[derive(Debug)]
pub(crate) struct Token {
    key: String,
    /// The parts of `key=value`, which finds an item of an array by one of its members.
    item: Option<(String, String)>,
    /// Every item of an array.
    pub(crate) star: bool,
}

impl Token {
    fn parse(text: &str) -> Self {
        let unescaped = |text: &str| text.replace("~1", "/").replace("~0", "~");
        let item = text.split_once('=').map(|(key, value)| (unescaped(key), unescaped(value)));
        Self { key: unescaped(text), item, star: text == "*" }
    }

    /// Returns the member or item.
    pub(crate) fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        let Value::Array(items) = value else { return value.get(&self.key) };
        if let Some((key, wanted)) = &self.item {
            return items.iter().find(|item| matches!(item.get(key), Some(Value::String(text)) if text == wanted));
        }
        self.key.parse().ok().and_then(|index: usize| items.get(index))
    }
}

/// Parses the tokens of a pointer.
pub(crate) fn tokens(pointer: &str) -> Result<Vec<Token>, String> {
    match pointer.strip_prefix('/') {
        Some(path) => Ok(path.split('/').map(Token::parse).collect()),
        None if pointer.is_empty() => Ok(Vec::new()),
        None => Err(format!("expected a JSON Pointer, such as /fields/temperature, found \"{pointer}\"")),
    }
}

impl Path {
    fn parse(text: &str, stars: usize) -> Result<Self, String> {
        let (from_root, pointer) = text.strip_prefix('$').map_or((false, text), |rest| (true, rest));
        let tokens = tokens(pointer)?;
        let found = tokens.iter().filter(|token| token.star).count();
        if found > if from_root { stars } else { 0 } {
            return Err("expected no more * than the pointers to the records have, and none without $".to_owned());
        }
        Ok(Self { from_root, tokens })
    }

    fn find<'v>(&self, place: &Place<'v>) -> Option<&'v Value> {
        let mut value = if self.from_root { place.root } else { place.record };
        let mut stars = place.stars.iter();
        for token in &self.tokens {
            value = if token.star {
                let Value::Array(items) = value else { return None };
                items.get(*stars.next()?)?
            } else {
                token.find(value)?
            };
        }
        Some(value)
    }
}

/// A record in a JSON document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) root: &'a Value,
    pub(crate) record: &'a Value,
    /// The indices of the items that the `*` of the record's pointer stand for.
    pub(crate) stars: &'a [usize],
}

/// The cells of a row, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    pub(crate) text: String,
    pub(crate) ends: Vec<usize>,
}

impl Cells {
    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        let start = index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.text.get(start..*self.ends.get(index)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).filter_map(|index| self.get(index))
    }
}

/// A row of a table, or a record of a JSON document.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Row<'a> {
    Table { cells: &'a Cells, columns: &'a [Option<usize>] },
    Json(Place<'a>),
}

/// A value of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    Absent,
    Text(&'a str),
    /// A JSON value other than null and strings.
    Value(&'a Value),
}

impl<'a> Row<'a> {
    /// Returns the value of a source. Texts are trimmed; those that stand for no value are absent.
    pub(crate) fn get(&self, sources: &Sources, absent: &[String], id: SourceId) -> Cell<'a> {
        let text = match self {
            Self::Table { cells, columns } => columns.get(id).copied().flatten().and_then(|index| cells.get(index)),
            Self::Json(place) => match sources.named.get(id) {
                Some((_, Source::Pointer(path))) => match path.find(place) {
                    Some(Value::String(text)) => Some(text.as_str()),
                    None | Some(Value::Null) => None,
                    Some(value) => return Cell::Value(value),
                },
                _ => None,
            },
        };
        match text.map(str::trim) {
            Some(text) if !absent.iter().any(|absent| absent == text) => Cell::Text(text),
            _ => Cell::Absent,
        }
    }
}
