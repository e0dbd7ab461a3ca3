//! Tests of `data`, with a type that declares something of each kind and one that declares nothing.

use device_model::{
    chardev::{DataCase, Frontend},
    prelude::*,
    qom_core::Registry,
};
use serde_json::json;

use super::*;
use crate::creation::chardev::{backend, nowhere::nowhere};

/// Stream over a rope, with words of its own for it
#[qom_type(secure, parent = Chardev, class_data = ROPE)]
struct ChardevRope {
    /// Where it is tied
    #[property(required)]
    knot: String,
    /// How long it is
    #[property]
    length: Option<u16>,
    /// Whether it is taut
    #[property]
    taut: bool,
    /// Who holds it
    #[property(link = dyn Crew)]
    crew: Link<dyn Crew>,
    /// What is spliced to it
    #[property(link = dyn Chardev)]
    splice: Link<dyn Chardev>,
}

/// Who holds ropes
#[qom_type(abstract, parent = Object)]
trait Crew: Object {}

/// A crew that users hire
#[qom_type(secure, parent = Crew, interfaces(UserCreatable))]
struct HiredCrew {}

impl Crew for HiredCrew {}

impl UserCreatable for HiredCrew {}

static ROPE: ChardevClass = ChardevClass {
    members: &[DataMember { name: "end", required: true, value: MemberValue::OneOf(&[POST, FD]) }],
    complete: Some(tighten),
};

const POST: DataCase = DataCase {
    name: "post",
    members: &[
        DataMember { name: "at", required: true, value: MemberValue::Of("knot") },
        DataMember { name: "length", required: false, value: MemberValue::TextOf("length") },
    ],
};

const FD: DataCase = DataCase {
    name: "fd",
    members: &[DataMember { name: "str", required: true, value: MemberValue::TextOf("knot") }],
};

fn tighten(given: &mut Vec<(String, Given)>) -> Result<(), PlanError> {
    if given.iter().any(|(name, _)| name == "taut") {
        return Err(PlanError::refused("taut", "it is as it is"));
    }
    given.push(("taut".to_owned(), Given::Json(true.into())));
    Ok(())
}

/// Stream over wool, of which nothing is declared
#[qom_type(secure, parent = Chardev)]
struct ChardevWool {
    /// Where it lies
    #[property(required)]
    basket: String,
    /// How long it is
    #[property]
    length: Option<u16>,
}

nowhere!(ChardevRope, "");
nowhere!(ChardevWool, "");

fn read(name: &str, data: Value) -> Result<String, String> {
    let registry = Registry::global().expect("the types fit together");
    let class = backend(registry, name).expect("it is one of these");
    let Value::Object(data) = data else { panic!("{data}") };
    let given =
        properties(registry, class, "backend.data", data).map_err(|error| error.to_string())?;
    let mut shown: Vec<_> = given.iter().map(|(name, value)| format!("{name}={value}")).collect();
    shown.sort_unstable();
    Ok(shown.join(","))
}

#[test]
fn members_stand_for_properties_as_the_type_declares() {
    let post = json!({"type": "post", "data": {"at": "pier", "length": "7"}});
    let rope = |more: Value| {
        let mut data = json!({"end": post});
        for (name, value) in more.as_object().expect("an object") {
            data[name] = value.clone();
        }
        read("rope", data)
    };
    assert_eq!(rope(json!({})).as_deref(), Ok("knot=\"pier\",length=7,taut=true"));
    // An id is one of the user's objects where users create what is linked to.
    let linked = rope(json!({"crew": "crew0", "splice": "rope1"}));
    let text = "crew=\"/objects/crew0\",knot=\"pier\",length=7,splice=\"rope1\",taut=true";
    assert_eq!(linked.as_deref(), Ok(text));
    assert_eq!(rope(json!({"taut": false})), Err("it is as it is".to_owned()));
    let fd = read("rope", json!({"end": {"type": "fd", "data": {"str": "9"}}}));
    assert_eq!(fd.as_deref(), Ok("knot=9,taut=true"));
}

#[test]
fn properties_are_members_where_nothing_is_declared() {
    let wool = read("wool", json!({"basket": "b", "length": 3}));
    assert_eq!(wool.as_deref(), Ok("basket=\"b\",length=3"));
}

#[test]
fn what_a_type_does_not_take_is_told_with_its_place() {
    let end = |kind: &str, data: Value| json!({"end": {"type": kind, "data": data}});
    for (name, data, why) in [
        ("wool", json!({}), "Parameter 'backend.data.basket' is missing"),
        ("wool", json!({"basket": "b", "hue": 1}), "Parameter 'backend.data.hue' is unexpected"),
        ("rope", json!({}), "Parameter 'backend.data.end' is missing"),
        // What it is a member for is not given by its own name too.
        (
            "rope",
            json!({"knot": "k", "end": {"type": "fd", "data": {"str": "9"}}}),
            "Parameter 'backend.data.knot' is unexpected",
        ),
        (
            "rope",
            json!({"end": "pier"}),
            "Invalid parameter type for 'backend.data.end', expected: object",
        ),
        ("rope", json!({"end": {}}), "Parameter 'backend.data.end.type' is missing"),
        ("rope", json!({"end": {"type": "fd"}}), "Parameter 'backend.data.end.data' is missing"),
        (
            "rope",
            json!({"end": {"type": "fd", "data": {"str": "9"}, "hue": 1}}),
            "Parameter 'backend.data.end.hue' is unexpected",
        ),
        (
            "rope",
            end("tree", json!({})),
            "Parameter 'backend.data.end.type' does not accept value 'tree'",
        ),
        (
            "rope",
            end("fd", json!({"str": 9})),
            "Invalid parameter type for 'backend.data.end.data.str', expected: string",
        ),
        (
            "rope",
            end("post", json!({"at": "pier", "hue": 1})),
            "Parameter 'backend.data.end.data.hue' is unexpected",
        ),
    ] {
        assert_eq!(read(name, data.clone()), Err(why.to_owned()), "{data}");
    }
}
