//! Which types of processors a machine can be made of.

use device_model::qom_core::{Class, ClassType, Configuration, PlanError, Registry, Suggestion};

use crate::cpu::{self, Cpu};

/// Checks that a machine's property `cpu-type` names a type of processor.
///
/// # Errors
/// If it names none, with what may have been meant.
pub(super) fn check_type(config: &Configuration<'_>, cpu_type: &str) -> Result<(), PlanError> {
    if config.registry().class(cpu_type).is_some_and(|class| is_cpu(class)) {
        return Ok(());
    }
    let suggestion = suggest(config.registry(), cpu_type);
    let problem = format!("'{cpu_type}' is no type of processor{suggestion}");
    Err(PlanError::refused("cpu-type", problem))
}

fn is_cpu(class: &Class) -> bool {
    class.is_a(<dyn Cpu as ClassType>::NAME) && !class.is_abstract()
}

/// The type of processor most like one that is none: users know the types without their suffix.
fn suggest(registry: &Registry, given: &str) -> Suggestion {
    let short = registry
        .classes()
        .filter(|class| is_cpu(class))
        .filter_map(|class| class.name().strip_suffix(cpu::TYPE_SUFFIX));
    match Suggestion::of(given, short) {
        Suggestion(Some(name)) => Suggestion(Some(format!("{name}{}", cpu::TYPE_SUFFIX))),
        Suggestion(None) => registry.suggest(given, <dyn Cpu as ClassType>::NAME),
    }
}
