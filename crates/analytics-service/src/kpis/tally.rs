//! Sums over cells of time: days, hours and parts of hours. Pure.

use std::ops::Range;

use mass_domain::analytics::{Figures, Indicator, Micros};

use super::roles::{Rate, Roles};
use crate::store::SeriesRow;
use crate::stretches::Table;

/// The share of a day that two series have to cover for their sums over it to be comparable.
const WHOLE: f64 = 0.99;

/// The greatest difference of the shares of an hour that two series cover, for their sums over it to be comparable.
const EQUAL: f64 = 0.01;

/// A quantity that is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    It,
    Hvac,
    Facility,
    Water,
    Reused,
    Cost,
    Carbon,
}

const QUANTITIES: usize = 7;

/// Ratios, by numerator and denominator.
pub(super) const RATIOS: [(Indicator, Quantity, Quantity); 4] = [
    (Indicator::Pue, Quantity::Facility, Quantity::It),
    (Indicator::Wue, Quantity::Water, Quantity::It),
    (Indicator::Cue, Quantity::Carbon, Quantity::It),
    (Indicator::Erf, Quantity::Reused, Quantity::Facility),
];

/// A sum, and the time that it was summed over.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Amount {
    pub(super) value: f64,
    /// In microseconds; of several series the mean.
    pub(super) covered: f64,
}

impl Amount {
    pub(super) fn add(&mut self, other: Self) {
        self.value += other.value;
        self.covered += other.covered;
    }
}

/// Amounts of two quantities over the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Ratio {
    pub(super) numerator: f64,
    pub(super) denominator: f64,
    /// In microseconds.
    pub(super) covered: f64,
}

/// The amounts of a stretch of time. A quantity without a series, or without a value, has none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) range: Range<Micros>,
    amounts: [Option<Amount>; QUANTITIES],
    /// The quantities whose rate changes within the cell. Their amounts follow from points.
    pub(super) varying: Vec<Quantity>,
    /// The greatest power of the facility.
    peak: Option<f64>,
    gaps: u64,
}

/// The sums over a stretch of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tally {
    sums: [Option<Amount>; QUANTITIES],
    pub(super) ratios: [Ratio; RATIOS.len()],
    /// The greatest power of the facility, and the first cell that has it.
    pub(super) peak: Option<(f64, Range<Micros>)>,
    pub(super) gaps: u64,
}

#[expect(clippy::cast_precision_loss, reason = "spans are far below 2^53 microseconds")]
pub(super) const fn float(span: Micros) -> f64 {
    span as f64
}

impl Cell {
    /// Builds a cell from the figures of its series.
    pub(super) fn new(roles: &Roles, table: &Table, range: Range<Micros>) -> Self {
        let figures = |row: &SeriesRow| table.get(&(row.id, range.start)).copied();
        let mut cell =
            Self { range: range.clone(), amounts: [None; QUANTITIES], varying: Vec::new(), peak: None, gaps: 0 };
        let Roles { it, hvac, facility, water, reused, price, carbon, .. } = roles;
        for (quantity, rows) in [
            (Quantity::It, it),
            (Quantity::Hvac, hvac),
            (Quantity::Facility, facility),
            (Quantity::Water, water),
            (Quantity::Reused, reused),
        ] {
            let found: Vec<Figures> = rows.iter().filter_map(figures).collect();
            let expected = rows.iter().filter(|row| row.first_at < range.end).count();
            cell.set(quantity, amount(&found, expected));
            if matches!(quantity, Quantity::It | Quantity::Hvac | Quantity::Facility) {
                cell.gaps += found.iter().map(|figures| figures.gaps).sum::<u64>();
            }
            if quantity == Quantity::Facility && rows.len() == 1 {
                cell.peak = found.first().map(|figures| figures.max);
            }
        }
        let energy = cell.get(Quantity::Facility);
        for (quantity, rate) in [(Quantity::Cost, price), (Quantity::Carbon, carbon)] {
            let rate = match rate {
                Rate::Product(row) => {
                    let found: Vec<Figures> = figures(row).into_iter().collect();
                    cell.set(quantity, amount(&found, 1));
                    continue;
                }
                Rate::Fixed(rate) => Some(*rate),
                Rate::Missing(_) => None,
                Rate::Series(row, factor) => match figures(row) {
                    Some(figures) if figures.is_constant(range.end - range.start) => Some(figures.last * factor),
                    Some(figures) if figures.covered > 0 && energy.is_some() => {
                        cell.varying.push(quantity);
                        None
                    }
                    Some(_) | None => None,
                },
            };
            let product = |energy: Amount| rate.map(|rate| Amount { value: energy.value * rate, ..energy });
            cell.set(quantity, energy.and_then(product));
        }
        cell
    }

    /// Returns the amount of a quantity.
    pub(super) const fn get(&self, quantity: Quantity) -> Option<Amount> {
        self.amounts[quantity as usize]
    }

    /// Sets the amount of a quantity.
    pub(super) const fn set(&mut self, quantity: Quantity, amount: Option<Amount>) {
        self.amounts[quantity as usize] = amount;
    }

    /// Tells whether the cell need not be divided: quantities that are compared both cover it, or one of them has no
    /// value. Those whose rate changes are not asked for.
    pub(super) fn is_settled(&self) -> bool {
        let whole = WHOLE * float(self.range.end - self.range.start);
        let is_comparable = |over: Option<Amount>, under: Option<Amount>| match (over, under) {
            (Some(over), Some(under)) => over.covered >= whole && under.covered >= whole,
            _ => true,
        };
        RATIOS.iter().all(|(_, over, under)| is_comparable(self.get(*over), self.get(*under)))
    }
}

/// Adds up the figures of series in a cell. `expected` is the number of series that exist by its end.
fn amount(found: &[Figures], expected: usize) -> Option<Amount> {
    let covered: Micros = found.iter().map(|figures| figures.covered).sum();
    let expected = Micros::try_from(expected.max(found.len())).unwrap_or(Micros::MAX);
    let value = found.iter().map(|figures| figures.integral).sum();
    (covered > 0).then(|| Amount { value, covered: float(covered) / float(expected) })
}

impl Tally {
    /// Adds a cell. Ratios count cells alone which both of their quantities cover equally.
    pub(super) fn add(&mut self, cell: &Cell) {
        for (sum, amount) in self.sums.iter_mut().zip(cell.amounts) {
            if let Some(amount) = amount {
                sum.get_or_insert_default().add(amount);
            }
        }
        let tolerance = EQUAL * float(cell.range.end - cell.range.start);
        for (ratio, (_, over, under)) in self.ratios.iter_mut().zip(RATIOS) {
            if let (Some(over), Some(under)) = (cell.get(over), cell.get(under))
                && (over.covered - under.covered).abs() <= tolerance
            {
                ratio.numerator += over.value;
                ratio.denominator += under.value;
                ratio.covered += over.covered.min(under.covered);
            }
        }
        self.gaps += cell.gaps;
        if let Some(peak) = cell.peak
            && self.peak.as_ref().is_none_or(|(greatest, _)| peak > *greatest)
        {
            self.peak = Some((peak, cell.range.clone()));
        }
    }

    /// Returns the sum of a quantity; `None` without a value.
    pub(super) const fn get(&self, quantity: Quantity) -> Option<Amount> {
        self.sums[quantity as usize]
    }
}
