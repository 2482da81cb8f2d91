//! Many measurements in one go.

use super::{Against, Options, Size, Strategy, all};
use crate::ideal::Broken;

/// One measurement of a suite.
#[derive(Clone, Copy)]
pub struct Play {
    /// Strategy that is played.
    pub strategy: &'static dyn Strategy,
    /// Options that it is played by.
    pub options: Options,
}

/// Networks as large as those that the noise is chosen for.
const LARGE: Size = Size { shards: Some(100), users: Some(2000), mixing_hops: Some(14) };

/// Measurements on large networks: strategy, missing defence, trials, and rounds a trial. Where a round tells
/// little, several do.
const ON_LARGE: [(&str, Option<Broken>, u64, u32); 13] = [
    ("passive", None, 1000, 1),
    ("passive", Some(Broken::NoShuffle), 100, 1),
    ("n-minus-one", None, 1000, 1),
    ("sybil", None, 1000, 1),
    ("sybil", Some(Broken::WeightByShard), 100, 1),
    ("drop-one-each", None, 10_000, 1),
    ("drop-one-each", Some(Broken::NoNoise), 200, 1),
    ("repeated", None, 1000, 8),
    ("withholder", None, 1000, 8),
    ("last-shards", None, 4000, 1),
    ("drop-follow", None, 1000, 1),
    ("missing-replies", None, 1000, 1),
    ("missing-replies", Some(Broken::NoFill), 400, 1),
];

/// Every strategy against what it is for and, on request, large networks; on intact networks and on those
/// that it has to notice. `None` for all worlds.
pub fn suite(
    against: Option<Against>,
    seeds: &[u64],
    trials: Option<u64>,
    large: bool,
) -> Vec<Play> {
    let mut plays = Vec::new();
    for against in [Against::Idle, Against::Pattern] {
        for strategy in all() {
            let Some(notices) = strategy.profile().notices_against(against) else { continue };
            let notices = notices.iter().map(|broken| Some(*broken));
            for broken in std::iter::once(None).chain(notices) {
                let options = Options { broken, against, trials, ..Options::default() };
                plays.push(Play { strategy, options });
            }
            let here = |(name, ..): &&(&str, _, _, _)| {
                large && against == Against::Idle && *name == strategy.profile().name
            };
            for (_, broken, trials, rounds) in ON_LARGE.iter().filter(here) {
                let options = Options {
                    broken: *broken,
                    against,
                    trials: Some(*trials),
                    rounds: Some(*rounds),
                    size: LARGE,
                    ..Options::default()
                };
                plays.push(Play { strategy, options });
            }
        }
    }
    plays.retain(|play| against.is_none_or(|against| play.options.against == against));
    // All intervals of the suite hold together, for every seed.
    let comparisons = (plays.len() * seeds.len()) as u32;
    let seeded = |play: Play| {
        let options = move |seed| Options { seed, comparisons, ..play.options };
        seeds.iter().map(move |seed| Play { options: options(*seed), ..play })
    };
    plays.into_iter().flat_map(seeded).collect()
}
