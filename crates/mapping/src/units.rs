//! Conversions of units on decimal numbers.

use rust_decimal::{Decimal, RoundingStrategy};

/// The significant digits of a converted number: as many as every double keeps.
const DIGITS: u32 = 15;

/// A conversion: `(value + before) × times ÷ over`.
#[derive(Debug)]
pub struct NamedConversion {
    /// The unit of the input.
    pub from: &'static str,
    /// The unit of the result.
    pub to: &'static str,
    before: &'static str,
    times: &'static str,
    over: &'static str,
}

const fn factor(from: &'static str, to: &'static str, times: &'static str, over: &'static str) -> NamedConversion {
    NamedConversion { from, to, before: "0", times, over }
}

const fn offset(
    from: &'static str,
    to: &'static str,
    before: &'static str,
    times: &'static str,
    over: &'static str,
) -> NamedConversion {
    NamedConversion { from, to, before, times, over }
}

/// All conversions. The factors are exact (NIST SP 811): 1 lb = 0.45359237 kg, 1 in = 25.4 mm, 1 gal (US) = 231 in³,
/// 1 Btu (IT) = 1055.05585262 J, standard gravity = 9.80665 m/s².
pub static CONVERSIONS: &[NamedConversion] = &[
    offset("fahrenheit", "celsius", "-32", "5", "9"),
    offset("kelvin", "celsius", "-273.15", "1", "1"),
    factor("w", "kw", "1", "1000"),
    factor("mw", "kw", "1000", "1"),
    factor("gw", "kw", "1000000", "1"),
    factor("hp", "kw", "0.74569987158227022", "1"),
    factor("btuh", "kw", "1055.05585262", "3600000"),
    factor("tons", "kw", "12660670.23144", "3600000"),
    factor("wh", "kwh", "1", "1000"),
    factor("mwh", "kwh", "1000", "1"),
    factor("gwh", "kwh", "1000000", "1"),
    factor("j", "kwh", "1", "3600000"),
    factor("kj", "kwh", "1", "3600"),
    factor("mj", "kwh", "10", "36"),
    factor("gj", "kwh", "10000", "36"),
    factor("btu", "kwh", "1055.05585262", "3600000"),
    factor("pa", "hpa", "1", "100"),
    factor("kpa", "hpa", "10", "1"),
    factor("mpa", "hpa", "10000", "1"),
    factor("mbar", "hpa", "1", "1"),
    factor("bar", "hpa", "1000", "1"),
    factor("psi", "hpa", "4.4482216152605", "0.064516"),
    factor("inhg", "hpa", "33.86388640341", "1"),
    factor("mmhg", "hpa", "1.33322387415", "1"),
    factor("atm", "hpa", "1013.25", "1"),
    factor("hpa", "pa", "100", "1"),
    factor("kpa", "pa", "1000", "1"),
    factor("mbar", "pa", "100", "1"),
    factor("inwc", "pa", "249.08891", "1"),
    factor("psi", "pa", "4.4482216152605", "0.00064516"),
    factor("fraction", "percent", "100", "1"),
    factor("percent", "fraction", "1", "100"),
    factor("ppb", "ppm", "1", "1000"),
    factor("percent", "ppm", "10000", "1"),
    factor("l", "m3", "1", "1000"),
    factor("gal", "m3", "0.003785411784", "1"),
    factor("ft3", "m3", "0.028316846592", "1"),
    factor("lps", "m3h", "36", "10"),
    factor("lpm", "m3h", "6", "100"),
    factor("lph", "m3h", "1", "1000"),
    factor("gpm", "m3h", "0.22712470704", "1"),
    factor("cfm", "m3h", "1.69901079552", "1"),
    factor("m3s", "m3h", "3600", "1"),
    factor("mv", "v", "1", "1000"),
    factor("kv", "v", "1000", "1"),
    factor("ma", "a", "1", "1000"),
    factor("ka", "a", "1000", "1"),
    factor("va", "kva", "1", "1000"),
    factor("mva", "kva", "1000", "1"),
    factor("var", "kvar", "1", "1000"),
    factor("mvar", "kvar", "1000", "1"),
    factor("khz", "hz", "1000", "1"),
];

/// Other spellings of units.
const ALIASES: &[(&str, &str)] = &[
    ("f", "fahrenheit"),
    ("°f", "fahrenheit"),
    ("degf", "fahrenheit"),
    ("c", "celsius"),
    ("°c", "celsius"),
    ("degc", "celsius"),
    ("k", "kelvin"),
    ("%", "percent"),
    ("l/s", "lps"),
    ("l/min", "lpm"),
    ("l/h", "lph"),
    ("m3/h", "m3h"),
    ("m³/h", "m3h"),
    ("m³", "m3"),
    ("m3/s", "m3s"),
    ("btu/h", "btuh"),
];

/// A conversion that is ready to be applied.
#[derive(Debug, Clone)]
pub(crate) struct Conversion {
    before: Decimal,
    times: Decimal,
    over: Decimal,
}

impl Conversion {
    /// Finds a conversion by name: `fahrenheit->celsius`, or with an arrow `→`.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let (from, to) = name.split_once("->").or_else(|| name.split_once('→'))?;
        let [from, to] = [from, to].map(|unit| unit.trim().to_lowercase());
        let [from, to] = [&from, &to].map(|unit| {
            ALIASES.iter().find_map(|(alias, name)| (*alias == unit.as_str()).then_some(*name)).unwrap_or(unit)
        });
        let named = CONVERSIONS.iter().find(|named| named.from == from && named.to == to)?;
        let decimal = |text| Decimal::from_str_exact(text).ok();
        Some(Self { before: decimal(named.before)?, times: decimal(named.times)?, over: decimal(named.over)? })
    }

    /// Converts a number in JSON's notation. The result is exact, or rounded half to even to 15 significant digits.
    /// Returns `None` if the number or the result has too many digits.
    pub(crate) fn apply(&self, number: &str) -> Option<String> {
        let value = decimal(number)?;
        let sum = value.checked_add(self.before)?;
        let converted = sum.checked_mul(self.times)?.checked_div(self.over)?;
        let rounded = converted.round_sf_with_strategy(DIGITS, RoundingStrategy::MidpointNearestEven)?;
        Some(rounded.normalize().to_string())
    }
}

/// Parses a number in JSON's notation exactly; `None` if it has too many digits.
pub(crate) fn decimal(number: &str) -> Option<Decimal> {
    match number.split_once(['e', 'E']) {
        None => Decimal::from_str_exact(number).ok(),
        Some((mantissa, exponent)) => {
            let mantissa = Decimal::from_str_exact(mantissa).ok()?.normalize();
            let exponent: i64 = exponent.parse().ok()?;
            let scale = i64::from(mantissa.scale()).checked_sub(exponent)?;
            if mantissa.is_zero() {
                return Some(Decimal::ZERO);
            }
            if let Ok(scale) = u32::try_from(scale) {
                return Decimal::try_from_i128_with_scale(mantissa.mantissa(), scale).ok();
            }
            let power = 10_i128.checked_pow(u32::try_from(-scale).ok()?)?;
            Decimal::try_from_i128_with_scale(mantissa.mantissa().checked_mul(power)?, 0).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(name: &str, number: &str) -> Option<String> {
        Conversion::find(name).unwrap().apply(number)
    }

    #[test]
    fn converts_decimal_numbers_without_binary_rounding() {
        for (name, number, expected) in [
            ("fahrenheit->celsius", "72.5", "22.5"),
            ("fahrenheit→celsius", "-40", "-40"),
            ("°F -> °C", "32.00", "0"),
            ("fahrenheit->celsius", "70", "21.1111111111111"),
            ("kelvin->celsius", "293.15", "20"),
            ("w->kw", "4350", "4.35"),
            ("w->kw", "0.1", "0.0001"),
            ("W->kW", "1e3", "1"),
            ("wh->kwh", "123456789012345", "123456789012.345"),
            ("mwh->kwh", "1.234567", "1234.567"),
            ("mbar->hpa", "1013.20", "1013.2"),
            ("kpa->hpa", "101.325", "1013.25"),
            ("psi->hpa", "14.7", "1013.52932209575"),
            ("inhg->hpa", "30", "1015.9165921023"),
            ("fraction->percent", "0.07", "7"),
            ("l/s->m3/h", "2.5", "9"),
            ("gpm->m3h", "10", "2.2712470704"),
            ("mj->kwh", "3.6", "1"),
            ("tons->kw", "1", "3.51685284206667"),
        ] {
            assert_eq!(convert(name, number).as_deref(), Some(expected), "{name} {number}");
        }
    }

    #[test]
    fn refuses_numbers_beyond_the_decimal_range() {
        assert_eq!(convert("mw->kw", "99999999999999999999999999999"), None);
        assert_eq!(convert("mw->kw", "1e28"), None);
        assert_eq!(convert("w->kw", "1e-40"), None);
        assert_eq!(convert("w->kw", "1e99999999999999999999"), None);
        assert_eq!(convert("w->kw", "0e-99"), Some("0".to_owned()));
    }

    #[test]
    fn finds_only_listed_conversions() {
        for unknown in ["", "->", "w", "kw->w", "w-kw", "celsius->fahrenheit"] {
            assert!(Conversion::find(unknown).is_none(), "{unknown}");
        }
        for named in CONVERSIONS {
            assert!(Conversion::find(&format!("{}->{}", named.from, named.to)).is_some());
        }
    }
}
