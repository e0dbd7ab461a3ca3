//! The machine with nothing in it, on which no guest ever runs.

use device_model::{
    platform::Platform,
    qom_core::{
        BoxedError, Children, Configuration, Given, Obj, PlanError, Source, Value, qom_type,
    },
};

use super::{Buses, Machine, MachineClass, memory, processors};
use crate::boot::entry::Entry;

/// A machine with nothing in it but a processor if one is asked for, for tools that ask what there is
///
/// The processor tells of itself, and nothing runs it.
#[qom_type(secure, parent = Machine, class_data = CLASS, children = children)]
pub struct NoneMachine {
    /// Type of the processor; there is none without it
    #[property(default = "")]
    cpu_type: String,
    /// Features switched on and off in the processor, as in +popcnt,-cx16
    #[property(default = "")]
    cpu_features: String,
}

static CLASS: MachineClass = MachineClass {
    is_default: false,
    runs_guest: false,
    has_serial: false,
    max_cpus: 1,
    // No guest sees them, but whoever asks what would become of a device can try.
    buses: &[Buses::ISA],
};

/// What users may add to, as on every machine, and a processor that stands still.
fn children(config: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    if config.linked(memory::BACKEND)?.is_some() {
        return Err(PlanError::refused(memory::BACKEND, "no guest runs here that needs memory"));
    }
    for name in ["peripheral", "peripheral-anon", "unattached"] {
        children.add_container(name);
    }
    processor(config, children)
}

fn processor(config: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    let cpu_type = config.get::<String>("cpu-type")?;
    let features = config.get::<String>("cpu-features")?;
    match (config.get::<u32>("cpus")?, cpu_type.is_empty()) {
        (0, true) if features.is_empty() => return Ok(()),
        (0, true) => {
            let problem = "there is no processor for them: give -cpu";
            return Err(PlanError::refused("cpu-features", problem));
        }
        (1, false) => {}
        // The number that every machine has unless it is told another.
        (1, true) if config.source("cpus")? == Source::Default => return Ok(()),
        (1, true) => return Err(PlanError::refused("cpus", "a processor has a type: give -cpu")),
        (0, false) => {
            return Err(PlanError::refused("cpus", format!("'{cpu_type}' is one processor")));
        }
        (cpus, _) => {
            let problem = format!("there is at most one processor here, given '{cpus}'");
            return Err(PlanError::refused("cpus", problem));
        }
    }
    processors::check_type(config, &cpu_type)?;
    children
        .add("unattached/cpu[0]", &cpu_type)
        .set("features", Given::Json(Value::from(features)))
        .because_of("cpu-features");
    Ok(())
}

impl Machine for NoneMachine {
    fn prepare(&self, _: &Platform) -> Result<(), BoxedError> {
        Ok(())
    }

    fn boot(&self, _: &Obj, _: &Platform) -> Result<Option<Entry>, BoxedError> {
        Ok(None)
    }
}
