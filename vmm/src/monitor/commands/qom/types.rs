//! The types that there are: `qom-list-types`.

use device_model::monitor::{Command, CommandContext, CommandError, register_command};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::standing::{Security, Standing};

/// `qom-list-types`.
struct QomListTypes;

/// Which types; all concrete ones unless something is said.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// Only those that are, descend from, or offer this class or interface.
    #[serde(default)]
    implements: Option<String>,
    /// Whether abstract types are listed as well.
    #[serde(default, rename = "abstract")]
    with_abstract: bool,
    /// Only those of this security status.
    #[serde(default)]
    security: Option<Security>,
}

/// A type.
#[derive(Debug, Serialize, JsonSchema)]
struct Type {
    /// Its name.
    name: &'static str,
    /// True if there are no objects of exactly this type; left out otherwise.
    #[serde(rename = "abstract", skip_serializing_if = "std::ops::Not::not")]
    is_abstract: bool,
    /// The class that it descends from.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'static str>,
    #[serde(flatten)]
    standing: Standing,
}

impl Command for QomListTypes {
    const NAME: &'static str = "qom-list-types";
    type Arguments = Filter;
    type Returns = Vec<Type>;

    fn run(context: &CommandContext<'_>, filter: Filter) -> Result<Vec<Type>, CommandError> {
        let compat = context.compat();
        let types = context
            .tree()
            .registry()
            .classes()
            .filter(|class| !compat.hides(class.info().features()))
            .filter(|class| filter.with_abstract || !class.is_abstract())
            .filter(|class| filter.implements.as_deref().is_none_or(|name| class.is_a(name)))
            .filter(|class| filter.security.is_none_or(|wanted| wanted == class.status().into()))
            .map(|class| Type {
                name: class.name(),
                is_abstract: class.is_abstract(),
                parent: class.info().parent,
                standing: Standing::of(class),
            });
        Ok(types.collect())
    }
}

register_command!(QomListTypes);
