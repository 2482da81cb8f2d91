//! The operator's lists: with which one a shard registers, and how a newer one takes over.

use antiphon_wire::{Epoch, OperatorList, Signed, Timestamp};

use crate::ListError;
use crate::io::{Notice, Output};
use crate::shard::Shard;

/// The list that a shard registers with, and a newer one: until its first epoch is next, or, if it is the end of
/// the one in use, until the list after it comes.
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

    /// Puts the newer list to use if it holds for epoch `next`. Returns true if it does.
    fn advance(&mut self, next: Epoch) -> bool {
        let due = self.upcoming.take_if(|list| {
            let OperatorList { first_epoch, ref shards, .. } = *list.claimed();
            first_epoch <= next && !shards.is_empty()
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
        self.lists.advance(self.state.next_epoch());
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
        if self.lists.advance(epoch) {
            self.register_with_all(now);
        }
    }
}
