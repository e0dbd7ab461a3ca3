//! The clock: whatever the guest and the host's clock do, the line rises when the deadline says.

use std::{cell::Cell, rc::Rc};

use devices::mc146818rtc::{Clock, Mc146818Rtc};

use crate::{
    Target,
    input::{Access, Input, buffer},
};

inventory::submit!(Target { name: "mc146818rtc", covers: &["mc146818rtc"], run });

/// Operations: 0x70 to 0x73 are the host's, all else are accesses.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let now = Rc::new(Cell::new(1_700_000_000_000_000_000));
    let clock = || {
        let now = Rc::clone(&now);
        move || now.get()
    };
    let mut rtc = Mc146818Rtc::new(clock());
    while let Some(first) = input.next() {
        match first {
            0x70 => now.set(now.get().saturating_add(input.number() >> (input.byte() % 64))),
            // The host's clock is set back, or ahead.
            0x71 => now.set(input.number()),
            0x72 => rtc.reset(),
            0x73 => rtc.set_time(input.number().cast_signed()),
            _ => match input.access(first) {
                Access::Read(offset, length) => rtc.read(offset, &mut buffer(length)),
                Access::Write(offset, data) => rtc.write(offset, data),
            },
        }
        judge(&rtc, &now, clock());
    }
}

fn judge(rtc: &Mc146818Rtc<impl Clock + Clone>, now: &Cell<u64>, clock: impl Clock) {
    let state = rtc.state();
    let mut copy = Mc146818Rtc::new(clock);
    assert_eq!(copy.restore(&state), Ok(()), "{state:?}");
    assert_eq!(copy.state(), state);
    let mut ahead = rtc.clone();
    let Some(deadline) = ahead.next_deadline() else { return };
    assert!(!ahead.irq_level(), "a line that is high can't rise: {state:?}");
    let started = now.get();
    assert!(deadline >= started, "{deadline} is before {started}: {state:?}");
    now.set(deadline);
    let risen = ahead.irq_level();
    now.set(started);
    assert!(risen, "nothing happens at {deadline}, from {started}: {state:?}");
}
