//! What an operating system may expect of the real-time clock.

use std::cell::Cell;
use std::rc::Rc;

use super::spec::*;
use super::*;

const SECOND: u64 = 1_000_000_000;
/// 2023-11-14 22:13:20 UTC, a Tuesday.
const START: u64 = 1_700_000_000 * SECOND;

/// A real-time clock of a host whose time the test moves.
pub(super) struct Bench<C> {
    pub(super) now: Rc<Cell<u64>>,
    pub(super) rtc: Mc146818Rtc<C>,
}

fn bench_at(start: u64) -> Bench<impl Fn() -> u64 + Clone> {
    let now = Rc::new(Cell::new(start));
    let host = Rc::clone(&now);
    Bench { now, rtc: Mc146818Rtc::new(move || host.get()) }
}

pub(super) fn bench() -> Bench<impl Fn() -> u64 + Clone> {
    bench_at(START)
}

impl<C: Clock> Bench<C> {
    pub(super) fn get(&mut self, index: u8) -> u8 {
        self.rtc.write(INDEX, &[index]);
        let mut byte = [0];
        self.rtc.read(DATA, &mut byte);
        byte[0]
    }

    pub(super) fn put(&mut self, index: u8, value: u8) {
        self.rtc.write(INDEX, &[index]);
        self.rtc.write(DATA, &[value]);
    }

    fn advance(&mut self, ns: u64) {
        self.now.set(self.now.get() + ns);
    }

    /// Century, year, month, day, day of the week, hour, minute, second.
    pub(super) fn time(&mut self) -> [u8; 8] {
        [CENTURY, YEAR, MONTH, DAY_OF_MONTH, DAY_OF_WEEK, HOURS, MINUTES, SECONDS]
            .map(|index| self.get(index))
    }
}

#[test]
fn the_time_is_the_host_s_in_bcd() {
    let mut bench = bench();
    assert_eq!(bench.time(), [0x20, 0x23, 0x11, 0x14, 0x03, 0x22, 0x13, 0x20]);
    bench.advance(40 * SECOND);
    assert_eq!(bench.time(), [0x20, 0x23, 0x11, 0x14, 0x03, 0x22, 0x14, 0x00]);
}

#[test]
fn register_b_chooses_the_format() {
    let mut bench = bench();
    bench.put(REGISTER_B, B_BINARY | B_24_HOURS);
    assert_eq!(bench.time(), [20, 23, 11, 14, 3, 22, 13, 20]);
    bench.put(REGISTER_B, B_BINARY);
    assert_eq!(bench.get(HOURS), 10 | HOURS_PM);
    bench.put(REGISTER_B, 0);
    assert_eq!(bench.get(HOURS), 0x10 | HOURS_PM);
}

#[test]
fn registers_after_power_on() {
    let mut bench = bench();
    assert_eq!(bench.get(REGISTER_A), 0x26);
    assert_eq!(bench.get(REGISTER_B), 0x02);
    assert_eq!(bench.get(REGISTER_C), 0);
    assert_eq!(bench.get(REGISTER_D), 0x80);
    assert!(!bench.rtc.irq_level());
}

#[test]
fn read_only_registers_and_bits_stay() {
    let mut bench = bench();
    bench.put(REGISTER_A, !A_DIVIDER_RESET | A_DIVIDER_32KHZ);
    assert_eq!(bench.get(REGISTER_A), 0x3f);
    bench.put(REGISTER_C, 0xff);
    bench.put(REGISTER_D, 0x00);
    assert_eq!(bench.get(REGISTER_C), 0);
    assert_eq!(bench.get(REGISTER_D), D_VALID);
}

#[test]
fn the_index_port_ignores_the_nmi_bit_and_is_write_only() {
    let mut bench = bench();
    bench.put(0x80 | 0x40, 0x5a);
    assert_eq!(bench.get(0x40), 0x5a);
    let mut data = [0; 3];
    bench.rtc.read(INDEX, &mut data);
    assert_eq!(data, [0xff, 0x5a, 0xff]);
    bench.rtc.write(INDEX, &[0x41, 0x66, 0x77]);
    assert_eq!(bench.get(0x41), 0x66);
}

#[test]
fn memory_keeps_what_is_written() {
    let mut bench = bench();
    let memory = (0x0e..0x80).filter(|&index| index != CENTURY);
    for index in memory.clone() {
        bench.put(index, index ^ 0xa5);
    }
    bench.rtc.reset();
    bench.advance(SECOND);
    for index in memory {
        assert_eq!(bench.get(index), index ^ 0xa5);
    }
}

#[test]
fn firmware_finds_the_sizes_of_memory() {
    let rtc = Mc146818Rtc::new(|| START).with_memory_size(2 << 30, 1 << 30);
    let mut bench = Bench { now: Rc::new(Cell::new(0)), rtc };
    assert_eq!((bench.get(0x34), bench.get(0x35)), (0x00, 0x7f));
    assert_eq!((bench.get(0x5b), bench.get(0x5c)), (0x00, 0x40));
}

/// The steps by which Linux sets the clock.
#[test]
fn a_time_set_with_the_divider_held_starts_half_a_second_before_its_first_update() {
    let mut bench = bench();
    bench.advance(123_456_789);
    let (a, b) = (bench.get(REGISTER_A), bench.get(REGISTER_B));
    bench.put(REGISTER_B, b | B_SET);
    bench.put(REGISTER_A, a | 0x70);
    for (index, value) in [
        (YEAR, 0x00),
        (MONTH, 0x02),
        (DAY_OF_MONTH, 0x28),
        (HOURS, 0x23),
        (MINUTES, 0x59),
        (SECONDS, 0x59),
        (CENTURY, 0x21),
    ] {
        bench.put(index, value);
    }
    bench.advance(10 * SECOND);
    bench.put(REGISTER_B, b);
    bench.advance(10 * SECOND);
    assert_eq!(bench.get(SECONDS), 0x59, "it stands while held");
    bench.put(REGISTER_A, a);
    bench.advance(SECOND / 2 - 1);
    assert_eq!(bench.time(), [0x21, 0x00, 0x02, 0x28, 0x01, 0x23, 0x59, 0x59]);
    bench.advance(1);
    assert_eq!(
        bench.time(),
        [0x21, 0x00, 0x03, 0x01, 0x02, 0x00, 0x00, 0x00],
        "2100 is no leap year"
    );
}

#[test]
fn a_time_set_by_the_set_bit_alone_keeps_the_second_s_phase() {
    let mut bench = bench();
    bench.advance(SECOND / 4);
    bench.put(REGISTER_B, B_SET | B_24_HOURS);
    bench.put(SECONDS, 0x50);
    bench.advance(5 * SECOND);
    assert_eq!(bench.get(SECONDS), 0x50);
    bench.put(REGISTER_B, B_24_HOURS);
    bench.advance(SECOND * 3 / 4 - 1);
    assert_eq!(bench.get(SECONDS), 0x50);
    bench.advance(1);
    assert_eq!(bench.get(SECONDS), 0x51);
}

#[test]
fn a_time_written_to_a_running_clock_counts_at_once() {
    let mut bench = bench();
    bench.put(HOURS, 0x07);
    bench.advance(SECOND);
    assert_eq!(bench.time(), [0x20, 0x23, 0x11, 0x14, 0x03, 0x07, 0x13, 0x21]);
}

#[test]
fn a_standing_clock_s_registers_do_not_change_with_the_format() {
    let mut bench = bench();
    bench.put(REGISTER_B, B_SET | B_BINARY | B_24_HOURS);
    assert_eq!(bench.get(SECONDS), 0x20, "stored as BCD");
    bench.put(SECONDS, 33);
    bench.put(MINUTES, 44);
    bench.put(HOURS, 5);
    bench.put(REGISTER_B, B_BINARY | B_24_HOURS);
    assert_eq!(bench.get(SECONDS), 33);
    assert_eq!(bench.get(MINUTES), 44);
}

#[test]
fn nonsense_in_the_time_registers_is_some_time() {
    let mut bench = bench();
    bench.put(REGISTER_B, B_SET);
    for index in [SECONDS, MINUTES, HOURS, DAY_OF_MONTH, MONTH, YEAR, CENTURY] {
        bench.put(index, 0xff);
    }
    bench.put(REGISTER_B, B_BINARY | B_24_HOURS);
    let [_, year, month, day, _, hour, minute, second] = bench.time();
    assert!(year < 100 && (1..=12).contains(&month) && (1..=31).contains(&day));
    assert!(hour < 24 && minute < 60 && second < 60);
}

#[test]
fn the_host_can_set_the_time() {
    let mut bench = bench();
    bench.rtc.set_time(0);
    assert_eq!(bench.time(), [0x19, 0x70, 0x01, 0x01, 0x05, 0x00, 0x00, 0x00]);
    bench.advance(SECOND);
    assert_eq!(bench.get(SECONDS), 0x01);
    bench.put(REGISTER_B, B_SET | B_24_HOURS);
    bench.rtc.set_time(59);
    bench.put(REGISTER_B, B_24_HOURS);
    assert_eq!(bench.get(SECONDS), 0x59, "a standing clock as well");
    bench.rtc.set_time(i64::MAX);
    assert_eq!(bench.time(), [0x99, 0x99, 0x12, 0x31, 0x06, 0x23, 0x59, 0x59]);
    bench.rtc.set_time(i64::MIN);
    assert_eq!(bench.time(), [0x00, 0x00, 0x01, 0x01, 0x07, 0x00, 0x00, 0x00]);
}

#[test]
fn an_update_is_announced_244_microseconds_ahead() {
    let mut bench = bench();
    bench.advance(SECOND - 244_001);
    assert_eq!(bench.get(REGISTER_A) & A_UPDATE_IN_PROGRESS, 0);
    bench.advance(1);
    assert_ne!(bench.get(REGISTER_A) & A_UPDATE_IN_PROGRESS, 0);
    assert_eq!(bench.get(SECONDS), 0x20);
    bench.put(REGISTER_B, B_SET | B_24_HOURS);
    assert_eq!(
        bench.get(REGISTER_A) & A_UPDATE_IN_PROGRESS,
        0,
        "none while the guest sets the time"
    );
    bench.put(REGISTER_B, B_24_HOURS);
    bench.advance(244_000);
    assert_eq!(bench.get(REGISTER_A) & A_UPDATE_IN_PROGRESS, 0);
    assert_eq!(bench.get(SECONDS), 0x21);
}

#[test]
fn flags_are_set_whether_or_not_their_interrupts_are_enabled() {
    let mut bench = bench();
    bench.advance(SECOND);
    assert!(!bench.rtc.irq_level());
    assert_eq!(bench.rtc.next_deadline(), None);
    assert_eq!(bench.get(REGISTER_C), C_PERIODIC | C_UPDATE_ENDED);
    assert_eq!(bench.get(REGISTER_C), 0, "reading clears them");
    bench.advance(SECOND);
    bench.put(REGISTER_B, B_UPDATE_ENDED | B_24_HOURS);
    assert!(bench.rtc.irq_level(), "enabling finds the flag set");
    assert_eq!(bench.get(REGISTER_C), C_INTERRUPT | C_PERIODIC | C_UPDATE_ENDED);
    assert!(!bench.rtc.irq_level());
}

#[test]
fn the_update_ended_interrupt_comes_each_second() {
    let mut bench = bench_at(START + 300_000_000);
    bench.put(REGISTER_A, A_DIVIDER_32KHZ);
    bench.put(REGISTER_B, B_UPDATE_ENDED | B_24_HOURS);
    assert_eq!(bench.rtc.next_deadline(), Some(START + SECOND));
    bench.now.set(START + SECOND);
    assert!(bench.rtc.irq_level());
    assert_eq!(bench.rtc.next_deadline(), None, "until it is acknowledged");
    assert_eq!(bench.get(REGISTER_C), C_INTERRUPT | C_UPDATE_ENDED);
    assert_eq!(bench.rtc.next_deadline(), Some(START + 2 * SECOND));
}

#[test]
fn setting_the_set_bit_disables_the_update_ended_interrupt() {
    let mut bench = bench();
    bench.put(REGISTER_B, B_UPDATE_ENDED);
    bench.put(REGISTER_B, B_SET | B_UPDATE_ENDED);
    assert_eq!(bench.get(REGISTER_B), B_SET);
    bench.advance(3 * SECOND);
    assert_eq!(bench.get(REGISTER_C) & C_UPDATE_ENDED, 0);
    bench.put(REGISTER_B, B_SET | B_UPDATE_ENDED);
    assert_eq!(bench.rtc.next_deadline(), None, "no updates happen");
}

#[test]
fn periodic_rates_are_those_of_the_data_sheet() {
    let nanoseconds = [
        (1, 3_906_250),
        (2, 7_812_500),
        (3, 122_071),
        (4, 244_141),
        (5, 488_282),
        (6, 976_563),
        (7, 1_953_125),
        (8, 3_906_250),
        (9, 7_812_500),
        (10, 15_625_000),
        (11, 31_250_000),
        (12, 62_500_000),
        (13, 125_000_000),
        (14, 250_000_000),
        (15, 500_000_000),
    ];
    for (rate, period) in nanoseconds {
        let mut bench = bench();
        bench.put(REGISTER_A, A_DIVIDER_32KHZ | rate);
        bench.put(REGISTER_B, B_PERIODIC | B_24_HOURS);
        assert_eq!(bench.rtc.next_deadline(), Some(START + period));
        bench.advance(period - 1);
        assert!(!bench.rtc.irq_level());
        bench.advance(1);
        assert!(bench.rtc.irq_level());
        assert_eq!(bench.get(REGISTER_C) & C_PERIODIC, C_PERIODIC);
        assert!(!bench.rtc.irq_level());
    }
    let mut bench = bench();
    bench.put(REGISTER_A, A_DIVIDER_32KHZ);
    bench.put(REGISTER_B, B_PERIODIC);
    assert_eq!(bench.rtc.next_deadline(), None, "rate 0 is off");
}

#[test]
fn the_periodic_interrupt_keeps_its_pace() {
    let mut bench = bench();
    bench.put(REGISTER_A, A_DIVIDER_32KHZ | 3);
    bench.put(REGISTER_B, B_PERIODIC | B_24_HOURS);
    let mut count = 0;
    while let Some(deadline) = bench.rtc.next_deadline()
        && deadline <= START + SECOND
    {
        bench.now.set(deadline);
        assert_eq!(bench.get(REGISTER_C) & C_PERIODIC, C_PERIODIC);
        count += 1;
    }
    assert_eq!(count, 8192);
}

#[test]
fn a_held_divider_stops_everything() {
    let mut bench = bench();
    bench.put(REGISTER_B, B_PERIODIC | B_UPDATE_ENDED | B_ALARM);
    bench.put(REGISTER_A, A_DIVIDER_RESET | 6);
    bench.get(REGISTER_C);
    assert_eq!(bench.rtc.next_deadline(), None);
    bench.advance(100 * SECOND);
    assert_eq!(bench.get(REGISTER_C), 0);
}

#[test]
fn the_alarm_goes_off_at_its_time() {
    let mut bench = bench();
    bench.put(REGISTER_A, A_DIVIDER_32KHZ);
    bench.put(HOURS_ALARM, 0x22);
    bench.put(MINUTES_ALARM, 0x15);
    bench.put(SECONDS_ALARM, 0x00);
    bench.put(REGISTER_B, B_ALARM | B_24_HOURS);
    let due = START + 100 * SECOND;
    assert_eq!(bench.rtc.next_deadline(), Some(due));
    bench.now.set(due - 1);
    assert!(!bench.rtc.irq_level());
    bench.now.set(due);
    assert!(bench.rtc.irq_level());
    assert_eq!(bench.get(REGISTER_C), C_INTERRUPT | C_ALARM | C_UPDATE_ENDED);
    assert_eq!(bench.rtc.next_deadline(), Some(due + 86_400 * SECOND));
}

#[test]
fn an_alarm_that_nobody_looked_at_in_time_is_not_lost() {
    let mut bench = bench();
    bench.put(SECONDS_ALARM, 0x30);
    bench.put(MINUTES_ALARM, 0xff);
    bench.put(HOURS_ALARM, 0xff);
    bench.put(REGISTER_B, B_ALARM | B_24_HOURS);
    bench.advance(1000 * SECOND);
    assert!(bench.rtc.irq_level());
}

#[test]
fn an_alarm_that_can_not_be_sets_no_deadline() {
    let mut bench = bench();
    bench.put(SECONDS_ALARM, 0x60);
    bench.put(REGISTER_B, B_ALARM | B_24_HOURS);
    assert_eq!(bench.rtc.next_deadline(), None);
    bench.advance(200_000 * SECOND);
    assert_eq!(bench.get(REGISTER_C) & C_ALARM, 0);
}

#[test]
fn a_reset_disables_interrupts_and_keeps_the_time() {
    let mut bench = bench();
    bench.put(HOURS, 0x01);
    bench.put(REGISTER_B, 0x7a);
    bench.advance(SECOND);
    assert!(bench.rtc.irq_level());
    bench.rtc.reset();
    assert!(!bench.rtc.irq_level());
    assert_eq!(bench.get(REGISTER_B), B_24_HOURS);
    assert_eq!(bench.get(REGISTER_C), 0);
    assert_eq!(bench.get(HOURS), 0x01);
}

#[test]
fn a_host_clock_set_back_raises_nothing() {
    let mut bench = bench();
    bench.put(REGISTER_B, B_UPDATE_ENDED | B_PERIODIC | B_24_HOURS);
    bench.now.set(START - 100 * SECOND);
    assert!(!bench.rtc.irq_level());
    assert_eq!(bench.get(SECONDS), 0x40);
    let deadline = bench.rtc.next_deadline().unwrap();
    assert!(deadline > START - 100 * SECOND && deadline < START - 99 * SECOND);
    bench.now.set(deadline);
    assert!(bench.rtc.irq_level());
}

#[test]
fn a_deadline_beyond_the_host_s_clock_is_none() {
    let mut bench = bench_at(u64::MAX);
    bench.put(REGISTER_B, B_UPDATE_ENDED | B_PERIODIC | B_ALARM);
    bench.get(REGISTER_C);
    assert_eq!(bench.rtc.next_deadline(), None);
}

#[test]
fn a_saved_clock_goes_on_and_tells_what_happened_meanwhile() {
    let mut bench = bench();
    bench.put(HOURS, 0x03);
    bench.put(REGISTER_B, B_UPDATE_ENDED | B_24_HOURS);
    let state = bench.rtc.state();
    let mut later = bench_at(START + 60 * SECOND);
    later.rtc.restore(&state).unwrap();
    assert!(later.rtc.irq_level());
    assert_eq!(later.time(), [0x20, 0x23, 0x11, 0x14, 0x03, 0x03, 0x14, 0x20]);
}

#[test]
fn impossible_states_are_refused_and_change_nothing() {
    let mut bench = bench();
    let good = bench.rtc.state();
    let mut under_register = good.clone();
    under_register.cmos[0x0c] = 1;
    let too_far = 1_000_000_000_000_000_000_001;
    let cases = [
        (
            RtcState { index: 0x80, ..good.clone() },
            "rtc state: the index is 0x80, but only the bits 0x7f are kept",
        ),
        (
            RtcState { register_a: 0xa6, ..good.clone() },
            "rtc state: register A is 0xa6, but only the bits 0x7f are kept",
        ),
        (
            RtcState { flags: 0xc0, ..good.clone() },
            "rtc state: register C is 0xc0, but only the bits 0x70 are kept",
        ),
        (under_register, "rtc state: CMOS byte 0x0c is 0x01, but must be 0: it is a register"),
        (
            RtcState { offset_ns: -too_far, ..good.clone() },
            "rtc state: offset is -1000000000000000000001 ns, but must be within \
             1000000000000000000000 of 0",
        ),
        (
            RtcState { seen_ns: i128::MAX, ..good.clone() },
            "rtc state: seen time is 170141183460469231731687303715884105727 ns, but must be \
             within 1018446744073709551616 of 0",
        ),
    ];
    for (state, message) in cases {
        assert_eq!(bench.rtc.restore(&state).unwrap_err().to_string(), message);
        assert_eq!(bench.rtc.state(), good);
    }
}
