//! The two worlds that an adversary tells apart.

use std::fmt;
use std::str::FromStr;

use antiphon_dp_noise::Step;

/// Whom each user talks to.
pub type Partners = Vec<Option<usize>>;

/// For each user, its two onions: `true` for those that are not dropped.
pub type Kept = Vec<[bool; 2]>;

/// A pair of worlds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// A talks to B, or both are idle.
    Idle,
    /// A talks to B and C to D, or A to C and B to D.
    Pattern,
}

/// There is no such pair of worlds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an attack is against idle or pattern, not {0:?}")]
pub struct UnknownWorlds(String);

impl Against {
    /// Number of users who differ between the worlds.
    pub const fn users(self) -> usize {
        match self {
            Self::Idle => 2,
            Self::Pattern => 4,
        }
    }

    /// By how much the count of pairs can move between them.
    pub const fn step(self) -> Step {
        match self {
            Self::Idle => Step::One,
            Self::Pattern => Step::Two,
        }
    }

    /// The worlds, each with `users` users: A is 0, B is 1, C is 2, D is 3, and the rest idle. In the
    /// second one A talks to B. Of idle and talking, the users `in_question` stand for the two ends, by turns:
    /// one of each for every pair of onions that a client has.
    pub fn worlds(self, users: usize, in_question: usize) -> [Partners; 2] {
        let mut worlds = [vec![None; users], vec![None; users]];
        let mut talk = |world: usize, a: usize, b: usize| {
            worlds[world][a] = Some(b);
            worlds[world][b] = Some(a);
        };
        match self {
            Self::Idle => (0..in_question / 2).for_each(|pair| talk(1, 2 * pair, 2 * pair + 1)),
            Self::Pattern => {
                talk(1, 0, 1);
                talk(1, 2, 3);
                talk(0, 0, 2);
                talk(0, 1, 3);
            }
        }
        worlds
    }
}

/// The pairs that users' onions make in a world if only some of them arrive.
pub(super) fn user_pairs(partners: &Partners, kept: &Kept) -> u32 {
    let mut pairs = 0;
    for (user, partner) in partners.iter().enumerate() {
        pairs += match partner {
            None => u32::from(kept[user] == [true; 2]),
            // Counted once, at the first of the two.
            Some(partner) if user < *partner => {
                (0..2).map(|onion| u32::from(kept[user][onion] && kept[*partner][onion])).sum()
            }
            Some(_) => 0,
        };
    }
    pairs
}

/// The onions that share dead drops in a world, by number, two a user, among the first `onions`.
pub(super) fn couples(partners: &Partners, onions: usize) -> Vec<(usize, usize)> {
    let mut couples = Vec::new();
    for (user, partner) in partners[..onions / 2].iter().enumerate() {
        match partner {
            None => couples.push((2 * user, 2 * user + 1)),
            Some(partner) if user < *partner => {
                couples.extend([0, 1].map(|onion| (2 * user + onion, 2 * partner + onion)));
            }
            Some(_) => {}
        }
    }
    couples
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Pattern => "pattern",
        })
    }
}

impl FromStr for Against {
    type Err = UnknownWorlds;

    fn from_str(text: &str) -> Result<Self, UnknownWorlds> {
        match text {
            "idle" => Ok(Self::Idle),
            "pattern" => Ok(Self::Pattern),
            _ => Err(UnknownWorlds(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_moves_the_count_by_what_the_step_says_and_no_more() {
        for against in [Against::Idle, Against::Pattern] {
            let worlds = against.worlds(5, against.users());
            let onions = 2 * against.users();
            let moved = (0_u32..1 << onions).map(|dropped| {
                let mut kept: Kept = vec![[true; 2]; 5];
                for onion in 0..onions {
                    kept[onion / 2][onion % 2] = dropped >> onion & 1 == 0;
                }
                user_pairs(&worlds[0], &kept).abs_diff(user_pairs(&worlds[1], &kept))
            });
            assert_eq!(moved.max(), Some(against.step().pairs()));
            let all = vec![[true; 2]; 5];
            assert_eq!(user_pairs(&worlds[0], &all), 5);
            assert_eq!(user_pairs(&worlds[1], &all), 5);
        }
    }
}
