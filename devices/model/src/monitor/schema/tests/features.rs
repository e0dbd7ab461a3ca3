//! Tests of what becomes of what is deprecated or unstable, as the compatibility policy has it.

use qom_core::{CompatFinding, CompatPolicy, Feature};
use serde_json::{Value, json};

use super::{Disk, Spun, Turned, untouched::Untouched};
use crate::monitor::{
    CommandContext, CommandError, CommandTable, ErrorClass, EventTable, Occurrence,
    schema::{Shape, describe},
};

fn call(vm: &Untouched, name: &str, arguments: &Value) -> Result<Value, CommandError> {
    let command = CommandTable::global().unwrap().get(name).unwrap();
    let arguments = arguments.as_object().unwrap().clone();
    let answer = command.call(&CommandContext::new(vm, None), arguments)?;
    Ok(answer.to_value())
}

/// The words of the refusal, of which the VM is told too.
fn refused(statement: (&str, &str), name: &str, arguments: &Value) -> (ErrorClass, String) {
    let vm = Untouched::with(&[statement]);
    let error = call(&vm, name, arguments).expect_err("it is refused");
    let heeded = vm.heeded();
    let heeded: Vec<_> = heeded.iter().map(ToString::to_string).collect();
    assert_eq!(heeded, [error.to_string()]);
    (error.class(), error.to_string())
}

fn warned(statement: (&str, &str), name: &str, arguments: &Value) -> Vec<String> {
    let vm = Untouched::with(&[statement]);
    call(&vm, name, arguments).expect("it is taken");
    vm.heeded().iter().map(CompatFinding::warning).collect()
}

fn echo(disk: &Value) -> Value {
    json!({ "disks": [disk] })
}

#[test]
fn a_command_is_refused_as_if_it_was_not_there() {
    let open = json!({ "driver": "d" });
    assert_eq!(
        refused(("deprecated-input", "reject"), "x-open", &open),
        (ErrorClass::CommandNotFound, "Deprecated command x-open disabled by policy".to_owned())
    );
    assert_eq!(
        refused(("unstable-input", "crash"), "x-everything", &json!({ "name": "n" })),
        (
            ErrorClass::CommandNotFound,
            "Unstable command x-everything disabled by policy".to_owned()
        )
    );
    // Before its arguments are looked at.
    assert_eq!(
        refused(("deprecated-input", "reject"), "x-open", &json!({})).0,
        ErrorClass::CommandNotFound
    );
    assert!(call(&Untouched::with(&[("unstable-input", "reject")]), "x-open", &open).is_ok());
    assert_eq!(
        warned(("deprecated-input", "warn"), "x-open", &open),
        ["command x-open is deprecated: x-everything"]
    );
}

#[test]
fn an_argument_is_refused_wherever_it_is() {
    let deprecated = ("deprecated-input", "reject");
    let inner = json!({ "name": "in", "sectors": 1 });
    let generic = |text: &str| (ErrorClass::GenericError, text.to_owned());
    for (disk, text) in [
        (
            json!({ "name": "d", "sectors": 5 }),
            "Deprecated parameter 'disks[0].sectors' disabled by policy",
        ),
        (
            json!({ "name": "d", "parts": { "first": inner } }),
            "Deprecated parameter 'disks[0].parts.first.sectors' disabled by policy",
        ),
        (
            json!({ "name": "d", "place": { "in": "box", "order": 1 } }),
            "Deprecated parameter 'disks[0].place.order' disabled by policy",
        ),
        (
            json!({ "name": "d", "place": { "in": "attic" } }),
            "Deprecated value 'attic' disabled by policy",
        ),
    ] {
        assert_eq!(refused(deprecated, "x-echo", &echo(&disk)), generic(text), "{disk}");
    }
    let heat = json!({ "name": "d", "heat": 5 });
    assert_eq!(
        refused(("unstable-input", "reject"), "x-echo", &echo(&heat)),
        generic("Unstable parameter 'disks[0].heat' disabled by policy")
    );
    assert!(call(&Untouched::with(&[deprecated]), "x-echo", &echo(&heat)).is_ok());
    let mode = json!({ "name": "n", "mode": "old" });
    assert_eq!(
        refused(deprecated, "x-everything", &mode),
        generic("Deprecated value 'old' disabled by policy")
    );
    let old = json!({ "name": "n", "old": "o" });
    assert_eq!(
        refused(deprecated, "x-everything", &old),
        generic("Deprecated parameter 'old' disabled by policy")
    );
}

#[test]
fn what_is_wrong_with_an_argument_comes_before_what_is_refused() {
    let disk = json!({ "name": 5, "sectors": 1 });
    let vm = Untouched::with(&[("deprecated-input", "reject")]);
    let error = call(&vm, "x-echo", &echo(&disk)).unwrap_err();
    assert!(error.to_string().starts_with("Invalid parameter type"), "{error}");
    assert_eq!(vm.heeded(), []);
}

#[test]
fn arguments_as_deep_as_a_client_may_send_are_searched_and_told() {
    let mut deep = json!({ "name": "deep", "sectors": 1 });
    for _ in 0..510 {
        deep = json!({ "name": "n", "parts": { "p": deep } });
    }
    // By themselves: serde needs more of the stack for a type that holds itself.
    let command = CommandTable::global().unwrap().get("x-echo").unwrap();
    let arguments = echo(&deep);
    let warn = qom_core::CompatStatement::parse("deprecated-input", "warn").unwrap();
    let shape = Shape::of(&command.arguments());
    let found = shape.judge(CompatPolicy::of(warn), arguments.as_object().unwrap());
    let [found] = &found[..] else { panic!("{}", found.len()) };
    assert!(found.subject.to_string().ends_with(".parts.p.sectors'"), "{}", found.subject);
    let mut told = arguments["disks"].clone();
    Shape::of(&command.returns()).leave_out(policy("deprecated-output"), &mut told);
    let told = told.to_string();
    assert!(told.contains("deep") && !told.contains("sectors"));
}

#[test]
fn arguments_with_a_warning_are_taken() {
    let disk = json!({ "name": "d", "sectors": 5, "heat": 7 });
    assert_eq!(
        warned(("deprecated-input", "warn"), "x-echo", &echo(&disk)),
        ["parameter 'disks[0].sectors' is deprecated"]
    );
    let plain = json!({ "name": "d" });
    assert_eq!(warned(("deprecated-input", "warn"), "x-echo", &echo(&plain)), [] as [&str; 0]);
}

/// A disk with everything there is, of whose parts one is a disk as well.
fn full(parts: &Value) -> Value {
    json!({
        "name": "d", "sectors": 5, "heat": 7, "parts": parts,
        "place": { "in": "box", "order": 1, "shelf": 2 },
    })
}

#[test]
fn what_is_hidden_is_left_out_of_answers_however_deep() {
    let disk = full(&json!({ "p": full(&json!({})) }));
    let told = |statements: &[(&str, &str)]| {
        call(&Untouched::with(statements), "x-echo", &echo(&disk)).expect("it is told")[0].clone()
    };
    assert_eq!(told(&[("deprecated-input", "warn")]), disk);
    let without = |parts: Value| {
        json!({
            "name": "d", "heat": 7, "parts": parts, "place": { "in": "box", "shelf": 2 },
        })
    };
    let hidden = [("deprecated-output", "hide")];
    assert_eq!(told(&hidden), without(json!({ "p": without(json!({})) })));
    let both = [("deprecated-output", "hide"), ("unstable-output", "hide")];
    let bare = told(&both);
    assert_eq!((bare.get("heat"), bare["parts"]["p"].get("heat")), (None, None));
    assert_eq!(bare["parts"]["p"]["place"], json!({ "in": "box", "shelf": 2 }));
}

fn policy(option: &str) -> CompatPolicy {
    let statement = qom_core::CompatStatement::parse(option, "hide").unwrap();
    CompatPolicy::of(statement)
}

#[test]
fn what_is_hidden_is_left_out_of_events_and_so_are_events() {
    let disk: Disk = serde_json::from_value(full(&json!({}))).unwrap();
    let spun = Occurrence::now(&Spun { disk });
    let turned = Occurrence::now(&Turned {});
    for (policy, sectors, heat, is_told) in [
        (CompatPolicy::default(), true, true, true),
        (policy("deprecated-output"), false, true, false),
        (policy("unstable-output"), true, false, true),
    ] {
        let told = spun.clone().under(policy).expect("it stays").data.expect("it has data");
        let has = |member: &str| told["disk"].get(member).is_some();
        assert_eq!((has("sectors"), has("heat"), has("name")), (sectors, heat, true));
        assert_eq!(turned.clone().under(policy).is_some(), is_told);
    }
}

#[test]
fn what_is_hidden_is_not_described_nor_are_types_that_only_it_uses() {
    let commands = CommandTable::global().unwrap();
    let events = EventTable::global().unwrap();
    let described = |policy| {
        let infos = describe(commands.entries(), events.entries(), policy);
        serde_json::to_value(infos).unwrap().as_array().unwrap().clone()
    };
    let all = described(CompatPolicy::default());
    let is_there = |infos: &[Value], name: &str| infos.iter().any(|info| info["name"] == name);
    for name in ["x-open", "X_TURNED", "Place-attic", "Mode"] {
        assert!(is_there(&all, name), "{name}");
    }
    let stays = described(policy("deprecated-output"));
    for name in ["x-open", "X_TURNED", "Place-attic"] {
        assert!(!is_there(&stays, name), "{name}");
    }
    let text = Value::from(stays.clone()).to_string();
    assert!(!text.contains("\"deprecated\"]"), "{text}");
    assert!(text.contains("\"unstable\"]"), "{text}");
    let find = |name: &str| stays.iter().find(|info| info["name"] == name).expect("it is there");
    assert_eq!(find("Place-in")["values"], json!(["box"]));
    assert_eq!(find("Mode")["values"], json!(["plain", "new"]));
    let names = |info: &Value| -> Vec<String> {
        let members = info["members"].as_array().expect("a list");
        members.iter().map(|member| member["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(find("Disk")), ["heat", "name", "parts", "place"]);
    // Whatever is referred to is there.
    for info in &stays {
        for key in ["arg-type", "ret-type", "element-type"] {
            let name = info[key].as_str();
            assert!(name.is_none_or(|name| is_there(&stays, name)), "{info}");
        }
    }
    let stable = described(policy("unstable-output"));
    assert!(!is_there(&stable, "x-everything") && is_there(&stable, "x-open"));
}

#[test]
fn a_command_tells_which_feature_it_has() {
    let command = |name: &str| CommandTable::global().unwrap().get(name).unwrap().lifecycle;
    let features = |name: &str| command(name).features().iter().collect::<Vec<_>>();
    assert_eq!(features("x-open"), [Feature::Deprecated]);
    assert_eq!(features("x-everything"), [Feature::Unstable]);
    assert_eq!(features("x-echo"), []);
}
