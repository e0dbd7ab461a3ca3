//! The machine of a test as something that monitors control.

use std::{mem, sync::Arc};

use parking_lot::Mutex;
use qom_core::{
    CompatFinding, CreateError, Created, Finding, Given, InsecureTypes, Obj, Origin, Policy,
    PolicyStatement, RaiseError, RemoveError, Request, SetError, Tree,
};

use super::Machine;
use crate::{
    control::{Order, RunState, VmControl},
    monitor::CommandError,
    platform::Platform,
    realize::DeviceRealizer,
    taint::announce_taints,
};

/// What was ordered, and what follows from it.
#[derive(Debug)]
pub(super) struct Controlled {
    orders: Mutex<Vec<Order>>,
    state: Mutex<RunState>,
    statements: Mutex<Vec<(PolicyStatement, Origin)>>,
    heeded: Mutex<Vec<CompatFinding>>,
}

impl Controlled {
    /// Of a machine that has not started, under a policy.
    pub(super) fn new(policy: Policy) -> Self {
        let all = [
            PolicyStatement::InsecureTypes(InsecureTypes::Accept),
            PolicyStatement::InsecureTypes(InsecureTypes::Warn),
            PolicyStatement::ProhibitInsecure(true),
        ];
        let stated = all.into_iter().filter(|statement| Policy::of(&[*statement]) == policy);
        let statements = stated.map(|statement| (statement, Origin::new("the test"))).collect();
        Self {
            orders: Mutex::default(),
            state: Mutex::new(RunState::Prelaunch),
            statements: Mutex::new(statements),
            heeded: Mutex::default(),
        }
    }
}

impl Machine {
    /// What monitors have ordered since this was last called.
    #[must_use]
    pub fn take_orders(&self) -> Vec<Order> {
        mem::take(&mut self.controlled.orders.lock())
    }

    /// What there was to warn of or to abort for since this was last called.
    #[must_use]
    pub fn take_heeded(&self) -> Vec<CompatFinding> {
        mem::take(&mut self.controlled.heeded.lock())
    }
}

/// An order is remembered and changes the run state as it would a VM's; nothing runs.
impl VmControl for Machine {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }

    fn name(&self) -> Option<&str> {
        Some("test")
    }

    fn run_state(&self) -> RunState {
        *self.controlled.state.lock()
    }

    fn create(&self, requests: Vec<Request>) -> Result<Created, CreateError> {
        let created = self.tree.create(requests, &mut DeviceRealizer::new(&self.platform));
        match &created {
            Ok(created) => {
                announce_taints(&self.platform, &created.findings);
                self.heed(&created.warnings);
            }
            Err(CreateError::Incompatible(findings)) => self.heed(findings),
            Err(_) => {}
        }
        created
    }

    fn set(&self, object: &Obj, property: &str, value: &Given) -> Result<Vec<Finding>, SetError> {
        let findings = self.tree.set(object, property, value)?;
        announce_taints(&self.platform, &findings);
        Ok(findings)
    }

    fn remove(&self, object: &Obj) -> Result<(), RemoveError> {
        self.tree.remove(object, &mut DeviceRealizer::new(&self.platform))
    }

    fn policy_statements(&self) -> Vec<(PolicyStatement, Origin)> {
        self.controlled.statements.lock().clone()
    }

    fn raise_policy(
        &self,
        statement: PolicyStatement,
        origin: Origin,
    ) -> Result<Policy, RaiseError> {
        let policy = self.tree.raise(statement)?;
        self.controlled.statements.lock().push((statement, origin));
        Ok(policy)
    }

    fn heed(&self, findings: &[CompatFinding]) {
        self.controlled.heeded.lock().extend_from_slice(findings);
    }

    fn order(&self, order: Order) -> Result<(), CommandError> {
        self.controlled.orders.lock().push(order);
        let mut state = self.controlled.state.lock();
        match order {
            Order::Stop if *state == RunState::Running => *state = RunState::Paused,
            Order::Continue => *state = RunState::Running,
            Order::Quit => *state = RunState::Shutdown,
            Order::Stop | Order::Reset | Order::PowerDown => {}
        }
        Ok(())
    }
}
