//! Changes to what exists: a property of a living object, or the policy over all of them.

use std::{any::Any, collections::BTreeSet};

use super::Tree;
use crate::{
    compat::{self, CompatFinding},
    error::{PlanError, RaiseError, SetError},
    object::Obj,
    path,
    planner::checked,
    policy::{Action, Policy, PolicyStatement},
    property::{Access, Storage},
    request::Origins,
    snapshot::Snapshot,
    value::Given,
    verdict::{Finding, judge, judge_new},
};

impl Tree {
    /// Raises the policy.
    ///
    /// # Errors
    /// If that would loosen it, or something exists that it would refuse or that can't be judged.
    pub fn raise(&self, statement: PolicyStatement) -> Result<Policy, RaiseError> {
        let _changing = self.changes.take()?;
        let policy = self.policy().raised(statement)?;
        if statement.actions().is_none() {
            return Ok(policy);
        }
        for object in path::descendants(&self.root) {
            let snapshot = Snapshot::of(&object);
            let configuration = snapshot.configuration(self.surroundings(), None);
            let path = || object.path().unwrap_or_default();
            let findings = judge(policy, &configuration, &Origins::all(object.origin().clone()))
                .map_err(|error| RaiseError::Unjudged { path: path(), error: Box::new(error) })?;
            if let Some(refused) = first_refused(findings) {
                return Err(RaiseError::Contradicted { path: path(), refusal: refused });
            }
        }
        self.state().policy = policy;
        Ok(policy)
    }

    /// What the compatibility policy makes of that a property is given, if it is not taken without a
    /// word. [`Tree::set`] asks too.
    #[must_use]
    pub fn judge_compat(&self, object: &Obj, property: &str) -> Option<CompatFinding> {
        let (info, _) = object.class().property(property)?;
        let finding = compat::judge_property(self.compat, object.class(), info)?;
        Some(CompatFinding { path: object.path().unwrap_or_default(), ..finding })
    }

    /// Writes a live property of a living object, after judging what the object would then be, and
    /// what everything would be that links to it.
    ///
    /// # Errors
    /// If the property can't be written or not now, the value is bad, or a policy refuses it.
    pub fn set(
        &self,
        object: &Obj,
        property: &str,
        value: &Given,
    ) -> Result<Vec<Finding>, SetError> {
        self.own(object)?;
        let class = object.class();
        let (info, value) = checked(class, property, value)?;
        let fixed = || PlanError::Fixed { class: class.name(), property: info.name };
        // What a link points to is part of the object from its creation on.
        if info.access != Access::Live || info.link.is_some() {
            return Err(fixed().into());
        }
        let _changing = self.changes.take()?;
        if object.path().is_none() {
            return Err(SetError::Absent { class: class.name() });
        }
        let after = Snapshot::of(object).with(info.name, value.clone());
        let mut new = Vec::new();
        for judged in self.with_users(object) {
            for finding in self.judge_change(&judged, &after)? {
                new.push((judged.serial(), finding));
            }
        }
        let refused = new.iter().find(|(_, finding)| finding.action == Action::Refuse);
        if let Some((_, refused)) = refused {
            return Err(SetError::Refused(Box::new(refused.refusal.clone())));
        }
        if let Some(finding) = self.judge_compat(object, info.name)
            && finding.action.refuses()
        {
            return Err(SetError::Incompatible(Box::new(finding)));
        }
        match info.storage {
            Storage::Field { set: Some(set), .. } => {
                let any: &dyn Any = &**object.object();
                set(any, &value).map_err(|source| PlanError::Value {
                    property: info.name.to_owned(),
                    source: Box::new(source),
                })?;
            }
            Storage::Field { set: None, .. } => return Err(fixed().into()),
            Storage::Class => {
                if !object.object().instance().set_raw(info.name, value) {
                    return Err(fixed().into());
                }
            }
        }
        object.set_given(info.name);
        let mut state = self.state();
        for (serial, finding) in &new {
            state.taints.add_change(*serial, finding.refusal.clone());
        }
        Ok(new.into_iter().map(|(_, finding)| finding).collect())
    }

    /// What `judged` has against it after a change, of itself or of what it links to, and not
    /// before.
    fn judge_change(&self, judged: &Obj, after: &Snapshot) -> Result<Vec<Finding>, PlanError> {
        let policy = self.policy();
        let now = Snapshot::of(judged);
        let then = if after.is_of(judged) { after } else { &now };
        let then = then.configuration(self.surroundings(), Some(after));
        let before = now.configuration(self.surroundings(), None);
        judge_new(policy, &before, &then, &Origins::all(judged.origin().clone()))
    }

    /// An object, and all that link to it in one step or several.
    fn with_users(&self, object: &Obj) -> Vec<Obj> {
        let mut all = path::descendants(&self.root);
        // A link points to what was there before, so that one pass in this order finds all.
        all.sort_unstable_by_key(Obj::serial);
        let mut found = BTreeSet::from([object.serial()]);
        all.retain(|user| {
            let uses = user.links().any(|(_, target)| found.contains(&target.serial()));
            if uses {
                found.insert(user.serial());
            }
            uses || user.same(object)
        });
        all
    }
}

fn first_refused(findings: Vec<Finding>) -> Option<Box<crate::Refusal>> {
    let refused = findings.into_iter().find(|finding| finding.action == Action::Refuse)?;
    Some(Box::new(refused.refusal))
}
