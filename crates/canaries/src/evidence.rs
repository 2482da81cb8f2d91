//! The word of a round's shards about its beats, and what follows from it for a canary that is opened.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{BadSignature, Digest, IdentityKey, ShardIndex, Signed};

use crate::journey::{Facts, Step, steps};
use crate::leg::{Leg, List, Print};
use crate::opening::Opening;
use crate::statement::{Statement, Told};

/// The statements and lists of one round.
#[derive(Clone, Debug)]
pub struct Evidence {
    facts: Facts,
    identities: Vec<IdentityKey>,
    statements: BTreeMap<ShardIndex, Statement>,
    lists: BTreeMap<Digest, BTreeSet<Print>>,
}

/// The fate of one cell of a canary that is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// At least one of some shards broke a rule.
    Mark {
        /// The shards, of which one may be the maker.
        members: BTreeSet<ShardIndex>,
        /// The first leg that the cell is not on; `None` if it is on all, and its maker says that it was broken.
        lost_on: Option<Leg>,
    },
    /// A batch on the way did not come in time, or so its receiver says. Nobody can tell a slow link from a lie, so that
    /// this names nobody; it counts as a missed deadline.
    Filled(Leg),
    /// A shard on the way has made no statement about the beat.
    Silent(ShardIndex),
    /// Nobody has shown the list that both ends of this leg name.
    Unshown(Leg),
}

impl Finding {
    /// Those of whom at least one missed a deadline, or has it look so; `None` for a mark. The maker is among them: it
    /// chose the beat and the way, may have asked too late for others to have kept it, and opened too late for them to show
    /// anything.
    pub fn late(&self, maker: ShardIndex) -> Option<BTreeSet<ShardIndex>> {
        match self {
            Self::Mark { .. } => None,
            Self::Filled(leg) | Self::Unshown(leg) => {
                Some([maker, leg.sender, leg.receiver].into())
            }
            Self::Silent(shard) => Some([maker, *shard].into()),
        }
    }
}

/// Reason why a statement, list or opening was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It names another round, or a shard, layer or size that the round does not have.
    #[error("it is not about this round")]
    Other,
    /// The signature is not the shard's.
    #[error("{0}")]
    Signature(#[from] BadSignature),
    /// The shard has signed another statement about this round.
    #[error("shard {0} has made two statements about one round")]
    Twice(ShardIndex),
    /// No statement names this list.
    #[error("no statement names this list")]
    Unnamed,
}

impl Evidence {
    /// Nothing yet about a round with these shards, in the order of their epoch's document.
    pub fn new(facts: Facts, identities: Vec<IdentityKey>) -> Self {
        Self { facts, identities, statements: BTreeMap::new(), lists: BTreeMap::new() }
    }

    /// Takes in a shard's statement.
    ///
    /// # Errors
    /// If it is refused. [`Refusal::Twice`] is a contradiction that the shard has signed.
    pub fn add_statement(&mut self, signed: &Signed<Statement>) -> Result<(), Refusal> {
        let Statement { epoch, round, shard, ref beats } = *signed.claimed();
        let signer = self.identities.get(shard.position()).ok_or(Refusal::Other)?;
        let legs = |told: &Told| {
            let fits = |leg: &Leg| leg.fits(self.facts.layers, self.facts.shards);
            told.sent.keys().all(fits) && told.received.keys().all(fits)
        };
        let is_ours = (epoch, round) == (self.facts.epoch, self.facts.round);
        if !is_ours || !beats.values().all(legs) {
            return Err(Refusal::Other);
        }
        let statement = signed.verify(signer)?;
        // The first counts: whoever signs two is answered with its own contradiction.
        match self.statements.get(&shard) {
            None => {
                self.statements.insert(shard, statement.clone());
                Ok(())
            }
            Some(known) if known == statement => Ok(()),
            Some(_) => Err(Refusal::Twice(shard)),
        }
    }

    /// Takes in a list that a statement names.
    ///
    /// # Errors
    /// If none does.
    pub fn add_list(&mut self, list: &List) -> Result<(), Refusal> {
        if (list.epoch, list.round) != (self.facts.epoch, self.facts.round) {
            return Err(Refusal::Other);
        }
        // Whoever shows a list may not be at its ends; what its ends have signed decides.
        let digest = list.digest();
        let sent = self.told(list.leg.sender, list.beat).and_then(|told| told.sent.get(&list.leg));
        let received = self.told(list.leg.receiver, list.beat);
        let received = received.and_then(|told| told.received.get(&list.leg)?.as_ref());
        if sent != Some(&digest) && received != Some(&digest) {
            return Err(Refusal::Unnamed);
        }
        self.lists.insert(digest, list.prints.iter().copied().collect());
        Ok(())
    }

    fn told(&self, shard: ShardIndex, beat: u64) -> Option<&Told> {
        self.statements.get(&shard)?.beats.get(&beat)
    }

    /// The legs that an opening's cells went over: whoever was at one of their ends shows its list.
    ///
    /// # Errors
    /// If the opening is refused.
    pub fn legs(&self, opening: &Signed<Opening>) -> Result<BTreeSet<Leg>, Refusal> {
        let steps = self.journeys(opening)?;
        Ok(steps.iter().flatten().map(|step| step.leg).collect())
    }

    /// Judges an opening: for each of its two cells, what came of it. Both whole, its maker or one of its own first hops
    /// lies.
    ///
    /// # Errors
    /// If the opening is refused.
    pub fn judge(&self, opening: &Signed<Opening>) -> Result<Vec<Finding>, Refusal> {
        let journeys = self.journeys(opening)?;
        let opening = opening.claimed();
        let found = journeys.iter().map(|steps| self.walk(opening.beat, steps));
        let found: Vec<_> = found.collect();
        if found.iter().all(Option::is_none) {
            let first = opening.circuits.iter().filter_map(|circuit| circuit.hops.first());
            let members = first.chain([&opening.maker]).copied().collect();
            return Ok(vec![Finding::Mark { members, lost_on: None }]);
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The ways of both cells of an opening.
    fn journeys(&self, signed: &Signed<Opening>) -> Result<[Vec<Step>; 2], Refusal> {
        let Facts { epoch, round, layers, shards, cell } = self.facts;
        let claimed = signed.claimed();
        let is_ours = (claimed.epoch, claimed.round) == (epoch, round);
        if !is_ours || !claimed.fits(layers, shards, cell.bytes()) {
            return Err(Refusal::Other);
        }
        let maker = self.identities.get(claimed.maker.position()).ok_or(Refusal::Other)?;
        let opening = signed.verify(maker)?;
        let [one, other] = &opening.circuits;
        let way = |out, home| steps(&self.facts, opening, out, home);
        Ok([way(one, other), way(other, one)])
    }

    /// Follows a cell to where it is lost; `None` if it is on every leg.
    fn walk(&self, beat: u64, steps: &[Step]) -> Option<Finding> {
        steps.iter().find_map(|step| self.look(beat, step).err())
    }

    /// Looks whether a cell is on a leg. Both ends have to agree on what was sent.
    fn look(&self, beat: u64, step: &Step) -> Result<(), Finding> {
        let leg = step.leg;
        let told = |shard| self.told(shard, beat).ok_or(Finding::Silent(shard));
        let (sender, receiver) = (told(leg.sender)?, told(leg.receiver)?);
        let Some(Some(received)) = receiver.received.get(&leg) else {
            return Err(Finding::Filled(leg));
        };
        if sender.sent.get(&leg) != Some(received) {
            let members = [leg.sender, leg.receiver].into();
            return Err(Finding::Mark { members, lost_on: Some(leg) });
        }
        let prints = self.lists.get(received).ok_or(Finding::Unshown(leg))?;
        if prints.contains(&step.print) {
            Ok(())
        } else {
            Err(Finding::Mark { members: step.answerable.clone(), lost_on: Some(leg) })
        }
    }
}
