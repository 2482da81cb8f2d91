//! Documents that a coordinator and malicious shards propose, and what honest shards and clients say to
//! them: real documents, checked by the product's own shards and rules.

use antiphon_dp_noise::{PairDistribution, Sigma, Step};
use antiphon_routing::{Offer, VerifiedEpoch};
use antiphon_wire::{EpochDocument, NetworkFile, OperatorIndex, SignedDocument};

use crate::Setup;
use crate::ideal::{IdealOperator, IdealSetup};
use crate::scripted::Scripted;

/// Operators, with a shard each.
const OPERATORS: u16 = 5;
/// The malicious one of them: f is a fifth.
const MALICIOUS: OperatorIndex = OperatorIndex(0);
/// What the policy promises over all charged rounds: a figure that shows, near what the noise for it allows.
const EPSILON: f64 = 0.2;
const DELTA: f64 = 0.2;
/// Rounds of an epoch. Ideal rounds have numbers of their own.
const ROUNDS: u64 = 2;

/// A document to propose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// The operators in it.
    pub(super) present: &'static [u16],
    /// What is changed in a document that has the noise and hops that all operators together need.
    /// `None`: nothing, and noise and hops are those that these operators need.
    pub(super) change: Option<fn(&mut EpochDocument)>,
}

/// What everybody is in for.
pub(super) const HONEST: Candidate = Candidate { present: &[0, 1, 2, 3, 4], change: None };

/// A coordinator in front of honest shards.
pub(super) struct Proposer {
    shards: Scripted,
    last_epoch: u64,
}

impl Proposer {
    /// By a policy for so many charged rounds.
    pub(super) fn new(charged_rounds: u32) -> Self {
        let mut setup = Setup::small(usize::from(OPERATORS), 0).with_malicious_fifth();
        setup.policy.epsilon = EPSILON;
        setup.policy.delta = DELTA;
        setup.policy.disturbed_rounds = charged_rounds;
        Self { shards: Scripted::new(setup), last_epoch: 0 }
    }

    /// Proposes documents for one epoch after another, or all for the same one. Returns the networks that
    /// come about: of those that all honest shards in them sign and a client accepts, or of all if nobody
    /// `checks`.
    pub(super) fn propose(
        &mut self,
        candidates: &[Candidate],
        one_epoch: bool,
        checks: bool,
    ) -> Vec<IdealSetup> {
        let mut networks = Vec::new();
        let mut offers = Vec::new();
        for (number, candidate) in candidates.iter().enumerate() {
            if number == 0 || !one_epoch {
                self.last_epoch += 1;
                offers = self.shards.call(self.last_epoch, self.rounds());
            }
            let document = self.document(candidate, &offers);
            let setup = ideal(&document, &self.shards.file);
            if !checks || self.is_accepted(document, &offers) {
                networks.push(setup);
            }
        }
        networks
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
    let operators = document
        .operators
        .iter()
        .map(|list| {
            let index = list.claimed().operator;
            let shards = document.shards.iter().filter(|shard| shard.operator == index).count();
            IdealOperator {
                weight: file.operator(index).map_or(0, |operator| operator.weight),
                shards: shards as u16,
                malicious: index == MALICIOUS,
            }
        })
        .collect();
    let honest = document.shards.iter().find(|shard| shard.operator != MALICIOUS);
    let noise = honest.and_then(|shard| {
        let sigma = Sigma::from_units(shard.noise_sigma).ok()?;
        PairDistribution::new(shard.noise_volume, sigma).ok()
    });
    IdealSetup {
        operators,
        mixing_hops: document.parameters.layers - 1,
        noise: noise.expect("candidates list an honest shard with some noise"),
        users: 0,
        bystanders: 0,
    }
}

/// What the policy allows an adversary over the charged rounds.
pub(super) fn promised(step: Step) -> f64 {
    // Moving by two is moving by one twice.
    let (epsilon, delta) = match step.pairs() {
        1 => (EPSILON, DELTA),
        _ => (2.0 * EPSILON, (1.0 + libm::exp(EPSILON)) * DELTA),
    };
    (libm::expm1(epsilon) + 2.0 * delta) / (libm::exp(epsilon) + 1.0)
}
