//! What one client gets for what it sends: it negotiates capabilities, then gives commands.
//!
//! In-band commands run one at a time, in the order in which they were given, and are answered in
//! that order, as are mistakes among them. A client that negotiated `oob` may have several waiting,
//! and has commands that overtake them.
//!
//! The session runs nothing itself. Whoever drives it asks it for [`Step`]s: one thread can do all
//! that they say (as [`Session::serve`] does), or one reads and another runs what is in-band:
//!
//! - After bytes came and after each [`Session::finish`], ask for steps until there are none.
//! - What is left of the input then is for the next time; read no more while
//!   [`Session::accepts_input`] is false.
//! - Send bytes in the order in which they were given out.

use std::collections::VecDeque;

use device_model::monitor::{Answer, CommandError, ErrorClass, Occurrence};
use serde_json::{Map, Value};

use super::{
    budget::Claim,
    framer::{FrameError, Framer, Message},
    request::{EXCERPT, Malformed, Request},
    wire::{Version, Wire},
};

/// How many in-band requests of a client with `oob` may wait for their answers: QEMU,
/// docs/interop/qmp-spec.rst, "Out-of-band execution".
pub const QUEUE_LENGTH: usize = 8;

/// What a session knows of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandTraits {
    /// Whether it may overtake others.
    pub out_of_band: bool,
}

/// The commands that there are, but for `qmp_capabilities`, which is the session's own.
pub trait Dispatch {
    /// The command of that name.
    fn find(&self, name: &str) -> Option<CommandTraits>;
}

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// Send these bytes.
    Reply(Vec<u8>),
    /// Run this in-band request, then [`Session::finish`] it. There is only one at a time.
    Run(Job),
    /// Run this out-of-band request at once, then [`Session::finish`] it.
    RunNow(Job),
}

/// A request to run, for the client that made it.
#[derive(Debug)]
pub struct Job {
    request: Request,
    client: u64,
    // After the request, as fields are dropped in their order.
    claim: Claim,
}

impl Job {
    /// What to run.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// What it is given, by name, which the request no longer has then. That is to be dropped before
    /// this is, which its memory is counted by.
    #[must_use]
    pub fn take_arguments(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.request.arguments)
    }
}

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has not asked for capabilities yet.
    Negotiating,
    /// It gives commands, out of band too if so agreed.
    Ready { oob: bool },
}

/// An in-band request that waits for its turn.
#[derive(Debug)]
enum Turn {
    /// It is to be run.
    Run(Job),
    /// It was wrong, or is done already; this is its answer, which may repeat much of it.
    Reply(Vec<u8>, Option<Claim>),
}

/// A client's conversation.
#[derive(Debug)]
pub struct Session {
    version: Version,
    wire: Wire,
    framer: Framer,
    phase: Phase,
    /// What waits for the one that runs.
    waiting: VecDeque<Turn>,
    /// Whether an in-band request of this client runs.
    running: bool,
    /// How many clients there were before.
    client: u64,
}

impl Session {
    /// A session without a client.
    #[must_use]
    pub const fn new(version: Version, wire: Wire, framer: Framer) -> Self {
        Self {
            version,
            wire,
            framer,
            phase: Phase::Negotiating,
            waiting: VecDeque::new(),
            running: false,
            client: 0,
        }
    }

    /// A client came: gives the greeting to send it. Nothing is left of one before it.
    pub fn open(&mut self) -> Vec<u8> {
        self.close();
        self.wire.greeting(&self.version)
    }

    /// The client left. Nobody gets the answers to what it asked for, and what did not run yet never
    /// will.
    pub fn close(&mut self) {
        self.framer.reset();
        self.phase = Phase::Negotiating;
        self.waiting = VecDeque::new();
        self.running = false;
        self.client = self.client.wrapping_add(1);
    }

    /// Whether input would be taken: not while as many requests wait for answers as may.
    #[must_use]
    pub fn accepts_input(&self) -> bool {
        let most = match self.phase {
            Phase::Ready { oob: true } => QUEUE_LENGTH,
            Phase::Negotiating | Phase::Ready { oob: false } => 1,
        };
        self.waiting.len().saturating_add(self.running.into()) < most
    }

    /// Whether the client has commands that overtake others.
    #[must_use]
    pub fn is_out_of_band(&self) -> bool {
        self.phase == Phase::Ready { oob: true }
    }

    /// What to do next, and takes from `input` what was needed to tell. With nothing to do, `input`
    /// is taken whole, or what is left of it has to wait until something is finished.
    pub fn step(&mut self, input: &mut &[u8], commands: &dyn Dispatch) -> Option<Step> {
        loop {
            if let Some(step) = self.next_turn() {
                return Some(step);
            }
            if !self.accepts_input() {
                return None;
            }
            let message = self.framer.next(input)?;
            if let Some(step) = self.judge(message, commands) {
                return Some(step);
            }
        }
    }

    /// The answer to a request that was run. None if its client has left.
    pub fn finish(&mut self, job: Job, result: &Result<Value, CommandError>) -> Option<Vec<u8>> {
        let Job { request, claim, .. } = self.end(job)?;
        let bytes = self.wire.answer(result, request.id.as_ref());
        drop(request);
        drop(claim);
        Some(bytes)
    }

    /// As [`Session::finish`], for what a command of the program gives.
    pub fn tell(&mut self, job: Job, result: &Result<Answer, CommandError>) -> Option<Vec<u8>> {
        let Job { request, claim, .. } = self.end(job)?;
        let bytes = self.wire.told(result, request.id.as_ref());
        drop(request);
        drop(claim);
        Some(bytes)
    }

    /// Takes note that a request was run, and gives it back unless its client has left.
    fn end(&mut self, job: Job) -> Option<Job> {
        if job.client != self.client {
            return None;
        }
        if !job.request.out_of_band {
            self.running = false;
        }
        Some(job)
    }

    /// An event as the client is sent it. None if it is not ready for events.
    #[must_use]
    pub fn event(&self, occurrence: &Occurrence) -> Option<Vec<u8>> {
        (self.phase != Phase::Negotiating).then(|| self.wire.event(occurrence))
    }

    /// Has all that `input` asks for done by `run`, here and now, and hands every answer to `send`.
    pub fn serve(
        &mut self,
        mut input: &[u8],
        commands: &dyn Dispatch,
        mut run: impl FnMut(&Request) -> Result<Value, CommandError>,
        mut send: impl FnMut(Vec<u8>),
    ) {
        while let Some(step) = self.step(&mut input, commands) {
            match step {
                Step::Reply(bytes) => send(bytes),
                Step::Run(job) | Step::RunNow(job) => {
                    let result = run(job.request());
                    self.finish(job, &result).into_iter().for_each(&mut send);
                }
            }
        }
    }

    /// What has waited longest, if nothing runs.
    fn next_turn(&mut self) -> Option<Step> {
        if self.running {
            return None;
        }
        match self.waiting.pop_front()? {
            Turn::Reply(bytes, claim) => {
                // It waits no longer.
                drop(claim);
                Some(Step::Reply(bytes))
            }
            Turn::Run(job) => {
                self.running = true;
                Some(Step::Run(job))
            }
        }
    }

    /// What to do at once for a message. What is in-band waits for its turn.
    fn judge(
        &mut self,
        message: Result<Message, FrameError>,
        commands: &dyn Dispatch,
    ) -> Option<Step> {
        let oob = self.is_out_of_band();
        let (value, claim) = match message {
            Ok(message) => message.into_parts(),
            Err(error) => {
                let error = CommandError::generic(error.to_string());
                self.waiting.push_back(Turn::Reply(self.wire.error(&error, None), None));
                return None;
            }
        };
        let refused = match Request::from_value(value, oob) {
            Ok(request) => match self.admit(&request, commands) {
                Ok(None) => {
                    let out_of_band = request.out_of_band;
                    let job = Job { request, client: self.client, claim };
                    if out_of_band {
                        return Some(Step::RunNow(job));
                    }
                    self.waiting.push_back(Turn::Run(job));
                    return None;
                }
                Ok(Some(value)) => {
                    let bytes = self.wire.success(&value, request.id.as_ref());
                    drop(request);
                    self.reply_in_turn(bytes, claim);
                    return None;
                }
                Err(error) => Malformed { error, id: request.id, out_of_band: request.out_of_band },
            },
            Err(malformed) => malformed,
        };
        let bytes = self.wire.error(&refused.error, refused.id.as_ref());
        if refused.out_of_band {
            return Some(Step::Reply(bytes));
        }
        drop(refused);
        self.reply_in_turn(bytes, claim);
        None
    }

    /// Has an answer wait for its turn. Of the claim of its request, nothing of which is left, it
    /// keeps what its bytes take.
    fn reply_in_turn(&mut self, bytes: Vec<u8>, mut claim: Claim) {
        claim.shrink_to(bytes.len());
        self.waiting.push_back(Turn::Reply(bytes, Some(claim)));
    }

    /// Whether the request may be run; what it gives if that is already known.
    fn admit(
        &mut self,
        request: &Request,
        commands: &dyn Dispatch,
    ) -> Result<Option<Value>, CommandError> {
        let not_found = |desc: &str| Err(CommandError::new(ErrorClass::CommandNotFound, desc));
        let negotiates = request.command == "qmp_capabilities";
        if self.phase == Phase::Negotiating {
            if !negotiates {
                return not_found("Expecting capabilities negotiation with 'qmp_capabilities'");
            }
            self.phase = Phase::Ready { oob: negotiate(&request.arguments)? };
            return Ok(Some(Value::Object(Map::new())));
        }
        let traits = match negotiates {
            true => Some(CommandTraits::default()),
            false => commands.find(&request.command),
        };
        let name = &request.command;
        match traits {
            None => not_found(&format!("The command {name:.EXCERPT$} has not been found")),
            Some(traits) if request.out_of_band && !traits.out_of_band => {
                Err(CommandError::generic(format!("The command {name} does not support OOB")))
            }
            Some(_) if negotiates => {
                not_found("Capabilities negotiation is already complete, command ignored")
            }
            Some(_) => Ok(None),
        }
    }
}

/// Whether a client wants `oob`: QEMU, qapi/control.json, `qmp_capabilities`.
fn negotiate(arguments: &Map<String, Value>) -> Result<bool, CommandError> {
    if let Some(name) = arguments.keys().find(|name| *name != "enable") {
        let desc = format!("Parameter '{name:.EXCERPT$}' is unexpected");
        return Err(CommandError::generic(desc));
    }
    let wrong_type = |name: &str, expected: &str| {
        let desc = format!("Invalid parameter type for '{name}', expected: {expected}");
        CommandError::generic(desc)
    };
    let wanted = match arguments.get("enable") {
        None => return Ok(false),
        Some(Value::Array(wanted)) => wanted,
        Some(_) => return Err(wrong_type("enable", "array")),
    };
    for (at, capability) in wanted.iter().enumerate() {
        match capability.as_str() {
            Some("oob") => {}
            Some(other) => {
                let desc = format!("Invalid parameter '{other:.EXCERPT$}'");
                return Err(CommandError::generic(desc));
            }
            None => return Err(wrong_type(&format!("enable[{at}]"), "string")),
        }
    }
    Ok(!wanted.is_empty())
}

#[cfg(test)]
mod tests;
