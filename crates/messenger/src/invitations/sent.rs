//! Invitations that this user sends, until they are accepted or lapse.

use antiphon_contacts::{
    BoxAddress, CODE_BYTES, ContactCode, INVITATION_SECRET_BYTES, InvitationSecret, NetworkMark,
    OwnCodes, Side,
};
use antiphon_profile::{ContactId, Folder, Keepsake, KeepsakeKind, Store};
use antiphon_wire::{Round, Services, Timestamp};
use rand::CryptoRng;

use crate::book;
use crate::contact::Contact;
use crate::error::MessengerError;

const VERSION: u16 = 1;
/// What the names of the records begin with; the contact's id follows.
const PREFIX: &str = "invitation ";
/// Code, secret, the own box address, how often it was sent, and the first round of the next time.
const BYTES: usize = CODE_BYTES + INVITATION_SECRET_BYTES + 1 + 1 + 8;
/// Times that it is sent at most: far fewer than the invitations of one relation that the boxes' noise covers.
const MOST_TIMES: u8 = 16;
/// Invitation rounds from the first time to the second, four hours of the usual ones; from there on the time doubles.
const FIRST_GAP: u64 = 8;
/// Doublings at most.
const MOST_DOUBLINGS: u8 = 5;

/// An invitation that is on its way, or that nobody has answered yet.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) contact: ContactId,
    pub(crate) code: ContactCode,
    pub(crate) secret: InvitationSecret,
    /// Where this user listens.
    pub(crate) address: BoxAddress,
    times: u8,
    due: Round,
}

impl Sent {
    /// `true` if it may leave in `round`.
    pub(crate) fn is_due(&self, round: Round) -> bool {
        self.times < MOST_TIMES && self.due <= round
    }

    /// The same once it has left in a round.
    pub(crate) fn sent_in(&self, round: Round, services: &Services) -> Self {
        let cycle = u64::from(services.dead_drop_rounds) + u64::from(services.mailbox_rounds);
        let between = cycle * u64::from(services.invitations_every);
        let gap = (FIRST_GAP << self.times.min(MOST_DOUBLINGS)) * between;
        let due = Round(round.0.saturating_add(gap));
        Self { times: self.times + 1, due, ..self.clone() }
    }

    /// The same once it is known that it was lost.
    pub(crate) fn lost(&self) -> Self {
        Self { due: Round(0), ..self.clone() }
    }

    fn keepsake(&self) -> Keepsake {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend(self.code.to_bytes());
        bytes.extend(self.secret.bytes());
        bytes.extend([self.address.0, self.times]);
        bytes.extend(self.due.0.to_be_bytes());
        Keepsake {
            kind: KeepsakeKind::Setting,
            name: name_of(self.contact),
            version: VERSION,
            bytes,
        }
    }

    fn read(contact: ContactId, bytes: &[u8]) -> Option<Self> {
        let (code, rest) = bytes.split_first_chunk::<CODE_BYTES>()?;
        let (secret, rest) = rest.split_first_chunk()?;
        let ([address, times], rest) = rest.split_first_chunk()?;
        Some(Self {
            contact,
            code: ContactCode::from_bytes(code).ok()?,
            secret: InvitationSecret::from_bytes(*secret),
            address: BoxAddress(*address),
            times: *times,
            due: Round(u64::from_be_bytes(rest.try_into().ok()?)),
        })
    }
}

fn name_of(contact: ContactId) -> String {
    format!("{PREFIX}{contact}")
}

/// All that wait for an answer.
pub(crate) fn all(store: &Store<Folder>) -> Result<Vec<Sent>, MessengerError> {
    let kept = store.keepsakes()?;
    let kept = kept.iter().filter(|kept| kept.kind == KeepsakeKind::Setting);
    let read = kept.filter_map(|kept| {
        let contact = kept.name.strip_prefix(PREFIX)?.parse().ok()?;
        Sent::read(contact, &kept.bytes)
    });
    Ok(read.collect())
}

/// Keeps an invitation as it is now.
pub(crate) fn keep(
    store: &mut Store<Folder>,
    sent: &Sent,
    rng: &mut impl CryptoRng,
) -> Result<(), MessengerError> {
    Ok(store.replace_keepsake(sent.keepsake(), rng)?)
}

/// Erases what a contact was invited by, if it was.
pub(crate) fn forget(
    store: &mut Store<Folder>,
    contact: ContactId,
    rng: &mut impl CryptoRng,
) -> Result<(), MessengerError> {
    store.delete_keepsake(KeepsakeKind::Setting, &name_of(contact), rng)?;
    Ok(())
}

/// `true` if the contact is still to be invited: it has not called, is not blocked, and the invitation is good.
pub(crate) fn is_open(store: &Store<Folder>, sent: &Sent, now: Timestamp) -> bool {
    let is_good = |contact: &Contact| contact.lapses().is_some_and(|lapses| now < lapses);
    let found = book::contact(store, sent.contact);
    let is_wanted =
        |contact: Contact| contact.calls().awaits && !contact.is_blocked() && is_good(&contact);
    !sent.code.expiry.is_over(now) && found.is_ok_and(is_wanted)
}

/// Makes a contact of the code that somebody gave, who has none of this user, and the invitation for it.
pub(crate) fn invite(
    store: &mut Store<Folder>,
    network: NetworkMark,
    now: Timestamp,
    name: &str,
    text: &str,
    rng: &mut impl CryptoRng,
) -> Result<Contact, MessengerError> {
    book::check_free(store, name)?;
    let code = ContactCode::parse(text)?;
    let code = code.admit(network, now, &OwnCodes::new(book::codes(store)?))?;
    let known = book::contacts(store)?.into_iter().find(|contact| contact.code().key == code.key);
    let known = known.map(|contact| contact.id());
    let invited = all(store)?.into_iter().find(|sent| sent.code.key == code.key);
    if let Some(contact) = known.or(invited.map(|sent| sent.contact)) {
        let name = book::contact(store, contact)?.name().to_owned();
        return Err(MessengerError::KnownCode(name));
    }
    let address = book::address(store, rng)?;
    let secret = InvitationSecret::draw(rng);
    let root = (&secret.root(&code, address), Side::First);
    let addresses = [address, code.address];
    let contact = Contact::of_invitation(name.to_owned(), root, addresses, network, now, rng);
    // The contact first: an invitation of nobody would be sent for nothing.
    store.keep_keepsake(contact.keepsake(), rng)?;
    let sent = Sent { contact: contact.id(), code, secret, address, times: 0, due: Round(0) };
    keep(store, &sent, rng)?;
    Ok(contact)
}

#[cfg(test)]
mod tests {
    use antiphon_contacts::Expiry;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn sent() -> Sent {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let mut codes = OwnCodes::default();
        let made =
            codes.make("x", NetworkMark([1; 4]), BoxAddress(9), Expiry::NEVER, &mut rng).unwrap();
        Sent {
            contact: ContactId([7; 16]),
            code: *made.code(),
            secret: InvitationSecret::draw(&mut rng),
            address: BoxAddress(200),
            times: 0,
            due: Round(0),
        }
    }

    #[test]
    fn it_is_sent_less_and_less_often_and_at_most_sixteen_times() {
        let (mut sent, mut round, mut times) = (sent(), Round(359), 0);
        let mut gaps = Vec::new();
        while sent.is_due(round) {
            sent = sent.sent_in(round, &Services::USUAL);
            times += 1;
            gaps.push(sent.due.0 - round.0);
            assert!(!sent.is_due(round) && sent.lost().is_due(round) == (times < 16));
            round = sent.due;
        }
        assert_eq!(times, 16);
        assert!(gaps.is_sorted() && gaps[5] == 32 * gaps[0] && gaps[15] == gaps[5]);
    }

    #[test]
    fn it_is_read_as_it_was_kept() {
        let sent = sent().sent_in(Round(359), &Services::USUAL);
        let kept = sent.keepsake();
        assert_eq!(kept.bytes.len(), BYTES);
        let read = Sent::read(sent.contact, &kept.bytes).unwrap();
        assert_eq!(read.keepsake(), kept);
        for length in 0..BYTES {
            assert!(Sent::read(sent.contact, &kept.bytes[..length]).is_none());
        }
    }
}
