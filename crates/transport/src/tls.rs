//! TLS 1.3 with raw Ed25519 keys and a hybrid post-quantum key exchange.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ed25519_dalek::{Signature, VerifyingKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::version::TLS13;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};

use crate::identity::{Identity, PeerIdentity};

/// Server name that the library wants. It is not sent: links know servers by their keys.
pub(crate) const SERVER_NAME: &str = "antiphon";

/// Decides whether an identity may come in.
pub(crate) type Admit = dyn Fn(&PeerIdentity) -> bool + Send + Sync;

/// AWS-LC with X25519MLKEM768 as the only key exchange.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        ..aws_lc_rs::default_provider()
    }
}

/// Configures a server. With `admit`, clients must present an identity for which it returns `true`; without,
/// clients stay anonymous. The application protocol is for the caller to set.
pub(crate) fn server_config(
    identity: &Identity,
    admit: Option<Arc<Admit>>,
) -> Result<rustls::ServerConfig, Error> {
    let builder = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13])?;
    let builder = match admit {
        Some(admit) => builder.with_client_cert_verifier(Arc::new(AdmitClient(admit))),
        None => builder.with_no_client_auth(),
    };
    let resolver = AlwaysResolvesServerRawPublicKeys::new(identity.certified_key());
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    // A resumed session would not be checked against the roster again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Configures a client, for one dial. `presented` is filled with the identity that the server showed. The
/// application protocol is for the caller to set.
pub(crate) fn client_config(
    provider: CryptoProvider,
    identity: Option<&Identity>,
    expected: PeerIdentity,
    presented: Arc<OnceLock<PeerIdentity>>,
) -> Result<rustls::ClientConfig, Error> {
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ExpectServer { expected, presented }));
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(
            AlwaysResolvesClientRawPublicKeys::new(identity.certified_key()),
        )),
        None => builder.with_no_client_auth(),
    };
    // A resumed session would not prove the server's identity again. The name is the same for all servers.
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// Reads the key that the other side presented in place of a certificate.
pub(crate) fn identity_of(raw_key: &CertificateDer<'_>) -> Result<PeerIdentity, Error> {
    PeerIdentity::from_spki(raw_key).ok_or(CertificateError::BadEncoding.into())
}

fn verify_signature(
    message: &[u8],
    raw_key: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = || Error::from(CertificateError::BadSignature);
    if signed.scheme != SignatureScheme::ED25519 {
        return Err(bad());
    }
    let key = VerifyingKey::from_bytes(&identity_of(raw_key)?.0).map_err(|_| bad())?;
    let signature = Signature::from_slice(signed.signature()).map_err(|_| bad())?;
    // Strict: refuses small-order keys, for which anybody can sign.
    key.verify_strict(message, &signature).map_err(|_| bad())?;
    Ok(HandshakeSignatureValid::assertion())
}

/// Refuses, as a formality: only TLS 1.3 is configured, so neither verifier is ever asked about 1.2.
fn refuse_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(PeerIncompatible::Tls12NotOffered.into())
}

struct ExpectServer {
    expected: PeerIdentity,
    presented: Arc<OnceLock<PeerIdentity>>,
}

impl fmt::Debug for ExpectServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExpectServer({})", self.expected)
    }
}

impl ServerCertVerifier for ExpectServer {
    fn verify_server_cert(
        &self,
        raw_key: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = identity_of(raw_key)?;
        // Kept for the error message: the handshake's own error does not say who was there.
        self.presented.get_or_init(|| presented);
        if presented != self.expected {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _raw_key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        refuse_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        raw_key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, raw_key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

struct AdmitClient(Arc<Admit>);

impl fmt::Debug for AdmitClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdmitClient")
    }
}

impl ClientCertVerifier for AdmitClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        raw_key: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if !(self.0)(&identity_of(raw_key)?) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _raw_key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        refuse_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        raw_key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, raw_key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
