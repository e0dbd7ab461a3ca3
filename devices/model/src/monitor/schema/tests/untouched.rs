//! A VM for tests of commands that need none.

use std::sync::Arc;

use parking_lot::Mutex;
use qom_core::{
    CompatFinding, CompatPolicy, CompatStatement, CreateError, Created, Obj, Origin, Policy,
    PolicyStatement, RaiseError, RemoveError, Request, Tree,
};

use crate::{
    control::{Order, RunState, VmControl},
    monitor::CommandError,
    platform::Platform,
};

/// A VM that no command of these tests touches.
#[derive(Default)]
pub(super) struct Untouched {
    compat: CompatPolicy,
    heeded: Mutex<Vec<CompatFinding>>,
}

impl Untouched {
    /// With what is stated in place of the default compatibility policy.
    pub(super) fn with(statements: &[(&str, &str)]) -> Self {
        let parse = |(option, value): &(&str, &str)| {
            CompatStatement::parse(option, value).unwrap().unwrap()
        };
        let compat = CompatPolicy::of(statements.iter().map(parse));
        Self { compat, heeded: Mutex::default() }
    }

    /// What there was to warn of, and to abort for.
    pub(super) fn heeded(&self) -> Vec<CompatFinding> {
        std::mem::take(&mut self.heeded.lock())
    }
}

impl VmControl for Untouched {
    fn tree(&self) -> &Tree {
        unreachable!()
    }
    fn platform(&self) -> &Arc<Platform> {
        unreachable!()
    }
    fn name(&self) -> Option<&str> {
        None
    }
    fn run_state(&self) -> RunState {
        RunState::Running
    }
    fn create(&self, _: Vec<Request>) -> Result<Created, CreateError> {
        unreachable!()
    }
    fn set(
        &self,
        _: &qom_core::Obj,
        _: &str,
        _: &qom_core::Given,
    ) -> Result<Vec<qom_core::Finding>, qom_core::SetError> {
        unreachable!()
    }

    fn remove(&self, _: &Obj) -> Result<(), RemoveError> {
        unreachable!()
    }
    fn policy_statements(&self) -> Vec<(PolicyStatement, Origin)> {
        unreachable!()
    }
    fn raise_policy(&self, _: PolicyStatement, _: Origin) -> Result<Policy, RaiseError> {
        unreachable!()
    }
    fn compat(&self) -> CompatPolicy {
        self.compat
    }
    fn heed(&self, findings: &[CompatFinding]) {
        self.heeded.lock().extend_from_slice(findings);
    }
    fn order(&self, _: Order) -> Result<(), CommandError> {
        unreachable!()
    }
}
