//! Replies that do not come back.

use super::super::cases::two_of_five;
use crate::count::log_ratio;
use crate::ideal::{Attacker, Broken};
use crate::{Against, Case, Game, Partners, Profile, Strategy};

/// Malicious dead-drop shards send nothing back, and gateways look who is left without.
pub(super) struct MissingReplies;

struct Silent;

impl Attacker for Silent {
    fn answers(&mut self, _: u128) -> bool {
        false
    }
}

/// The probability that exactly these onions are answered: a dead drop's two share their fate, and
/// each dead drop is at a malicious shard with probability `f`.
fn likely(partners: &Partners, answered: &[[bool; 2]], f: f64) -> f64 {
    let mut likely = 1.0;
    let mut met = |one: bool, other: bool| {
        likely *= match (one, other) {
            (true, true) => 1.0 - f,
            (false, false) => f,
            _ => 0.0,
        };
    };
    for (user, partner) in partners.iter().enumerate() {
        match partner {
            None => met(answered[user][0], answered[user][1]),
            Some(partner) if user < *partner => {
                (0..2).for_each(|onion| met(answered[user][onion], answered[*partner][onion]));
            }
            Some(_) => {}
        }
    }
    likely
}

impl Strategy for MissingReplies {
    fn profile(&self) -> &Profile {
        &Profile {
            name: "missing-replies",
            about: "malicious dead-drop shards send nothing back; gateways look who is left without",
            notices: &[Broken::NoFill],
            rounds: 1,
            patterns: Some(&[Broken::NoFill]),
            scales: true,
        }
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        Case::charged(two_of_five(64, 3).with_users(against.users(), 0), rounds, 4000)
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let f = game.setup().malicious_share().as_f64();
        let fills = game.field.network.broken() != Some(Broken::NoFill);
        let kept = vec![[true; 2]; game.users()];
        let mut sum = 0.0;
        for _ in 0..game.rounds {
            let view = game.round(&mut Silent);
            if !fills {
                let of = |world: usize| likely(&game.field.worlds[world], &view.replies, f);
                sum += log_ratio(of(1), of(0));
            }
            sum += game.weigh_count(game.field, &kept, &view);
        }
        sum
    }
}
