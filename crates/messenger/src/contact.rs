//! A contact as it is kept: who it is, and what calls and sessions are made from.

use antiphon_client::{ConversationOptions, ConversationSecret, Role, Start};
use antiphon_contacts::{
    BoxAddress, CODE_BYTES, CallRoot, CallRound, Change, ContactCode, Identity, KEPT_MS,
    NetworkMark, OwnCode, Roots, SafetyNumber, SameCodeError, SessionBinding, SessionSecret, Side,
};
use antiphon_profile::{ContactId, Keepsake, KeepsakeKind};
use antiphon_wire::{Timestamp, box_of_address};
use rand::CryptoRng;
use zeroize::Zeroize as _;

use crate::calls::line::{CallMarks, Line};
use crate::error::MessengerError;

/// Most bytes of a contact's name.
const MOST_NAME_BYTES: usize = 64;
const VERSION: u16 = 4;
/// The version without invitations, of the same form.
const WITHOUT_INVITATIONS: u16 = 3;
/// The version without calls.
const WITHOUT_CALLS: u16 = 1;
/// The version in which no other code than the one that was given could be told.
const WITHOUT_CHANGE: u16 = 2;
/// Id, side, flags, number of the session, the two codes, calls that have left, time until which naps are made good, secret of
/// the session that stands, binding, time until which a phrase is good, more flags, another code that was told.
const FIXED_BYTES: usize = CHANGE_AT + 1 + CODE_BYTES;
/// Bytes before what the version without a change does not have.
const CHANGE_AT: usize = CALLS_AT + 4 + 8 + SECRET_BYTES + BINDING_BYTES + 8;
const BINDING_BYTES: usize = 32;
/// Bytes before what the version before does not have.
const FLAGS_AT: usize = 17;
const CALLS_AT: usize = 16 + 1 + 1 + 8 + 2 * CODE_BYTES;
const SECRET_BYTES: usize = 32;
const VERIFIED: u8 = 1;
const BLOCKED: u8 = 2;
/// The session stands that a call opened.
const STANDS: u8 = 4;
/// The contact is to be called.
const TELL: u8 = 8;
/// The call root was replaced in a session.
const REFRESHED: u8 = 16;
/// The two are known by a session's binding and not by what their codes follow from: they have met by a phrase.
const BY_PHRASE: u8 = 32;
/// The contact is not who it was, and the user has not compared the number since.
const CHANGED: u8 = 64;
/// The user had compared the number of before.
const WAS_VERIFIED: u8 = 128;
/// In the second byte of flags: both ends have the binding.
const SHARED: u8 = 1;
/// There: as by a phrase, by an invitation.
const BY_INVITATION: u8 = 2;
/// There: this end has invited, and is not called yet. It calls nobody who may never have accepted.
const AWAITS: u8 = 4;
/// Time for which an invitation is good that has led to no session, as long as boxes are kept.
const INVITATION_MS: u64 = KEPT_MS;
/// Time for which a phrase is good that has led to no session: two days.
const PHRASE_MS: u64 = 48 * 3_600_000;
/// Call rounds for which old roots are kept: there is one a minute.
const KEPT_ROUNDS: u64 = KEPT_MS / 60_000;

const SIGNING_CONTEXT: &str = "Antiphon 2026 identity of a contact code";
const BINDING_CONTEXT: &str = "Antiphon 2026 binding of two contact codes";

/// Reason why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No name, or one that is too long.
    #[error("a contact's name has 1 to {MOST_NAME_BYTES} bytes: only you see it")]
    Length,
    /// Characters that move the cursor or begin a line.
    #[error("a contact's name is one line without control characters")]
    Control,
    /// Another contact has it.
    #[error("there is a contact \"{0}\" already: take another name")]
    Taken(String),
}

/// A contact.
#[derive(Debug)]
pub struct Contact {
    id: ContactId,
    name: String,
    side: Side,
    verified: bool,
    blocked: bool,
    /// Number of the session: the call round that opened it, or without calls a number that each end raises when one is over.
    session: u64,
    calls: CallMarks,
    /// Secret of the session that stands: its call root may have been replaced since.
    secret: Option<SessionSecret>,
    refreshed: bool,
    meeting: Option<Meeting>,
    changed: Option<Changed>,
    own: ContactCode,
    partner: ContactCode,
    roots: Roots,
}

/// Way to a contact with whom nothing but a call root was in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Phrase,
    Invitation,
}

/// What a contact by a phrase or by an invitation has besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meeting {
    way: Way,
    /// What binds the identities, once both were told.
    binding: Option<SessionBinding>,
    /// The partner has said that it has the same.
    shared: bool,
    /// Time until which the phrase or the invitation is good.
    until: Timestamp,
}

/// Who a contact says it is, where that is not what it was, until the user has compared the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Changed {
    /// The code by which it says it is known: the one of before if it does not know the session that bound the two.
    told: ContactCode,
    was_verified: bool,
}

impl Contact {
    /// The contact that follows from a phrase's call root, for the end at `side`.
    pub(crate) fn of_phrase(
        name: String,
        (root, side): (&CallRoot, Side),
        network: NetworkMark,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let [first, second] = root.codes(network);
        let codes = match side {
            Side::First => (first, second),
            Side::Second => (second, first),
        };
        let until = now.plus_ms(PHRASE_MS);
        let phrase = Meeting { way: Way::Phrase, binding: None, shared: false, until };
        Self::added(name, (root, side), codes, Some(phrase), rng)
    }

    /// The contact that follows from an invitation's call root, for the end at `side`. The inviter listens at the first
    /// address, and the owner of the code at the second.
    pub(crate) fn of_invitation(
        name: String,
        (root, side): (&CallRoot, Side),
        addresses: [BoxAddress; 2],
        network: NetworkMark,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let [mut first, mut second] = root.codes(network);
        [first.address, second.address] = addresses;
        let codes = match side {
            Side::First => (first, second),
            Side::Second => (second, first),
        };
        let until = now.plus_ms(INVITATION_MS);
        let invitation = Meeting { way: Way::Invitation, binding: None, shared: false, until };
        let mut added = Self::added(name, (root, side), codes, Some(invitation), rng);
        added.calls.awaits = side == Side::First;
        added
    }

    /// The same under another id.
    pub(crate) fn with_id(self, id: ContactId) -> Self {
        Self { id, ..self }
    }

    /// The contact that follows from both ends' codes.
    pub(crate) fn of_codes(
        name: String,
        own: &OwnCode,
        partner: ContactCode,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SameCodeError> {
        let (root, side) = CallRoot::of_codes(own, &partner)?;
        Ok(Self::added(name, (&root, side), (*own.code(), partner), None, rng))
    }

    /// A contact with whom there was no session yet, by the codes by which the two ends, this one first, know each other.
    fn added(
        name: String,
        (root, side): (&CallRoot, Side),
        (own, partner): (ContactCode, ContactCode),
        meeting: Option<Meeting>,
        rng: &mut impl CryptoRng,
    ) -> Self {
        Self {
            id: ContactId::draw(rng),
            name,
            side,
            verified: false,
            blocked: false,
            session: 0,
            calls: CallMarks { tell: true, ..CallMarks::default() },
            secret: None,
            refreshed: false,
            meeting,
            changed: None,
            own,
            partner,
            roots: Roots::new(side, root, KEPT_ROUNDS),
        }
    }

    /// Time until which the phrase or the invitation is good that the two have not met by yet.
    pub(crate) fn lapses(&self) -> Option<Timestamp> {
        self.meeting.filter(|meeting| meeting.binding.is_none()).map(|meeting| meeting.until)
    }

    /// `true` if the two have met by a phrase.
    pub const fn is_by_phrase(&self) -> bool {
        matches!(self.meeting, Some(Meeting { way: Way::Phrase, .. }))
    }

    /// `true` if one of the two has invited the other.
    pub const fn is_by_invitation(&self) -> bool {
        matches!(self.meeting, Some(Meeting { way: Way::Invitation, .. }))
    }

    /// What binds the identities of a contact by a phrase or an invitation, if both were told.
    pub(crate) fn binding(&self) -> Option<SessionBinding> {
        self.meeting?.binding
    }

    /// Takes note of who the partner says it is, and, if it is the one of before, that it has the fresh call root from this
    /// round on. Another identity or binding than before is not verified. Returns what has changed.
    pub(crate) fn know(
        &mut self,
        code: &ContactCode,
        binding: SessionBinding,
        round: CallRound,
    ) -> Change {
        let before = self.changed;
        let was_verified = before.map_or(self.verified, |before| before.was_verified);
        let is_partner = *code == self.partner;
        let mut is_bound_anew = false;
        if let Some(meeting) = self.meeting.as_mut().filter(|_| is_partner) {
            let has_it = meeting.binding == Some(binding);
            // What a session that broke off left at one end alone is nobody's number yet.
            is_bound_anew = !has_it && (meeting.shared || was_verified);
            (meeting.binding, meeting.shared) = (Some(binding), has_it);
            self.verified &= has_it;
        }
        if is_partner {
            self.confirm_root(round);
            // Who was told to be another one and is the one of before is explained no more, and is not verified.
            self.changed = before.filter(|before| before.told == self.partner);
        }
        if !is_partner || is_bound_anew {
            self.changed = Some(Changed { told: *code, was_verified });
            self.verified = false;
        }
        match self.changed {
            changed if changed == before && !is_bound_anew => Change::None,
            _ => self.change(),
        }
    }

    /// What the user has to be told of the contact's identity.
    pub fn change(&self) -> Change {
        match self.changed {
            None => Change::None,
            Some(Changed { told, was_verified }) if told == self.partner => {
                Change::Session { was_verified }
            }
            Some(Changed { was_verified, .. }) => Change::Partner { was_verified },
        }
    }

    /// The same in words; `None` if nothing has changed.
    pub fn changed(&self) -> Option<String> {
        self.change().explained(&self.name).map(|words| words.to_string())
    }

    /// The name of the contact in the store.
    pub const fn id(&self) -> ContactId {
        self.id
    }

    /// The name that the user gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `true` once the user has compared the safety number.
    pub const fn is_verified(&self) -> bool {
        self.verified
    }

    /// `true` if the user wants nothing of it.
    pub const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The code that this end gave to the contact.
    pub const fn own_code(&self) -> &ContactCode {
        &self.own
    }

    /// The code that the contact gave.
    pub const fn code(&self) -> &ContactCode {
        &self.partner
    }

    /// The user has compared the number: whoever the contact says it is, it is.
    pub(crate) fn set_verified(&mut self) {
        self.partner = self.changed.take().map_or(self.partner, |changed| changed.told);
        self.verified = true;
    }

    pub(crate) fn set_blocked(&mut self, blocked: bool) {
        self.blocked = blocked;
    }

    /// The number to compare with the contact, on a way on which nobody can change it: the same at both ends if both have
    /// the codes that the other gave. Where a contact comes of two codes, their keys are the two identities. Of a contact
    /// by a phrase or an invitation there is none before the first session has told them. Of a contact that has told
    /// another code since, it is that code's.
    pub fn safety_number(&self) -> Option<SafetyNumber> {
        let told = self.changed.map_or(self.partner, |changed| changed.told);
        let [own, partner] = [&self.own, &told].map(identity);
        let binding = match self.meeting {
            Some(meeting) => meeting.binding?,
            None => {
                let mut codes = [self.own.to_bytes(), told.to_bytes()];
                codes.sort_unstable();
                SessionBinding(blake3::derive_key(BINDING_CONTEXT, &codes.concat()))
            }
        };
        Some(SafetyNumber::new(&own, &partner, &binding))
    }

    /// The terms of the session that is due. `None` if its keys are gone, which this program never lets happen.
    pub(crate) fn terms(&self) -> Option<ConversationOptions> {
        let secret = self.session_secret()?;
        let role = match self.side {
            Side::First => Role::First,
            Side::Second => Role::Second,
        };
        let terms = ConversationOptions::new(ConversationSecret(secret.0), role, Start::Dense);
        Some(ConversationOptions { verified: self.verified, ..terms })
    }

    /// The secret of the session that is due.
    pub(crate) fn session_secret(&self) -> Option<SessionSecret> {
        let standing = self.secret.clone();
        standing.or_else(|| self.roots.session(CallRound(self.session)))
    }

    /// The user's end.
    pub(crate) const fn side(&self) -> Side {
        self.side
    }

    /// `true` once the call root was replaced, in a session, by one that follows from fresh hybrid keys: whoever has
    /// a code's secret key cannot tell the contact's calls any more.
    pub const fn is_refreshed(&self) -> bool {
        self.refreshed
    }

    /// Takes a fresh call root, which the partner may not have yet.
    pub(crate) fn take_root(&mut self, root: &CallRoot) {
        self.roots.refreshed(root);
    }

    /// The partner has the fresh call root, from this round on.
    pub(crate) fn confirm_root(&mut self, round: CallRound) {
        self.roots.confirmed(round);
        self.refreshed = true;
    }

    /// The call roots.
    pub(crate) fn into_roots(self) -> Roots {
        self.roots
    }

    /// The number of the session that is due.
    pub(crate) const fn session(&self) -> u64 {
        self.session
    }

    /// Goes on to the next session. The keys of the one before cannot be found again.
    pub(crate) fn end_session(&mut self) {
        self.session += 1;
        self.roots.forget_before(CallRound(self.session));
    }

    /// The contact as far as calls go, in a network with so many boxes of them.
    pub(crate) fn into_line(self, boxes: u16) -> Line {
        let lapses = self.lapses();
        let number = box_of_address(self.partner.address.0, boxes);
        Line::new(self.roots, number, self.calls).until(lapses)
    }

    /// What calls have left behind.
    pub(crate) const fn calls(&self) -> CallMarks {
        self.calls
    }

    /// Takes note of what calls leave behind, and erases the keys of all rounds before `needed`.
    pub(crate) fn set_calls(&mut self, calls: CallMarks, needed: CallRound) {
        if let Some(session) = calls.session.filter(|session| self.calls.session != Some(*session))
        {
            self.session = session.0;
            self.secret = self.roots.session(session);
        }
        self.secret = self.secret.take().filter(|_| calls.session.is_some());
        self.calls = calls;
        self.roots.forget_before(needed);
    }

    /// The record to keep. [`Store::replace_keepsake`](antiphon_profile::Store::replace_keepsake) takes it.
    pub(crate) fn keepsake(&self) -> Keepsake {
        let roots = self.roots.to_bytes();
        let mut bytes = Vec::with_capacity(FIXED_BYTES + roots.len());
        bytes.extend(self.id.0);
        bytes.push(match self.side {
            Side::First => 0,
            Side::Second => 1,
        });
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let calls = &self.calls;
        bytes.push(
            flag(self.verified, VERIFIED)
                | flag(self.blocked, BLOCKED)
                | flag(calls.session.is_some(), STANDS)
                | flag(calls.tell, TELL)
                | flag(self.refreshed, REFRESHED)
                | flag(self.is_by_phrase(), BY_PHRASE)
                | flag(self.changed.is_some(), CHANGED)
                | flag(self.changed.is_some_and(|changed| changed.was_verified), WAS_VERIFIED),
        );
        bytes.extend(self.session.to_be_bytes());
        bytes.extend(self.own.to_bytes());
        bytes.extend(self.partner.to_bytes());
        bytes.extend(calls.calls.to_be_bytes());
        bytes.extend(calls.naps_until.0.to_be_bytes());
        bytes.extend(self.secret.as_ref().map_or([0; SECRET_BYTES], |secret| secret.0));
        bytes.extend(self.binding().map_or([0; BINDING_BYTES], |binding| binding.0));
        bytes.extend(self.meeting.map_or(0, |meeting| meeting.until.0).to_be_bytes());
        bytes.push(
            flag(self.meeting.is_some_and(|meeting| meeting.shared), SHARED)
                | flag(self.is_by_invitation(), BY_INVITATION)
                | flag(calls.awaits, AWAITS),
        );
        bytes.extend(self.changed.map_or([0; CODE_BYTES], |changed| changed.told.to_bytes()));
        bytes.extend(&roots[..]);
        Keepsake { kind: KeepsakeKind::Contact, name: self.name.clone(), version: VERSION, bytes }
    }

    /// The contact that a record holds.
    pub(crate) fn parse(keepsake: &Keepsake) -> Result<Self, MessengerError> {
        let read = match keepsake.version {
            VERSION | WITHOUT_INVITATIONS => Self::read(&keepsake.name, &keepsake.bytes),
            WITHOUT_CHANGE => Self::read_older(&keepsake.name, &keepsake.bytes, CHANGE_AT),
            WITHOUT_CALLS => Self::read_without_calls(&keepsake.name, &keepsake.bytes),
            _ => return Err(MessengerError::Newer(keepsake.name.clone())),
        };
        read.ok_or_else(|| MessengerError::Damaged(keepsake.name.clone()))
    }

    /// Reads a record of the version before: as one of a contact who was not called yet.
    fn read_without_calls(name: &str, bytes: &[u8]) -> Option<Self> {
        if bytes.get(FLAGS_AT)? & !(VERIFIED | BLOCKED) != 0 {
            return None;
        }
        let mut read = Self::read_older(name, bytes, CALLS_AT)?;
        read.calls.tell = true;
        Some(read)
    }

    /// Reads a record that has nothing from byte `at` up to the call roots.
    fn read_older(name: &str, bytes: &[u8], at: usize) -> Option<Self> {
        let (fixed, roots) = bytes.split_at_checked(at)?;
        let lacks = vec![0; FIXED_BYTES - at];
        let mut bytes = [fixed, &lacks, roots].concat();
        let read = (fixed.get(FLAGS_AT)? & CHANGED == 0).then(|| Self::read(name, &bytes));
        bytes.zeroize();
        read.flatten()
    }

    fn read(name: &str, bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let ([side, flags], rest) = rest.split_first_chunk::<2>()?;
        let (session, rest) = rest.split_first_chunk::<8>()?;
        let (own, rest) = rest.split_first_chunk::<CODE_BYTES>()?;
        let (partner, rest) = rest.split_first_chunk::<CODE_BYTES>()?;
        let (calls, rest) = rest.split_first_chunk::<4>()?;
        let (naps_until, rest) = rest.split_first_chunk::<8>()?;
        let (secret, rest) = rest.split_first_chunk::<SECRET_BYTES>()?;
        let (binding, rest) = rest.split_first_chunk::<BINDING_BYTES>()?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let ([more], rest) = rest.split_first_chunk::<1>()?;
        let (told, roots) = rest.split_first_chunk::<CODE_BYTES>()?;
        let (session, stands) = (u64::from_be_bytes(*session), flags & STANDS != 0);
        if !stands && *secret != [0; SECRET_BYTES] {
            return None;
        }
        let until = Timestamp(u64::from_be_bytes(*until));
        let meeting = read_meeting((flags & BY_PHRASE != 0, *more), *binding, until)?;
        let calls = CallMarks {
            session: stands.then_some(CallRound(session)),
            tell: flags & TELL != 0,
            awaits: more & AWAITS != 0,
            calls: u32::from_be_bytes(*calls),
            naps_until: Timestamp(u64::from_be_bytes(*naps_until)),
        };
        Some(Self {
            id: ContactId(*id),
            name: name.to_owned(),
            side: read_side(*side)?,
            verified: flags & VERIFIED != 0,
            blocked: flags & BLOCKED != 0,
            session,
            calls,
            secret: stands.then_some(SessionSecret(*secret)),
            refreshed: flags & REFRESHED != 0,
            meeting,
            changed: read_changed(*flags, told)?,
            own: ContactCode::from_bytes(own).ok()?,
            partner: ContactCode::from_bytes(partner).ok()?,
            roots: Roots::from_bytes(roots).ok()?,
        })
    }
}

fn read_side(byte: u8) -> Option<Side> {
    match byte {
        0 => Some(Side::First),
        1 => Some(Side::Second),
        _ => None,
    }
}

/// What a record says of a phrase or an invitation. `None` if it says it of a contact by codes, or of one by both.
fn read_meeting(
    (is_by_phrase, more): (bool, u8),
    binding: [u8; 32],
    until: Timestamp,
) -> Option<Option<Meeting>> {
    let bound = binding != [0; BINDING_BYTES];
    let shared = more & SHARED != 0;
    if more & !(SHARED | BY_INVITATION | AWAITS) != 0 || shared && !bound {
        return None;
    }
    let way = match (is_by_phrase, more & (BY_INVITATION | AWAITS)) {
        (true, 0) => Way::Phrase,
        (false, kind) if kind & BY_INVITATION != 0 => Way::Invitation,
        (false, 0) if !bound && until == Timestamp(0) => return Some(None),
        _ => return None,
    };
    let binding = bound.then_some(SessionBinding(binding));
    Some(Some(Meeting { way, binding, shared, until }))
}

/// What a record says of a change. `None` if it says what no change leaves behind.
fn read_changed(flags: u8, told: &[u8; CODE_BYTES]) -> Option<Option<Changed>> {
    let was_verified = flags & WAS_VERIFIED != 0;
    if flags & CHANGED == 0 {
        return (!was_verified && *told == [0; CODE_BYTES]).then_some(None);
    }
    let told = ContactCode::from_bytes(told).ok().filter(|_| flags & VERIFIED == 0)?;
    Some(Some(Changed { told, was_verified }))
}

/// The keys by which a code's owner is known: the code's own, and a mark of all that the code says.
fn identity(code: &ContactCode) -> Identity {
    let signing = blake3::derive_key(SIGNING_CONTEXT, &code.to_bytes());
    Identity { agreement: *code.key.bytes(), signing }
}

/// Sees that a name can be shown in a line.
pub(crate) fn check_name(name: &str) -> Result<(), NameError> {
    match name {
        _ if name.is_empty() || name.len() > MOST_NAME_BYTES => Err(NameError::Length),
        _ if name.chars().any(char::is_control) => Err(NameError::Control),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use antiphon_contacts::{Expiry, OwnCodes};
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    /// Two people who have given each other a code.
    fn pair() -> [Contact; 2] {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let mut own = |label| {
            let mut codes = OwnCodes::default();
            codes
                .make(label, NetworkMark([1; 4]), BoxAddress(3), Expiry::NEVER, &mut rng)
                .unwrap()
                .clone()
        };
        let (alice, bob) = (own("bob"), own("alice"));
        let mut rng = ChaCha20Rng::seed_from_u64(8);
        [
            Contact::of_codes("bob".into(), &alice, *bob.code(), &mut rng).unwrap(),
            Contact::of_codes("alice".into(), &bob, *alice.code(), &mut rng).unwrap(),
        ]
    }

    fn introduction() -> antiphon_contacts::Introduction {
        let address = BoxAddress(0);
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let [first, _] = antiphon_contacts::Introduction::draw(address, address, &mut rng);
        first
    }

    #[test]
    fn both_ends_find_the_same_secrets_of_each_session_and_different_roles() {
        let [mut alice, mut bob] = pair();
        let mut secrets = Vec::new();
        for _ in 0..3 {
            let (a, b) = (alice.terms().unwrap(), bob.terms().unwrap());
            assert_eq!(a.secret.0, b.secret.0);
            assert_ne!(a.role, b.role);
            secrets.push(a.secret.0);
            alice.end_session();
            bob.end_session();
        }
        secrets.dedup();
        assert_eq!(secrets.len(), 3);
    }

    #[test]
    fn the_safety_number_is_the_same_at_both_ends_and_another_one_for_another_code() {
        let [alice, bob] = pair();
        assert_eq!(alice.safety_number(), bob.safety_number());
        let mut other = bob;
        other.own.knock_tag[0] ^= 1;
        assert_ne!(alice.safety_number(), other.safety_number());
    }

    #[test]
    fn a_contact_is_read_as_it_was_kept_and_a_newer_one_is_refused() {
        let [mut alice, _] = pair();
        alice.end_session();
        alice.set_verified();
        let naps_until = Timestamp(5);
        let session = Some(CallRound(11));
        let calls = CallMarks { session, tell: true, calls: 3, naps_until, awaits: false };
        alice.set_calls(calls, CallRound(11));
        let mut kept = alice.keepsake();
        let read = Contact::parse(&kept).unwrap();
        assert_eq!(read.keepsake(), kept);
        assert_eq!((read.session(), read.is_verified(), read.is_blocked()), (11, true, false));
        assert_eq!(read.calls(), calls);
        // Whatever becomes of the root, the session has its secret.
        let terms = alice.terms().unwrap().secret.0;
        alice.take_root(&CallRoot::of_introduction(&introduction()));
        alice.confirm_root(CallRound(12));
        let again = Contact::parse(&alice.keepsake()).unwrap();
        assert!(again.is_refreshed() && again.terms().unwrap().secret.0 == terms);
        alice.set_calls(CallMarks::default(), CallRound(12));
        assert!(alice.terms().is_none());
        assert_eq!(read.terms().unwrap().secret.0, terms);
        kept.version = 5;
        assert!(Contact::parse(&kept).unwrap_err().to_string().contains("newer"));
    }

    proptest! {
        #[test]
        fn other_bytes_are_refused_or_read_as_what_writes_them(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            if let Some(read) = Contact::read("bob", &bytes) {
                prop_assert_eq!(&read.keepsake().bytes, &bytes);
            }
        }
    }

    #[test]
    fn a_contact_of_before_calls_is_to_be_called() {
        let [mut alice, _] = pair();
        alice.end_session();
        let mut kept = alice.keepsake();
        kept.bytes.drain(CALLS_AT..FIXED_BYTES);
        kept.bytes[FLAGS_AT] = VERIFIED;
        kept.version = WITHOUT_CALLS;
        let read = Contact::parse(&kept).unwrap();
        assert_eq!(read.terms().unwrap().secret.0, alice.terms().unwrap().secret.0);
        assert!(read.is_verified() && read.calls().tell && read.calls().session.is_none());
        kept.bytes[FLAGS_AT] = STANDS;
        assert!(Contact::parse(&kept).is_err());
    }

    #[test]
    fn contacts_by_a_phrase_have_a_number_once_both_were_told_and_the_same_one() {
        let mut rng = ChaCha20Rng::seed_from_u64(8);
        let root = CallRoot::of_introduction(&introduction());
        let (network, now) = (NetworkMark([1; 4]), Timestamp(9));
        let mut ends = [Side::First, Side::Second]
            .map(|side| Contact::of_phrase("other".into(), (&root, side), network, now, &mut rng));
        assert!(ends.iter().all(|end| end.safety_number().is_none()));
        assert_eq!(ends[0].lapses(), Some(now.plus_ms(PHRASE_MS)));
        let codes = [*ends[0].own_code(), *ends[1].own_code()];
        let told = |end: &mut Contact, code, binding| {
            let change = end.know(code, SessionBinding([binding; 32]), CallRound(5));
            (end.safety_number().unwrap(), change)
        };
        // A session that broke off before the second was told, and one that did not.
        let (alone, _) = told(&mut ends[0], &codes[1], 1);
        let (first, change) = told(&mut ends[0], &codes[1], 2);
        assert_eq!(change, Change::None, "nobody else ever had that number");
        assert_eq!(told(&mut ends[1], &codes[0], 2), (first.clone(), Change::None));
        // Both have it from then on, and whoever does not any more is explained.
        ends[0].set_verified();
        assert_eq!(told(&mut ends[0], &codes[1], 2), (first.clone(), Change::None));
        assert!(ends[0].is_verified());
        let mut other = Contact::parse(&ends[0].keepsake()).unwrap();
        let (second, change) = told(&mut other, &codes[1], 3);
        assert_eq!(change, Change::Session { was_verified: true });
        assert!(second != first && !other.is_verified());
        assert!(other.changed().unwrap().contains("does not know the safety number"));
        assert_eq!(Contact::parse(&other.keepsake()).unwrap().keepsake(), other.keepsake());
        assert_eq!(told(&mut other, &codes[1], 3), (second, Change::None), "once");
        assert!(alone != first && ends[0].lapses().is_none());
        let read = Contact::parse(&ends[0].keepsake()).unwrap();
        assert_eq!(read.keepsake(), ends[0].keepsake());
        assert_eq!(read.safety_number(), Some(first));
    }

    #[test]
    fn another_code_is_explained_and_is_the_contacts_once_its_number_was_compared() {
        let [mut alice, mut bob] = pair();
        let (binding, round) = (SessionBinding([1; 32]), CallRound(5));
        let first = *alice.code();
        assert_eq!(alice.know(&first, binding, round), Change::None);
        assert!(alice.is_refreshed() && alice.changed().is_none());
        alice.set_verified();
        let number = alice.safety_number().unwrap();
        // Bob has begun anew, and keeps his contact by another code of his own.
        bob.own.knock_tag[0] ^= 1;
        let other = bob.own;
        let change = Change::Partner { was_verified: true };
        assert_eq!(alice.know(&other, binding, round), change);
        assert!(!alice.is_verified());
        assert!(alice.changed().unwrap().starts_with("bob has another identity"));
        assert_eq!(alice.know(&other, binding, round), Change::None, "it is told once");
        let again = Contact::parse(&alice.keepsake()).unwrap();
        assert_eq!((again.change(), again.keepsake()), (change, alice.keepsake()));
        assert!(alice.safety_number().unwrap() != number);
        assert_eq!(alice.safety_number(), bob.safety_number());
        // The one of before again: no longer to be explained, and not verified.
        let mut back = again;
        assert_eq!(back.know(&first, binding, round), Change::None);
        assert!(back.changed().is_none() && !back.is_verified());
        alice.set_verified();
        assert!(alice.is_verified() && alice.changed().is_none());
        assert_eq!((alice.code(), alice.safety_number()), (&other, bob.safety_number()));
        assert_eq!(alice.know(&other, binding, round), Change::None);
    }

    #[test]
    fn a_record_of_before_changes_is_read_and_one_that_contradicts_itself_is_not() {
        let [mut alice, _] = pair();
        alice.set_verified();
        let mut kept = alice.keepsake();
        kept.bytes.drain(CHANGE_AT..FIXED_BYTES);
        kept.version = WITHOUT_CHANGE;
        assert_eq!(Contact::parse(&kept).unwrap().keepsake(), alice.keepsake());
        kept.bytes[FLAGS_AT] |= CHANGED;
        assert!(Contact::parse(&kept).is_err(), "there were no changes then");
        let other = ContactCode { knock_tag: [9; 16], ..*alice.code() };
        let _ = alice.know(&other, SessionBinding([1; 32]), CallRound(5));
        let mut kept = alice.keepsake();
        kept.bytes[FLAGS_AT] |= VERIFIED;
        assert!(Contact::parse(&kept).is_err(), "what has changed is not verified");
    }

    #[test]
    fn names_are_lines() {
        assert_eq!(check_name("Bob"), Ok(()));
        assert_eq!(check_name(""), Err(NameError::Length));
        assert_eq!(check_name(&"b".repeat(65)), Err(NameError::Length));
        assert_eq!(check_name("B\nob"), Err(NameError::Control));
    }
}
