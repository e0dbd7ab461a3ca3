//! What was measured beside what it may be.

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::{
    measures::{MEASURES, Measure, Samples},
    programs::Monitor,
    summary::Summary,
};

/// The whole of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Report {
    /// How often each program was run.
    rounds: usize,
    measures: Vec<Row>,
}

/// One measure.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Row {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    palisade: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    bare_kvm: Option<Summary>,
    /// As a multiple of the bare program's in the same round, the median of all rounds: a host that
    /// changes its pace changes it for both.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_limit: Option<f64>,
    met: bool,
}

impl Row {
    fn of(measure: &Measure, palisade: &[f64], bare: &[f64]) -> Result<Self> {
        let ratios: Vec<_> = palisade.iter().zip(bare).map(|(one, other)| one / other).collect();
        let ratio = Summary::of(&ratios).map(|ratios| ratios.median);
        let palisade = Summary::of(palisade)
            .with_context(|| format!("nothing was measured of {}", measure.title))?;
        let bare_kvm = Summary::of(bare);
        let below = |value: Option<f64>, limit: Option<f64>| match (value, limit) {
            (Some(value), Some(limit)) => value <= limit,
            // A limit that nothing can be compared with is not met.
            (None, Some(_)) => false,
            (_, None) => true,
        };
        Ok(Self {
            id: measure.id,
            title: measure.title,
            unit: measure.unit,
            palisade,
            bare_kvm,
            ratio,
            limit: measure.limit,
            ratio_limit: measure.ratio,
            met: below(Some(palisade.median), measure.limit) && below(ratio, measure.ratio),
        })
    }

    /// What the measure may be at most, in words.
    fn target(&self) -> String {
        let limit = self.limit.map(|limit| format!("{limit} {}", self.unit));
        let ratio = self.ratio_limit.map(|ratio| format!("{ratio} x bare"));
        limit.into_iter().chain(ratio).collect::<Vec<_>>().join(", ")
    }
}

impl Report {
    /// Sums samples up.
    pub(super) fn of(samples: &Samples, rounds: usize) -> Result<Self> {
        let row = |(index, measure): (usize, &Measure)| {
            let of = |monitor| samples.get(index, monitor);
            Row::of(measure, of(Monitor::Palisade), of(Monitor::BareKvm))
        };
        let measures = MEASURES.iter().enumerate().map(row).collect::<Result<_>>()?;
        Ok(Self { rounds, measures })
    }

    /// The titles of measures beyond their limits.
    pub(super) fn missed(&self) -> Vec<&'static str> {
        self.measures.iter().filter(|row| !row.met).map(|row| row.title).collect()
    }

    /// All of it for people.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["", "unit", "palisade", "bare-kvm", "ratio", "at most", ""]);
        for row in &self.measures {
            table.add_row([
                row.title.to_owned(),
                row.unit.to_owned(),
                show(&row.palisade),
                row.bare_kvm.as_ref().map(show).unwrap_or_default(),
                row.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
                row.target(),
                if row.met { "ok" } else { "MISSED" }.to_owned(),
            ]);
        }
        for column in 2..5 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!("{}\n\nMedian (p10 to p90) of {} rounds.\n", table.trim_fmt(), self.rounds)
    }
}

fn show(summary: &Summary) -> String {
    let Summary { median, p10, p90 } = summary;
    format!("{median:.2} ({p10:.2} to {p90:.2})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measures;

    /// Samples that meet every target, but for the changes given.
    fn report(changes: &[(usize, Monitor, f64)]) -> Report {
        let mut samples = Samples::default();
        for (index, _) in MEASURES.iter().enumerate() {
            for monitor in [Monitor::Palisade, Monitor::BareKvm] {
                let value = changes
                    .iter()
                    .find(|(changed, of, _)| (*changed, *of) == (index, monitor))
                    .map_or(1.0, |(_, _, value)| *value);
                samples.add(index, monitor, value);
            }
        }
        Report::of(&samples, 1).unwrap()
    }

    #[test]
    fn what_is_within_its_limits_is_met() {
        assert_eq!(report(&[]).missed(), [""; 0]);
    }

    #[test]
    fn a_limit_and_a_ratio_are_each_enough_to_miss() {
        use Monitor::{BareKvm, Palisade};
        let slow =
            [(measures::FIRST_OUTPUT, Palisade, 5.1), (measures::FIRST_OUTPUT, BareKvm, 4.0)];
        assert_eq!(report(&slow).missed(), ["start to the guest's first byte"]);
        let beside = [(measures::PORT_EXIT, Palisade, 1.06)];
        assert_eq!(report(&beside).missed(), ["a guest's port read"]);
        assert!(report(&beside).table().contains("MISSED"));
    }

    #[test]
    fn a_ratio_is_of_two_samples_of_one_round() {
        let measure = &MEASURES[measures::PORT_EXIT];
        // The host is three times as slow from the second round on.
        let row = Row::of(measure, &[1.0, 3.0, 3.0], &[1.0, 3.0, 2.9]).unwrap();
        assert_eq!(row.ratio, Some(1.0));
        assert!(row.met);
    }

    #[test]
    fn a_ratio_without_a_counterpart_is_not_met() {
        let row = Row::of(&MEASURES[measures::WHOLE_PROCESS], &[1.0], &[]).unwrap();
        assert!(!row.met);
    }

    #[test]
    fn the_constants_are_the_measures_indices() {
        let ids = [
            (measures::FIRST_OUTPUT, "first-output"),
            (measures::WHOLE_PROCESS, "whole-process"),
            (measures::PEAK_MEMORY, "peak-memory"),
            (measures::PORT_EXIT, "port-exit"),
            (measures::MEMORY_EXIT, "memory-exit"),
            (measures::REGISTRY, "registry"),
            (measures::DISPATCH, "dispatch"),
            (measures::POLICY, "policy"),
            (measures::ROUND_TRIP, "round-trip"),
            (measures::ROUND_TRIP_CPU, "round-trip-cpu"),
            (measures::LIST_TYPES, "list-types"),
            (measures::HOTPLUG, "hotplug"),
            (measures::MONITORED_FIRST_OUTPUT, "monitored-output"),
            (measures::MONITORED_PEAK_MEMORY, "monitored-memory"),
        ];
        for (index, id) in ids {
            assert_eq!(MEASURES[index].id, id);
        }
        assert_eq!(ids.len(), MEASURES.len());
    }
}
