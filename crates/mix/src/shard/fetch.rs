//! Which contributions of a proposal are here, and who is asked for the others.
//!
//! The coordinator hands each contribution to the shards that follow its owner in the document. Everybody else
//! asks the owner, then shards that it was handed to, then the coordinator. What comes is known by its hash. Whoever
//! sends something else, has nothing or lets a question wait is asked no more in this proposal: each
//! shard costs each other one attempt at most, and the coordinator answers for those that nobody else serves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use antiphon_wire::{Contribution, Digest, Epoch, IdentityKey, ShardIndex, Timestamp};

/// Questions to other shards that are open at once, at most.
const ASKED: usize = 32;
/// Questions to the coordinator that are open at once, at most.
const ASKED_COORDINATOR: usize = 8;
/// Shards that are asked for a contribution beside its owner, at most.
const HELPERS: usize = 2;
/// Time in which a shard has to answer, in milliseconds.
const ANSWER_MS: u64 = 2000;
/// Time in which the coordinator has to, in milliseconds: it serves all shards.
const COORDINATOR_MS: u64 = 5000;
/// Contributions that one shard gets from this one in one proposal, at most. An honest one asks for one as from
/// its owner, and for those that this shard was handed.
const MOST_ANSWERS: u32 = 1 + HELPERS as u32;

/// Who is asked for a contribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Coordinator,
    Shard(IdentityKey),
}

/// A question that is open.
#[derive(Clone, Copy, Debug)]
struct Asked {
    source: Source,
    until: Timestamp,
}

/// The contributions of one proposal.
#[derive(Debug)]
pub(super) struct Fetch {
    epoch: Epoch,
    me: usize,
    shards: Vec<IdentityKey>,
    /// Shards after its owner that a contribution is handed to.
    spread: usize,
    digests: Vec<Digest>,
    positions: BTreeMap<Digest, usize>,
    here: Vec<Option<Arc<Contribution>>>,
    /// Those nobody is asked for at the moment.
    waiting: VecDeque<usize>,
    asked: BTreeMap<usize, Asked>,
    /// Shards that are asked no more.
    mistrusted: BTreeSet<IdentityKey>,
    /// Answers that were given to each shard.
    answers: BTreeMap<IdentityKey, u32>,
}

impl Fetch {
    /// A fetch for a shard with the `own` contribution. `None` if it or others are not as they should be.
    pub(super) fn new(
        now: Timestamp,
        own: &Arc<Contribution>,
        shards: Vec<IdentityKey>,
        digests: Vec<Digest>,
        spread: usize,
    ) -> Option<Self> {
        let me = shards.iter().position(|shard| *shard == own.identity)?;
        let count = shards.len();
        let positions: BTreeMap<_, _> =
            digests.iter().enumerate().map(|(position, digest)| (*digest, position)).collect();
        // A hash twice would leave a contribution out.
        let fits = digests.len() == count && positions.len() == count;
        if !fits || digests[me] != own.digest() {
            return None;
        }
        let spread = spread.min(count - 1);
        let mut here = vec![None; count];
        here[me] = Some(Arc::clone(own));
        let handed = |position: &usize| (me + count - position) % count <= spread;
        let others = (me + 1..me + count).map(|position| position % count);
        let (handed, waiting): (Vec<_>, _) = others.partition(handed);
        let on_its_way = Asked { source: Source::Coordinator, until: now.plus_ms(COORDINATOR_MS) };
        let asked = handed.into_iter().map(|position| (position, on_its_way)).collect();
        Some(Self {
            epoch: own.epoch,
            me,
            shards,
            spread,
            digests,
            positions,
            here,
            waiting: VecDeque::from(waiting),
            asked,
            mistrusted: BTreeSet::new(),
            answers: BTreeMap::new(),
        })
    }

    /// Takes a contribution. Returns whose it is, if it is one that was missing.
    pub(super) fn take(
        &mut self,
        from: Source,
        contribution: Arc<Contribution>,
    ) -> Option<ShardIndex> {
        if let Source::Shard(shard) = from
            && self.mistrusted.contains(&shard)
        {
            return None;
        }
        let Some(&position) = self.positions.get(&contribution.digest()) else {
            // What was asked for an epoch before may come late.
            if contribution.epoch == self.epoch {
                self.mistrust(from);
            }
            return None;
        };
        self.asked.remove(&position);
        if self.here[position].is_some() {
            return None;
        }
        self.here[position] = Some(contribution);
        Some(ShardIndex(position as u16))
    }

    /// A shard does not have a contribution, or not for this one.
    pub(super) fn refused(&mut self, by: IdentityKey) {
        self.mistrust(Source::Shard(by));
    }

    /// Whoever let a question wait is asked no more.
    pub(super) fn on_time(&mut self, now: Timestamp) {
        let late = |(_, asked): &(&usize, &Asked)| now >= asked.until;
        let late: BTreeSet<_> = self.asked.iter().filter(late).map(|(_, a)| a.source).collect();
        late.into_iter().for_each(|source| match source {
            Source::Coordinator => {
                self.put_back(|asked| asked.source == source && now >= asked.until);
            }
            Source::Shard(_) => self.mistrust(source),
        });
    }

    /// When the next question has waited for too long.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.asked.values().map(|asked| asked.until).min()
    }

    /// What to ask now, and whom. A shard has one question at a time, so that it can spoil no more than one.
    pub(super) fn ask(&mut self, now: Timestamp) -> Vec<(Source, Digest)> {
        let of_shard = |asked: &Asked| match asked.source {
            Source::Shard(shard) => Some(shard),
            Source::Coordinator => None,
        };
        let mut busy: BTreeSet<_> = self.asked.values().filter_map(of_shard).collect();
        let mut at_coordinator = self.asked.len() - busy.len();
        let mut questions = Vec::new();
        for _ in 0..self.waiting.len() {
            let Some(position) = self.waiting.pop_front() else { break };
            if self.here[position].is_some() {
                continue;
            }
            let source = self.source(position);
            let (is_free, answer_ms) = match source {
                Source::Shard(shard) => (busy.len() < ASKED && busy.insert(shard), ANSWER_MS),
                Source::Coordinator => {
                    let is_free = at_coordinator < self.spread + ASKED_COORDINATOR;
                    at_coordinator += usize::from(is_free);
                    (is_free, COORDINATOR_MS)
                }
            };
            if is_free {
                self.asked.insert(position, Asked { source, until: now.plus_ms(answer_ms) });
                questions.push((source, self.digests[position]));
            } else {
                self.waiting.push_back(position);
            }
        }
        questions
    }

    /// The contribution that another shard asks for, if it is here and it has not asked for more than it should.
    pub(super) fn answer(&mut self, to: IdentityKey, digest: &Digest) -> Option<Arc<Contribution>> {
        let position = *self.positions.get(digest)?;
        let contribution = self.here[position].clone()?;
        let answers = self.answers.entry(to).or_default();
        *answers += 1;
        (*answers <= MOST_ANSWERS).then_some(contribution)
    }

    /// Returns `true` if `shard` is one of the document's.
    pub(super) fn lists(&self, shard: &IdentityKey) -> bool {
        self.shards.contains(shard)
    }

    /// The first that is not mistrusted of those who have it.
    fn source(&self, position: usize) -> Source {
        let count = self.shards.len();
        let holders = (0..=self.spread.min(HELPERS)).map(|step| (position + step) % count);
        let mut others = holders.filter(|holder| *holder != self.me).map(|at| self.shards[at]);
        let trusted = others.find(|shard| !self.mistrusted.contains(shard));
        trusted.map_or(Source::Coordinator, Source::Shard)
    }

    fn mistrust(&mut self, source: Source) {
        if let Source::Shard(shard) = source {
            self.mistrusted.insert(shard);
            self.put_back(|asked| asked.source == source);
        }
    }

    fn put_back(&mut self, which: impl Fn(&Asked) -> bool) {
        let back: Vec<_> = self.asked.iter().filter(|(_, a)| which(a)).map(|(p, _)| *p).collect();
        for position in back {
            self.asked.remove(&position);
            self.waiting.push_front(position);
        }
    }
}

#[cfg(test)]
mod tests;
