//! The judgement of rounds, and of shards over many of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use antiphon_wire::{Epoch, IdentityKey, OperatorIndex, Round, ShardIndex, Signed, Timestamp};

use crate::ask::{Ask, MOST_BEATS_KEPT, may_ask};
use crate::evidence::{Evidence, Finding, Refusal};
use crate::journey::Facts;
use crate::leg::{Leg, List};
use crate::marks::{Marks, Member};
use crate::message::CanaryMessage;
use crate::opening::Opening;

/// Rounds under judgement at once: those whose beats are under way, and some that are over.
const MOST_ROUNDS: usize = 16;
/// Openings that one shard may make of a round.
pub const MOST_OPENINGS: usize = 8;
/// Prints that are kept of a round at most, each shard's share alike: 256 MiB of them in lists.
const MOST_PRINTS: usize = 1 << 25;
/// Time for statements, openings and lists after a round's tables have expired, in milliseconds.
pub const HEARING_MS: u64 = 20_000;

/// Whoever judges: the coordinator, which is believed by nobody for it. All that it goes by is signed, and can be shown.
#[derive(Debug, Default)]
pub struct Court {
    rounds: BTreeMap<(Epoch, Round), Case>,
    /// Shards of which one broke a rule; shared with whoever keeps them.
    marks: Arc<Marks>,
    /// Shards of which one missed a deadline.
    late: Marks,
}

/// A round that is judged, with all that was said about it.
#[derive(Debug)]
struct Case {
    facts: Facts,
    members: Vec<Member>,
    closes: Timestamp,
    evidence: Evidence,
    asked: BTreeMap<ShardIndex, u64>,
    openings: BTreeMap<ShardIndex, Vec<Signed<Opening>>>,
    /// The lists that openings want to see: of which beat, and of which batch.
    wanted: BTreeSet<(u64, Leg)>,
    /// Prints that each shard has shown.
    shown: BTreeMap<ShardIndex, usize>,
}

/// The outcome of rounds that were judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Canaries that were opened.
    pub opened: u32,
    /// The fates of their cells.
    pub findings: Vec<Finding>,
}

/// The shards to be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Those that broke rules.
    pub garblers: BTreeSet<Member>,
    /// Those that missed too many deadlines, and are not among the others.
    pub late: BTreeSet<Member>,
}

impl Court {
    /// A court that goes on from the marks of rounds that were judged before.
    pub fn resumed(marks: Arc<Marks>) -> Self {
        Self { marks, ..Self::default() }
    }

    /// Shards of which one broke a rule, in rounds that were judged: what has to outlive the process.
    pub const fn marks(&self) -> &Arc<Marks> {
        &self.marks
    }

    /// A round has opened whose tables expire at `expires` by the schedule. `members` are its shards, in the order of their epoch's document.
    pub fn open(&mut self, facts: Facts, members: Vec<Member>, expires: Timestamp) {
        let identities = members.iter().map(|member| member.shard).collect();
        let case = Case {
            facts,
            members,
            closes: expires.plus_ms(HEARING_MS),
            evidence: Evidence::new(facts, identities),
            asked: BTreeMap::new(),
            openings: BTreeMap::new(),
            wanted: BTreeSet::new(),
            shown: BTreeMap::new(),
        };
        self.rounds.entry((facts.epoch, facts.round)).or_insert(case);
        if self.rounds.len() > MOST_ROUNDS {
            self.rounds.pop_first();
        }
    }

    /// A shard says something. Returns `true` if it is to be told to all shards: asks, which they keep a beat for, and openings,
    /// for which they show lists. Statements and lists are of use here alone.
    ///
    /// # Errors
    /// If it is refused: it is signed by nobody, by another, of no round that is judged, or too much.
    pub fn hear(&mut self, from: &IdentityKey, message: &CanaryMessage) -> Result<bool, Refusal> {
        let case = self.rounds.get_mut(&message.round()).ok_or(Refusal::Other)?;
        let shard = case.members.iter().position(|member| member.shard == *from);
        let shard = shard.map(|shard| ShardIndex(shard as u16)).ok_or(Refusal::Other)?;
        match message {
            CanaryMessage::Ask(ask) => case.ask(shard, ask),
            CanaryMessage::Statement(statement) => {
                if statement.claimed().shard != shard {
                    return Err(Refusal::Other);
                }
                // Two of one shard contradict each other.
                let taken = case.evidence.add_statement(statement).inspect_err(|refusal| {
                    if let Refusal::Twice(shard) = refusal {
                        Arc::make_mut(&mut self.marks).add([case.members[shard.position()]].into());
                    }
                });
                taken.map(|()| false)
            }
            CanaryMessage::Opening(opening) => case.take_opening(shard, opening).map(|()| true),
            CanaryMessage::List(list) => case.take_list(shard, list).map(|()| false),
        }
    }

    /// The shards of a round under judgement.
    pub fn members(&self, round: (Epoch, Round)) -> Vec<IdentityKey> {
        let members = self.rounds.get(&round).map(|case| &case.members);
        members.into_iter().flatten().map(|member| member.shard).collect()
    }

    /// When the next case closes.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.rounds.values().map(|case| case.closes).min()
    }

    /// Judges the rounds whose time is over.
    pub fn on_time(&mut self, now: Timestamp) -> Judged {
        let mut judged = Judged::default();
        let due = |(round, case): (&(Epoch, Round), &Case)| (case.closes <= now).then_some(*round);
        let due: Vec<_> = self.rounds.iter().filter_map(due).collect();
        let cases = due.iter().filter_map(|round| self.rounds.remove(round));
        for case in cases.collect::<Vec<_>>() {
            judged.opened += case.openings.values().flatten().count() as u32;
            for (maker, finding) in case.findings() {
                self.note(&case.members, maker, &finding);
                judged.findings.push(finding);
            }
        }
        judged
    }

    /// Remembers a finding about a canary of `maker` in a round of `members`.
    fn note(&mut self, members: &[Member], maker: ShardIndex, finding: &Finding) {
        let who = |shards: &BTreeSet<ShardIndex>| {
            shards.iter().map(|shard| members[shard.position()]).collect()
        };
        match finding {
            Finding::Mark { members, .. } => Arc::make_mut(&mut self.marks).add(who(members)),
            late => self.late.add(late.late(maker).as_ref().map(who).unwrap_or_default()),
        }
    }

    /// The shards that are named now, and whose marks are settled by it. Malicious operators have at most `most` of the
    /// weight that `weight` gives; and one of them is not counted as honest, however heavy it is: a single operator that is
    /// in all marks of a shard explains them.
    pub fn name(&mut self, weight: impl Fn(OperatorIndex) -> u64, most: u64) -> Named {
        let named = |marks: &Marks| -> BTreeSet<Member> {
            let alone = marks.named(|_| 1, 1);
            marks.named(&weight, most).intersection(&alone).copied().collect()
        };
        let garblers = named(&self.marks);
        let mut late = named(&self.late);
        late.retain(|member| !garblers.contains(member));
        if !garblers.is_empty() {
            let marks = Arc::make_mut(&mut self.marks);
            garblers.iter().for_each(|member| marks.settle(&member.shard));
        }
        late.iter().for_each(|member| self.late.settle(&member.shard));
        Named { garblers, late }
    }
}

impl Case {
    /// The findings from all openings, each of which was looked at when it came, with their makers.
    fn findings(&self) -> Vec<(ShardIndex, Finding)> {
        let openings =
            self.openings.iter().flat_map(|(maker, all)| all.iter().map(|one| (*maker, one)));
        let judge = |(maker, opening)| {
            let found = self.evidence.judge(opening).unwrap_or_default();
            found.into_iter().map(move |finding| (maker, finding))
        };
        openings.flat_map(judge).collect()
    }

    fn ask(&mut self, shard: ShardIndex, signed: &Signed<Ask>) -> Result<bool, Refusal> {
        let ask = *signed.claimed();
        let has_turn = may_ask(self.facts.round, shard, self.facts.shards);
        if ask.shard != shard || !has_turn || self.asked.contains_key(&shard) {
            return Err(Refusal::Other);
        }
        signed.verify(&self.members[shard.position()].shard)?;
        self.asked.insert(shard, ask.beat);
        debug_assert!(
            self.asked.len() <= MOST_BEATS_KEPT,
            "no more than eight have a turn at once"
        );
        Ok(true)
    }

    /// An opening counts once the tables have expired, which a maker's clock says. Of a beat that nobody asked for there
    /// are no lists.
    fn take_opening(
        &mut self,
        shard: ShardIndex,
        opening: &Signed<Opening>,
    ) -> Result<(), Refusal> {
        let asked = self.asked.values().any(|beat| *beat == opening.claimed().beat);
        let made = self.openings.get(&shard).map_or(0, Vec::len);
        if opening.claimed().maker != shard || !asked || made >= MOST_OPENINGS {
            return Err(Refusal::Other);
        }
        let legs = self.evidence.legs(opening)?;
        let beat = opening.claimed().beat;
        self.wanted.extend(legs.into_iter().map(|leg| (beat, leg)));
        self.openings.entry(shard).or_default().push(opening.clone());
        Ok(())
    }

    /// A list counts once, for an opening. No shard's lists take up the room of others'.
    fn take_list(&mut self, shard: ShardIndex, list: &List) -> Result<(), Refusal> {
        let shown = self.shown.entry(shard).or_default();
        let share = MOST_PRINTS / self.members.len().max(1);
        let is_wanted = self.wanted.contains(&(list.beat, list.leg));
        if !is_wanted || list.prints.len() > share.saturating_sub(*shown) {
            return Err(Refusal::Other);
        }
        self.evidence.add_list(list)?;
        *shown += list.prints.len();
        self.wanted.remove(&(list.beat, list.leg));
        Ok(())
    }
}
