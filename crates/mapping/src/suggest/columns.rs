//! The meaning of columns, from their names and first values.

use mass_domain::metrics;
use mass_domain::time::DocumentTime;

use super::head::Head;
use crate::long::metric_name;
use crate::numbers::{Notation, without_suffix};
use crate::profile::{Doubled, Time};
use crate::times::TimeReader;
use crate::units::Conversion;

/// Notations of numbers, the most common first.
const NOTATIONS: [(char, Option<char>); 6] =
    [('.', None), (',', None), (',', Some('.')), ('.', Some(',')), (',', Some(' ')), ('.', Some('\''))];

/// Texts that stand for no value in many exports.
const ABSENT: [&str; 12] = ["", "-", "--", "NA", "N/A", "NaN", "nan", "null", "NULL", "unavailable", "unknown", "None"];

/// Words in headers, and the stem and unit of the metric that they mean.
const WORDS: [(&[&str], &str, &str); 21] = [
    (&["dew"], "dew_point", "celsius"),
    (&["wet"], "wet_bulb", "celsius"),
    (&["inlet"], "inlet_temperature", "celsius"),
    (&["outlet", "exhaust"], "outlet_temperature", "celsius"),
    (&["supply"], "supply_temperature", "celsius"),
    (&["return"], "return_temperature", "celsius"),
    (&["temp"], "temperature", "celsius"),
    (&["hum", "feucht", "rh"], "humidity", "percent"),
    (&["press", "druck", "presi"], "pressure", "hpa"),
    (&["energ", "kwh", "consum", "verbrauch"], "energy", "kwh"),
    (&["factor"], "power_factor", ""),
    (&["power", "leistung", "potencia", "watt", "kw"], "power", "kw"),
    (&["volt", "spannung"], "voltage", "v"),
    (&["current", "strom", "corriente", "amp"], "current", "a"),
    (&["freq"], "frequency", "hz"),
    (&["co2"], "co2", "ppm"),
    (&["flow", "caudal", "durchfluss"], "flow", "m3h"),
    (&["water", "agua", "wasser"], "water", "m3"),
    (&["rpm"], "fan_speed", "rpm"),
    (&["fan"], "fan_speed", "percent"),
    (&["pue"], "pue", ""),
];

/// Spellings of units in headers and after numbers.
const UNITS: [(&str, &str); 12] = [
    ("watts", "w"),
    ("watt", "w"),
    ("degc", "celsius"),
    ("degf", "fahrenheit"),
    ("°c", "celsius"),
    ("°f", "fahrenheit"),
    ("c", "celsius"),
    ("f", "fahrenheit"),
    ("%", "percent"),
    ("l/s", "lps"),
    ("m³/h", "m3h"),
    ("m³", "m3"),
];

/// The guesses about a table.
pub(super) struct Columns {
    pub(super) decimal: char,
    pub(super) thousands: Option<char>,
    pub(super) absent: Vec<&'static str>,
    pub(super) time: Option<TimeGuess>,
    pub(super) device: Option<usize>,
    pub(super) location: Option<usize>,
    /// The columns of the name and the value, for the long shape.
    pub(super) long: Option<(usize, usize)>,
    /// The names in the column of names, for the long shape.
    pub(super) names: Vec<(String, MetricGuess)>,
    pub(super) metrics: Vec<(usize, MetricGuess)>,
    pub(super) left: Vec<usize>,
    pub(super) doubts: Vec<String>,
}

pub(super) struct TimeGuess {
    pub(super) from: Vec<usize>,
    pub(super) format: String,
    /// True if the times have no offset.
    pub(super) local: bool,
    pub(super) doubt: Option<&'static str>,
}

pub(super) struct MetricGuess {
    pub(super) to: String,
    pub(super) unit: Option<String>,
    pub(super) suffix: Option<String>,
    pub(super) doubt: Option<String>,
}

pub(super) fn examine(head: &Head) -> Columns {
    let time = (0..head.names.len()).find_map(|column| guess_time(head, column));
    let is_time = |column: &usize| time.as_ref().is_some_and(|time| time.from.contains(column));
    let rest: Vec<usize> = (0..head.names.len()).filter(|column| !is_time(column)).collect();
    let notation = guess_notation(head, &rest);
    let numeric: Vec<usize> = rest.iter().copied().filter(|column| is_numeric(head, *column, notation)).collect();
    let texts: Vec<usize> = rest.iter().copied().filter(|column| !numeric.contains(column)).collect();
    let named = |columns: &[usize], words: &[&str]| {
        words.iter().find_map(|word| columns.iter().copied().find(|column| header(head, *column).contains(word)))
    };
    let value = named(&numeric, &["value", "state", "reading", "wert", "valor"])
        .filter(|value| numeric.len() == 1 || header(head, *value).trim_matches(['/', '_']) == "value");
    let name = named(&texts, &["metric", "field", "variable", "parameter", "entity", "point", "name", "tag"]);
    let long = name.zip(value);
    let texts_left: Vec<usize> =
        texts.iter().copied().filter(|column| long.is_none_or(|(name, _)| name != *column)).collect();
    let mut doubts = Vec::new();
    if notation.decimal == ',' && has_ambiguous_thousands(head, &numeric) {
        doubts.push("numbers such as 1,234 are read with a decimal comma; they could be thousands".to_owned());
    }
    let absent = ABSENT
        .iter()
        .copied()
        .filter(|text| text.is_empty() || numeric.iter().any(|column| cells(head, *column).any(|cell| cell == *text)));
    let device =
        named(&texts_left, &["device", "sensor", "meter", "host", "rack", "ger", "dispositivo", "equip", "id", "name"]);
    let location = named(&texts_left, &["location", "room", "hall", "site"]).filter(|column| Some(*column) != device);
    let metrics = if long.is_some() { Vec::new() } else { guess_metrics(head, &numeric, notation) };
    let names = long.map_or_else(Vec::new, |(name, _)| guess_names(head, name));
    let left = texts_left.into_iter().filter(|column| Some(*column) != device && Some(*column) != location).collect();
    let Notation { decimal, thousands } = notation;
    Columns { decimal, thousands, absent: absent.collect(), time, device, location, long, names, metrics, left, doubts }
}

fn header(head: &Head, column: usize) -> String {
    head.names.get(column).map(|name| name.to_lowercase()).unwrap_or_default()
}

fn cells(head: &Head, column: usize) -> impl Iterator<Item = &str> {
    head.rows.iter().filter_map(move |row| row.get(column)).map(String::as_str)
}

fn guess_notation(head: &Head, columns: &[usize]) -> Notation {
    let mut best = (0, Notation::JSON);
    for (decimal, thousands) in NOTATIONS {
        let notation = Notation { decimal, thousands };
        let fits = |cell: &&str| notation.plain(number_part(cell), &mut String::new()).is_some();
        let count = columns.iter().flat_map(|column| cells(head, *column)).filter(fits).count();
        if count > best.0 {
            best = (count, notation);
        }
    }
    best.1
}

/// Returns a number without the unit after it.
fn number_part(cell: &str) -> &str {
    suffix_of(cell).map_or(cell, |suffix| without_suffix(cell, &[suffix.to_owned()]))
}

/// Returns the unit after a number.
fn suffix_of(cell: &str) -> Option<&str> {
    let end = cell.rfind(|character: char| character.is_ascii_digit())? + 1;
    let suffix = cell.get(end..)?.trim();
    let starts = cell.starts_with(|character: char| character.is_ascii_digit() || "+-.,".contains(character));
    (starts && !suffix.is_empty() && suffix.chars().count() <= 6).then_some(suffix)
}

fn is_numeric(head: &Head, column: usize, notation: Notation) -> bool {
    let present: Vec<&str> = cells(head, column).filter(|cell| !ABSENT.contains(cell)).collect();
    let numbers = present.iter().filter(|cell| notation.plain(number_part(cell), &mut String::new()).is_some()).count();
    let is_id = header(head, column).split(|c: char| !c.is_alphanumeric()).any(|word| word == "id");
    numbers > 0 && numbers * 10 >= present.len() * 6 && !is_id
}

fn has_ambiguous_thousands(head: &Head, columns: &[usize]) -> bool {
    let groups = |cell: &str| cell.split_once(',').is_some_and(|(_, rest)| rest.len() == 3);
    let numbers = || columns.iter().flat_map(|column| cells(head, *column)).filter(|cell| cell.contains(','));
    numbers().next().is_some() && numbers().all(groups)
}

fn guess_metrics(head: &Head, columns: &[usize], notation: Notation) -> Vec<(usize, MetricGuess)> {
    let mut metrics: Vec<(usize, MetricGuess)> = Vec::new();
    for column in columns.iter().copied() {
        let name = head.names.get(column).map_or("", String::as_str);
        let name = name.rsplit('/').find(|part| !part.is_empty() && *part != "value").unwrap_or(name);
        let with_suffix = cells(head, column)
            .find(|cell| notation.plain(cell, &mut String::new()).is_none() && suffix_of(cell).is_some());
        let mut guess = guess_metric(name, with_suffix.and_then(suffix_of));
        let mut number = 1;
        while metrics.iter().any(|(_, other)| other.to == guess.to) {
            number += 1;
            guess = MetricGuess {
                to: format!("{}_{number}", own_name(name)),
                doubt: Some("several columns have this quantity".to_owned()),
                ..guess
            };
        }
        metrics.push((column, guess));
    }
    metrics
}

fn guess_names(head: &Head, column: usize) -> Vec<(String, MetricGuess)> {
    let mut names: Vec<(String, MetricGuess)> = Vec::new();
    for name in cells(head, column) {
        if !name.is_empty() && names.len() < 100 && names.iter().all(|(known, _)| known != name) {
            let mut guess = guess_metric(name, None);
            if names.iter().any(|(_, other)| other.to == guess.to) {
                guess = MetricGuess {
                    to: own_name(name),
                    doubt: Some("several names have this quantity".to_owned()),
                    ..guess
                };
            }
            names.push((name.to_owned(), guess));
        }
    }
    names
}

/// Returns the name of a metric that is not known.
fn own_name(name: &str) -> String {
    let name = metric_name(name);
    if name.trim().is_empty() { "value".to_owned() } else { name }
}

/// Guesses the metric that a name and a unit after its numbers mean.
fn guess_metric(name: &str, suffix: Option<&str>) -> MetricGuess {
    let suffix = suffix.map(str::to_owned);
    let lower = name.to_lowercase();
    if metrics::find(&lower).is_some() {
        return MetricGuess { to: lower, unit: None, suffix, doubt: None };
    }
    let words: Vec<&str> =
        lower.split(|c: char| !(c.is_alphanumeric() || "°%/³".contains(c))).filter(|word| !word.is_empty()).collect();
    let matches = |(keys, _, _): &&(&[&str], &str, &str)| {
        keys.iter().any(|key| words.iter().any(|word| if key.len() <= 2 { word == key } else { word.contains(key) }))
    };
    let Some((_, stem, target)) = WORDS.iter().find(matches) else {
        let doubt = Some("this is no known metric: its values are not checked".to_owned());
        return MetricGuess { to: own_name(name), unit: None, suffix, doubt };
    };
    let to = if target.is_empty() { (*stem).to_owned() } else { format!("{stem}_{target}") };
    let spelt = suffix.as_deref().map(str::to_lowercase);
    let found = spelt.iter().map(String::as_str).chain(words.iter().rev().copied()).find_map(|word| {
        let unit = UNITS.iter().find_map(|(spelling, unit)| (*spelling == word).then_some(*unit)).unwrap_or(word);
        let conversion = format!("{unit}->{target}");
        (unit == *target || Conversion::find(&conversion).is_some()).then_some((unit == *target, conversion))
    });
    match found {
        Some((true, _)) => MetricGuess { to, unit: None, suffix, doubt: None },
        Some((false, conversion)) => MetricGuess { to, unit: Some(conversion), suffix, doubt: None },
        None if target.is_empty() || *target == "percent" || *target == "ppm" => {
            MetricGuess { to, unit: None, suffix, doubt: None }
        }
        None => {
            let doubt = Some(format!("the unit is not named; {target} is assumed"));
            MetricGuess { to, unit: None, suffix, doubt }
        }
    }
}

fn guess_time(head: &Head, column: usize) -> Option<TimeGuess> {
    let samples: Vec<String> = cells(head, column).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
    if samples.is_empty() {
        return None;
    }
    if let Some((format, local, doubt)) = format_of(&samples, &header(head, column)) {
        return Some(TimeGuess { from: vec![column], format, local, doubt });
    }
    let next: Vec<&str> = cells(head, column + 1).collect();
    let joined: Vec<String> = cells(head, column)
        .zip(next)
        .filter(|(date, _)| !date.is_empty())
        .map(|(date, time)| format!("{date} {time}"))
        .collect();
    if joined.is_empty() {
        return None;
    }
    let (format, local, doubt) = format_of(&joined, "")?;
    Some(TimeGuess { from: vec![column, column + 1], format, local, doubt })
}

/// Finds the format that all samples have.
fn format_of(samples: &[String], header: &str) -> Option<(String, bool, Option<&'static str>)> {
    if samples.iter().all(|text| text.parse::<DocumentTime>().is_ok()) {
        return Some(("rfc3339".to_owned(), false, None));
    }
    let is_time = ["time", "date", "stamp", "ts", "epoch"].iter().any(|word| header.contains(word));
    if is_time
        && samples.iter().all(|text| text.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok())
    {
        let digits = samples.first()?.split('.').next()?.len();
        let format = match digits {
            9..=10 => "epoch_s",
            12..=13 => "epoch_ms",
            15..=16 => "epoch_us",
            18..=19 => "epoch_ns",
            _ => return None,
        };
        return Some((format.to_owned(), false, None));
    }
    let fits = |format: &str, zone: Option<&str>| {
        let time = Time {
            from: Vec::new(),
            format: format.to_owned(),
            zone: zone.map(str::to_owned),
            doubled: Doubled::Earlier,
            to: None,
        };
        let reader = TimeReader::new(&time).ok();
        let in_this_age = |time: String| time.starts_with("19") || time.starts_with("20");
        reader.is_some_and(|reader| samples.iter().all(|text| reader.read(text).is_ok_and(in_this_age)))
    };
    if fits("rfc3339", Some("UTC")) {
        return Some(("rfc3339".to_owned(), true, None));
    }
    let times = ["%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%H:%M:%S%.f"];
    for separator in ['/', '.', '-'] {
        for (date, swapped) in [
            ("%d/%m/%Y", "%m/%d/%Y"),
            ("%m/%d/%Y", ""),
            ("%d/%m/%y", "%m/%d/%y"),
            ("%m/%d/%y", ""),
            ("%Y/%m/%d", ""),
            ("%d/%b/%Y", ""),
        ] {
            for time in times {
                let format = |date: &str| format!("{} {time}", date.replace('/', &separator.to_string()));
                if fits(&format(date), Some("UTC")) {
                    let ambiguous = !swapped.is_empty() && fits(&format(swapped), Some("UTC"));
                    let doubt = "the day and the month could be swapped: no value of the head tells";
                    return Some((format(date), true, ambiguous.then_some(doubt)));
                }
            }
        }
    }
    None
}
