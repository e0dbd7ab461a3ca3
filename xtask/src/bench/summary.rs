//! Many samples as three numbers.

use serde::Serialize;

/// The middle of samples, and what all but a tenth at either end lie within.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Summary {
    pub(super) median: f64,
    pub(super) p10: f64,
    pub(super) p90: f64,
}

impl Summary {
    /// Of at least one sample.
    pub(super) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        Some(Self { median: at(&sorted, 50)?, p10: at(&sorted, 10)?, p90: at(&sorted, 90)? })
    }
}

/// The value that so many hundredths of sorted samples lie below, between two if need be.
fn at(sorted: &[f64], hundredths: usize) -> Option<f64> {
    let scaled = sorted.len().checked_sub(1)? * hundredths;
    let (below, above) = (sorted.get(scaled / 100)?, sorted.get(scaled.div_ceil(100))?);
    let part = f64::from(u8::try_from(scaled % 100).ok()?) / 100.0;
    Some(below + (above - below) * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_samples_does_not_matter() {
        let samples: Vec<_> = (0..=10).rev().map(f64::from).collect();
        let summary = Summary { median: 5.0, p10: 1.0, p90: 9.0 };
        assert_eq!(Summary::of(&samples), Some(summary));
    }

    #[test]
    fn the_middle_of_two_is_between_them() {
        assert_eq!(Summary::of(&[3.0, 1.0]).unwrap().median, 2.0);
        assert_eq!(Summary::of(&[4.0]).unwrap(), Summary { median: 4.0, p10: 4.0, p90: 4.0 });
        assert_eq!(Summary::of(&[]), None);
    }
}
