//! What holds of the real-time clock whatever a guest does to it.

use std::rc::Rc;

use proptest::prelude::*;

use super::spec::*;
use super::tests::{Bench, bench};

#[derive(Clone, Debug)]
enum Step {
    Read(u64, usize),
    Write(u64, Vec<u8>),
    Get(u8),
    Put(u8, u8),
    Advance(u64),
    Clock(u64),
    Reset,
    SetTime(i64),
    Deadline,
}

fn step() -> impl Strategy<Value = Step> {
    let offset = prop_oneof![8 => 0u64..3, 1 => any::<u64>()];
    let register = prop_oneof![4 => 0u8..0x0e, 1 => Just(CENTURY), 1 => any::<u8>()];
    prop_oneof![
        1 => (offset.clone(), 0usize..9).prop_map(|(offset, len)| Step::Read(offset, len)),
        1 => (offset, proptest::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(offset, data)| Step::Write(offset, data)),
        3 => register.clone().prop_map(Step::Get),
        6 => (register, any::<u8>()).prop_map(|(index, value)| Step::Put(index, value)),
        1 => any::<u8>().prop_map(|rate| Step::Put(REGISTER_A, A_DIVIDER_32KHZ | rate & A_RATE)),
        1 => any::<u8>().prop_map(|bits| Step::Put(REGISTER_B, bits & !B_SET)),
        3 => (0u64..3_000_000_000).prop_map(Step::Advance),
        1 => any::<u64>().prop_map(Step::Clock),
        1 => Just(Step::Reset),
        1 => any::<i64>().prop_map(Step::SetTime),
        3 => Just(Step::Deadline),
    ]
}

proptest! {
    #[test]
    fn any_sequence_keeps_the_invariants(steps in proptest::collection::vec(step(), 0..120)) {
        let mut bench = bench();
        for step in steps {
            match step {
                Step::Read(offset, len) => bench.rtc.read(offset, &mut vec![0; len]),
                Step::Write(offset, data) => bench.rtc.write(offset, &data),
                Step::Get(index) => {
                    bench.get(index);
                }
                Step::Put(index, value) => bench.put(index, value),
                Step::Advance(ns) => bench.now.set(bench.now.get().saturating_add(ns)),
                Step::Clock(now) => bench.now.set(now),
                Step::Reset => bench.rtc.reset(),
                Step::SetTime(seconds) => bench.rtc.set_time(seconds),
                // The line is low before its deadline, and high at it.
                Step::Deadline => if let Some(deadline) = bench.rtc.next_deadline() {
                    prop_assert!(deadline > bench.now.get());
                    bench.now.set(deadline - 1);
                    prop_assert!(!bench.rtc.irq_level());
                    bench.now.set(deadline);
                    prop_assert!(bench.rtc.irq_level());
                }
            }
            // The line is what register C says.
            let level = bench.rtc.irq_level();
            let mut copy = Bench {
                now: Rc::clone(&bench.now),
                rtc: bench.rtc.clone(),
            };
            let flags = copy.get(REGISTER_C);
            prop_assert_eq!(flags & C_INTERRUPT != 0, level);
            prop_assert_eq!(
                flags & copy.get(REGISTER_B) & C_FLAGS != 0,
                level
            );
            prop_assert!(!copy.rtc.irq_level());
            // A running clock shows a time of day.
            let running = copy.get(REGISTER_B) & B_SET == 0
                && copy.get(REGISTER_A) & A_DIVIDER_RESET != A_DIVIDER_RESET;
            if running {
                copy.put(REGISTER_B, B_BINARY | B_24_HOURS);
                let [century, year, month, day, weekday, hour, minute, second] = copy.time();
                prop_assert!(century < 100 && year < 100);
                prop_assert!((1..=12).contains(&month) && (1..=31).contains(&day));
                prop_assert!((1..=7).contains(&weekday));
                prop_assert!(hour < 24 && minute < 60 && second < 60);
            }
            // Every state that can be reached can be saved and restored.
            let state = bench.rtc.state();
            prop_assert_eq!(copy.rtc.restore(&state), Ok(()));
            prop_assert_eq!(copy.rtc.state(), state);
        }
    }
}
