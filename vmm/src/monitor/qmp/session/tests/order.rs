//! Who waits for whom.

use super::*;

#[test]
fn without_oob_one_request_is_taken_at_a_time() {
    let mut client = Client::ready();
    let input = [1, 2, 3].map(|id| request("execute", "echo", id)).concat();
    let mut job = run(client.steps(&input).pop());
    for id in 1..=3 {
        assert!(!client.session.accepts_input());
        assert_eq!(client.steps("").len(), 0);
        assert_eq!(client.finish(job), Some(json!({"return": {}, "id": id})));
        match client.steps("").pop() {
            Some(Step::Run(next)) => job = next,
            other => {
                assert!(other.is_none() && id == 3, "{other:?}");
                break;
            }
        }
    }
    assert!(client.session.accepts_input());
}

#[test]
fn out_of_band_overtakes_in_band() {
    let mut client = Client::with_oob();
    let blocked = run(client.steps(&request("execute", "echo", 1)).pop());
    assert_eq!(client.steps(&request("execute", "echo", 2)).len(), 0);
    match client.steps(&request("exec-oob", "oob-echo", 3)).pop() {
        Some(Step::RunNow(job)) => {
            assert!(job.request().out_of_band);
            assert_eq!(client.finish(job), Some(json!({"return": {}, "id": 3})));
        }
        other => panic!("{other:?}"),
    }
    // A mistake in such a request overtakes too.
    let early = reply(client.steps(&request("exec-oob", "echo", 4)).pop());
    assert_eq!(early["id"], 4);
    let early = reply(client.steps("{'exec-oob': 1, 'id': 5}").pop());
    assert_eq!(early["id"], 5);
    assert_eq!(client.steps("").len(), 0, "the first one still runs");
    assert_eq!(client.finish(blocked), Some(json!({"return": {}, "id": 1})));
    let next = run(client.steps("").pop());
    assert_eq!(client.finish(next), Some(json!({"return": {}, "id": 2})));
}

#[test]
fn in_band_mistakes_are_answered_in_their_turn() {
    let mut client = Client::with_oob();
    let first = run(client.steps(&request("execute", "echo", 1)).pop());
    let mistakes = request("execute", "no-such-cmd", 2) + "{]\n" + "{'id': 3}";
    assert_eq!(client.steps(&mistakes).len(), 0);
    assert_eq!(client.steps("{'execute': 'qmp_capabilities', 'id': 4}").len(), 0);
    assert_eq!(client.steps(&request("execute", "echo", 5)).len(), 0);
    client.finish(first);
    let mut steps = client.steps("").into_iter();
    let ids: Vec<_> = steps.by_ref().take(4).map(|step| reply(Some(step))["id"].clone()).collect();
    assert_eq!(ids, [json!(2), json!(null), json!(3), json!(4)]);
    assert_eq!(run(steps.next()).request().id, Some(json!(5)));
    assert!(steps.next().is_none());
}

#[test]
fn a_full_queue_takes_no_more_input() {
    let mut client = Client::with_oob();
    let first = run(client.steps(&request("execute", "echo", 0)).pop());
    for id in 1..8 {
        assert!(client.session.accepts_input());
        assert_eq!(client.steps(&request("execute", "echo", id)).len(), 0);
    }
    assert!(!client.session.accepts_input());
    let late = request("exec-oob", "oob-echo", 9);
    assert_eq!(client.steps(&late).len(), 0);
    assert_eq!(client.unread, late.as_bytes(), "no byte of it is taken");
    client.finish(first);
    let steps = client.steps("");
    assert!(matches!(&steps[..], [Step::Run(_), Step::RunNow(_)]), "{steps:?}");
}

proptest! {
    /// However a slow executor and a client's requests meet, answers are in order and none is lost.
    #[test]
    fn answers_come_in_the_order_of_the_requests(choices in prop::collection::vec(any::<bool>(), 0..80)) {
        let mut client = Client::with_oob();
        let (mut given, mut answered, mut running) = (0_u32, Vec::new(), None);
        for gives in choices.into_iter().chain([false; 100]) {
            let mut input = String::new();
            if gives {
                let command = if given.is_multiple_of(3) { "no-such-cmd" } else { "echo" };
                input = request("execute", command, given);
                given += 1;
            } else if let Some(job) = running.take() {
                answered.push(client.finish(job).unwrap()["id"].clone());
            }
            for step in client.steps(&input) {
                match step {
                    Step::Reply(bytes) => answered.push(read(&bytes)["id"].clone()),
                    Step::Run(job) => prop_assert!(running.replace(job).is_none()),
                    Step::RunNow(job) => panic!("{job:?}"),
                }
            }
        }
        prop_assert_eq!(answered, (0..given).map(|id| json!(id)).collect::<Vec<_>>());
    }
}
