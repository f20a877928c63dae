//! A receiver that moves to another address under the same name.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use spanwright_core::{EncodedBatch, ErrorKind, Priority};
use spanwright_testing::Receiver;
use tokio::time::Instant;

use super::Names;
use crate::delivery::{Message, Wire};

/// A wire made by `make` finds a receiver that has moved, by the name alone, as soon as it has to connect again.
pub(crate) async fn follows<W: Wire>(make: impl FnOnce(Names) -> W, address: fn(&Receiver) -> SocketAddr) {
    let (old, new) = (Receiver::spawn().unwrap(), Receiver::spawn().unwrap());
    let questions = Arc::new(AtomicUsize::new(0));
    let addresses = [address(&old), address(&new)];
    let wire = make(Names::given({
        let questions = Arc::clone(&questions);
        move |name| {
            assert_eq!(name, "collector.test");
            addresses[questions.fetch_add(1, Ordering::SeqCst).min(1)]
        }
    }));
    // A request with one span, of which all that is said is that it is one.
    let batch = EncodedBatch::new([Bytes::from_static(b"\x0a\x04\x12\x02\x12\x00")], 1, Priority::Normal);
    let send = || wire.send(Message::plain(batch.clone()), Instant::now() + Duration::from_secs(20));

    for _ in 0..2 {
        send().await.unwrap();
    }
    assert_eq!(
        (old.accepted_spans(), questions.load(Ordering::SeqCst)),
        (2, 1),
        "one connection"
    );
    drop(old);
    // What finds the connection broken may be a request that fails, which says that it may be sent again.
    let arrived = async {
        while let Err(failure) = send().await {
            assert!(
                matches!(failure.error.kind(), ErrorKind::Connect | ErrorKind::Retryable),
                "{}",
                failure.error
            );
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.unwrap();
    assert!(new.accepted_spans() == 1 && questions.load(Ordering::SeqCst) >= 2);
}
