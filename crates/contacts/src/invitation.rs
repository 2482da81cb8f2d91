//! Invitations: what reaches the owner of a contact code, and names nobody.

use antiphon_wire::{INVITATION_BYTES, Timestamp};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::agreement::AgreementSecret;
use crate::kdf::{Key, expand};
use crate::{BoxAddress, CallRoot, ContactCode, KNOCK_TAG_BYTES, Knock, OwnCode};

/// Bytes of an invitation's secret.
pub const INVITATION_SECRET_BYTES: usize = 32;

const KEY_BYTES: usize = 32;
const PAYLOAD_BYTES: usize = 96;
const TAG_BYTES: usize = 16;
const _: () = assert!(INVITATION_BYTES == KEY_BYTES + PAYLOAD_BYTES + TAG_BYTES);
const VERSION: u8 = 2;

const INFO: &[u8] = b"Antiphon 2026 invitation";
const MARK_CONTEXT: &str = "Antiphon 2026 mark of an invitation";

type Suite = X25519HkdfSha256;
type PublicKey = <Suite as Kem>::PublicKey;
type PrivateKey = <Suite as Kem>::PrivateKey;
type EncappedKey = <Suite as Kem>::EncappedKey;

/// Number of an invitation round, which is the number of the mix's round. Numbers only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct InvitationRound(pub u64);

/// Secret of the inviter, from which the call root follows. An invitation that was lost is sealed again with the same one for
/// a later round: its invitee knows it again, and whichever it accepts leads to one root.
#[derive(Clone)]
pub struct InvitationSecret(pub(crate) Key);

impl std::fmt::Debug for InvitationSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InvitationSecret(..)")
    }
}

impl InvitationSecret {
    /// The secret of a new invitation.
    #[must_use]
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Key([0; INVITATION_SECRET_BYTES]);
        rng.fill_bytes(&mut secret.0);
        Self(secret)
    }

    /// The secret with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; INVITATION_SECRET_BYTES]) -> Self {
        Self(Key(bytes))
    }

    /// The bytes to keep.
    #[must_use]
    pub fn bytes(&self) -> &[u8; INVITATION_SECRET_BYTES] {
        &self.0.0
    }

    /// The call root of whoever listens at `inviter` and of the owner of `code`.
    #[must_use]
    pub fn root(&self, code: &ContactCode, inviter: BoxAddress) -> CallRoot {
        CallRoot::of_invitation(&self.0, code, inviter)
    }

    /// The mark by which the invitee knows the invitation again. It tells nothing of the root.
    #[must_use]
    pub fn mark(&self) -> [u8; 16] {
        let mut mark = [0; 16];
        expand(MARK_CONTEXT, &[&self.0.0], &mut [&mut mark]);
        mark
    }
}

/// An invitation as it lies in a box: RFC 9180, base mode, X25519, HKDF-SHA256, AES-256-GCM. The payload is a
/// version, the code's knock tag, the inviter's box address, the inviter's secret, and 46 zero bytes in reserve.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Invitation([u8; INVITATION_BYTES]);

impl std::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Invitation(..)")
    }
}

impl From<Invitation> for [u8; INVITATION_BYTES] {
    fn from(invitation: Invitation) -> Self {
        invitation.0
    }
}

impl Invitation {
    /// The invitation with these bytes, which may be anything.
    #[must_use]
    pub fn from_bytes(bytes: [u8; INVITATION_BYTES]) -> Self {
        Self(bytes)
    }

    /// The invitation's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; INVITATION_BYTES] {
        &self.0
    }

    /// Invites the owner of `code` to call at `address`, in this round alone. The inviter is the contact's first side.
    #[must_use]
    pub fn seal(
        code: &ContactCode,
        (address, secret): (BoxAddress, &InvitationSecret),
        round: InvitationRound,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let mut payload = Zeroizing::new([0; PAYLOAD_BYTES]);
        payload[0] = VERSION;
        payload[1..][..KNOCK_TAG_BYTES].copy_from_slice(&code.knock_tag);
        payload[1 + KNOCK_TAG_BYTES] = address.0;
        payload[2 + KNOCK_TAG_BYTES..][..INVITATION_SECRET_BYTES].copy_from_slice(secret.bytes());
        let key = PublicKey::from_bytes(code.key.bytes()).expect("any 32 bytes are an X25519 key");
        // Fails for keys that agree on zeros alone, which a code does not have.
        let (encapped, mut context) = hpke::setup_sender_with_rng::<AesGcm256, HkdfSha256, Suite>(
            &OpModeS::Base,
            &key,
            &info(code, round),
            rng,
        )
        .expect("a code's key agrees on something");
        let sealed = context.seal(&payload[..], &[]).expect("a context seals more than one item");
        let mut bytes = [0; INVITATION_BYTES];
        bytes[..KEY_BYTES].copy_from_slice(&encapped.to_bytes());
        bytes[KEY_BYTES..].copy_from_slice(&sealed);
        Self(bytes)
    }

    /// Opens an invitation from the box of `round`, which began at `time`. `None` if it is not for this code, or came
    /// after the code's end.
    #[must_use]
    pub fn open(&self, own: &OwnCode, round: InvitationRound, time: Timestamp) -> Option<Knock> {
        let secret = PrivateKey::from_bytes(own.secret().bytes()).ok()?;
        let (encapped, sealed) = self.0.split_at(KEY_BYTES);
        let encapped = EncappedKey::from_bytes(encapped).ok()?;
        let mut context = hpke::setup_receiver::<AesGcm256, HkdfSha256, Suite>(
            &OpModeR::Base,
            &secret,
            &encapped,
            &info(own.code(), round),
        )
        .ok()?;
        let payload = Zeroizing::new(context.open(sealed, &[]).ok()?);
        let (version, rest) = payload.split_first()?;
        let (tag, rest) = rest.split_first_chunk()?;
        let (address, rest) = rest.split_first()?;
        let (secret, reserve) = rest.split_first_chunk()?;
        // Bytes in reserve that are not zero mean something that this version cannot know.
        let read = *version == VERSION && reserve.iter().all(|byte| *byte == 0);
        if !read || !own.admits(tag, time) {
            return None;
        }
        let secret = InvitationSecret::from_bytes(*secret);
        Some(Knock::new(own.label().to_owned(), *own.code(), BoxAddress(*address), secret))
    }

    /// An item that nobody can tell from an invitation, and that no code opens.
    #[must_use]
    pub fn noise(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; INVITATION_BYTES];
        rng.fill_bytes(&mut bytes);
        // Half of all bytes are no point of the curve, and an invitation's are.
        let point = AgreementSecret::draw(rng).public();
        bytes[..KEY_BYTES].copy_from_slice(point.bytes());
        Self(bytes)
    }
}

/// Binds an invitation to its round and its network: neither a later box nor another network's opens it again.
fn info(code: &ContactCode, round: InvitationRound) -> Vec<u8> {
    [INFO, &code.network.0, &round.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests;
