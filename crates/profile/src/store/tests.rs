//! Two stores that lose power at any step while messages go back and forth; keys, queues, events and days.

mod conversations;
mod rows;

use antiphon_wire::Timestamp;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::failing::Machine;

/// As cheap as argon2 can be.
const CHEAP: KeyCost = KeyCost { memory_kib: 8, passes: 1, lanes: 1 };
const NOW: Timestamp = Timestamp(1_796_045_285_000);
const DAY_MS: u64 = 86_400_000;
const CONTACT: ContactId = ContactId([7; 16]);

fn unlock() -> Unlock {
    Unlock::passphrase("correct horse")
}

fn create(machine: &Machine, rng: &mut ChaCha20Rng) -> Store<Machine> {
    Store::create(machine.clone(), &unlock(), CHEAP, rng).unwrap()
}

fn open(machine: &Machine, rng: &mut ChaCha20Rng) -> Result<Store<Machine>, StoreError> {
    Store::open(machine.clone(), &unlock(), rng)
}

fn texts(store: &Store<Machine>, contact: ContactId) -> Vec<String> {
    let messages = store.messages(contact, 0, usize::MAX).unwrap();
    messages.iter().map(|message| String::from_utf8(message.body.clone()).unwrap()).collect()
}
