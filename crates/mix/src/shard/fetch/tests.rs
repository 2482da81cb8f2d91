//! Many shards that fetch from each other, with liars among them.

use antiphon_wire::Round;

use super::*;

const NOW: Timestamp = Timestamp(1_000_000);

fn contribution(shard: usize) -> Arc<Contribution> {
    let mut identity = [0; 32];
    identity[..8].copy_from_slice(&(shard as u64).to_be_bytes());
    Arc::new(Contribution {
        epoch: Epoch(3),
        first_round: Round(1),
        identity: IdentityKey(identity),
        onion_key: [1; 32],
        kem_key: None,
        seal_keys: vec![identity; 3],
        proof: [0; 64],
    })
}

/// What a shard does when it is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Conduct {
    Serves,
    SaysNothing,
    HasNothing,
    SendsOthers,
}

struct World {
    contributions: Vec<Arc<Contribution>>,
    fetches: Vec<Fetch>,
    conduct: Vec<Conduct>,
    /// Questions to the coordinator.
    asked_coordinator: usize,
    /// For each pair of shards, what the first has asked the second.
    asked: BTreeMap<(usize, usize), u32>,
}

impl World {
    fn new(conduct: Vec<Conduct>, spread: usize) -> Self {
        let count = conduct.len();
        let contributions: Vec<_> = (0..count).map(contribution).collect();
        let shards: Vec<_> = contributions.iter().map(|keys| keys.identity).collect();
        let digests: Vec<_> = contributions.iter().map(|keys| keys.digest()).collect();
        let fetch = |own: &Arc<Contribution>| {
            Fetch::new(NOW, own, shards.clone(), digests.clone(), spread).unwrap()
        };
        let mut fetches: Vec<_> = contributions.iter().map(fetch).collect();
        for (owner, keys) in contributions.iter().enumerate() {
            for step in 1..=spread {
                let helper = &mut fetches[(owner + step) % count];
                assert!(helper.take(Source::Coordinator, keys.clone()).is_some());
            }
        }
        let (asked_coordinator, asked) = (0, BTreeMap::new());
        Self { contributions, fetches, conduct, asked_coordinator, asked }
    }

    fn position(&self, shard: &IdentityKey) -> usize {
        self.contributions.iter().position(|keys| keys.identity == *shard).unwrap()
    }

    /// Everybody asks, and is answered, until nothing more happens; then time passes. Returns the seconds after which
    /// the honest shards had everything.
    fn run(&mut self) -> u64 {
        for step in 0..60 {
            let now = NOW.plus_ms(1000 * step);
            loop {
                let mut questions = Vec::new();
                for (asker, fetch) in self.fetches.iter_mut().enumerate() {
                    fetch.on_time(now);
                    let asks = fetch.ask(now);
                    assert!(asks.len() <= ASKED + ASKED_COORDINATOR);
                    questions.extend(asks.into_iter().map(|(source, hash)| (asker, source, hash)));
                }
                if questions.is_empty() {
                    break;
                }
                questions.into_iter().for_each(|question| self.question(question));
            }
            if self.is_done() {
                return step;
            }
        }
        panic!("contributions are missing after a minute");
    }

    fn question(&mut self, (asker, source, hash): (usize, Source, Digest)) {
        let me = self.contributions[asker].identity;
        let Source::Shard(shard) = source else {
            self.asked_coordinator += 1;
            let keys = self.contributions.iter().find(|keys| keys.digest() == hash).unwrap();
            self.fetches[asker].take(source, keys.clone());
            return;
        };
        let holder = self.position(&shard);
        *self.asked.entry((asker, holder)).or_default() += 1;
        match self.conduct[holder] {
            Conduct::SaysNothing => {}
            Conduct::HasNothing => self.fetches[asker].refused(shard),
            Conduct::SendsOthers => {
                let other = contribution(1_000_000 + holder);
                assert_eq!(self.fetches[asker].take(source, other), None);
            }
            Conduct::Serves => match self.fetches[holder].answer(me, &hash) {
                Some(keys) => drop(self.fetches[asker].take(source, keys)),
                None => self.fetches[asker].refused(shard),
            },
        }
    }

    fn is_done(&self) -> bool {
        self.fetches.iter().all(|fetch| fetch.here.iter().all(Option::is_some))
    }
}

#[test]
fn honest_shards_get_everything_from_each_other() {
    for (shards, spread) in [(2, 0), (3, 2), (60, 2), (60, 59)] {
        let mut world = World::new(vec![Conduct::Serves; shards], spread);
        assert_eq!(world.run(), 0);
        assert_eq!(world.asked_coordinator, 0);
        // One question for each contribution that was not handed out.
        assert_eq!(world.asked.values().sum::<u32>() as usize, shards * (shards - 1 - spread));
    }
}

#[test]
fn a_shard_that_serves_no_or_wrong_contributions_costs_each_other_one_attempt() {
    for conduct in [Conduct::SaysNothing, Conduct::HasNothing, Conduct::SendsOthers] {
        let shards = 120;
        let bad = |shard: usize| shard % 5 == 2;
        let conducts =
            (0..shards).map(|shard| if bad(shard) { conduct } else { Conduct::Serves }).collect();
        let mut world = World::new(conducts, 2);
        let seconds = world.run();
        assert!(seconds <= 10, "{seconds}");
        for ((_, holder), times) in &world.asked {
            assert!(*times == 1 || !bad(*holder));
            assert!(*times <= 1 + HELPERS as u32);
        }
        // Those whose owner and helpers are all bad are none here: the coordinator is asked for nothing.
        assert_eq!(world.asked_coordinator, 0);
    }
}

#[test]
fn the_coordinator_is_asked_for_what_nobody_else_serves() {
    // Shards 3, 4 and 5 have the contribution of 3, and nobody else gets it from them.
    let conduct =
        |shard| if (3..6).contains(&shard) { Conduct::HasNothing } else { Conduct::Serves };
    let mut world = World::new((0..40).map(conduct).collect(), 2);
    assert!(world.run() <= 1);
    assert_eq!(world.asked_coordinator, 40 - 3);
}

#[test]
fn a_shard_that_asks_for_more_than_it_needs_gets_no_more() {
    let mut world = World::new(vec![Conduct::Serves; 30], 29);
    let asker = world.contributions[0].identity;
    let hashes: Vec<_> = world.contributions.iter().map(|keys| keys.digest()).collect();
    let answers = hashes.iter().filter(|hash| world.fetches[9].answer(asker, hash).is_some());
    assert_eq!(answers.count(), MOST_ANSWERS as usize);
}

#[test]
fn what_comes_late_for_an_epoch_before_is_no_lie() {
    let mut world = World::new(vec![Conduct::Serves; 9], 2);
    let peer = world.contributions[4].identity;
    let old = Contribution { epoch: Epoch(2), ..(*world.contributions[4]).clone() };
    assert_eq!(world.fetches[0].take(Source::Shard(peer), Arc::new(old)), None);
    assert!(world.fetches[0].mistrusted.is_empty());
    let wrong = Contribution { proof: [1; 64], ..(*world.contributions[4]).clone() };
    assert_eq!(world.fetches[0].take(Source::Shard(peer), Arc::new(wrong)), None);
    assert_eq!(world.fetches[0].mistrusted, BTreeSet::from([peer]));
    // Not even with what is right: it is asked no more, and heard no more.
    let right = world.contributions[4].clone();
    assert_eq!(world.fetches[0].take(Source::Shard(peer), right), None);
}

#[test]
fn a_list_of_contributions_that_leaves_some_out_is_refused() {
    let contributions: Vec<_> = (0..3).map(contribution).collect();
    let shards: Vec<_> = contributions.iter().map(|keys| keys.identity).collect();
    let digests: Vec<_> = contributions.iter().map(|keys| keys.digest()).collect();
    let fetch = |own: usize, shards: &[IdentityKey], digests: &[Digest]| {
        Fetch::new(NOW, &contributions[own], shards.to_vec(), digests.to_vec(), 2)
    };
    assert!(fetch(1, &shards, &digests).is_some());
    assert!(fetch(1, &shards, &digests[..2]).is_none());
    assert!(fetch(1, &shards[..1], &digests[..1]).is_none(), "not listed");
    assert!(fetch(1, &shards, &[digests[0], digests[1], digests[0]]).is_none(), "twice");
    assert!(fetch(1, &shards, &[digests[1], digests[0], digests[2]]).is_none(), "not its own");
}
