//! A TLS server with whatever certificate a test wants to see judged.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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
        let (certificate, key) = certificate(shows, &folder.path().join("ca.pem"));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate and its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut request = [0; 4096];
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
}

fn certificate(shows: Shows, ca_file: &Path) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "Test Authority");
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an authority");
    std::fs::write(ca_file, issuer.pem()).expect("a file");
    let name = if shows == Shows::WrongName { "other.test" } else { "localhost" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = if shows == Shows::Expired { date_time_ymd(2020, 1, 1) } else { date_time_ymd(2120, 1, 1) };
    let key = KeyPair::generate().expect("a key");
    let certificate = match shows {
        Shows::SelfSigned => params.self_signed(&key),
        Shows::Good | Shows::Expired | Shows::WrongName => params.signed_by(&key, &issuer),
    };
    let key_der = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    (certificate.expect("a certificate").der().clone(), key_der)
}
