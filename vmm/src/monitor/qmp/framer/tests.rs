//! Messages, mistakes and limits, whatever pieces they come in.

use proptest::prelude::*;
use serde_json::json;

use super::*;

type Message = Result<Value, FrameError>;

fn framer() -> Framer {
    Framer::new(Budget::new(1 << 20))
}

fn limited(limits: Limits) -> Framer {
    Framer::with_limits(limits, Budget::new(1 << 20))
}

fn feed(framer: &mut Framer, mut input: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some(message) = framer.next(&mut input) {
        messages.push(message.map(|message| message.into_parts().0));
    }
    assert!(input.is_empty());
    messages
}

fn all(input: &str) -> Vec<Message> {
    feed(&mut framer(), input.as_bytes())
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn a_message_ends_where_its_brackets_balance() {
    let value = json!({"a": [{}, "}"]});
    assert_eq!(all(r#"{"a":[{},"}"]}"#), [Ok(value.clone())]);
    assert_eq!(all("{\n\t\"a\": [ {},\r\n '}' ]\n}\n"), [Ok(value)]);
    assert_eq!(all("{}[] {}"), [Ok(json!({})), Ok(json!([])), Ok(json!({}))]);
    assert_eq!(all(r#"{"a":[{},"}"]"#), []);
}

#[test]
fn a_scalar_ends_before_what_is_no_part_of_it() {
    assert_eq!(all("null"), []);
    assert_eq!(all("null\n"), [Ok(json!(null))]);
    assert_eq!(all("-1.5e+3{}"), [Ok(json!(-1500.0)), Ok(json!({}))]);
    assert_eq!(all("1 true\"x\""), [Ok(json!(1)), Ok(json!(true)), Ok(json!("x"))]);
    assert_eq!(all("1]"), [Ok(json!(1)), Err(FrameError::Stray { byte: b']' })]);
}

#[test]
fn a_string_ends_with_the_quote_that_it_began_with() {
    assert_eq!(all(r"'it\'s'"), [Ok(json!("it's"))]);
    assert_eq!(all(r#"'"' "'""#), [Ok(json!("\"")), Ok(json!("'"))]);
    assert_eq!(all("'\u{e9}\u{1f600}'"), [Ok(json!("\u{e9}\u{1f600}"))]);
}

#[test]
fn lexical_errors_are_told_at_once_and_once() {
    for (input, error) in [
        (&b"{]"[..], FrameError::Mismatched { expected: b'}', found: b']' }),
        (b"[}", FrameError::Mismatched { expected: b']', found: b'}' }),
        (b"]", FrameError::Stray { byte: b']' }),
        (b",", FrameError::Stray { byte: b',' }),
        (b"%p", FrameError::Stray { byte: b'%' }),
        (b"{\xff", FrameError::Stray { byte: 0xff }),
        (b"{\x01", FrameError::Stray { byte: 1 }),
        (b"{'bad \xff", FrameError::NotUtf8 { byte: 0xff }),
        (b"{'bad \xe2{", FrameError::NotUtf8 { byte: b'{' }),
        (b"{'id':'\n", FrameError::ControlInString { byte: b'\n' }),
    ] {
        let mut framer = framer();
        assert_eq!(feed(&mut framer, input), [Err(error)]);
    }
}

#[test]
fn errors_show_bytes_readably() {
    let shown = |byte| FrameError::Stray { byte }.to_string();
    assert_eq!(shown(b'%'), "JSON parse error, stray '%'");
    assert_eq!(shown(0xff), "JSON parse error, stray byte 0xff");
}

#[test]
fn what_follows_an_error_is_skipped_until_a_brace_or_a_new_line() {
    assert_eq!(all("%p ]]] 'x' %%\n1\n").len(), 2);
    assert_eq!(all("{\"a\" % ]]{}").len(), 2);
    assert_eq!(all("]\u{1}{\"a\":1}")[1], Ok(json!({"a": 1})));
}

#[test]
fn what_makes_no_value_is_told_at_its_end() {
    for input in ["{1 2}", "{'a' 1}", "[1,]", "nul ", "01 ", "1e999 ", r"'\x'", r"'\ud800'"] {
        let messages = all(input);
        assert!(matches!(messages[..], [Err(FrameError::Syntax(_))]), "{input}: {messages:?}");
    }
    let twice = all("{'a':1,'a':2}").remove(0).unwrap_err().to_string();
    assert!(twice.starts_with("JSON parse error, key 'a' is given twice"), "{twice}");
}

#[test]
fn nesting_has_an_exact_limit() {
    let mut framer = framer();
    assert!(matches!(feed(&mut framer, nested(1024).as_bytes())[..], [Ok(_)]));
    let limit = 1024;
    assert_eq!(feed(&mut framer, nested(1025).as_bytes()), [Err(FrameError::TooDeep { limit })]);
    assert_eq!(feed(&mut framer, nested(99_999).as_bytes()), [Err(FrameError::TooDeep { limit })]);
    assert_eq!(feed(&mut framer, b"{}"), [Ok(json!({}))]);
}

/// A thread has 2 MiB of stack unless it says otherwise.
#[test]
fn the_deepest_message_fits_a_threads_stack() {
    let objects = format!("{}0{}", "{'a':".repeat(1024), "}".repeat(1024));
    let mixed = format!("{}0{}", "{'a':[".repeat(512), "]}".repeat(512));
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        for text in [&nested(1024), &objects, &mixed] {
            let value = all(text).remove(0).unwrap();
            assert!(!super::super::wire::Wire::default().success(&value, Some(&value)).is_empty());
            drop(value);
        }
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn length_has_an_exact_limit() {
    let mut framer = limited(Limits { bytes: 10, ..Limits::default() });
    let too_long = Err(FrameError::TooLong { limit: 10 });
    assert_eq!(feed(&mut framer, b"  '12345678'"), [Ok(json!("12345678"))]);
    assert_eq!(feed(&mut framer, b"'123456789'"), std::slice::from_ref(&too_long));
    assert_eq!(feed(&mut framer, b"1234567890 "), [Ok(json!(1_234_567_890_u64))]);
    assert_eq!(feed(&mut framer, b"12345678901"), std::slice::from_ref(&too_long));
    assert_eq!(feed(&mut framer, b"234 []"), [Ok(json!([]))]);
    assert_eq!(feed(&mut framer, b"[1234567,\n\n"), [too_long]);
    assert_eq!(feed(&mut framer, b"'] [', {}\n]1 "), [Ok(json!(1))]);
}

#[test]
fn tokens_have_an_exact_limit() {
    let mut framer = limited(Limits { tokens: 5, ..Limits::default() });
    assert_eq!(feed(&mut framer, b"[1,22]"), [Ok(json!([1, 22]))]);
    let too_many = Err(FrameError::TooManyTokens { limit: 5 });
    assert_eq!(feed(&mut framer, b"[1,[]]"), std::slice::from_ref(&too_many));
    assert_eq!(feed(&mut framer, b"[[[[[[]]]]]]"), std::slice::from_ref(&too_many));
    assert_eq!(feed(&mut framer, b"{'a':'b','c':1} "), [too_many]);
    assert_eq!(feed(&mut framer, b"[1,22]"), [Ok(json!([1, 22]))]);
}

#[test]
fn a_message_beyond_a_limit_is_skipped_without_being_kept() {
    let budget = Budget::new(1 << 20);
    let limits = Limits { bytes: 1000, ..Limits::default() };
    let mut framer = Framer::with_limits(limits, Arc::clone(&budget));
    assert_eq!(feed(&mut framer, b"['").len(), 0);
    assert_eq!(feed(&mut framer, &[b'x'; 2000]), [Err(FrameError::TooLong { limit: 1000 })]);
    for _ in 0..100 {
        assert_eq!(feed(&mut framer, &[b'{'; 1000]), []);
        assert_eq!(budget.used(), 0);
    }
    // The end of the string, and an error, which belongs to the message refused before.
    assert_eq!(feed(&mut framer, b"', \xff"), []);
    assert_eq!(feed(&mut framer, b"\n1 "), [Ok(json!(1))]);
}

#[test]
fn clients_share_a_budget_and_give_it_back() {
    // What its text has room for, the string read from it, and its three tokens.
    let capacity = 1024 + 604 + 3 * TOKEN_BYTES;
    let budget = Budget::new(capacity);
    let message = format!("['{}']", "x".repeat(600));
    let [mut one, mut other] = [(); 2].map(|()| Framer::new(Arc::clone(&budget)));
    assert_eq!(feed(&mut one, &message.as_bytes()[..500]), []);
    let out_of_budget = [Err(FrameError::OutOfBudget { capacity })];
    assert_eq!(feed(&mut other, message.as_bytes()), out_of_budget);
    assert!((500..=capacity).contains(&budget.used()));
    assert!(matches!(feed(&mut one, &message.as_bytes()[500..])[..], [Ok(_)]));
    assert_eq!(budget.used(), 0);
    assert!(matches!(feed(&mut other, message.as_bytes())[..], [Ok(_)]));

    assert_eq!(feed(&mut one, b"{'a"), []);
    assert_ne!(budget.used(), 0);
    assert!(matches!(feed(&mut one, b"\xff")[..], [Err(_)]));
    assert_eq!(budget.used(), 0, "an error gives it back");

    assert_eq!(feed(&mut one, b"\n{'a"), []);
    one.reset();
    assert_eq!(budget.used(), 0, "a reset gives it back");
    assert_eq!(feed(&mut one, b"{}"), [Ok(json!({}))]);

    assert_eq!(feed(&mut one, b"{'a"), []);
    drop(one);
    assert_eq!(budget.used(), 0, "its end gives it back");
}

#[test]
fn the_budget_has_an_exact_limit() {
    let message = |length: usize| format!("'{}'", "x".repeat(length - 2)).into_bytes();
    // The string is there twice before its text is gone.
    let capacity = 2 * 1024 + TOKEN_BYTES;
    let mut framer = Framer::new(Budget::new(capacity));
    assert!(matches!(feed(&mut framer, &message(1024))[..], [Ok(_)]));
    let out_of_budget = [Err(FrameError::OutOfBudget { capacity })];
    assert_eq!(feed(&mut framer, &message(1025)), out_of_budget);
    assert!(matches!(feed(&mut framer, &message(1024))[..], [Ok(_)]));
    // And thrice with an escape.
    let escaped = |length: usize| format!("'{}'", r"\t".repeat(length / 2 - 1)).into_bytes();
    assert_eq!(feed(&mut framer, &escaped(1024)), out_of_budget);
    assert!(matches!(feed(&mut framer, &escaped(512))[..], [Ok(_)]));
}

#[test]
fn each_token_takes_of_the_budget_from_when_it_is_seen() {
    let budget = Budget::new(1 << 20);
    let mut framer = Framer::new(Arc::clone(&budget));
    let mut used = 0;
    for piece in ["{", "'a'", ":", "[", "0", ",", "tru", "e", ",", "{}", "]", ",", "'b'"] {
        assert_eq!(feed(&mut framer, piece.as_bytes()), []);
        let tokens = if piece == "{}" { 2 } else { usize::from(piece != "e") };
        let room = if used == 0 { 256 } else { 0 };
        used += tokens * TOKEN_BYTES + room;
        assert_eq!(budget.used(), used, "{piece}");
    }
    framer.reset();
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_message_keeps_what_it_took_until_it_is_dropped() {
    let budget = Budget::new(1 << 20);
    let mut framer = Framer::new(Arc::clone(&budget));
    let text = format!("[{}0]", "0,".repeat(999));
    let message = framer.next(&mut text.as_bytes()).unwrap().unwrap();
    assert_eq!(budget.used(), text.len() + 2001 * TOKEN_BYTES);
    assert_eq!(feed(&mut framer, b"[0]"), [Ok(json!([0]))]);
    assert_eq!(message.value().as_array().unwrap().len(), 1000);
    let (value, claim) = message.into_parts();
    drop(value);
    assert_eq!(budget.used(), claim.held());
    drop(claim);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_message_of_too_many_tokens_for_the_budget_is_skipped_and_others_go_on() {
    let capacity = 1000 * TOKEN_BYTES;
    let budget = Budget::with_reserve(capacity, 20 * TOKEN_BYTES);
    let [mut greedy, mut other] = [(); 2].map(|()| Framer::new(Arc::clone(&budget)));
    let out_of_budget = Err(FrameError::OutOfBudget { capacity });
    // What it says after that is no message, and takes nothing.
    let text = format!("[{}0]", "0,".repeat(9999));
    assert_eq!(feed(&mut greedy, &text.as_bytes()[..9999]), std::slice::from_ref(&out_of_budget));
    assert_eq!(budget.used(), 0);
    assert_eq!(feed(&mut greedy, &text.as_bytes()[9999..]), []);
    assert_eq!(feed(&mut greedy, b"[0]"), [Ok(json!([0]))]);

    // A message that has nearly all there is leaves the others their reserve.
    let most = format!("[{}", "[],".repeat(310));
    assert_eq!(feed(&mut greedy, most.as_bytes()), []);
    while feed(&mut greedy, b" ").is_empty() && budget.used() < capacity {}
    assert_eq!(feed(&mut other, format!("[{}0]", "0,".repeat(99)).as_bytes()), [out_of_budget]);
    assert_eq!(feed(&mut other, b"{'execute': 'stop'}"), [Ok(json!({"execute": "stop"}))]);
}

/// Bytes of which many have a meaning.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        8 => prop::sample::select(&b"{}[]:,\"'\\ \n01-ea.u\x01\xff\xc3\xa9\xe2\x82\xac%"[..]),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..80)
}

fn small() -> (Framer, Arc<Budget>) {
    let budget = Budget::new(9 * TOKEN_BYTES + 40);
    let limits = Limits { nesting: 3, bytes: 30, tokens: 10 };
    (Framer::with_limits(limits, Arc::clone(&budget)), budget)
}

proptest! {
    #[test]
    fn pieces_make_no_difference(input in bytes(), cut in 0..80_usize) {
        let (mut whole, _) = small();
        let messages = feed(&mut whole, &input);
        let (mut single, _) = small();
        let singly: Vec<_> = input.iter().flat_map(|byte| feed(&mut single, &[*byte])).collect();
        prop_assert_eq!(&messages, &singly);
        let (mut halves, _) = small();
        let (head, tail) = input.split_at(cut.min(input.len()));
        prop_assert_eq!([feed(&mut halves, head), feed(&mut halves, tail)].concat(), messages);
    }

    /// A new line alone may stand within a message, and in a string it is an error.
    #[test]
    fn a_client_that_is_lost_gets_on(input in bytes()) {
        let (mut framer, budget) = small();
        feed(&mut framer, &input);
        feed(&mut framer, b"\xff\n");
        prop_assert_eq!(budget.used(), 0);
        prop_assert_eq!(feed(&mut framer, b"{'a': 1}"), [Ok(json!({"a": 1}))]);
        prop_assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_json_writes_is_read(text: String, number: i64, pretty: bool) {
        let value = json!({ text.clone(): [number, text, null, {"x": true}] });
        let written = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        prop_assert_eq!(feed(&mut framer(), &written.unwrap()), [Ok(value)]);
    }
}
