//! Reads the cells of sites' buckets: days first, hours where days do not do, and points where hours do not.

use std::ops::Range;

use mass_domain::analytics::{DAY, HOUR, Micros, Segment, segments};
use mass_domain::port::PortError;

use super::roles::{Rate, Roles};
use super::tally::{Amount, Cell, Quantity, Tally, float};
use crate::store::{SeriesRow, Snapshot};
use crate::stretches::{Parts, Piece, Run, Table, each_part, fold_points, pieces, read_days, read_hours, runs};

/// The most rows that are read at once, unless one day has more.
pub(super) const ROWS: usize = 20_000;

/// The sums of a site's buckets while they are read.
struct Reader<'a> {
    roles: &'a Roles,
    /// All series but those of temperatures.
    rows: Vec<SeriesRow>,
    buckets: &'a [Range<Micros>],
    tallies: Vec<Tally>,
}

/// Adds up the cells of buckets, which follow each other, for each of some sites, whose days are read together.
pub(super) fn add_up(
    snapshot: &mut dyn Snapshot,
    sites: &[Roles],
    buckets: &[Range<Micros>],
) -> Result<Vec<Vec<Tally>>, PortError> {
    let pieces: Vec<Piece> = buckets.iter().flat_map(pieces).collect();
    let reader =
        |roles| Reader { roles, rows: roles.counted(), buckets, tallies: vec![Tally::default(); buckets.len()] };
    let mut readers: Vec<Reader<'_>> = sites.iter().map(reader).collect();
    let rows: Vec<SeriesRow> = readers.iter().flat_map(|reader| reader.rows.iter().cloned()).collect();
    for run in runs(pieces.iter()) {
        match run {
            Run::Days(days) => {
                for chunk in chunks(&days, DAY, rows.len()) {
                    let table = read_days(snapshot, &rows, &chunk)?;
                    readers.iter_mut().try_for_each(|reader| reader.days(snapshot, &table, &chunk))?;
                }
            }
            Run::Hours(hours) => readers.iter_mut().try_for_each(|reader| reader.hours(snapshot, &hours))?,
            Run::Parts(parts) => readers.iter_mut().try_for_each(|reader| reader.parts(snapshot, &parts))?,
        }
    }
    Ok(readers.into_iter().map(|reader| reader.tallies).collect())
}

impl Reader<'_> {
    fn days(&mut self, snapshot: &mut dyn Snapshot, table: &Table, days: &Range<Micros>) -> Result<(), PortError> {
        let cells = steps(days, DAY).map(|day| Cell::new(self.roles, table, day));
        let (settled, mut open): (Vec<Cell>, Vec<Cell>) = cells.partition(Cell::is_settled);
        let (rated, whole): (Vec<Cell>, Vec<Cell>) = settled.into_iter().partition(|day| !day.varying.is_empty());
        whole.iter().for_each(|day| self.add(day));
        open.extend(self.rated(snapshot, rated)?);
        open.sort_by_key(|day| day.range.start);
        for together in open.chunk_by(follows) {
            if let Some(hours) = stretch(together) {
                self.hours(snapshot, &hours)?;
            }
        }
        Ok(())
    }

    /// Adds days after all in which rates change but nothing else asks for hours: of their hours only those of the facility
    /// and of the rates are read. Returns the days that have to be divided nevertheless.
    fn rated(&mut self, snapshot: &mut dyn Snapshot, mut days: Vec<Cell>) -> Result<Vec<Cell>, PortError> {
        let rows = self.roles.rated();
        let most = (ROWS / (24 * rows.len().max(1))).max(1);
        for together in days.chunk_by_mut(follows) {
            for days in together.chunks_mut(most) {
                let Some(range) = stretch(days) else { continue };
                let table = read_hours(snapshot, &rows, &range)?;
                let hours = self.resolved(snapshot, &table, steps(&range, HOUR))?;
                for day in days {
                    let first = hours.partition_point(|hour| hour.range.end <= day.range.start);
                    let end = day.range.end;
                    let of_day = || hours.iter().skip(first).take_while(|hour| hour.range.start < end);
                    for quantity in std::mem::take(&mut day.varying) {
                        let amounts = of_day().filter_map(|hour| hour.get(quantity));
                        let sum = amounts.fold(None, |sum: Option<Amount>, amount| {
                            let mut sum = sum.unwrap_or_default();
                            sum.add(amount);
                            Some(sum)
                        });
                        day.set(quantity, sum);
                    }
                }
            }
        }
        let (settled, open): (Vec<Cell>, Vec<Cell>) = days.into_iter().partition(Cell::is_settled);
        settled.iter().for_each(|day| self.add(day));
        Ok(open)
    }

    fn hours(&mut self, snapshot: &mut dyn Snapshot, hours: &Range<Micros>) -> Result<(), PortError> {
        for chunk in chunks(hours, HOUR, self.rows.len()) {
            let table = read_hours(snapshot, &self.rows, &chunk)?;
            self.cells(snapshot, &table, steps(&chunk, HOUR))?;
        }
        Ok(())
    }

    fn parts(&mut self, snapshot: &mut dyn Snapshot, parts: &[Range<Micros>]) -> Result<(), PortError> {
        let mut table = Table::new();
        for row in &self.rows {
            let figures = fold_points(snapshot, row, parts)?;
            let found = parts.iter().zip(figures).filter_map(|(part, figures)| Some((part.start, figures?)));
            table.extend(found.map(|(begin, figures)| ((row.id, begin), figures)));
        }
        self.cells(snapshot, &table, parts.iter().cloned())
    }

    /// Adds cells that are not divided any more.
    fn cells(
        &mut self,
        snapshot: &mut dyn Snapshot,
        table: &Table,
        ranges: impl Iterator<Item = Range<Micros>>,
    ) -> Result<(), PortError> {
        self.resolved(snapshot, table, ranges)?.iter().for_each(|cell| self.add(cell));
        Ok(())
    }

    /// Builds cells. What follows from rates that change within a cell is computed from points.
    fn resolved(
        &self,
        snapshot: &mut dyn Snapshot,
        table: &Table,
        ranges: impl Iterator<Item = Range<Micros>>,
    ) -> Result<Vec<Cell>, PortError> {
        let mut cells: Vec<Cell> = ranges.map(|range| Cell::new(self.roles, table, range)).collect();
        for (quantity, rate) in [(Quantity::Cost, &self.roles.price), (Quantity::Carbon, &self.roles.carbon)] {
            if let Rate::Series(row, factor) = rate {
                let mut varying: Vec<&mut Cell> =
                    cells.iter_mut().filter(|cell| cell.varying.contains(&quantity)).collect();
                // Cells of one stretch are read together.
                for cells in varying.chunk_by_mut(|cell, next| cell.range.end == next.range.start) {
                    let ranges: Vec<Range<Micros>> = cells.iter().map(|cell| cell.range.clone()).collect();
                    let amounts = multiply(snapshot, &self.roles.facility, row, *factor, &ranges)?;
                    for (cell, amount) in cells.iter_mut().zip(amounts) {
                        cell.set(quantity, Some(amount).filter(|amount| amount.covered > 0.0));
                    }
                }
            }
        }
        Ok(cells)
    }

    fn add(&mut self, cell: &Cell) {
        let bucket = self.buckets.partition_point(|bucket| bucket.end <= cell.range.start);
        if let Some(tally) = self.tallies.get_mut(bucket) {
            tally.add(cell);
        }
    }
}

/// Tells whether a cell follows another one without a pause.
fn follows(cell: &Cell, next: &Cell) -> bool {
    cell.range.end == next.range.start
}

/// Returns the stretch of cells that follow each other; `None` without cells.
fn stretch(cells: &[Cell]) -> Option<Range<Micros>> {
    Some(cells.first()?.range.start..cells.last()?.range.end)
}

/// Divides a stretch so that a part has a bounded number of rows: one for each series and step.
fn chunks(stretch: &Range<Micros>, step: Micros, series: usize) -> impl Iterator<Item = Range<Micros>> + use<> {
    let steps_together = Micros::try_from((ROWS / series.max(1)).max(1)).unwrap_or(1);
    steps(stretch, step * steps_together)
}

/// Divides a stretch into steps. The last one may be shorter.
fn steps(stretch: &Range<Micros>, step: Micros) -> impl Iterator<Item = Range<Micros>> + use<> {
    let Range { start, end } = stretch.clone();
    let next = move |begin: &Micros| Some(begin + step).filter(|next| *next < end);
    let first = Some(start).filter(|start| *start < end);
    std::iter::successors(first, next).map(move |begin| begin..(begin + step).min(end))
}

/// Multiplies the energy of power series by a rate that changes, exactly: segment by segment. Returns the amounts of
/// stretches that follow each other.
fn multiply(
    snapshot: &mut dyn Snapshot,
    powers: &[SeriesRow],
    rate: &SeriesRow,
    factor: f64,
    stretches: &[Range<Micros>],
) -> Result<Vec<Amount>, PortError> {
    let mut amounts = vec![Amount::default(); stretches.len()];
    let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else { return Ok(amounts) };
    let mut parts = Parts::new(rate, first.start..last.end);
    while let Some((part, points)) = parts.next(snapshot)? {
        let rates = segments(rate.kind, &points);
        for power in powers {
            each_part(snapshot, power, &part, |part, points| {
                intersect(&segments(power.kind, points), &rates, &part, stretches, &mut amounts);
                Ok::<(), PortError>(())
            })?;
        }
    }
    let end = last.end;
    let expected = Micros::try_from(powers.iter().filter(|row| row.first_at < end).count().max(1)).unwrap_or(1);
    for amount in &mut amounts {
        amount.value *= factor;
        amount.covered /= float(expected);
    }
    Ok(amounts)
}

/// Adds the products of segments that overlap within a part to the stretches that they lie in.
fn intersect(
    powers: &[Segment],
    rates: &[Segment],
    part: &Range<Micros>,
    stretches: &[Range<Micros>],
    amounts: &mut [Amount],
) {
    let mut first_rate = 0;
    for power in powers {
        let power_range = power.point.at.max(part.start)..power.to.min(part.end);
        while rates.get(first_rate).is_some_and(|rate| rate.to <= power_range.start) {
            first_rate += 1;
        }
        for rate in rates.iter().skip(first_rate).take_while(|rate| rate.point.at < power_range.end) {
            let both = power_range.start.max(rate.point.at)..power_range.end.min(rate.to);
            let begin = stretches.partition_point(|stretch| stretch.end <= both.start);
            let within = stretches.iter().zip(amounts.iter_mut()).skip(begin);
            for (stretch, amount) in within.take_while(|(stretch, _)| stretch.start < both.end) {
                let cut = both.start.max(stretch.start)..both.end.min(stretch.end);
                amount.value += power.integral(&cut) * rate.point.value;
                amount.covered += float(power.covered(&cut));
            }
        }
    }
}
