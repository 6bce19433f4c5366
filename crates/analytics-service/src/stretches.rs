//! Figures of stretches of time, from rows of days and hours where these fit, and from points elsewhere.

use std::collections::BTreeMap;
use std::ops::Range;

use mass_domain::analytics::{CONTEXT, DAY, Figures, HOUR, LONGEST_SPAN, Micros, Point, SeriesId, floor, fold};
use mass_domain::port::PortError;

use crate::store::{SeriesRow, Snapshot};

/// The most points that are read at once.
const POINTS: usize = 10_000;

/// Figures by series and by the begin of the day or hour.
pub(crate) type Table = BTreeMap<(SeriesId, Micros), Figures>;

/// A stretch of time, by the rows that it is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Whole days in UTC.
    Days(Range<Micros>),
    /// Whole hours in UTC, of at most two days.
    Hours(Range<Micros>),
    /// A part of an hour.
    Part(Range<Micros>),
}

const fn ceil(at: Micros, length: Micros) -> Micros {
    floor(at + length - 1, length)
}

/// Divides a stretch into whole days, whole hours and parts of hours, in the order of time.
pub(crate) fn pieces(stretch: &Range<Micros>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut push = |range: Range<Micros>, piece: fn(Range<Micros>) -> Piece| {
        if !range.is_empty() {
            pieces.push(piece(range));
        }
    };
    let (first, last) = (ceil(stretch.start, HOUR), floor(stretch.end, HOUR));
    if first > last {
        push(stretch.clone(), Piece::Part);
        return pieces;
    }
    push(stretch.start..first, Piece::Part);
    let (first_day, last_day) = (ceil(first, DAY), floor(last, DAY));
    if first_day < last_day {
        push(first..first_day, Piece::Hours);
        push(first_day..last_day, Piece::Days);
        push(last_day..last, Piece::Hours);
    } else {
        push(first..last, Piece::Hours);
    }
    push(last..stretch.end, Piece::Part);
    pieces
}

/// Returns the part of a stretch in which a series can have values.
pub(crate) fn living(series: &SeriesRow, stretch: &Range<Micros>) -> Range<Micros> {
    stretch.start.max(floor(series.first_at, DAY))..stretch.end.min(ceil(series.last_at + LONGEST_SPAN + 1, DAY))
}

/// Reads the figures of whole days. Those from the day of a series' last point on are added up from hours.
pub(crate) fn read_days(
    snapshot: &mut dyn Snapshot,
    series: &[SeriesRow],
    days: &Range<Micros>,
) -> Result<Table, PortError> {
    let mut table = Table::new();
    let mut stored: Vec<SeriesId> = Vec::new();
    let mut open: Vec<(SeriesId, Range<Micros>)> = Vec::new();
    for row in series {
        let (living, last) = (living(row, days), floor(row.last_at, DAY));
        if living.is_empty() {
            continue;
        }
        if last > living.start {
            stored.push(row.id);
        }
        if last < days.end {
            open.push((row.id, last.max(days.start)..living.end));
        }
    }
    if !stored.is_empty() {
        table.extend(snapshot.days(&stored, days.clone())?.into_iter().map(|(id, day, figures)| ((id, day), figures)));
    }
    if !open.is_empty() {
        for (id, hour, figures) in snapshot.hours(&open)? {
            let day = table.entry((id, floor(hour, DAY)));
            day.and_modify(|day| *day = day.then(&figures)).or_insert(figures);
        }
    }
    Ok(table)
}

/// Pairs each series with the same stretch.
pub(crate) fn within_each(series: &[SeriesId], within: &Range<Micros>) -> Vec<(SeriesId, Range<Micros>)> {
    series.iter().map(|id| (*id, within.clone())).collect()
}

/// Reads the figures of whole hours.
pub(crate) fn read_hours(
    snapshot: &mut dyn Snapshot,
    series: &[SeriesRow],
    hours: &Range<Micros>,
) -> Result<Table, PortError> {
    let is_living = |row: &&SeriesRow| !living(row, hours).is_empty();
    let ids: Vec<SeriesId> = series.iter().filter(is_living).map(|row| row.id).collect();
    if ids.is_empty() {
        return Ok(Table::new());
    }
    let rows = snapshot.hours(&within_each(&ids, hours))?;
    Ok(rows.into_iter().map(|(id, hour, figures)| ((id, hour), figures)).collect())
}

/// A stretch, and the points that its figures depend on.
type Part = (Range<Micros>, Vec<Point>);

/// The points of a series within a stretch, in parts of bounded size.
pub(crate) struct Parts<'a> {
    series: &'a SeriesRow,
    rest: Range<Micros>,
    limit: usize,
}

impl<'a> Parts<'a> {
    pub(crate) const fn new(series: &'a SeriesRow, stretch: Range<Micros>) -> Self {
        Self { series, rest: stretch, limit: POINTS }
    }

    /// Reads the next part: its stretch, and the points that its figures depend on.
    pub(crate) fn next(&mut self, snapshot: &mut dyn Snapshot) -> Result<Option<Part>, PortError> {
        while !living(self.series, &self.rest).is_empty() {
            let points = snapshot.points(self.series.id, self.rest.clone(), CONTEXT, self.limit)?;
            let within = points.iter().filter(|point| self.rest.contains(&point.at)).count();
            let mut part = self.rest.clone();
            if within >= self.limit {
                // The last time may have more points.
                part.end = points.last().map_or(part.end, |last| last.at.min(part.end));
                if part.is_empty() {
                    self.limit *= 2;
                    continue;
                }
            }
            self.rest.start = part.end;
            self.limit = POINTS;
            return Ok(Some((part, points)));
        }
        Ok(None)
    }
}

/// Visits the points of a series within a stretch, part by part.
pub(crate) fn each_part<E: From<PortError>>(
    snapshot: &mut dyn Snapshot,
    series: &SeriesRow,
    stretch: &Range<Micros>,
    mut visit: impl FnMut(Range<Micros>, &[Point]) -> Result<(), E>,
) -> Result<(), E> {
    let mut parts = Parts::new(series, stretch.clone());
    while let Some((part, points)) = parts.next(snapshot)? {
        visit(part, &points)?;
    }
    Ok(())
}

/// Folds stretches that are in order, and do not overlap, from points.
pub(crate) fn fold_points(
    snapshot: &mut dyn Snapshot,
    series: &SeriesRow,
    stretches: &[Range<Micros>],
) -> Result<Vec<Option<Figures>>, PortError> {
    let mut totals: Vec<Option<Figures>> = vec![None; stretches.len()];
    let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else { return Ok(totals) };
    each_part(snapshot, series, &(first.start..last.end), |part, points| {
        let cut = |stretch: &Range<Micros>| stretch.start.max(part.start)..stretch.end.min(part.end);
        let begin = stretches.partition_point(|stretch| stretch.end <= part.start);
        let end = stretches.partition_point(|stretch| stretch.start < part.end).max(begin);
        let (Some(within), Some(totals)) = (stretches.get(begin..end), totals.get_mut(begin..end)) else {
            return Ok(());
        };
        let cuts: Vec<Range<Micros>> = within.iter().map(cut).collect();
        let figures = fold(&series.key.metric, series.kind, points, &cuts);
        for (total, next) in totals.iter_mut().zip(figures) {
            *total = Figures::total(total.iter().chain(&next));
        }
        Ok::<(), PortError>(())
    })?;
    Ok(totals)
}

/// Reads the figures of stretches of one series, which are in order and do not overlap. Reads all of their rows at once.
pub(crate) fn read(
    snapshot: &mut dyn Snapshot,
    series: &SeriesRow,
    stretches: &[Range<Micros>],
) -> Result<Vec<Option<Figures>>, PortError> {
    Ok(read_together(snapshot, std::slice::from_ref(series), stretches)?.pop().unwrap_or_default())
}

/// Reads the figures of stretches of several series, as [`read`] does of one: those of each series.
pub(crate) fn read_together(
    snapshot: &mut dyn Snapshot,
    series: &[SeriesRow],
    stretches: &[Range<Micros>],
) -> Result<Vec<Vec<Option<Figures>>>, PortError> {
    let pieces: Vec<Vec<Piece>> = stretches.iter().map(pieces).collect();
    let (mut days, mut hours, mut parts) = (Table::new(), Table::new(), vec![Vec::new(); series.len()]);
    for run in runs(pieces.iter().flatten()) {
        match run {
            Run::Days(range) => days.append(&mut read_days(snapshot, series, &range)?),
            Run::Hours(range) => hours.append(&mut read_hours(snapshot, series, &range)?),
            Run::Parts(ranges) => {
                for (row, parts) in series.iter().zip(&mut parts) {
                    parts.append(&mut fold_points(snapshot, row, &ranges)?);
                }
            }
        }
    }
    let totals = |(row, parts): (&SeriesRow, Vec<Option<Figures>>)| {
        let (id, mut parts) = (row.id, parts.into_iter());
        let total = |pieces: &Vec<Piece>| {
            let figures = pieces.iter().filter_map(|piece| match piece {
                Piece::Days(range) => sum(&days, id, range),
                Piece::Hours(range) => sum(&hours, id, range),
                Piece::Part(_) => parts.next().flatten(),
            });
            figures.fold(None, |total: Option<Figures>, next| Some(total.map_or(next, |total| total.then(&next))))
        };
        pieces.iter().map(total).collect()
    };
    Ok(series.iter().zip(parts).map(totals).collect())
}

/// Returns the most rows of a table that stretches of one series have.
pub(crate) fn rows_of(stretches: &[Range<Micros>]) -> usize {
    let rows = stretches.iter().flat_map(pieces).map(|piece| match piece {
        Piece::Days(range) => (range.end - range.start) / DAY,
        Piece::Hours(range) => (range.end - range.start) / HOUR,
        Piece::Part(_) => 0,
    });
    usize::try_from(rows.sum::<Micros>()).unwrap_or(usize::MAX)
}

/// Pieces of one kind that follow each other without a gap.
pub(crate) enum Run {
    /// Whole days.
    Days(Range<Micros>),
    /// Whole hours.
    Hours(Range<Micros>),
    /// Parts of hours.
    Parts(Vec<Range<Micros>>),
}

/// Puts pieces together that follow each other.
pub(crate) fn runs<'a>(pieces: impl Iterator<Item = &'a Piece>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for piece in pieces {
        match (runs.last_mut(), piece) {
            (Some(Run::Days(run)), Piece::Days(next)) | (Some(Run::Hours(run)), Piece::Hours(next)) => {
                run.end = next.end;
            }
            (Some(Run::Parts(run)), Piece::Part(next)) => run.push(next.clone()),
            (_, Piece::Days(range)) => runs.push(Run::Days(range.clone())),
            (_, Piece::Hours(range)) => runs.push(Run::Hours(range.clone())),
            (_, Piece::Part(range)) => runs.push(Run::Parts(vec![range.clone()])),
        }
    }
    runs
}

/// Adds up the figures of a series that begin within a stretch.
pub(crate) fn sum(table: &Table, series: SeriesId, within: &Range<Micros>) -> Option<Figures> {
    Figures::total(table.range((series, within.start)..(series, within.end)).map(|(_, figures)| figures))
}
