//! The rules against forks: at most one document signed per epoch number, numbers only rising, every
//! round served under one document only, and no list of the operator signed that a newer one replaces.

#[cfg(test)]
mod forks;

use antiphon_wire::{
    Epoch, EpochDocument, IdentityKey, OperatorIndex, OperatorList, Round, Signed, Term,
};

/// The state that a shard must not forget. It is made durable before anything is signed or served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignerState {
    /// The highest epoch number for which a document was signed.
    pub signed_epoch: Epoch,
    /// The highest round that was served.
    pub served_round: Round,
    /// The newest list of the shard's operator that it has taken.
    pub list: ListMark,
    /// The coordinator that it let lead last, if it has a choice of them.
    pub grant: Grant,
}

/// The highest term for which a shard let a coordinator lead, and whom. Another one cannot lead in that term any
/// more, nor anyone in a lower one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// The term; 0 before the first.
    pub term: Term,
    /// The coordinator that leads in it.
    pub leader: Option<IdentityKey>,
}

/// The farthest that a campaign's term may lie above the last one. Without a bound, one campaign could use up
/// all terms that there are.
const MOST_TERMS_AHEAD: u64 = 1 << 20;

impl Grant {
    /// The grant after a campaign of `coordinator` for `term`, or `None` if it has to be refused.
    pub fn next(self, coordinator: IdentityKey, term: Term) -> Option<Self> {
        let again = term == self.term && self.leader == Some(coordinator);
        let ahead = term.0.checked_sub(self.term.0)?;
        let is_next = (1..=MOST_TERMS_AHEAD).contains(&ahead);
        (again || is_next).then_some(Self { term, leader: Some(coordinator) })
    }
}

/// What a shard remembers of its operator's lists: from the first epoch of the newest one on that one holds, and
/// until then the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListMark {
    /// The list's number; 0 before the first.
    pub number: u32,
    /// The first epoch that it holds for.
    pub first_epoch: Epoch,
    /// The number of the list that holds until then.
    pub before: u32,
}

/// The reason for which a list of the operator is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// A newer one was taken before.
    #[error(
        "the operator's list {given} is older than list {taken}, which this shard has taken already: \
         give it the newest"
    )]
    Old {
        /// The number of the list.
        given: u32,
        /// The number of the newest list that was taken.
        taken: u32,
    },
    /// Documents that it would hold for are signed already, with the list before it.
    #[error(
        "the operator's list {number} begins with epoch {first}, but this shard has signed a document for \
         epoch {signed} already: sign a list that begins later"
    )]
    BeginsEarly {
        /// The number of the list.
        number: u32,
        /// Its first epoch.
        first: Epoch,
        /// The highest epoch signed.
        signed: Epoch,
    },
    /// The list before it is not in use yet, and begins with another epoch.
    #[error(
        "the operator's list {taken} begins with epoch {begins}, which is still to come: give this shard list \
         {number} when that epoch is there"
    )]
    OneAtATime {
        /// The number of the list.
        number: u32,
        /// The number of the newest list that was taken.
        taken: u32,
        /// The first epoch of that one.
        begins: Epoch,
    },
    /// The operator has signed two lists with one number.
    #[error(
        "this shard has another list of the operator with number {number}: sign it again with a higher one"
    )]
    NumberTwice {
        /// The number.
        number: u32,
    },
}

/// The reason for which a document is not signed although it is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// A document for this epoch, or a later one, was signed already.
    #[error("a document for epoch {signed} was signed already; epoch {proposed} is not above it")]
    EpochUsed {
        /// The epoch of the proposal.
        proposed: Epoch,
        /// The highest epoch signed.
        signed: Epoch,
    },
    /// Its rounds begin before a round that was served already.
    #[error("round {served} was served already; the proposal begins with round {first}")]
    RoundUsed {
        /// The first round of the proposal.
        first: Round,
        /// The highest round served.
        served: Round,
    },
    /// It carries another list of the shard's operator than the one that holds by what the shard knows.
    #[error(
        "it carries the operator's list {found}, and by what this shard was given list {holds} holds for its \
         epoch"
    )]
    OtherList {
        /// The number of the list in the document.
        found: u32,
        /// The number of the list that holds.
        holds: u32,
    },
}

impl SignerState {
    /// The state after signing `document`, for a shard of `operator`.
    ///
    /// # Errors
    /// If it must not be signed.
    pub fn sign(
        self,
        document: &EpochDocument,
        operator: OperatorIndex,
    ) -> Result<Self, SignerError> {
        self.may_sign(document.epoch, document.first_round)?;
        let lists = document.operators.iter().map(Signed::claimed);
        let own = lists.filter(|list| list.operator == operator).map(|list| list.number).max();
        self.may_sign_with(own.unwrap_or(0), document.epoch)?;
        Ok(Self { signed_epoch: document.epoch, ..self })
    }

    /// Checks that a document for `epoch` that begins with round `first` may be signed.
    ///
    /// # Errors
    /// If it must not be.
    pub fn may_sign(self, epoch: Epoch, first: Round) -> Result<(), SignerError> {
        if epoch <= self.signed_epoch {
            return Err(SignerError::EpochUsed { proposed: epoch, signed: self.signed_epoch });
        }
        if first <= self.served_round {
            return Err(SignerError::RoundUsed { first, served: self.served_round });
        }
        Ok(())
    }

    /// The first epoch for which a document may still be signed.
    pub(crate) const fn next_epoch(self) -> Epoch {
        Epoch(self.signed_epoch.0.saturating_add(1))
    }

    /// Checks that the operator's list with this number holds for an epoch, by what this shard was given.
    fn may_sign_with(self, found: u32, epoch: Epoch) -> Result<(), SignerError> {
        let ListMark { number, first_epoch, before } = self.list;
        let holds = if epoch >= first_epoch { number } else { before };
        if found != holds {
            return Err(SignerError::OtherList { found, holds });
        }
        Ok(())
    }

    /// The state of a shard that knows of `epoch`, which was formed without it. Where its newest list has begun by
    /// then, it gives up the epochs before that list, and need not wait for them.
    pub(crate) fn passed(self, epoch: Epoch) -> Self {
        let begins = self.list.first_epoch;
        if begins > epoch {
            return self;
        }
        let before = Epoch(begins.0.saturating_sub(1));
        Self { signed_epoch: self.signed_epoch.max(before), ..self }
    }

    /// The state after taking a list of the shard's operator.
    ///
    /// Documents for epochs that the new list holds for must not have been signed with an older one. So the
    /// list has to begin later than all that was signed, but for the first list that a shard is given.
    ///
    /// # Errors
    /// If it must not be taken.
    pub fn take(self, list: &OperatorList) -> Result<Self, ListError> {
        let (number, first, taken) = (list.number, list.first_epoch, self.list.number);
        if number < taken {
            return Err(ListError::Old { given: number, taken });
        }
        if number == taken {
            return Ok(self);
        }
        if taken > 0 && first <= self.signed_epoch {
            return Err(ListError::BeginsEarly { number, first, signed: self.signed_epoch });
        }
        let begins = self.list.first_epoch;
        let pending = taken > 0 && begins > self.next_epoch();
        if pending && first != begins {
            // One that has signed nothing gives up the epochs until then, so that it need not know whose they are.
            if self.signed_epoch > Epoch(0) || first < begins {
                return Err(ListError::OneAtATime { number, taken, begins });
            }
            let signed_epoch = Epoch(first.0 - 1);
            let list = ListMark { number, first_epoch: first, before: taken };
            return Ok(Self { signed_epoch, list, ..self });
        }
        let before = if pending { self.list.before } else { taken };
        Ok(Self { list: ListMark { number, first_epoch: first, before }, ..self })
    }

    /// The state after serving `round`, or `None` if it, or a later one, was served already.
    pub fn serve(self, round: Round) -> Option<Self> {
        (round > self.served_round).then_some(Self { served_round: round, ..self })
    }
}
