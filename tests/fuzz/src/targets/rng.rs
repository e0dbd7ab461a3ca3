//! The requests for random bytes of a guest: each is answered once, in their order, with no more
//! than it asked for.

use std::{
    cell::RefCell,
    io,
    sync::{Arc, Mutex},
};

use device_model::rng_backend::{EntropyError, MOST_ENTROPY, MOST_ENTROPY_REQUESTS};
use devices::rng::{EntropyQueue, Outcome};

use crate::{Target, input::Input};

inventory::submit!(Target { name: "rng", covers: &["rng-builtin", "rng-random"], run });

/// Number of the request, and how many bytes it was answered with; none for an error.
type Answers = Arc<Mutex<Vec<(usize, Option<usize>)>>>;

/// Operations: an even byte is a request of the number that follows, an odd one serves the queue:
/// the next byte says what the host does, and how many bytes it has.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut queue = EntropyQueue::default();
    let answers = Answers::default();
    let asked = RefCell::new(Vec::new());
    while let Some(first) = input.next() {
        if first & 1 == 0 {
            request(&mut queue, input.number(), &answers, &asked);
        } else {
            serve(&mut queue, first, input.byte(), &answers, &asked);
        }
        let (asked, answered) = (asked.borrow().len(), answers.lock().unwrap().len());
        assert_eq!(asked, answered + queue.len());
        assert!(queue.len() <= MOST_ENTROPY_REQUESTS);
    }
}

fn request(queue: &mut EntropyQueue, count: u64, answers: &Answers, asked: &RefCell<Vec<usize>>) {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let (before, number, answers) = (queue.len(), asked.borrow().len(), Arc::clone(answers));
    let done = move |answer: Result<&[u8], EntropyError>| {
        answers.lock().unwrap().push((number, answer.ok().map(<[u8]>::len)));
    };
    match queue.push(count, Box::new(done)) {
        Ok(()) => asked.borrow_mut().push(count),
        Err(EntropyError::Nothing) => assert_eq!(count, 0),
        Err(error) => {
            assert_eq!(before, MOST_ENTROPY_REQUESTS, "{error}");
        }
    }
}

fn serve(
    queue: &mut EntropyQueue,
    ends: u8,
    has: u8,
    answers: &Answers,
    asked: &RefCell<Vec<usize>>,
) {
    let (before, number) = (queue.len(), answers.lock().unwrap().len());
    let outcome = queue.serve(ends & 2 != 0, |bytes| {
        let wanted = asked.borrow()[number].min(MOST_ENTROPY);
        assert_eq!(bytes.len(), wanted);
        match has {
            0xff => Err(io::ErrorKind::WouldBlock.into()),
            0xfe => Err(io::ErrorKind::PermissionDenied.into()),
            has => Ok(usize::from(has).min(bytes.len())),
        }
    });
    match outcome {
        Outcome::Answer(done, answer) => {
            let length = answer.as_ref().ok().map(Vec::len);
            match answer {
                Ok(bytes) => done(Ok(&bytes)),
                Err(error) => done(Err(error)),
            }
            assert_ne!(length, Some(0), "nothing is no answer");
            assert_eq!(answers.lock().unwrap().last(), Some(&(number, length)));
            assert_eq!(queue.len(), before - 1);
        }
        Outcome::Idle => assert_eq!(before, 0),
        Outcome::NotYet | Outcome::Nobody => assert_eq!(queue.len(), before),
    }
}
