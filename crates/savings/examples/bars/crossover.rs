//! The bars of crossovers.

use std::{error::Error, time::Instant};

use mass_savings::{Boundary, Crossover, Day, Hour, draw_schedule, evaluate_crossover, plan};

use crate::data::{Site, median, settings, span};

/// The weeks of a crossover.
const WEEKS: usize = 8;
/// The pilots per site, spread over the year.
const PILOTS: usize = 20;

fn day_of(hour: &Hour) -> i64 {
    hour.start.div_euclid(86400)
}

/// The hours of days with the retrofit on from one series, all others from the other.
fn interleave(site: &Site, days: &[Day], with: bool) -> (Vec<Hour>, f64) {
    let mut saved = 0.0;
    let mut hours = Vec::new();
    for (off, on) in site.counterfactual.iter().zip(&site.retrofit) {
        let Some(day) = days.iter().find(|day| day.day == day_of(off)) else { continue };
        if day.on && with {
            saved += off.hvac_kwh - on.hvac_kwh;
            hours.push(*on);
        } else {
            hours.push(*off);
        }
    }
    (hours, saved)
}

/// Crossovers of eight weeks, and the same without a retrofit (A/A).
pub(crate) fn crossover(sites: &[Site]) -> Result<(), Box<dyn Error>> {
    for site in sites {
        let first = site.counterfactual.first().map_or(0, day_of) + 1;
        let (mut errors, mut halves, mut covered, mut positives) = (Vec::new(), Vec::new(), 0, 0);
        let started = Instant::now();
        for (start, seed) in (0..).step_by(15).zip(0..).take(PILOTS) {
            let days = draw_schedule(first + start, WEEKS * 7 / 2, seed);
            let evaluate = |hours: &[Hour]| {
                evaluate_crossover(&Crossover {
                    hours,
                    days: &days,
                    boundary: Boundary::Hvac,
                    utc_offset_seconds: 0,
                    modes: &[],
                    washout: false,
                    claim: None,
                    rates: None,
                })
            };
            let (hours, saved) = interleave(site, &days, true);
            let effect = evaluate(&hours)?.intention_to_treat;
            let error = effect.saving_kwh - saved;
            errors.push(100.0 * error.abs() / saved.abs());
            halves.push(100.0 * effect.half_width_kwh / saved.abs());
            covered += u32::from(error.abs() <= effect.half_width_kwh);
            let effect = evaluate(&interleave(site, &days, false).0)?.intention_to_treat;
            positives += u32::from(effect.saving_kwh.abs() > effect.half_width_kwh);
        }
        println!(
            "| crossover {} (single zone: {}) | median error {:.2} % | median half-width {:.1} % | covered {covered} of {PILOTS} | A/A false positives {positives} of {PILOTS} | {:.1} s |",
            site.name,
            site.single,
            median(&errors),
            median(&halves),
            started.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

/// The plans of all sites.
pub(crate) fn planner(sites: &[Site]) -> Result<(), Box<dyn Error>> {
    for site in sites {
        let started = Instant::now();
        for row in plan(&site.baseline, span(&site.baseline), &settings(1))? {
            let show = |it: Option<mass_savings::Prediction>| {
                it.map_or("–".into(), |it| {
                    format!("±{:.2} % (≥ {:.2} %)", it.half_width_percent, it.smallest_saving_percent)
                })
            };
            println!(
                "| plan {} | {} weeks | crossover {} | pre/post {} |",
                site.name,
                row.weeks,
                show(row.crossover),
                show(row.pre_post)
            );
        }
        println!("{:.1} s", started.elapsed().as_secs_f64());
    }
    Ok(())
}
