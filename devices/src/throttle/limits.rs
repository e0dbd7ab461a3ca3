//! What a user says of the limits of a group: QEMU's `ThrottleLimits`.

use device_model::qom_core::{PropertyType, Value, ValueError, ValueType};
use thiserror::Error;

/// The greatest number of any limit. Those above mean nothing to a host of today, and the sums of
/// those below never come near what a number can hold.
pub const GREATEST: u64 = 1_000_000_000_000_000;

/// One limit, in units a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run; 0 for no limit.
    pub average: u64,
    /// In bursts; 0 for what the average allows in a tenth of a second, at once.
    pub burst: u64,
    /// How long a burst may last, in seconds.
    pub burst_seconds: u64,
}

impl Rate {
    /// No limit.
    pub const NONE: Self = Self { average: 0, burst: 0, burst_seconds: 1 };
}

/// What a limit is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes in both directions together.
    BytesTotal,
    /// Bytes to the guest.
    BytesRead,
    /// Bytes from the guest.
    BytesWrite,
    /// Operations in both directions together.
    OperationsTotal,
    /// Operations that read.
    OperationsRead,
    /// Operations that write.
    OperationsWrite,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::BytesTotal,
        Self::BytesRead,
        Self::BytesWrite,
        Self::OperationsTotal,
        Self::OperationsRead,
        Self::OperationsWrite,
    ];

    /// Names of the average, the burst and its length, for users.
    #[must_use]
    pub const fn names(self) -> [&'static str; 3] {
        match self {
            Self::BytesTotal => ["bps-total", "bps-total-max", "bps-total-max-length"],
            Self::BytesRead => ["bps-read", "bps-read-max", "bps-read-max-length"],
            Self::BytesWrite => ["bps-write", "bps-write-max", "bps-write-max-length"],
            Self::OperationsTotal => ["iops-total", "iops-total-max", "iops-total-max-length"],
            Self::OperationsRead => ["iops-read", "iops-read-max", "iops-read-max-length"],
            Self::OperationsWrite => ["iops-write", "iops-write-max", "iops-write-max-length"],
        }
    }

    const fn is_of_operations(self) -> bool {
        matches!(self, Self::OperationsTotal | Self::OperationsRead | Self::OperationsWrite)
    }
}

/// Name of [`Limits::operation_size`] for users.
pub const OPERATION_SIZE: &str = "iops-size";

/// All limits of a group. Those that it has do not contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In the order of [`Kind::ALL`].
    rates: [Rate; 6],
    /// Bytes that count as one operation; a larger one counts as several. 0: each counts once.
    operation_size: u64,
}

impl Default for Limits {
    /// No limits.
    fn default() -> Self {
        Self { rates: [Rate::NONE; 6], operation_size: 0 }
    }
}

/// Why limits can't be had together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LimitsError {
    /// A number that is too great.
    #[error("expects numbers up to {GREATEST}, got '{name}' of {value}")]
    TooGreat {
        /// Which.
        name: &'static str,
        /// What it was.
        value: u64,
    },
    /// One limit for both directions, and one for each.
    #[error(
        "has '{total}' for both directions together and '{single}' for one: expected one or the \
         other"
    )]
    TotalAndSingle {
        /// That of both.
        total: &'static str,
        /// That of one.
        single: &'static str,
    },
    /// Bursts of something that has no limit.
    #[error("has '{burst}', which needs '{average}'")]
    BurstWithoutAverage {
        /// The burst.
        burst: &'static str,
        /// What it lacks.
        average: &'static str,
    },
    /// Bursts that are slower than the average.
    #[error("expects '{burst}' to be no less than '{average}', got {value} and {least}")]
    BurstBelowAverage {
        /// The burst.
        burst: &'static str,
        /// The average.
        average: &'static str,
        /// Of the burst.
        value: u64,
        /// Of the average.
        least: u64,
    },
    /// A length of nothing.
    #[error("has '{length}' without '{burst}', whose length it would be")]
    LengthWithoutBurst {
        /// The length.
        length: &'static str,
        /// What it lacks.
        burst: &'static str,
    },
    /// A burst that never is.
    #[error("expects '{0}' to be at least 1 second, got 0")]
    NoLength(&'static str),
    /// More in one burst than can be counted.
    #[error("expects '{burst}' times '{length}' to be at most {GREATEST}")]
    BurstTooLarge {
        /// The burst.
        burst: &'static str,
        /// Its length.
        length: &'static str,
    },
    /// The size of operations that nobody counts.
    #[error("has '{OPERATION_SIZE}', which needs a limit of operations")]
    SizeWithoutOperations,
}

impl Limits {
    /// Limits from their numbers by name; what is not given is no limit.
    ///
    /// # Errors
    /// If they contradict each other.
    pub fn of(given: impl Fn(&'static str) -> Option<u64>) -> Result<Self, LimitsError> {
        let mut limits = Self::default();
        for (kind, rate) in Kind::ALL.into_iter().zip(&mut limits.rates) {
            let [average, burst, length] = kind.names();
            let number = |name| given(name).unwrap_or_default();
            *rate = Rate {
                average: number(average),
                burst: number(burst),
                burst_seconds: given(length).unwrap_or(Rate::NONE.burst_seconds),
            };
        }
        limits.operation_size = given(OPERATION_SIZE).unwrap_or_default();
        limits.check()?;
        Ok(limits)
    }

    fn check(&self) -> Result<(), LimitsError> {
        for (name, value) in self.numbers() {
            if value > GREATEST {
                return Err(LimitsError::TooGreat { name, value });
            }
        }
        for (total, singles) in [
            (Kind::BytesTotal, [Kind::BytesRead, Kind::BytesWrite]),
            (Kind::OperationsTotal, [Kind::OperationsRead, Kind::OperationsWrite]),
        ] {
            for single in singles {
                self.check_exclusive(total, single)?;
            }
        }
        for kind in Kind::ALL {
            check_rate(kind, self.rate(kind))?;
        }
        let counts =
            Kind::ALL.iter().any(|kind| kind.is_of_operations() && self.rate(*kind).average > 0);
        if self.operation_size > 0 && !counts {
            return Err(LimitsError::SizeWithoutOperations);
        }
        Ok(())
    }

    fn check_exclusive(&self, total: Kind, single: Kind) -> Result<(), LimitsError> {
        let (both, one) = (self.rate(total), self.rate(single));
        let names = |at: usize| LimitsError::TotalAndSingle {
            total: total.names()[at],
            single: single.names()[at],
        };
        if both.average > 0 && one.average > 0 {
            return Err(names(0));
        }
        if both.burst > 0 && one.burst > 0 {
            return Err(names(1));
        }
        Ok(())
    }

    /// One of them.
    #[must_use]
    pub const fn rate(&self, kind: Kind) -> &Rate {
        let [bytes_total, bytes_read, bytes_write, total, read, write] = &self.rates;
        match kind {
            Kind::BytesTotal => bytes_total,
            Kind::BytesRead => bytes_read,
            Kind::BytesWrite => bytes_write,
            Kind::OperationsTotal => total,
            Kind::OperationsRead => read,
            Kind::OperationsWrite => write,
        }
    }

    /// Bytes that count as one operation; 0 if each counts once.
    #[must_use]
    pub const fn operation_size(&self) -> u64 {
        self.operation_size
    }

    /// Every number, by name.
    pub fn numbers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let rates = Kind::ALL.into_iter().zip(self.rates);
        rates
            .flat_map(|(kind, rate)| {
                let [average, burst, length] = kind.names();
                [(average, rate.average), (burst, rate.burst), (length, rate.burst_seconds)]
            })
            .chain([(OPERATION_SIZE, self.operation_size)])
    }
}

fn check_rate(kind: Kind, rate: &Rate) -> Result<(), LimitsError> {
    let [average, burst, length] = kind.names();
    if rate.burst_seconds == 0 {
        return Err(LimitsError::NoLength(length));
    }
    if rate.burst == 0 {
        return match rate.burst_seconds {
            1 => Ok(()),
            _ => Err(LimitsError::LengthWithoutBurst { length, burst }),
        };
    }
    if rate.average == 0 {
        return Err(LimitsError::BurstWithoutAverage { burst, average });
    }
    if rate.burst < rate.average {
        let (value, least) = (rate.burst, rate.average);
        return Err(LimitsError::BurstBelowAverage { burst, average, value, least });
    }
    if rate.burst.checked_mul(rate.burst_seconds).is_none_or(|size| size > GREATEST) {
        return Err(LimitsError::BurstTooLarge { burst, length });
    }
    Ok(())
}

/// An object with a number for each limit that there is to be. One that is changed has no others:
/// what is left out is no limit any more.
impl PropertyType for Limits {
    fn value_type() -> ValueType {
        ValueType::plain("ThrottleLimits")
    }

    /// In text, numbers may be words as well: so the options `limits.iops-total=5` and the like come.
    fn from_text(text: &str) -> Result<Self, ValueError> {
        read(&Value::from_text(text)?, |value| match value.as_str() {
            Some(word) => u64::from_text(word).ok(),
            None => value.as_u64(),
        })
    }

    fn from_json(value: &Value) -> Result<Self, ValueError> {
        read(value, Value::as_u64)
    }

    fn to_json(&self) -> Value {
        self.numbers().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
    }
}

/// Limits from the members of an object, each of which is a `number`.
fn read(value: &Value, number: impl Fn(&Value) -> Option<u64>) -> Result<Limits, ValueError> {
    let members = value.as_object().ok_or_else(|| ValueError::Type {
        expected: "an object of limits",
        given: value.to_string(),
    })?;
    for (name, value) in members {
        if !Limits::default().numbers().any(|(known, _)| known == name) {
            return Err(ValueError::Refused(format!("has no limit '{name}'")));
        }
        if number(value).is_none() {
            let text = format!("expects '{name}' to be an integer from 0, got '{value}'");
            return Err(ValueError::Refused(text));
        }
    }
    Limits::of(|name| number(members.get(name)?))
        .map_err(|error| ValueError::Refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn refused(value: &Value, text: &str) {
        assert_eq!(Limits::from_json(value).unwrap_err().to_string(), text, "{value}");
    }

    #[test]
    fn what_is_left_out_is_no_limit() {
        let limits = Limits::from_json(&json!({"iops-total": 100, "iops-total-max": 200})).unwrap();
        let rate = Rate { average: 100, burst: 200, burst_seconds: 1 };
        assert_eq!(*limits.rate(Kind::OperationsTotal), rate);
        assert_eq!(*limits.rate(Kind::BytesTotal), Rate::NONE);
        assert_eq!(Limits::from_json(&json!({})), Ok(Limits::default()));
        assert_eq!(
            Limits::from_text("{\"bps-read\": 7}").unwrap().rate(Kind::BytesRead).average,
            7
        );
    }

    #[test]
    fn the_canonical_form_has_every_number_and_reads_back() {
        let all = json!({
            "bps-read": 1, "bps-read-max": 2, "bps-read-max-length": 3,
            "bps-write": 4, "iops-total": 5, "iops-size": 4096,
        });
        let limits = Limits::from_json(&all).unwrap();
        let canonical = limits.to_json();
        assert_eq!(canonical.as_object().unwrap().len(), 19);
        assert_eq!(canonical["bps-read-max-length"], 3);
        assert_eq!(canonical["bps-write-max-length"], 1);
        assert_eq!(Limits::from_json(&canonical), Ok(limits));
        let none = Limits::default();
        assert_eq!(Limits::from_json(&none.to_json()), Ok(none));
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        for kind in ["bps", "iops"] {
            for single in ["read", "write"] {
                let (total, single) = (format!("{kind}-total"), format!("{kind}-{single}"));
                let both = json!({ &total: 1, &single: 1 });
                refused(
                    &both,
                    &format!(
                        "has '{total}' for both directions together and '{single}' for one: \
                         expected one or the other"
                    ),
                );
            }
        }
        assert!(Limits::from_json(&json!({"bps-total": 1, "iops-read": 1})).is_ok());
        assert!(Limits::from_json(&json!({"bps-read": 1, "bps-write": 1})).is_ok());
    }

    #[test]
    fn a_burst_goes_with_its_average_and_its_length() {
        refused(&json!({"bps-read-max": 5}), "has 'bps-read-max', which needs 'bps-read'");
        refused(
            &json!({"bps-read": 6, "bps-read-max": 5}),
            "expects 'bps-read-max' to be no less than 'bps-read', got 5 and 6",
        );
        refused(
            &json!({"bps-read": 6, "bps-read-max-length": 2}),
            "has 'bps-read-max-length' without 'bps-read-max', whose length it would be",
        );
        refused(
            &json!({"bps-read": 6, "bps-read-max": 7, "bps-read-max-length": 0}),
            "expects 'bps-read-max-length' to be at least 1 second, got 0",
        );
        refused(
            &json!({"bps-read": 6, "bps-read-max": GREATEST, "bps-read-max-length": 2}),
            "expects 'bps-read-max' times 'bps-read-max-length' to be at most 1000000000000000",
        );
        let zero = json!({"bps-read": 0, "bps-read-max": 0});
        assert_eq!(Limits::from_json(&zero), Ok(Limits::default()));
    }

    #[test]
    fn other_nonsense_is_refused() {
        refused(&json!({"iops-size": 512}), "has 'iops-size', which needs a limit of operations");
        refused(&json!({"bps": 1}), "has no limit 'bps'");
        refused(
            &json!({"bps-total": "1"}),
            "expects 'bps-total' to be an integer from 0, got '\"1\"'",
        );
        refused(&json!({"bps-total": -1}), "expects 'bps-total' to be an integer from 0, got '-1'");
        refused(
            &json!({"bps-total": GREATEST + 1}),
            "expects numbers up to 1000000000000000, got 'bps-total' of 1000000000000001",
        );
        refused(&json!(7), "expects an object of limits, got '7'");
        assert!(Limits::from_text("all").is_err());
        let words = Limits::from_text("{\"bps-total\": \"0x10\", \"bps-total-max\": 32}").unwrap();
        assert_eq!(words.rate(Kind::BytesTotal).average, 16, "as options have it");
        assert!(Limits::from_text("{\"bps-total\": \"-1\"}").is_err());
    }
}
