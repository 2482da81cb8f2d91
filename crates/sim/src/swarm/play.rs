//! Plays of an adversary in a network of the swarm, and the times that they last.

use std::fmt;

use antiphon_wire::{Layer, ShardIndex, Timestamp};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::draw::Draw;
use crate::adversary::{
    Adversary, CellPlay, ClientPlay, CoordinatorLie, Corrupt, Delay, DropOnions, Duplicate,
    FalseComplaint, FalseFilter, FilterLie, FilterStuffer, GatewayLie, HeaderLie, Keys, Kind,
    LeftOut, LyingCoordinator, LyingGateway, LyingHeader, MaliciousClient, Part, Place, SealPlay,
    SealSpoiler, SpoiltCells, Target, Which,
};
use crate::party::{Party, Sent};

/// One thing that an adversary does.
#[derive(Clone, Debug)]
pub enum Play {
    /// Of the messages of shards to shards and clients, one in so many comes so many milliseconds late.
    HoldBack(u32, u64),
    /// Of the messages between shards, and between shards and clients, one in so many is lost. With
    /// the coordinator nothing is lost but with a link.
    Lose(u32),
    /// Two shards hear nothing of each other.
    Part(usize, usize),
    /// The coordinator repeats or leaves out what it says.
    Coordinator(CoordinatorLie),
    /// A client does not do what it should.
    Client(ClientPlay, usize),
    /// A shard flips bits of onions.
    Corrupt(Corrupt),
    /// A shard holds messages up.
    Delay(Delay),
    /// A shard leaves onions out of batches.
    Drop(DropOnions),
    /// A shard repeats onions.
    Duplicate(Target, Place),
    /// A shard publishes a false filter.
    Filter(FalseFilter),
    /// A shard stuffs another's filter.
    Stuff(Target),
    /// A shard leaves an onion out of its filter.
    LeftOut(usize, usize, Layer),
    /// A shard complains of what is not so.
    Complain(usize, ShardIndex),
    /// A gateway lies to its clients.
    Gateway(LyingGateway),
    /// A shard's headers lie.
    Header(LyingHeader),
    /// A shard plays with its seal key.
    Seal(usize, SealPlay),
    /// The cells that a shard sends, of so many bytes, are spoilt.
    Cells(usize, CellPlay, usize),
}

impl Play {
    /// Something that anybody on the links can do.
    pub(super) fn of_links(draw: &mut Draw, shards: usize) -> Self {
        let (a, b) = (draw.below(shards), draw.below(shards));
        match draw.below(10) {
            0..=3 => Self::HoldBack(draw.between(20, 3000) as u32, draw.between(100, 5000)),
            4..=6 => Self::Lose(draw.between(50, 5000) as u32),
            _ if a != b => Self::Part(a, b),
            _ => Self::Part(a, (a + 1) % shards),
        }
    }

    /// Something that the coordinator does.
    pub(super) fn of_coordinator(draw: &mut Draw, shards: usize) -> Self {
        let shard = draw.below(shards);
        Self::Coordinator(match draw.below(5) {
            0 => CoordinatorLie::OpensAgain(draw.between(1, 2000)),
            1 => CoordinatorLie::OpensOld,
            2 => CoordinatorLie::PublishesOld,
            3 => CoordinatorLie::OpensWithout(shard),
            _ => CoordinatorLie::PublishesWithout(shard),
        })
    }

    /// Something that a client does.
    pub(super) fn of_client(draw: &mut Draw, client: usize) -> Self {
        let play = match draw.below(9) {
            0 => ClientPlay::Lost,
            1 => ClientPlay::Late(draw.between(50, 2500)),
            2 => ClientPlay::Garbage(draw.below(256) as u8),
            3 => ClientPlay::Short,
            4 => ClientPlay::Empty,
            5 => ClientPlay::UnknownHop,
            6 => ClientPlay::SameOnionTwice,
            7 => ClientPlay::AndAnother,
            _ => ClientPlay::Times(draw.between(2, 40) as usize),
        };
        Self::Client(play, client)
    }

    /// Something that the malicious shard `from` does, in a network of layers up to about `layers`.
    pub(super) fn of_shard(draw: &mut Draw, from: usize, shards: usize, layers: u8) -> Self {
        let layer = Layer(1 + draw.below(usize::from(layers)) as u8);
        let other = (from + 1 + draw.below(shards - 1)) % shards;
        let to = draw.chance(50).then_some(other);
        let kinds = [
            Kind::Onions(layer),
            Kind::Onions(layer),
            Kind::Replies(layer),
            Kind::Filter,
            Kind::Verdict,
            Kind::Statements,
        ];
        let onions = Target { from, to, kind: draw.one(&kinds[..3]) };
        match draw.below(12) {
            0 => Self::Corrupt(Corrupt {
                target: onions,
                part: draw.one(&[Part::Ephemeral, Part::Tag, Part::Ciphertext]),
                real_ones_follow: draw.chance(30),
            }),
            1 | 2 => Self::Delay(Delay {
                target: Target { kind: draw.one(&kinds), ..onions },
                ms: draw.chance(60).then(|| draw.between(100, 2500)),
            }),
            3 => Self::Drop(DropOnions { target: onions, which: which(draw) }),
            4 => {
                let place = if draw.chance(50) { Place::SameBatch } else { Place::Shard(other) };
                Self::Duplicate(onions, place)
            }
            5 => Self::Filter(FalseFilter { shard: from, lie: filter_lie(draw, other) }),
            6 => Self::Stuff(Target { kind: Kind::Onions(layer), ..onions }),
            7 => Self::LeftOut(from, other, layer),
            8 => Self::Complain(from, ShardIndex(draw.below(shards) as u16)),
            9 => Self::Gateway(LyingGateway { shard: from, lie: gateway_lie(draw) }),
            10 => Self::Header(LyingHeader { target: onions, lie: header_lie(draw) }),
            _ => Self::Seal(from, seal_play(draw, other)),
        }
    }

    /// Something that is done to the cells of one shard: by itself if it is the malicious one, and else on its links.
    pub(super) fn of_cells(
        draw: &mut Draw,
        shards: usize,
        malicious: Option<usize>,
        cell_bytes: usize,
    ) -> Self {
        let one_in = draw.one(&[1, 3, 10, 50]);
        let on_links = [
            CellPlay::Drop(one_in),
            CellPlay::Late(one_in, draw.between(20, 3000)),
            CellPlay::Hold,
            CellPlay::Fill,
        ];
        let inside = [CellPlay::Garble(one_in), CellPlay::Replay, CellPlay::Again, CellPlay::Short];
        match malicious {
            Some(shard) if draw.chance(60) => Self::Cells(shard, draw.one(&inside), cell_bytes),
            _ => Self::Cells(draw.below(shards), draw.one(&on_links), cell_bytes),
        }
    }

    fn adversary(&self, seed: u64) -> Box<dyn Adversary> {
        match self.clone() {
            Self::HoldBack(one_in, ms) => Box::new(hold_back(seed, one_in, ms)),
            Self::Lose(one_in) => Box::new(lose(seed, one_in)),
            Self::Part(a, b) => Box::new(part(a, b)),
            Self::Coordinator(lie) => Box::new(LyingCoordinator::new(lie)),
            Self::Client(play, client) => Box::new(MaliciousClient { client, play }),
            Self::Corrupt(attack) => Box::new(attack),
            Self::Delay(attack) => Box::new(attack),
            Self::Drop(attack) => Box::new(attack),
            Self::Duplicate(target, place) => Box::new(Duplicate::new(target, place)),
            Self::Filter(attack) => Box::new(attack),
            Self::Stuff(target) => Box::new(FilterStuffer { target, added: Default::default() }),
            Self::LeftOut(seal, last_hop, layer) => {
                Box::new(LeftOut::new(seal, last_hop, &[], layer))
            }
            Self::Complain(shard, about) => Box::new(FalseComplaint { shard, about }),
            Self::Gateway(attack) => Box::new(attack),
            Self::Header(attack) => Box::new(attack),
            Self::Seal(shard, play) => Box::new(SealSpoiler { shard, play }),
            Self::Cells(shard, play, cell_bytes) => {
                Box::new(SpoiltCells::new(shard, play, cell_bytes, seed))
            }
        }
    }
}

fn which(draw: &mut Draw) -> Which {
    match draw.below(3) {
        0 => Which::All,
        1 => Which::First(draw.between(1, 5) as usize),
        _ => Which::Random(draw.between(1, 5) as usize, draw.seed()),
    }
}

fn filter_lie(draw: &mut Draw, other: usize) -> FilterLie {
    draw.one(&[
        FilterLie::AllOnes,
        FilterLie::WrongSize,
        FilterLie::Empty,
        FilterLie::CountAbsurd,
        FilterLie::CountOneMore,
        FilterLie::OtherTo(other),
        FilterLie::Signature,
    ])
}

fn gateway_lie(draw: &mut Draw) -> GatewayLie {
    draw.one(&[
        GatewayLie::NoReplies,
        GatewayLie::GarbledReplies,
        GatewayLie::ShortReplies,
        GatewayLie::SwappedReplies,
        GatewayLie::Aborted,
        GatewayLie::ForgedAbort,
    ])
}

fn header_lie(draw: &mut Draw) -> HeaderLie {
    draw.one(&[
        HeaderLie::Bytes,
        HeaderLie::CountTooHigh,
        HeaderLie::CountTooLow,
        HeaderLie::CountAbsurd,
        HeaderLie::Ragged,
        HeaderLie::Signature,
        HeaderLie::Receiver,
        HeaderLie::Version,
        HeaderLie::Twice,
        HeaderLie::Round,
    ])
}

fn seal_play(draw: &mut Draw, other: usize) -> SealPlay {
    match draw.below(7) {
        0 => SealPlay::Silent,
        1 => SealPlay::Withhold,
        2 => SealPlay::WithholdEarly,
        3 => SealPlay::ReleaseTo(vec![other]),
        4 => SealPlay::BothTo(vec![other]),
        5 => SealPlay::Both(draw.chance(50)),
        _ => SealPlay::WrongSecret,
    }
}

fn hold_back(seed: u64, one_in: u32, ms: u64) -> impl Adversary {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    move |_: Timestamp, sent: Sent, _: &Keys| {
        let held = matches!(sent.from, Party::Shard(_))
            && !matches!(sent.to, Party::Coordinator(_))
            && rng.next_u32() % one_in == 0;
        vec![(if held { ms } else { 0 }, sent)]
    }
}

fn lose(seed: u64, one_in: u32) -> impl Adversary {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    move |_: Timestamp, sent: Sent, _: &Keys| {
        let lost = ![sent.from, sent.to].iter().any(|party| matches!(party, Party::Coordinator(_)))
            && rng.next_u32() % one_in == 0;
        if lost { vec![] } else { vec![(0, sent)] }
    }
}

fn part(a: usize, b: usize) -> impl Adversary {
    let (a, b) = (Party::Shard(a), Party::Shard(b));
    move |_: Timestamp, sent: Sent, _: &Keys| {
        let between = (sent.from, sent.to) == (a, b) || (sent.from, sent.to) == (b, a);
        if between { vec![] } else { vec![(0, sent)] }
    }
}

/// A play with its time.
#[derive(Clone, Debug)]
pub struct Span {
    /// From when on, in milliseconds from the network's start.
    pub from_ms: u64,
    /// End of the span, in milliseconds from the start.
    pub until_ms: u64,
    /// Misbehaviour in this span.
    pub play: Play,
    /// Where its randomness comes from.
    pub seed: u64,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} ms: {:?}", self.from_ms, self.until_ms, self.play)
    }
}

/// Several adversaries, each in its time: what one lets pass comes to the next.
pub(super) struct Plays {
    start: Timestamp,
    plays: Vec<(u64, u64, Box<dyn Adversary>)>,
}

impl Plays {
    pub(super) fn new(start: Timestamp, spans: &[Span]) -> Self {
        let plays = spans.iter().map(|span| {
            let Span { from_ms, until_ms, play, seed } = span;
            (*from_ms, *until_ms, play.adversary(*seed))
        });
        Self { start, plays: plays.collect() }
    }
}

impl Adversary for Plays {
    fn on_message(&mut self, now: Timestamp, sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        let at = now.ms_since(self.start);
        let mut passed = vec![(0, sent)];
        for (from, until, play) in &mut self.plays {
            // Plays may overlap: each gets what the one before it let pass.
            if !(*from..*until).contains(&at) {
                continue;
            }
            let before = std::mem::take(&mut passed);
            for (late, sent) in before {
                let after = play.on_message(now, sent, keys);
                passed.extend(after.into_iter().map(|(ms, sent)| (late + ms, sent)));
            }
        }
        passed
    }
}
