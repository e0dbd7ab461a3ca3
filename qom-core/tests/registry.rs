//! The registry is checked when it is built: whatever is wrong with the types is reported with
//! type and place, before anything starts. Types by hand, since the macros can't write wrong ones.

use qom_core::{
    Access, Boundaries, Boundary, Given, PropertyInfo, PropertyType, Registry, RegistryError,
    SecurityStatus, Statement, Storage, TypeInfo, TypeKind, ValueError,
};

const fn class(name: &'static str, parent: Option<&'static str>, line: u32) -> TypeInfo {
    let statement = Statement {
        crate_name: "some-devices",
        crate_ident: "devices_of_ours",
        crate_version: "1.2.3",
        file: "devices/src/some.rs",
        line,
    };
    let base = TypeInfo::undeclared(name, "a class of a test", TypeKind::Abstract, statement);
    TypeInfo { parent, ..base }
}

fn leak(info: TypeInfo) -> &'static TypeInfo {
    Box::leak(Box::new(info))
}

fn errors(types: impl IntoIterator<Item = TypeInfo>) -> Vec<String> {
    match Registry::new(types.into_iter().map(leak)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_types_of_the_program_itself_are_in_order() {
    let registry = Registry::global().unwrap();
    let names: Vec<_> = registry.types().map(|info| info.name).collect();
    assert!(names.is_sorted());
    assert!(names.contains(&"container") && names.contains(&"object"), "{names:?}");
}

#[test]
fn a_duplicate_name_is_an_error_that_gives_both_places() {
    assert_eq!(
        errors([class("disk", None, 10), class("nic", None, 20), class("disk", None, 30)]),
        ["type 'disk' is defined twice: at devices/src/some.rs:10 and at devices/src/some.rs:30"]
    );
}

#[test]
fn an_unknown_parent_is_an_error_that_suggests_the_near_miss() {
    assert_eq!(
        errors([class("device", None, 1), class("disk", Some("devise"), 7)]),
        ["type 'disk' at devices/src/some.rs:7 names parent 'devise', which no linked crate \
          defines; did you mean 'device'?"]
    );
}

#[test]
fn an_unknown_interface_is_an_error() {
    let disk = TypeInfo { interfaces: &["hotplug"], ..class("disk", None, 7) };
    assert_eq!(
        errors([disk]),
        ["type 'disk' at devices/src/some.rs:7 names interface 'hotplug', which no linked crate \
          defines"]
    );
}

#[test]
fn a_class_can_not_serve_as_an_interface_nor_an_interface_as_a_parent() {
    let hotplug = TypeInfo { kind: TypeKind::Interface, ..class("hotplug", None, 1) };
    let disk = TypeInfo { interfaces: &["device"], ..class("disk", Some("hotplug"), 2) };
    assert_eq!(
        errors([hotplug, class("device", None, 3), disk]),
        [
            "type 'disk' at devices/src/some.rs:2 names parent 'hotplug', which is an interface, \
             not a class",
            "type 'disk' at devices/src/some.rs:2 names interface 'device', which is a class, not \
             an interface",
        ]
    );
}

#[test]
fn a_cycle_is_an_error_that_shows_the_way_round() {
    let found = errors([
        class("a", Some("b"), 1),
        class("b", Some("c"), 2),
        class("c", Some("a"), 3),
        class("d", Some("a"), 4),
    ]);
    assert_eq!(found, ["type 'a' at devices/src/some.rs:1 descends from itself: a -> b -> c -> a"]);
    assert_eq!(
        errors([class("self", Some("self"), 9)]),
        ["type 'self' at devices/src/some.rs:9 descends from itself: self -> self"]
    );
}

#[test]
fn a_secure_type_over_an_insecure_class_is_an_error() {
    let old = TypeInfo {
        status: SecurityStatus::Insecure { reason: "it trusts its guest" },
        ..class("old-device", None, 1)
    };
    let disk = TypeInfo { status: SecurityStatus::Secure, ..class("disk", Some("middle"), 3) };
    assert_eq!(
        errors([old, class("middle", Some("old-device"), 2), disk]),
        ["type 'disk' at devices/src/some.rs:3 is declared as secure, but its ancestor \
          'old-device' at devices/src/some.rs:1 is declared as insecure: it trusts its guest"]
    );
}

#[test]
fn a_status_is_never_inherited_but_boundaries_and_categories_are() {
    let device = TypeInfo {
        status: SecurityStatus::Secure,
        boundaries: Boundaries::of(&[Boundary::Guest]),
        category: Some("Devices"),
        ..class("device", None, 1)
    };
    let disk = TypeInfo {
        boundaries: Boundaries::of(&[Boundary::File]),
        ..class("disk", Some("device"), 2)
    };
    let registry = Registry::new([leak(device), leak(disk)]).unwrap();
    let disk = registry.class("disk").unwrap();
    assert_eq!(disk.status(), SecurityStatus::Undeclared);
    assert_eq!(disk.boundaries(), Boundaries::of(&[Boundary::Guest, Boundary::File]));
    assert_eq!(disk.category(), Some("Devices"));
    assert!(disk.is_a("device") && !registry.class("device").unwrap().is_a("disk"));
}

#[test]
fn a_crate_that_was_named_and_registered_nothing_is_an_error() {
    let registry = Registry::new([leak(class("disk", None, 1))]).unwrap();
    registry.require_crates(&["devices_of_ours"]).unwrap();
    let errors = registry.require_crates(&["devices_of_ours", "qux"]).unwrap_err();
    assert!(matches!(&errors.0[..], [RegistryError::EmptyCrate { name, .. }] if name == "qux"));
    assert_eq!(
        errors.to_string(),
        "crate 'qux' was named for its types but registered none: it was not linked, defines no \
         type, or calls itself by another name"
    );
}

#[test]
fn a_crate_is_known_by_its_own_name_for_itself_not_by_that_of_its_package() {
    let registry = Registry::new([leak(class("disk", None, 1))]).unwrap();
    for name in ["some-devices", "some_devices"] {
        registry.require_crates(&[name]).unwrap_err();
    }
    let errors = registry.require_crates(&["device_of_ours"]).unwrap_err();
    assert!(
        errors.to_string().ends_with("; did you mean 'devices_of_ours'?"),
        "as by a manifest that renames it: {errors}"
    );
    let ours = Registry::global().unwrap();
    ours.require_crates(&["qom_core"]).unwrap();
}

#[test]
fn the_order_of_linking_does_not_show() {
    let types = [class("b", None, 1), class("a", None, 2), class("c", Some("a"), 3)];
    let infos: Vec<_> = types.into_iter().map(leak).collect();
    let names = |infos: &mut dyn Iterator<Item = &'static TypeInfo>| {
        Registry::new(infos).unwrap().types().map(|info| info.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut infos.iter().copied()), names(&mut infos.iter().rev().copied()));
}

fn any_boolean(given: &Given) -> Result<serde_json::Value, ValueError> {
    bool::from_given(given).map(|value| value.to_json())
}

static SWITCH: [PropertyInfo; 1] = [PropertyInfo {
    name: "switch",
    description: "A property of a test",
    value_type: bool::value_type,
    default: None,
    required: false,
    range: None,
    access: Access::Creation,
    storage: Storage::Class,
    link: None,
    insecure: &[],
    deprecated: None,
    unstable: false,
    check: any_boolean,
}];

#[test]
fn a_property_that_is_declared_twice_is_an_error_wherever_it_comes_from() {
    let with = |info: TypeInfo| TypeInfo { properties: &SWITCH, ..info };
    let interface =
        |name, line| with(TypeInfo { kind: TypeKind::Interface, ..class(name, None, line) });
    let message = |name: &str, line: u32, other: &str| {
        format!(
            "type '{name}' at devices/src/some.rs:{line} declares property 'switch', which \
             '{other}' declares too"
        )
    };
    let below = with(class("lamp", Some("device"), 2));
    assert_eq!(errors([with(class("device", None, 1)), below]), [message("lamp", 2, "device")]);
    let two = TypeInfo { interfaces: &["dim", "glow"], ..class("lamp", None, 3) };
    assert_eq!(
        errors([interface("dim", 1), interface("glow", 2), two]).len(),
        1,
        "two interfaces of one type"
    );
    let inherits = TypeInfo { interfaces: &["dim"], ..class("lamp", Some("device"), 3) };
    assert_eq!(
        errors([with(class("device", None, 1)), interface("dim", 2), inherits]),
        [message("lamp", 3, "device")],
        "an interface and an ancestor"
    );
}

#[test]
fn a_property_that_is_reached_by_two_ways_is_declared_once() {
    let dim = TypeInfo { properties: &SWITCH, kind: TypeKind::Interface, ..class("dim", None, 1) };
    let device = TypeInfo { interfaces: &["dim"], ..class("device", None, 2) };
    let lamp = TypeInfo { interfaces: &["dim"], ..class("lamp", Some("device"), 3) };
    assert_eq!(errors([dim, device, lamp]), Vec::<String>::new());
}

#[test]
fn errors_are_sorted_by_the_type_that_they_are_about() {
    let secure = |info: TypeInfo| TypeInfo { status: SecurityStatus::Secure, ..info };
    let bad = TypeInfo {
        status: SecurityStatus::Insecure { reason: "it is old" },
        properties: &SWITCH,
        ..class("bad", None, 1)
    };
    let found = errors([
        bad,
        secure(class("z", Some("bad"), 2)),
        TypeInfo { properties: &SWITCH, ..class("m", Some("bad"), 3) },
        secure(class("a", Some("bad"), 4)),
    ]);
    let names: Vec<_> = found.iter().filter_map(|text| text.split('\'').nth(1)).collect();
    assert_eq!(names, ["a", "m", "z"]);
}
