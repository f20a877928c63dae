use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use spanwright_core::{BoxExporter, EncodedBatch, ErrorKind, ExportError, Priority, Receipt};
use tower_service::Service;

use super::{Balance, Failover};
use crate::random::SeededRandom;

/// What a receiver is just now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Is {
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
struct Scene {
    states: Arc<Mutex<BTreeMap<&'static str, Is>>>,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl Scene {
    fn exporter(&self, name: &'static str) -> (Arc<str>, BoxExporter) {
        self.set(name, Is::There);
        let stage = Stage {
            name,
            states: Arc::clone(&self.states),
            calls: Arc::clone(&self.calls),
            asked: false,
        };
        (name.into(), BoxExporter::new(stage))
    }

    fn set(&self, name: &'static str, is: Is) {
        self.states.lock().expect("no panic").insert(name, is);
    }

    fn calls(&self) -> Vec<&'static str> {
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

fn poll<S: Service<EncodedBatch>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    service.poll_ready(&mut Context::from_waker(Waker::noop()))
}

fn send<S: Service<EncodedBatch, Error = ExportError>>(service: &mut S) -> S::Future {
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

#[test]
fn of_none_there_is_no_exporter() {
    assert!(Failover::new([]).unwrap_err().to_string().starts_with("`endpoints`"));
    assert!(Balance::new([]).unwrap_err().to_string().starts_with("`endpoints`"));
}
