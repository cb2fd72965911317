//! Whom to trust over TLS: the system's authorities, those of a file, or anybody, always marked.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};

use super::message::{Certificate, Connection, Fault, HttpError, HttpVersion};

/// Makes the TLS settings of a connection. Reads files: call it where blocking is allowed.
///
/// # Errors
/// Says which file is missing or holds no certificate.
pub(super) fn config(connection: &Connection) -> Result<ClientConfig, HttpError> {
    let provider = Arc::new(ring::default_provider());
    let trust: Arc<dyn ServerCertVerifier> = match connection.insecure {
        true => Arc::new(Anybody(Arc::clone(&provider))),
        false => {
            let roots = Arc::new(roots(connection.ca_file.as_deref())?);
            let builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
            let inner = builder.build().map_err(|e| request(format!("no certificate authority to trust: {e}")))?;
            Arc::new(Known(inner))
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| request(e.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(trust);
    let mut config = match &connection.client_cert {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let file = connection.client_key.as_ref().unwrap_or(path);
            let key = PrivateKeyDer::from_pem_file(file)
                .map_err(|e| request(format!("cannot read a private key from {file}: {e}")))?;
            builder
                .with_client_auth_cert(certificates(path)?, key)
                .map_err(|e| request(format!("the client certificate in {path} cannot be used: {e}")))?
        }
    };
    config.alpn_protocols = match connection.version {
        HttpVersion::Any => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
        HttpVersion::Http2 => vec![b"h2".to_vec()],
    };
    Ok(config)
}

/// Makes settings that trust nobody, for connections that will never speak TLS: no authorities need to be read.
pub(super) fn none() -> Result<ClientConfig, HttpError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| request(e.to_string()))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// Reads the facts of a certificate; nothing when it is not a certificate.
pub(super) fn certificate(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(Certificate {
        expires_at: certificate.validity().not_after.timestamp(),
        issuer: certificate.issuer().to_string(),
        subject: certificate.subject().to_string(),
    })
}

/// Why a certificate is not trusted, in more detail than the library keeps.
#[derive(Debug, thiserror::Error)]
pub(super) enum Untrusted {
    /// It vouches for itself.
    #[error("the certificate is self-signed, and nobody told to trust it")]
    SelfSigned,
    /// Somebody unknown vouches for it.
    #[error("the certificate's issuer is not trusted: {0}")]
    Issuer(String),
}

fn request(message: String) -> HttpError {
    HttpError::new(Fault::Request, message)
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let wrong = |e: rustls::pki_types::pem::Error| request(format!("cannot read certificates from {path}: {e}"));
    let all: Vec<_> = CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)?;
    match all.is_empty() {
        true => Err(request(format!("there is no certificate in {path}"))),
        false => Ok(all),
    }
}

pub(in crate::sys) fn roots(file: Option<&str>) -> Result<RootCertStore, HttpError> {
    let mut store = RootCertStore::empty();
    if let Some(path) = file {
        for certificate in certificates(path)? {
            store.add(certificate).map_err(|e| request(format!("a certificate in {path} cannot be used: {e}")))?;
        }
        return Ok(store);
    }
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(store)
}

/// Trusts the known authorities, and says more about those whom it does not know.
#[derive(Debug)]
struct Known(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let result = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        result.map_err(|error| explain(error, end_entity))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

pub(in crate::sys) fn explain(error: rustls::Error, der: &CertificateDer<'_>) -> rustls::Error {
    // A stranger who bears the name of a known authority fails by the signature.
    let unknown = match &error {
        rustls::Error::InvalidCertificate(cause) => matches!(
            cause,
            CertificateError::UnknownIssuer
                | CertificateError::BadSignature
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
        ),
        _ => false,
    };
    let Some(certificate) = certificate(der).filter(|_| unknown) else { return error };
    let why = match certificate.issuer == certificate.subject {
        true => Untrusted::SelfSigned,
        false => Untrusted::Issuer(certificate.issuer),
    };
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
}

/// Trusts anybody who holds the key of the certificate shown.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
