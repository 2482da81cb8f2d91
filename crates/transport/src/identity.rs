//! Identities at the ends of links: Ed25519 keys, as RFC 7250 raw public keys.

use std::fmt;
use std::sync::Arc;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::sign::{CertifiedKey, Signer, SigningKey as TlsSigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

/// The DER of an Ed25519 `SubjectPublicKeyInfo` up to the 32 bytes of the key (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An Ed25519 verifying key: the name of a process at the end of a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerIdentity(pub [u8; 32]);

impl PeerIdentity {
    /// The key as a `SubjectPublicKeyInfo` in DER.
    pub(crate) fn to_spki(self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.0[..]].concat()
    }

    /// The key in a `SubjectPublicKeyInfo`; `None` unless it is exactly one Ed25519 key.
    pub(crate) fn from_spki(der: &[u8]) -> Option<Self> {
        let key = der.strip_prefix(&SPKI_PREFIX)?;
        key.try_into().ok().map(Self)
    }
}

impl From<[u8; 32]> for PeerIdentity {
    fn from(key: [u8; 32]) -> Self {
        Self(key)
    }
}

impl From<VerifyingKey> for PeerIdentity {
    fn from(key: VerifyingKey) -> Self {
        Self(key.to_bytes())
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerIdentity({self})")
    }
}

/// A process's own long-term key. Erased from memory when the last copy is dropped.
#[derive(Clone)]
pub struct Identity {
    key: Arc<SigningKey>,
}

impl Identity {
    /// Takes over a signing key.
    pub fn new(key: SigningKey) -> Self {
        Self { key: Arc::new(key) }
    }

    /// Takes over a 32-byte Ed25519 seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self::new(SigningKey::from_bytes(seed))
    }

    /// The public half, by which others know this process.
    pub fn public(&self) -> PeerIdentity {
        self.key.verifying_key().into()
    }

    /// A secret of this identity for one purpose, the same in every process that has the identity.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, self.key.as_bytes())
    }

    /// The key in the form that rustls resolvers want.
    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        let spki = CertificateDer::from(self.public().to_spki());
        Arc::new(CertifiedKey::new(vec![spki], Arc::new(TlsKey(Arc::clone(&self.key)))))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.public())
    }
}

/// Signs handshakes with ed25519-dalek, so that the key is never copied into another library.
#[derive(Clone)]
struct TlsKey(Arc<SigningKey>);

impl fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsKey")
    }
}

impl TlsSigningKey for TlsKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as Box<_>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(PeerIdentity::from(self.0.verifying_key()).to_spki().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for TlsKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(self.0.sign(message).to_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn spki_round_trips(key: [u8; 32]) {
            prop_assert_eq!(PeerIdentity::from_spki(&PeerIdentity(key).to_spki()), Some(PeerIdentity(key)));
        }

        #[test]
        fn any_bytes_are_a_key_only_in_exact_form(der in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(key) = PeerIdentity::from_spki(&der) {
                prop_assert_eq!(key.to_spki(), der);
            }
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let identity = Identity::from_seed(&[7; 32]);
        assert_eq!(format!("{identity:?}"), format!("Identity({})", identity.public()));
        assert!(!format!("{identity:?}").contains("0707"));
    }
}
