//! A server of strategies, on real sockets: HTTP/1.1 by hyper, gRPC by tonic.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;

use super::messages::{self, Parameters};

/// What it answers to everything, until it is told otherwise.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Over HTTP: JSON.
    Json(String),
    /// Over HTTP: a status, a content type, a body.
    Http(u16, &'static str, String),
    /// Over HTTP: a body without end.
    Endless,
    /// Over gRPC.
    Grpc(Result<messages::Response, tonic::Status>),
}

pub(crate) struct JaegerServer {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    reply: Mutex<Reply>,
    requests: Mutex<Vec<String>>,
}

impl JaegerServer {
    pub(crate) fn spawn(reply: Reply) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let bind = || runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (over_http, over_grpc) = (bind(), bind());
        let (http, grpc) = (over_http.local_addr().unwrap(), over_grpc.local_addr().unwrap());
        let shared = Arc::new(Shared {
            reply: Mutex::new(reply),
            requests: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::spawn(accept(over_http, Arc::clone(&serving), serve_http));
                tokio::spawn(accept(over_grpc, serving, serve_grpc));
                let _ = stopped.await;
            });
        });
        Self {
            http,
            grpc,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn answers(&self, reply: Reply) {
        *self.shared.reply.lock().unwrap() = reply;
    }

    /// What it was asked: the target of each request, over gRPC with the service's name behind it.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }
}

impl Drop for JaegerServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    shared: Arc<Shared>,
    serve: fn(TcpStream, Arc<Shared>) -> F,
) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve_http(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request: Request<Incoming>| {
        shared.requests.lock().unwrap().push(request.uri().to_string());
        let reply = shared.reply.lock().unwrap().clone();
        let (status, content_type, body) = match reply {
            Reply::Json(json) => (200, "application/json", Answer::Whole(Some(json.into()))),
            Reply::Http(status, content_type, body) => (status, content_type, Answer::Whole(Some(body.into()))),
            Reply::Endless => (200, "application/json", Answer::Endless),
            Reply::Grpc(_) => (404, "text/plain", Answer::Whole(None)),
        };
        let response = Response::builder().status(status).header("content-type", content_type);
        ready(Ok::<_, Infallible>(response.body(body).unwrap()))
    });
    // A client that has had enough closes the connection.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

enum Answer {
    Whole(Option<Bytes>),
    Endless,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Whole(body) => body.take(),
            Self::Endless => Some(Bytes::from_static(&[b' '; 16 << 10])),
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }
}

async fn serve_grpc(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request: Request<Incoming>| {
        let strategies = Strategies {
            shared: Arc::clone(&shared),
            path: request.uri().path().to_owned(),
        };
        async move {
            let codec = ProstCodec::<messages::Response, Parameters>::new();
            let mut grpc = Grpc::new(codec).max_encoding_message_size(usize::MAX);
            Ok::<_, Infallible>(grpc.unary(strategies, request).await)
        }
    });
    let _ = http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

struct Strategies {
    shared: Arc<Shared>,
    path: String,
}

impl UnaryService<Parameters> for Strategies {
    type Response = messages::Response;
    type Future = Ready<Result<tonic::Response<messages::Response>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<Parameters>) -> Self::Future {
        let request = format!("{} {}", self.path, request.get_ref().service_name);
        self.shared.requests.lock().unwrap().push(request);
        let reply = self.shared.reply.lock().unwrap().clone();
        ready(match reply {
            Reply::Grpc(answer) => answer.map(tonic::Response::new),
            _ => Err(tonic::Status::internal("only asked over HTTP")),
        })
    }
}
