//! The compatibility policy over types and properties, whoever brings and gives them.

use std::sync::Arc;

use qom_core::{
    Children, CompatFinding, CompatPolicy, CompatStatement, Configuration, CreateError, Feature,
    Given, Global, Globals, Live, NoCompletion, Object, Origin, PlanError, Policy, Registry,
    Request, SetError, Subject, Tree, TypeDescription, UNSTABLE, qom_type,
};
use serde_json::json;

/// Disk that will go.
#[qom_type(secure, parent = Object, deprecated = "use new-disk")]
struct OldDisk;

/// Disk that may change.
#[qom_type(secure, parent = Object, unstable)]
struct TrialDisk;

/// Disk that is insecure and will go.
#[qom_type(insecure, reason = "it leaks", parent = Object, deprecated = "use new-disk")]
struct LeakyDisk;

/// Disk that stays.
#[qom_type(secure, parent = Object)]
struct NewDisk {
    /// How large it is.
    #[property]
    size: u64,
    /// How many cylinders it has.
    #[property(deprecated = "give its size", default = 1024)]
    cylinders: u32,
    /// How fast it is.
    #[property(unstable, live)]
    speed: Live<u32>,
}

/// Cabinet that brings a disk which will go, and gives another what will go.
#[qom_type(secure, parent = Object, children = disks)]
struct Cabinet;

fn disks(_: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    children.add("new", "new-disk").set("cylinders", "7");
    children.add("old", "old-disk");
    Ok(())
}

fn tree_with(statements: &[(&str, &str)], globals: Globals) -> Tree {
    let registry = Registry::global().expect("the registry is sound");
    let tree = Tree::new(Arc::clone(registry), Policy::default(), globals).expect("an empty tree");
    let parse = |(option, value): &(&str, &str)| {
        CompatStatement::parse(option, value).expect("a word").expect("an option")
    };
    tree.with_compat(CompatPolicy::of(statements.iter().map(parse)))
}

fn tree(statements: &[(&str, &str)]) -> Tree {
    tree_with(statements, Globals::default())
}

fn disk(type_name: &str) -> Request {
    Request::new(type_name, "/", "disk").from(Origin::new(format!("-object {type_name}")))
}

/// What is created with a warning.
fn warnings(tree: &Tree, request: Request) -> Vec<String> {
    let created = tree.create([request], &mut NoCompletion).expect("it is created");
    created.warnings.iter().map(CompatFinding::warning).collect()
}

/// What is refused, of which nothing is left.
fn refused(tree: &Tree, request: Request) -> Vec<CompatFinding> {
    let error = tree.create([request], &mut NoCompletion).expect_err("the policy refuses it");
    assert_eq!(tree.walk().len(), 1, "nothing is left");
    match error {
        CreateError::Incompatible(findings) => findings,
        other => panic!("{other}"),
    }
}

#[test]
fn unless_somebody_says_so_everything_may_be_and_nothing_is_said() {
    let disk = disk("new-disk").set("cylinders", "5").set("speed", "9");
    assert_eq!(warnings(&tree(&[]), disk), [] as [&str; 0]);
    assert_eq!(warnings(&tree(&[]), self::disk("old-disk")), [] as [&str; 0]);
    let hiding = tree(&[("deprecated-output", "hide"), ("unstable-input", "reject")]);
    assert_eq!(warnings(&hiding, self::disk("old-disk")), [] as [&str; 0]);
}

#[test]
fn a_deprecated_type_is_refused_with_who_asked_and_what_to_do() {
    let findings = refused(&tree(&[("deprecated-input", "reject")]), disk("old-disk"));
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(finding.to_string(), "Deprecated type 'old-disk' disabled by policy");
    assert_eq!(finding.path, "/disk");
    assert_eq!(finding.feature, Feature::Deprecated);
    assert_eq!(
        finding.explanation(),
        "reason: use new-disk; to allow it: -compat deprecated-input=accept"
    );
    let error = CreateError::Incompatible(findings);
    assert_eq!(error.origin(), Some(&Origin::new("-object old-disk")));
    assert_eq!(error.to_string(), "Deprecated type 'old-disk' disabled by policy");
}

#[test]
fn an_unstable_type_is_refused_by_its_own_switch() {
    let findings = refused(&tree(&[("unstable-input", "crash")]), disk("trial-disk"));
    assert_eq!(findings[0].to_string(), "Unstable type 'trial-disk' disabled by policy");
    assert_eq!(findings[0].advice, Some(UNSTABLE));
    let other = tree(&[("deprecated-input", "reject")]);
    assert_eq!(warnings(&other, disk("trial-disk")), [] as [&str; 0]);
}

#[test]
fn a_warning_names_what_is_used_and_what_to_use_instead() {
    let warn = [("deprecated-input", "warn"), ("unstable-input", "warn")];
    let request = disk("new-disk").set("cylinders", "5").set("speed", "9").set("size", "1");
    assert_eq!(
        warnings(&tree(&warn), request),
        [
            "property 'new-disk.cylinders' is deprecated: give its size".to_owned(),
            format!("property 'new-disk.speed' is unstable: {UNSTABLE}"),
        ]
    );
    let old = warnings(&tree(&warn), disk("old-disk"));
    assert_eq!(old, ["type 'old-disk' is deprecated: use new-disk"]);
}

#[test]
fn a_property_counts_if_somebody_gives_it_and_not_at_its_default() {
    let reject = tree(&[("deprecated-input", "reject"), ("unstable-input", "reject")]);
    assert_eq!(warnings(&reject, disk("new-disk").set("size", "8")), [] as [&str; 0]);
    let reject = tree(&[("deprecated-input", "reject"), ("unstable-input", "reject")]);
    // Whatever the value.
    let findings = refused(&reject, disk("new-disk").set("cylinders", "1024"));
    let subject = Subject::Property { type_name: "new-disk", property: "cylinders" };
    assert_eq!(findings[0].subject, subject);
    assert_eq!(
        findings[0].to_string(),
        "Deprecated property 'new-disk.cylinders' disabled by policy"
    );
}

#[test]
fn a_global_setting_gives_a_property_too_and_is_named_for_it() {
    let origin = Origin::new("-global new-disk.cylinders=5");
    let global = Global::new("new-disk", "cylinders", "5").from(origin.clone());
    let globals = Globals::new(vec![global]);
    let tree = tree_with(&[("deprecated-input", "reject")], globals);
    let findings = refused(&tree, disk("new-disk"));
    assert_eq!(findings[0].origin, Some(origin));
}

#[test]
fn what_an_object_brings_is_judged_by_its_type_and_not_by_what_its_author_gives_it() {
    let findings = refused(&tree(&[("deprecated-input", "reject")]), disk("cabinet"));
    let shown: Vec<_> = findings.iter().map(|one| (&*one.path, one.to_string())).collect();
    let old = "Deprecated type 'old-disk' disabled by policy".to_owned();
    assert_eq!(shown, [("/disk/old", old)]);
    assert_eq!(findings[0].origin, Some(Origin::new("-object cabinet")));
}

#[test]
fn security_comes_first() {
    let tree = tree(&[("deprecated-input", "reject")]);
    let error = tree.create([disk("leaky-disk")], &mut NoCompletion).unwrap_err();
    assert!(matches!(error, CreateError::Refused(_)), "{error}");
    let error = tree.permit("leaky-disk").unwrap_err();
    assert!(matches!(error, CreateError::Refused(_)), "{error}");
}

#[test]
fn a_type_is_refused_before_what_is_wrong_with_its_properties() {
    let tree = tree(&[("deprecated-input", "reject")]);
    assert_eq!(refused(&tree, disk("old-disk").set("colour", "red")).len(), 1);
}

#[test]
fn no_road_leads_around_it() {
    let tree = tree(&[("deprecated-input", "reject")]);
    let expected = "Deprecated type 'old-disk' disabled by policy";
    assert_eq!(tree.permit("old-disk").unwrap_err().to_string(), expected);
    let plan = tree.plan([disk("old-disk")]).expect("it can be planned");
    let dry = plan.judge_compat(tree.compat());
    assert_eq!(dry.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    let real = tree.create_planned(plan, &mut NoCompletion).unwrap_err();
    assert_eq!(real.to_string(), expected);
    // What the permit's object would bring is judged when it is used.
    let permit = tree.permit("cabinet").expect("it stays");
    let error = tree.create_permitted(permit, disk("cabinet")).unwrap_err();
    assert_eq!(error.to_string(), expected);
    let permit = tree.permit("new-disk").expect("it stays");
    let error = tree.create_permitted(permit, disk("new-disk").set("cylinders", "1")).unwrap_err();
    assert!(matches!(error, CreateError::Incompatible(_)), "{error}");
    assert_eq!(tree.walk().len(), 1);
}

#[test]
fn a_living_object_is_given_no_property_that_is_refused() {
    let at = |word| tree(&[("unstable-input", word)]);
    for (word, judged) in [("accept", false), ("warn", true)] {
        let tree = at(word);
        let object = tree.create([disk("new-disk")], &mut NoCompletion).expect("it stays").objects;
        let finding = tree.judge_compat(&object[0], "speed");
        assert_eq!(finding.is_some(), judged, "{word}");
        assert_eq!(tree.judge_compat(&object[0], "size"), None);
        tree.set(&object[0], "speed", &Given::from("3")).expect("it is taken");
        assert_eq!(object[0].get("speed"), Some(json!(3)));
    }
    let tree = at("reject");
    let object = tree.create([disk("new-disk")], &mut NoCompletion).expect("it stays").objects;
    let error = tree.set(&object[0], "speed", &Given::from("3")).unwrap_err();
    assert!(matches!(error, SetError::Incompatible(_)));
    assert_eq!(error.to_string(), "Unstable property 'new-disk.speed' disabled by policy");
    assert_eq!(object[0].get("speed"), Some(json!(0)));
    // What is wrong with the value itself comes first.
    let error = tree.set(&object[0], "speed", &Given::from("fast")).unwrap_err();
    assert!(matches!(error, SetError::Property(_)), "{error}");
}

#[test]
fn a_property_tells_what_is_said_of_its_life() {
    let class = Registry::global().expect("it is sound").class("new-disk").expect("it is there");
    let described = TypeDescription::of(class);
    let told = serde_json::to_value(&described.properties).expect("it is JSON");
    assert_eq!(
        (&told[0]["name"], &told[0]["deprecated"]),
        (&json!("cylinders"), &json!("give its size"))
    );
    assert_eq!(told[0].get("unstable"), None);
    assert_eq!((told[1].get("deprecated"), told[1].get("unstable")), (None, None));
    assert_eq!((&told[2]["name"], &told[2]["unstable"]), (&json!("speed"), &json!(true)));
}
