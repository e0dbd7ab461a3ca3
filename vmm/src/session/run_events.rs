//! What monitors' clients hear of the run of a VM. Names and words are QEMU's.

use device_model::monitor::{Event, register_event};
use schemars::JsonSchema;
use serde::Serialize;

/// Declares an event whose data is the struct's fields.
macro_rules! event {
    ($(#[$doc:meta])* $name:ident = $wire:literal, guest: $guest:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Serialize, JsonSchema)]
        pub(super) struct $name {
            $($(#[$field_doc])* pub(super) $field: $type,)*
        }

        impl Event for $name {
            const NAME: &'static str = $wire;
            const CAUSED_BY_GUEST: bool = $guest;
        }

        register_event!($name);
    };
}

event!(
    /// The processors have been stopped
    Stopped = "STOP", guest: false {}
);

event!(
    /// The processors run
    Resumed = "RESUME", guest: false {}
);

event!(
    /// Somebody pressed the power button
    PowerDown = "POWERDOWN", guest: false {}
);

event!(
    /// The machine starts over
    Reset = "RESET", guest: true {
        /// Whether the guest wanted it
        guest: bool,
        /// Who or what wanted it
        reason: Reason,
    }
);

event!(
    /// The VM is at its end
    Shutdown = "SHUTDOWN", guest: false {
        /// Whether the guest wanted it
        guest: bool,
        /// Who or what wanted it
        reason: Reason,
    }
);

event!(
    /// The guest's kernel has panicked
    GuestPanicked = "GUEST_PANICKED", guest: true {
        /// What is done about it
        action: PanicAction,
    }
);

event!(
    /// The guest's kernel has crashed and runs its crash kernel
    GuestCrashLoaded = "GUEST_CRASHLOADED", guest: true {
        /// What is done about it
        action: PanicAction,
    }
);

/// Who or what ends a VM or starts it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reason {
    /// The host can't go on
    HostError,
    /// `quit`
    HostQmpQuit,
    /// `system_reset`
    HostQmpSystemReset,
    /// A signal
    HostSignal,
    /// The guest switched the machine off
    GuestShutdown,
    /// The guest wants to start over, or fell over
    GuestReset,
    /// The guest's kernel has panicked
    GuestPanic,
}

impl Reason {
    /// Whether the guest wanted it.
    const fn is_guest(self) -> bool {
        matches!(self, Self::GuestShutdown | Self::GuestReset | Self::GuestPanic)
    }
}

impl Reset {
    /// For that reason.
    pub(super) const fn because(reason: Reason) -> Self {
        Self { guest: reason.is_guest(), reason }
    }
}

impl Shutdown {
    /// For that reason.
    pub(super) const fn because(reason: Reason) -> Self {
        Self { guest: reason.is_guest(), reason }
    }
}

/// What is done about a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PanicAction {
    /// The VM ends
    Poweroff,
    /// The guest runs on
    Run,
}
