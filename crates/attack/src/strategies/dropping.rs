//! Dropping users' onions where they enter, and counting pairs.

use super::super::cases::{counting, noise, two_of_five};
use super::super::likelihood::likelier_after_drop;
use crate::count::log_ratio;
use crate::ideal::{Attacker, Broken, IdealSetup};
use crate::{Against, Case, Game, Kept, Profile, Strategy};

/// A strategy that drops onions at the gateway and counts.
pub(super) struct Dropping {
    profile: Profile,
    /// Who arrives, of so many users.
    kept: fn(usize, Against) -> Kept,
    /// True if the last shard keeps its seal key, and the adversary opens the round alone.
    withholds: bool,
    sees: Sees,
    network: fn() -> IdealSetup,
    /// Users whose onions are left alone.
    bystanders: usize,
    trials: u64,
}

/// Evidence that the guess goes by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sees {
    /// The count of pairs.
    Count,
    /// That at malicious dead-drop shards.
    CountAtMalicious,
    /// The count, and where the onions can be that are left.
    Places,
}

const DROP_ONE_EACH: Dropping = Dropping {
    profile: Profile {
        name: "drop-one-each",
        about: "drops an onion of A and the one of B that would meet it, at the gateway",
        notices: &[Broken::NoNoise],
        rounds: 1,
        patterns: Some(&[Broken::NoNoise]),
        scales: true,
    },
    kept: without_one_each,
    withholds: false,
    sees: Sees::Count,
    network: || counting(16),
    bystanders: 2,
    trials: 20_000,
};

const REPEATED: Dropping = Dropping {
    profile: Profile {
        name: "repeated",
        about: "drops one each in many rounds and adds up what the counts say",
        rounds: 16,
        ..DROP_ONE_EACH.profile
    },
    network: || counting(64),
    bystanders: 0,
    trials: 3000,
    ..DROP_ONE_EACH
};

/// The strategies that drop onions of the users in question.
pub(super) static DROPPING: [Dropping; 6] = [
    DROP_ONE_EACH,
    Dropping {
        profile: Profile {
            name: "drop-both",
            about: "drops both onions of A (and of B, against patterns), at the gateway",
            ..DROP_ONE_EACH.profile
        },
        kept: without_both,
        ..DROP_ONE_EACH
    },
    REPEATED,
    Dropping {
        profile: Profile {
            name: "withholder",
            about: "the last shard to release keeps its seal key and opens the rounds alone",
            ..REPEATED.profile
        },
        withholds: true,
        ..REPEATED
    },
    Dropping {
        profile: Profile {
            name: "last-shards",
            about: "drops one each and counts the pairs at malicious dead-drop shards",
            patterns: Some(&[]),
            ..DROP_ONE_EACH.profile
        },
        sees: Sees::CountAtMalicious,
        network: || two_of_five(16, 3),
        bystanders: 0,
        ..DROP_ONE_EACH
    },
    Dropping {
        profile: Profile {
            name: "drop-follow",
            about: "drops one each and follows the two that are left, which meet or are single",
            notices: &[Broken::NoNoise, Broken::NoShuffle],
            patterns: None,
            ..DROP_ONE_EACH.profile
        },
        sees: Sees::Places,
        network: || IdealSetup::equal(5, 1, 7, noise(64)),
        bystanders: 0,
        trials: 4000,
        ..DROP_ONE_EACH
    },
];

/// Passes on what is kept, and keeps the last seal key if asked to.
#[derive(Clone, Debug)]
pub(super) struct Dropper {
    pub(super) kept: Kept,
    pub(super) withholds: bool,
}

impl Dropper {
    /// Lets these onions through, and does nothing else.
    pub(super) fn keeping(kept: Kept) -> Self {
        Self { kept, withholds: false }
    }
}

impl Attacker for Dropper {
    fn submits(&mut self, user: usize, onion: usize) -> bool {
        self.kept[user][onion]
    }

    fn withholds(&mut self) -> bool {
        self.withholds
    }
}

/// Everything but one onion of A and the one of B that would meet it. Without C and D nobody else's
/// onions matter; with them, dropping one each moves the count as well.
pub(super) fn without_one_each(users: usize, _: Against) -> Kept {
    let mut kept = vec![[true; 2]; users];
    kept[0][0] = false;
    kept[1][0] = false;
    kept
}

fn without_both(users: usize, against: Against) -> Kept {
    let mut kept = vec![[true; 2]; users];
    kept[0] = [false; 2];
    if against == Against::Pattern {
        kept[1] = [false; 2];
    }
    kept
}

impl Strategy for Dropping {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = (self.network)().with_users(against.users(), self.bystanders);
        let followed_after_drop = if self.sees == Sees::Places { rounds } else { 0 };
        Case { followed_after_drop, ..Case::charged(setup, rounds, self.trials) }
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let kept = (self.kept)(game.users(), game.against);
        let f = game.setup().malicious_share().as_f64();
        let at_malicious =
            game.user_pairs(&kept).map(|pairs| game.field.noise.plus(pairs).thinned(f));
        let mut dropper = Dropper { kept, withholds: self.withholds };
        let mut sum = 0.0;
        for _ in 0..game.rounds {
            let view = game.round(&mut dropper);
            sum += match self.sees {
                Sees::Count => game.weigh_count(game.field, &dropper.kept, &view),
                Sees::Places => likelier_after_drop(game, game.field, &view),
                Sees::CountAtMalicious => view.opened.map_or(0.0, |opened| {
                    let seen = opened.at_malicious.pairs;
                    log_ratio(at_malicious[1].of(seen), at_malicious[0].of(seen))
                }),
            };
        }
        sum
    }
}
