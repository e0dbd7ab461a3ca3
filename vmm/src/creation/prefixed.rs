//! Types that users name without the beginning that all of their kind have.

use std::sync::Arc;

use device_model::qom_core::{Class, Registry, Suggestion};

/// The concrete type of class `parent` that users call `name` and the program `prefix` with `name`
/// behind it.
///
/// # Errors
/// What may have been meant, if there is none.
pub(super) fn find<'a>(
    registry: &'a Registry,
    parent: &str,
    prefix: &str,
    name: &str,
) -> Result<&'a Arc<Class>, Suggestion> {
    let is_one = |class: &Class| !class.is_abstract() && class.is_a(parent);
    let class = registry.class(&format!("{prefix}{name}")).filter(|class| is_one(class));
    class.ok_or_else(|| {
        let all = registry.classes().filter(|class| is_one(class));
        Suggestion::of(name, all.filter_map(|class| class.name().strip_prefix(prefix)))
    })
}
