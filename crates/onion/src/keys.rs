//! The keys of an epoch: one onion key per shard, with a second half for suite 2, and one seal key per shard and
//! round.

mod eighth;
mod kem;
mod onion;
mod point;
mod seal;

pub(crate) use eighth::eighth;
pub use kem::{KemPublicKey, KemSecretKey};
pub use onion::{OnionPublicKey, OnionSecretKey};
pub(crate) use point::GroupPoint;
pub use seal::{JointSealKey, SealKeySum, SealPublicKey, SealSecretKey};

/// Reason why bytes are no key, or a sum of keys is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No point has this encoding, or the point has another one that is the canonical one.
    #[error("not the canonical encoding of a curve point")]
    Encoding,
    /// The point has a component of small order.
    #[error("the point has a component of small order")]
    Torsion,
    /// The point is the identity: keys that cancel each other, or no key at all.
    #[error("the point is the identity; keys that are summed must not cancel each other")]
    Identity,
    /// The bytes are no scalar between 1 and the group order.
    #[error("not a canonical, non-zero secret scalar")]
    Scalar,
    /// The bytes fail the checks of FIPS 203, section 7.2.
    #[error("not an ML-KEM-768 key: those have 1184 bytes, and numbers below 3329")]
    Kem,
}
