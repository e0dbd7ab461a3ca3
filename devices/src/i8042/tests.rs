//! What drivers do with a keyboard controller that has no keyboard, and what a hostile guest can't.

use proptest::prelude::*;

use super::spec::*;
use super::*;

fn get(controller: &mut I8042, offset: u64) -> u8 {
    let mut byte = [0];
    controller.read(offset, &mut byte);
    byte[0]
}

fn command(controller: &mut I8042, command: u8) {
    assert_eq!(controller.write(STATUS_COMMAND, &[command]), None);
}

/// The answer, as a driver waits for it: output buffer full, then the byte.
fn answer(controller: &mut I8042) -> Option<u8> {
    (get(controller, STATUS_COMMAND) & STATUS_OUTPUT_FULL != 0).then(|| get(controller, DATA))
}

#[test]
fn the_reset_command_resets() {
    let mut controller = I8042::new();
    // What Linux's reboot=k does: wait until the input buffer is empty, then pulse.
    assert_eq!(get(&mut controller, STATUS_COMMAND) & STATUS_INPUT_FULL, 0);
    assert_eq!(controller.write(STATUS_COMMAND, &[0xfe]), Some(ResetRequest));
}

#[test]
fn a_pulse_resets_only_if_it_includes_the_reset_line() {
    for value in CMD_PULSE_FIRST..=0xff {
        let expected = (value & 1 == 0).then_some(ResetRequest);
        assert_eq!(I8042::new().write(STATUS_COMMAND, &[value]), expected);
    }
}

#[test]
fn the_output_port_drives_the_reset_line() {
    let mut controller = I8042::new();
    command(&mut controller, CMD_WRITE_OUTPUT_PORT);
    assert_eq!(controller.write(DATA, &[0x01]), None);
    command(&mut controller, CMD_READ_OUTPUT_PORT);
    assert_eq!(answer(&mut controller), Some(0x01));
    command(&mut controller, CMD_WRITE_OUTPUT_PORT);
    assert_eq!(controller.write(DATA, &[0x02]), Some(ResetRequest));
    assert_eq!(controller.state().output_port, 0x03, "a pulse ends");
}

/// The steps of Linux's i8042 driver, each of which would otherwise wait for half a second.
#[test]
fn linux_probe_finds_a_controller_without_devices() {
    let mut controller = I8042::new();
    assert_eq!(answer(&mut controller), None, "flushed at once");
    command(&mut controller, CMD_READ_COMMAND_BYTE);
    assert_eq!(answer(&mut controller), Some(CTR_DEFAULT));
    assert_ne!(
        get(&mut controller, STATUS_COMMAND) & STATUS_UNLOCKED,
        0,
        "or it warns of a key lock"
    );
    command(&mut controller, CMD_WRITE_COMMAND_BYTE);
    assert_eq!(controller.write(DATA, &[0x41]), None);
    command(&mut controller, CMD_READ_COMMAND_BYTE);
    assert_eq!(answer(&mut controller), Some(0x41));
    command(&mut controller, CMD_SELF_TEST);
    assert_eq!(answer(&mut controller), Some(SELF_TEST_PASSED));
    // No auxiliary port: the looped byte doesn't come back, and the line test fails.
    command(&mut controller, CMD_LOOP_AUX);
    assert_eq!(controller.write(DATA, &[0x5a]), None);
    assert_eq!(answer(&mut controller), Some(NO_ANSWER));
    command(&mut controller, CMD_TEST_AUX);
    assert_eq!(answer(&mut controller), Some(LINE_TEST_CLOCK_LOW));
}

#[test]
fn a_byte_for_the_keyboard_times_out_at_once() {
    let mut controller = I8042::new();
    assert_eq!(controller.write(DATA, &[0xff]), None);
    assert_eq!(
        get(&mut controller, STATUS_COMMAND),
        STATUS_UNLOCKED | STATUS_TIMEOUT | STATUS_OUTPUT_FULL
    );
    assert_eq!(get(&mut controller, DATA), NO_ANSWER);
    assert_eq!(get(&mut controller, STATUS_COMMAND), STATUS_UNLOCKED);
    assert_eq!(get(&mut controller, DATA), 0);
}

#[test]
fn enabling_and_disabling_devices_shows_in_the_command_byte() {
    let mut controller = I8042::new();
    command(&mut controller, CMD_ENABLE_KEYBOARD);
    command(&mut controller, CMD_ENABLE_AUX);
    assert_eq!(controller.state().command_byte, 0);
    command(&mut controller, CMD_DISABLE_KEYBOARD);
    assert_eq!(controller.state().command_byte, CTR_KEYBOARD_DISABLED);
    command(&mut controller, CMD_DISABLE_AUX);
    assert_eq!(controller.state().command_byte, CTR_DEFAULT);
}

#[test]
fn the_self_test_sets_the_system_flag() {
    let mut controller = I8042::new();
    command(&mut controller, CMD_SELF_TEST);
    get(&mut controller, DATA);
    assert_eq!(
        get(&mut controller, STATUS_COMMAND),
        STATUS_UNLOCKED | STATUS_SYSTEM | STATUS_COMMAND_WRITTEN
    );
}

#[test]
fn a_looped_keyboard_byte_comes_back() {
    let mut controller = I8042::new();
    command(&mut controller, CMD_LOOP_KEYBOARD);
    assert_eq!(controller.write(DATA, &[0x1c]), None);
    assert_eq!(answer(&mut controller), Some(0x1c));
}

#[test]
fn another_command_drops_an_awaited_parameter() {
    let mut controller = I8042::new();
    command(&mut controller, CMD_WRITE_OUTPUT_PORT);
    command(&mut controller, CMD_ENABLE_KEYBOARD);
    assert_eq!(controller.write(DATA, &[0x00]), None);
    assert_eq!(answer(&mut controller), Some(NO_ANSWER));
}

#[test]
fn parameters_of_unused_controller_ram_are_taken_and_dropped() {
    let mut controller = I8042::new();
    command(&mut controller, CMD_WRITE_RAM_FIRST);
    assert_eq!(controller.write(DATA, &[0x12]), None);
    assert_eq!(answer(&mut controller), None);
    command(&mut controller, CMD_READ_RAM_FIRST);
    assert_eq!(answer(&mut controller), Some(0));
}

#[test]
fn the_ports_between_are_not_the_controller_s() {
    let mut controller = I8042::new();
    assert_eq!(controller.write(1, &[0xfe, 0xfe, 0xfe]), None);
    let mut data = [0; 8];
    controller.read(DATA, &mut data);
    assert_eq!(data, [0, 0xff, 0xff, 0xff, STATUS_UNLOCKED, 0xff, 0xff, 0xff]);
}

#[test]
fn impossible_states_are_refused_and_change_nothing() {
    let mut controller = I8042::new();
    let before = controller.clone();
    let good = controller.state();
    let cases = [
        (I8042State { awaiting: Some(0xfe), ..good }, I8042StateError::NoParameter(0xfe)),
        (I8042State { output_port: 0x02, ..good }, I8042StateError::ResetHeld(0x02)),
        (I8042State { timeout: true, ..good }, I8042StateError::TimeoutWithoutReport(None)),
    ];
    for (state, error) in cases {
        assert_eq!(controller.restore(&state), Err(error));
        assert_eq!(controller, before);
    }
}

proptest! {
    #[test]
    fn any_sequence_keeps_the_invariants(accesses in proptest::collection::vec(
        (
            any::<bool>(),
            prop_oneof![4 => Just(DATA), 4 => Just(STATUS_COMMAND), 1 => 0u64..8, 1 => any::<u64>()],
            proptest::collection::vec(any::<u8>(), 0..9),
        ),
        0..80,
    )) {
        let mut controller = I8042::new();
        for (is_write, offset, mut data) in accesses {
            if is_write {
                let before = controller.state();
                let request = controller.write(offset, &data);
                if data.len() == 1 && request.is_some() {
                    let pulse = offset == STATUS_COMMAND && data[0] >= CMD_PULSE_FIRST;
                    let port = offset == DATA && before.awaiting == Some(CMD_WRITE_OUTPUT_PORT);
                    prop_assert!((pulse || port) && data[0] & 1 == 0);
                }
            } else {
                controller.read(offset, &mut data);
            }
            let status = get(&mut controller, STATUS_COMMAND);
            let state = controller.state();
            prop_assert_eq!(status & STATUS_OUTPUT_FULL != 0, state.output.is_some());
            prop_assert_eq!(status & STATUS_INPUT_FULL, 0);
            let mut copy = I8042::new();
            prop_assert_eq!(copy.restore(&state), Ok(()));
            prop_assert_eq!(&copy, &controller);
            get(&mut controller, DATA);
            prop_assert_eq!(get(&mut controller, STATUS_COMMAND) & STATUS_OUTPUT_FULL, 0);
        }
    }
}
