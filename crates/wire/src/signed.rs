//! Ed25519 identities and what they sign.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use crate::codec::{Decode, DecodeError, Encode, Reader, newtype};
use crate::equation::Equation;

/// The Ed25519 public key of an operator, a shard or a coordinator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityKey(pub [u8; 32]);

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

/// A BLAKE3 hash of 32 bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

newtype!(IdentityKey, Signature, Digest);

impl IdentityKey {
    /// The public half of `key`.
    pub fn of(key: &SigningKey) -> Self {
        Self(key.verifying_key().to_bytes())
    }
}

impl IdentityKey {
    /// Returns `true` if signatures by this key can mean anything: it is a point of the curve, and not of
    /// small order, for which anybody could sign.
    pub fn is_usable(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| !key.is_weak())
    }
}

impl Signature {
    /// Splits the signature into the point R and the number s.
    pub(crate) fn halves(&self) -> (&[u8; 32], &[u8; 32]) {
        let (halves, _) = self.0.as_chunks();
        (&halves[0], &halves[1])
    }
}

impl Digest {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).into())
    }
}

fn short_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&hex::encode(&bytes[..6]))
}

impl fmt::Display for IdentityKey {
    /// The first 12 hexadecimal digits: enough to tell keys apart in a message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        short_hex(&self.0, f)
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityKey({self})")
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

impl Digest {
    /// All 64 hexadecimal digits, in groups of eight: for people to compare. Whoever makes two things can
    /// make fewer digits of their hashes the same.
    pub fn in_groups(&self) -> String {
        let groups: Vec<_> = self.0.chunks(4).map(hex::encode).collect();
        groups.join(" ")
    }
}

impl fmt::Display for Digest {
    /// The first 12 hexadecimal digits: for logs. What people compare is [`Self::in_groups`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        short_hex(&self.0, f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A kind of statement that may be signed. Its context keeps a signature on one kind from being taken for one
/// on another.
pub trait Signable: Encode {
    /// Names the kind; distinct for every implementor.
    const CONTEXT: &'static str;

    /// The bytes that are signed: the context, a zero byte, the byte form.
    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(Self::CONTEXT.as_bytes());
        bytes.push(0);
        self.encode(&mut bytes);
        bytes
    }

    /// Signs this with `key`.
    fn sign_with(&self, key: &SigningKey) -> Signature {
        Signature(key.sign(&self.signed_bytes()).to_bytes())
    }

    /// Checks that `signer` made `signature` over this.
    ///
    /// # Errors
    /// If it did not, or if `signer` is no usable key.
    fn verify_signature(
        &self,
        signature: &Signature,
        signer: &IdentityKey,
    ) -> Result<(), BadSignature>
    where
        Self: Sized,
    {
        let key = VerifyingKey::from_bytes(&signer.0).ok();
        let holds = key.is_some_and(|key| {
            Equation::of(self, signature, &key).is_some_and(|equation| equation.holds())
        });
        if holds { Ok(()) } else { Err(BadSignature { signer: *signer }) }
    }
}

/// A signature that its claimed signer did not make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not by {signer}")]
pub struct BadSignature {
    /// Key whose owner was to have signed.
    pub signer: IdentityKey,
}

/// A statement with a signature that has not been checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    unverified: T,
    signature: Signature,
}

impl<T: Signable> Signed<T> {
    /// Signs `content` with `key`.
    pub fn new(content: T, key: &SigningKey) -> Self {
        let signature = content.sign_with(key);
        Self { unverified: content, signature }
    }

    /// Puts an unverified signature beside the content that it claims to be over.
    pub(crate) const fn with_signature(content: T, signature: Signature) -> Self {
        Self { unverified: content, signature }
    }

    /// Content as claimed, for finding out whose key to verify it with.
    pub const fn claimed(&self) -> &T {
        &self.unverified
    }

    /// The signature, not yet verified.
    pub(crate) const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The content, once its signature is checked against `signer`.
    ///
    /// # Errors
    /// If `signer` did not sign this.
    pub fn verify(&self, signer: &IdentityKey) -> Result<&T, BadSignature> {
        self.unverified.verify_signature(&self.signature, signer)?;
        Ok(&self.unverified)
    }
}

impl<T: Encode> Encode for Signed<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.unverified.encode(out);
        self.signature.encode(out);
    }
}

impl<T: Decode> Decode for Signed<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { unverified: T::decode(input)?, signature: Signature::decode(input)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Oath(u64);
    struct Vow(u64);

    impl Encode for Oath {
        fn encode(&self, out: &mut Vec<u8>) {
            self.0.encode(out);
        }
    }
    impl Encode for Vow {
        fn encode(&self, out: &mut Vec<u8>) {
            self.0.encode(out);
        }
    }
    impl Signable for Oath {
        const CONTEXT: &'static str = "test oath";
    }
    impl Signable for Vow {
        const CONTEXT: &'static str = "test vow";
    }

    #[test]
    fn a_signature_holds_for_its_content_signer_and_kind_only() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let me = IdentityKey::of(&key);
        let other = IdentityKey::of(&SigningKey::from_bytes(&[8; 32]));
        let signed = Signed::new(Oath(5), &key);
        assert!(signed.verify(&me).is_ok());
        assert_eq!(signed.verify(&other).map(|_| ()), Err(BadSignature { signer: other }));
        assert!(Oath(6).verify_signature(&signed.signature, &me).is_err());
        assert!(Vow(5).verify_signature(&signed.signature, &me).is_err());
    }
}
