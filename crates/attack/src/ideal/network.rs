//! A round of an ideal network, layer by layer.

use antiphon_dp_noise::PairSampler;
use antiphon_mix::{DeadDrops, PairCounts, Service as _, shuffle};
use antiphon_routing::{OperatorSlice, PathSampler, SamplerError};
use antiphon_wire::{Round, ShardIndex};
use rand::CryptoRng;
use rand_chacha::ChaCha8Rng;

use super::attacker::{Attacker, Held};
use super::onions::{Onion, Onions, Owner, random_dead_drop};
use super::verification::{SealLayer, Sealed, filter_keys};
use super::{Broken, IdealOperator, IdealSetup, Trace, TraceLayer};

/// End of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was opened for everyone.
    Delivered,
    /// Honest shards withheld their seal keys.
    FreeAbort,
    /// All honest shards released, somebody else did not.
    ChargedAbort,
}

/// Dead drops of all deposits and their counts, which an open seal shows.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The dead drop of the deposit at each place of layer L.
    pub dead_drops: Vec<u128>,
    /// Pairs and singles over all dead-drop shards.
    pub counts: PairCounts,
    /// The same at malicious dead-drop shards only.
    pub at_malicious: PairCounts,
}

/// Everything the adversary sees of a round.
#[derive(Clone, Debug)]
pub struct View {
    /// The onions on their way, as far as the round got.
    pub trace: Trace,
    /// End of the round.
    pub outcome: Outcome,
    /// True if an honest shard complained.
    pub complaint: bool,
    /// Dead drops and counts, if the seal was opened: for everyone, or for the adversary alone.
    pub opened: Option<Opened>,
    /// For each user's two onions: `true` if a reply came back to the gateway.
    pub replies: Vec<[bool; 2]>,
}

/// Users' onions at their gateways.
#[derive(Debug)]
pub struct Gathered {
    onions: Onions,
    users: usize,
}

/// A network whose onions are records.
#[derive(Clone, Debug)]
pub struct IdealNetwork {
    setup: IdealSetup,
    broken: Option<Broken>,
    malicious: Vec<bool>,
    paths: PathSampler,
    /// Sampler of each shard's noise, by index.
    noise: Vec<PairSampler>,
}

impl IdealNetwork {
    /// A network, whole or with a defence removed.
    ///
    /// # Errors
    /// If there is nobody to draw hops from.
    pub fn new(setup: IdealSetup, broken: Option<Broken>) -> Result<Self, SamplerError> {
        let rosters = setup.rosters();
        let slices: Vec<OperatorSlice<'_>> = setup
            .operators
            .iter()
            .zip(&rosters)
            .map(|(operator, shards)| {
                // Drawn by shard, an operator weighs as much as it has shards.
                let by_shard = broken == Some(Broken::WeightByShard);
                let weight = if by_shard { u32::from(operator.shards) } else { operator.weight };
                OperatorSlice { weight, shards }
            })
            .collect();
        let paths = PathSampler::new(&slices)?;
        let malicious = setup.shards();
        let of_operator = |operator: &IdealOperator| {
            vec![PairSampler::new(operator.noise); operator.shards.into()]
        };
        let noise = setup.operators.iter().flat_map(of_operator).collect();
        Ok(Self { setup, broken, malicious, paths, noise })
    }

    /// The setup that it was made from.
    pub fn setup(&self) -> &IdealSetup {
        &self.setup
    }

    /// The defence it lacks.
    pub fn broken(&self) -> Option<Broken> {
        self.broken
    }

    /// Returns `true` if the adversary can tell which onion that goes into `shard` is which that comes out.
    pub fn sees_through(&self, shard: ShardIndex) -> bool {
        self.is_malicious(shard) || self.broken == Some(Broken::NoShuffle)
    }

    fn is_malicious(&self, shard: ShardIndex) -> bool {
        self.malicious[shard.position()]
    }

    /// Runs a round in which user i talks to `partners[i]`, or to nobody.
    pub fn round(
        &self,
        number: u64,
        partners: &[Option<usize>],
        attacker: &mut impl Attacker,
        rng: &mut impl CryptoRng,
    ) -> View {
        let gathered = self.gathered(partners, |user, onion| attacker.submits(user, onion), rng);
        self.run(number, gathered, attacker, rng)
    }

    /// The onions of all users at their gateways, user i talking to `partners[i]`, before any is passed on.
    pub fn gather(&self, partners: &[Option<usize>], rng: &mut impl CryptoRng) -> Gathered {
        self.gathered(partners, |_, _| true, rng)
    }

    fn gathered(
        &self,
        partners: &[Option<usize>],
        mut submits: impl FnMut(usize, usize) -> bool,
        rng: &mut impl CryptoRng,
    ) -> Gathered {
        let mut onions = Onions::new(self.setup.mixing_hops);
        // All users are at one malicious gateway, if there is a malicious shard.
        let gateway = self.malicious.iter().position(|malicious| *malicious).unwrap_or(0);
        let enters = ShardIndex(gateway as u16);
        let in_question = partners.len() - self.setup.bystanders.min(partners.len());
        let mut meeting: Vec<Option<[u128; 2]>> = vec![None; partners.len()];
        for (user, partner) in partners.iter().enumerate() {
            let dead_drops = match partner {
                None => [random_dead_drop(rng); 2],
                // The second of two partners takes the dead drops that the first one drew.
                Some(partner) => meeting[*partner]
                    .unwrap_or_else(|| [random_dead_drop(rng), random_dead_drop(rng)]),
            };
            meeting[user] = Some(dead_drops);
            for (which, dead_drop) in dead_drops.into_iter().enumerate() {
                if submits(user, which) {
                    let owner = Owner::User(user, which);
                    let hidden = user < in_question;
                    onions.add(Onion { owner, enters, dead_drop, hidden }, &self.paths, rng);
                }
            }
        }
        Gathered { onions, users: partners.len() }
    }

    /// Number of first hops of a user's onion that are malicious, one after the other: whoever holds it can
    /// peel it so far before anybody else has had it.
    pub fn peeled(&self, gathered: &Gathered, user: usize, onion: usize) -> u8 {
        // Two onions a user, in order.
        let number = (2 * user + onion) as u32;
        let hops = 1..=self.setup.mixing_hops;
        let malicious = |layer: &u8| self.is_malicious(gathered.onions.hop(number, *layer));
        // No more than there are layers.
        hops.take_while(malicious).count() as u8
    }

    /// Runs the round of the onions that were gathered, less those that the attacker holds back.
    pub fn pass_on(
        &self,
        number: u64,
        mut gathered: Gathered,
        attacker: &mut impl Attacker,
        rng: &mut impl CryptoRng,
    ) -> View {
        gathered.onions.retain(|owner| match owner {
            Owner::User(user, which) => attacker.submits(user, which),
            Owner::Noise { .. } => true,
        });
        self.run(number, gathered, attacker, rng)
    }

    /// Plays a round to its end. Long, as each broken variant leaves out one step of this one sequence.
    fn run(
        &self,
        number: u64,
        gathered: Gathered,
        attacker: &mut impl Attacker,
        rng: &mut impl CryptoRng,
    ) -> View {
        let users = gathered.users;
        let onions = self.with_noise(gathered.onions, rng);
        let mut walk = Walk::enter(&onions, users);
        let mut dropped = false;
        for layer in 1..=self.setup.mixing_hops {
            walk.step(self, &onions, |onion| onions.hop(onion, layer), rng);
            dropped |= walk.drop(self, &onions, layer, attacker);
        }
        let seal_layer = self.setup.mixing_hops;
        let left_out = self.leave_out(&walk, &onions, attacker);
        let checks = self.broken != Some(Broken::NoVerification);
        // A filter never misses what it holds: without a reason nobody complains.
        let complaint = checks && (dropped || left_out.is_some()) && {
            let (round, shards) = (Round(number), self.malicious.len());
            let guesses = filter_keys(round, shards, None::<&mut ChaCha8Rng>);
            let is_known = self.broken == Some(Broken::KnownFilterKeys);
            let layer = SealLayer {
                onions: &onions,
                layer: seal_layer,
                malicious: &self.malicious,
                held: walk.sealed(left_out),
                replaced: if attacker.sends_look_alikes() { &walk.kept_back } else { &[] },
                keys: filter_keys(round, shards, (!is_known).then_some(&mut *rng)),
                guesses,
            };
            layer.somebody_complains()
        };

        let mut view = View {
            trace: Trace::default(),
            outcome: Outcome::Delivered,
            complaint,
            opened: None,
            replies: vec![[true; 2]; users],
        };
        // Whoever opens early shows what was opened to those who may still complain.
        let early = self.broken == Some(Broken::EarlyOpen);
        if early {
            view.opened = Some(self.open(&mut walk, &onions, &mut view.replies, attacker, rng));
        }
        if complaint || attacker.complains(view.opened.as_ref()) {
            view.outcome = Outcome::FreeAbort;
        } else {
            if !early {
                view.opened = Some(self.open(&mut walk, &onions, &mut view.replies, attacker, rng));
            }
            if attacker.withholds() {
                view.outcome = Outcome::ChargedAbort;
            }
        }
        if view.outcome != Outcome::Delivered || self.broken != Some(Broken::NoFill) {
            // Every onion is answered; where nothing came back, with random bytes.
            view.replies = vec![[true; 2]; users];
        }
        view.trace = walk.trace;
        view
    }

    fn with_noise(&self, mut onions: Onions, rng: &mut impl CryptoRng) -> Onions {
        if self.broken != Some(Broken::NoNoise) {
            for (shard, (malicious, noise)) in self.malicious.iter().zip(&self.noise).enumerate() {
                if !malicious {
                    let shard = ShardIndex(shard as u16);
                    let all_checked = self.broken == Some(Broken::NoCover);
                    onions.add_noise(shard, noise, &self.paths, all_checked, rng);
                }
            }
        }
        onions
    }

    /// Asks the adversary for the place of the seal layer that is missing in its filter.
    fn leave_out(
        &self,
        walk: &Walk,
        onions: &Onions,
        attacker: &mut impl Attacker,
    ) -> Option<usize> {
        let places: Vec<usize> = (0..walk.order.len())
            .filter(|&place| walk.order[place] != DROPPED)
            .filter(|&place| self.is_malicious(walk.last().at[place]))
            .collect();
        let held: Vec<Held> = places
            .iter()
            .map(|&place| walk.held(self, onions, place, self.setup.mixing_hops))
            .collect();
        attacker.leaves_out(&held).and_then(|chosen| places.get(chosen).copied())
    }

    fn open(
        &self,
        walk: &mut Walk,
        onions: &Onions,
        replies: &mut [[bool; 2]],
        attacker: &mut impl Attacker,
        rng: &mut impl CryptoRng,
    ) -> Opened {
        let dead_drop = |onion: u32| onions.list[onion as usize].dead_drop;
        let last = |onion| self.paths.dead_drop_shard(&dead_drop(onion).to_be_bytes());
        walk.step(self, onions, last, rng);
        let dead_drops: Vec<u128> = walk.order.iter().map(|&onion| dead_drop(onion)).collect();
        let at: Vec<bool> = walk.last().at.iter().map(|at| self.is_malicious(*at)).collect();
        // Both have whole dead drops, since a dead drop has one shard.
        let at_malicious = count(dead_drops.iter().zip(&at).filter(|d| *d.1).map(|d| *d.0));
        let at_honest = count(dead_drops.iter().zip(&at).filter(|d| !*d.1).map(|d| *d.0));
        let counts = PairCounts {
            pairs: at_malicious.pairs + at_honest.pairs,
            singles: at_malicious.singles + at_honest.singles,
        };
        replies.fill([false; 2]);
        for (&onion, malicious) in walk.order.iter().zip(at) {
            if let Owner::User(user, which) = onions.list[onion as usize].owner {
                replies[user][which] = !malicious || attacker.answers(dead_drop(onion));
            }
        }
        Opened { dead_drops, counts, at_malicious }
    }
}

/// The product's own counts of an exchange. A dead drop has one shard, so the shards may be counted together.
fn count(dead_drops: impl Iterator<Item = u128>) -> PairCounts {
    let deposits: Vec<u8> = dead_drops.flat_map(u128::to_be_bytes).collect();
    DeadDrops.exchange(&deposits, 0, &mut Vec::new())
}

/// Where all onions are, and how they came there.
struct Walk {
    /// The onion at each place of the current layer.
    order: Vec<u32>,
    /// By onion: `true` as long as only malicious shards have had it.
    followed: Vec<bool>,
    /// Onions that malicious shards dropped just before an honest seal shard: their sealed bytes are known.
    kept_back: Vec<u32>,
    trace: Trace,
}

impl Walk {
    fn enter(onions: &Onions, users: usize) -> Self {
        let mut trace = Trace { layers: Vec::new(), users: vec![[None; 2]; users] };
        let at: Vec<ShardIndex> = onions.list.iter().map(|onion| onion.enters).collect();
        for (place, onion) in (0..).zip(&onions.list) {
            if let Owner::User(user, which) = onion.owner {
                trace.users[user][which] = Some(place);
            }
        }
        let hidden = onions.list.iter().map(|onion| onion.hidden).collect();
        let next = vec![None; at.len()];
        trace.layers.push(TraceLayer { from: at.clone(), at, next, hidden });
        let order = (0..onions.list.len() as u32).collect();
        Self { order, followed: vec![true; onions.list.len()], kept_back: Vec::new(), trace }
    }

    fn last(&self) -> &TraceLayer {
        // `enter` pushes one, and none is ever taken away.
        &self.trace.layers[self.trace.layers.len() - 1]
    }

    /// Every shard shuffles what it holds and sends it on.
    fn step(
        &mut self,
        network: &IdealNetwork,
        onions: &Onions,
        to: impl Fn(u32) -> ShardIndex,
        rng: &mut impl CryptoRng,
    ) {
        let top = self.trace.layers.len() - 1;
        let layer = &mut self.trace.layers[top];
        let mut held: Vec<Vec<u32>> = vec![Vec::new(); network.malicious.len()];
        for (place, at) in (0..).zip(&layer.at) {
            // Dropped onions leave nothing behind.
            if self.order[place as usize] != DROPPED {
                held[at.position()].push(place);
            }
        }
        let mut after = TraceLayer::default();
        let mut order = Vec::with_capacity(self.order.len());
        for (holder, places) in (0..).map(ShardIndex).zip(&mut held) {
            let seen_through = network.sees_through(holder);
            shuffle(places, rng);
            for &place in &*places {
                let onion = self.order[place as usize];
                if seen_through {
                    layer.next[place as usize] = Some(order.len() as u32);
                } else {
                    self.followed[onion as usize] = false;
                }
                after.from.push(holder);
                after.at.push(to(onion));
                after.hidden.push(onions.list[onion as usize].hidden);
                order.push(onion);
            }
        }
        after.next = vec![None; order.len()];
        self.order = order;
        self.trace.layers.push(after);
    }

    fn held(&self, network: &IdealNetwork, onions: &Onions, place: usize, layer: u8) -> Held {
        let onion = self.order[place];
        let known = match onions.list[onion as usize].owner {
            Owner::User(user, which) if self.followed[onion as usize] => Some((user, which)),
            _ => None,
        };
        let at_seal = layer == network.setup.mixing_hops;
        Held {
            layer,
            place,
            shard: self.last().at[place],
            known,
            from_honest: !network.is_malicious(self.last().from[place]),
            next: (!at_seal).then(|| onions.hop(onion, layer + 1)),
        }
    }

    /// Lets malicious shards drop some of what they hold. Returns `true` if they did.
    fn drop(
        &mut self,
        network: &IdealNetwork,
        onions: &Onions,
        layer: u8,
        attacker: &mut impl Attacker,
    ) -> bool {
        let mut dropped = false;
        for place in 0..self.order.len() {
            if self.order[place] != DROPPED
                && network.is_malicious(self.last().at[place])
                && !attacker.keeps(&self.held(network, onions, place, layer))
            {
                let onion = std::mem::replace(&mut self.order[place], DROPPED);
                let seal_layer = network.setup.mixing_hops;
                if layer + 1 == seal_layer && !network.is_malicious(onions.hop(onion, seal_layer)) {
                    self.kept_back.push(onion);
                }
                dropped = true;
            }
        }
        dropped
    }

    fn sealed(&self, left_out: Option<usize>) -> Vec<Sealed> {
        (0..self.order.len())
            .filter(|&place| self.order[place] != DROPPED)
            .map(|place| Sealed {
                onion: self.order[place],
                from: self.last().from[place],
                left_out: left_out == Some(place),
            })
            .collect()
    }
}

/// Stands for an onion that was dropped.
const DROPPED: u32 = u32::MAX;
