//! Looking first, and then deciding whether to disturb a round.

use super::super::cases::noise;
use super::dropping::Dropper;
use crate::count::log_ratio;
use crate::ideal::{Broken, IdealSetup, View};
use crate::{Against, Case, Game, Profile, Strategy};

/// Peels the four onions in question at their gateways, round after round, and leaves all rounds alone but
/// the first in which one of them has malicious hops alone. It drops that one's sibling: whether the one that
/// it followed is single or paired tells the worlds apart. The rounds that are left alone show nothing
/// but what following onions does; it does not even do that.
pub(super) struct Peek;

/// Mixing hops: so many that `delta_mix` is a fifth of what is gained by looking, and few enough that somebody
/// who looks is lucky after some ten thousand rounds.
const HOPS: u8 = 13;

/// Two operators, one of them malicious with two fifths of the weight and many shards, and noise that is not
/// what tells.
fn network() -> IdealSetup {
    let mut setup = IdealSetup::equal(2, 1, HOPS, noise(1 << 15));
    for (operator, (weight, shards)) in setup.operators.iter_mut().zip([(2, 4), (3, 1)]) {
        (operator.weight, operator.shards) = (weight, shards);
    }
    setup
}

impl Strategy for Peek {
    fn profile(&self) -> &Profile {
        &Profile {
            name: "peek",
            about: "peels onions at the gateway; drops the sibling of one with malicious hops alone",
            notices: &[Broken::WeightByShard],
            rounds: 14_000,
            patterns: None,
            scales: false,
        }
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = network().with_users(against.users(), 0);
        let case = Case::charged(setup, 1, 1500);
        Case { followed_rounds: rounds, peeked_rounds: rounds, ..case }
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let hops = game.setup().mixing_hops;
        let onions = || [0, 1].into_iter().flat_map(|user| [(user, 0), (user, 1)]);
        for _ in 0..game.rounds {
            let gathered = game.gather();
            let to_its_end = |onion: &(usize, usize)| {
                game.field.network.peeled(&gathered, onion.0, onion.1) == hops
            };
            let Some((user, onion)) = onions().find(to_its_end) else { continue };
            let mut kept = vec![[true; 2]; game.users()];
            kept[user][1 - onion] = false;
            let mut attacker = Dropper::keeping(kept);
            let view = game.pass_on(gathered, &mut attacker);
            return match is_paired(&view, user, onion) {
                Some(true) => log_ratio(1.0, 0.0),
                Some(false) => log_ratio(0.0, 1.0),
                None => 0.0,
            };
        }
        0.0
    }
}

/// Returns `true` if another deposit came to the dead drop of an onion that only malicious shards have had.
fn is_paired(view: &View, user: usize, onion: usize) -> Option<bool> {
    let dead_drops = &view.opened.as_ref()?.dead_drops;
    let mut place = view.trace.users[user][onion]? as usize;
    let (_, layers) = view.trace.layers.split_last()?;
    for layer in layers {
        place = layer.next[place]? as usize;
    }
    Some(dead_drops.iter().filter(|other| **other == dead_drops[place]).count() == 2)
}
