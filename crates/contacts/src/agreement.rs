//! X25519 keys of contact codes, and what two of them agree on.

use rand::CryptoRng;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::kdf::Key;

/// Bytes of a key, public or secret.
pub(crate) const KEY_BYTES: usize = 32;

/// Public key of a contact code with which something secret can be agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgreementKey([u8; KEY_BYTES]);

impl AgreementKey {
    /// The key with these bytes; `None` for one of the few points with which everybody agrees on the same zeros.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Option<Self> {
        // Secrets are multiples of eight, so any of them sends exactly those points to zero.
        let probe = StaticSecret::from([8; KEY_BYTES]);
        let contributes = probe.diffie_hellman(&PublicKey::from(bytes)).was_contributory();
        contributes.then_some(Self(bytes))
    }

    /// The key's bytes, as codes carry them.
    #[must_use]
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

/// Secret key of a contact code. It is erased when it is dropped.
#[derive(Clone)]
pub(crate) struct AgreementSecret(StaticSecret);

impl AgreementSecret {
    pub(crate) fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Key([0; KEY_BYTES]);
        rng.fill_bytes(&mut bytes.0);
        Self::from_bytes(bytes.0)
    }

    pub(crate) fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(StaticSecret::from(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        self.0.as_bytes()
    }

    pub(crate) fn public(&self) -> AgreementKey {
        AgreementKey(PublicKey::from(&self.0).to_bytes())
    }

    /// The bytes that both ends find, from either's secret and the other's key.
    pub(crate) fn agree(&self, other: &AgreementKey) -> Key {
        Key(self.0.diffie_hellman(&PublicKey::from(other.0)).to_bytes())
    }
}
