//! What two ends say first in a session: the keys of a fresh call root, and then who they are.
//!
//! Identities go out after both ends' hybrid keys are mixed in, so that a thief of the way to the call root learns no names
//! of sessions that it only recorded. A session may break off anywhere in it; the next one greets anew.

use antiphon_contacts::{
    CIPHERTEXT_BYTES, CallRoot, ContactCode, Mixed, OFFER_BYTES, Offered, Refresh, RefreshError,
    SessionBinding, SessionSecret, Side,
};
use rand::CryptoRng;

const OFFER: u8 = 1;
const ANSWER: u8 = 2;
const IDENTITY: u8 = 3;
const BINDING_BYTES: usize = 32;

/// Fault of a partner that no honest one has. The session goes on without a fresh root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GreetingError {
    /// Not what is due, or of another length.
    #[error("the partner greets with what cannot be read")]
    Unreadable,
    /// Keys that are none.
    #[error(transparent)]
    Refresh(#[from] RefreshError),
}

/// Consequence of what the partner said.
pub(crate) enum Reply {
    /// Say this.
    Say(Vec<u8>),
    /// Keep the root on disk, and then say this: the partner gives the root before up for it.
    Keep {
        /// The fresh root.
        root: Box<CallRoot>,
        /// What to say then.
        say: Vec<u8>,
    },
    /// The partner holds the root, and is known by this code.
    Known {
        /// The code by which the partner is known.
        code: ContactCode,
        /// What binds both identities to what was said: the binding that both ends had before, or a new one.
        binding: SessionBinding,
    },
}

enum State {
    Begun(Refresh),
    Offered(Offered),
    Mixed(Mixed),
    /// All is said, or nothing more can be.
    Over,
}

/// One end's part.
pub(crate) struct Greeting {
    own: ContactCode,
    /// The binding of an earlier session, zeros if there is none. What one end alone has counts for nothing: that session
    /// broke off before the other end was told.
    held: [u8; BINDING_BYTES],
    state: State,
}

impl Greeting {
    /// Begins, with the code by which this end is known, and the binding that it holds. Returns what is said first.
    pub(crate) fn begin(
        side: Side,
        session: SessionSecret,
        (own, held): (ContactCode, Option<SessionBinding>),
        rng: &mut impl CryptoRng,
    ) -> (Self, Vec<u8>) {
        let begun = Refresh::begin(side, session, rng);
        let say = [&[OFFER][..], begun.offer()].concat();
        let held = held.map_or([0; BINDING_BYTES], |held| held.0);
        (Self { own, held, state: State::Begun(begun) }, say)
    }

    /// Takes what the partner said.
    ///
    /// # Errors
    /// If no honest partner says that. Nothing more comes of the greeting.
    pub(crate) fn heard(
        &mut self,
        said: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Reply, GreetingError> {
        let (kind, said) = said.split_first().ok_or(GreetingError::Unreadable)?;
        match (*kind, std::mem::replace(&mut self.state, State::Over)) {
            (OFFER, State::Begun(begun)) => {
                let offered = begun.offered(&exactly::<OFFER_BYTES>(said)?, rng)?;
                let say = [&[ANSWER][..], offered.ciphertext()].concat();
                self.state = State::Offered(offered);
                Ok(Reply::Say(say))
            }
            (ANSWER, State::Offered(offered)) => {
                let mixed = offered.answered(&exactly::<CIPHERTEXT_BYTES>(said)?)?;
                let root = Box::new(mixed.root().clone());
                let say =
                    [&[IDENTITY][..], &mixed.confirmation(), &self.own.to_bytes(), &self.held]
                        .concat();
                self.state = State::Mixed(mixed);
                Ok(Reply::Keep { root, say })
            }
            (IDENTITY, State::Mixed(mixed)) => {
                let (confirmation, said) =
                    said.split_first_chunk().ok_or(GreetingError::Unreadable)?;
                let (code, held) = said.split_first_chunk().ok_or(GreetingError::Unreadable)?;
                mixed.confirmed(confirmation)?;
                let code = ContactCode::from_bytes(code).map_err(|_| GreetingError::Unreadable)?;
                let both = exactly::<BINDING_BYTES>(held)? == self.held;
                let holds = both && self.held != [0; BINDING_BYTES];
                let binding = if holds { SessionBinding(self.held) } else { mixed.binding() };
                Ok(Reply::Known { code, binding })
            }
            _ => Err(GreetingError::Unreadable),
        }
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], GreetingError> {
    bytes.try_into().map_err(|_| GreetingError::Unreadable)
}

#[cfg(test)]
mod tests {
    use antiphon_contacts::{BoxAddress, Expiry, NetworkMark, OwnCodes};
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn begin(side: Side, session: u8, seed: u64) -> (Greeting, Vec<u8>, ContactCode) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut codes = OwnCodes::default();
        let network = NetworkMark([1; 4]);
        let own = codes.make("other", network, BoxAddress(3), Expiry::NEVER, &mut rng).unwrap();
        let own = *own.code();
        let session = SessionSecret([session; 32]);
        let (greeting, say) = Greeting::begin(side, session, (own, None), &mut rng);
        (greeting, say, own)
    }

    #[test]
    fn both_ends_find_one_root_and_know_each_other_by_their_codes() {
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let (mut a, a_says, a_code) = begin(Side::First, 5, 1);
        let (mut b, b_says, b_code) = begin(Side::Second, 5, 2);
        let say = |reply| match reply {
            Ok(Reply::Say(say)) => say,
            _ => panic!("there is something to be said"),
        };
        let answers = [say(a.heard(&b_says, &mut rng)), say(b.heard(&a_says, &mut rng))];
        let keep = |reply| match reply {
            Ok(Reply::Keep { root, say }) => (root, say),
            _ => panic!("there is a root to be kept"),
        };
        let (a_root, a_says) = keep(a.heard(&answers[1], &mut rng));
        let (b_root, b_says) = keep(b.heard(&answers[0], &mut rng));
        let wheel = |root: &CallRoot| antiphon_contacts::Keywheel::new(root).to_bytes();
        assert_eq!(wheel(&a_root), wheel(&b_root));
        let known = |reply| match reply {
            Ok(Reply::Known { code, binding }) => (code, binding),
            _ => panic!("the partner is known"),
        };
        let (of_b, at_a) = known(a.heard(&b_says, &mut rng));
        let (of_a, at_b) = known(b.heard(&a_says, &mut rng));
        assert_eq!((of_a, of_b), (a_code, b_code));
        assert_eq!(at_a, at_b);
        assert_eq!(a.heard(&b_says, &mut rng).err(), Some(GreetingError::Unreadable));
    }

    #[test]
    fn who_has_another_session_secret_is_not_known() {
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let (mut a, a_says, _) = begin(Side::First, 5, 1);
        let (mut b, b_says, _) = begin(Side::Second, 6, 2);
        let Ok(Reply::Say(a_answers)) = a.heard(&b_says, &mut rng) else { panic!("an answer") };
        let Ok(Reply::Say(b_answers)) = b.heard(&a_says, &mut rng) else { panic!("an answer") };
        assert!(matches!(a.heard(&b_answers, &mut rng), Ok(Reply::Keep { .. })));
        let Ok(Reply::Keep { say, .. }) = b.heard(&a_answers, &mut rng) else { panic!("a root") };
        let refused = GreetingError::Refresh(RefreshError::Confirmation);
        assert_eq!(a.heard(&say, &mut rng).err(), Some(refused));
    }

    proptest! {
        #[test]
        fn whatever_the_partner_says_is_refused_or_answered(
            said in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1300), 0..4),
            kinds in prop::collection::vec(0..4_u8, 4),
        ) {
            let mut rng = ChaCha20Rng::seed_from_u64(9);
            let (mut greeting, ..) = begin(Side::First, 5, 1);
            for (said, kind) in said.into_iter().zip(kinds) {
                let _ = greeting.heard(&[&[kind][..], &said].concat(), &mut rng);
            }
        }
    }
}
