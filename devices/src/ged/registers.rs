//! The behaviour of the sleep, reset and event registers.

use super::spec::{
    EVENTS, POWER_BUTTON, RESET, RESET_VALUE, SLEEP_CONTROL, SLEEP_STATUS, SLP_EN, SLP_TYP_MASK,
    SLP_TYP_S5, SLP_TYP_SHIFT,
};

/// What the guest asks of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerRequest {
    /// Power off (S5).
    PowerOff,
    /// Reset.
    Reset,
}

/// Everything that [`GedRegisters`] remember.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GedState {
    /// Sleep control, without SLP_EN.
    pub sleep_control: u8,
    /// Events that nobody has read of.
    pub events: u8,
}

/// A saved register has bits that aren't kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GedStateError {
    /// Sleep control.
    #[error("ged state: sleep control is {0:#04x}, but only the bits {SLP_TYP_MASK:#04x} are kept")]
    SleepControl(u8),
    /// Events.
    #[error("ged state: events are {0:#04x}, but there are only {POWER_BUTTON:#04x}")]
    Events(u8),
}

/// The registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GedRegisters {
    sleep_control: u8,
    events: u8,
}

impl GedRegisters {
    /// The registers after a reset.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reset of the machine.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Somebody presses the power button.
    pub fn press_power_button(&mut self) {
        self.events |= POWER_BUTTON;
    }

    /// Whether something has happened that the guest has not read of.
    #[must_use]
    pub const fn irq_level(&self) -> bool {
        self.events != 0
    }

    /// The guest reads. Sleep status reads as 0: the machine never sleeps, so that it never wakes
    /// (WAK_STS). Events are told once. Bytes beyond the registers read as 0xff.
    pub fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0xff);
        for (offset, byte) in (offset..=u64::MAX).zip(data) {
            *byte = match offset {
                SLEEP_CONTROL => self.sleep_control,
                SLEEP_STATUS | RESET => 0,
                EVENTS => std::mem::take(&mut self.events),
                _ => 0xff,
            };
        }
    }

    /// The guest writes. If one access asks for several things, the first counts.
    #[must_use = "the guest waits for what it asked"]
    pub fn write(&mut self, offset: u64, data: &[u8]) -> Option<PowerRequest> {
        let mut request = None;
        for (offset, &byte) in (offset..=u64::MAX).zip(data) {
            request = request.or(self.write_register(offset, byte));
        }
        request
    }

    fn write_register(&mut self, offset: u64, value: u8) -> Option<PowerRequest> {
        match offset {
            SLEEP_CONTROL => {
                self.sleep_control = value & SLP_TYP_MASK;
                let state = self.sleep_control >> SLP_TYP_SHIFT;
                // No other state is offered in the guest's tables, and none is entered.
                (value & SLP_EN != 0 && state == SLP_TYP_S5).then_some(PowerRequest::PowerOff)
            }
            RESET => (value == RESET_VALUE).then_some(PowerRequest::Reset),
            _ => None,
        }
    }

    /// What the registers remember.
    pub fn state(&self) -> GedState {
        GedState { sleep_control: self.sleep_control, events: self.events }
    }

    /// Takes a saved state over.
    ///
    /// # Errors
    /// If it has bits set that are never kept; nothing changes then.
    pub fn restore(&mut self, state: &GedState) -> Result<(), GedStateError> {
        if state.sleep_control & !SLP_TYP_MASK != 0 {
            return Err(GedStateError::SleepControl(state.sleep_control));
        }
        if state.events & !POWER_BUTTON != 0 {
            return Err(GedStateError::Events(state.events));
        }
        (self.sleep_control, self.events) = (state.sleep_control, state.events);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S5: u8 = SLP_TYP_S5 << SLP_TYP_SHIFT;

    fn get(registers: &mut GedRegisters, offset: u64) -> u8 {
        let mut byte = [0];
        registers.read(offset, &mut byte);
        byte[0]
    }

    #[test]
    fn entering_s5_powers_off() {
        let mut registers = GedRegisters::new();
        assert_eq!(registers.write(SLEEP_CONTROL, &[S5]), None);
        assert_eq!(registers.write(SLEEP_CONTROL, &[S5 | SLP_EN]), Some(PowerRequest::PowerOff));
        assert_eq!(get(&mut registers, SLEEP_CONTROL), S5, "SLP_EN is write-only");
    }

    #[test]
    fn other_sleeping_states_are_not_entered() {
        let mut registers = GedRegisters::new();
        for state in (0..8).filter(|&state| state != SLP_TYP_S5) {
            let value = state << SLP_TYP_SHIFT | SLP_EN;
            assert_eq!(registers.write(SLEEP_CONTROL, &[value]), None);
            assert_eq!(get(&mut registers, SLEEP_CONTROL), state << SLP_TYP_SHIFT);
        }
    }

    #[test]
    fn only_the_reset_value_resets() {
        let mut registers = GedRegisters::new();
        for value in 0..=u8::MAX {
            let expected = (value == RESET_VALUE).then_some(PowerRequest::Reset);
            assert_eq!(registers.write(RESET, &[value]), expected);
        }
        assert_eq!(get(&mut registers, RESET), 0);
    }

    #[test]
    fn the_machine_never_woke() {
        let mut registers = GedRegisters::new();
        assert_eq!(registers.write(SLEEP_STATUS, &[0xff]), None);
        assert_eq!(get(&mut registers, SLEEP_STATUS), 0);
    }

    #[test]
    fn a_wide_access_is_consecutive_bytes() {
        let mut registers = GedRegisters::new();
        assert_eq!(
            registers.write(SLEEP_CONTROL, &[0, 0, RESET_VALUE, 0]),
            Some(PowerRequest::Reset)
        );
        assert_eq!(
            registers.write(SLEEP_CONTROL, &[S5 | SLP_EN, 0, RESET_VALUE]),
            Some(PowerRequest::PowerOff)
        );
        let mut data = [0x77; 4];
        registers.read(SLEEP_CONTROL, &mut data);
        assert_eq!(data, [S5, 0, 0, 0]);
    }

    #[test]
    fn a_pressed_button_interrupts_until_it_is_read_of() {
        let mut registers = GedRegisters::new();
        assert!(!registers.irq_level());
        registers.press_power_button();
        registers.press_power_button();
        assert!(registers.irq_level());
        assert_eq!(registers.write(EVENTS, &[0xff]), None);
        assert!(registers.irq_level(), "it can't be written to");
        assert_eq!(get(&mut registers, EVENTS), POWER_BUTTON);
        assert!(!registers.irq_level());
        assert_eq!(get(&mut registers, EVENTS), 0);
    }

    #[test]
    fn bits_that_are_never_kept_are_refused() {
        let mut registers = GedRegisters::new();
        let state = GedState { sleep_control: SLP_EN, events: 0 };
        assert_eq!(registers.restore(&state), Err(GedStateError::SleepControl(SLP_EN)));
        let state = GedState { sleep_control: 0, events: 1 };
        assert_eq!(registers.restore(&state), Err(GedStateError::Events(1)));
        assert_eq!(registers, GedRegisters::new());
    }

    proptest! {
        #[test]
        fn any_sequence_keeps_the_invariants(accesses in proptest::collection::vec(
            (
                prop_oneof![9 => 0u64..5, 1 => any::<u64>()],
                proptest::collection::vec(any::<u8>(), 0..9),
            ),
            0..40,
        )) {
            let mut registers = GedRegisters::new();
            for (offset, data) in accesses {
                let request = registers.write(offset, &data);
                prop_assert!(request.is_none() || offset <= RESET);
                registers.read(offset, &mut data.clone());
                prop_assert_eq!(get(&mut registers, SLEEP_CONTROL) & !SLP_TYP_MASK, 0);
                let mut copy = GedRegisters::new();
                prop_assert_eq!(copy.restore(&registers.state()), Ok(()));
                prop_assert_eq!(copy, registers);
            }
        }
    }
}
