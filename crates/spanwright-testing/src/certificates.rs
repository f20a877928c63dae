//! Certificates made on the spot.

use std::fmt;
use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// A certificate authority, and what it signed: a server's certificate for `localhost` and `127.0.0.1`, and a client's.
///
/// All as PEM, which is what settings take. Each call of [`generate`](Self::generate) makes another authority, so that a second one
/// is one that nobody trusts.
#[derive(Clone)]
pub struct TestCertificates {
    authority: String,
    server: Pair,
    client: Pair,
    server_config: Arc<ServerConfig>,
    mutual_server_config: Arc<ServerConfig>,
}

#[derive(Clone)]
struct Pair {
    certificate: String,
    key: String,
}

impl TestCertificates {
    /// Makes the authority and signs the two certificates.
    ///
    /// # Errors
    ///
    /// The machine gives no random numbers.
    pub fn generate() -> io::Result<Self> {
        let authority = authority().map_err(io::Error::other)?;
        let server = signed(&authority, "localhost", ExtendedKeyUsagePurpose::ServerAuth).map_err(io::Error::other)?;
        let client = signed(&authority, "client", ExtendedKeyUsagePurpose::ClientAuth).map_err(io::Error::other)?;
        let authority = authority.pem();
        Ok(Self {
            server_config: server_config(&server, None)?,
            mutual_server_config: server_config(&server, Some(&authority))?,
            authority,
            server,
            client,
        })
    }

    /// The certificate of the authority: what a client has to trust.
    #[must_use]
    pub fn authority_pem(&self) -> &str {
        &self.authority
    }

    /// The server's certificate.
    #[must_use]
    pub fn server_certificate_pem(&self) -> &str {
        &self.server.certificate
    }

    /// The key of the server's certificate, PKCS #8.
    #[must_use]
    pub fn server_key_pem(&self) -> &str {
        &self.server.key
    }

    /// The client's certificate.
    #[must_use]
    pub fn client_certificate_pem(&self) -> &str {
        &self.client.certificate
    }

    /// The key of the client's certificate, PKCS #8.
    #[must_use]
    pub fn client_key_pem(&self) -> &str {
        &self.client.key
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server_config)
    }

    pub(crate) fn mutual_server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.mutual_server_config)
    }
}

impl fmt::Debug for TestCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCertificates").finish_non_exhaustive()
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Result<Authority, rcgen::Error> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Spanwright test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Authority::self_signed(params, KeyPair::generate()?)
}

fn signed(authority: &Authority, name: &str, usage: ExtendedKeyUsagePurpose) -> Result<Pair, rcgen::Error> {
    let mut params = CertificateParams::new([name.to_owned(), "127.0.0.1".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate()?;
    Ok(Pair {
        certificate: params.signed_by(&key, authority)?.pem(),
        key: key.serialize_pem(),
    })
}

/// With a `client_authority` the clients have to show a certificate of it.
fn server_config(server: &Pair, client_authority: Option<&str>) -> io::Result<Arc<ServerConfig>> {
    let provider: Arc<CryptoProvider> = ring::default_provider().into();
    let certificate = CertificateDer::from_pem_slice(server.certificate.as_bytes()).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).map_err(io::Error::other)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match client_authority {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let authority = CertificateDer::from_pem_slice(authority.as_bytes()).map_err(io::Error::other)?;
            let mut roots = RootCertStore::empty();
            roots.add(authority).map_err(io::Error::other)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(io::Error::other)?)
        }
    };
    let mut config = builder
        .with_single_cert(vec![certificate], key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
