//! Finds anomalies in the points of one series, in one pass. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use mass_domain::analytics::{DAY, Finding, HOUR, Micros, Point, floor, segments};
use mass_domain::metrics::MetricKind;

/// The least time, and the least number of points, for which a value that stays the same is stuck.
const STUCK_FOR: Micros = 4 * HOUR;
const STUCK_POINTS: u64 = 6;

/// The number of differences that spikes are judged by, and the number from which on they are.
const DIFFERENCES: usize = 32;
const ENOUGH: usize = 8;

/// The number of standard deviations of the differences from which on one of them is a spike.
const SPIKE: f64 = 6.0;

/// The standard deviation of a normal distribution ÷ its median absolute deviation (Hampel).
const PER_MEDIAN: f64 = 1.4826;

/// The least standard deviation of differences, as a share of the value: the resolution of sensors.
const RESOLUTION: f64 = 0.001;

/// The time by which a clock may be ahead.
const AHEAD: Micros = HOUR / 12;

/// The number of percentages of a day from which on they may be fractions.
const ENOUGH_FRACTIONS: u64 = 10;

/// The anomalies of one kind on one day.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// The day in UTC, by its begin.
    pub(super) day: Micros,
    pub(super) kind: Finding,
    pub(super) count: u64,
    pub(super) first: Micros,
    pub(super) last: Micros,
    /// The value of the first one's point.
    pub(super) value: f64,
    /// Describes the first one.
    pub(super) detail: String,
}

/// A run of points of one value.
#[derive(Debug, Clone, Copy)]
struct Run {
    since: Point,
    points: u64,
    /// The day for which it was told that it is stuck.
    told: Option<Micros>,
}

/// The percentages of a day.
#[derive(Debug, Clone, Copy)]
struct Fractions {
    first: Point,
    last: Micros,
    count: u64,
    greatest: f64,
}

/// Finds anomalies in the points of one series.
pub(super) struct Detector {
    kind: MetricKind,
    is_moving: bool,
    unit: Unit,
    now: Micros,
    found: BTreeMap<(Micros, Finding), Found>,
    /// The last two valid points.
    before: [Option<Point>; 2],
    /// The last point of all.
    last: Option<Point>,
    run: Option<Run>,
    fractions: Option<Fractions>,
    differences: VecDeque<f64>,
}

/// The unit of a metric, by which values of another unit are told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unit {
    /// Air in °C.
    Celsius,
    /// A percentage.
    Percent,
    /// A power in kW of at most this.
    Power(f64),
    Other,
}

fn unit(metric: &str, kind: MetricKind, device_type: &str) -> Unit {
    let device_type = device_type.to_lowercase();
    if kind == MetricKind::Power {
        // A server draws at most some kW, a rack at most some 100 kW, and the largest plants of a campus some 100 MW.
        let most = [("server", 20.0), ("rack", 500.0)].into_iter().find(|(begin, _)| device_type.starts_with(begin));
        return Unit::Power(most.map_or(500_000.0, |(_, most)| most));
    }
    if metric.ends_with("_percent") {
        return Unit::Percent;
    }
    let is_air =
        ["temperature_celsius", "dew_point_celsius", "wet_bulb_celsius"].iter().any(|end| metric.ends_with(end));
    if is_air { Unit::Celsius } else { Unit::Other }
}

/// Tells whether values of a metric change all the time, unless the sensor is stuck.
fn is_moving(metric: &str, kind: MetricKind) -> bool {
    let moves =
        ["temperature_celsius", "humidity_percent", "pressure_hpa", "dew_point_celsius", "wet_bulb_celsius", "co2_ppm"];
    kind == MetricKind::Power || moves.iter().any(|end| metric.ends_with(end))
}

impl Detector {
    /// Begins with a series. `now` is the time from which on points lie in the future.
    pub(super) fn new(metric: &str, kind: MetricKind, device_type: &str, now: Micros) -> Self {
        Self {
            kind,
            is_moving: is_moving(metric, kind),
            unit: unit(metric, kind, device_type),
            now,
            found: BTreeMap::new(),
            before: [None; 2],
            last: None,
            run: None,
            fractions: None,
            differences: VecDeque::with_capacity(DIFFERENCES),
        }
    }

    /// Reads the points of a part, which follows the one before. Those outside of it are its context.
    pub(super) fn read(&mut self, part: &Range<Micros>, points: &[Point]) {
        for point in points.iter().filter(|point| part.contains(&point.at)) {
            self.order(point);
        }
        let segments = segments(self.kind, points);
        for (index, segment) in segments.iter().enumerate().filter(|(_, segment)| part.contains(&segment.point.at)) {
            let point = segment.point;
            if let Some(next) = segments.get(index + 1).map(|next| next.point)
                && segment.is_before_gap
            {
                let detail = format!("no point for {}", duration(next.at - point.at));
                self.tell(Finding::Gap, point, point.at, detail);
            }
            self.value(point);
        }
    }

    /// Returns the findings, by day and kind.
    pub(super) fn finish(mut self) -> Vec<Found> {
        self.end_fractions();
        self.found.into_values().collect()
    }

    /// Compares a point with the one before in the order of time and acceptance.
    fn order(&mut self, point: &Point) {
        if let Some(last) = self.last.replace(*point) {
            if last.at == point.at {
                let detail = format!("{} and {} at one time: the one accepted last is valid", last.value, point.value);
                self.tell(Finding::Duplicate, *point, point.at, detail);
            } else if point.sequence < last.sequence {
                let detail = format!("accepted before the point of {} earlier", duration(point.at - last.at));
                self.tell(Finding::ClockJump, *point, point.at, detail);
            }
        }
        if point.at > self.now + AHEAD {
            let detail = format!("{} in the future", duration(point.at - self.now));
            self.tell(Finding::ClockJump, *point, point.at, detail);
        }
    }

    /// Judges a valid value.
    fn value(&mut self, point: Point) {
        self.stuck(point);
        self.unit(point);
        if self.kind != MetricKind::Counter {
            self.spike(point);
        }
        self.before = [self.before[1], Some(point)];
    }

    fn stuck(&mut self, point: Point) {
        let run = match self.run {
            Some(run) if run.since.value.to_bits() == point.value.to_bits() => Run { points: run.points + 1, ..run },
            Some(_) | None => Run { since: point, points: 1, told: None },
        };
        self.run = Some(run);
        let length = point.at - run.since.at;
        let is_stuck = length >= STUCK_FOR && run.points >= STUCK_POINTS && point.value != 0.0;
        if !self.is_moving || !is_stuck {
            return;
        }
        let day = floor(point.at, DAY);
        if run.told == Some(day) {
            if let Some(found) = self.found.get_mut(&(day, Finding::Stuck)) {
                found.last = point.at;
            }
            return;
        }
        self.run = Some(Run { told: Some(day), ..run });
        let detail = format!("{} for {} and longer", point.value, duration(length));
        self.tell(Finding::Stuck, run.since, point.at, detail);
    }

    /// Judges the point before by its two neighbours.
    fn spike(&mut self, next: Point) {
        let [Some(before), Some(point)] = self.before else { return };
        let (up, down) = (point.value - before.value, next.value - point.value);
        let least = up.abs().min(down.abs());
        if self.differences.len() >= ENOUGH && up * down < 0.0 {
            let mut known: Vec<f64> = self.differences.iter().copied().collect();
            let middle = known.len() / 2;
            let (_, median, _) = known.select_nth_unstable_by(middle, f64::total_cmp);
            let deviation = (*median * PER_MEDIAN).max(RESOLUTION * before.value.abs());
            if deviation > 0.0 && least > SPIKE * deviation {
                let detail = format!("{} between {} and {}", point.value, before.value, next.value);
                self.tell(Finding::Spike, point, point.at, detail);
                return;
            }
        }
        if self.differences.len() == DIFFERENCES {
            self.differences.pop_front();
        }
        self.differences.push_back(up.abs());
    }

    fn unit(&mut self, point: Point) {
        let value = point.value;
        match self.unit {
            Unit::Celsius if (60.0..=110.0).contains(&value) => {
                let celsius = (value - 32.0) / 1.8;
                let detail = format!("{value} °C; {value} °F would be {celsius:.1} °C");
                self.tell(Finding::Unit, point, point.at, detail);
            }
            Unit::Celsius if (250.0..=330.0).contains(&value) => {
                let detail = format!("{value} °C; {value} K would be {:.1} °C", value - 273.15);
                self.tell(Finding::Unit, point, point.at, detail);
            }
            Unit::Power(most) if value.abs() > most => {
                let detail = format!("{value} kW; {value} W would be {} kW", shown(value / 1000.0));
                self.tell(Finding::Unit, point, point.at, detail);
            }
            Unit::Percent => self.fraction(point),
            Unit::Celsius | Unit::Power(_) | Unit::Other => {}
        }
    }

    /// Collects the percentages of a day.
    fn fraction(&mut self, point: Point) {
        let is_new_day = |day: &Fractions| floor(day.first.at, DAY) != floor(point.at, DAY);
        if self.fractions.as_ref().is_some_and(is_new_day) {
            self.end_fractions();
        }
        let new = Fractions { first: point, last: point.at, count: 0, greatest: f64::MIN };
        let day = self.fractions.get_or_insert(new);
        day.last = point.at;
        day.count += 1;
        day.greatest = day.greatest.max(point.value);
    }

    /// Judges the percentages of a day: if none is greater than 1, they may be fractions.
    fn end_fractions(&mut self) {
        let Some(Fractions { first, last, count, greatest }) = self.fractions.take() else { return };
        if count >= ENOUGH_FRACTIONS && greatest > 0.0 && greatest <= 1.0 {
            let (most, percent) = (shown(greatest), shown(greatest * 100.0));
            let detail = format!("at most {most} % all day; as a fraction it would be {percent} %");
            self.tell(Finding::Unit, first, last, detail);
        }
    }

    /// Counts an anomaly on the day of the time at which it was found.
    fn tell(&mut self, kind: Finding, point: Point, at: Micros, detail: String) {
        let day = floor(at, DAY);
        let new = || Found { day, kind, count: 0, first: point.at, last: at, value: point.value, detail };
        let found = self.found.entry((day, kind)).or_insert_with(new);
        found.count += 1;
        found.last = at;
    }
}

/// Rounds a number for being shown.
fn shown(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// Shows a length of time in its two greatest units.
fn duration(length: Micros) -> String {
    let seconds = length / 1_000_000;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}
