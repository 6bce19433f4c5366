//! The bars of pre/post pilots.

use std::{collections::BTreeMap, error::Error, time::Instant};

use mass_savings::{Hour, PrePost, Report, Saving, Scope, Standing, placebo_pilot, report};

use crate::data::{Noise, Site, mean, median, settings, span};

/// The result of a trial.
struct Trial {
    error_percent: f64,
    half_percent: f64,
    covered: bool,
}

/// The true saving over the hours of a report's scope. Partial scopes are told by the hours themselves: the report
/// sums the measured energy over them, so the truth comes from a report on the counterfactual.
fn trial(
    baseline: &[Hour],
    reporting: &[Hour],
    without: &[Hour],
    seed: u64,
) -> Result<(Report, Option<Trial>), Box<dyn Error>> {
    let settings = settings(seed);
    let of = |hours: &[Hour]| -> Result<Report, Box<dyn Error>> {
        Ok(report(&PrePost {
            baseline,
            baseline_period: span(baseline),
            reporting: hours,
            reporting_period: span(hours),
            settings: &settings,
            rates: None,
        })?)
    };
    let found = of(reporting)?;
    let Some(saving) = found.result.saving.or(found.result.offer) else { return Ok((found, None)) };
    let truth = match saving.scope {
        Scope::All => energy(without) - energy(reporting),
        Scope::Supported => {
            // The same inputs but for the measured energy, so the same hours are supported.
            let swapped: Vec<Hour> =
                reporting.iter().zip(without).map(|(hour, other)| Hour { hvac_kwh: other.hvac_kwh, ..*hour }).collect();
            let other = of(&swapped)?;
            other.result.saving.or(other.result.offer).map_or(f64::NAN, |it: Saving| it.measured_kwh)
                - saving.measured_kwh
        }
    };
    let error = saving.saving_kwh - truth;
    let half = saving.uncertainty.half_width_kwh;
    let trial = Trial {
        error_percent: 100.0 * error / truth.abs(),
        half_percent: 100.0 * half / truth.abs(),
        covered: error.abs() <= half,
    };
    Ok((found, Some(trial)))
}

fn energy(hours: &[Hour]) -> f64 {
    hours.iter().map(|hour| hour.hvac_kwh).sum()
}

fn print(name: &str, report: &Report, trial: Option<&Trial>, seconds: f64) {
    let part = |value: f64, saving: &Saving| 100.0 * value / saving.predicted_kwh;
    let main = report.result.candidates.first();
    let saving = report.result.saving.or(report.result.offer);
    println!(
        "| {name} | {:?} | {:.2} | {:.3} | {} | {} | {} | {:.1} s |",
        main.map(|it| it.model),
        main.map_or(f64::NAN, |it| 100.0 * it.cv_rmse),
        report.result.evidence.map_or(f64::NAN, |it| it.supported_energy),
        trial.map_or("–".into(), |it| format!("{:+.2} | {:.1} | {}", it.error_percent, it.half_percent, it.covered)),
        saving.map_or("–".into(), |it| {
            let u = it.uncertainty;
            format!("{:.2} {:.2} {:.2}", part(u.noise_kwh, &it), part(u.parameters_kwh, &it), part(u.spread_kwh, &it))
        }),
        report.verdict.reasons.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>().join(", "),
        seconds,
    );
    if std::env::args().any(|it| it == "detail") {
        println!("  {:?}", report.result.evidence);
        println!("  {:?}", report.result.candidates);
        println!("  {:?} {:?}", report.result.alternatives, saving);
    }
}

/// Full year to full year, forward and reverse.
pub(crate) fn years(sites: &[Site]) -> Result<(), Box<dyn Error>> {
    println!(
        "| site, direction | main | CV % | support | error % | half-width % | covered | noise, B, D % of use | reasons | time |"
    );
    let mut trials = Vec::new();
    for site in sites {
        let directions = [
            ("forward", &site.baseline, &site.retrofit, &site.counterfactual),
            // Trained on the year with the retrofit and set against the same plant without: the true saving is negative.
            ("reverse", &site.counterfactual, &site.baseline, &site.baseline),
        ];
        for (name, before, after, without) in directions {
            let started = Instant::now();
            let (after, without): (Vec<Hour>, Vec<Hour>) =
                if name == "reverse" { reverse(site) } else { (after.clone(), without.clone()) };
            let (report, trial) = trial(before, &after, &without, 1)?;
            print(&format!("{} {name}", site.name), &report, trial.as_ref(), started.elapsed().as_secs_f64());
            trials.extend(trial);
        }
    }
    summary("years", &trials);
    Ok(())
}

/// The reverse direction: a model of year 2 without the retrofit predicts year 1, from which the same relative saving,
/// hour by hour, is taken as in year 2.
fn reverse(site: &Site) -> (Vec<Hour>, Vec<Hour>) {
    let share = energy(&site.retrofit) / energy(&site.counterfactual);
    let after = site.baseline.iter().map(|hour| Hour { hvac_kwh: hour.hvac_kwh * share, ..*hour }).collect();
    (after, site.baseline.clone())
}

fn summary(name: &str, trials: &[Trial]) {
    let errors: Vec<f64> = trials.iter().map(|it| it.error_percent.abs()).collect();
    let halves: Vec<f64> = trials.iter().map(|it| it.half_percent).collect();
    println!(
        "{name}: covered {} of {}, median error {:.2} %, median half-width {:.1} %",
        trials.iter().filter(|it| it.covered).count(),
        trials.len(),
        median(&errors),
        median(&halves)
    );
}

/// Noise and gaps, on several seeds.
pub(crate) fn noise(sites: &[Site]) -> Result<(), Box<dyn Error>> {
    for site in sites {
        let mut trials = Vec::new();
        for seed in 0..6 {
            let started = Instant::now();
            let mut noise = Noise::new(seed);
            let before = noise.disturb(&site.baseline);
            let after = noise.disturb(&site.retrofit);
            let counterfactual: BTreeMap<i64, f64> =
                site.counterfactual.iter().map(|hour| (hour.start, hour.hvac_kwh)).collect();
            let retrofit: BTreeMap<i64, f64> = site.retrofit.iter().map(|hour| (hour.start, hour.hvac_kwh)).collect();
            // The truth is free of noise: what the hours that were kept would have used without the retrofit, beside
            // what they used with it.
            let without: Vec<Hour> = after
                .iter()
                .map(|hour| {
                    let saved = counterfactual[&hour.start] - retrofit[&hour.start];
                    Hour { hvac_kwh: hour.hvac_kwh + saved, ..*hour }
                })
                .collect();
            let (report, trial) = trial(&before, &after, &without, seed)?;
            print(&format!("{} noise {seed}", site.name), &report, trial.as_ref(), started.elapsed().as_secs_f64());
            trials.extend(trial);
        }
        let bias = mean(&trials.iter().map(|it| it.error_percent).collect::<Vec<_>>());
        println!("mean error {bias:+.2} %");
        summary(&format!("{} noise (single zone: {})", site.name, site.single), &trials);
    }
    Ok(())
}

/// The time of a whole report with its placebo battery, and whether it repeats byte by byte.
pub(crate) fn cost(sites: &[Site]) -> Result<(), Box<dyn Error>> {
    for site in sites {
        let settings = mass_savings::Settings { placebo: true, ..settings(1) };
        let pilot = PrePost {
            baseline: &site.baseline,
            baseline_period: span(&site.baseline),
            reporting: &site.retrofit,
            reporting_period: span(&site.retrofit),
            settings: &settings,
            rates: None,
        };
        let started = Instant::now();
        let first = report(&pilot)?;
        let seconds = started.elapsed().as_secs_f64();
        let same = serde_json::to_vec(&first)? == serde_json::to_vec(&report(&pilot)?)?;
        let placebo = first.result.placebo.map(|it| (it.pilots.len(), it.supported, it.coverage, it.false_savings));
        println!("| cost {} | {seconds:.1} s | same bytes: {same} | placebo battery: {placebo:?} |", site.name);
    }
    Ok(())
}

/// Placebo pilots over both years without the retrofit.
pub(crate) fn placebo(sites: &[Site]) -> Result<(), Box<dyn Error>> {
    const WEEKS: [i64; 6] = [4, 8, 12, 20, 26, 52];
    let (mut all, mut covered) = (0, 0);
    for site in sites {
        let mut hours = site.baseline.clone();
        // Year 2 of some simulations is a leap year; year 1 ends where it starts.
        hours.extend(site.counterfactual.iter().filter(|hour| hour.start >= span(&site.baseline).until));
        let period = span(&hours);
        let weeks = (period.until - period.from) / (7 * 86400);
        let mut noise = Noise::new(11);
        let (mut site_all, mut site_covered, mut refused) = (0, 0, 0);
        let mut halves = Vec::new();
        for n in WEEKS {
            for m in WEEKS {
                let repeats = if n <= 12 { 8 } else { 2 };
                for _ in 0..repeats {
                    let room = u32::try_from(weeks - n - m).map_or(0.0, f64::from);
                    let first = period.from + whole(noise.unit() * (room + 1.0), weeks - n - m) * 7 * 86400;
                    let found = placebo_pilot(&hours, first, n, m, &settings(1))?;
                    match found.and_then(|it| {
                        if it.standing == Standing::Refused { None } else { it.covers().zip(it.half_width_percent) }
                    }) {
                        Some((covers, half)) => {
                            site_all += 1;
                            site_covered += u32::from(covers);
                            halves.push(half);
                        }
                        None => refused += 1,
                    }
                }
            }
        }
        println!(
            "| placebo {} | covered {site_covered} of {site_all} ({:.1} %) | refused {refused} | median half-width {:.2} % of use |",
            site.name,
            100.0 * f64::from(site_covered) / f64::from(site_all.max(1)),
            median(&halves)
        );
        all += site_all;
        covered += site_covered;
    }
    println!("placebo: covered {covered} of {all} ({:.1} %)", 100.0 * f64::from(covered) / f64::from(all.max(1)));
    Ok(())
}

/// The whole part of a number, at most `most`.
fn whole(value: f64, most: i64) -> i64 {
    (0..=most).rev().find(|it| u32::try_from(*it).map_or(0.0, f64::from) <= value).unwrap_or(0)
}
