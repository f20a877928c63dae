//! The one TLS configuration of both transports.

use std::error::Error;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use spanwright_core::BuildError;

use crate::config::{OtlpConfig, Pem};

type BoxError = Box<dyn Error + Send + Sync>;

pub(crate) const ACCEPTED_CERTIFICATES: &str = "a readable file of one or more certificates in PEM, or their text";
pub(crate) const ACCEPTED_KEY: &str = "a readable file of a private key in PEM (PKCS#8, PKCS#1 or SEC1), or its text";

/// rustls on ring: TLS 1.3 and 1.2, the given certificate authority or else those of the machine, and the client's certificate
/// where there is one.
pub(crate) fn client_config(config: &OtlpConfig, alpn: &'static [u8]) -> Result<ClientConfig, BuildError> {
    let roots = match &config.certificate {
        Some(pem) => given_roots(pem)?,
        None => machine_roots()?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildError::new("endpoint", "https", "a TLS library with TLS 1.2 or 1.3").with_source(error))?
        .with_root_certificates(roots);
    let mut tls = match (&config.client_certificate, &config.client_key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(chain_pem), Some(key_pem)) => {
            let chain = certificates(chain_pem).map_err(|error| {
                BuildError::new("client_certificate", chain_pem, ACCEPTED_CERTIFICATES).with_source(error)
            })?;
            let key = key(key_pem)
                .map_err(|error| BuildError::new("client_key", key_pem, ACCEPTED_KEY).with_source(error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                BuildError::new("client_key", key_pem, "the key of `client_certificate`").with_source(error)
            })?
        }
        (Some(_), None) => return Err(BuildError::new("client_key", "", "the key of `client_certificate`")),
        (None, Some(_)) => {
            return Err(BuildError::new(
                "client_certificate",
                "",
                "the certificate of `client_key`",
            ));
        }
    };
    tls.alpn_protocols = vec![alpn.to_vec()];
    Ok(tls)
}

/// The certificates in `pem`, of which there is at least one.
pub(crate) fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, BoxError> {
    let certificates = CertificateDer::pem_slice_iter(&pem.read()?).collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err("there is no certificate in it".into());
    }
    Ok(certificates)
}

/// The first private key in `pem`.
pub(crate) fn key(pem: &Pem) -> Result<PrivateKeyDer<'static>, BoxError> {
    Ok(PrivateKeyDer::from_pem_slice(&pem.read()?)?)
}

/// A certificate authority that is given is trusted alone: whoever names one does not mean "and all others".
fn given_roots(pem: &Pem) -> Result<RootCertStore, BuildError> {
    let refused = |error: BoxError| BuildError::new("certificate", pem, ACCEPTED_CERTIFICATES).with_source(error);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).map_err(refused)? {
        roots.add(certificate).map_err(|error| refused(error.into()))?;
    }
    Ok(roots)
}

fn machine_roots() -> Result<RootCertStore, BuildError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A machine's store may hold some that rustls cannot read. The others are of use.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let accepted = "a certificate authority in PEM, because this machine has none";
        let error = BuildError::new("certificate", "", accepted);
        return Err(match found.errors.into_iter().next() {
            Some(source) => error.with_source(source),
            None => error,
        });
    }
    Ok(roots)
}
