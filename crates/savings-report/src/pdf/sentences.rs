//! Verdicts in words, with advice.

use mass_savings::{Alternative, Model, Reason, Standing};

use crate::language::Language;

/// Returns the heading of a verdict.
pub(super) const fn standing(standing: Standing, language: Language) -> &'static str {
    match standing {
        Standing::Claimed => language.of("Saving claimed", "Ahorro acreditado"),
        Standing::Indicative => language.of(
            "Indicative saving: the interval may be too narrow",
            "Ahorro indicativo: el intervalo puede ser demasiado estrecho",
        ),
        Standing::Refused => language.of("No saving can be claimed", "No se puede acreditar ningún ahorro"),
    }
}

/// Returns a reason as a sentence.
pub(super) fn reason(reason: Reason, language: Language) -> String {
    let share = |value: f64| language.percent(value, 1);
    let number = |value: f64| language.number(value, 1);
    let (english, spanish, value) = match reason {
        Reason::SupportTooLow(value) => (
            "Only # of the predicted energy lies in hours that the baseline supports. A baseline of the same season, or the supported hours alone, would do.",
            "Solo # de la energía prevista corresponde a horas que la línea base cubre. Serviría una línea base de la misma estación, o solo las horas cubiertas.",
            share(value),
        ),
        Reason::SupportPartial(value) => (
            "The saving is claimed for the supported hours alone, which have # of the predicted energy.",
            "El ahorro se acredita solo para las horas cubiertas, que tienen # de la energía prevista.",
            share(value),
        ),
        Reason::ModelTooCoarse(value) => (
            "Hours out of sample are missed by # (CV(RMSE)): something moves the plant that no meter shows. A crossover does not depend on the model.",
            "El error en horas fuera de muestra es de # (CV(RMSE)): algo mueve la planta que ningún medidor muestra. Un ensayo cruzado no depende del modelo.",
            share(value),
        ),
        Reason::BaselineTooShort(value) => (
            "The baseline has # weeks; four are needed.",
            "La línea base tiene # semanas; se necesitan cuatro.",
            number(value),
        ),
        Reason::TooFewHours(value) => (
            "The shorter period has # usable hours, too few to fit anything.",
            "El periodo más corto tiene # horas utilizables, demasiado pocas para ajustar un modelo.",
            language.number(value, 0),
        ),
        Reason::TooFewPairs(value) => (
            "The crossover has # complete pairs of days; three are needed.",
            "El ensayo cruzado tiene # pares de días completos; se necesitan tres.",
            language.number(value, 0),
        ),
        Reason::BaselineIncomplete(value) => (
            "The baseline has # of its hours; 90 % are needed.",
            "La línea base tiene # de sus horas; se necesita el 90 %.",
            share(value),
        ),
        Reason::ReportingIncomplete(value) => (
            "The reporting period has # of its hours; 90 % are needed.",
            "El periodo de informe tiene # de sus horas; se necesita el 90 %.",
            share(value),
        ),
        Reason::InletShifted(value) => (
            "The inlet temperature shifted by # K, which may have moved the IT load. The saving is one at measured IT load.",
            "La temperatura de entrada cambió # K, lo que puede haber movido la carga de TI. El ahorro es a carga de TI medida.",
            language.number(value, 2),
        ),
        Reason::ItOutsideRange(value) => (
            "In # of the hours the IT load lies outside the baseline's range. The saving is one at measured IT load.",
            "En # de las horas la carga de TI queda fuera del rango de la línea base. El ahorro es a carga de TI medida.",
            share(value),
        ),
        Reason::ModeUnseen(value) => (
            "In # of the hours a declared mode is in a state that the baseline never had.",
            "En # de las horas un modo declarado está en un estado que la línea base nunca tuvo.",
            share(value),
        ),
        Reason::HumiditySensitive(value) => (
            "Noise of the humidity sensor would change the predicted energy by #: the plant runs near a limit of humidity.",
            "El ruido del sensor de humedad cambiaría la energía prevista en #: la planta opera cerca de un límite de humedad.",
            share(value),
        ),
        Reason::DaysUnconfirmed(value) => (
            "Nobody has confirmed # of the days; they count as planned.",
            "Nadie ha confirmado # de los días; cuentan según el plan.",
            share(value),
        ),
        Reason::PlanNotFollowed(value) => (
            "On # of the days the plan was not followed. The headline counts them as planned.",
            "En # de los días no se siguió el plan. La cifra principal los cuenta según el plan.",
            share(value),
        ),
    };
    language.of(english, spanish).replace('#', &value)
}

/// Returns the name of an alternative.
pub(super) fn alternative(alternative: Alternative, language: Language) -> String {
    match alternative {
        Alternative::Candidate(it) => model(it).to_owned(),
        Alternative::LocalLinear => language.of("local regression", "regresión local").to_owned(),
        Alternative::BoostedResidual => language.of("boosted residual", "residuo potenciado").to_owned(),
        Alternative::PerIt => language.of("energy per IT load", "energía por carga de TI").to_owned(),
        Alternative::LogSurface => language.of("logarithmic surface", "superficie logarítmica").to_owned(),
    }
}

/// Returns the name of a model.
pub(super) const fn model(model: Model) -> &'static str {
    match model {
        Model::Surf32 => "surf32",
        Model::Ten => "ten",
        Model::Ten32 => "ten32",
        Model::TenDew => "ten+dew",
    }
}
