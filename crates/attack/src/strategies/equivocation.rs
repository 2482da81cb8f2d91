//! Two documents for one epoch.

use super::super::documents::{Candidate, FIVE, Looks, Proposer};
use super::dropping::Dropper;
use crate::ideal::{Broken, IdealSetup};
use crate::{Against, Case, Game, Kept, Profile, Strategy};

/// Shows A one document and B another, each with half of the honest operators, and sees in each half
/// whether somebody is missing there. Of four users, A and B see one and C and D another.
///
/// Neither half is a quorum of more than (1+f)/2 of the weight, so nobody takes part in either.
pub(super) struct Equivocation;

/// Both for the same epoch and the same rounds.
const HALVES: [Candidate; 2] = [
    Candidate { present: &[0, 1, 2], change: Some(|_| ()) },
    Candidate { present: &[0, 3, 4], change: Some(|_| ()) },
];

/// Those who are shown one of the documents.
fn shown(against: Against, users: usize, document: usize) -> Kept {
    let each = against.users() / 2;
    (0..users).map(|user| [user / each == document; 2]).collect()
}

impl Strategy for Equivocation {
    fn profile(&self) -> &Profile {
        &Profile {
            name: "equivocation",
            about: "shows A one epoch document and B another, each with half of the honest operators",
            notices: &[Broken::NoQuorum],
            rounds: 1,
            patterns: Some(&[Broken::NoQuorum]),
            scales: false,
        }
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        // A is charged one and B another.
        let charged = 2 * rounds;
        let setup = Proposer::new(&FIVE, charged).honest(against.users());
        Case::charged(setup, charged, 10_000)
    }

    fn parts(&self, case: &Case, broken: Option<Broken>) -> Vec<IdealSetup> {
        let looks = if broken == Some(Broken::NoQuorum) { Looks::AtNothing } else { Looks::AtAll };
        let halves = Proposer::new(&FIVE, case.charged_rounds).propose(&HALVES, true, looks);
        halves.into_iter().map(|half| half.network.with_users(case.setup.users, 0)).collect()
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let mut sum = 0.0;
        for _ in 0..game.rounds {
            for (number, half) in game.parts.iter().enumerate() {
                let kept = shown(game.against, game.users(), number);
                let mut dropper = Dropper::keeping(kept);
                let view = game.round_on(half, &mut dropper);
                sum += game.weigh_count(half, &dropper.kept, &view);
            }
        }
        sum
    }
}
