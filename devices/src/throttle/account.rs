//! All limits of a group, and what its members have done.

use device_model::throttle::Direction;

use super::{
    bucket::Bucket,
    limits::{Kind, Limits},
};

/// One unit in the billionths that buckets count in.
const BILLION: u128 = 1_000_000_000;

/// What a group has done of late, and what it may do.
#[derive(Clone, Debug, Default)]
pub struct Account {
    limits: Limits,
    /// In the order of [`Kind::ALL`].
    buckets: [Bucket; 6],
    /// Up to when they have leaked, in nanoseconds.
    now: u64,
}

/// Whether a limit holds for operations of a direction.
const fn concerns(kind: Kind, direction: Direction) -> bool {
    match kind {
        Kind::BytesTotal | Kind::OperationsTotal => true,
        Kind::BytesRead | Kind::OperationsRead => matches!(direction, Direction::Read),
        Kind::BytesWrite | Kind::OperationsWrite => matches!(direction, Direction::Write),
    }
}

impl Account {
    /// What the limits are.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Replaces the limits.
    pub fn set_limits(&mut self, limits: Limits) {
        for (kind, bucket) in Kind::ALL.into_iter().zip(&mut self.buckets) {
            if limits.rate(kind) != self.limits.rate(kind) {
                bucket.change(limits.rate(kind));
            }
        }
        self.limits = limits;
    }

    /// Brings it to a time, in nanoseconds of any clock. One that goes back stands still here.
    pub fn advance(&mut self, now: u64) {
        let passed = now.saturating_sub(self.now);
        self.now = self.now.max(now);
        for (kind, bucket) in Kind::ALL.into_iter().zip(&mut self.buckets) {
            bucket.leak(self.limits.rate(kind), passed);
        }
    }

    /// How many nanoseconds an operation of that direction has to wait; 0 if it may begin.
    #[must_use]
    pub fn wait(&self, direction: Direction) -> u64 {
        let buckets = Kind::ALL.into_iter().zip(&self.buckets);
        buckets
            .filter(|(kind, _)| concerns(*kind, direction))
            .map(|(kind, bucket)| bucket.wait(self.limits.rate(kind)))
            .max()
            .unwrap_or(0)
    }

    /// An operation begins.
    pub fn charge(&mut self, direction: Direction, bytes: u64) {
        let of_bytes = u128::from(bytes) * BILLION;
        let of_operations = match u128::from(self.limits.operation_size()) {
            0 => BILLION,
            // At least one, and parts of others too.
            size => (of_bytes / size).max(BILLION),
        };
        for (kind, bucket) in Kind::ALL.into_iter().zip(&mut self.buckets) {
            let counted = match kind {
                Kind::BytesTotal | Kind::BytesRead | Kind::BytesWrite => of_bytes,
                _ => of_operations,
            };
            if concerns(kind, direction) {
                bucket.fill(self.limits.rate(kind), counted);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use device_model::qom_core::PropertyType;
    use serde_json::{Value, json};

    use super::*;
    use Direction::{Read, Write};

    const SECOND: u64 = 1_000_000_000;

    fn account(limits: &Value) -> Account {
        let mut account = Account::default();
        account.set_limits(Limits::from_json(limits).unwrap());
        account
    }

    #[test]
    fn each_limit_holds_for_what_it_is_on() {
        for (limit, reads, writes) in [
            ("bps-total", true, true),
            ("bps-read", true, false),
            ("bps-write", false, true),
            ("iops-total", true, true),
            ("iops-read", true, false),
            ("iops-write", false, true),
        ] {
            let limits = json!({ limit: 1 });
            for (direction, limited) in [(Read, reads), (Write, writes)] {
                let mut account = account(&limits);
                account.charge(direction, 1);
                assert_eq!(account.wait(direction) > 0, limited, "{limit} {direction:?}");
            }
        }
    }

    #[test]
    fn the_strictest_limit_decides() {
        let mut account = account(&json!({"bps-total": 1000, "iops-read": 1}));
        account.charge(Read, 3000);
        assert_eq!(account.wait(Read), 3 * SECOND - SECOND / 10);
        account.charge(Read, 0);
        account.charge(Read, 0);
        account.charge(Read, 0);
        assert_eq!(account.wait(Read), 4 * SECOND - SECOND / 10);
        assert_eq!(account.wait(Write), 3 * SECOND - SECOND / 10);
        account.advance(3 * SECOND);
        assert_eq!(account.wait(Write), 0);
    }

    #[test]
    fn a_large_operation_counts_as_several_if_it_is_to() {
        let limits = json!({"iops-total": 10, "iops-size": 4096});
        let wait = |bytes| {
            let mut account = account(&limits);
            account.charge(Read, bytes);
            account.wait(Read)
        };
        assert_eq!(wait(1), 0, "a small one is one");
        assert_eq!(wait(4096), 0);
        assert_eq!(wait(4096 * 3), 2 * SECOND / 10);
        assert_eq!(wait(4096 * 5 / 2), 3 * SECOND / 20, "two and a half");
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut account = account(&json!({"iops-total": 1}));
        account.advance(10 * SECOND);
        account.charge(Read, 1);
        account.charge(Read, 1);
        let wait = account.wait(Read);
        account.advance(5 * SECOND);
        assert_eq!(account.wait(Read), wait);
        account.advance(10 * SECOND);
        assert_eq!(account.wait(Read), wait);
    }

    #[test]
    fn limits_that_stay_keep_what_was_done() {
        let mut account = account(&json!({"iops-total": 1, "bps-total": 1}));
        account.charge(Read, 100);
        account.charge(Read, 100);
        let limits = json!({"iops-total": 1, "bps-total": 1000});
        account.set_limits(Limits::from_json(&limits).unwrap());
        assert_eq!(account.wait(Read), 2 * SECOND - SECOND / 10, "operations as before");
    }
}
