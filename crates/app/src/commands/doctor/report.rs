//! The findings, for people and for programs.

use std::fmt;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};

/// The state of what was checked, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It is as it should be.
    Ok,
    /// It was not checked.
    Skipped,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work, or is about to stop.
    Failed,
}

/// A finding of a check. A check has one that is good, or any number of others.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    found: String,
    advice: Option<String>,
}

/// The findings of all checks, in their order.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

/// The exit status if a check failed.
const FAILED: u8 = 2;

/// The exit status if there are warnings, and no check failed.
const WARNED: u8 = 3;

impl Report {
    /// Adds that a check found nothing wrong.
    pub(super) fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(check, State::Ok, found.into(), None);
    }

    /// Adds that a check was not made.
    pub(super) fn skip(&mut self, check: &'static str, why: impl Into<String>) {
        self.add(check, State::Skipped, why.into(), None);
    }

    /// Adds a warning, with what to do.
    pub(super) fn warn(&mut self, check: &'static str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(check, State::Warning, found.into(), Some(advice.into()));
    }

    /// Adds a failure, with what to do.
    pub(super) fn fail(&mut self, check: &'static str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(check, State::Failed, found.into(), Some(advice.into()));
    }

    /// Adds that a check found nothing wrong, unless it has found something.
    pub(super) fn ok_unless_found(&mut self, check: &'static str, found: impl Into<String>) {
        if !self.0.iter().any(|finding| finding.check == check) {
            self.ok(check, found);
        }
    }

    fn add(&mut self, check: &'static str, state: State, found: String, advice: Option<String>) {
        self.0.push(Finding { check, state, found, advice });
    }

    fn worst(&self) -> State {
        self.0.iter().map(|finding| finding.state).filter(|state| *state != State::Skipped).max().unwrap_or(State::Ok)
    }

    fn count(&self, state: State) -> usize {
        self.0.iter().filter(|finding| finding.state == state).count()
    }

    /// Returns the exit status, by the worst finding.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self.worst() {
            State::Ok | State::Skipped => ExitCode::SUCCESS,
            State::Warning => ExitCode::from(WARNED),
            State::Failed => ExitCode::from(FAILED),
        }
    }

    /// Returns the findings for programs.
    pub(super) fn json(&self) -> Value {
        json!({ "result": self.worst(), "findings": self.0 })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, state, found, advice } in &self.0 {
            let state = match state {
                State::Ok => "ok",
                State::Skipped => "skipped",
                State::Warning => "WARNING",
                State::Failed => "FAILED",
            };
            writeln!(f, "{state:<8} {check:<14} {found}")?;
            if let Some(advice) = advice {
                writeln!(f, "{:<24}→ {advice}", "")?;
            }
        }
        writeln!(f, "\n{} failed, {} warnings", self.count(State::Failed), self.count(State::Warning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides_and_skipped_checks_do_not() {
        let mut report = Report::default();
        report.skip("engine", "no engine");
        assert_eq!((report.worst(), report.exit_code()), (State::Ok, ExitCode::SUCCESS));
        report.warn("disk", "little is free", "make room");
        report.ok("clock", "the same");
        assert_eq!((report.worst(), report.exit_code()), (State::Warning, ExitCode::from(3)));
        report.fail("trail", "cut", "compare");
        assert_eq!((report.worst(), report.exit_code()), (State::Failed, ExitCode::from(2)));
        let shown = report.to_string();
        assert!(shown.contains("FAILED   trail          cut\n                        → compare\n"), "{shown}");
        assert!(shown.ends_with("1 failed, 1 warnings\n"), "{shown}");
        assert_eq!(report.json()["findings"][1]["state"], "warning");
    }
}
