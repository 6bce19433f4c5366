//! Documents of both designs.

use mass_domain::savings::Design;
use mass_savings::Standing;

use crate::testing::{by_series, crossover, pre_post, priced_report, report};
use crate::{ComposeError, DesignResult, Inputs, InvalidReport, ReportDocument, compose};

#[test]
fn the_same_input_gives_the_same_bytes() {
    for pilot in [pre_post(), crossover()] {
        let text = report(&pilot).text();
        assert_eq!(report(&pilot).text(), text);
        assert!(!text.contains("null,null,null"), "a number was not finite");
    }
}

#[test]
fn documents_survive_being_stored() {
    for pilot in [pre_post(), crossover()] {
        let document = report(&pilot);
        let found = ReportDocument::parse(&document.text()).unwrap();
        assert_eq!(found, document);
        assert_eq!(found.fingerprint(), document.fingerprint());
    }
    let other = report(&crossover()).text().replace("mass-savings-report/1", "mass-savings-report/9");
    assert!(matches!(ReportDocument::parse(&other), Err(InvalidReport::Format(_))));
    assert!(matches!(ReportDocument::parse("{}"), Err(InvalidReport::Form(_))));
}

#[test]
fn a_pre_post_report_has_the_saving_in_all_units() {
    let document = report(&pre_post());
    let figures = document.saving.as_ref().or(document.offer.as_ref()).unwrap();
    assert!((figures.percent - 10.0).abs() < figures.half_width_percent.max(1.0), "{figures:?}");
    assert_eq!(figures.cost.as_ref().unwrap().amount, figures.energy_kwh * 0.1);
    assert_eq!(figures.co2e.unwrap().half_width_kg, figures.half_width_kwh * 0.4);
    let DesignResult::PrePost(result) = &document.result else { unreachable!("{:?}", document.result) };
    assert_eq!((result.weeks.baseline.len(), result.weeks.reporting.len()), (26, 20));
    assert!(result.placebo.is_some() && result.alternatives.len() == 7);
    assert_eq!(document.contracts.len(), 2);
    assert_eq!(document.hours.count, 46 * 168);
}

#[test]
fn a_series_of_prices_gives_the_cost_hour_by_hour() {
    for (mut project, hours) in [pre_post(), crossover()] {
        let fixed = report(&(project.clone(), hours.clone()));
        assert_eq!((fixed.prices, fixed.saving.as_ref().and_then(|it| it.priced)), (None, None));
        let prices = by_series(&mut project, &hours);
        let document = priced_report(&(project.clone(), hours.clone()), &prices);
        let figures = document.saving.clone().or(document.offer.clone()).unwrap();
        let (cost, priced) = (figures.cost.unwrap(), figures.priced.unwrap());
        assert_eq!((cost.currency.as_str(), priced.share), ("EUR", 1.0));
        let mean = cost.amount / figures.energy_kwh;
        assert!((0.12..0.2).contains(&mean), "between the prices, and near their mean: {mean}");
        assert!(cost.half_width > 0.0 && cost.half_width < cost.amount, "{cost:?}");
        assert_eq!(document.prices.as_ref().unwrap().count, hours.len());
        assert_eq!(ReportDocument::parse(&document.text()).unwrap(), document);

        // Another price of one hour is another report.
        let mut others = prices.clone();
        others.last_mut().unwrap().per_kwh += 0.01;
        let other = priced_report(&(project.clone(), hours.clone()), &others);
        assert_ne!(other.prices, document.prices);
        assert_eq!(other.saving.map(|it| it.energy_kwh), document.saving.map(|it| it.energy_kwh));
    }
}

#[test]
fn too_few_prices_name_no_cost() {
    let (mut project, hours) = crossover();
    let prices = by_series(&mut project, &hours);
    let pilot = (project, hours);
    let of = |every: usize| {
        let some: Vec<_> = prices.iter().enumerate().filter(|(at, _)| at % every != 0).map(|(_, it)| *it).collect();
        priced_report(&pilot, &some).saving.unwrap()
    };
    let (many, few) = (of(20), of(2));
    assert!(many.cost.is_some() && (0.93..0.97).contains(&many.priced.unwrap().share), "{many:?}");
    assert!(few.cost.is_none() && (0.4..0.6).contains(&few.priced.unwrap().share), "{few:?}");
    assert_eq!(few.energy_kwh, many.energy_kwh);
}

#[test]
fn a_crossover_report_puts_intention_to_treat_first() {
    let document = report(&crossover());
    assert_eq!(document.verdict.standing, Standing::Claimed);
    let DesignResult::Crossover(result) = &document.result else { unreachable!("{:?}", document.result) };
    let (planned, treated) = (document.saving.as_ref().unwrap(), result.as_treated.as_ref().unwrap());
    assert!(planned.energy_kwh < treated.energy_kwh);
    assert!((treated.percent - 10.0).abs() < 0.5, "{treated:?}");
    assert!(result.redrawn.as_ref().unwrap().as_large < 0.01);
}

#[test]
fn every_input_changes_the_fingerprint() {
    let pilot = crossover();
    let fingerprint = report(&pilot).fingerprint();
    let mut others = [pilot.clone(), pilot.clone(), pilot.clone()];
    others[0].1.remove(100);
    others[1].0.seed += 1;
    others[2].0.confirmations[3].author.push('!');
    for other in others {
        assert_ne!(report(&other).fingerprint(), fingerprint);
    }
}

#[test]
fn a_crossover_needs_its_schedule() {
    let (mut project, hours) = crossover();
    project.schedule = None;
    let as_of = mass_domain::savings::AsOf { sequence: 1, root: String::new() };
    let inputs =
        Inputs { project: &project, hours: &hours, prices: &[], as_of: &as_of, contracts: &[], program: "0.1.0" };
    assert_eq!(compose(&inputs), Err(ComposeError::NoSchedule));
}

#[test]
fn facility_less_it_counts_hours_without_a_facility_as_missing() {
    let (mut project, mut hours) = pre_post();
    project.terms.boundary = mass_domain::savings::Boundary::FacilityLessIt;
    hours[5].facility_kwh = None;
    let document = report(&(project, hours));
    let DesignResult::PrePost(result) = &document.result else { unreachable!("{:?}", document.result) };
    assert_eq!(result.baseline.hours, 26 * 168 - 1);
    assert!(matches!(document.project.terms.design, Design::PrePost { .. }));
}
