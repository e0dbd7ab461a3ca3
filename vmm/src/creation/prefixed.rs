//! Types that users name without the beginning that all of their kind have.

use std::sync::Arc;

use device_model::qom_core::{Class, Registry, Suggestion};

/// The concrete types of class `parent` whose names begin with `prefix`, sorted, each with what users
/// call it: the rest of its name.
pub(super) fn all<'a>(
    registry: &'a Registry,
    parent: &'static str,
    prefix: &'static str,
) -> impl Iterator<Item = (&'static str, &'a Arc<Class>)> {
    let classes = registry.classes().filter(move |class| is_one(class, parent));
    classes.filter_map(move |class| Some((class.name().strip_prefix(prefix)?, class)))
}

fn is_one(class: &Class, parent: &str) -> bool {
    !class.is_abstract() && class.is_a(parent)
}

/// The concrete type of class `parent` that users call `name` and the program `prefix` with `name`
/// behind it.
///
/// # Errors
/// What may have been meant, if there is none.
pub(super) fn find<'a>(
    registry: &'a Registry,
    parent: &'static str,
    prefix: &'static str,
    name: &str,
) -> Result<&'a Arc<Class>, Suggestion> {
    let class = registry.class(&format!("{prefix}{name}")).filter(|class| is_one(class, parent));
    class.ok_or_else(|| Suggestion::of(name, all(registry, parent, prefix).map(|(name, _)| name)))
}
