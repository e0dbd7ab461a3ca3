//! Introspection: everything can be asked of a type without making one, and the answers do not
//! depend on how the program was linked.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use qom_core::{
    Children, Class, Computed, Configuration, Globals, Link, Live, Object, PlanError, Policy,
    PropertyEnum, Registry, Tree, TypeDescription, TypeInfo, qom_interface, qom_type,
};
use serde_json::{Value, json};

static CONSTRUCTED: AtomicBool = AtomicBool::new(false);
static PLANNED: AtomicBool = AtomicBool::new(false);
static JUDGED: AtomicBool = AtomicBool::new(false);

/// Notes that an object was constructed.
struct Note;

impl Default for Note {
    fn default() -> Self {
        CONSTRUCTED.store(true, Ordering::SeqCst);
        Self
    }
}

/// The class of what is looked at.
#[qom_type(abstract, secure, parent = Object, boundary(guest), new_category = "Exhibits")]
trait Exhibit: Object {
    /// The room that it is in.
    #[property(default = 1, range = 1..=9, live)]
    fn room(&self) -> u8;
}

/// What can be lent.
#[qom_interface(boundary(network))]
trait Loan: Object {}

/// How it looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
enum Look {
    #[default]
    Dull,
    Bright,
}

const LINE: u32 = line!();
/// A vase of glass.
#[qom_type(
    insecure,
    reason = "it breaks",
    parent = Exhibit,
    interfaces(Loan),
    boundary(file),
    unstable,
    deprecated = "look at the statue",
    children = announce
)]
struct Vase {
    /// How it looks.
    #[property(insecure_if(Look::Bright, reason = "it draws thieves"))]
    look: Look,
    /// Whether it may be touched.
    #[property(insecure(reason = "it falls"))]
    touch: bool,
    /// Its weight.
    #[property(required, insecure_when(judge, reason = "the shelf is weak"))]
    weight: u32,
    /// What stands beside it.
    #[property(link = dyn Exhibit)]
    beside: Link<dyn Exhibit>,
    /// Who is there.
    #[property(live)]
    guard: Live<Option<String>>,
    /// Twice its weight.
    #[property(get = Self::twice)]
    twice: Computed<u64>,
    _note: Note,
}

fn announce(_: &Configuration<'_>, _: &mut Children) -> Result<(), PlanError> {
    PLANNED.store(true, Ordering::SeqCst);
    Ok(())
}

fn judge(_: &Configuration<'_>) -> Result<bool, PlanError> {
    JUDGED.store(true, Ordering::SeqCst);
    Ok(false)
}

impl Vase {
    fn twice(&self) -> u64 {
        u64::from(self.weight) * 2
    }
}

impl Exhibit for Vase {}
impl Loan for Vase {}

fn registry() -> &'static Arc<Registry> {
    Registry::global().expect("the registry is sound")
}

fn class(name: &str) -> &'static Arc<Class> {
    registry().class(name).expect("it is registered")
}

fn described(name: &str) -> Value {
    serde_json::to_value(TypeDescription::of(class(name))).expect("it is JSON")
}

#[test]
fn a_type_tells_all_that_its_author_wrote() {
    let mut vase = described("vase");
    vase.as_object_mut().expect("an object").remove("properties");
    assert_eq!(
        vase,
        json!({
            "name": "vase",
            "description": "A vase of glass.",
            "kind": "concrete",
            "parent": "exhibit",
            "interfaces": ["loan"],
            "security": "insecure",
            "reason": "it breaks",
            "boundaries": ["guest", "file", "network"],
            "category": "Exhibits",
            "deprecated": "look at the statue",
            "unstable": true,
            "stated-by": format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            "stated-at": format!("{}:{}", file!(), LINE + 12),
        })
    );
}

#[test]
fn a_property_tells_type_default_limits_access_and_statements() {
    let vase = described("vase");
    let properties = vase["properties"].as_array().expect("a list");
    let names: Vec<_> = properties.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["beside", "guard", "look", "room", "touch", "twice", "weight"]);
    assert_eq!(
        properties[2],
        json!({
            "name": "look", "type": "Look", "description": "How it looks.",
            "default-value": "dull", "values": ["dull", "bright"], "required": false,
            "access": "creation", "declared-by": "vase",
            "insecure": [{"when": ["bright"], "reason": "it draws thieves"}],
        })
    );
    assert_eq!(
        properties[3],
        json!({
            "name": "room", "type": "uint8", "description": "The room that it is in.",
            "default-value": 1, "range": [1, 9], "required": false,
            "access": "live", "declared-by": "exhibit",
        })
    );
    assert_eq!(properties[0]["type"], "link<exhibit>");
    let not_default = json!([{"when": "not the default", "reason": "it falls"}]);
    assert_eq!(properties[4]["insecure"], not_default);
    assert_eq!(properties[5]["access"], "computed");
    let judged = json!([{"when": "depends on the configuration", "reason": "the shelf is weak"}]);
    assert_eq!((&properties[6]["insecure"], &properties[6]["required"]), (&judged, &json!(true)));
}

#[test]
fn a_status_is_told_for_each_of_the_three() {
    assert_eq!(described("exhibit")["security"], "secure");
    assert_eq!(described("vase")["security"], "insecure");
    assert_eq!(described("loan")["security"], "undeclared");
    assert!(described("loan").get("reason").is_none());
}

#[test]
fn describing_every_type_constructs_plans_and_judges_nothing() {
    let tree =
        Tree::new(Arc::clone(registry()), Policy::default(), Globals::default()).expect("a tree");
    for class in tree.registry().classes() {
        let description = TypeDescription::of(class);
        assert!(!serde_json::to_string(&description).expect("it is JSON").is_empty());
        let _ = format!("{:?} {:?}", class, class.info());
    }
    assert_eq!(tree.walk().len(), 1);
    assert!(!CONSTRUCTED.load(Ordering::SeqCst));
    assert!(!PLANNED.load(Ordering::SeqCst));
    assert!(!JUDGED.load(Ordering::SeqCst));
}

#[test]
fn exactly_the_concrete_types_have_instances() {
    for class in registry().classes() {
        assert_eq!(class.is_abstract(), class.type_id().is_none(), "{}", class.name());
        let kind = class.info().kind.name();
        assert_eq!(kind == "concrete", !class.is_abstract(), "{}", class.name());
        let interface =
            class.is_a("interface") && class.ancestry().any(|up| up.name() == "interface");
        assert!(!interface || class.is_abstract(), "every interface is abstract");
    }
}

#[test]
fn every_type_is_its_ancestors_and_has_their_properties_and_boundaries() {
    for class in registry().classes() {
        for above in class.ancestry() {
            assert!(class.is_a(above.name()));
            for (property, owner) in above.properties() {
                let (same, same_owner) = class.property(property.name).expect("it is inherited");
                assert!(std::ptr::eq(same, property) && std::ptr::eq(same_owner, owner));
            }
            let union = class.boundaries().union(above.boundaries());
            assert_eq!(union, class.boundaries(), "a descendant never drops a boundary");
        }
    }
}

#[test]
fn the_order_of_linking_does_not_show_in_any_answer() {
    let all = |types: Vec<&'static TypeInfo>| {
        let registry = Registry::new(types).expect("it is sound");
        let described: Vec<_> = registry
            .classes()
            .map(|class| serde_json::to_string(&TypeDescription::of(class)).expect("it is JSON"))
            .collect();
        described
    };
    let forward: Vec<_> = registry().types().collect();
    let backward: Vec<_> = forward.iter().rev().copied().collect();
    let mut turned = forward.clone();
    turned.rotate_left(forward.len() / 2);
    let expected = all(forward);
    assert_eq!(all(backward), expected);
    assert_eq!(all(turned), expected);
}
