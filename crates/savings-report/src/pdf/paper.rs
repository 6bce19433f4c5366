//! The text of a paper.

use mass_domain::canonical::Fingerprint;
use mass_domain::savings::{Boundary, Design, PlanFollowed, Price, PriceSeries, Rate};
use mass_savings::{Effect, PrePostResult, Saving, Standing};

use super::font::Weight;
use super::pages::{BODY, Letters, Pages, QUIET, Rgb, SMALL};
use super::sentences::{alternative, model, reason, standing};
use crate::document::{CrossoverResult, DesignResult, Figures, ReportDocument};
use crate::figure::{DrawError, Figure};
use crate::language::Language;

const STRONG: Letters = Letters { weight: Weight::Bold, ..BODY };
const TITLE: Letters = Letters { size: 20.0, ..STRONG };
const SUBTITLE: Letters = Letters { size: 11.0, color: QUIET, ..BODY };

/// Writes all of a paper.
pub(super) fn write(
    pages: &mut Pages<'_>,
    document: &ReportDocument,
    fingerprint: &Fingerprint,
    note: Option<&str>,
    language: Language,
) -> Result<(), DrawError> {
    let mut paper = Paper { pages, document, language };
    paper.head();
    paper.claim();
    paper.evidence();
    paper.figures()?;
    paper.agreed();
    paper.provenance(fingerprint, note);
    Ok(())
}

struct Paper<'a, 'b> {
    pages: &'a mut Pages<'b>,
    document: &'a ReportDocument,
    language: Language,
}

impl Paper<'_, '_> {
    const fn of<'t>(&self, english: &'t str, spanish: &'t str) -> &'t str {
        self.language.of(english, spanish)
    }

    /// Writes a row of a name and a value.
    fn row(&mut self, (english, spanish): (&str, &str), value: &str) {
        let name = self.language.of(english, spanish);
        self.pages.row(&[(name, 0.46), (value, 0.54)], BODY);
    }

    fn head(&mut self) {
        let terms = &self.document.project.terms;
        self.pages.paragraph(self.language.of("Savings report", "Informe de ahorro"), TITLE);
        let name = format!("{} · {}", terms.name, terms.site_id);
        self.pages.paragraph(&name, SUBTITLE);
        self.pages.space(4.0);
    }

    fn claim(&mut self) {
        let verdict = &self.document.verdict;
        let ground: Rgb = match verdict.standing {
            Standing::Claimed => (34, 112, 64),
            Standing::Indicative => (176, 108, 16),
            Standing::Refused => (158, 40, 40),
        };
        self.pages.banner(standing(verdict.standing, self.language), ground);
        for item in &verdict.reasons {
            self.pages.paragraph(&format!("• {}", reason(*item, self.language)), BODY);
        }
        if let Some(figures) = &self.document.saving {
            self.amounts(figures, self.of("Saving", "Ahorro"));
        }
        if let Some(figures) = &self.document.offer {
            self.amounts(figures, self.of("Offer: the supported hours alone", "Oferta: solo las horas cubiertas"));
        }
        if let DesignResult::Crossover(result) = &self.document.result
            && let Some(figures) = &result.as_treated
        {
            self.amounts(
                figures,
                self.of("As treated, beside the headline", "Según lo aplicado, junto a la cifra principal"),
            );
        }
    }

    fn amounts(&mut self, figures: &Figures, heading: &str) {
        let language = self.language;
        self.pages.heading(heading);
        let energy = language.interval(figures.energy_kwh, figures.half_width_kwh, 0);
        self.pages.row(&[(self.of("energy", "energía"), 0.46), (&format!("{energy} kWh"), 0.54)], STRONG);
        let percent = language.interval(figures.percent, figures.half_width_percent, 2);
        self.row(
            ("share of what would have been used", "parte de lo que se habría consumido"),
            &format!("{percent} %"),
        );
        if let Some(cost) = &figures.cost {
            let amount = language.interval(cost.amount, cost.half_width, 2);
            self.row(("cost", "coste"), &format!("{amount} {}", cost.currency));
        }
        if let Some(priced) = &figures.priced {
            let value = format!(
                "{} ({})",
                language.number(f64::from(u32::try_from(priced.hours).unwrap_or(u32::MAX)), 0),
                language.percent(priced.share, 1)
            );
            self.row(("hours with a price", "horas con precio"), &value);
            if figures.cost.is_none() {
                let note = "Too few hours have a price for a cost to be named: 90 % are needed.";
                let spanish = "Hay demasiado pocas horas con precio para indicar un coste: se necesita el 90 %.";
                self.pages.paragraph(language.of(note, spanish), SMALL);
            }
        }
        if let Some(co2e) = &figures.co2e {
            let mass = language.interval(co2e.kg, co2e.half_width_kg, 0);
            self.row(("greenhouse gases", "gases de efecto invernadero"), &format!("{mass} kg CO₂e"));
        }
        let note = self.of("Intervals at 90 % confidence.", "Intervalos con una confianza del 90 %.");
        self.pages.paragraph(note, SMALL);
    }

    fn evidence(&mut self) {
        self.pages.heading(self.language.of("What the figure rests on", "En qué se apoya la cifra"));
        match &self.document.result {
            DesignResult::PrePost(result) => self.pre_post(result),
            DesignResult::Crossover(result) => self.crossover(result),
        }
    }

    fn pre_post(&mut self, result: &PrePostResult) {
        let language = self.language;
        let share = |value: f64| language.percent(value, 1);
        for (name, it) in [
            (("hours of the baseline", "horas de la línea base"), result.baseline),
            (("hours of the reporting period", "horas del periodo de informe"), result.reporting),
        ] {
            let value = format!(
                "{} ({})",
                language.number(f64::from(u32::try_from(it.hours).unwrap_or(u32::MAX)), 0),
                share(it.share)
            );
            self.row(name, &value);
        }
        if let Some(evidence) = &result.evidence {
            self.row(("energy in supported hours", "energía en horas cubiertas"), &share(evidence.supported_energy));
        }
        if let Some(main) = result.candidates.first() {
            let errors = format!("{} / {}", language.percent(main.cv_rmse, 2), language.percent(main.nmbe, 3));
            self.row(("main model", "modelo principal"), &format!("{}, λ = {}", model(main.model), main.lambda));
            self.row(("CV(RMSE) / NMBE of hours out of sample", "CV(RMSE) / NMBE de horas fuera de muestra"), &errors);
        }
        if let Some(saving) = result.saving.as_ref().or(result.offer.as_ref()) {
            self.sums(saving);
        }
        if let Some(placebo) = &result.placebo {
            let value =
                format!("{} / {} / {}", placebo.supported, share(placebo.coverage), share(placebo.false_savings));
            self.row(
                ("placebo pilots / covered / false savings", "pilotos placebo / cubiertos / falsos ahorros"),
                &value,
            );
        }
        if let Some(band) = &result.it_effect {
            let [measured, expected] = [band.at_measured_kwh, band.at_expected_kwh].map(|it| language.number(it, 0));
            let value = format!("{measured} / {expected} kWh");
            self.row(
                ("predicted at measured / expected IT load", "previsto con carga de TI medida / esperada"),
                &value,
            );
        }
        for total in &result.alternatives {
            let name = alternative(total.alternative, language);
            let names = (format!("alternative: {name}"), format!("alternativa: {name}"));
            let value = format!("{} kWh", language.number(total.predicted_kwh, 0));
            self.row((&names.0, &names.1), &value);
        }
    }

    fn sums(&mut self, saving: &Saving) {
        let language = self.language;
        let energy = |value: f64| format!("{} kWh", language.number(value, 0));
        self.row(("predicted without the retrofit", "previsto sin la reforma"), &energy(saving.predicted_kwh));
        self.row(("non-routine adjustments", "ajustes no rutinarios"), &energy(saving.adjustments_kwh));
        self.row(("measured", "medido"), &energy(saving.measured_kwh));
        let it = saving.uncertainty;
        self.row(("half-width: hold-outs", "semiamplitud: validación"), &energy(it.noise_kwh));
        self.row(("half-width: parameters", "semiamplitud: parámetros"), &energy(it.parameters_kwh));
        self.row(("half-width: choice of the model", "semiamplitud: elección del modelo"), &energy(it.spread_kwh));
        let name = ("ASHRAE Guideline 14, for comparison only", "ASHRAE Guideline 14, solo para comparar");
        self.row(name, &format!("± {}", energy(saving.guideline_14_kwh)));
    }

    fn crossover(&mut self, result: &CrossoverResult) {
        let language = self.language;
        let share = |value: f64| language.percent(value, 1);
        let evidence = &result.evidence;
        self.row(
            ("complete pairs / days", "pares completos / días"),
            &format!("{} / {}", evidence.pairs, evidence.days),
        );
        self.row(("hours of the days", "horas de los días"), &share(evidence.completeness));
        let days = format!("{} / {}", share(evidence.confirmed), share(evidence.off_plan));
        self.row(("days confirmed / off the plan", "días confirmados / fuera del plan"), &days);
        if let Some(it) = &result.evaluation {
            let effect = |it: Effect| format!("{} kWh", language.interval(it.saving_kwh, it.half_width_kwh, 0));
            self.row(("effect on the IT load", "efecto en la carga de TI"), &effect(it.it));
            if let Some(facility) = it.facility {
                self.row(("effect on the facility", "efecto en la instalación"), &effect(facility));
            }
            let errors = format!("{} / {}", language.percent(it.cv_rmse, 2), language.percent(it.nmbe, 3));
            self.row(("CV(RMSE) / NMBE of hours out of sample", "CV(RMSE) / NMBE de horas fuera de muestra"), &errors);
        }
        if let Some(redrawn) = &result.redrawn {
            let name = ("schedules that find as much by chance", "calendarios que hallan tanto por azar");
            self.row(name, &share(redrawn.as_large));
        }
    }

    fn figures(&mut self) -> Result<(), DrawError> {
        self.pages.heading_before(self.language.of("Figures", "Figuras"), 300.0);
        for figure in Figure::ALL {
            let caption = self.caption(figure);
            self.pages.figure(figure, self.document, caption, self.language)?;
        }
        Ok(())
    }

    const fn caption(&self, figure: Figure) -> &'static str {
        let language = self.language;
        match (figure, &self.document.result) {
            (Figure::BeforeAfter, DesignResult::PrePost(_)) => language.of(
                "Measured and predicted energy by week. In the baseline each week is predicted from the others. Adjustments are not shown.",
                "Energía medida y prevista por semana. En la línea base cada semana se predice a partir de las demás. No se muestran los ajustes.",
            ),
            (Figure::BeforeAfter, DesignResult::Crossover(_)) => language.of(
                "Measured energy by day, and what the model expects without the retrofit.",
                "Energía medida por día, y lo que el modelo espera sin la reforma.",
            ),
            (Figure::SupportMap, _) => language.of(
                "Hours by outdoor temperature and IT load. The darker a cell and the larger a dot, the more hours.",
                "Horas por temperatura exterior y carga de TI. Cuanto más oscura la celda y mayor el punto, más horas.",
            ),
            (Figure::Residuals, _) => language.of(
                "Differences between measured and predicted energy over time.",
                "Diferencias entre la energía medida y la prevista a lo largo del tiempo.",
            ),
            (Figure::Placebo, DesignResult::PrePost(_)) => language.of(
                "Savings that the method finds within the baseline, where there were none, with their intervals.",
                "Ahorros que el método halla dentro de la línea base, donde no los hubo, con sus intervalos.",
            ),
            (Figure::Placebo, DesignResult::Crossover(_)) => language.of(
                "Savings that other drawn schedules would have found in the same hours.",
                "Ahorros que otros calendarios sorteados habrían hallado en las mismas horas.",
            ),
        }
    }

    /// Writes what the parties agreed on and recorded.
    fn agreed(&mut self) {
        let project = &self.document.project;
        let terms = &project.terms;
        self.pages.heading(self.language.of("What was agreed", "Lo acordado"));
        let boundary = match terms.boundary {
            Boundary::Hvac => self.of("heating, ventilation and cooling", "calefacción, ventilación y refrigeración"),
            Boundary::FacilityLessIt => self.of("facility less IT load", "instalación menos carga de TI"),
        };
        self.row(("boundary", "límite de medida"), boundary);
        match &terms.design {
            Design::PrePost { baseline, reporting } => {
                self.row(("baseline", "línea base"), &format!("{} – {}", baseline.from, baseline.until));
                self.row(
                    ("reporting period", "periodo de informe"),
                    &format!("{} – {}", reporting.from, reporting.until),
                );
            }
            Design::Crossover { first_day, pairs, .. } => {
                let value = self.of("# pairs of days from", "# pares de días desde").replace('#', &pairs.to_string());
                self.row(("crossover", "ensayo cruzado"), &format!("{value} {first_day}"));
            }
        }
        self.row(("zone", "zona"), &terms.zone);
        if let Some(price) = &terms.price {
            let price = self.price(price);
            self.row(("price of energy", "precio de la energía"), &price);
        }
        for mode in &terms.modes {
            self.row(("declared mode", "modo declarado"), &mode.name);
        }
        for assumption in &terms.assumptions {
            self.row(("assumption", "supuesto"), assumption);
        }
        for it in &project.adjustments {
            let energy = self.language.number(it.kwh, 1);
            let value =
                format!("{energy} kWh, {} – {}: {} ({})", it.period.from, it.period.until, it.reason, it.author);
            self.row(("adjustment", "ajuste"), &value);
        }
        for it in project.confirmations.iter().filter(|it| it.followed != PlanFollowed::Applied) {
            let value = format!("{}: {} ({})", it.day, it.reason.as_deref().unwrap_or("–"), it.author);
            self.row(("day off the plan", "día fuera del plan"), &value);
        }
    }

    /// Writes a price: its amount, or the series that it is.
    fn price(&self, Price { rate, currency }: &Price) -> String {
        let of = match rate {
            Rate::Fixed(per_kwh) => return format!("{per_kwh} {currency}/kWh"),
            Rate::Series(PriceSeries { metric, device_id: Some(device) }) => format!("{metric} · {device}"),
            Rate::Series(PriceSeries { metric, device_id: None }) => metric.clone(),
        };
        format!("{} {of} ({currency}/kWh)", self.of("hour by hour:", "hora a hora:"))
    }

    fn provenance(&mut self, fingerprint: &Fingerprint, note: Option<&str>) {
        let document = self.document;
        self.pages.heading(self.language.of("How to check this report", "Cómo comprobar este informe"));
        let text = self.of(
            "The report follows from the audit trail alone: from the same events the same program computes the same document, to the byte. This paper is made of the document. The note states the fingerprint of the document, and is signed with the key of the audit trail.",
            "El informe se deduce solo del registro de auditoría: de los mismos eventos el mismo programa calcula el mismo documento, byte a byte. Este papel se hace a partir del documento. La nota declara la huella del documento y está firmada con la clave del registro de auditoría.",
        );
        self.pages.paragraph(text, BODY);
        self.row(("fingerprint of the report", "huella del informe"), &fingerprint.to_string());
        let version = format!("{} · {}", document.project.id, document.project.version);
        self.row(("project and its version", "proyecto y su versión"), &version);
        self.row(("fingerprint of the project", "huella del proyecto"), &document.project_fingerprint);
        self.row(("events of the trail", "eventos del registro"), &document.as_of.sequence.to_string());
        self.row(("root of the trail", "raíz del registro"), &document.as_of.root);
        self.row(
            ("hours and their fingerprint", "horas y su huella"),
            &format!("{} · {}", document.hours.count, document.hours.fingerprint),
        );
        if let Some(prices) = &document.prices {
            let value = format!("{} · {}", prices.count, prices.fingerprint);
            self.row(("prices and their fingerprint", "precios y su huella"), &value);
        }
        let contracts: Vec<String> =
            document.contracts.iter().map(|it| format!("{} {}", it.name, it.version)).collect();
        self.row(("contracts", "contratos"), &contracts.join(", "));
        self.row(("seed", "semilla"), &document.parameters.seed.to_string());
        if let Some(schedule) = &document.project.schedule {
            let value = format!("{} · {}", schedule.seed, schedule.drawn_at);
            self.row(
                ("seed of the schedule, and when it was drawn", "semilla del calendario y cuándo se sorteó"),
                &value,
            );
        }
        self.row(("program", "programa"), &document.program);
        if let Some(note) = note {
            self.pages.space(4.0);
            self.pages.paragraph(self.language.of("Signed note", "Nota firmada"), STRONG);
            self.pages.paragraph(note.trim_end(), SMALL);
        }
    }
}
