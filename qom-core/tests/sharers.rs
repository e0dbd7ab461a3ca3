//! Two that link to the same: the policy judges each by the other, whichever comes first.

use std::sync::Arc;

use qom_core::{
    Action, Configuration, CreateError, Globals,
    InsecureTypes::{Accept, Warn},
    Link, NoCompletion, Obj, Object, PlanError, Policy,
    PolicyStatement::{self, InsecureTypes, RequireSecure},
    Registry, Request, Tree, qom_type,
};

/// Something that several can use
#[qom_type(abstract, parent = Object)]
trait Spring: Object {}

/// The one there is
#[qom_type(secure, parent = Spring)]
struct Well;

impl Spring for Well {}

/// One whom it does not matter who else is there
#[qom_type(secure, parent = Object)]
struct Stranger {
    /// Where it drinks
    #[property(link = dyn Spring)]
    well: Link<dyn Spring>,
}

/// One who has to be alone, or with others of its kind
#[qom_type(secure, parent = Object)]
struct Hermit {
    /// Where it drinks
    #[property(
        link = dyn Spring,
        insecure_when(has_strangers, reason = "strangers drink there too")
    )]
    well: Link<dyn Spring>,
}

fn has_strangers(config: &Configuration<'_>) -> Result<bool, PlanError> {
    Ok(config.sharers("well")?.iter().any(|sharer| sharer.class().is_a("stranger")))
}

fn tree(statements: &[PolicyStatement]) -> Tree {
    let registry = Registry::global().expect("the registry is sound");
    Tree::new(Arc::clone(registry), Policy::of(statements), Globals::default()).expect("a tree")
}

fn request(type_name: &str, name: &str) -> Request {
    let request = Request::new(type_name, "/objects", name);
    if type_name == "well" { request } else { request.set("well", "/objects/w") }
}

fn create(tree: &Tree, requests: &[(&str, &str)]) -> Result<Vec<Obj>, CreateError> {
    let requests = requests.iter().map(|(type_name, name)| request(type_name, name));
    tree.create(requests, &mut NoCompletion).map(|created| created.objects)
}

const REFUSED: &str = "Property 'hermit.well' with value '/objects/w' is declared as insecure";

/// Checks that the hermit is what is refused.
#[track_caller]
fn refuses(tree: &Tree, requests: &[(&str, &str)]) {
    let before = paths(tree);
    let error = create(tree, requests).expect_err("it is insecure");
    let CreateError::Refused(refusals) = &error else { panic!("{error}") };
    let refusals: Vec<_> =
        refusals.iter().map(|refusal| (refusal.path(), refusal.to_string())).collect();
    assert_eq!(refusals, [("/objects/h", REFUSED.to_owned())]);
    assert_eq!(paths(tree), before, "nothing of it is left");
}

fn paths(tree: &Tree) -> Vec<String> {
    tree.walk().iter().filter_map(Obj::path).collect()
}

#[test]
fn those_of_one_plan_are_judged_together_in_either_order() {
    refuses(&tree(&[]), &[("well", "w"), ("hermit", "h"), ("stranger", "s")]);
    refuses(&tree(&[]), &[("well", "w"), ("stranger", "s"), ("hermit", "h")]);
    create(&tree(&[]), &[("well", "w"), ("hermit", "h"), ("hermit", "other")])
        .expect("they are of a kind");
}

#[test]
fn who_comes_later_is_judged_by_who_is_there() {
    let tree = tree(&[]);
    create(&tree, &[("well", "w"), ("stranger", "s")]).expect("they are secure");
    refuses(&tree, &[("hermit", "h")]);
    let stranger = tree.resolve("/objects/s").expect("it is there");
    tree.remove(&stranger, &mut NoCompletion).expect("nobody uses it");
    create(&tree, &[("hermit", "h")]).expect("it is alone now");
}

#[test]
fn who_is_there_is_judged_by_who_comes_later() {
    let tree = tree(&[]);
    create(&tree, &[("well", "w"), ("hermit", "h")]).expect("it is alone");
    refuses(&tree, &[("stranger", "s")]);
    create(&tree, &[("hermit", "other")]).expect("they are of a kind");
}

#[test]
fn a_link_elsewhere_matters_to_nobody() {
    let tree = tree(&[]);
    create(&tree, &[("well", "w"), ("well", "x"), ("hermit", "h")]).expect("it is alone");
    let elsewhere = Request::new("stranger", "/objects", "s").set("well", "/objects/x");
    tree.create([elsewhere], &mut NoCompletion).expect("it drinks elsewhere");
}

#[test]
fn where_it_is_permitted_it_taints_who_was_there_once() {
    let tree = tree(&[InsecureTypes(Accept)]);
    create(&tree, &[("well", "w"), ("hermit", "h")]).expect("it is alone");
    assert!(tree.taints().is_empty());
    create(&tree, &[("stranger", "s")]).expect("it is accepted");
    create(&tree, &[("stranger", "t")]).expect("it is accepted");
    let taints = tree.taints();
    let told: Vec<_> =
        taints.iter().map(|taint| (taint.cause.path(), taint.cause.to_string())).collect();
    assert_eq!(told, [("/objects/h", REFUSED.to_owned())]);
    tree.raise(RequireSecure(true)).expect_err("the hermit is not alone");
}

#[test]
fn a_plan_tells_of_it_before_anything_exists() {
    let tree = tree(&[InsecureTypes(Warn)]);
    create(&tree, &[("well", "w"), ("hermit", "h")]).expect("it is alone");
    let plan = tree.plan([request("stranger", "s")]).expect("it can be planned");
    let findings = plan.judge(tree.policy()).expect("it can be judged");
    let told: Vec<_> = findings
        .iter()
        .map(|finding| (finding.refusal.path(), finding.action, finding.refusal.reason()))
        .collect();
    assert_eq!(told, [("/objects/h", Action::Warn, Some("strangers drink there too"))]);
}
