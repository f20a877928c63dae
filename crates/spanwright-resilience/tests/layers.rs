//! The layers around an exporter whose answers are scripted, in a runtime whose time stands still until everybody waits.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use spanwright_core::{EncodedBatch, ErrorKind, ExportError, Priority, Receipt};
use spanwright_resilience::{
    AdaptiveRetryStrategy, BreakerConfig, BreakerState, CircuitBreaker, CircuitBreakerLayer, Concurrency,
    ConcurrencyLimitLayer, FixedLimit, GiveUp, RetryBudget, RetryLayer,
};
use tower_layer::Layer;
use tower_service::Service;

/// Answers each call after a while; at the end of the script it is all well.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Result<Receipt, ExportError>>>>,
    calls: Arc<Mutex<Vec<usize>>>,
    sent: Arc<Mutex<Vec<Bytes>>>,
}

const ROUND_TRIP: Duration = Duration::from_millis(100);

impl Script {
    fn of(answers: impl IntoIterator<Item = Result<Receipt, ExportError>>) -> Self {
        let script = Self::default();
        script.answers.lock().expect("no panic").extend(answers);
        script
    }

    fn calls(&self) -> usize {
        self.calls.lock().expect("no panic").len()
    }
}

impl Service<EncodedBatch> for Script {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: EncodedBatch) -> Self::Future {
        let first_segment = batch.segments()[0].as_ptr() as usize;
        self.calls.lock().expect("no panic").push(first_segment);
        self.sent.lock().expect("no panic").push(batch.to_bytes());
        let answer = self.answers.lock().expect("no panic").pop_front();
        Box::pin(async move {
            passes(ROUND_TRIP).await;
            answer.unwrap_or_else(|| Ok(Receipt::accepted()))
        })
    }
}

fn batch() -> EncodedBatch {
    EncodedBatch::new([Bytes::from(vec![1, 2, 3])], 3, Priority::Normal)
}

fn error(kind: ErrorKind, error_type: &'static str) -> Result<Receipt, ExportError> {
    Err(ExportError::new(kind, error_type, ""))
}

fn unavailable() -> Result<Receipt, ExportError> {
    error(ErrorKind::Retryable, "UNAVAILABLE")
}

async fn send<S>(service: &mut S) -> Result<Receipt, ExportError>
where
    S: Service<EncodedBatch, Response = Receipt, Error = ExportError>,
{
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(batch()).await
}

/// The runtime moves its clock by itself when everybody waits.
async fn passes(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

fn with_paused_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(work)
}

fn strategy() -> AdaptiveRetryStrategy {
    let budget = RetryBudget::new(10.0, 10.0).expect("in range");
    AdaptiveRetryStrategy::builder()
        .with_budget(budget)
        .build()
        .expect("in range")
}

#[test]
fn a_request_that_may_arrive_later_is_sent_again_with_the_same_bytes() {
    let script = Script::of([unavailable(), error(ErrorKind::Connect, "connect"), unavailable()]);
    let strategy = strategy();
    let mut service = RetryLayer::new(strategy.clone()).layer(script.clone());
    let receipt = with_paused_time(send(&mut service)).expect("at last");
    assert_eq!(receipt, Receipt::accepted());
    let calls = script.calls.lock().expect("no panic").clone();
    assert_eq!(calls.len(), 4);
    assert!(
        calls.iter().all(|segment| *segment == calls[0]),
        "nothing is copied for a retry"
    );
    let stats = strategy.stats();
    assert_eq!(
        (stats.operations, stats.attempts, stats.retries, stats.succeeded),
        (1, 4, 3, 1)
    );
    assert!(stats.total_delay > Duration::ZERO && stats.success_rate == 1.0);
}

/// Taken in part: `left` is what is left, and one more item was rejected.
fn in_part(kind: ErrorKind, left: &'static [u8]) -> Result<Receipt, ExportError> {
    let rest = EncodedBatch::new([Bytes::from_static(left)], left.len(), Priority::Normal);
    Err(ExportError::new(kind, "UNAVAILABLE", "").with_rest(Receipt::partial(1, "old"), rest))
}

#[test]
fn of_a_request_that_was_taken_in_part_only_the_rest_is_sent_again() {
    let answers = [
        in_part(ErrorKind::Retryable, b"ab"),
        unavailable(),
        in_part(ErrorKind::Retryable, b"c"),
        Ok(Receipt::partial(1, "older")),
    ];
    let script = Script::of(answers);
    let mut service = RetryLayer::new(strategy()).layer(script.clone());
    let receipt = with_paused_time(send(&mut service)).expect("at last");
    assert_eq!(receipt, Receipt::partial(3, "old; older"), "all that was said");
    let sent = script.sent.lock().expect("no panic").clone();
    assert_eq!(sent, [&[1, 2, 3][..], b"ab", b"ab", b"c"]);
}

#[test]
fn a_retry_that_is_given_up_says_what_is_left() {
    let answers = [
        in_part(ErrorKind::Retryable, b"ab"),
        error(ErrorKind::Permanent, "INVALID_ARGUMENT"),
    ];
    let mut service = RetryLayer::new(strategy()).layer(Script::of(answers));
    let mut error = with_paused_time(send(&mut service)).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Permanent);
    let (receipt, rest) = error.take_rest().expect("the first answer settled one item");
    assert_eq!(
        (receipt, rest.to_bytes()),
        (Receipt::partial(1, "old"), Bytes::from_static(b"ab"))
    );
}

#[test]
fn what_is_refused_for_good_is_never_sent_twice_and_neither_is_a_partial_success() {
    for answer in [
        error(ErrorKind::Permanent, "INVALID_ARGUMENT"),
        error(ErrorKind::TooLarge, "413"),
        error(ErrorKind::Unauthenticated, "UNAUTHENTICATED"),
        error(ErrorKind::Cancelled, "shutdown"),
        Ok(Receipt::partial(2, "too old")),
    ] {
        let is_partial = answer.is_ok();
        let script = Script::of([answer]);
        let mut service = RetryLayer::new(strategy()).layer(script.clone());
        let result = with_paused_time(send(&mut service));
        assert_eq!(result.is_ok(), is_partial);
        assert_eq!(script.calls(), 1, "{result:?}");
    }
}

#[test]
fn a_used_up_budget_gives_the_error_back_at_once() {
    let script = Script::of((0..1000).map(|_| unavailable()));
    let budget = RetryBudget::new(0.2, 0.0).expect("in range");
    let strategy = AdaptiveRetryStrategy::builder()
        .with_budget(budget)
        .build()
        .expect("in range");
    let mut service = RetryLayer::new(strategy.clone()).layer(script.clone());
    with_paused_time(async {
        for _ in 0..100 {
            send(&mut service).await.expect_err("it is down");
        }
    });
    assert!((100..=121).contains(&script.calls()), "{} calls", script.calls());
    let given_up = strategy.stats().given_up;
    assert_eq!(given_up, [(GiveUp::Budget, 100)]);
}

#[test]
fn a_shutdown_wakes_whoever_waits_for_a_retry() {
    let asked =
        ExportError::new(ErrorKind::Retryable, "UNAVAILABLE", "").with_retry_after(Some(Duration::from_secs(3600)));
    let script = Script::of([Err(asked)]);
    let strategy = strategy();
    let mut service = RetryLayer::new(strategy.clone()).layer(script.clone());
    let error = with_paused_time(async {
        let (result, ()) = tokio::join!(send(&mut service), async {
            passes(Duration::from_secs(60)).await;
            strategy.shutdown();
        });
        result.expect_err("it did not wait for an hour")
    });
    assert_eq!(error.error_type(), "UNAVAILABLE");
    assert_eq!(strategy.stats().given_up, [(GiveUp::Shutdown, 1)]);
}

#[test]
fn an_open_breaker_says_how_long_and_sends_nothing() {
    let script = Script::of((0..5).map(|_| unavailable()));
    let breaker = CircuitBreaker::new(BreakerConfig::default()).expect("the defaults");
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(script.clone());
    with_paused_time(async {
        for _ in 0..5 {
            send(&mut service).await.expect_err("it is down");
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        for _ in 0..100 {
            let error = send(&mut service).await.expect_err("it is left alone");
            assert!(
                error.retry_after().is_some_and(|wait| wait <= Duration::from_secs(1)),
                "{error}"
            );
            assert_eq!(
                (error.kind(), error.error_type()),
                (ErrorKind::Retryable, "circuit_breaker_open")
            );
        }
    });
    assert_eq!(script.calls(), 5);
}

#[test]
fn refusals_and_throttling_do_not_open_a_breaker() {
    for answer in [
        || error(ErrorKind::Permanent, "INVALID_ARGUMENT"),
        || error(ErrorKind::Retryable, "RESOURCE_EXHAUSTED"),
        || error(ErrorKind::Retryable, "429"),
        || error(ErrorKind::Unauthenticated, "UNAUTHENTICATED"),
        || error(ErrorKind::TooLarge, "413"),
    ] {
        let script = Script::of((0..50).map(|_| answer()));
        let breaker = CircuitBreaker::new(BreakerConfig::default()).expect("the defaults");
        let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(script.clone());
        with_paused_time(async {
            for _ in 0..50 {
                send(&mut service).await.expect_err("as scripted");
            }
        });
        assert_eq!((breaker.state(), script.calls()), (BreakerState::Closed, 50));
    }
}

#[test]
fn as_many_are_under_way_as_the_limit_says_and_a_dropped_one_gives_its_place_back() {
    let script = Script::default();
    let concurrency = Concurrency::new(FixedLimit::new(3).expect("in range"));
    let service = ConcurrencyLimitLayer::new(concurrency.clone()).layer(script.clone());
    with_paused_time(async {
        let requests: Vec<_> = (0..10)
            .map(|_| {
                let mut service = service.clone();
                tokio::spawn(async move { send(&mut service).await })
            })
            .collect();
        passes(ROUND_TRIP / 2).await;
        assert_eq!((concurrency.in_flight(), script.calls()), (3, 3));
        requests[0].abort();
        requests[1].abort();
        passes(ROUND_TRIP * 4).await;
        assert_eq!((concurrency.in_flight(), script.calls()), (0, 10));
    });
}

#[test]
fn sixty_four_callers_at_a_breaker_that_is_half_open_send_one_probe() {
    for _ in 0..50 {
        let clock = spanwright_core::ManualClock::new();
        let breaker = CircuitBreaker::with_clock(BreakerConfig::default(), clock.clone()).expect("the defaults");
        for _ in 0..5 {
            let _ = breaker.call(|| Err::<(), _>("down"));
        }
        clock.advance(Duration::from_secs(1));
        let start = std::sync::Barrier::new(64);
        let probes: usize = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..64)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        breaker.try_acquire().ok()
                    })
                })
                .collect();
            // Kept until all have asked.
            let permits: Vec<_> = callers
                .into_iter()
                .map(|caller| caller.join().expect("no panic"))
                .collect();
            permits.iter().flatten().count()
        });
        assert_eq!(probes, 1);
    }
}
