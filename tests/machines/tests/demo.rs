//! A demo whose guest finds fault, or never comes to an end, fails. Its guests that are well are run
//! with the program.

use std::time::Duration;

use device_model::qom_core::Registry;
use machine_tests::has_kvm;
use vmm::session::{Demo, Exit};

/// What the demo of a guest ends with; none where there is no KVM.
fn end_of(guest: Result<Vec<u8>, guests::GuestError>, limit: Duration) -> Option<Exit> {
    if !has_kvm() {
        return None;
    }
    let guest = guest.expect("it can be assembled");
    let registry = Registry::global().expect("the types are in order");
    Some(Demo { guest: &guest, limit }.run(registry).expect("it can be started"))
}

/// In one test, as each has the standard streams to itself.
#[test]
fn a_demo_fails_whose_guest_finds_fault_or_does_not_end() {
    let long = Duration::from_secs(60);
    let Some(well) = end_of(guests::demo(), long) else { return };
    assert_eq!(well, Exit::Finished);
    // As the demo's guest ends whose check fails.
    assert_eq!(end_of(guests::hello("guest: FAILED\n"), long), Some(Exit::StartFailed));
    let short = Duration::from_millis(300);
    assert_eq!(end_of(guests::print_and_spin("spinning\n"), short), Some(Exit::StartFailed));
    assert_ne!(Exit::StartFailed.code(), Exit::Finished.code());
}
