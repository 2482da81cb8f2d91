//! Making clients pay less than they reveal.
//!
//! What a round may show is bounded by the noise and by mixing; how many rounds there are, by what the
//! two ends of a conversation count. Both count alike here: each round is the same for both.

use std::sync::LazyLock;

use antiphon_client_core::Ledger;
use antiphon_fixture::{Scripted, Setup};
use antiphon_verify::{AbortKind, judge_abort};
use antiphon_wire::{OperatorIndex, Reason, Round, SealAct, SealStatement, ShardIndex, Signed};

use super::super::cases::{counting, noise, two_of_five};
use super::super::former_rules::frees_abort;
use super::dropping::{Dropper, without_one_each};
use crate::count::log_ratio;
use crate::ideal::{Attacker, Broken, Held, IdealSetup, Opened, View};
use crate::{Against, Case, Game, Partners, Profile, Strategy};

/// Rounds that a trial tries for each that the ends have a unit for.
const TRIES: u32 = 16;

/// The ledger of each end: so much that resting begins after a part of the rounds.
fn ledger(rounds: u32) -> Ledger {
    Ledger::new(2 * rounds.div_ceil(TRIES), 0, 0)
}

/// Drops one each in rounds that it need not pay for, if it can, until the ends' ledgers are used up.
pub(super) struct Unpaid {
    profile: Profile,
    network: fn() -> IdealSetup,
    /// True if one shard keeps its seal key, and opens the rounds alone.
    withholds: bool,
    /// Tells if the rounds cost the ends nothing, in a network with this defence missing.
    are_free: fn(Option<Broken>) -> bool,
}

/// Ways to disturb rounds that the ends' ledgers are not charged for.
pub(super) static UNPAID: [Unpaid; 2] = [
    Unpaid {
        profile: Profile {
            name: "close-in-flight",
            about: "drops one each in the last rounds before each close, again and again",
            notices: &[Broken::FreeCloses],
            rounds: 64,
            patterns: None,
            scales: true,
        },
        network: || counting(64),
        withholds: false,
        are_free: |broken| broken == Some(Broken::FreeCloses),
    },
    Unpaid {
        profile: Profile {
            name: "small-network",
            about: "one operator of three says that it withheld its seal key, and opens alone",
            notices: &[Broken::LoneWithholder],
            rounds: 64,
            patterns: None,
            scales: false,
        },
        network: || IdealSetup::equal(3, 1, 3, noise(64)),
        withholds: true,
        are_free: |broken| match broken {
            Some(Broken::LoneWithholder) => ONE_WORD.formerly_free,
            _ => ONE_WORD.kind == AbortKind::Free,
        },
    },
];

impl Strategy for Unpaid {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = (self.network)().with_users(against.users(), 0);
        Case::charged(setup, rounds.div_ceil(TRIES), 3000)
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let mut dropper = Dropper::keeping(without_one_each(game.users(), game.against));
        dropper.withholds = self.withholds;
        let are_free = (self.are_free)(game.field.network.broken());
        let mut ledger = ledger(game.rounds);
        let mut sum = 0.0;
        for _ in 0..game.rounds {
            if ledger.left() == 0 {
                // The conversation rests, and both worlds look alike.
                break;
            }
            let view = game.round(&mut dropper);
            sum += game.weigh_count(game.field, &dropper.kept, &view);
            if !are_free {
                ledger.charge();
            }
        }
        sum
    }
}

/// Judgements of an aborted round of which one operator of three says that it withheld its seal key.
struct OneWord {
    /// By the product, from statements and documents as they are.
    kind: AbortKind,
    /// By the rule as it was.
    formerly_free: bool,
}

static ONE_WORD: LazyLock<OneWord> = LazyLock::new(|| {
    const LIAR: usize = 0;
    let mut shards = Scripted::new(Setup::small(3, 0).with_malicious_fifth());
    let (document, _) = shards.honest(1, (1, 1));
    let round = Round(1);
    let key = Setup::shard_key(LIAR);
    let at = document.shards.iter().position(|shard| shards.position(&shard.identity) == LIAR);
    let at = at.expect("all three are in the document");
    let statement = SealStatement {
        network: document.network,
        epoch: document.epoch,
        round,
        shard: ShardIndex(at as u16),
        act: SealAct::Withheld { reason: Reason::NotPrepared },
    };
    let file = &shards.file;
    let weight = file.operator(OperatorIndex(0)).map_or(0, |operator| operator.weight.into());
    OneWord {
        kind: judge_abort(&document, file, round, &[Signed::new(statement, &key)]),
        formerly_free: frees_abort(weight, file),
    }
});

/// Follows onions up to the seal and aborts every round in which it lost those that say who meets whom.
pub(super) struct Attempts;

/// Two onions of which one can be followed to the other's dead drop in one of the worlds.
const TELLING: [[(usize, usize); 2]; 4] =
    [[(0, 0), (0, 1)], [(1, 0), (1, 1)], [(0, 0), (1, 0)], [(0, 1), (1, 1)]];

#[derive(Default)]
struct Chooser {
    /// Where the onions are that no honest shard has touched, at the seal layer.
    followed: Vec<((usize, usize), usize)>,
}

impl Chooser {
    fn place(&self, onion: (usize, usize)) -> Option<usize> {
        self.followed.iter().find(|(followed, _)| *followed == onion).map(|(_, place)| *place)
    }

    fn telling(&self) -> Option<[((usize, usize), usize); 2]> {
        TELLING
            .into_iter()
            .find_map(|[one, other]| Some([(one, self.place(one)?), (other, self.place(other)?)]))
    }
}

impl Attacker for Chooser {
    fn keeps(&mut self, held: &Held) -> bool {
        if let (Some(onion), None) = (held.known, held.next) {
            self.followed.push((onion, held.place));
        }
        true
    }

    fn complains(&mut self, _: Option<&Opened>) -> bool {
        self.telling().is_none()
    }
}

/// Returns `true` if two onions meet in a world.
fn meet(partners: &Partners, [one, other]: [(usize, usize); 2]) -> bool {
    match partners[one.0] {
        None => one.0 == other.0,
        Some(partner) => partner == other.0,
    }
}

/// Logarithm of how much likelier the second world is, by the dead drops of two onions that were followed.
fn weigh(game: &Game<'_>, chooser: &Chooser, view: &View) -> Option<f64> {
    let opened = view.opened.as_ref()?;
    let [one, other] = chooser.telling()?;
    let seal_layer = view.trace.layers.len().checked_sub(2)?;
    let dead_drop = |place: usize| {
        let last = view.trace.layers[seal_layer].next[place]?;
        Some(opened.dead_drops[last as usize])
    };
    let met = dead_drop(one.1)? == dead_drop(other.1)?;
    let likely = |world: usize| {
        f64::from(u8::from(meet(&game.field.worlds[world], [one.0, other.0]) == met))
    };
    Some(log_ratio(likely(1), likely(0)))
}

impl Strategy for Attempts {
    fn profile(&self) -> &Profile {
        &Profile {
            name: "attempts",
            about: "aborts every round, for free, in which it lost sight of the onions that tell most",
            notices: &[Broken::UncountedAborts],
            rounds: 64,
            patterns: None,
            scales: false,
        }
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = two_of_five(16, 2).with_users(against.users(), 0);
        let f = setup.malicious_share().as_f64();
        let hops = i32::from(setup.mixing_hops);
        // In each attempt two onions that tell are followed through both all hops.
        let once = TELLING.len() as f64 * f.powi(2 * hops);
        let promised = Some(f64::from(rounds.div_ceil(TRIES)) * once);
        Case { promised, ..Case::charged(setup, 1, 2000) }
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let mut attempts = ledger(game.rounds);
        for _ in 0..game.rounds {
            if attempts.left() == 0 {
                break;
            }
            let mut chooser = Chooser::default();
            let view = game.round(&mut chooser);
            if let Some(weight) = weigh(game, &chooser, &view) {
                return weight;
            }
            if game.field.network.broken() != Some(Broken::UncountedAborts) {
                attempts.charge();
            }
        }
        0.0
    }
}
