//! Documents of both designs.

use mass_domain::savings::Design;
use mass_savings::Standing;

use crate::testing::{crossover, pre_post, report};
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
    let inputs = Inputs { project: &project, hours: &hours, as_of: &as_of, contracts: &[], program: "0.1.0" };
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
