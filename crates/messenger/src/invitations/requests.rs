//! Invitations that have come, until the user decides on them. All of it is local: nobody learns that one came.

use antiphon_contacts::{KEPT_MS, Knock, NetworkMark};
use antiphon_profile::{ContactId, EventKind, Folder, Keepsake, KeepsakeKind, Store};
use antiphon_wire::Timestamp;
use rand::CryptoRng;

use crate::book;
use crate::contact::Contact;
use crate::error::MessengerError;

const VERSION: u16 = 1;
/// What the names of the records begin with; the id of the contact to be follows.
const PREFIX: &str = "request ";
/// Requests that wait for the user at most, and refused ones that are remembered.
const MOST_WAITING: usize = 32;
const MOST_REFUSED: usize = 256;

/// Somebody who has one of the user's codes asks to talk.
#[derive(Debug)]
pub struct Request {
    id: ContactId,
    came: Timestamp,
    knock: Knock,
}

impl Request {
    /// The id of the request, and of the contact that accepting makes.
    pub const fn id(&self) -> ContactId {
        self.id
    }

    /// The time at which it came.
    pub const fn came(&self) -> Timestamp {
        self.came
    }

    /// The label of the code that the other person has: all that is known of it.
    pub fn label(&self) -> &str {
        self.knock.label()
    }
}

/// What is kept of a request.
#[derive(Debug)]
enum State {
    Waits(Knock),
    /// Nothing but that it is not to be shown again.
    Refused,
}

#[derive(Debug)]
struct Kept {
    id: ContactId,
    /// Time at which it was first seen while it waits, and last seen once it was refused.
    at: Timestamp,
    state: State,
}

impl Kept {
    fn keepsake(&self) -> Keepsake {
        let mut bytes = self.at.0.to_be_bytes().to_vec();
        if let State::Waits(knock) = &self.state {
            bytes.extend(&knock.to_bytes()[..]);
        }
        let name = format!("{PREFIX}{}", self.id);
        Keepsake { kind: KeepsakeKind::Setting, name, version: VERSION, bytes }
    }

    fn read(id: ContactId, bytes: &[u8]) -> Option<Self> {
        let (at, knock) = bytes.split_first_chunk()?;
        let state = match knock {
            [] => State::Refused,
            knock => State::Waits(Knock::from_bytes(knock).ok()?),
        };
        Some(Self { id, at: Timestamp(u64::from_be_bytes(*at)), state })
    }

    const fn waits(&self) -> bool {
        matches!(self.state, State::Waits(_))
    }
}

fn kept(store: &Store<Folder>) -> Result<Vec<Kept>, MessengerError> {
    let all = store.keepsakes()?;
    let all = all.iter().filter(|kept| kept.kind == KeepsakeKind::Setting);
    let named = all.filter_map(|kept| Some((kept.name.strip_prefix(PREFIX)?.parse().ok()?, kept)));
    let read = |(id, kept): (ContactId, &Keepsake)| {
        Kept::read(id, &kept.bytes).ok_or(MessengerError::DamagedRequest)
    };
    named.map(read).collect()
}

fn erase(
    store: &mut Store<Folder>,
    id: ContactId,
    rng: &mut impl CryptoRng,
) -> Result<(), MessengerError> {
    store.delete_keepsake(KeepsakeKind::Setting, &format!("{PREFIX}{id}"), rng)?;
    Ok(())
}

/// The requests that wait for the user.
pub(crate) fn waiting(store: &Store<Folder>) -> Result<Vec<Request>, MessengerError> {
    let waiting = kept(store)?.into_iter().filter_map(|kept| match kept.state {
        State::Waits(knock) => Some(Request { id: kept.id, came: kept.at, knock }),
        State::Refused => None,
    });
    Ok(waiting.collect())
}

/// Takes what a box held for the user. A request that is known, was refused or has made a contact is none; of more than are
/// kept, the rest is left out.
pub(crate) fn take(
    store: &mut Store<Folder>,
    now: Timestamp,
    knocks: Vec<Knock>,
    rng: &mut impl CryptoRng,
) -> Result<(), MessengerError> {
    tidy(store, now, rng)?;
    for knock in knocks {
        let id = ContactId(knock.mark());
        let known = kept(store)?;
        match known.iter().find(|kept| kept.id == id) {
            Some(Kept { state: State::Waits(_), .. }) => continue,
            Some(_) => {
                // It is remembered for as long as it comes.
                let refused = Kept { id, at: now, state: State::Refused };
                store.replace_keepsake(refused.keepsake(), rng)?;
                continue;
            }
            None if book::contact(store, id).is_ok() => continue,
            None => {}
        }
        if known.iter().filter(|kept| kept.waits()).count() >= MOST_WAITING {
            // Without a label: nothing of users stands in a log.
            tracing::warn!("more people ask to talk than are kept: decide on some");
            return Ok(());
        }
        let new = Kept { id, at: now, state: State::Waits(knock) };
        store.keep_and_tell(new.keepsake(), (now, EventKind::Requested(id)), rng)?;
    }
    Ok(())
}

/// Erases what is of no use: requests whose inviter waits no longer, and refused ones that come no more.
fn tidy(
    store: &mut Store<Folder>,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<(), MessengerError> {
    let (mut refused, over): (Vec<_>, Vec<_>) =
        kept(store)?.into_iter().partition(|kept| now.ms_since(kept.at) < KEPT_MS);
    refused.retain(|kept| !kept.waits());
    refused.sort_by_key(|kept| kept.at);
    let many = refused.len().saturating_sub(MOST_REFUSED);
    over.iter().chain(&refused[..many]).try_for_each(|kept| erase(store, kept.id, rng))
}

fn find(store: &Store<Folder>, id: ContactId) -> Result<Request, MessengerError> {
    let found = waiting(store)?.into_iter().find(|request| request.id == id);
    found.ok_or_else(|| MessengerError::NoRequest(id.to_string()))
}

/// Makes a contact of a request, who is called from now on.
pub(crate) fn accept(
    store: &mut Store<Folder>,
    (network, now): (NetworkMark, Timestamp),
    id: ContactId,
    name: &str,
    rng: &mut impl CryptoRng,
) -> Result<Contact, MessengerError> {
    let request = find(store, id)?;
    book::check_free(store, name)?;
    let accepted = request.knock.accept();
    let addresses = [accepted.partner, accepted.own];
    let root = (&accepted.root, accepted.side);
    let contact = Contact::of_invitation(name.to_owned(), root, addresses, network, now, rng);
    let contact = contact.with_id(id);
    store.keep_keepsake(contact.keepsake(), rng)?;
    erase(store, id, rng)?;
    Ok(contact)
}

/// Refuses a request: its secret is erased, and the same invitation is not shown again. With `revoke`, the code under
/// which it came is taken back as well, and nobody can ask by it any more.
pub(crate) fn decline(
    store: &mut Store<Folder>,
    now: Timestamp,
    (id, revoke): (ContactId, bool),
    rng: &mut impl CryptoRng,
) -> Result<(), MessengerError> {
    let request = find(store, id)?;
    if revoke {
        // Contacts that are known by it stay: their call roots do not need its key.
        store.delete_keepsake(KeepsakeKind::Code, request.label(), rng)?;
    }
    let refused = Kept { id, at: now, state: State::Refused };
    Ok(store.replace_keepsake(refused.keepsake(), rng)?)
}
