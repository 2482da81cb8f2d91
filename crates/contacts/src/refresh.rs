//! A fresh call root out of a session, against today's and tomorrow's computers.
//!
//! Each end sends a key of X-Wing and encapsulates to the other's. Both secrets and all four messages go into the
//! new root beside the key of the call round, so it is as secret as any one of the three.

use rand::CryptoRng;
use x_wing::{
    Ciphertext, DecapsulationKeyRejectNonContrib, Decapsulator as _, Encapsulate as _,
    EncapsulationKey, KeyExport as _, TryDecapsulate as _,
};

use crate::kdf::Key;
use crate::{CallRoot, SessionBinding, SessionSecret, Side};

/// Bytes of an offer: a public key of X-Wing.
pub const OFFER_BYTES: usize = x_wing::ENCAPSULATION_KEY_SIZE;
/// Bytes of the answer to an offer: a ciphertext of X-Wing.
pub const CIPHERTEXT_BYTES: usize = x_wing::CIPHERTEXT_SIZE;
/// Bytes of the confirmation that an end holds the new root.
pub const CONFIRMATION_BYTES: usize = 32;

const ROOT_CONTEXT: &str = "Antiphon 2026 refreshed call root";
const BINDING_CONTEXT: &str = "Antiphon 2026 session binding";
const CONFIRMATION_CONTEXT: &str = "Antiphon 2026 confirmation of a refreshed call root";

/// Reason why a refresh comes to nothing. The root stays as it is, and the partner is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// The partner's offer is no key.
    #[error("the partner offered a key that is none")]
    Offer,
    /// The partner's ciphertext carries nothing secret.
    #[error("the partner answered with a ciphertext that protects nothing")]
    Ciphertext,
    /// The partner has another root.
    #[error("the partner's confirmation is wrong: the two ends have not said the same")]
    Confirmation,
}

/// A refresh that has begun: the own offer is there to be sent.
pub struct Refresh {
    side: Side,
    session: SessionSecret,
    decapsulation: DecapsulationKeyRejectNonContrib,
    offer: Box<[u8; OFFER_BYTES]>,
}

/// A refresh in which the partner's offer has come: the own ciphertext is there to be sent.
pub struct Offered {
    begun: Refresh,
    partners_offer: Box<[u8; OFFER_BYTES]>,
    ciphertext: Box<[u8; CIPHERTEXT_BYTES]>,
    encapsulated: Key,
}

/// A refresh in which everything has come: the new root, and what binds all that was said.
pub struct Mixed {
    root: CallRoot,
    binding: SessionBinding,
    side: Side,
}

impl std::fmt::Debug for Refresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refresh(..)")
    }
}

impl std::fmt::Debug for Offered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Offered(..)")
    }
}

impl std::fmt::Debug for Mixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mixed(..)")
    }
}

impl Refresh {
    /// Begins a refresh in a session, with a key of its own.
    #[must_use]
    pub fn begin(side: Side, session: SessionSecret, rng: &mut impl CryptoRng) -> Self {
        // The key itself is expanded from the seed whenever it is used.
        let mut seed = Key([0; 32]);
        rng.fill_bytes(&mut seed.0);
        let decapsulation = DecapsulationKeyRejectNonContrib::from(seed.0);
        let mut offer = Box::new([0; OFFER_BYTES]);
        offer.copy_from_slice(&decapsulation.encapsulation_key().to_bytes());
        Self { side, session, decapsulation, offer }
    }

    /// The offer, for the partner.
    #[must_use]
    pub fn offer(&self) -> &[u8; OFFER_BYTES] {
        &self.offer
    }

    /// Takes the partner's offer.
    ///
    /// # Errors
    /// [`RefreshError::Offer`] if it is no key.
    pub fn offered(
        self,
        partners_offer: &[u8; OFFER_BYTES],
        rng: &mut impl CryptoRng,
    ) -> Result<Offered, RefreshError> {
        let key =
            EncapsulationKey::try_from(&partners_offer[..]).map_err(|_| RefreshError::Offer)?;
        let (sent, secret) = key.encapsulate_with_rng(rng);
        let mut ciphertext = Box::new([0; CIPHERTEXT_BYTES]);
        ciphertext.copy_from_slice(&sent);
        let partners_offer = Box::new(*partners_offer);
        Ok(Offered { begun: self, partners_offer, ciphertext, encapsulated: Key(secret.0) })
    }
}

impl Offered {
    /// The answer to the partner's offer, for the partner.
    #[must_use]
    pub fn ciphertext(&self) -> &[u8; CIPHERTEXT_BYTES] {
        &self.ciphertext
    }

    /// Takes the partner's answer, and mixes everything.
    ///
    /// # Errors
    /// [`RefreshError::Ciphertext`] if it carries nothing secret.
    pub fn answered(self, answer: &[u8; CIPHERTEXT_BYTES]) -> Result<Mixed, RefreshError> {
        let begun = self.begun;
        let opened = begun.decapsulation.try_decapsulate(&Ciphertext::from(*answer));
        let opened = Key(opened.map_err(|_| RefreshError::Ciphertext)?.0);
        // What was sealed to the first end's key, then what was sealed to the second's.
        let mine: [&[u8]; 3] = [&opened.0, &begun.offer[..], answer];
        let partners: [&[u8]; 3] =
            [&self.encapsulated.0, &self.partners_offer[..], &self.ciphertext[..]];
        let (first, second) = match begun.side {
            Side::First => (mine, partners),
            Side::Second => (partners, mine),
        };
        let said: Vec<&[u8]> =
            [&begun.session.0[..]].into_iter().chain(first).chain(second).collect();
        let root = CallRoot(Key::derive(ROOT_CONTEXT, &said));
        let binding = SessionBinding(Key::derive(BINDING_CONTEXT, &said).0);
        Ok(Mixed { root, binding, side: begun.side })
    }
}

impl Mixed {
    /// The new root, of which the partner may not know yet: [`Roots::refreshed`](crate::Roots::refreshed) takes it.
    #[must_use]
    pub fn root(&self) -> &CallRoot {
        &self.root
    }

    /// What binds identities and safety number to this session.
    #[must_use]
    pub fn binding(&self) -> SessionBinding {
        self.binding
    }

    /// The confirmation, for the partner. The new root has to be kept on disk before it leaves: the partner gives the old
    /// one up for it.
    #[must_use]
    pub fn confirmation(&self) -> [u8; CONFIRMATION_BYTES] {
        self.root.confirmation(CONFIRMATION_CONTEXT, self.side).0
    }

    /// Takes the partner's confirmation: from now on the partner is known to have the new root.
    ///
    /// # Errors
    /// [`RefreshError::Confirmation`] if it is of another root.
    pub fn confirmed(&self, confirmation: &[u8; CONFIRMATION_BYTES]) -> Result<(), RefreshError> {
        let right = self.root.confirmation(CONFIRMATION_CONTEXT, self.side.other());
        if right.is(confirmation) { Ok(()) } else { Err(RefreshError::Confirmation) }
    }
}

#[cfg(test)]
mod tests;
