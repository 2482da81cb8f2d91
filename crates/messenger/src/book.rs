//! The book of contacts and of the codes that were given out, in the store.

use antiphon_contacts::{
    BoxAddress, CallRoot, ContactCode, Expiry, NetworkMark, OwnCode, OwnCodes, Side,
};
use antiphon_profile::{ContactId, EventKind, Folder, Keepsake, KeepsakeKind, Store};
use antiphon_wire::{Round, Timestamp};
use rand::CryptoRng;

use crate::contact::{Contact, NameError, check_name};
use crate::error::MessengerError;

const CODE_VERSION: u16 = 1;
const ADDRESS_VERSION: u16 = 1;
/// Name of the setting that says where this user listens.
const ADDRESS: &str = "box address";
const READ_VERSION: u16 = 1;
/// Name of the setting that says which boxes of calls were read.
const READ: &str = "calls read";

/// The codes that were given out.
pub(crate) fn codes(store: &Store<Folder>) -> Result<Vec<OwnCode>, MessengerError> {
    let kept = store.keepsakes()?;
    let kept = kept.iter().filter(|kept| kept.kind == KeepsakeKind::Code);
    kept.map(|kept| Ok(OwnCode::from_bytes(&kept.bytes)?)).collect()
}

/// The contacts, by name.
pub(crate) fn contacts(store: &Store<Folder>) -> Result<Vec<Contact>, MessengerError> {
    let kept = store.keepsakes()?;
    let kept = kept.iter().filter(|kept| kept.kind == KeepsakeKind::Contact);
    kept.map(Contact::parse).collect()
}

/// One contact.
pub(crate) fn contact(store: &Store<Folder>, id: ContactId) -> Result<Contact, MessengerError> {
    let found = contacts(store)?.into_iter().find(|contact| contact.id() == id);
    found.ok_or_else(|| MessengerError::NoContact(id.to_string()))
}

/// Makes a code to be given to somebody, known by its label.
pub(crate) fn make_code(
    store: &mut Store<Folder>,
    network: NetworkMark,
    label: &str,
    expiry: Expiry,
    rng: &mut impl CryptoRng,
) -> Result<OwnCode, MessengerError> {
    let address = address(store, rng)?;
    let mut all = OwnCodes::new(codes(store)?);
    let made = all.make(label, network, address, expiry, rng)?.clone();
    store.keep_keepsake(keepsake_of(&made), rng)?;
    Ok(made)
}

/// Takes a code back: nobody can become a contact by it any more.
pub(crate) fn revoke_code(
    store: &mut Store<Folder>,
    label: &str,
    rng: &mut impl CryptoRng,
) -> Result<(), MessengerError> {
    let own = code(store, label)?.ok_or_else(|| MessengerError::NoCode(label.to_owned()))?;
    if contacts(store)?.iter().any(|contact| contact.own_code() == own.code()) {
        return Err(MessengerError::CodeInUse(label.to_owned()));
    }
    store.delete_keepsake(KeepsakeKind::Code, label, rng)?;
    Ok(())
}

/// Makes a contact of the code that somebody gave, and of the own code with the label `own` that this user gave in
/// return; the label is the contact's name unless it is said. Where there is no such code yet, one is made, to be
/// given away.
pub(crate) fn add(
    store: &mut Store<Folder>,
    network: NetworkMark,
    now: Timestamp,
    name: &str,
    text: &str,
    own: Option<&str>,
    rng: &mut impl CryptoRng,
) -> Result<Contact, MessengerError> {
    check_free(store, name)?;
    let known = contacts(store)?;
    let partner = ContactCode::parse(text)?;
    let partner = partner.admit(network, now, &OwnCodes::new(codes(store)?))?;
    if let Some(contact) = known.iter().find(|contact| contact.code().key == partner.key) {
        return Err(MessengerError::KnownCode(contact.name().to_owned()));
    }
    let label = own.unwrap_or(name);
    let own = match (code(store, label)?, own) {
        (Some(found), _) => found,
        (None, Some(label)) => return Err(MessengerError::NoCode(label.to_owned())),
        (None, None) => make_code(store, network, label, Expiry::NEVER, rng)?,
    };
    let contact = Contact::of_codes(name.to_owned(), &own, partner, rng)?;
    store.keep_keepsake(contact.keepsake(), rng)?;
    Ok(contact)
}

/// Makes a contact of a phrase's call root, for the end at `side`.
pub(crate) fn add_by_phrase(
    store: &mut Store<Folder>,
    network: NetworkMark,
    now: Timestamp,
    name: &str,
    root: (&CallRoot, Side),
    rng: &mut impl CryptoRng,
) -> Result<Contact, MessengerError> {
    check_free(store, name)?;
    let known = contacts(store)?;
    let contact = Contact::of_phrase(name.to_owned(), root, network, now, rng);
    let same =
        |other: &&Contact| other.code() == contact.code() || other.code() == contact.own_code();
    if let Some(other) = known.iter().find(same) {
        return Err(MessengerError::KnownPhrase(other.name().to_owned()));
    }
    store.keep_keepsake(contact.keepsake(), rng)?;
    Ok(contact)
}

/// Keeps a contact as it is now, and nothing of what it was.
pub(crate) fn keep(
    store: &mut Store<Folder>,
    contact: &Contact,
    rng: &mut impl CryptoRng,
) -> Result<(), MessengerError> {
    Ok(store.replace_keepsake(contact.keepsake(), rng)?)
}

/// Keeps a contact that is not who it was, and tells the user of it.
pub(crate) fn keep_changed(
    store: &mut Store<Folder>,
    now: Timestamp,
    contact: &Contact,
    rng: &mut impl CryptoRng,
) -> Result<(), MessengerError> {
    let told = (contact.keepsake(), EventKind::ContactChanged(contact.id()));
    Ok(store.replace_keepsake_and_tell(now, told, rng)?)
}

fn code(store: &Store<Folder>, label: &str) -> Result<Option<OwnCode>, MessengerError> {
    let kept = store.keepsake(KeepsakeKind::Code, label)?;
    kept.map(|kept| Ok(OwnCode::from_bytes(&kept.bytes)?)).transpose()
}

fn keepsake_of(code: &OwnCode) -> Keepsake {
    Keepsake {
        kind: KeepsakeKind::Code,
        name: code.label().to_owned(),
        version: CODE_VERSION,
        bytes: code.to_bytes().to_vec(),
    }
}

/// The boxes of calls that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadMark {
    /// The last round whose box was read.
    pub(crate) round: Round,
    /// Time at which it was.
    pub(crate) at: Timestamp,
}

/// The boxes of calls that were read; `None` before the first.
pub(crate) fn read(store: &Store<Folder>) -> Result<Option<ReadMark>, MessengerError> {
    let Some(kept) = store.keepsake(KeepsakeKind::Setting, READ)? else { return Ok(None) };
    let (numbers, rest) = kept.bytes.as_chunks::<8>();
    let [round, at] = *numbers else { return Ok(None) };
    let mark =
        ReadMark { round: Round(u64::from_be_bytes(round)), at: Timestamp(u64::from_be_bytes(at)) };
    Ok(rest.is_empty().then_some(mark))
}

/// Keeps which boxes of calls were read.
pub(crate) fn keep_read(
    store: &mut Store<Folder>,
    read: ReadMark,
    rng: &mut impl CryptoRng,
) -> Result<(), MessengerError> {
    let bytes = [read.round.0.to_be_bytes(), read.at.0.to_be_bytes()].concat();
    let (kind, name, version) = (KeepsakeKind::Setting, READ.to_owned(), READ_VERSION);
    Ok(store.keep_keepsake(Keepsake { kind, name, version, bytes }, rng)?)
}

/// Sees that a contact may have this name.
pub(crate) fn check_free(store: &Store<Folder>, name: &str) -> Result<(), MessengerError> {
    check_name(name)?;
    match contacts(store)?.iter().any(|contact| contact.name() == name) {
        true => Err(NameError::Taken(name.to_owned()).into()),
        false => Ok(()),
    }
}

/// Where this user listens, drawn once: all that the codes of a user have in common.
pub(crate) fn address(
    store: &mut Store<Folder>,
    rng: &mut impl CryptoRng,
) -> Result<BoxAddress, MessengerError> {
    if let Some(kept) = store.keepsake(KeepsakeKind::Setting, ADDRESS)?
        && let [address] = kept.bytes[..]
    {
        return Ok(BoxAddress(address));
    }
    let mut address = [0];
    rng.fill_bytes(&mut address);
    let (kind, name, bytes) = (KeepsakeKind::Setting, ADDRESS.to_owned(), address.to_vec());
    store.keep_keepsake(Keepsake { kind, name, version: ADDRESS_VERSION, bytes }, rng)?;
    Ok(BoxAddress(address[0]))
}
