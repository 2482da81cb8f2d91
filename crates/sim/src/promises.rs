//! Rules that no honest process breaks, held over a whole run: what it signs once only, what it does not do
//! both ways, and what it must not do too early.

mod beats;

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{
    Digest, Epoch, Finding, FromClient, IdentityKey, PeerMessage, Round, SealAct, SealStatement,
    ShardIndex, ToCoordinator, ToShard,
};

use crate::party::{Party, Payload, Sent};
use beats::BeatPromises;

/// Record of messages that may be sent once only, and of those that have to come before them.
#[derive(Debug, Default)]
pub struct Promises {
    /// The onion sets of each client for each round.
    onion_sets: BTreeMap<(usize, Round), BTreeSet<Digest>>,
    /// The documents that each shard signed, in order.
    endorsed: BTreeMap<usize, Vec<(Epoch, Digest)>>,
    /// Two flags of a shard's seal key in a round: that it was released, and that it was withheld.
    acts: BTreeMap<(Epoch, Round, ShardIndex), (bool, bool)>,
    /// Under which epochs each shard signed statements about a round.
    served: BTreeMap<(usize, Round), BTreeSet<Epoch>>,
    /// The documents published, and the shards that each lists.
    published: BTreeMap<Epoch, (Digest, Vec<IdentityKey>)>,
    /// The shard that each identity belongs to.
    identities: BTreeMap<IdentityKey, usize>,
    /// The first verdict of each other shard that came to a shard.
    verdicts: BTreeMap<(usize, Epoch, Round), BTreeMap<ShardIndex, Finding>>,
    /// The coordinator by whose word each round was opened, and the last one opened at each shard.
    openers: BTreeMap<Round, usize>,
    last_opened: BTreeMap<usize, Round>,
    /// The cells of beats.
    beats: BeatPromises,
    /// The first promise that was broken, in words.
    broken: Option<String>,
}

impl Promises {
    /// Takes note of a message as it is sent, and of a rule that it breaks.
    ///
    /// Long, as it is one table: what each kind of message promises.
    pub(crate) fn observe(&mut self, sent: &Sent) {
        match (sent.from, &sent.payload) {
            (
                Party::Client(client),
                Payload::FromClient(FromClient::Submit { round, onions, .. }),
            ) => {
                let sets = self.onion_sets.entry((client, *round)).or_default();
                sets.insert(Digest::of(&onions.0));
                let one = sets.len() == 1;
                self.see(one, || format!("client {client} sent two onion sets for round {round}"));
            }
            (Party::Client(client), Payload::FromClient(message)) => {
                let broken = self.beats.of_client(client, message);
                self.see(broken.is_none(), || broken.unwrap_or_default());
            }
            (Party::Shard(from), Payload::Cells { batch, bytes }) => {
                let Party::Shard(to) = sent.to else { return };
                let broken = self.beats.of_shard((from, to), batch, bytes);
                self.see(broken.is_none(), || broken.unwrap_or_default());
            }
            (
                Party::Shard(shard),
                Payload::ToCoordinator(ToCoordinator::Endorse { epoch, document, .. }),
            ) => {
                let endorsed = self.endorsed.entry(shard).or_default();
                let rising = endorsed.last().is_none_or(|(before, _)| before < epoch);
                endorsed.push((*epoch, *document));
                self.see(rising, || format!("shard {shard} signed epoch {epoch} after others"));
            }
            (
                Party::Shard(shard),
                Payload::ToCoordinator(ToCoordinator::Contribute { contribution }),
            ) => {
                self.identities.insert(contribution.identity, shard);
            }
            (Party::Coordinator(_), Payload::ToShard(ToShard::Publish { document })) => {
                let document = &document.document;
                let (epoch, digest) = (document.epoch, document.digest());
                let first = self.published.entry(epoch).or_insert_with(|| {
                    (digest, document.shards.iter().map(|shard| shard.identity).collect())
                });
                let same = first.0 == digest;
                self.see(same, || format!("two documents of epoch {epoch} are published"));
            }
            (Party::Shard(shard), Payload::Peer(PeerMessage::Statements { statements })) => {
                statements.iter().for_each(|signed| self.statement(shard, signed.claimed()));
            }
            (Party::Shard(shard), Payload::Batch { header, .. }) => {
                let header = header.claimed();
                let epochs = self.served.entry((shard, header.round)).or_default();
                epochs.insert(header.epoch);
                let one = epochs.len() == 1;
                self.see(one, || {
                    format!("shard {shard} served round {} under two epochs", header.round)
                });
            }
            _ => {}
        }
    }

    /// Takes note that a shard begins to serve a round by a coordinator's word.
    pub(crate) fn opened(&mut self, coordinator: usize, shard: usize, round: Round) {
        let first = *self.openers.entry(round).or_insert(coordinator);
        self.see(first == coordinator, || {
            format!("shard {shard} opened round {round} of coordinator {coordinator}, and others that of {first}")
        });
        let last = self.last_opened.insert(shard, round);
        self.see(last.is_none_or(|last| last < round), || {
            format!("shard {shard} opened round {round} after {last:?}")
        });
    }

    /// Takes note of a message as it arrives, since a shard can only act on verdicts that it has.
    pub(crate) fn arrived(&mut self, sent: &Sent) {
        if let (Party::Shard(to), Payload::Peer(PeerMessage::Verdict { verdict })) =
            (sent.to, &sent.payload)
        {
            let said = verdict.claimed();
            let heard = self.verdicts.entry((to, said.epoch, said.round)).or_default();
            heard.entry(said.shard).or_insert(said.finding);
        }
    }

    fn statement(&mut self, sender: usize, said: &SealStatement) {
        // What others pass on says what its owner told them, who need not be honest.
        if self.owner(said).is_some_and(|owner| owner != sender) {
            return;
        }
        let place = (said.epoch, said.round, said.shard);
        let acts = self.acts.entry(place).or_default();
        let first = *acts == (false, false);
        match said.act {
            SealAct::Released { .. } => acts.0 = true,
            SealAct::Withheld { .. } => acts.1 = true,
        }
        let released = acts.0;
        let both = *acts == (true, true);
        self.see(!both, || format!("a key was released and withheld: {place:?}"));
        // Nobody but its owner can be the first to show a key.
        if first && released {
            let why = self.lacking(sender, said);
            self.see(why.is_none(), || {
                format!("shard {sender} released its key {place:?}: {}", why.unwrap_or_default())
            });
        }
    }

    /// The shard whose statement it is, if its epoch is known.
    fn owner(&self, said: &SealStatement) -> Option<usize> {
        let (_, shards) = self.published.get(&said.epoch)?;
        let identity = shards.get(usize::from(said.shard.0))?;
        self.identities.get(identity).copied()
    }

    /// First thing that a shard lacks which has released its key: a verdict of every other shard that it is
    /// satisfied, with the same filters as everybody.
    fn lacking(&self, owner: usize, said: &SealStatement) -> Option<String> {
        let (_, shards) = self.published.get(&said.epoch)?;
        let heard = self.verdicts.get(&(owner, said.epoch, said.round));
        let others = (0..shards.len()).map(|position| ShardIndex(position as u16));
        let findings: Vec<_> = others
            .filter(|other| *other != said.shard)
            .map(|other| (other, heard.and_then(|heard| heard.get(&other))))
            .collect();
        let unsatisfied = findings
            .iter()
            .find(|(_, finding)| !matches!(finding, Some(Finding::Satisfied { .. })));
        if let Some((other, finding)) = unsatisfied {
            return Some(format!("the verdict of shard index {} is {finding:?}", other.0));
        }
        let all_same = findings.windows(2).all(|two| two[0].1 == two[1].1);
        (!all_same).then(|| "verdicts are about different filters".to_owned())
    }

    fn see(&mut self, kept: bool, broken: impl FnOnce() -> String) {
        if !kept && self.broken.is_none() {
            self.broken = Some(broken());
        }
    }

    /// The onion sets that `client` sent for `round`: one or none, if all is well.
    pub fn onion_sets(&self, client: usize, round: Round) -> usize {
        self.onion_sets.get(&(client, round)).map_or(0, BTreeSet::len)
    }

    /// Beats in which `client` sent cells, with their rounds.
    pub fn beats_of(&self, client: usize) -> BTreeSet<(Round, u64)> {
        self.beats.sent_by(client)
    }

    /// The epochs for which `shard` signed documents, in order.
    pub fn endorsed(&self, shard: usize) -> impl Iterator<Item = Epoch> {
        self.endorsed.get(&shard).into_iter().flatten().map(|(epoch, _)| *epoch)
    }

    /// The first promise of an honest process that was broken, in words. They keep one set of onions
    /// per client and round, sign epochs in rising order and each once, serve a round under one epoch
    /// only, publish one document per epoch, and either release or withhold a seal key: release it
    /// only when all others have said that they are satisfied with the same filters.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Sees that all promises were kept.
    ///
    /// # Panics
    /// If one was broken.
    pub fn assert_kept(&self) {
        assert_eq!(self.broken, None);
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Reason, SealSecret, Signed, Verdict};
    use ed25519_dalek::SigningKey;

    use super::*;

    const PLACE: (Epoch, Round) = (Epoch(1), Round(2));

    fn sent(from: usize, to: usize, message: PeerMessage) -> Sent {
        let (from, to) = (Party::Shard(from), Party::Shard(to));
        Sent { from, to, payload: Payload::Peer(message) }
    }

    /// What shard 1 of three is said by `other`.
    fn verdict(other: u16, finding: Finding) -> Sent {
        let (epoch, round) = PLACE;
        let claims = Verdict { epoch, round, shard: ShardIndex(other), finding };
        let verdict = Signed::new(claims, &SigningKey::from_bytes(&[1; 32]));
        sent(other.into(), 1, PeerMessage::Verdict { verdict })
    }

    /// Shard 1 shows its key.
    fn released() -> Sent {
        let announcement = Digest::default();
        said_of_shard_1(1, SealAct::Released { secret: SealSecret([1; 32]), announcement })
    }

    /// What `from` says that shard 1 has done.
    fn said_of_shard_1(from: usize, act: SealAct) -> Sent {
        let (epoch, round) = PLACE;
        let network = Digest::default();
        let claims = SealStatement { network, epoch, round, shard: ShardIndex(1), act };
        let statements = vec![Signed::new(claims, &SigningKey::from_bytes(&[1; 32]))];
        sent(from, 0, PeerMessage::Statements { statements })
    }

    /// An epoch of three shards.
    fn three_shards() -> Promises {
        let mut promises = Promises::default();
        let shards = [0u8, 1, 2].map(|shard| IdentityKey([shard; 32]));
        promises.published.insert(PLACE.0, (Digest::default(), shards.to_vec()));
        promises.identities.extend(shards.map(|identity| (identity, usize::from(identity.0[0]))));
        promises
    }

    fn satisfied_over(filters: u8) -> Finding {
        Finding::Satisfied { filters: Digest([filters; 32]), announcement: Digest::default() }
    }

    fn broken(verdicts: &[Sent]) -> bool {
        let mut promises = three_shards();
        verdicts.iter().for_each(|sent| promises.arrived(sent));
        promises.observe(&released());
        promises.broken().is_some()
    }

    #[test]
    fn a_key_that_is_released_before_all_others_are_satisfied_is_noticed() {
        let complaint = Finding::Complaint { at: ShardIndex(0), missing: 1 };
        assert!(!broken(&[verdict(0, satisfied_over(1)), verdict(2, satisfied_over(1))]));
        assert!(broken(&[verdict(0, satisfied_over(1))]));
        assert!(broken(&[verdict(0, satisfied_over(1)), verdict(2, satisfied_over(2))]));
        assert!(broken(&[verdict(0, satisfied_over(1)), verdict(2, complaint)]));
    }

    #[test]
    fn what_a_shard_does_both_ways_is_held_against_it_and_not_against_those_who_pass_it_on() {
        let withheld = SealAct::Withheld { reason: Reason::NotPrepared };
        for (sender, broken) in [(1, true), (2, false)] {
            let mut promises = three_shards();
            for other in [0, 2] {
                promises.arrived(&verdict(other, satisfied_over(1)));
            }
            promises.observe(&released());
            promises.observe(&said_of_shard_1(sender, withheld.clone()));
            assert_eq!(promises.broken().is_some(), broken);
        }
    }
}
