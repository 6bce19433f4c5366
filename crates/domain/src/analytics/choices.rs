//! The names by which figures are asked for, and told.

use crate::names::named_enum;

/// Error for an unknown step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown step \"{0}\": expected raw, 5m, hour, day or month")]
pub struct UnknownResolution(String);

/// Error for an unknown aggregate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown aggregate \"{0}\": expected mean, min, max, sum or last")]
pub struct UnknownAggregate(String);

/// Error for an unknown split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown step \"{0}\": expected period, day or month")]
pub struct UnknownSplit(String);

/// Error for an unknown freshness.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown state \"{0}\": expected fresh, late or silent")]
pub struct UnknownFreshness(String);

/// Error for an unknown indicator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown indicator \"{0}\"")]
pub struct UnknownIndicator(String);

/// Error for an unknown reason of an indicator without a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason \"{0}\"")]
pub struct UnknownAbsence(String);

/// Error for an unknown kind of finding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of finding \"{0}\"")]
pub struct UnknownFinding(String);

named_enum!(
    /// The length of the buckets of a series.
    Resolution, UnknownResolution {
        /// Each point by itself.
        Raw = "raw",
        /// Five minutes.
        FiveMinutes = "5m",
        /// An hour of the clock of the zone.
        Hour = "hour",
        /// A calendar day of the zone: 23 or 25 hours when its clocks change.
        Day = "day",
        /// A calendar month of the zone.
        Month = "month",
    }
);

named_enum!(
    /// The value that a bucket of a series has.
    Aggregate, UnknownAggregate {
        /// The mean of the points' values; of a bucket without points, of the value that holds in it.
        Mean = "mean",
        /// The least value.
        Min = "min",
        /// The greatest value.
        Max = "max",
        /// The energy of a power, the consumption of a counter, the sum of the points' values of a gauge.
        Sum = "sum",
        /// The last value.
        Last = "last",
    }
);

named_enum!(
    /// The stretches of time for which indicators are computed.
    Split, UnknownSplit {
        /// The whole period at once.
        Period = "period",
        /// Each calendar day of the zone.
        Day = "day",
        /// Each calendar month of the zone.
        Month = "month",
    }
);

named_enum!(
    /// How recent the last point of a source is.
    Freshness, UnknownFreshness {
        /// At most three learned intervals old, or two minutes.
        Fresh = "fresh",
        /// At most twelve learned intervals old, or 24 hours.
        Late = "late",
        /// Older.
        Silent = "silent",
    }
);

named_enum!(
    /// The reason for which an indicator has no value.
    AbsenceCode, UnknownAbsence {
        /// There is no series that it is computed from.
        NoSeries = "no_series",
        /// No value of a series that it is computed from holds for any time.
        NoValues = "no_values",
        /// Several meters measure the facility's power: their greatest powers need not coincide.
        SeveralMeters = "several_meters",
        /// The power or energy that it is divided by is not above 0.
        NotAboveZero = "not_above_zero",
        /// There is neither a number nor a series of the price or the carbon intensity.
        NoRate = "no_rate",
        /// Several devices report the price or the carbon intensity.
        SeveralRates = "several_rates",
        /// The values that belong together do not hold at the same time.
        NotAtOnce = "not_at_once",
        /// The value is no finite number.
        TooGreat = "too_great",
    }
);

named_enum!(
    /// An indicator of a site for a period.
    Indicator, UnknownIndicator {
        /// Facility energy ÷ IT energy (ISO/IEC 30134-2).
        Pue = "pue",
        /// Energy of the IT equipment.
        ItEnergy = "it_energy_kwh",
        /// Energy of heating, ventilation and cooling.
        HvacEnergy = "hvac_energy_kwh",
        /// Energy of the whole facility.
        FacilityEnergy = "facility_energy_kwh",
        /// The greatest power of the facility.
        Peak = "peak_kw",
        /// The mean power of the facility ÷ its greatest.
        LoadFactor = "load_factor",
        /// Cost of the facility's energy.
        Cost = "cost",
        /// Greenhouse gases of the facility's energy, as carbon dioxide.
        Carbon = "co2e_kg",
        /// Water ÷ IT energy (ISO/IEC 30134-9).
        Wue = "wue",
        /// Greenhouse gases ÷ IT energy (ISO/IEC 30134-8).
        Cue = "cue",
        /// Reused energy ÷ facility energy (ISO/IEC 30134-6).
        Erf = "erf",
        /// Compliance of intake temperatures with the recommended highest (Herrlin, Rack Cooling Index).
        RciHi = "rci_hi",
        /// Compliance of intake temperatures with the recommended lowest.
        RciLo = "rci_lo",
        /// The share of the period for which the site's power series have values.
        Completeness = "completeness",
        /// The number of gaps that begin in the site's power series.
        Gaps = "gaps",
    }
);

impl Indicator {
    /// Returns the unit; `1` for a quantity of dimension one. That of a cost is the price's currency.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::ItEnergy | Self::HvacEnergy | Self::FacilityEnergy => "kWh",
            Self::Peak => "kW",
            Self::Cost => "USD",
            Self::Carbon => "kg",
            Self::Wue => "L/kWh",
            Self::Cue => "kg/kWh",
            Self::RciHi | Self::RciLo => "%",
            Self::Pue | Self::LoadFactor | Self::Erf | Self::Completeness | Self::Gaps => "1",
        }
    }
}

named_enum!(
    /// A kind of anomaly in the points of a series.
    Finding, UnknownFinding {
        /// No point for longer than three learned intervals.
        Gap = "gap",
        /// The same value for hours, of a metric that moves.
        Stuck = "stuck",
        /// A value far from those around it, once.
        Spike = "spike",
        /// Several points of one time.
        Duplicate = "duplicate",
        /// Points that were accepted in another order than their times say, or whose times lie in the future.
        ClockJump = "clock_jump",
        /// Values that another unit would explain.
        Unit = "unit",
    }
);
