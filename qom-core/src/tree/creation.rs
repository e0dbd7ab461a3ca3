//! From a plan to living objects, all of them or none.

use std::{collections::BTreeMap, sync::Arc};

use super::{Completion, NoCompletion, Tree, lock::Changing};
use crate::{
    TreeId,
    class::Class,
    compat::{self, CompatFinding},
    configuration::{Setting, Source},
    error::{CreateError, ForeignError, PlanError},
    instance::Construction,
    link::Links,
    object::{Obj, Parts},
    permit::{Permit, PermitError},
    plan::{LinkTarget, ParentRef, Plan, Planned},
    property::InsecureCondition,
    request::{Origin, Request},
    snapshot::Snapshot,
    verdict::{Finding, judge, judge_type, refused},
};

/// What a plan became.
#[derive(Debug)]
pub struct Created {
    /// The objects, in the order of the plan.
    pub objects: Vec<Obj>,
    /// What of them require-secure would have refused.
    pub findings: Vec<Finding>,
    /// What of them is deprecated or unstable, of which there is to be a warning.
    pub warnings: Vec<CompatFinding>,
}

impl Tree {
    /// Plans requests and creates what they ask for.
    ///
    /// # Errors
    /// If a request can't be planned, a policy refuses anything, or an object fails to take up
    /// its work. Nothing is left of it then.
    pub fn create(
        &self,
        requests: impl IntoIterator<Item = Request>,
        completion: &mut dyn Completion,
    ) -> Result<Created, CreateError> {
        let requests: Vec<_> = requests.into_iter().collect();
        let changing = self.changes.take()?;
        let plan = match self.plan(requests.iter().cloned()) {
            Ok(plan) => plan,
            Err(error) => {
                // What a policy says of a type by itself comes before what is wrong with the rest.
                self.refuse_types(&requests)?;
                return Err(error);
            }
        };
        self.execute(&changing, &plan, None, completion)
    }

    /// What require-secure would refuse of an object that has taken up its work, and that could not
    /// be seen before: what its properties named may by now be something else.
    ///
    /// # Errors
    /// If the policy refuses any of it, or it can't be judged.
    fn judge_completed(
        &self,
        planned: &Planned,
        object: &Obj,
        known: &[&Finding],
    ) -> Result<Vec<Finding>, CreateError> {
        let has_judges = planned.class().properties().any(|(info, _)| {
            let mut insecure = info.insecure.iter();
            insecure.any(|it| matches!(it.condition, InsecureCondition::When(_)))
        });
        if !has_judges {
            return Ok(Vec::new());
        }
        let snapshot = Snapshot::of(object);
        let configuration = snapshot.configuration(self.surroundings(), None);
        let mut findings = judge(self.policy(), &configuration, &planned.origins)
            .map_err(|error| planned.error(error))?;
        let about = |finding: &Finding| {
            let property = finding.refusal.property().map(|(property, _)| property);
            (property, finding.refusal.reason())
        };
        findings.retain(|finding| !known.iter().any(|known| about(known) == about(finding)));
        refused(&findings)?;
        Ok(findings)
    }

    /// What the policies refuse of the requested types, whatever their configuration.
    fn refuse_types(&self, requests: &[Request]) -> Result<(), CreateError> {
        let policy = self.policy();
        let (mut findings, mut warnings) = (Vec::new(), Vec::new());
        for request in requests {
            let class = self.registry.class(&request.type_name);
            let Some(class) = class.filter(|class| !class.is_abstract()) else { continue };
            let path = format!("{}/{}", request.parent.trim_end_matches('/'), request.name);
            let origin = request.origins.object();
            findings.extend(judge_type(policy, class, &path, origin));
            warnings.extend(compat::judge_type(self.compat, class, &path, origin));
        }
        refused(&findings)?;
        compat::rejected(&warnings)
    }

    /// Creates what a plan of this tree holds: judges all of it, constructs and attaches each
    /// object, then completes each.
    ///
    /// # Errors
    /// As [`Tree::create`], and if what the plan counted on has left the tree since.
    pub fn create_planned(
        &self,
        plan: Plan,
        completion: &mut dyn Completion,
    ) -> Result<Created, CreateError> {
        let changing = self.changes.take()?;
        self.execute(&changing, &plan, None, completion)
    }

    /// Creates one object with a permit that was minted before.
    ///
    /// # Errors
    /// If the permit is for another type or another tree, or as [`Tree::create`].
    pub fn create_permitted(&self, permit: Permit, request: Request) -> Result<Obj, CreateError> {
        let changing = self.changes.take()?;
        let plan = self.plan([request])?;
        let position = plan.objects().iter().position(Planned::is_requested).unwrap_or(0);
        let permit = Some((position, permit));
        let mut created = self.execute(&changing, &plan, permit, &mut NoCompletion)?;
        Ok(created.objects.swap_remove(position))
    }

    fn execute(
        &self,
        _: &Changing<'_>,
        plan: &Plan,
        permit: Option<(usize, Permit)>,
        completion: &mut dyn Completion,
    ) -> Result<Created, CreateError> {
        if plan.tree() != self.id {
            return Err(ForeignError { what: "the plan".to_owned() }.into());
        }
        if let Some((position, permit)) = &permit {
            permit.check(self.id, plan.objects()[*position].class())?;
        }
        check_current(plan)?;
        let findings = plan.judge_each(self.policy())?;
        let (mut positions, mut findings): (Vec<_>, Vec<_>) = findings.into_iter().unzip();
        let (sharers, shared): (Vec<_>, Vec<_>) =
            plan.judge_sharers(self.policy())?.into_iter().unzip();
        findings.extend(shared.iter().cloned());
        refused(&findings)?;
        let warnings = plan.judge_compat(self.compat);
        compat::rejected(&warnings)?;
        let mut attempt = Attempt::default();
        attempt.build(self.id, plan, permit)?;
        let serials: Vec<_> = attempt.objects.iter().map(Obj::serial).collect();
        let judging = |position: usize, object: &Obj| {
            let known = positions.iter().zip(&findings).filter(|(at, _)| **at == position);
            let known: Vec<_> = known.map(|(_, finding)| finding).collect();
            self.judge_completed(&plan.objects()[position], object, &known)
        };
        let (completed, outcome) = attempt.complete(plan, completion, judging);
        let (outcome, held) = match outcome {
            Ok(held) => (Ok(()), held),
            Err(error) => (Err(error), Vec::new()),
        };
        for (position, finding) in held {
            positions.push(position);
            // What is known of those that share comes after what is known of the plan.
            findings.insert(positions.len() - 1, finding);
        }
        let mut state = self.state();
        for (position, finding) in positions.iter().zip(&findings) {
            // What had taken up its work was there, even if what came later failed.
            if *position < completed {
                state.taints.add(serials[*position], finding.refusal.clone());
            }
        }
        if outcome.is_err() {
            state.taints.remove(&serials.iter().copied().collect());
        }
        drop(state);
        outcome?;
        let mut state = self.state();
        for (sharer, finding) in sharers.iter().zip(&shared) {
            state.taints.add_change(sharer.serial(), finding.refusal.clone());
        }
        drop(state);
        Ok(Created { objects: attempt.keep(), findings, warnings })
    }
}

/// Checks that the tree is still such that the plan can be followed.
fn check_current(plan: &Plan) -> Result<(), CreateError> {
    for planned in plan.objects() {
        let wrong = |error| Err(CreateError::Plan { origin: planned.origin().clone(), error });
        let stale = || PlanError::Stale { path: planned.path().to_owned() };
        if let ParentRef::Existing(parent) = planned.parent() {
            if parent.path().is_none() {
                return wrong(stale());
            }
            if parent.child(planned.name()).is_some() {
                return wrong(taken(planned, parent));
            }
        }
        for target in planned.links().values() {
            if let LinkTarget::Existing(object) = target
                && object.path().is_none()
            {
                return wrong(stale());
            }
        }
    }
    Ok(())
}

fn taken(planned: &Planned, parent: &Obj) -> PlanError {
    PlanError::Duplicate { name: planned.name().to_owned(), parent: parent.class().name() }
}

/// The objects of a plan that is being followed. Unless they are kept, they go.
#[derive(Default)]
struct Attempt {
    objects: Vec<Obj>,
}

impl Attempt {
    /// Constructs and attaches each object of the plan.
    fn build(
        &mut self,
        tree: TreeId,
        plan: &Plan,
        mut permit: Option<(usize, Permit)>,
    ) -> Result<(), CreateError> {
        for (position, planned) in plan.objects().iter().enumerate() {
            let links = planned
                .links()
                .iter()
                .map(|(name, target)| match target {
                    LinkTarget::Existing(object) => (*name, object.clone()),
                    LinkTarget::Planned(at) => (*name, self.objects[*at].clone()),
                })
                .collect();
            let permit = permit.take_if(|(at, _)| *at == position).map(|(_, permit)| permit);
            let object = Ready {
                class: planned.class(),
                settings: planned.settings(),
                origin: planned.origin(),
                requested: planned.is_requested(),
            }
            .construct(tree, permit, links)?;
            let parent = match planned.parent() {
                ParentRef::Existing(object) => object,
                ParentRef::Planned(at) => &self.objects[*at],
            };
            if !parent.attach(planned.name(), &object) {
                let (origin, error) = (planned.origin().clone(), taken(planned, parent));
                return Err(CreateError::Plan { origin, error });
            }
            self.objects.push(object);
        }
        Ok(())
    }

    /// Completes each object, judges what it holds then, and tells how many took up their work, and
    /// what was found of each. If one fails, the earlier ones are undone.
    fn complete(
        &self,
        plan: &Plan,
        completion: &mut dyn Completion,
        judging: impl Fn(usize, &Obj) -> Result<Vec<Finding>, CreateError>,
    ) -> (usize, Result<Vec<(usize, Finding)>, CreateError>) {
        let mut held = Vec::new();
        for (position, object) in self.objects.iter().enumerate() {
            let completed = completion.complete(object).map_err(|error| {
                let planned = &plan.objects()[position];
                let about = error.downcast_ref::<PlanError>();
                let origin = about.map_or(planned.origin(), |about| planned.origin_of(about));
                let (origin, path) = (origin.clone(), planned.path().to_owned());
                CreateError::Complete { origin, path, error }
            });
            let judged = completed
                .and_then(|()| judging(position, object).inspect_err(|_| completion.undo(object)));
            match judged {
                Ok(found) => held.extend(found.into_iter().map(|finding| (position, finding))),
                Err(error) => {
                    for done in self.objects[..position].iter().rev() {
                        done.set_complete(false);
                        completion.undo(done);
                    }
                    return (position, Err(error));
                }
            }
            object.set_complete(true);
        }
        (self.objects.len(), Ok(held))
    }

    fn keep(&mut self) -> Vec<Obj> {
        std::mem::take(&mut self.objects)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // The last first, so that nothing goes before what refers to it.
        while let Some(object) = self.objects.pop() {
            object.detach();
        }
    }
}

/// An object that has been planned and judged, and can be constructed.
pub(super) struct Ready<'a> {
    pub(super) class: &'a Arc<Class>,
    pub(super) settings: &'a BTreeMap<&'static str, Setting>,
    pub(super) origin: &'a Origin,
    pub(super) requested: bool,
}

impl Ready<'_> {
    /// Constructs the object, with a permit that was minted before or a new one.
    pub(super) fn construct(
        &self,
        tree: TreeId,
        permit: Option<Permit>,
        links: BTreeMap<&'static str, Obj>,
    ) -> Result<Obj, CreateError> {
        let class = self.class;
        let (Some(implementation), Some(type_id)) = (class.implementation(), class.type_id())
        else {
            let error = PlanError::Abstract { name: class.name() };
            return Err(CreateError::Plan { origin: self.origin.clone(), error });
        };
        let permit = permit.unwrap_or_else(|| Permit::new(tree, type_id, class.name()));
        permit.check(tree, class)?;
        let values =
            self.settings.iter().map(|(name, setting)| (*name, setting.value.clone())).collect();
        let mut construction = Construction::new(Arc::clone(class), tree, values, links.clone());
        let object = (implementation.construct)(permit, &mut construction)
            .map_err(|error| CreateError::Construct { origin: self.origin.clone(), error })?;
        // The permit binds what is redeemed; this binds what is handed out to what was judged.
        // `Any` stays unnamed here: imported, its `type_id` would answer for the `Arc` of a class.
        let any: &dyn std::any::Any = &*object;
        let made = object.instance();
        if any.type_id() != type_id || made.tree() != tree || !Arc::ptr_eq(made.class(), class) {
            let (permitted, requested) = (class.name(), made.class().name());
            return Err(PermitError::Type { permitted, requested }.into());
        }
        let sources = self
            .settings
            .iter()
            .filter(|(_, setting)| setting.source != Source::Default)
            .map(|(name, setting)| (*name, setting.source))
            .collect();
        let parts = Parts {
            class: Arc::clone(class),
            object,
            tree,
            origin: self.origin.clone(),
            requested: self.requested,
            links: Links::new(links),
        };
        Ok(Obj::new(parts, sources))
    }
}
