//! An X-Ray daemon, on a real socket.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use serde_json::Value;

/// A status and a body.
pub(crate) type Reply = (u16, String);

/// Answers each path by its own replies: one after the other, the last one for ever.
pub(crate) struct XRayServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    rules: Mutex<VecDeque<Reply>>,
    targets: Mutex<VecDeque<Reply>>,
    requests: Mutex<Vec<(String, Value)>>,
    is_over: Mutex<bool>,
}

impl XRayServer {
    pub(crate) fn spawn() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if *serving.is_over.lock().unwrap() {
                    return;
                }
                // A client that has had enough closes the connection.
                let _ = serving.answer(stream.unwrap());
            }
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub(crate) fn answers_rules(&self, replies: impl IntoIterator<Item = Reply>) {
        *self.shared.rules.lock().unwrap() = replies.into_iter().collect();
    }

    pub(crate) fn answers_targets(&self, replies: impl IntoIterator<Item = Reply>) {
        *self.shared.targets.lock().unwrap() = replies.into_iter().collect();
    }

    /// What it was asked since the last time: methods with paths, and bodies.
    pub(crate) fn requests(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.shared.requests.lock().unwrap())
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut head, mut line) = (String::new(), String::new());
        let mut length = 0;
        while reader.read_line(&mut line)? > 2 {
            if head.is_empty() {
                head = line
                    .rsplit_once(' ')
                    .map(|(head, _)| head.to_owned())
                    .unwrap_or_default();
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or_default();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let replies = match &*head {
            "POST /GetSamplingRules" => Some(&self.rules),
            "POST /SamplingTargets" => Some(&self.targets),
            _ => None,
        };
        self.requests.lock().unwrap().push((head, body));
        let reply = replies.and_then(|replies| {
            let mut replies = replies.lock().unwrap();
            if replies.len() > 1 {
                replies.pop_front()
            } else {
                replies.front().cloned()
            }
        });
        let (status, body) = reply.unwrap_or((404, String::new()));
        let head = format!("HTTP/1.1 {status} -\r\ncontent-type: application/json\r\nconnection: close\r\n");
        stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())
    }
}

impl Drop for XRayServer {
    fn drop(&mut self) {
        *self.shared.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
