//! Shards that a test talks to as their coordinator, message by message.

use std::sync::Arc;

use antiphon_mix::{Input, Output, Shard, SignerState};
use antiphon_routing::{Draft, Offer, assemble};
use antiphon_wire::{
    Contribution, Digest, Epoch, EpochDocument, IdentityKey, NetworkFile, OperatorList, Parameters,
    Registration, Round, SUITE_1, Signature, Signed, SignedDocument, Timestamp, ToCoordinator,
    ToShard,
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use crate::Setup;
use crate::network::{START, entropy, new_shard};

/// Honest shards whose coordinator is the test.
pub struct Scripted {
    /// The network file that all pin.
    pub file: Arc<NetworkFile>,
    /// The time by every clock.
    pub now: Timestamp,
    setup: Setup,
    shards: Vec<Shard>,
    saved: Vec<SignerState>,
    rng: ChaCha20Rng,
}

impl Scripted {
    /// The shards of `setup`, just started.
    pub fn new(setup: Setup) -> Self {
        let file = Arc::new(setup.network());
        let mut rng = ChaCha20Rng::seed_from_u64(setup.seed);
        let shards = (0..setup.shards)
            .map(|i| new_shard(&setup, &file, i, SignerState::default(), entropy(&mut rng)))
            .collect();
        let saved = vec![SignerState::default(); setup.shards];
        Self { file, now: START, setup, shards, saved, rng }
    }

    /// Fifteen shards of five operators, of which one may be malicious.
    pub fn of_five_operators() -> Self {
        let mut setup = Setup::small(15, 0).with_malicious_fifth();
        setup.operators = 5;
        Self::new(setup)
    }

    /// An honest proposal, with the contributions in its order: for tests to spoil.
    pub fn honest(&mut self, epoch: u64, rounds: (u64, u64)) -> (EpochDocument, Vec<Contribution>) {
        let offers = self.call(epoch, rounds);
        let document = self.assemble(epoch, rounds, &offers);
        let contributions = Self::in_order(&document, &offers);
        (document, contributions)
    }

    /// Tells shard `i` something. Returns what it says to its coordinator.
    pub fn tell(&mut self, i: usize, message: ToShard) -> Vec<ToCoordinator> {
        self.shards[i].handle(self.now, Input::Coordinator(message));
        self.said(i)
    }

    fn said(&mut self, i: usize) -> Vec<ToCoordinator> {
        let mut said = Vec::new();
        while let Some(output) = self.shards[i].poll() {
            match output {
                Output::Persist(state) => self.saved[i] = state,
                Output::Coordinator(message) => said.push(message),
                // Work takes no virtual time.
                Output::Work(work) => {
                    self.shards[i].handle(self.now, Input::WorkDone(work.run()));
                }
                // What is sent to peers and clients goes nowhere.
                _ => {}
            }
        }
        said
    }

    /// Stops shard `i` and starts it again with what it had persisted.
    pub fn restart(&mut self, i: usize) {
        self.shards[i] =
            new_shard(&self.setup, &self.file, i, self.saved[i], entropy(&mut self.rng));
    }

    /// The keys that shard `i` offers for an epoch.
    pub fn contribution(
        &mut self,
        i: usize,
        epoch: u64,
        rounds: (u64, u64),
    ) -> Option<Contribution> {
        let (epoch, first_round, last_round) = (Epoch(epoch), Round(rounds.0), Round(rounds.1));
        let said = self.tell(i, ToShard::Call { epoch, first_round, last_round });
        said.into_iter().find_map(|message| match message {
            ToCoordinator::Contribute { contribution } => Some(contribution),
            _ => None,
        })
    }

    /// What all shards offer for an epoch, those that offer nothing left out.
    pub fn call(&mut self, epoch: u64, rounds: (u64, u64)) -> Vec<Offer> {
        (0..self.setup.shards)
            .filter_map(|i| {
                let contribution = self.contribution(i, epoch, rounds)?;
                Some(Offer { registration: self.registration(i), contribution })
            })
            .collect()
    }

    fn registration(&mut self, i: usize) -> Registration {
        self.shards[i].handle(self.now, Input::CoordinatorLinked);
        let said = self.said(i).into_iter().find_map(|message| match message {
            ToCoordinator::Register { registration, .. } => Some(registration),
            _ => None,
        });
        said.expect("a shard that is linked registers")
    }

    /// A document from what was offered, as an honest coordinator makes it.
    ///
    /// # Panics
    /// If the offers do not make one up.
    pub fn assemble(&self, epoch: u64, rounds: (u64, u64), offers: &[Offer]) -> EpochDocument {
        self.assemble_for(&self.file, epoch, rounds, offers)
    }

    /// The same by another network file: with a laxer policy, say.
    ///
    /// # Panics
    /// If the offers do not make one up.
    pub fn assemble_for(
        &self,
        file: &NetworkFile,
        epoch: u64,
        rounds: (u64, u64),
        offers: &[Offer],
    ) -> EpochDocument {
        let choices = &self.setup.coordinator;
        let parameters = Parameters {
            suite: SUITE_1,
            service: choices.service,
            layers: 0,
            body: choices.body,
            pairs_per_client: choices.pairs_per_client,
            filter_bits: choices.filter_bits,
            interval_ms: choices.interval_ms,
            submit_ms: choices.submit_ms,
            layer_ms: choices.layer_ms,
            verify_ms: choices.verify_ms,
            reply_ms: choices.reply_ms,
        };
        let draft = Draft {
            epoch: Epoch(epoch),
            first_round: Round(rounds.0),
            last_round: Round(rounds.1),
            starts_at: self.now,
            previous: Digest::default(),
            parameters,
        };
        assemble(draft, offers, file).expect("the offers make up an epoch")
    }

    /// The contributions in the order of a document's shards, as a proposal carries them.
    pub fn in_order(document: &EpochDocument, offers: &[Offer]) -> Vec<Contribution> {
        let of = |id: &IdentityKey| offers.iter().find(|o| o.contribution.identity == *id);
        document
            .shards
            .iter()
            .filter_map(|shard| of(&shard.identity))
            .map(|offer| offer.contribution.clone())
            .collect()
    }

    /// Proposes a document to shard `i`. Returns its signature, or why there is none; nothing at
    /// all counts as a reason too.
    ///
    /// # Errors
    /// If the shard does not sign.
    pub fn propose(
        &mut self,
        i: usize,
        document: &EpochDocument,
        contributions: &[Contribution],
    ) -> Result<Signature, String> {
        let (document, contributions) = (document.clone(), contributions.to_vec());
        let said = self.tell(i, ToShard::Propose { document, contributions });
        let mut answer = Err("it says nothing".to_owned());
        for message in said {
            match message {
                ToCoordinator::Endorse { signature, .. } => answer = Ok(signature),
                ToCoordinator::Refuse { reason, .. } => {
                    answer = Err(String::from_utf8_lossy(&reason.0).into_owned());
                }
                _ => {}
            }
        }
        answer
    }

    /// Proposes a document to all shards it lists. Returns their answers, by position in the setup.
    pub fn propose_to_all(
        &mut self,
        document: &EpochDocument,
        contributions: &[Contribution],
    ) -> Vec<(usize, Result<Signature, String>)> {
        let listed: Vec<_> = document.shards.iter().map(|shard| shard.identity).collect();
        listed
            .iter()
            .map(|identity| {
                let i = self.position(identity);
                (i, self.propose(i, document, contributions))
            })
            .collect()
    }

    /// Sees that every listed shard refuses a document, all but `but` for this reason.
    ///
    /// # Panics
    /// If one signs, or refuses for another reason.
    pub fn all_refuse(
        &mut self,
        document: &EpochDocument,
        contributions: &[Contribution],
        reason: &str,
        but: &[IdentityKey],
    ) {
        for (i, answer) in self.propose_to_all(document, contributions) {
            let Err(why) = answer else { panic!("shard {i} has signed in spite of {reason:?}") };
            let expected = why.contains(reason) || but.contains(&self.shards[i].identity());
            assert!(expected, "shard {i}: {why:?} instead of {reason:?}");
        }
    }

    /// What shard `i` has persisted.
    pub fn saved(&self, i: usize) -> SignerState {
        self.saved[i]
    }

    /// The position in the setup of the shard with this identity.
    ///
    /// # Panics
    /// If there is none.
    pub fn position(&self, identity: &IdentityKey) -> usize {
        let found = self.shards.iter().position(|shard| shard.identity() == *identity);
        found.expect("the identity is one of the setup's")
    }

    /// Calls, proposes to all shards and collects their signatures.
    ///
    /// # Panics
    /// If a shard does not sign.
    pub fn signed(&mut self, epoch: u64, rounds: (u64, u64)) -> SignedDocument {
        let offers = self.call(epoch, rounds);
        let document = self.assemble(epoch, rounds, &offers);
        let contributions = Self::in_order(&document, &offers);
        let signatures = self
            .propose_to_all(&document, &contributions)
            .into_iter()
            .map(|(_, answer)| answer.expect("honest proposals are signed"))
            .collect();
        SignedDocument { document, signatures }
    }

    /// The same content with valid signatures of all its shards, whether or not they would: for
    /// networks with more malicious shards than is allowed.
    pub fn force(document: EpochDocument) -> SignedDocument {
        let keys: Vec<_> = (0..document.shards.len() + 16).map(Setup::shard_key).collect();
        let signatures = document
            .shards
            .iter()
            .filter_map(|shard| keys.iter().find(|key| IdentityKey::of(key) == shard.identity))
            .map(|key| document.endorse(key))
            .collect();
        SignedDocument { document, signatures }
    }

    /// A list of shards, signed with the key of the operator at `signer`.
    pub fn list(list: OperatorList, signer: usize) -> Signed<OperatorList> {
        Signed::new(list, &Setup::operator_key(signer))
    }
}
