//! The state that a driver brings a device into, step by step (virtio 1.2, sections 2.1, 2.2 and 3.1).
//! Whatever it does in the wrong order has no effect.

use device_model::{
    platform::GuestMemory,
    virtio::{
        QueueSetup,
        spec::{
            feature,
            status::{ACKNOWLEDGE, DEVICE_NEEDS_RESET, DRIVER, DRIVER_OK, FAILED, FEATURES_OK},
        },
    },
};

/// The bits of the device status that a driver may set.
const OF_THE_DRIVER: u32 = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK | FAILED;

/// What a write to the device status asks for beyond the status itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusChange {
    /// Nothing.
    None,
    /// To reset the device.
    Reset,
    /// To start it: DRIVER_OK has been set.
    Start,
}

/// A part of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingPart {
    /// The table of descriptors.
    Descriptors,
    /// The ring of available chains.
    Available,
    /// The ring of used chains.
    Used,
}

/// What a driver has negotiated and set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtioState {
    /// The features that the device has.
    offered: u64,
    /// Those that the driver wants.
    accepted: u64,
    /// Which 32 of each are seen.
    offered_select: u32,
    accepted_select: u32,
    status: u32,
    queue_select: u32,
    queues: Vec<Queue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Queue {
    setup: QueueSetup,
    ready: bool,
}

impl VirtioState {
    /// A device after reset, with features of its own beside those that queues have, and queues of
    /// those greatest sizes.
    #[must_use]
    pub fn new(features: u64, queue_sizes: &[u16]) -> Self {
        let queue = |most: &u16| Queue { setup: QueueSetup::new(*most), ready: false };
        Self {
            offered: features | feature::OF_QUEUES,
            accepted: 0,
            offered_select: 0,
            accepted_select: 0,
            status: 0,
            queue_select: 0,
            queues: queue_sizes.iter().map(queue).collect(),
        }
    }

    /// Brings it back to where it began.
    pub fn reset(&mut self) {
        let sizes: Vec<_> = self.queues.iter().map(|queue| queue.setup.most).collect();
        *self = Self { offered: self.offered, ..Self::new(0, &sizes) };
    }

    /// Chooses which 32 of the device's features are read.
    pub fn select_offered(&mut self, which: u32) {
        self.offered_select = which;
    }

    /// The chosen 32 of the device's features; none past the 64 that there are.
    #[must_use]
    pub fn offered(&self) -> u32 {
        match self.offered_select {
            0 => low(self.offered),
            1 => low(self.offered >> 32),
            _ => 0,
        }
    }

    /// Chooses which 32 of the driver's features are written.
    pub fn select_accepted(&mut self, which: u32) {
        self.accepted_select = which;
    }

    /// The driver wants the chosen 32 features as these bits say. It has no effect once FEATURES_OK
    /// is set (section 3.1.1).
    pub fn accept(&mut self, bits: u32) {
        if self.status & FEATURES_OK != 0 {
            return;
        }
        match self.accepted_select {
            0 => self.accepted = with_low(self.accepted, bits),
            1 => self.accepted = with_high(self.accepted, bits),
            _ => {}
        }
    }

    /// The features that both have, once FEATURES_OK is set.
    #[must_use]
    pub const fn features(&self) -> u64 {
        self.accepted
    }

    /// The device status but for DEVICE_NEEDS_RESET.
    #[must_use]
    pub const fn status(&self) -> u32 {
        self.status
    }

    /// Whether the driver drives the device.
    #[must_use]
    pub const fn is_driven(&self) -> bool {
        self.status & DRIVER_OK != 0
    }

    /// The driver writes the device status. Zero asks for a reset; bits can be set only, each after
    /// those before it: FEATURES_OK if the device has what the driver wants, DRIVER_OK after that.
    /// None but FAILED is set once the device needs a reset.
    pub fn write_status(&mut self, value: u32, needs_reset: bool) -> StatusChange {
        if value == 0 {
            return StatusChange::Reset;
        }
        let was_driven = self.is_driven();
        let settable = if needs_reset { FAILED } else { OF_THE_DRIVER };
        let mut status = self.status | value & settable;
        let known = status & ACKNOWLEDGE != 0 && status & DRIVER != 0;
        if self.status & FEATURES_OK == 0 && !(known && self.is_acceptable()) {
            status &= !FEATURES_OK;
        }
        if status & FEATURES_OK == 0 || !was_driven && status & FAILED != 0 {
            status &= !DRIVER_OK;
        }
        debug_assert_eq!(status & DEVICE_NEEDS_RESET, 0);
        self.status = status;
        if self.is_driven() && !was_driven { StatusChange::Start } else { StatusChange::None }
    }

    /// Whether the device can be driven with the features that the driver wants: it has all of them,
    /// and the driver is none of a legacy device (sections 2.2 and 6.1).
    fn is_acceptable(&self) -> bool {
        self.accepted & !self.offered == 0 && self.accepted & feature::VERSION_1 != 0
    }

    /// Chooses the queue that is read and set up.
    pub fn select_queue(&mut self, index: u32) {
        self.queue_select = index;
    }

    fn queue(&self) -> Option<&Queue> {
        self.queues.get(usize::try_from(self.queue_select).ok()?)
    }

    /// The chosen queue, if it may be set up: not once it is ready (section 4.2.2.2), nor once the
    /// driver has said that all are.
    fn queue_to_set_up(&mut self) -> Option<&mut Queue> {
        let is_driven = self.is_driven();
        let queue = self.queues.get_mut(usize::try_from(self.queue_select).ok()?)?;
        (!queue.ready && !is_driven).then_some(queue)
    }

    /// The greatest size of the chosen queue, 0 if there is none.
    #[must_use]
    pub fn queue_most(&self) -> u16 {
        self.queue().map_or(0, |queue| queue.setup.most)
    }

    /// Whether the chosen queue is ready.
    #[must_use]
    pub fn queue_ready(&self) -> bool {
        self.queue().is_some_and(|queue| queue.ready)
    }

    /// Sets the size of the chosen queue. A size that it can't have keeps it from being made ready.
    pub fn set_queue_size(&mut self, size: u32) {
        if let Some(queue) = self.queue_to_set_up() {
            queue.setup.size = u16::try_from(size).unwrap_or(0);
        }
    }

    /// Sets the lower half of an address of the chosen queue.
    pub fn set_low(&mut self, part: RingPart, value: u32) {
        if let Some(address) = self.address(part) {
            *address = with_low(*address, value);
        }
    }

    /// Sets the upper half.
    pub fn set_high(&mut self, part: RingPart, value: u32) {
        if let Some(address) = self.address(part) {
            *address = with_high(*address, value);
        }
    }

    fn address(&mut self, part: RingPart) -> Option<&mut u64> {
        let setup = &mut self.queue_to_set_up()?.setup;
        Some(match part {
            RingPart::Descriptors => &mut setup.descriptors,
            RingPart::Available => &mut setup.available,
            RingPart::Used => &mut setup.used,
        })
    }

    /// Makes the chosen queue ready, if it holds as it is set up. It stays as it was otherwise, which
    /// the driver sees.
    pub fn make_ready(&mut self, memory: Option<&GuestMemory>) {
        if let (Some(queue), Some(memory)) = (self.queue_to_set_up(), memory) {
            queue.ready = queue.setup.check(memory).is_ok();
        }
    }

    /// Makes the chosen queue ready no more, and tells its number if it was.
    pub fn make_unready(&mut self) -> Option<u16> {
        let index = usize::try_from(self.queue_select).ok()?;
        let queue = self.queues.get_mut(index)?;
        let was_ready = std::mem::take(&mut queue.ready);
        was_ready.then(|| u16::try_from(index).ok()).flatten()
    }

    /// All queues, those that are ready.
    pub fn queues(&self) -> impl Iterator<Item = Option<QueueSetup>> {
        self.queues.iter().map(|queue| queue.ready.then_some(queue.setup))
    }
}

fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn with_low(value: u64, low: u32) -> u64 {
    value & !u64::from(u32::MAX) | u64::from(low)
}

fn with_high(value: u64, high: u32) -> u64 {
    value & u64::from(u32::MAX) | u64::from(high) << 32
}

#[cfg(test)]
mod tests {
    use device_model::virtio::spec::feature::VERSION_1;
    use vm_memory::GuestAddress;

    use super::*;

    const KNOWN: u32 = ACKNOWLEDGE | DRIVER;

    fn state() -> VirtioState {
        VirtioState::new(1 << 5, &[8, 256])
    }

    fn accept(state: &mut VirtioState, features: u64) {
        state.select_accepted(0);
        state.accept(low(features));
        state.select_accepted(1);
        state.accept(low(features >> 32));
    }

    /// One that has negotiated, with the status so far.
    fn negotiated() -> VirtioState {
        let mut state = state();
        accept(&mut state, VERSION_1 | 1 << 5);
        assert_eq!(state.write_status(KNOWN | FEATURES_OK, false), StatusChange::None);
        assert_eq!(state.status(), KNOWN | FEATURES_OK);
        state
    }

    fn memory() -> GuestMemory {
        GuestMemory::from_ranges(&[(GuestAddress(0), 0x1_0000)]).unwrap()
    }

    fn set_up(state: &mut VirtioState, size: u32, addresses: [u64; 3]) {
        state.set_queue_size(size);
        let parts = [RingPart::Descriptors, RingPart::Available, RingPart::Used];
        for (part, address) in parts.into_iter().zip(addresses) {
            state.set_low(part, low(address));
            state.set_high(part, low(address >> 32));
        }
        state.make_ready(Some(&memory()));
    }

    const GOOD: [u64; 3] = [0x1000, 0x2000, 0x3000];

    #[test]
    fn the_device_offers_its_own_features_and_those_of_queues() {
        let mut state = state();
        assert_eq!(state.offered(), 1 << 28 | 1 << 29 | 1 << 5);
        state.select_offered(1);
        assert_eq!(state.offered(), 1);
        for beyond in [2, u32::MAX] {
            state.select_offered(beyond);
            assert_eq!(state.offered(), 0);
        }
    }

    #[test]
    fn features_that_the_device_lacks_and_legacy_drivers_are_refused() {
        for wrong in [0, 1 << 5, VERSION_1 | 1 << 6, VERSION_1 | 1 << 63] {
            let mut state = state();
            accept(&mut state, wrong);
            state.write_status(KNOWN | FEATURES_OK, false);
            assert_eq!(state.status(), KNOWN, "{wrong:#x}");
            // Nor does DRIVER_OK do anything then.
            assert_eq!(state.write_status(KNOWN | DRIVER_OK, false), StatusChange::None);
            assert_eq!(state.status(), KNOWN);
            // It may think again.
            accept(&mut state, VERSION_1);
            state.write_status(KNOWN | FEATURES_OK, false);
            assert_eq!(state.status(), KNOWN | FEATURES_OK);
        }
    }

    #[test]
    fn features_changed_after_features_ok_stay_as_they_were() {
        let mut state = negotiated();
        accept(&mut state, u64::MAX);
        assert_eq!(state.features(), VERSION_1 | 1 << 5);
        state.write_status(KNOWN | FEATURES_OK, false);
        accept(&mut state, 0);
        assert_eq!(state.features(), VERSION_1 | 1 << 5);
    }

    #[test]
    fn bits_of_the_status_are_set_in_order_and_not_cleared() {
        let mut state = state();
        accept(&mut state, VERSION_1);
        state.write_status(FEATURES_OK | DRIVER_OK, false);
        assert_eq!(state.status(), 0, "the guest has not found the device");
        state.write_status(ACKNOWLEDGE, false);
        state.write_status(DRIVER | DEVICE_NEEDS_RESET | 0xffff_ff00, false);
        assert_eq!(state.status(), KNOWN, "there are no such bits, or they are the device's");
        assert_eq!(
            state.write_status(FEATURES_OK | DRIVER_OK, false),
            StatusChange::Start,
            "at once, as some drivers do"
        );
        assert_eq!(state.write_status(FEATURES_OK | DRIVER_OK, false), StatusChange::None);
        state.write_status(ACKNOWLEDGE, false);
        assert_eq!(state.status(), KNOWN | FEATURES_OK | DRIVER_OK);
        assert_eq!(state.write_status(0, false), StatusChange::Reset);
    }

    #[test]
    fn a_device_that_needs_a_reset_or_was_given_up_is_not_started() {
        let mut state = negotiated();
        assert_eq!(state.write_status(DRIVER_OK, true), StatusChange::None);
        assert_eq!(state.write_status(FAILED, true), StatusChange::None);
        assert_eq!(state.write_status(DRIVER_OK, false), StatusChange::None);
        assert_eq!(state.status(), KNOWN | FEATURES_OK | FAILED);
    }

    #[test]
    fn a_reset_forgets_all_but_what_the_device_is() {
        let mut state = negotiated();
        state.select_queue(1);
        state.select_offered(1);
        set_up(&mut state, 4, GOOD);
        state.reset();
        assert_eq!(state, self::state());
    }

    #[test]
    fn a_queue_that_does_not_hold_does_not_get_ready() {
        for (size, addresses) in [
            (0, GOOD),
            (3, GOOD),
            (16, GOOD),
            (0x1_0008, GOOD),
            (8, [0x1008, 0x2000, 0x3000]),
            (8, [0x1000, 0x2001, 0x3000]),
            (8, [0x1000, 0x2000, 0x3002]),
            (8, [0xff90, 0x2000, 0x3000]),
            (8, [0x1000, 0xfff0, 0x3000]),
            (8, [0x1000, 0x2000, 0xffc0]),
            (8, [0x1_0000_0000, 0x2000, 0x3000]),
            (8, [!15, 0x2000, 0x3000]),
            (8, [0x1000, 0x2000, !3]),
            (8, [0x1000, 0, 0x3000]),
        ] {
            let mut state = negotiated();
            set_up(&mut state, size, addresses);
            assert!(!state.queue_ready(), "{size} {addresses:x?}");
            set_up(&mut state, 8, GOOD);
            assert!(state.queue_ready(), "it may be set up anew");
        }
        let mut state = negotiated();
        state.set_queue_size(8);
        state.make_ready(None);
        assert!(!state.queue_ready(), "there is no memory");
    }

    #[test]
    fn a_queue_can_not_be_resized_or_moved_while_it_is_ready_or_driven() {
        let mut state = negotiated();
        set_up(&mut state, 8, GOOD);
        let before = state.clone();
        set_up(&mut state, 4, [0x4000, 0x5000, 0x6000]);
        assert_eq!(state, before);
        state.write_status(DRIVER_OK, false);
        assert_eq!(state.make_unready(), Some(0));
        assert_eq!(state.make_unready(), None);
        set_up(&mut state, 4, [0x4000, 0x5000, 0x6000]);
        assert!(!state.queue_ready());
        assert_eq!(state.queues().collect::<Vec<_>>(), [None, None]);
    }

    #[test]
    fn there_are_only_the_queues_that_there_are() {
        let mut state = negotiated();
        for (index, most) in [(0, 8), (1, 256), (2, 0), (0x1_0000, 0), (u32::MAX, 0)] {
            state.select_queue(index);
            assert_eq!(state.queue_most(), most, "{index}");
            set_up(&mut state, 8, GOOD);
            assert_eq!(state.queue_ready(), most > 0);
        }
    }
}
