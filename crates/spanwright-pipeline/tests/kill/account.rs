//! What every span of every process has come to.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use spanwright_testing::{Answer, ReceivedRequest};

use crate::round::{Round, number};

/// How long the answer to a request, which the receiver has sent, may take to be on disk as settled.
const SETTLING: Duration = Duration::from_millis(100);

/// Spans by their numbers, over all processes.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Whether the receiver took it.
    taken: Vec<bool>,
    /// On disk, and to be delivered.
    owed: BTreeSet<u64>,
    /// On disk, and taken by the receiver already: requests that were in flight.
    repeatable: BTreeSet<u64>,
    ended: u64,
    repeated: u64,
    /// Ended, and neither on disk nor taken: too young at the kill.
    young: u64,
}

impl Account {
    /// The number of the next process's first span. It may have ended some more than it could say.
    pub(crate) fn next(&self) -> u64 {
        self.taken.len() as u64
    }

    /// Adds what a process did, and panics where it broke a promise.
    pub(crate) fn settle(&mut self, round: &Round, about: &str) {
        let Round { first, last, .. } = *round;
        let said = format!(
            "{about}: {last:?}, {} due, stood still for {:?}",
            round.due, round.stall
        );
        self.taken.resize((first + last.ended + 10_000) as usize, false);
        self.take(&round.requests, about);

        // The spool has taken the first ones, however young they were.
        let promised = round.due.max(last.written.min(last.ended));
        let is_there = |number: &u64| round.on_disk.contains(number) || self.taken[*number as usize];
        let promises = self.owed.iter().copied().chain(first..first + promised);
        let lost: Vec<_> = promises.filter(|number| !is_there(number)).collect();
        assert!(lost.is_empty(), "{} lost, {:?}: {said}", lost.len(), shown(&lost));

        // And what it had settled by then is not there any more.
        let known = round.on_disk.range(..first + last.written).count() as u64;
        assert!(
            known <= last.pending,
            "{known} spans are on disk, more than were in flight or waited: {said}"
        );

        let ended = first..first + last.ended;
        self.young += ended.clone().filter(|number| !is_there(number)).count() as u64;
        self.ended += last.ended;
        let (repeatable, owed) = round.on_disk.iter().partition(|number| self.taken[**number as usize]);
        self.check_repeats(&repeatable, round, &said);
        (self.owed, self.repeatable) = (owed, repeatable);
    }

    /// Nothing is left to be delivered.
    pub(crate) fn finish(&mut self, requests: &[ReceivedRequest], about: &str) {
        self.take(requests, about);
        let lost: Vec<_> = self
            .owed
            .iter()
            .copied()
            .filter(|number| !self.taken[*number as usize])
            .collect();
        assert!(lost.is_empty(), "{} lost, {:?}: {about}", lost.len(), shown(&lost));
    }

    /// What the receiver took. Twice it may only take what was in flight when a process was killed.
    fn take(&mut self, requests: &[ReceivedRequest], about: &str) {
        for number in requests
            .iter()
            .filter(|request| is_taken(request))
            .flat_map(|request| request.spans().map(number))
        {
            if std::mem::replace(&mut self.taken[number as usize], true) {
                assert!(self.repeatable.remove(&number), "{number} was repeated: {about}");
                self.repeated += 1;
            }
        }
    }

    /// What was answered, and is on disk all the same, was in flight at the kill: its answer was under way.
    fn check_repeats(&self, repeatable: &BTreeSet<u64>, round: &Round, about: &str) {
        let before = round.killed_at - SETTLING - round.stall;
        for request in round.requests.iter().filter(|request| is_taken(request)) {
            let answered = request.arrived + round.latency;
            let repeated = request.spans().map(number).find(|number| repeatable.contains(number));
            if let Some(number) = repeated.filter(|_| answered < before) {
                let age = round.killed_at - answered;
                panic!("{number} will be repeated, though its request was answered {age:?} before the kill: {about}");
            }
        }
    }
}

fn is_taken(request: &ReceivedRequest) -> bool {
    matches!(request.answer, Answer::Accepted { .. })
}

fn shown(numbers: &[u64]) -> &[u64] {
    &numbers[..numbers.len().min(5)]
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ended, young, repeated, ..
        } = self;
        write!(
            f,
            "{ended} spans ended, {young} were too young to be kept, {repeated} were repeated"
        )
    }
}
