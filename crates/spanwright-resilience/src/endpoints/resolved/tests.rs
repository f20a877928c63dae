use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use spanwright_core::{BuildError, ExportError};
use tokio::time::advance;
use tower_service::Service;

use super::super::tests::{Is, Scene, poll, send, split, traces};
use super::super::{Balance, Resolve, ResolveConfig, ResolveFuture, Resolved, TraceHash};

const SECOND: Duration = Duration::from_secs(1);

/// The answers of a name server, the last one again and again; and when it was asked.
#[derive(Clone)]
struct Answers {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Duration>>>,
    begin: tokio::time::Instant,
}

#[derive(Clone, Copy)]
enum Answer {
    Addresses(&'static [u8]),
    Error,
    /// None, ever.
    Silence,
}

impl Answers {
    fn of<const N: usize>(answers: [Answer; N]) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.into())),
            asked: Arc::default(),
            begin: tokio::time::Instant::now(),
        }
    }

    /// The seconds at which it was asked.
    fn asked(&self) -> Vec<u64> {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().map(Duration::as_secs).collect()
    }
}

impl Resolve for Answers {
    fn resolve(&mut self, _: &str) -> ResolveFuture {
        self.asked.lock().expect("no panic").push(self.begin.elapsed());
        let mut answers = self.answers.lock().expect("no panic");
        let answer = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().copied()
        };
        Box::pin(async move {
            match answer {
                Some(Answer::Addresses(last)) => Ok(last.iter().map(|last| address(*last)).collect()),
                Some(Answer::Error) => Err(io::Error::other("no such host")),
                Some(Answer::Silence) | None => pending().await,
            }
        })
    }
}

const NAMES: [&str; 4] = ["10.0.0.0:4317", "10.0.0.1:4317", "10.0.0.2:4317", "10.0.0.3:4317"];

fn address(last: u8) -> SocketAddr {
    ([10, 0, 0, last], 4317).into()
}

/// The exporters of a scene, by the addresses; none for those that end in 3.
fn resolved(scene: &Scene, answers: &Answers) -> Resolved {
    let scene = scene.clone();
    let resolved = Resolved::new("collector:4317", move |address| {
        let name = NAMES
            .into_iter()
            .find(|name| *name == address.to_string())
            .expect("one of ours");
        if name == NAMES[3] {
            return Err(BuildError::new("address", address, "another"));
        }
        Ok(scene.exporter(name).1)
    });
    resolved.expect("host and port").with_resolver(answers.clone())
}

fn balance(scene: &Scene, answers: &Answers) -> Balance {
    Balance::over(resolved(scene, answers))
}

/// Asks once, as whoever has a request to send does.
fn is_ready(balance: &mut Balance) -> bool {
    matches!(poll(balance), Poll::Ready(Ok(())))
}

fn names(balance: &Balance) -> Vec<&str> {
    balance.in_flight().map(|(name, _)| name).collect()
}

#[tokio::test(start_paused = true)]
async fn the_name_is_asked_for_again_after_the_interval_and_only_where_there_is_something_to_send() {
    use Answer::Addresses;
    let (scene, answers) = (Scene::default(), Answers::of([Addresses(&[0, 1]), Addresses(&[2, 1])]));
    let mut balance = balance(&scene, &answers);
    assert_eq!(answers.asked(), [0; 0], "not before the first request");
    assert!(is_ready(&mut balance));
    assert_eq!((answers.asked(), names(&balance)), (vec![0], NAMES[..2].to_vec()));
    advance(29 * SECOND).await;
    assert!(is_ready(&mut balance));
    assert_eq!(answers.asked(), [0]);
    advance(100 * SECOND).await;
    assert_eq!(answers.asked(), [0], "nobody has asked for an exporter");
    assert!(is_ready(&mut balance));
    assert_eq!(
        (answers.asked(), names(&balance)),
        (vec![0, 129], vec![NAMES[1], NAMES[2]])
    );
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_exporter_is_woken_by_an_answer() {
    use Answer::{Addresses, Error};
    let (scene, answers) = (Scene::default(), Answers::of([Addresses(&[0]), Error, Addresses(&[1])]));
    let mut balance = balance(&scene, &answers);
    drop(send(&mut balance));
    scene.set(NAMES[0], Is::Busy);
    poll_fn(|cx| balance.poll_ready(cx)).await.expect("another one");
    assert_eq!((answers.asked(), names(&balance)), (vec![0, 30, 35], vec![NAMES[1]]));
}

#[tokio::test(start_paused = true)]
async fn no_answer_and_an_empty_one_keep_who_was_there() {
    use Answer::{Addresses, Error, Silence};
    let answers = Answers::of([Addresses(&[0, 1]), Addresses(&[]), Error, Silence, Addresses(&[2])]);
    let scene = Scene::default();
    let resolved = resolved(&scene, &answers);
    let watch = resolved.watch();
    let mut balance = Balance::over(resolved);
    for wait in [0, 30, 5, 5, 9] {
        advance(wait * SECOND).await;
        assert!(is_ready(&mut balance), "also while a question is under way");
        assert_eq!(names(&balance), NAMES[..2]);
    }
    advance(SECOND).await;
    assert!(is_ready(&mut balance));
    let counts = watch.counts();
    assert_eq!((counts.answered, counts.empty, counts.failed), (2, 1, 2));
    assert_eq!((names(&balance), watch.addresses()), (vec![NAMES[2]], vec![address(2)]));
    assert_eq!(answers.asked(), [0, 30, 35, 40, 50]);
}

#[tokio::test(start_paused = true)]
async fn until_the_first_answer_it_waits_and_without_one_it_says_why_and_how_long() {
    use Answer::{Addresses, Error, Silence};
    let answers = Answers::of([Silence, Error, Addresses(&[3]), Addresses(&[0])]);
    let mut balance = balance(&Scene::default(), &answers);
    assert!(poll(&mut balance).is_pending());
    advance(10 * SECOND).await;
    // Five seconds after that question it might have been asked again, and so it is at once: an error.
    let reason = |answer: Poll<Result<(), ExportError>>| match answer {
        Poll::Ready(Err(error)) => (error.retry_after(), error.to_string()),
        answer => panic!("{answer:?}"),
    };
    let (wait, message) = reason(poll(&mut balance));
    assert!(
        message.contains("collector:4317") && message.contains("no such host"),
        "{message}"
    );
    assert_eq!(wait, Some(5 * SECOND));
    advance(5 * SECOND).await;
    let (wait, message) = reason(poll(&mut balance));
    assert!(message.contains("`address` cannot be `10.0.0.3:4317`"), "{message}");
    assert_eq!(wait, Some(30 * SECOND));
    advance(30 * SECOND).await;
    assert!(is_ready(&mut balance));
}

#[tokio::test(start_paused = true)]
async fn traces_go_to_who_is_there_now() {
    use Answer::Addresses;
    let (scene, answers) = (
        Scene::default(),
        Answers::of([Addresses(&[0, 1, 2]), Addresses(&[0, 2])]),
    );
    let mut hash = TraceHash::over(resolved(&scene, &answers), split);
    for taken_by in [&[NAMES[0], NAMES[1], NAMES[2]][..], &[NAMES[0], NAMES[2]]] {
        assert!(matches!(poll(&mut hash), Poll::Ready(Ok(()))));
        drop(hash.call(traces()));
        assert_eq!(scene.calls(), taken_by);
        advance(30 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_cannot_be_is_refused_by_name() {
    for endpoint in [
        "",
        "collector",
        "http://collector:4317",
        "collector:",
        "collector:0",
        "collector:99999",
        "a b:1",
        "::1:4317",
        "[::1:4317",
        "me@host:1",
        "host:+1",
    ] {
        let error = Resolved::new(endpoint, |_| unreachable!("nothing is resolved"))
            .expect_err(endpoint)
            .to_string();
        assert!(
            error.starts_with(&format!("`endpoint` cannot be `{endpoint}`")),
            "{error}"
        );
    }
    for endpoint in [
        "collector:4317",
        "collector.tracing.svc.cluster.local:4317",
        "10.0.0.1:1",
        "[::1]:4317",
    ] {
        let resolved = Resolved::new(endpoint, |_| unreachable!("nothing is resolved")).expect(endpoint);
        let config = ResolveConfig {
            interval: Duration::ZERO,
            ..ResolveConfig::default()
        };
        let error = resolved.with_config(config).expect_err("no interval").to_string();
        assert!(error.starts_with("`resolve.interval`"), "{error}");
    }
}

#[test]
fn it_moves_from_runtime_to_runtime_and_is_an_error_without_one() {
    use Answer::{Addresses, Silence};
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.expect("a runtime")
    };
    let answers = {
        let first = runtime();
        let _guard = first.enter();
        Answers::of([Silence, Addresses(&[0])])
    };
    let scene = Scene::default();
    let mut balance = balance(&scene, &answers);
    let error = match poll(&mut balance) {
        Poll::Ready(Err(error)) => error.to_string(),
        answer => panic!("{answer:?}"),
    };
    assert!(error.contains("Tokio runtime"), "{error}");
    runtime().block_on(async { assert!(poll(&mut balance).is_pending()) });
    runtime().block_on(async {
        poll_fn(|cx| balance.poll_ready(cx)).await.expect("asked again");
        drop(balance.call(traces()));
    });
    assert_eq!(scene.calls(), [NAMES[0]]);
}
