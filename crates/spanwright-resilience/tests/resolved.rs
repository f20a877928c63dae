//! Receivers behind a name, which come and go.

mod support;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use spanwright_core::{BoxExporter, ManualClock};
use spanwright_otlp::{GrpcExporter, split_by_trace};
use spanwright_resilience::{
    Balance, BreakerConfig, CircuitBreaker, CircuitBreakerLayer, Resolve, ResolveConfig, ResolveFuture, Resolved,
    TraceHash,
};
use spanwright_testing::{Gate, Receiver, Reply};
use support::{Traces, batch, export, receivers};
use tokio::task::JoinSet;
use tower_layer::Layer;
use tower_service::Service;

/// A name server with the one name that there is.
#[derive(Clone, Default)]
struct NameServer(Arc<Mutex<Vec<SocketAddr>>>);

impl NameServer {
    fn list<'a>(&self, receivers: impl IntoIterator<Item = &'a Receiver>) {
        *self.0.lock().expect("no panic") = receivers.into_iter().map(Receiver::grpc_address).collect();
    }
}

impl Resolve for NameServer {
    fn resolve(&mut self, endpoint: &str) -> ResolveFuture {
        assert_eq!(endpoint, "collector:4317");
        let addresses = self.0.lock().expect("no panic").clone();
        Box::pin(async move { io::Result::Ok(addresses) })
    }
}

/// The exporters to who is listed, each behind a breaker that one failure opens. A question is never too early.
fn collectors(names: &NameServer) -> Resolved {
    let mut config = ResolveConfig::default();
    config.least_interval = Duration::from_millis(100);
    let collectors = Resolved::new("collector:4317", |address| {
        let exporter = GrpcExporter::builder()
            .with_endpoint("http://collector:4317")
            .with_address(address)
            .build()?;
        let mut config = BreakerConfig::default();
        config.min_calls = 1;
        let breaker = CircuitBreaker::with_clock(config, ManualClock::new())?;
        Ok(BoxExporter::new(CircuitBreakerLayer::new(breaker).layer(exporter)))
    });
    let collectors = collectors.and_then(|collectors| collectors.with_config(config));
    collectors.expect("all in range").with_resolver(names.clone())
}

#[tokio::test]
async fn requests_go_to_all_who_are_listed_and_an_empty_list_changes_nothing() {
    let (receivers, names) = (receivers::<3>(), NameServer::default());
    names.list(&receivers);
    let collectors = collectors(&names);
    let watch = collectors.watch();
    let mut balance = Balance::over(collectors);
    for _ in 0..60 {
        export(&mut balance, batch(Traces(0..1), 1)).await.unwrap();
    }
    assert!(receivers.iter().all(|receiver| receiver.accepted_spans() > 5));
    assert_eq!((watch.addresses().len(), watch.counts().answered), (3, 1));
}

#[tokio::test]
async fn a_failed_connection_asks_again_and_who_went_is_left_and_who_came_is_used() {
    let (receivers, names) = (receivers::<3>(), NameServer::default());
    let [old, stays, new] = &receivers;
    names.list([old, stays]);
    let collectors = collectors(&names);
    let watch = collectors.watch();
    let mut hash = TraceHash::over(collectors, split_by_trace);
    export(&mut hash, batch(Traces(0..300), 1)).await.unwrap();
    let traces =
        |receiver: &Receiver| -> BTreeSet<_> { receiver.spans().into_iter().map(|span| span.trace_id).collect() };
    let kept = traces(stays);

    old.stop_listening().unwrap();
    old.abort_connections().unwrap();
    names.list([stays, new]);
    let mut left = batch(Traces(0..300), 1);
    let all = async {
        while let Err(mut error) = export(&mut hash, left.clone()).await {
            assert!(error.is_retryable(), "{error}");
            left = error.take_rest().map_or(left, |(_, rest)| rest);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
    let accepted: u64 = receivers.iter().map(Receiver::accepted_spans).sum();
    assert_eq!(accepted, 600, "each span once");

    // By now, or with the next question, the list is known.
    let known = async {
        loop {
            export(&mut hash, batch(Traces(0..300), 1)).await.unwrap();
            if watch.addresses().contains(&new.grpc_address()) && new.accepted_spans() > 0 {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), known).await.unwrap();
    let seen = (stays.requests().len(), new.requests().len());
    export(&mut hash, batch(Traces(0..300), 1)).await.unwrap();
    let last = |receiver: &Receiver, seen: usize| -> BTreeSet<_> {
        let requests = receiver.requests();
        requests[seen..]
            .iter()
            .flat_map(|it| it.spans().map(|span| span.trace_id.clone()).collect::<Vec<_>>())
            .collect()
    };
    let (at_stays, at_new) = (last(stays, seen.0), last(new, seen.1));
    assert_eq!(at_stays.len() + at_new.len(), 300);
    assert!(at_new.len() > 90, "who is new has its share");
    assert!(
        at_stays.iter().filter(|trace| !kept.contains(*trace)).count() < 120,
        "and the other only some of who went"
    );
    assert_eq!((watch.counts().added, watch.counts().removed), (3, 1));
}

#[tokio::test]
async fn who_is_no_more_listed_finishes_what_is_under_way() {
    let (receivers, names) = (receivers::<3>(), NameServer::default());
    let [old, dead, new] = &receivers;
    dead.stop_listening().unwrap();
    names.list([old, dead]);
    let gate = Gate::new();
    old.set_default(Reply::ok().gated(&gate));
    let collectors = collectors(&names);
    let watch = collectors.watch();
    let mut balance = Balance::over(collectors);
    let mut under_way = JoinSet::new();
    let mut is_at_dead = false;
    while !is_at_dead || old.counts().in_flight == 0 {
        poll_fn(|cx| balance.poll_ready(cx)).await.unwrap();
        under_way.spawn(balance.call(batch(Traces(0..1), 1)));
        // The one that fails is what makes the name be asked for again.
        let is_dead = |name: &str| name == dead.grpc_address().to_string();
        is_at_dead |= balance.in_flight().any(|(name, load)| is_dead(name) && load > 0);
        tokio::task::yield_now().await;
    }
    names.list([new]);
    let gone = async {
        while watch.addresses() != [new.grpc_address()] {
            let _ = poll_fn(|cx| Poll::Ready(balance.poll_ready(cx))).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
    export(&mut balance, batch(Traces(0..1), 1)).await.unwrap();
    assert_eq!(new.accepted_spans(), 1);
    assert!(old.counts().in_flight > 0);
    gate.open();
    let mut taken = 0;
    while let Some(result) = under_way.join_next().await {
        taken += u64::from(result.unwrap().is_ok());
    }
    assert!(taken > 0);
    assert_eq!(old.accepted_spans(), taken, "to its end, though it is gone");
}

#[tokio::test]
async fn the_system_is_asked_where_nobody_else_is_given() {
    let receiver = Receiver::spawn().unwrap();
    let port = receiver.grpc_address().port();
    let collectors = Resolved::new(format!("localhost:{port}"), |address| {
        let exporter = GrpcExporter::builder()
            .with_endpoint("http://localhost")
            .with_address(address)
            .build()?;
        Ok(BoxExporter::new(exporter))
    });
    let collectors = collectors.unwrap();
    let watch = collectors.watch();
    let mut balance = Balance::over(collectors);
    // The name may be of an address of version 6 as well, at which nobody listens.
    let arrives = async { while export(&mut balance, batch(Traces(0..1), 1)).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(20), arrives).await.unwrap();
    assert!(watch.addresses().contains(&receiver.grpc_address()));
}
