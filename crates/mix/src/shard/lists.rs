//! The operator's lists: with which one a shard registers, and how a newer one takes over.

use antiphon_wire::{Epoch, IdentityKey, OperatorList, Signed, Timestamp};

use crate::ListError;
use crate::io::{Notice, Output};
use crate::shard::Shard;

/// The list that a shard registers with, and a newer one: until its first epoch is next, or, if it is the end of
/// the one in use, until the list after it comes. A shard that is not on the one in use has nothing to wait for.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    in_use: Signed<OperatorList>,
    upcoming: Option<Signed<OperatorList>>,
}

impl Lists {
    pub(super) fn new(list: Signed<OperatorList>) -> Self {
        Self { in_use: list, upcoming: None }
    }

    /// The list for the next epoch.
    pub(super) fn in_use(&self) -> &Signed<OperatorList> {
        &self.in_use
    }

    pub(super) fn newest(&self) -> &Signed<OperatorList> {
        self.upcoming.as_ref().unwrap_or(&self.in_use)
    }

    /// Puts the newer list to use if it holds for epoch `next`, or if the one in use does not name `me`. Returns true
    /// if it does.
    fn advance(&mut self, next: Epoch, me: &IdentityKey) -> bool {
        let is_idle = !self.in_use.claimed().shards.contains(me);
        let due = self.upcoming.take_if(|list| {
            let OperatorList { first_epoch, ref shards, .. } = *list.claimed();
            (first_epoch <= next || is_idle) && !shards.is_empty()
        });
        let Some(list) = due else { return false };
        self.in_use = list;
        true
    }
}

impl Shard {
    /// The number of the newest list of the operator that the shard has taken; 0 before the first.
    pub fn list_number(&self) -> u32 {
        self.state.list.number
    }

    /// Takes a list that the operator has signed.
    ///
    /// An empty one ends the list before it, and another one follows. A shard that is not on a list serves the
    /// epochs that it is part of, and leaves.
    pub(super) fn take_list(&mut self, now: Timestamp, list: Signed<OperatorList>) {
        if let Err(error) = self.remember(&list) {
            return self.notice(Notice::ListRefused { why: error.to_string() });
        }
        let OperatorList { number, first_epoch, .. } = *list.claimed();
        let shards = &list.claimed().shards;
        let (ends, listed) = (shards.is_empty(), shards.contains(&self.me));
        self.is_on_list = ends || listed;
        self.notice(Notice::ListTaken { number, first_epoch, listed: self.is_on_list });
        if !self.is_on_list {
            return self.leave();
        }
        self.lists.upcoming = Some(list);
        if ends {
            return;
        }
        self.lists.advance(self.state.next_epoch(), &self.me);
        self.register_with_all(now);
    }

    pub(super) fn remember(&mut self, list: &Signed<OperatorList>) -> Result<(), ListError> {
        let elsewhere = self.elsewhere.as_ref().map(|epoch| epoch.epoch()).unwrap_or_default();
        let state = self.state.passed(elsewhere).take(list.claimed())?;
        let (number, newest) = (list.claimed().number, self.lists.newest());
        if number == newest.claimed().number && list != newest {
            return Err(ListError::NumberTwice { number });
        }
        // On disk first: from here on no older list is signed.
        if state != self.state {
            self.state = state;
            self.outputs.push_back(Output::Persist(state));
        }
        Ok(())
    }

    /// Registers with a newer list once it holds for the next epoch, which may be `epoch`.
    pub(super) fn advance_lists(&mut self, now: Timestamp, epoch: Epoch) {
        if self.lists.advance(epoch, &self.me) {
            self.register_with_all(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Digest, OperatorIndex};
    use ed25519_dalek::SigningKey;

    use super::*;

    fn shard(seed: u8) -> IdentityKey {
        IdentityKey::of(&SigningKey::from_bytes(&[seed; 32]))
    }

    fn list(number: u32, first_epoch: u64, shards: &[u8]) -> Signed<OperatorList> {
        let list = OperatorList {
            network: Digest([0; 32]),
            operator: OperatorIndex(0),
            number,
            first_epoch: Epoch(first_epoch),
            last_epoch: Epoch(9),
            shards: shards.iter().copied().map(shard).collect(),
        };
        Signed::new(list, &SigningKey::from_bytes(&[100; 32]))
    }

    /// The number of the list that a shard registers with, which runs with list 1 of shard 1, has taken its end and now
    /// takes list 3 of both from epoch 5 on.
    fn registers_with(me: u8) -> u32 {
        let mut lists = Lists::new(list(1, 1, &[1]));
        lists.upcoming = Some(list(2, 5, &[]));
        assert!(!lists.advance(Epoch(1), &shard(me)), "nobody registers with an end");
        lists.upcoming = Some(list(3, 5, &[1, 2]));
        lists.advance(Epoch(1), &shard(me));
        lists.in_use().claimed().number
    }

    #[test]
    fn a_newcomer_registers_with_the_first_list_that_names_it_and_others_when_it_begins() {
        assert_eq!([registers_with(1), registers_with(2)], [1, 3]);
    }
}
