//! The method on the pilot of `tests/data/pilots`, whose true saving is known.

#![cfg(test)]

use std::fs::File;
use std::io::Read;
use std::path::Path;

use mass_savings::{
    Boundary, Confirmation, Crossover, Day, Hour, Period, PrePost, Settings, Standing, crossover_report, draw_schedule,
    report,
};

fn hours(kind: &str) -> Vec<Hour> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/pilots");
    let mut text = String::new();
    let file = File::open(folder.join(format!("pilot-own-{kind}.csv.gz"))).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    csv::Reader::from_reader(text.as_bytes())
        .records()
        .map(|record| {
            let record = record.unwrap();
            let number = |column: usize| record[column].parse().unwrap();
            Hour {
                start: record[0].parse::<jiff::Timestamp>().unwrap().as_second() - 3600,
                temperature_c: number(1),
                relative_humidity_percent: number(2),
                pressure_hpa: number(3),
                it_kwh: number(4),
                hvac_kwh: number(6),
                facility_kwh: Some(number(7)),
                inlet_temperature_c: Some(number(8)),
            }
        })
        .collect()
}

fn energy(hours: &[Hour]) -> f64 {
    hours.iter().map(|hour| hour.hvac_kwh).sum()
}

fn span(hours: &[Hour]) -> Period {
    Period { from: hours[0].start, until: hours[hours.len() - 1].start + 3600 }
}

#[test]
fn pre_post_covers_the_truth() {
    let (baseline, retrofit) = (hours("baseline"), hours("retrofit"));
    let settings = Settings {
        boundary: Boundary::Hvac,
        utc_offset_seconds: 0,
        modes: Vec::new(),
        adjustments: Vec::new(),
        seed: 1,
        placebo: false,
    };
    let found = report(&PrePost {
        baseline: &baseline,
        baseline_period: span(&baseline),
        reporting: &retrofit,
        reporting_period: span(&retrofit),
        settings: &settings,
        rates: None,
    })
    .unwrap();
    assert_eq!(found.verdict.standing, Standing::Claimed, "{:?}", found.verdict);
    let saving = found.result.saving.unwrap();
    assert_eq!(saving.hours, retrofit.len(), "all hours are supported");
    let truth = energy(&hours("counterfactual")) - energy(&retrofit);
    let error = (saving.saving_kwh - truth).abs();
    assert!(error <= saving.uncertainty.half_width_kwh && error < 0.05 * truth, "{saving:?} {truth}");
}

#[test]
fn a_crossover_covers_the_truth() {
    let (off, on) = (hours("counterfactual"), hours("retrofit"));
    let first = off[0].start.div_euclid(86_400) + 1;
    let days: Vec<Day> = draw_schedule(first, 28, 3)
        .into_iter()
        .map(|day| Day { confirmation: Some(Confirmation::AsPlanned), ..day })
        .collect();
    let mut saved = 0.0;
    let mut mixed = Vec::new();
    for (off, on) in off.iter().zip(&on) {
        let day = days.iter().find(|day| day.day == off.start.div_euclid(86_400));
        let is_on = day.is_some_and(|day| day.on);
        saved += if is_on { off.hvac_kwh - on.hvac_kwh } else { 0.0 };
        mixed.push(if is_on { *on } else { *off });
    }
    let pilot = Crossover {
        hours: &mixed,
        days: &days,
        boundary: Boundary::Hvac,
        utc_offset_seconds: 0,
        modes: &[],
        washout: false,
        claim: None,
        rates: None,
    };
    let found = crossover_report(&pilot, 1).unwrap();
    assert_eq!(found.verdict.standing, Standing::Claimed, "{:?}", found.verdict);
    let effect = found.evaluation.unwrap().intention_to_treat;
    assert!((effect.saving_kwh - saved).abs() <= effect.half_width_kwh, "{effect:?} {saved}");
    assert!(found.redrawn.unwrap().as_large < 0.05);
}
