//! Tests of definitions: what of the keys becomes what.

use super::*;

fn nested(pairs: &[(&str, &str)]) -> Result<Definition, BlockdevError> {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), Given::from(*value));
    Definition::new(&pairs.iter().map(pair).collect::<Vec<_>>())
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    let error = nested(&[("file", "f0"), ("file.driver", "file")]).expect_err("they do");
    let text = "file: expected either a value or keys below it, given both";
    assert_eq!(error.to_string(), text);
}

#[test]
fn dotted_keys_and_json_are_one() {
    let dotted = nested(&[("file.driver", "file"), ("file.cache.direct", "on")]).expect("they fit");
    let (name, node) = &dotted.members[0];
    let Node::Object(members) = opened(node.clone()) else { panic!("{node:?}") };
    assert_eq!((&**name, members.len()), ("file", 2));
    let json = json!({"driver": "file", "cache": {"direct": true}});
    let definition = Definition::new(&[("file".to_owned(), Given::Json(json))]).expect("it fits");
    let Node::Object(members) = opened(definition.members[0].1.clone()) else { panic!() };
    assert_eq!(members[0].0, "cache");
}

#[test]
fn a_text_is_taken_out_and_nothing_else_is_one() {
    let text = |value| ("driver".to_owned(), Node::Value(value));
    let mut members = vec![text(Given::from("raw"))];
    assert_eq!(take_text(&mut members, "driver", ""), Ok(Some("raw".to_owned())));
    assert_eq!(take_text(&mut members, "driver", ""), Ok(None));
    members.push(text(Given::Json(json!(3))));
    let error = take_text(&mut members, "driver", "file.").expect_err("it is a number");
    assert_eq!(error.to_string(), "Parameter 'file.driver' expects a string");
}
