//! `cargo xtask audit`: what every type states of its security, and which state nothing yet.
//!
//! Only concrete types can be created, so only they can be gaps: an abstract class or interface
//! that states nothing bounds its descendants by nothing, and each of those has to state its own.
//! Classes and interfaces are shown apart therefore, and never denied.

mod report;
mod table;

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use qom_core::Registry;

use report::Report;

/// Options of the task.
#[derive(Args)]
pub(crate) struct Options {
    /// Write JSON for programs
    #[arg(long)]
    json: bool,
    /// End with status 1 if a concrete type is as named
    #[arg(long, value_name = "STATUS")]
    deny: Option<Deny>,
}

/// What a concrete type may not be.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Its author has stated nothing
    Undeclared,
}

/// The crates whose types the program is linked with.
const CRATES: [&str; 2] = ["vmm", "devices"];

/// Shows the audit of the types that this program is linked with: those of the monitor.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let registry = Registry::global().map_err(Clone::clone)?;
    registry.require_crates(&CRATES)?;
    show(registry, options, &mut io::stdout().lock())
}

fn show(registry: &Registry, options: &Options, to: &mut impl Write) -> Result<ExitCode> {
    let report = Report::of(registry);
    let text = if options.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        table::render(&report, io::stdout().is_terminal())
    };
    to.write_all(text.as_bytes()).context("can't write the audit")?;
    if options.deny == Some(Deny::Undeclared) && !report.undeclared.is_empty() {
        eprintln!("xtask: {}", denial(&report.undeclared));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn denial(undeclared: &[report::Gap]) -> String {
    let named: Vec<_> =
        undeclared.iter().map(|gap| format!("'{}' at {}", gap.name, gap.stated_at)).collect();
    format!(
        "undeclared: {}; say #[qom_type(secure, …)] or #[qom_type(insecure, reason = \"…\", …)]",
        named.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use qom_core::{Object, SecurityStatus, TypeInfo, TypeKind, qom_type};
    use serde_json::Value;

    use super::*;

    /// Type of which nothing is stated
    #[qom_type(parent = Object, name = "blank")]
    struct Blank;

    /// The types of the monitor, and with them one that nothing is stated of, which is a gap.
    fn with_a_gap() -> &'static Arc<Registry> {
        Registry::global().expect("the types are in order")
    }

    /// The types of the monitor that something is stated of, and the classes.
    fn without_a_gap() -> Registry {
        let is_gap = |info: &TypeInfo| {
            info.status == SecurityStatus::Undeclared && matches!(info.kind, TypeKind::Concrete(_))
        };
        let types: Vec<_> = with_a_gap().types().filter(|info| !is_gap(info)).collect();
        Registry::new(types).expect("the types are in order")
    }

    fn audit(registry: &Registry, arguments: &[&str]) -> (String, ExitCode) {
        #[derive(clap::Parser)]
        struct Audit {
            #[command(flatten)]
            options: Options,
        }
        let arguments = [&["audit"], arguments].concat();
        let Audit { options } = clap::Parser::try_parse_from(arguments).expect("these are options");
        let mut text = Vec::new();
        let code = show(registry, &options, &mut text).expect("it can be written");
        (String::from_utf8(text).expect("it is text"), code)
    }

    #[test]
    fn denied_gaps_end_it_with_status_1_after_all_is_shown() {
        let complete = without_a_gap();
        assert_eq!(audit(&complete, &["--deny", "undeclared"]).1, ExitCode::SUCCESS);
        assert_eq!(audit(with_a_gap(), &[]).1, ExitCode::SUCCESS);
        for json in [&[][..], &["--json"]] {
            let (shown, code) = audit(with_a_gap(), &[&["--deny", "undeclared"], json].concat());
            assert_eq!(code, ExitCode::from(1));
            assert_eq!(shown, audit(with_a_gap(), json).0);
        }
    }

    #[test]
    fn json_is_one_document_with_all_that_the_table_tells() {
        let (text, _) = audit(with_a_gap(), &["--json"]);
        let document: Value = serde_json::from_str(&text).expect("it is JSON");
        let keys: Vec<_> = document.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["categories", "classes", "counts", "types", "undeclared"]);
        let list = |key: &str| document[key].as_array().expect("a list").clone();
        let number = |value: &Value| value.as_u64().expect("a count");
        let (types, classes) = (list("types"), list("classes"));
        let counted: u64 =
            document["counts"].as_object().expect("an object").values().map(number).sum();
        assert_eq!(counted, types.len() as u64);
        let in_categories: u64 = document["categories"]
            .as_object()
            .expect("an object")
            .values()
            .flat_map(|counts| counts.as_object().expect("an object").values().map(number))
            .sum();
        assert_eq!(in_categories, counted);
        assert_eq!(types.len() + classes.len(), with_a_gap().classes().count());

        let named = |name: &str| types.iter().find(|entry| entry["name"] == name).expect("there");
        let exit = named("isa-debug-exit");
        assert_eq!(
            (&exit["kind"], &exit["security"], &exit["boundaries"], &exit["category"]),
            (
                &"concrete".into(),
                &"insecure".into(),
                &serde_json::json!(["guest"]),
                &"Misc devices".into()
            )
        );
        assert!(exit["reason"].as_str().is_some_and(|reason| reason.contains("exit status")));
        assert_eq!(named("blank")["security"], "undeclared");
        let gaps = list("undeclared");
        let blank = gaps.iter().find(|gap| gap["name"] == "blank").expect("it is a gap");
        let place = blank["stated-at"].as_str().expect("file and line");
        assert!(place.starts_with("xtask/src/audit.rs:"), "{place}");
    }
}
