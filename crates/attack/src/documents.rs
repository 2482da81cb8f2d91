//! Documents that a coordinator and malicious shards propose, and what honest shards and clients say to
//! them: real documents, checked by the product's own shards and rules.

use antiphon_dp_noise::{PairDistribution, Sigma, Step};
use antiphon_fixture::{Scripted, Setup};
use antiphon_routing::{Offer, VerifiedEpoch};
use antiphon_wire::{EpochDocument, NetworkFile, OperatorIndex, SignedDocument};

use crate::ideal::{IdealOperator, IdealSetup};

/// The one malicious operator of every roster here.
pub(super) const MALICIOUS: OperatorIndex = OperatorIndex(0);
/// With delta what the policy promises over all charged rounds: a figure that shows, near what the noise for it
/// allows.
const EPSILON: f64 = 0.2;
/// Rounds of an epoch. Ideal rounds have numbers of their own.
const ROUNDS: u64 = 2;

/// Who is there, and what they are promised.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roster {
    /// Operators of equal weight.
    pub(super) operators: usize,
    /// Shards of the malicious one.
    pub(super) malicious_shards: usize,
    /// Shards of each other one.
    pub(super) honest_shards: usize,
    /// f, the malicious share that the policy allows for, in millionths.
    pub(super) malicious_ppm: u32,
    /// Delta that the policy promises beside [`EPSILON`].
    pub(super) delta: f64,
}

/// Five operators with a shard each; f is a fifth.
pub(super) const FIVE: Roster = Roster {
    operators: 5,
    malicious_shards: 1,
    honest_shards: 1,
    malicious_ppm: 200_000,
    delta: 0.2,
};

/// Checks of shards and clients before they agree to a document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Looks {
    /// All that the product looks at.
    AtAll,
    /// None: everything is agreed to.
    AtNothing,
    /// Those of a former rule.
    Formerly(FormerRule),
}

/// Given a proposal, the honest document in its place, and the network file: the document that has to pass the
/// rules of today for the proposal to pass the former ones, or `None` if those refuse it already.
pub(super) type FormerRule =
    fn(&EpochDocument, &EpochDocument, &NetworkFile) -> Option<EpochDocument>;

/// A document that everybody agrees to.
#[derive(Clone, Debug)]
pub(super) struct Agreed {
    pub(super) document: EpochDocument,
    /// The network it describes, with two users for each pair of onions of a client.
    pub(super) network: IdealSetup,
}

/// A document to propose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// The operators in it.
    pub(super) present: &'static [u16],
    /// Change to a document that has the noise and hops that all operators together need. `None` changes
    /// nothing, and takes the noise and hops that these operators need.
    pub(super) change: Option<fn(&mut EpochDocument)>,
}

/// The document that everybody expects: all operators, unchanged.
pub(super) const HONEST: Candidate = Candidate { present: &[0, 1, 2, 3, 4, 5], change: None };

/// A coordinator in front of honest shards.
pub(super) struct Proposer {
    shards: Scripted,
    last_epoch: u64,
}

impl Proposer {
    /// By a policy for so many charged rounds.
    pub(super) fn new(roster: &Roster, charged_rounds: u32) -> Self {
        let Roster { operators, malicious_shards, honest_shards, malicious_ppm, delta } = *roster;
        let mut setup = Setup::small(malicious_shards + (operators - 1) * honest_shards, 0);
        setup.operators = operators;
        setup.first_operators = Some(malicious_shards);
        setup.policy.malicious_ppm = malicious_ppm;
        setup.policy.epsilon = EPSILON;
        setup.policy.delta = delta;
        setup.policy.disturbed_rounds = charged_rounds;
        Self { shards: Scripted::new(setup), last_epoch: 0 }
    }

    /// Proposes documents for one epoch after another, or all for the same one. Returns those that all
    /// honest shards in them sign and a client accepts.
    pub(super) fn propose(
        &mut self,
        candidates: &[Candidate],
        one_epoch: bool,
        looks: Looks,
    ) -> Vec<Agreed> {
        let mut agreed = Vec::new();
        let mut offers = Vec::new();
        for (number, candidate) in candidates.iter().enumerate() {
            // New keys for each epoch; documents for the same epoch share theirs.
            if number == 0 || !one_epoch {
                self.last_epoch += 1;
                offers = self.shards.call(self.last_epoch, self.rounds());
            }
            let document = self.document(candidate, &offers);
            let shown = match looks {
                Looks::AtNothing => None,
                Looks::AtAll => Some(document.clone()),
                Looks::Formerly(rule) => {
                    let honest = self.document(&HONEST, &offers);
                    // What the former rule refuses itself is not put to the rules of today.
                    match rule(&document, &honest, &self.shards.file) {
                        Some(shown) => Some(shown),
                        None => continue,
                    }
                }
            };
            if shown.is_none_or(|shown| self.is_accepted(shown, &offers)) {
                // Users meet in the network of the document itself, whatever rules it had to pass.
                let network = ideal(&document, &self.shards.file);
                agreed.push(Agreed { document, network });
            }
        }
        agreed
    }

    /// The honest network, with so many users.
    pub(super) fn honest(&mut self, users: usize) -> IdealSetup {
        let honest = self.propose(&[HONEST], false, Looks::AtAll).into_iter().next();
        honest.expect("an honest document is accepted").network.with_users(users, 0)
    }

    fn rounds(&self) -> (u64, u64) {
        let last = self.last_epoch * ROUNDS;
        (last + 1 - ROUNDS, last)
    }

    fn document(&self, candidate: &Candidate, offers: &[Offer]) -> EpochDocument {
        let (epoch, rounds) = (self.last_epoch, self.rounds());
        let operator_of = |offer: &Offer| offer.registration.list.claimed().operator;
        let listed: Vec<Offer> = offers
            .iter()
            .filter(|offer| candidate.present.contains(&operator_of(offer).0))
            .cloned()
            .collect();
        let Some(change) = candidate.change else {
            return self.shards.assemble(epoch, rounds, &listed);
        };
        let file = &self.shards.file;
        let all = self.shards.assemble(epoch, rounds, offers);
        // A file in which those absent weigh next to nothing makes a document of any of them.
        let mut operators = file.operators.clone();
        for (operator, index) in operators.iter_mut().zip(0..) {
            operator.weight = if candidate.present.contains(&index) { 1000 } else { 1 };
        }
        let mut lax = file.policy.clone();
        lax.malicious_ppm = 0;
        let lax = NetworkFile::new(operators, lax).expect("f = 0 is in range");
        let mut document = self.shards.assemble_for(&lax, epoch, rounds, &listed);
        // The change is to what the true file asks for, and not to what the lax one does.
        document.network = file.id();
        document.parameters = all.parameters;
        for shard in &mut document.shards {
            shard.noise_volume = all.shards[0].noise_volume;
            shard.noise_sigma = all.shards[0].noise_sigma;
        }
        change(&mut document);
        document
    }

    /// Malicious shards sign anything.
    fn is_accepted(&mut self, document: EpochDocument, offers: &[Offer]) -> bool {
        let contributions = Scripted::in_order(&document, offers);
        let mut signatures = Vec::new();
        for shard in &document.shards {
            let at = self.shards.position(&shard.identity);
            // Its key is at hand, and nothing is asked of it.
            if shard.operator == MALICIOUS {
                signatures.push(document.endorse(&Setup::shard_key(at)));
            } else {
                match self.shards.propose(at, &document, &contributions) {
                    Ok(signature) => signatures.push(signature),
                    Err(_) => return false,
                }
            }
        }
        VerifiedEpoch::verify(SignedDocument { document, signatures }, &self.shards.file).is_ok()
    }
}

/// The network that a document describes.
fn ideal(document: &EpochDocument, file: &NetworkFile) -> IdealSetup {
    let operators = operators(document, file)
        .into_iter()
        .map(|(operator, weight, noise)| IdealOperator {
            weight,
            shards: document.shards.iter().filter(|shard| shard.operator == operator).count()
                as u16,
            malicious: operator == MALICIOUS,
            noise,
        })
        .collect();
    let users = 2 * usize::from(document.parameters.pairs_per_client);
    IdealSetup { operators, mixing_hops: document.parameters.layers - 1, users, bystanders: 0 }
}

/// The operators of a document, the weight of each, and what each of its shards adds.
pub(super) fn operators(
    document: &EpochDocument,
    file: &NetworkFile,
) -> Vec<(OperatorIndex, u32, PairDistribution)> {
    let noise = |operator| {
        let shard = document.shards.iter().find(|shard| shard.operator == operator)?;
        let sigma = Sigma::from_units(shard.noise_sigma).ok()?;
        PairDistribution::new(shard.noise_volume, sigma).ok()
    };
    let least = PairDistribution::new(4, Sigma::MIN).expect("four deposits are a volume");
    let indices = document.operators.iter().map(|list| list.claimed().operator);
    indices
        .map(|operator| {
            let weight = file.operator(operator).map_or(0, |operator| operator.weight);
            // Only what malicious shards do not add in any case is out of range here.
            (operator, weight, noise(operator).unwrap_or(least))
        })
        .collect()
}

impl Roster {
    /// Advantage that the policy allows an adversary over the charged rounds.
    pub(super) fn promised(&self, step: Step) -> f64 {
        // Moving by two is moving by one twice.
        let (epsilon, delta) = match step.pairs() {
            1 => (EPSILON, self.delta),
            _ => (2.0 * EPSILON, (1.0 + libm::exp(EPSILON)) * self.delta),
        };
        (libm::expm1(epsilon) + 2.0 * delta) / (libm::exp(epsilon) + 1.0)
    }
}
