//! One run of the monitor: from the command line to the exit status.

mod check;
mod control;
mod demo;
mod error;
mod handed_over;
mod help;
mod inbox;
mod processors;
mod realizer;
mod report;
mod requests;
mod run;
mod run_events;
mod run_log;
mod signals;
mod types;
mod vm;

use std::{ffi::OsString, process::ExitCode, sync::Arc};

use device_model::{
    descriptors::Descriptors,
    qom_core::{
        CompatPolicy, CreateError, Global, Globals, Origin, Policy, PolicyStatement, Registry, Tree,
    },
};

pub use demo::Demo;
pub use error::{OptionError, StartError};
pub use run::Exit;
pub use vm::Vm;

use crate::options::command_line::{CommandLine, HelpRequest, Subcommand, subcommand_usage, usage};

/// What a monitor calls itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// The start of each line that it writes of itself, and the name in its usage.
    pub name: &'static str,
    /// What `--version` tells.
    pub version: &'static str,
}

/// The body of [`vmm::main!`](crate::main!): runs the monitor with the arguments of the process and
/// the types of the crates named.
#[must_use]
pub fn main(program: Program, crates: &[&str]) -> ExitCode {
    handed_over::started_with();
    report::call(program.name);
    match run(program, crates, std::env::args_os().skip(1)) {
        Ok(exit) => exit.code(),
        Err(error) => {
            report::start_error(&error);
            Exit::StartFailed.code()
        }
    }
}

/// The checked types of the program.
fn registry(crates: &[&str]) -> Result<&'static Arc<Registry>, StartError> {
    let registry = Registry::global().map_err(|errors| StartError::Registry(errors.clone()))?;
    registry.require_crates(crates).map_err(StartError::Registry)?;
    Ok(registry)
}

fn run(
    program: Program,
    crates: &[&str],
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Exit, StartError> {
    let registry = registry(crates)?;
    let line = CommandLine::parse(arguments)?;
    if let Some(subcommand) = line.subcommand().filter(|subcommand| subcommand.asks_help()) {
        report::out(&subcommand_usage(program.name, subcommand))?;
        return Ok(Exit::Finished);
    }
    match line.subcommand() {
        Some(Subcommand::Types(rest)) => return types::run(registry, rest),
        Some(Subcommand::Check(rest)) => return check::run(registry, rest),
        Some(Subcommand::Demo(rest)) => return demo::run(registry, rest),
        None => {}
    }
    if let Some((_, request)) = line.help_requests().next() {
        match request {
            HelpRequest::Usage => report::out(&usage(program.name))?,
            HelpRequest::Version => {
                report::out(&format!("{} {}\n", program.name, program.version))?;
            }
            HelpRequest::Types(topic) => {
                report::out(&help::types(registry, *topic, compat(&line)))?
            }
            HelpRequest::Properties(topic, name) => {
                report::out(&help::properties(registry, *topic, name, compat(&line))?)?;
            }
            HelpRequest::Keys(option) => {
                report::out(&help::keys(registry, option, compat(&line)))?;
            }
            HelpRequest::Streams => report::out(&help::streams(registry, compat(&line)))?,
        }
        return Ok(Exit::Finished);
    }
    let vm = Vm::create(registry, &line)?;
    vm.run()
}

/// The policy that the whole command line states, resolved before anything is created.
fn policy(line: &CommandLine) -> (Policy, Vec<(PolicyStatement, Origin)>) {
    let stated: Vec<_> = line
        .policy_statements()
        .map(|(entry, statement)| (statement, Origin::new(entry.to_string())))
        .collect();
    let statements: Vec<_> = stated.iter().map(|(statement, _)| *statement).collect();
    (Policy::of(&statements), stated)
}

/// What the whole command line states of what is deprecated or unstable.
fn compat(line: &CommandLine) -> CompatPolicy {
    CompatPolicy::of(line.compat_statements())
}

/// The tree that a command line asks for, with nothing in it. Its judges see what was handed over.
fn tree(
    registry: &Arc<Registry>,
    line: &CommandLine,
    descriptors: &Arc<Descriptors>,
) -> Result<Tree, CreateError> {
    let (policy, _) = policy(line);
    let tree = Tree::new(Arc::clone(registry), policy, Globals::new(globals(line)))?;
    Ok(tree.with_compat(compat(line)).with_context(Arc::clone(descriptors)))
}

fn globals(line: &CommandLine) -> Vec<Global> {
    line.globals()
        .map(|(entry, global)| {
            Global::new(global.driver.clone(), global.property.clone(), global.value.clone())
                .from(Origin::new(entry.place_of("value")))
        })
        .collect()
}
