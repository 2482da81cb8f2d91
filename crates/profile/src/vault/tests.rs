//! Kills at every step, thieves with copies, damaged files, full disks.

use std::collections::BTreeSet;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::failing::Machine;

/// As cheap as argon2 can be.
pub(crate) const CHEAP: KeyCost = KeyCost { memory_kib: 8, passes: 1, lanes: 1 };

fn unlock() -> Unlock {
    Unlock::passphrase("correct horse")
}

fn put(number: RecordNumber, day: u32, text: &str) -> Put {
    let content = Zeroizing::new(text.as_bytes().to_vec());
    Put { number, drawer: Drawer::Day(day), content }
}

type Texts = BTreeMap<RecordNumber, String>;

fn open(machine: &Machine, rng: &mut ChaCha20Rng) -> Result<(Vault<Machine>, Texts), StoreError> {
    open_by(machine, &unlock(), rng)
}

fn open_by(
    machine: &Machine,
    unlock: &Unlock,
    rng: &mut ChaCha20Rng,
) -> Result<(Vault<Machine>, Texts), StoreError> {
    let mut texts = Texts::new();
    let vault = Vault::open(machine.clone(), unlock, rng, |number, _, content| {
        texts.insert(number, String::from_utf8(content.to_vec()).unwrap());
        Ok(())
    })?;
    Ok((vault, texts))
}

fn texts(of: &[(RecordNumber, &str)]) -> Texts {
    of.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
}

/// A store with two records of a day and one of the next.
fn filled(seed: u64) -> (Machine, Vault<Machine>, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let machine = Machine::new(seed);
    let mut vault = Vault::create(machine.clone(), &unlock(), CHEAP, &mut rng).unwrap();
    let numbers = [vault.next_number(), vault.next_number(), vault.next_number()];
    let puts =
        [put(numbers[0], 1, "first"), put(numbers[1], 1, "second"), put(numbers[2], 2, "third")];
    vault.keep(&puts, &mut rng).unwrap();
    (machine, vault, rng)
}

#[test]
fn a_kill_at_any_step_of_a_write_leaves_all_of_it_or_nothing() {
    let change = |vault: &mut Vault<Machine>, erases: bool, rng: &mut ChaCha20Rng| {
        let number = vault.next_number();
        let puts = [put(number, 1, "fourth"), put(2, 1, "SECOND")];
        if erases { vault.erase(&[1].into(), &puts, rng) } else { vault.keep(&puts, rng) }
    };
    let before = texts(&[(1, "first"), (2, "second"), (3, "third")]);
    for erases in [false, true] {
        let after = match erases {
            false => texts(&[(1, "first"), (2, "SECOND"), (3, "third"), (4, "fourth")]),
            true => texts(&[(2, "SECOND"), (3, "third"), (4, "fourth")]),
        };
        let (machine, mut vault, mut rng) = filled(1);
        let began = machine.steps();
        change(&mut vault, erases, &mut rng).unwrap();
        let steps = u32::try_from(machine.steps() - began).unwrap();
        assert!(steps > 3, "{steps}");
        for seed in 0..u64::from(2 * steps) {
            let (machine, mut vault, mut rng) = filled(2 + seed);
            machine.power_for(Some(1 + seed as u32 / 2));
            let done = change(&mut vault, erases, &mut rng);
            drop(vault);
            // A kill while it is opened again changes nothing, either.
            machine.crash(Some(rng.random_range(1..40)));
            let mut opened = open(&machine, &mut rng);
            if opened.is_err() {
                machine.crash(None);
                opened = open(&machine, &mut rng);
            }
            let (mut vault, found) = opened.unwrap();
            match done {
                Ok(()) => assert_eq!(found, after, "seed {seed}"),
                Err(_) => assert!(found == before || found == after, "seed {seed}: {found:?}"),
            }
            machine.power_for(None);
            let number = vault.next_number();
            assert!(!found.contains_key(&number));
            vault.keep(&[put(number, 3, "later")], &mut rng).unwrap();
        }
    }
}

/// Everything that was ever written to the store's tables, as free pages and old copies may still hold it.
#[derive(Default)]
struct Attic {
    drawers: BTreeSet<(u32, Vec<u8>)>,
    records: BTreeSet<(RecordNumber, Vec<u8>)>,
    generations: u64,
}

impl Attic {
    fn collect(&mut self, vault: &Vault<Machine>) {
        let read = vault.database().unwrap().begin_read().unwrap();
        for entry in read.open_table(DRAWERS).unwrap().iter().unwrap() {
            let (number, sealed) = entry.unwrap();
            self.drawers.insert((number.value(), sealed.value().to_vec()));
        }
        for entry in read.open_table(RECORDS).unwrap().iter().unwrap() {
            let (number, sealed) = entry.unwrap();
            self.records.insert((number.value(), sealed.value().to_vec()));
        }
        self.generations = self.generations.max(vault.roots.generation());
    }

    /// The texts that a thief reads who takes both files, has the passphrase, finds every byte that the store ever
    /// held, and has what is in the process's memory.
    fn read_by_thief(
        &self,
        vault: &Vault<Machine>,
        keys: &Roots<crate::failing::FailingFile>,
    ) -> BTreeSet<String> {
        let mut roots = vec![vault.roots.root(vault.roots.generation()).unwrap()];
        for generation in 0..=self.generations + 1 {
            roots.extend(keys.root(generation).ok());
        }
        let mut drawer_keys: Vec<Key> =
            vault.drawers.values().map(|open| open.key.clone()).collect();
        for (number, sealed) in &self.drawers {
            for generation in 0..=self.generations + 1 {
                let bound = vault.drawer_bound(*number, generation);
                let opened = roots.iter().filter_map(|root| root.open(&bound, sealed));
                drawer_keys.extend(
                    opened.filter_map(|opened| opened_drawer(&opened)).map(|open| open.key),
                );
            }
        }
        let mut found = BTreeSet::new();
        for (number, bytes) in &self.records {
            let (drawer, sealed) = bytes.split_first_chunk::<4>().unwrap();
            let bound = vault.record_bound(*number, u32::from_be_bytes(*drawer));
            let opened = drawer_keys.iter().find_map(|key| key.open(&bound, sealed));
            found.extend(
                opened.map(|padded| String::from_utf8(unpad(&padded).unwrap().to_vec()).unwrap()),
            );
        }
        found
    }
}

#[test]
fn a_copy_of_memory_and_store_opens_nothing_that_was_deleted_before() {
    let (machine, mut vault, mut rng) = filled(77);
    let mut attic = Attic::default();
    attic.collect(&vault);
    vault.keep(&[put(2, 1, "second, changed")], &mut rng).unwrap();
    attic.collect(&vault);
    let thief = |attic: &Attic, vault: &Vault<Machine>| {
        let keys = Roots::open(machine.keys().unwrap(), &unlock()).unwrap();
        attic.read_by_thief(vault, &keys)
    };
    // Before, the thief finds everything, the former content of what was changed included.
    let all = ["first", "second", "second, changed", "third"].map(str::to_owned);
    assert_eq!(thief(&attic, &vault), all.into());
    vault.erase(&[1].into(), &[], &mut rng).unwrap();
    attic.collect(&vault);
    // The rest of the day went to another key, so that what it was before is gone as well.
    assert_eq!(thief(&attic, &vault), ["second, changed", "third"].map(str::to_owned).into());
    vault.erase(&BTreeSet::new(), &[put(3, 2, "third, replaced")], &mut rng).unwrap();
    attic.collect(&vault);
    let left = ["second, changed", "third, replaced"].map(str::to_owned);
    assert_eq!(thief(&attic, &vault), left.into());
    // The same after a kill at any step, the one between the store's change and the old root's end among them: what the
    // store does not show after the next start, no thief finds.
    drop(vault);
    let before = machine.copy();
    let mut erased = 0;
    for steps in 1..60 {
        machine.put_back(before.clone());
        machine.power_for(None);
        let (mut vault, _) = open(&machine, &mut rng).unwrap();
        machine.power_for(Some(steps));
        let done = vault.erase(&[2].into(), &[], &mut rng);
        drop(vault);
        machine.crash(None);
        let (vault, found) = open(&machine, &mut rng).unwrap();
        assert!(done.is_err() || !found.contains_key(&2));
        let found: BTreeSet<_> = found.into_values().collect();
        erased += u32::from(done.is_err() && found.len() == 1);
        assert_eq!(thief(&attic, &vault), found, "after {steps} steps");
    }
    assert!(erased > 0, "no kill came between the two");
}

#[test]
fn a_passphrase_that_was_changed_opens_nothing_any_more() {
    let (machine, mut vault, mut rng) = filled(5);
    let new = Unlock::KeyFile(Zeroizing::new([9; 32]));
    vault.change_key(&new, CHEAP, &mut rng).unwrap();
    drop(vault);
    assert!(matches!(open(&machine, &mut rng), Err(StoreError::OtherSource(_))));
    let wrong = Unlock::KeyFile(Zeroizing::new([8; 32]));
    assert!(matches!(open_by(&machine, &wrong, &mut rng), Err(StoreError::WrongKey(_))));
    let (_, found) = open_by(&machine, &new, &mut rng).unwrap();
    assert_eq!(found.len(), 3);
}

#[test]
fn a_wrong_passphrase_is_told_from_damage_and_changes_nothing() {
    let (machine, vault, mut rng) = filled(6);
    drop(vault);
    let before = machine.copy();
    let wrong = open_by(&machine, &Unlock::passphrase("Correct horse"), &mut rng).unwrap_err();
    assert!(wrong.to_string().starts_with("the passphrase is wrong"), "{wrong}");
    assert_eq!(machine.copy(), before);
    for at in [0, 4096] {
        let [store, mut keys] = before.clone();
        keys[at + 40] ^= 1;
        // One slot is enough, and both are whole again afterwards.
        machine.put_back([store, keys]);
        open(&machine, &mut rng).unwrap();
    }
    let [store, mut keys] = before;
    (keys[40], keys[4096 + 40]) = (!keys[40], !keys[4096 + 40]);
    machine.put_back([store, keys]);
    assert!(matches!(open(&machine, &mut rng), Err(StoreError::KeysDamaged)));
}

#[test]
fn files_of_different_moments_are_refused() {
    let (machine, mut vault, mut rng) = filled(7);
    let [old_store, old_keys] = machine.copy();
    vault.erase(&[1].into(), &[], &mut rng).unwrap();
    drop(vault);
    let [store, keys] = machine.copy();
    machine.put_back([old_store, keys]);
    let apart = open(&machine, &mut rng).unwrap_err();
    assert!(matches!(apart, StoreError::Apart { store: 0, keys: 1 }), "{apart}");
    machine.put_back([store, old_keys]);
    let apart = open(&machine, &mut rng).unwrap_err();
    assert!(matches!(apart, StoreError::Apart { store: 1, keys: 0 }), "{apart}");
}

#[test]
fn a_damaged_store_is_refused_or_whole_and_never_something_else() {
    let (machine, vault, mut rng) = filled(8);
    drop(vault);
    let before = machine.copy();
    let (mut refused, mut whole) = (0, 0);
    for _ in 0..60 {
        let [mut store, keys] = before.clone();
        // Where something is, rather than in the free rest.
        let used: Vec<_> = (0..store.len()).filter(|at| store[*at] != 0).collect();
        let at = used[rng.random_range(0..used.len())];
        store[at] ^= 1 << rng.random_range(0..8);
        machine.put_back([store, keys]);
        match open(&machine, &mut rng) {
            Ok((_, found)) => {
                assert_eq!(found, texts(&[(1, "first"), (2, "second"), (3, "third")]));
                whole += 1;
            }
            Err(StoreError::Damaged(_) | StoreError::Io(_)) => refused += 1,
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(refused > 4, "{refused} of {} refused", refused + whole);
    let [_, keys] = before;
    machine.put_back([Vec::new(), keys]);
    assert!(matches!(open(&machine, &mut rng), Err(StoreError::Damaged(_))));
}

#[test]
fn a_full_disk_loses_nothing_and_goes_on_when_there_is_room() {
    let (machine, mut vault, mut rng) = filled(9);
    machine.room_for(Some(0));
    let text = "x".repeat(MOST_CONTENT);
    let mut kept = Texts::new();
    let full = loop {
        let number = vault.next_number();
        match vault.keep(&[put(number, 1, &text)], &mut rng) {
            Ok(()) => kept.insert(number, text.clone()),
            Err(error) => break error,
        };
    };
    assert!(matches!(full, StoreError::DiskFull), "{full}");
    assert!(vault.is_unsure());
    machine.room_for(None);
    vault.reopen(&mut rng, |_, _, _| Ok(())).unwrap();
    let number = vault.next_number();
    vault.keep(&[put(number, 1, "at last")], &mut rng).unwrap();
    drop(vault);
    let (_, found) = open(&machine, &mut rng).unwrap();
    kept.extend(texts(&[(1, "first"), (2, "second"), (3, "third"), (number, "at last")]));
    assert!(found == kept, "{:?} and not {:?}", found.keys(), kept.keys());
}
