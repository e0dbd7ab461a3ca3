//! The I/O APIC: each change of a route is told, each interrupt is its pin's, and none waits that
//! could be sent.

use devices::ioapic::{Effect, IoApic, MsiMessage, Pin};

use crate::{
    Target,
    input::{Access, Input, buffer},
};

inventory::submit!(Target { name: "ioapic", covers: &["ioapic"], run });

/// Operations: 0x70 to 0x72 are the machine's, all else are accesses.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut apic = IoApic::new();
    while let Some(first) = input.next() {
        let before = apic.clone();
        let mut effects = Vec::new();
        let mut keep = |effect| effects.push(effect);
        match first {
            0x70 => {
                let line = input.byte();
                if let Ok(pin) = Pin::try_from(line & 0x7f) {
                    apic.set_level(pin, line & 0x80 != 0, &mut keep);
                }
            }
            0x71 => apic.eoi(input.byte(), &mut keep),
            0x72 => {
                // All routes change; whoever resets the machine knows.
                apic.reset();
                continue;
            }
            _ => match input.access(first) {
                Access::Read(offset, length) => apic.read(offset, &mut buffer(length)),
                Access::Write(offset, data) => apic.write(offset, data, &mut keep),
            },
        }
        judge(&before, &apic, &effects);
    }
}

fn judge(before: &IoApic, apic: &IoApic, effects: &[Effect]) {
    let state = apic.state();
    for pin in Pin::all() {
        let entry = apic.entry(pin);
        let [asserted, edge] = [state.lines, state.edges].map(|set| set >> pin.number() & 1 != 0);
        let waits = if entry.is_level() { asserted && !entry.remote_irr() } else { edge };
        assert!(entry.is_masked() || !waits, "{pin:?} {state:?}");
        let told = effects.contains(&Effect::RouteChanged(pin));
        assert_eq!(told, before.route(pin) != apic.route(pin), "{pin:?}");
        let sent: Vec<MsiMessage> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Deliver { pin: of, message } if *of == pin => Some(*message),
                _ => None,
            })
            .collect();
        assert!(sent.len() <= 1, "{pin:?} {sent:?}");
        if let Some(message) = sent.first() {
            assert!(!entry.is_masked(), "{pin:?}");
            assert_eq!(*message, apic.route(pin).message, "{pin:?}");
            assert_eq!(message.address & !0xf_f00c, 0xfee0_0000, "{message:?}");
        }
    }
    let mut copy = IoApic::new();
    assert_eq!(copy.restore(&state), Ok(()), "{state:?}");
    assert_eq!(&copy, apic);
}
