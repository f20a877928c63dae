use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use spanwright_core::{BoxExporter, EncodedBatch, ErrorKind, ExportError, Priority, Receipt};
use tower_service::Service;

use super::{Balance, Failover, TraceHash};
use spanwright_core::SeededRandom;

/// What a receiver is just now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Is {
    Away(u64),
    Busy,
    There,
}

/// An exporter whose state a test sets, and that writes down where requests went.
#[derive(Clone)]
struct Stage {
    name: &'static str,
    states: Arc<Mutex<BTreeMap<&'static str, Is>>>,
    calls: Arc<Mutex<Vec<&'static str>>>,
    asked: bool,
}

#[derive(Clone, Default)]
pub(super) struct Scene {
    states: Arc<Mutex<BTreeMap<&'static str, Is>>>,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl Scene {
    pub(super) fn exporter(&self, name: &'static str) -> (Arc<str>, BoxExporter) {
        self.set(name, Is::There);
        let stage = Stage {
            name,
            states: Arc::clone(&self.states),
            calls: Arc::clone(&self.calls),
            asked: false,
        };
        (name.into(), BoxExporter::new(stage))
    }

    pub(super) fn set(&self, name: &'static str, is: Is) {
        self.states.lock().expect("no panic").insert(name, is);
    }

    pub(super) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls.lock().expect("no panic"))
    }
}

impl Service<EncodedBatch> for Stage {
    type Response = Receipt;
    type Error = ExportError;
    /// Never ends: what was sent stays under way until it is dropped.
    type Future = std::future::Pending<Result<Receipt, ExportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        assert!(!self.asked, "{} was ready and is asked again", self.name);
        match self.states.lock().expect("no panic")[self.name] {
            Is::Away(seconds) => {
                let error = ExportError::new(ErrorKind::Retryable, "away", self.name);
                Poll::Ready(Err(error.with_retry_after(Some(Duration::from_secs(seconds)))))
            }
            Is::Busy => Poll::Pending,
            Is::There => {
                self.asked = true;
                Poll::Ready(Ok(()))
            }
        }
    }

    fn call(&mut self, _: EncodedBatch) -> Self::Future {
        assert!(std::mem::take(&mut self.asked), "{} was not asked", self.name);
        self.calls.lock().expect("no panic").push(self.name);
        std::future::pending()
    }
}

fn batch() -> EncodedBatch {
    EncodedBatch::new([Bytes::from_static(b"x")], 1, Priority::Normal)
}

pub(super) fn poll<S: Service<EncodedBatch>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    service.poll_ready(&mut Context::from_waker(Waker::noop()))
}

pub(super) fn send<S: Service<EncodedBatch, Error = ExportError>>(service: &mut S) -> S::Future {
    assert!(matches!(poll(service), Poll::Ready(Ok(()))));
    service.call(batch())
}

#[test]
fn the_first_that_is_there_gets_it_and_gets_it_again_when_it_is_back() {
    let scene = Scene::default();
    let mut failover = Failover::new([scene.exporter("a"), scene.exporter("b")]).expect("two");
    drop(send(&mut failover));
    scene.set("a", Is::Away(5));
    drop(send(&mut failover));
    assert_eq!(failover.current(), "b");
    scene.set("a", Is::There);
    drop(send(&mut failover));
    assert_eq!((scene.calls(), failover.current()), (vec!["a", "b", "a"], "a"));
}

#[test]
fn a_busy_first_is_waited_for() {
    let scene = Scene::default();
    let mut failover = Failover::new([scene.exporter("a"), scene.exporter("b")]).expect("two");
    scene.set("a", Is::Busy);
    assert!(poll(&mut failover).is_pending());
    assert!(scene.calls().is_empty());
}

#[test]
fn when_all_are_away_it_says_how_long_the_soonest_will_be() {
    let scene = Scene::default();
    let exporters = || [scene.exporter("a"), scene.exporter("b"), scene.exporter("c")];
    let mut failover = Failover::new(exporters()).expect("three");
    let mut balance = Balance::new(exporters()).expect("three");
    for (name, seconds) in [("a", 9), ("b", 4), ("c", 7)] {
        scene.set(name, Is::Away(seconds));
    }
    for answer in [poll(&mut failover), poll(&mut balance)] {
        let Poll::Ready(Err(error)) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(error.retry_after(), Some(Duration::from_secs(4)));
    }
    scene.set("c", Is::Busy);
    assert!(poll(&mut balance).is_pending(), "one is only busy");
}

#[test]
fn two_choices_keep_the_load_even_and_pass_over_who_is_away() {
    let scene = Scene::default();
    let exporters = ["a", "b", "c", "d"].map(|name| scene.exporter(name));
    let mut balance = Balance::with_random(exporters, SeededRandom::new(1)).expect("four");
    let mut under_way: Vec<_> = (0..400).map(|_| send(&mut balance)).collect();
    assert!(
        balance.in_flight().all(|(_, load)| (95..=105).contains(&load)),
        "{balance:?}"
    );
    under_way.clear();
    assert!(balance.in_flight().all(|(_, load)| load == 0));
    scene.calls();

    // It was asked before it went away, and may be used once more.
    drop(send(&mut balance));
    scene.set("b", Is::Away(1));
    let _under_way: Vec<_> = (0..300).map(|_| send(&mut balance)).collect();
    let calls = scene.calls();
    assert!(calls.iter().filter(|name| **name == "b").count() <= 1);
    assert!(
        balance
            .in_flight()
            .filter(|(name, _)| *name != "b")
            .all(|(_, load)| (90..=110).contains(&load))
    );
}

/// One part for each byte: the byte is the first of its trace id.
pub(super) fn split(
    batch: &EncodedBatch,
    parts: usize,
    part_of: &mut dyn FnMut([u8; 16]) -> usize,
) -> Option<Vec<EncodedBatch>> {
    let mut bytes = vec![Vec::new(); parts];
    for byte in batch.to_bytes() {
        let mut trace_id = [0; 16];
        trace_id[0] = byte;
        bytes[part_of(trace_id)].push(byte);
    }
    let part = |bytes: Vec<u8>| {
        let items = bytes.len();
        EncodedBatch::new([Bytes::from(bytes)], items, batch.priority())
    };
    Some(bytes.into_iter().map(part).collect())
}

pub(super) fn traces() -> EncodedBatch {
    let traces: Vec<_> = (0..=255).collect();
    EncodedBatch::new([Bytes::from(traces)], 256, Priority::Normal)
}

#[test]
fn parts_of_a_request_go_to_all_that_can_be_used_and_none_is_asked_twice() {
    let scene = Scene::default();
    let exporters = ["a", "b", "c"].map(|name| scene.exporter(name));
    let mut hash = TraceHash::new(exporters, split).expect("three");
    scene.set("b", Is::Away(5));
    assert!(matches!(poll(&mut hash), Poll::Ready(Ok(()))));
    let under_way = hash.call(traces());
    assert_eq!(scene.calls(), ["a", "c"]);
    assert_eq!(hash.in_flight().collect::<Vec<_>>(), [("a", 1), ("b", 0), ("c", 1)]);
    drop(under_way);
    assert!(hash.in_flight().all(|(_, load)| load == 0));

    scene.set("b", Is::There);
    drop(send(&mut hash)); // of one trace: two stay ready, and are not asked again
    assert_eq!(scene.calls().len(), 1);
    assert!(matches!(poll(&mut hash), Poll::Ready(Ok(()))));
    drop(hash.call(traces()));
    assert_eq!(scene.calls(), ["a", "b", "c"]);
}

#[test]
fn a_busy_one_is_waited_for_because_its_traces_must_not_move() {
    let scene = Scene::default();
    let mut hash = TraceHash::new(["a", "b"].map(|name| scene.exporter(name)), split).expect("two");
    scene.set("b", Is::Busy);
    assert!(poll(&mut hash).is_pending());
    scene.set("b", Is::Away(3));
    assert!(matches!(poll(&mut hash), Poll::Ready(Ok(()))));
    drop(hash.call(traces()));
    scene.set("a", Is::Away(7));
    let Poll::Ready(Err(error)) = poll(&mut hash) else {
        panic!("nobody is there")
    };
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
}

#[test]
fn what_is_not_cut_goes_to_one_as_it_is() {
    type Split = fn(&EncodedBatch, usize, &mut dyn FnMut([u8; 16]) -> usize) -> Option<Vec<EncodedBatch>>;
    let odd: [Split; 4] = [
        |_, _, _| None,
        |_, _, _| Some(vec![]),
        |batch, parts, _| Some(vec![batch.clone(); parts]),
        |batch, parts, _| Some(vec![EncodedBatch::new([], 0, batch.priority()); parts]),
    ];
    for split in odd {
        let scene = Scene::default();
        let mut hash = TraceHash::new(["a", "b"].map(|name| scene.exporter(name)), split).expect("two");
        drop(send(&mut hash));
        assert_eq!(scene.calls().len(), 1);
    }
}

#[test]
fn a_call_before_it_is_ready_is_an_error_and_no_panic() {
    let scene = Scene::default();
    let mut hash = TraceHash::new([scene.exporter("a")], split).expect("one");
    let mut call = hash.call(batch());
    let answer = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(answer, Poll::Ready(Err(error)) if error.is_retryable()));
}

#[test]
fn of_none_there_is_no_exporter() {
    let twice = TraceHash::new(["a", "b", "a"].map(|name| Scene::default().exporter(name)), split);
    let error = twice.unwrap_err().to_string();
    assert!(error.starts_with("`endpoints` cannot be `a`"), "{error}");
    assert!(
        TraceHash::new([], split)
            .unwrap_err()
            .to_string()
            .starts_with("`endpoints`")
    );
    assert!(Failover::new([]).unwrap_err().to_string().starts_with("`endpoints`"));
    assert!(Balance::new([]).unwrap_err().to_string().starts_with("`endpoints`"));
}
