//! `palisade types`: every type with what it declares, for people or as JSON.

use std::{ffi::OsString, sync::Arc};

use comfy_table::{Table, presets};
use device_model::qom_core::{Registry, Suggestion, TypeDescription};

use super::{
    error::{OptionError, StartError},
    report,
    run::Exit,
};

/// Shows the types named, or all.
pub(super) fn run(registry: &Arc<Registry>, arguments: &[OsString]) -> Result<Exit, StartError> {
    let mut json = false;
    let mut named = Vec::new();
    for argument in arguments {
        match argument.to_string_lossy().as_ref() {
            "--json" | "-json" => json = true,
            option if option.starts_with('-') => {
                return Err(refuse(option, &["--json"], OptionError::UnknownArgument));
            }
            name => named.push(name.to_owned()),
        }
    }
    let names: Vec<_> = registry.types().map(|info| info.name).collect();
    if let Some(unknown) = named.iter().find(|name| registry.class(name).is_none()) {
        return Err(refuse(unknown, &names, OptionError::UnknownType));
    }
    let described: Vec<_> = registry
        .classes()
        .filter(|class| named.is_empty() || named.iter().any(|name| name == class.name()))
        .map(|class| TypeDescription::of(class))
        .collect();
    if json {
        let text = serde_json::to_string_pretty(&described).unwrap_or_default();
        report::out(&(text + "\n"))?;
    } else {
        report::out(&table(&described))?;
    }
    Ok(Exit::Finished)
}

fn refuse(
    given: &str,
    known: &[&str],
    problem: fn(String, Suggestion) -> OptionError,
) -> StartError {
    let suggestion = Suggestion::of(given, known.iter().copied());
    StartError::Option { place: "types".to_owned(), problem: problem(given.to_owned(), suggestion) }
}

fn table(types: &[TypeDescription]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["type", "kind", "security", "boundaries", "stated by", "at"]);
    for described in types {
        table.add_row([
            described.name,
            described.kind,
            described.security,
            &described.boundaries.to_string(),
            &described.stated_by,
            &described.stated_at,
        ]);
    }
    format!("{}\n", table.trim_fmt())
}
