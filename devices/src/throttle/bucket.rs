//! A leaky bucket: what has been done fills it, and it leaks at the rate that is allowed.

use super::limits::Rate;

/// Nanoseconds in a second. A bucket counts in billionths of its units, so that a rate of 1 a second
/// leaks a whole number of them in a nanosecond.
const BILLION: u128 = 1_000_000_000;

/// Without a rate of bursts, as much may be done at once as the rate allows in a tenth of a second.
const BURST_PARTS: u128 = 10;

/// What is left in the bucket of one limit. Whoever would do something waits while there is more in
/// it than it holds; what is done then may let it overflow, however large it is, and those who come
/// later wait the longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Leaks at the average rate. In billionths.
    level: u128,
    /// Leaks at the rate of bursts. In billionths; nothing unless bursts last longer than a second.
    burst: u128,
}

impl Bucket {
    /// Lets it leak for so many nanoseconds.
    pub fn leak(&mut self, rate: &Rate, nanoseconds: u64) {
        let leaks = |per_second: u64| u128::from(per_second) * u128::from(nanoseconds);
        self.level = self.level.saturating_sub(leaks(rate.average));
        self.burst = self.burst.saturating_sub(leaks(rate.burst));
    }

    /// Something is done, counted in billionths of a unit.
    pub fn fill(&mut self, rate: &Rate, billionths: u128) {
        if rate.average == 0 {
            return;
        }
        self.level = self.level.saturating_add(billionths);
        if has_burst_bucket(rate) {
            self.burst = self.burst.saturating_add(billionths);
        }
    }

    /// How many nanoseconds it takes until something more may be done.
    #[must_use]
    pub fn wait(&self, rate: &Rate) -> u64 {
        if rate.average == 0 {
            return 0;
        }
        let until = |level: u128, holds: u128, per_second: u64| {
            // Rounded up, so that whoever has waited need not wait again.
            let wait = level.saturating_sub(holds).div_ceil(u128::from(per_second).max(1));
            u64::try_from(wait).unwrap_or(u64::MAX)
        };
        let wait = until(self.level, capacity(rate), rate.average);
        if has_burst_bucket(rate) {
            let holds = u128::from(rate.burst) * BILLION / BURST_PARTS;
            return wait.max(until(self.burst, holds, rate.burst));
        }
        wait
    }

    /// Under another limit from here on: what it owes is no more than that lets it hold.
    pub fn change(&mut self, rate: &Rate) {
        if rate.average == 0 {
            *self = Self::default();
            return;
        }
        self.level = self.level.min(capacity(rate));
        self.burst = 0;
    }
}

/// How much it holds, in billionths.
fn capacity(rate: &Rate) -> u128 {
    if rate.burst == 0 {
        return u128::from(rate.average) * BILLION / BURST_PARTS;
    }
    u128::from(rate.burst).saturating_mul(u128::from(rate.burst_seconds)).saturating_mul(BILLION)
}

/// Bursts of more than a second have a rate of their own to keep to, which takes another bucket.
const fn has_burst_bucket(rate: &Rate) -> bool {
    rate.burst > 0 && rate.burst_seconds > 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn steady(average: u64) -> Rate {
        Rate { average, ..Rate::NONE }
    }

    /// How many units are done in that time, one after the other, by somebody who waits each time.
    fn done_in(rate: &Rate, nanoseconds: u64) -> u64 {
        let (mut bucket, mut now, mut done) = (Bucket::default(), 0, 0);
        loop {
            let wait = bucket.wait(rate);
            now += wait;
            if now > nanoseconds {
                return done;
            }
            bucket.leak(rate, wait);
            bucket.fill(rate, BILLION);
            done += 1;
        }
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let mut bucket = Bucket::default();
        bucket.fill(&Rate::NONE, u128::MAX);
        assert_eq!(bucket.wait(&Rate::NONE), 0);
    }

    #[test]
    fn a_tenth_of_a_second_may_be_done_at_once_and_the_rest_at_the_rate() {
        // 11 at once, as the last finds the bucket no more than full.
        assert_eq!(done_in(&steady(100), 0), 11);
        assert_eq!(done_in(&steady(100), 10 * SECOND), 11 + 1000);
    }

    #[test]
    fn a_burst_is_as_large_as_its_rate_and_length() {
        let rate = Rate { average: 100, burst: 500, burst_seconds: 1 };
        assert_eq!(done_in(&rate, 0), 501);
        let longer = Rate { burst_seconds: 4, ..rate };
        // A tenth of a second's at once; then 500 a second, of which 100 leak, until 2000 are full.
        assert_eq!(done_in(&longer, 0), 51);
        assert_eq!(done_in(&longer, 4 * SECOND), 51 + 2000);
        let later = done_in(&longer, 15 * SECOND) - done_in(&longer, 10 * SECOND);
        assert_eq!(later, 500, "at the average rate");
    }

    #[test]
    fn one_operation_of_any_size_gets_through_and_the_next_waits_for_it() {
        let rate = steady(1000);
        let mut bucket = Bucket::default();
        assert_eq!(bucket.wait(&rate), 0);
        bucket.fill(&rate, 5000 * BILLION);
        assert_eq!(bucket.wait(&rate), 5 * SECOND - SECOND / 10);
        bucket.leak(&rate, bucket.wait(&rate) - 1);
        assert_eq!(bucket.wait(&rate), 1);
    }

    #[test]
    fn a_lower_limit_does_not_ask_for_what_a_higher_one_allowed() {
        let high = Rate { average: 1000, burst: 10_000, burst_seconds: 1 };
        let mut bucket = Bucket::default();
        bucket.fill(&high, 10_000 * BILLION);
        let low = steady(1);
        assert!(bucket.wait(&low) > 9000 * SECOND);
        bucket.change(&low);
        assert_eq!(bucket.wait(&low), 0);
        bucket.fill(&low, BILLION);
        assert_eq!(bucket.wait(&low), SECOND);
        bucket.change(&Rate::NONE);
        assert_eq!(bucket, Bucket::default());
    }

    fn rates() -> impl Strategy<Value = Rate> {
        (1..=u64::from(u32::MAX), 0..=u64::from(u32::MAX), 1..=100_u64).prop_map(
            |(average, more, burst_seconds)| match more {
                0 => steady(average),
                more => Rate { average, burst: average + more, burst_seconds },
            },
        )
    }

    proptest! {
        #[test]
        fn no_more_is_done_than_the_bucket_holds_and_the_rate_allows(
            rate in rates(),
            operations in prop::collection::vec((0..2 * SECOND, 1..10_000_000_u64), 1..100),
        ) {
            let mut bucket = Bucket::default();
            let (mut time, mut done, mut largest) = (0_u128, 0_u128, 0_u128);
            for (idle, units) in operations {
                let wait = bucket.wait(&rate);
                for part in [wait, idle] {
                    bucket.leak(&rate, part);
                    time += u128::from(part);
                }
                prop_assert_eq!(bucket.wait(&rate), 0, "whoever waited need not wait again");
                bucket.fill(&rate, u128::from(units) * BILLION);
                done += u128::from(units) * BILLION;
                largest = largest.max(u128::from(units) * BILLION);
                let allowed = capacity(&rate) + time * u128::from(rate.average) + largest;
                prop_assert!(done <= allowed, "{} of {}", done, allowed);
            }
        }

        #[test]
        fn somebody_who_always_has_something_to_do_gets_the_whole_rate(
            average in 1..100_000_u64,
            units in 1..1000_u64,
        ) {
            let rate = steady(average);
            let mut bucket = Bucket::default();
            let (mut time, mut done) = (0_u128, 0_u128);
            for _ in 0..1000 {
                let wait = bucket.wait(&rate);
                bucket.leak(&rate, wait);
                time += u128::from(wait);
                bucket.fill(&rate, u128::from(units) * BILLION);
                done += u128::from(units) * BILLION;
            }
            prop_assert!(done >= time * u128::from(average));
        }

        #[test]
        fn a_wait_lasts_as_it_was_told_and_not_a_nanosecond_longer(
            rate in rates(),
            billionths in 1..u128::from(u64::MAX),
        ) {
            let mut bucket = Bucket::default();
            bucket.fill(&rate, billionths);
            let wait = bucket.wait(&rate);
            if let Some(before) = wait.checked_sub(1) {
                bucket.leak(&rate, before);
                prop_assert_eq!(bucket.wait(&rate), 1);
                bucket.leak(&rate, 1);
                prop_assert_eq!(bucket.wait(&rate), 0);
            }
        }

        #[test]
        fn nothing_overflows(
            average in any::<u64>(),
            burst in any::<u64>(),
            burst_seconds in any::<u64>(),
            billionths in any::<u128>(),
            time in any::<u64>(),
        ) {
            let rate = Rate { average, burst, burst_seconds };
            let mut bucket = Bucket::default();
            for _ in 0..3 {
                bucket.fill(&rate, billionths);
                let _ = bucket.wait(&rate);
                bucket.leak(&rate, time);
            }
            bucket.change(&rate);
        }
    }
}
