//! Reads the series of a site, and disturbs them.

use std::{error::Error, fs::File, io::Read, path::Path};

use mass_savings::{Boundary, Hour, Period, Settings};
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{RngCore, SeedableRng},
};

/// The series of a site.
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) single: bool,
    /// The year before the retrofit.
    pub(crate) baseline: Vec<Hour>,
    /// The year after it.
    pub(crate) retrofit: Vec<Hour>,
    /// The same year without it.
    pub(crate) counterfactual: Vec<Hour>,
}

impl Site {
    pub(crate) fn read(folder: &Path, name: &str, single: bool) -> Result<Self, Box<dyn Error>> {
        let read = |kind: &str| hours(&folder.join(format!("pilot-{name}-{kind}.csv")));
        Ok(Self {
            name: name.to_owned(),
            single,
            baseline: read("baseline")?,
            retrofit: read("retrofit")?,
            counterfactual: read("counterfactual")?,
        })
    }
}

/// Reads a series; the file may be compressed, with `.gz` appended to its name.
fn hours(path: &Path) -> Result<Vec<Hour>, Box<dyn Error>> {
    let mut text = String::new();
    if path.exists() {
        File::open(path)?.read_to_string(&mut text)?;
    } else {
        let file = File::open(path.with_extension("csv.gz"))?;
        flate2::read::GzDecoder::new(file).read_to_string(&mut text)?;
    }
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let mut hours = Vec::new();
    for record in reader.records() {
        let record = record?;
        let number = |column: usize| record[column].parse::<f64>();
        let end: jiff::Timestamp = record[0].parse()?;
        hours.push(Hour {
            // The simulation stamps hours with their end.
            start: end.as_second() - 3600,
            temperature_c: number(1)?,
            relative_humidity_percent: number(2)?,
            pressure_hpa: number(3)?,
            it_kwh: number(4)?,
            hvac_kwh: number(6)?,
            facility_kwh: Some(number(7)?),
            inlet_temperature_c: Some(number(8)?),
        });
    }
    Ok(hours)
}

/// Random numbers for the disturbances.
pub(crate) struct Noise(ChaCha12Rng);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Adds the noise of meters and sensors, and drops 5 % of the hours.
    pub(crate) fn disturb(&mut self, hours: &[Hour]) -> Vec<Hour> {
        let mut disturbed = Vec::new();
        for hour in hours {
            let found = Hour {
                hvac_kwh: (hour.hvac_kwh * (1.0 + 0.03 * self.normal())).max(0.0),
                it_kwh: hour.it_kwh * (1.0 + 0.015 * self.normal()),
                temperature_c: hour.temperature_c + 0.3 * self.normal(),
                relative_humidity_percent: (hour.relative_humidity_percent + 3.0 * self.normal()).clamp(1.0, 100.0),
                ..*hour
            };
            if self.unit() >= 0.05 {
                disturbed.push(found);
            }
        }
        disturbed
    }
}

/// The period that a series spans.
pub(crate) fn span(hours: &[Hour]) -> Period {
    match (hours.first(), hours.last()) {
        (Some(first), Some(last)) => Period { from: first.start, until: last.start + 3600 },
        _ => Period { from: 0, until: 0 },
    }
}

pub(crate) fn settings(seed: u64) -> Settings {
    Settings {
        boundary: Boundary::Hvac,
        utc_offset_seconds: 0,
        modes: Vec::new(),
        adjustments: Vec::new(),
        seed,
        placebo: false,
    }
}

/// The mean of some numbers.
pub(crate) fn mean(values: &[f64]) -> f64 {
    let count = u32::try_from(values.len()).map_or(1.0, f64::from);
    values.iter().sum::<f64>() / count.max(1.0)
}

/// The median of some numbers.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
