//! Opening a connection to the receiver.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use http::uri::Scheme;
use spanwright_core::BuildError;
use tower_service::Service;

use super::Dial;
use crate::OtlpConfig;
use crate::defaults::CONNECT_TIMEOUT;

type BoxError = Box<dyn Error + Send + Sync>;
type Tcp = <Dial as Service<Uri>>::Response;

#[cfg(feature = "tls")]
type Stream = hyper_rustls::MaybeHttpsStream<Tcp>;
#[cfg(not(feature = "tls"))]
type Stream = Tcp;

/// Opens connections to one receiver: TCP, and TLS where its URI is of https, both together within [`CONNECT_TIMEOUT`].
///
/// It goes to its own receiver, whatever URI it is asked for. That keeps TLS out of tonic's sight, which refuses https over a
/// foreign connector as soon as any crate of the program turns one of its TLS features on.
#[derive(Clone)]
pub(crate) struct Connector {
    target: Uri,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Plain(Dial),
    #[cfg(feature = "tls")]
    Tls(hyper_rustls::HttpsConnector<Dial>),
}

impl Connector {
    /// A connector to `target` by way of `tcp`, with the TLS settings of `config`, that offers the application protocol `alpn`.
    pub(crate) fn new(target: Uri, tcp: Dial, config: &OtlpConfig, alpn: &'static [u8]) -> Result<Self, BuildError> {
        let is_https = target.scheme() == Some(&Scheme::HTTPS);
        Ok(Self {
            kind: kind(tcp, is_https, config, alpn)?,
            target,
        })
    }
}

#[cfg(feature = "tls")]
fn kind(tcp: Dial, is_https: bool, config: &OtlpConfig, alpn: &'static [u8]) -> Result<Kind, BuildError> {
    if !is_https {
        return Ok(Kind::Plain(tcp));
    }
    let tls = super::tls::client_config(config, alpn)?;
    Ok(Kind::Tls(hyper_rustls::HttpsConnector::from((tcp, tls))))
}

#[cfg(not(feature = "tls"))]
fn kind(tcp: Dial, is_https: bool, config: &OtlpConfig, _: &'static [u8]) -> Result<Kind, BuildError> {
    let settings = [
        ("certificate", &config.certificate),
        ("client_key", &config.client_key),
        ("client_certificate", &config.client_certificate),
    ];
    for (field, pem) in settings {
        if let Some(pem) = pem {
            return Err(BuildError::new(
                field,
                pem,
                "nothing, without the feature `tls` of spanwright-otlp",
            ));
        }
    }
    if is_https {
        let accepted =
            "a URL of http, without the feature `tls` of spanwright-otlp (an endpoint without a scheme means https)";
        return Err(BuildError::new("endpoint", "https", accepted));
    }
    Ok(Kind::Plain(tcp))
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.kind {
            Kind::Plain(tcp) => tcp.poll_ready(cx).map_err(Into::into),
            #[cfg(feature = "tls")]
            Kind::Tls(tls) => tls.poll_ready(cx),
        }
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let target = self.target.clone();
        match &mut self.kind {
            Kind::Plain(tcp) => {
                let connecting = tcp.call(target);
                Box::pin(in_time(async move { Ok(Stream::from(connecting.await?)) }))
            }
            #[cfg(feature = "tls")]
            Kind::Tls(tls) => Box::pin(in_time(tls.call(target))),
        }
    }
}

async fn in_time<T>(connecting: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(connected) => connected,
        Err(_) => {
            let message = format!("no connection within {CONNECT_TIMEOUT:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, message).into())
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the target, whose query may be a secret.
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}
