//! Measures the method on sites whose true saving is known, and prints the table of the bars.
//!
//! `cargo run --release -p mass-savings --example bars -- FOLDER [STEP…]`, where the folder holds
//! `pilot-SITE-{baseline,retrofit,counterfactual}.csv` or `.csv.gz`, and a step is one of `years`, `noise`, `placebo`,
//! `crossover`, `cost`, `planner` (all, if none is named), or `site=SITE` for one site alone.
#![expect(clippy::print_stdout, reason = "a table for people is what it makes")]

mod crossover;
mod data;
mod prepost;

use std::{error::Error, path::Path};

/// The sites, and whether each has a single zone whose plant hides no state.
pub(crate) const SITES: [(&str, bool); 4] =
    [("tampa", true), ("midatlantic", false), ("stockholm_wse", false), ("pittsburgh_sched", false)];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("expected the folder of the data as the first argument")?;
    let (chosen, steps): (Vec<String>, Vec<String>) = arguments.partition(|it| it.starts_with("site="));
    let wanted = |step: &str| steps.is_empty() || steps.iter().any(|it| it == step);
    let sites: Vec<data::Site> = SITES
        .iter()
        .filter(|(name, _)| chosen.is_empty() || chosen.iter().any(|it| it.strip_prefix("site=") == Some(name)))
        .map(|(name, single)| data::Site::read(Path::new(&folder), name, *single))
        .collect::<Result<_, _>>()?;
    if wanted("years") {
        prepost::years(&sites)?;
    }
    if wanted("noise") {
        prepost::noise(&sites)?;
    }
    if wanted("placebo") {
        prepost::placebo(&sites)?;
    }
    if wanted("crossover") {
        crossover::crossover(&sites)?;
    }
    if wanted("cost") {
        prepost::cost(&sites)?;
    }
    if wanted("planner") {
        crossover::planner(&sites)?;
    }
    Ok(())
}
