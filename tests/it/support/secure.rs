//! A TLS server with whatever certificate a test wants to see judged.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Which certificate the server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// A good one for `localhost`, from the test's authority.
    Good,
    /// One that expired in 2020.
    Expired,
    /// One for `other.test`.
    WrongName,
    /// One that vouches for itself.
    SelfSigned,
    /// A good one, and asks for one of the client's in return.
    AsksBack,
}

/// A running server.
pub(crate) struct Secure {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl Secure {
    /// Starts a server; it lives as long as the runtime.
    pub(crate) async fn start(shows: Shows) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let made = make(shows, folder.path());
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let config = match shows {
            Shows::AsksBack => {
                let mut roots = RootCertStore::empty();
                roots.add(made.authority).expect("an authority");
                let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(builder.build().expect("a verifier"))
            }
            Shows::Good | Shows::Expired | Shows::WrongName | Shows::SelfSigned => config.with_no_client_auth(),
        };
        let config = config.with_single_cert(vec![made.certificate], made.key).expect("a certificate and its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let mut stream = match acceptor.accept(stream).into_fallible().await {
                        Ok(stream) => stream,
                        Err((_, mut stream)) => {
                            // Closing with something unread would take the alert back that the client is to see.
                            while matches!(stream.read(&mut request).await, Ok(count) if count > 0) {}
                            return;
                        }
                    };
                    let _ = stream.read(&mut request).await;
                    let _ =
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, folder }
    }

    /// Returns a URL by the name `localhost`.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/", self.address.port())
    }

    /// Returns the file with the test's authority.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Returns the file with a client's certificate and its key.
    pub(crate) fn client(&self) -> PathBuf {
        self.folder.path().join("client.pem")
    }
}

struct Made {
    authority: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// Makes the server's certificate; puts the authority and a client's certificate with its key into files.
fn make(shows: Shows, folder: &Path) -> Made {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "Test Authority");
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an authority");
    std::fs::write(folder.join("ca.pem"), issuer.pem()).expect("a file");

    let client_key = KeyPair::generate().expect("a key");
    let client = CertificateParams::new(vec!["client.test".to_owned()]).expect("parameters");
    let client = client.signed_by(&client_key, &issuer).expect("a certificate");
    let both = format!("{}{}", client.pem(), client_key.serialize_pem());
    std::fs::write(folder.join("client.pem"), both).expect("a file");

    let name = if shows == Shows::WrongName { "other.test" } else { "localhost" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = if shows == Shows::Expired { date_time_ymd(2020, 1, 1) } else { date_time_ymd(2120, 1, 1) };
    let key = KeyPair::generate().expect("a key");
    let certificate = match shows {
        Shows::SelfSigned => params.self_signed(&key),
        Shows::Good | Shows::Expired | Shows::WrongName | Shows::AsksBack => params.signed_by(&key, &issuer),
    };
    Made {
        authority: issuer.der().clone(),
        certificate: certificate.expect("a certificate").der().clone(),
        key: PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
    }
}
