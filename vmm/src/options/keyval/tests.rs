//! What the option syntax promises.

use super::*;
use proptest::prelude::*;
use serde_json::json;

const DEVICE: Syntax = Syntax { implied_key: Some("driver"), words: Words::Flags, json: true };
const STRICT: Syntax = Syntax { implied_key: Some("size"), words: Words::Refused, json: false };

fn parse(text: &str) -> OptionArgs {
    OptionArgs::parse(text, DEVICE).unwrap()
}

fn message(text: &str, syntax: Syntax) -> String {
    OptionArgs::parse(text, syntax).unwrap_err().to_string()
}

fn text(key: &str, value: &str) -> (String, Given) {
    (key.to_owned(), Given::Text(value.to_owned()))
}

#[test]
fn the_first_word_is_the_value_of_the_implied_key() {
    let args = parse("isa-debug-exit,iobase=0x501,b.c=2");
    assert_eq!(args.implied.as_deref(), Some("isa-debug-exit"));
    assert_eq!(args.entries, [text("iobase", "0x501"), text("b.c", "2")]);
}

#[test]
fn the_implied_key_may_be_written_out_anywhere() {
    let args = parse("a=1,driver=x");
    assert_eq!(args.implied.as_deref(), Some("x"));
    assert_eq!(args.entries, [text("a", "1")]);
}

#[test]
fn without_an_implied_key_the_first_word_is_like_any_other() {
    let syntax = Syntax { implied_key: None, ..DEVICE };
    let args = OptionArgs::parse("flag,a=1", syntax).unwrap();
    assert_eq!(args.implied, None);
    assert_eq!(args.entries, [text("flag", "on"), text("a", "1")]);
    assert_eq!(
        message("flag", Syntax { implied_key: None, ..STRICT }),
        "column 1: expected '=' and a value after 'flag'"
    );
}

#[test]
fn two_commas_are_a_comma_in_a_value() {
    assert_eq!(
        parse("x,a=1,,2,b=,,,c=,,,,").entries,
        [text("a", "1,2"), text("b", ","), text("c", ",,"),]
    );
    assert_eq!(parse("a,,b,c=1").implied.as_deref(), Some("a,b"));
}

#[test]
fn values_may_be_empty_and_hold_equals_signs() {
    assert_eq!(parse("x,a=,b=c=d").entries, [text("a", ""), text("b", "c=d")]);
}

#[test]
fn one_comma_at_the_end_is_passed_over() {
    assert_eq!(parse("x,a=1,").entries, [text("a", "1")]);
}

#[test]
fn words_are_switches_where_the_option_has_them() {
    assert_eq!(
        parse("x,server,nowait,no").entries,
        [text("server", "on"), text("wait", "off"), text("no", "on"),]
    );
    assert_eq!(message("1G,slots", STRICT), "column 4: expected '=' and a value after 'slots'");
}

#[test]
fn the_last_value_of_a_key_wins_and_the_others_stay_known() {
    let args = parse("x,a=1,b=2,a=3");
    assert_eq!(args.entries, [text("b", "2"), text("a", "3")]);
    assert_eq!(args.get("a"), Some(&Given::Text("3".to_owned())));
    assert_eq!(args.overridden(), [text("a", "1")]);
}

#[test]
fn taking_a_key_gives_the_overridden_values_too() {
    let mut args = parse("x,a=1,b=2,a=3");
    assert_eq!(args.take_all(|key| key == "a"), [text("a", "1"), text("a", "3")]);
    assert_eq!(args.entries, [text("b", "2")]);
    assert_eq!(args.overridden(), []);
    assert_eq!(args.to_string(), "x,a=1,b=2,a=3");
}

#[test]
fn help_is_a_word_not_a_value() {
    for asks in ["help", "?", "x,help", "x,a=1,?", "help,x"] {
        assert!(parse(asks).asks_help(), "{asks}");
    }
    for does_not in ["x,a=help", "driver=help", "x,helpful", r#"{"driver":"help"}"#] {
        assert!(!parse(does_not).asks_help(), "{does_not}");
    }
    assert_eq!(parse("x,help").implied.as_deref(), Some("x"));
    assert_eq!(parse("help").implied, None);
    assert!(!OptionArgs::parse("help", STRICT).unwrap().asks_help());
}

#[test]
fn json_keeps_order_and_types() {
    let args = parse(r#"{"z":1,"driver":"x","a":{"b":[true]}}"#);
    assert_eq!(args.implied.as_deref(), Some("x"));
    assert_eq!(
        args.entries,
        [
            ("z".to_owned(), Given::Json(json!(1))),
            ("a".to_owned(), Given::Json(json!({"b": [true]}))),
        ]
    );
}

#[test]
fn json_is_text_where_the_option_has_no_json_form() {
    let args = OptionArgs::parse(r#"{"a":1}"#, STRICT).unwrap();
    assert_eq!(args.implied.as_deref(), Some(r#"{"a":1}"#));
}

#[test]
fn json_must_be_whole_and_name_the_implied_key_with_a_string() {
    assert!(message("{", DEVICE).starts_with("invalid JSON: EOF"));
    assert_eq!(message(r#"{"driver":7}"#, DEVICE), "driver: expected a string, given 7");
}

#[test]
fn what_was_written_is_what_is_shown() {
    for written in ["x,a=1,,2,a=3,", "driver=x", "a=1,driver=x", r#"{ "driver" : "x" }"#] {
        assert_eq!(parse(written).to_string(), written);
    }
}

#[test]
fn errors_name_the_column_in_characters() {
    assert_eq!(message(",a=1", DEVICE), "column 1: expected a value for 'driver', given nothing");
    assert_eq!(message("ü,=1", DEVICE), "column 3: expected a key, given nothing");
    assert_eq!(
        message("üü,b c=1", DEVICE),
        "column 4: expected a key of letters, digits, '-', '_' and '.', given 'b c'"
    );
    for bad in ["x,a..b=1", "x,.a=1", "x,a.=1", "x,ä=1", "x,a\nb"] {
        assert!(matches!(OptionArgs::parse(bad, DEVICE), Err(KeyvalError::Key { column: 3, .. })));
    }
}

#[test]
fn keys_are_bounded_in_length_and_depth() {
    let key = |parts: usize| vec!["a"; parts].join(".");
    assert!(OptionArgs::parse(&format!("x,{}=1", key(MAX_KEY_DEPTH)), DEVICE).is_ok());
    assert!(matches!(
        OptionArgs::parse(&format!("x,{}=1", key(MAX_KEY_DEPTH + 1)), DEVICE),
        Err(KeyvalError::Depth { column: 3, .. })
    ));
    assert!(OptionArgs::parse(&format!("x,{}=1", "a".repeat(MAX_KEY_PART)), DEVICE).is_ok());
    assert!(OptionArgs::parse(&format!("x,{}=1", "a".repeat(MAX_KEY_PART + 1)), DEVICE).is_err());
}

#[test]
fn very_many_keys_take_no_quadratic_time() {
    let long: String = (0..200_000).map(|n| format!("k{n}=1,")).collect();
    assert_eq!(OptionArgs::parse(&long, DEVICE).unwrap().entries.len(), 200_000);
}

fn text_pairs() -> impl Strategy<Value = Vec<(String, Given)>> {
    let key = prop_oneof![Just("driver".to_owned()), "[a-z0-9_-]{1,4}(\\.[a-z0-9]{1,2}){0,3}"];
    let value = prop_oneof![Just("help".to_owned()), "[a,={?]{0,6}", ".{0,12}"];
    prop::collection::vec((key, value.prop_map(Given::Text)), 0..6)
}

fn json_pairs() -> impl Strategy<Value = Vec<(String, Given)>> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop::collection::vec(any::<u64>(), 0..3).prop_map(Value::from),
    ];
    prop::collection::btree_map(".{0,6}", value.prop_map(Given::Json), 1..6)
        .prop_map(|members| members.into_iter().collect())
}

proptest! {
    #[test]
    fn any_text_is_survived(text in "[a.,={}?\"no1 :]{0,40}|.*") {
        for syntax in [DEVICE, STRICT, Syntax { implied_key: None, ..DEVICE }] {
            if let Err(error) = OptionArgs::parse(&text, syntax) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn formatting_then_parsing_is_the_identity(pairs in prop_oneof![text_pairs(), json_pairs()]) {
        let formatted = OptionArgs::from_pairs(Some("driver"), pairs).unwrap();
        let parsed = OptionArgs::parse(&formatted.to_string(), DEVICE);
        prop_assert_eq!(parsed, Ok(formatted));
    }

    #[test]
    fn parsing_then_formatting_keeps_the_meaning(text in "[a.,=bno]{0,20}") {
        if let Ok(args) = OptionArgs::parse(&text, DEVICE) {
            let mut pairs = args.entries.clone();
            pairs.extend(args.implied.clone().map(|implied| {
                ("driver".to_owned(), Given::Text(implied))
            }));
            let again = OptionArgs::from_pairs(Some("driver"), pairs).unwrap();
            prop_assert_eq!(&again.implied, &args.implied);
            prop_assert_eq!(&again.entries, &args.entries);
        }
    }
}
