//! Keys and identities for the tests of this crate.

use antiphon_wire::IdentityKey;
use ed25519_dalek::SigningKey;

pub(crate) fn signing_keys(count: u8) -> Vec<SigningKey> {
    (0..count).map(|i| SigningKey::from_bytes(&[i + 1; 32])).collect()
}

pub(crate) fn identities(count: u8) -> Vec<IdentityKey> {
    signing_keys(count).iter().map(IdentityKey::of).collect()
}
