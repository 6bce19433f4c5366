//! The summary of an import: the number of records per outcome, and the first warning of each kind.

use std::collections::BTreeMap;
use std::path::Path;

use mass_domain::validation::Warning;
use serde_json::{Value, json};

use super::outcome::ImportOutcome;
use crate::terminal::visible_line;

/// The number of kinds of warnings that are shown; all warnings are stored with their records.
const KINDS: usize = 10;

/// Counts the outcomes of records.
#[derive(Debug, Default)]
pub(super) struct ImportSummary {
    read: u64,
    accepted: u64,
    corrections: u64,
    duplicates: u64,
    refused: u64,
    warnings: Warnings,
    /// True if nothing was stored.
    is_dry_run: bool,
}

#[derive(Debug, Default)]
struct Warnings {
    count: u64,
    /// The number of records with warnings.
    records: u64,
    /// The number of warnings per code.
    codes: BTreeMap<String, u64>,
    /// The first kinds, in the order of their first warnings.
    kinds: Vec<Kind>,
}

/// The warnings with the same code about the same member.
#[derive(Debug)]
struct Kind {
    count: u64,
    /// The line of the first record.
    line: u64,
    /// The first warning.
    first: Warning,
}

impl ImportSummary {
    /// Begins to count the records of an import or of a dry run.
    pub(super) fn new(is_dry_run: bool) -> Self {
        Self { is_dry_run, ..Self::default() }
    }

    /// Counts the record of a line.
    pub(super) fn count(&mut self, line: u64, outcome: &ImportOutcome) {
        self.read += 1;
        let (count, warnings) = match outcome {
            ImportOutcome::Accepted(warnings) => (&mut self.accepted, warnings.as_slice()),
            ImportOutcome::Correction(warnings) => (&mut self.corrections, warnings.as_slice()),
            ImportOutcome::Duplicate(warnings) => (&mut self.duplicates, warnings.as_slice()),
            ImportOutcome::Refused(_) => (&mut self.refused, [].as_slice()),
        };
        *count += 1;
        self.warnings.add(line, warnings);
    }

    /// Adds the counts of a file. Its warnings are only counted, because their lines are in another file.
    pub(super) fn add(&mut self, file: &Self) {
        self.read += file.read;
        self.accepted += file.accepted;
        self.corrections += file.corrections;
        self.duplicates += file.duplicates;
        self.refused += file.refused;
        self.warnings.count += file.warnings.count;
        self.warnings.records += file.warnings.records;
        for (code, count) in &file.warnings.codes {
            *self.warnings.codes.entry(code.clone()).or_default() += count;
        }
    }

    /// Returns true if no record has an outcome.
    pub(super) const fn is_empty(&self) -> bool {
        self.read == 0
    }

    /// Describes how much is stored, for an import that ends early; `None` if nothing was stored by it.
    pub(super) fn safe(&self) -> Option<String> {
        let stored = self.accepted + self.corrections + self.duplicates;
        (stored > 0 && !self.is_dry_run).then(|| {
            format!(
                "{} records are safe. Run the same command again to go on: records that are stored count as duplicates",
                grouped(stored)
            )
        })
    }

    /// Returns true if a record was stored that was not stored before.
    pub(super) const fn has_stored(&self) -> bool {
        self.accepted + self.corrections > 0 && !self.is_dry_run
    }

    /// Returns true if a record was refused.
    pub(super) const fn has_refused(&self) -> bool {
        self.refused > 0
    }

    /// Formats the numbers so far, for a progress bar.
    pub(super) fn progress(&self) -> String {
        format!("{} records, {} refused", grouped(self.read), grouped(self.refused))
    }

    /// Formats the summary for people.
    pub(super) fn text(&self, rejected: Option<&Path>) -> String {
        let [read, accepted, duplicates, refused] =
            [self.read, self.accepted, self.duplicates, self.refused].map(grouped);
        let corrections = match self.corrections {
            0 => String::new(),
            count => format!("{} corrections, ", grouped(count)),
        };
        let hint = rejected.map_or_else(String::new, |path| {
            let path = path.display().to_string();
            format!("Refused records, with reasons: {}   (mend and import that file)\n", visible_line(&path))
        });
        let numbers = if self.is_dry_run {
            format!("{read} read, {accepted} valid, {refused} refused; nothing was stored")
        } else {
            format!("{read} read, {accepted} accepted, {corrections}{duplicates} duplicates, {refused} refused")
        };
        let stored = if self.is_dry_run || self.warnings.count == 0 {
            ""
        } else {
            "Each record is stored with its warnings; GET /v1/mass-requests/{id} shows them.\n"
        };
        format!("{numbers}\n{hint}{}{stored}", self.warnings.text())
    }

    /// Formats the numbers alone, for people.
    pub(super) fn numbers(&self) -> String {
        let text = self.text(None);
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// Converts the summary to JSON.
    pub(super) fn json(&self, rejected: Option<&Path>) -> Value {
        let Self { read, accepted, corrections, duplicates, refused, warnings, is_dry_run } = self;
        let first = warnings.kinds.iter().map(|Kind { count, line, first }| {
            let Warning { pointer, code, detail } = first;
            json!({"line": line, "pointer": pointer, "code": code, "detail": detail, "count": count})
        });
        json!({
            "dry_run": is_dry_run, "read": read, "accepted": accepted, "corrections": corrections, "duplicates": duplicates, "refused": refused,
            "rejected_file": rejected,
            "warnings": {
                "count": warnings.count, "records": warnings.records, "codes": warnings.codes,
                "first": first.collect::<Vec<_>>(),
            },
        })
    }
}

impl Warnings {
    fn add(&mut self, line: u64, warnings: &[Warning]) {
        self.records += u64::from(!warnings.is_empty());
        for warning in warnings {
            self.count += 1;
            *self.codes.entry(warning.code.clone()).or_default() += 1;
            let is_alike = |kind: &Kind| kind.first.code == warning.code && kind.first.pointer == warning.pointer;
            let has_room = self.kinds.len() < KINDS;
            if let Some(kind) = self.kinds.iter_mut().find(|kind| is_alike(kind)) {
                kind.count += 1;
            } else if has_room {
                self.kinds.push(Kind { count: 1, line, first: warning.clone() });
            }
        }
    }

    fn text(&self) -> String {
        if self.count == 0 {
            return String::new();
        }
        let codes: Vec<_> = self.codes.iter().map(|(code, count)| format!("{} {code}", grouped(*count))).collect();
        let mut text = format!("Warnings: {} (records: {})\n", codes.join(", "), grouped(self.records));
        for Kind { count, line, first: Warning { pointer, detail, .. } } in &self.kinds {
            let times = if *count > 1 { format!(" ({} times)", grouped(*count)) } else { String::new() };
            text += &visible_line(&format!("  line {line}: {pointer}: {detail}{times}"));
            text.push('\n');
        }
        let shown: u64 = self.kinds.iter().map(|kind| kind.count).sum();
        if self.count > shown && !self.kinds.is_empty() {
            text += &format!("  and {} of other kinds\n", grouped(self.count - shown));
        }
        text
    }
}

/// Formats a number with thousands separators.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_reads_as_documented() {
        let summary = ImportSummary { read: 8706, accepted: 7743, refused: 963, ..ImportSummary::default() };
        assert_eq!(summary.text(None), "8,706 read, 7,743 accepted, 0 duplicates, 963 refused\n");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(0), "0");
    }

    #[test]
    fn shows_the_first_warning_of_each_kind_and_counts_all() {
        let warning = |pointer: &str, code: &str, detail: &str| Warning {
            pointer: pointer.to_owned(),
            code: code.to_owned(),
            detail: detail.to_owned(),
        };
        let mut summary = ImportSummary::default();
        let both = vec![warning("/a", "odd", "Odd.\u{1b}"), warning("/a", "old", "Old.")];
        summary.count(2, &ImportOutcome::Accepted(both));
        (3..9).for_each(|line| {
            summary.count(line, &ImportOutcome::Duplicate(vec![warning("/a", "odd", "Odder.")]));
        });
        summary.count(9, &ImportOutcome::Accepted(vec![warning("/b", "odd", "Odd.")]));
        let expected = [
            "Warnings: 8 odd, 1 old (records: 8)",
            "  line 2: /a: Odd.\\u001b (7 times)",
            "  line 2: /a: Old.",
            "  line 9: /b: Odd.",
        ];
        assert_eq!(summary.text(None).lines().skip(1).take(4).collect::<Vec<_>>(), expected);

        let many: Vec<Warning> = (0..30).map(|number| warning(&format!("/{number}"), "odd", "Odd.")).collect();
        let mut summary = ImportSummary::default();
        summary.count(1, &ImportOutcome::Accepted(many));
        let text = summary.text(None);
        assert_eq!(text.lines().filter(|line| line.starts_with("  line 1: ")).count(), KINDS);
        assert!(text.contains("\n  and 20 of other kinds\n"), "{text}");
    }
}
