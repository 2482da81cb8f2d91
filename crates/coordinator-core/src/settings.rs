//! Settings of epochs and rounds, which the operator of a coordinator chooses.

use antiphon_routing::{DocumentError, MAX_SHARDS, MOST_SEAL_KEYS, beat_bounds, most_rounds};
use antiphon_wire::{
    BeatParameters, MOST_ROUNDS_IN_FLIGHT, NetworkFile, Parameters, SERVICE_CONVERSATION, Suite,
};

/// Settings for every epoch that this coordinator plans, and for its own waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorConfig {
    /// Rounds in an epoch; fewer where there are so many shards that they cannot check as many keys.
    pub epoch_rounds: u32,
    /// The nominal time between two rounds, in milliseconds. Raised to the network file's least
    /// interval if it is below that.
    pub interval_ms: u32,
    /// The most rounds that are open at once, at most [`MOST_ROUNDS_IN_FLIGHT`]. With 1, a round
    /// opens when the one before it has ended.
    pub rounds_in_flight: u8,
    /// Rounds before the end of an epoch at which the next one is prepared.
    pub prepare_ahead_rounds: u32,
    /// Bytes of a body.
    pub body: u16,
    /// Pairs of onions that every client sends in every round.
    pub pairs_per_client: u8,
    /// Filters have a false-positive rate of 2 to the minus this.
    pub filter_bits: u8,
    /// Service at the last layer, which decides what happens to deposits.
    pub service: u8,
    /// Time for which a round is open to clients, in milliseconds.
    pub submit_ms: u32,
    /// Time for which a shard waits for the batches of one layer, in milliseconds.
    pub layer_ms: u32,
    /// Time for which a shard waits for filters, verdicts and seal keys each, in milliseconds.
    pub verify_ms: u32,
    /// Time for which a shard waits for the replies of one layer, in milliseconds.
    pub reply_ms: u32,
    /// Beats that follow each round; 0 in a classic network.
    pub beats: u16,
    /// Time from one beat of a round to the next, in milliseconds.
    pub beat_ms: u32,
    /// Time after which each layer of a beat closes, in milliseconds.
    pub beat_layer_ms: u32,
    /// Bytes of a cell.
    pub cell_bytes: u16,
    /// Time from a round's opening to its first beat, in milliseconds; more, where rounds turn out to take longer.
    pub first_beat_ms: u32,
    /// Time in which shards have to answer a call with their keys, in milliseconds.
    pub contribute_ms: u32,
    /// Time in which shards have to sign a proposal, in milliseconds.
    pub endorse_ms: u32,
    /// Time for which a round that is due waits for shards whose noise is not built, in milliseconds.
    pub ready_ms: u32,
    /// Time for which a coordinator that starts waits for all shards before a quorum will do, in
    /// milliseconds.
    pub gather_ms: u32,
    /// The wait before planning again when a plan failed and no shard can be left out for it, in
    /// milliseconds. Doubles with every failure in a row, up to 64 times this.
    pub retry_ms: u32,
    /// Time from when a shard is back, and from the running epoch's begin, until one is planned that has it,
    /// in milliseconds.
    pub hand_over_ms: u32,
    /// No epoch is planned with fewer shards than this.
    pub least_shards: u16,
    /// Coordinators that the shards have, with this one. With more than one, they elect the one that leads.
    pub replicas: u16,
}

impl Default for CoordinatorConfig {
    /// An hour of 5-second rounds, with deadlines for shards far apart.
    fn default() -> Self {
        Self {
            epoch_rounds: 720,
            interval_ms: 5000,
            rounds_in_flight: 4,
            prepare_ahead_rounds: 60,
            body: 256,
            pairs_per_client: 1,
            filter_bits: 20,
            service: SERVICE_CONVERSATION,
            submit_ms: 1500,
            layer_ms: 3000,
            verify_ms: 3000,
            reply_ms: 3000,
            beats: 0,
            beat_ms: 4000,
            beat_layer_ms: 250,
            cell_bytes: 256,
            first_beat_ms: 20_000,
            contribute_ms: 20_000,
            endorse_ms: 30_000,
            ready_ms: 10_000,
            gather_ms: 60_000,
            retry_ms: 1000,
            hand_over_ms: 30_000,
            least_shards: 2,
            replicas: 1,
        }
    }
}

/// Reason for which shards cannot form an epoch.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CannotForm {
    /// More than a document may list.
    #[error("{shards} shards cannot form an epoch, which has {MAX_SHARDS} at most")]
    TooMany {
        /// Number of shards asked for.
        shards: u64,
    },
    /// Shards check the keys of too few rounds.
    #[error(
        "{shards} shards cannot form an epoch: shards check {MOST_SEAL_KEYS} seal keys for one at most, which are \
         those of {rounds} rounds, and by the deadlines one round may last as long as {least} intervals"
    )]
    TooShort {
        /// Number of shards asked for.
        shards: u64,
        /// Rounds that an epoch of as many shards can have.
        rounds: u64,
        /// Rounds for which an epoch has to last.
        least: u64,
    },
}

impl CoordinatorConfig {
    /// Checks that so many shards can form an epoch whose paths have so many layers: the rounds whose keys they
    /// can check have to outlast the longest of them.
    ///
    /// # Errors
    /// If they cannot.
    pub fn can_form(
        &self,
        network: &NetworkFile,
        shards: u64,
        layers: u8,
    ) -> Result<(), CannotForm> {
        if shards > MAX_SHARDS as u64 {
            return Err(CannotForm::TooMany { shards });
        }
        let rounds = most_rounds(shards);
        let least = self.least_rounds(network, layers);
        if rounds < least { Err(CannotForm::TooShort { shards, rounds, least }) } else { Ok(()) }
    }

    /// The fewest rounds of an epoch that outlasts its longest round, with so many layers.
    pub fn least_rounds(&self, network: &NetworkFile, layers: u8) -> u64 {
        let parameters = Parameters { layers, ..self.parameters(network) };
        parameters.longest_round_ms().div_ceil(self.interval_in(network).into())
    }

    /// The time between the openings of two rounds in `network`, in milliseconds.
    pub fn interval_in(&self, network: &NetworkFile) -> u32 {
        self.interval_ms.max(network.policy.least_round_interval_ms).max(1)
    }

    /// The longest that a round with so many layers can take, in milliseconds.
    pub fn longest_round_ms(&self, layers: u8) -> u64 {
        Parameters { layers, ..self.parameters_with(self.interval_ms) }.longest_round_ms()
    }

    /// Checks the beats that paths of so many layers would have.
    ///
    /// # Errors
    /// Names what shards would refuse.
    pub fn check_beats(&self, network: &NetworkFile, layers: u8) -> Result<(), DocumentError> {
        beat_bounds(&Parameters { layers, ..self.parameters(network) }, &network.policy)
    }

    /// The most rounds that are open at once: at least 1, at most [`MOST_ROUNDS_IN_FLIGHT`].
    pub(crate) fn in_flight(&self) -> usize {
        usize::from(self.rounds_in_flight).clamp(1, MOST_ROUNDS_IN_FLIGHT)
    }

    /// Rounds in an epoch of so many shards, at least one: no more than they can check the keys of.
    pub(crate) fn rounds(&self, shards: usize) -> u64 {
        let shards = shards as u64;
        u64::from(self.epoch_rounds).min(most_rounds(shards)).max(1)
    }

    /// The epoch parameters that this configuration and the network file fix; L follows from the roster.
    pub(crate) fn parameters(&self, network: &NetworkFile) -> Parameters {
        let suite = network.policy.suite.number();
        Parameters { suite, ..self.parameters_with(self.interval_in(network)) }
    }

    fn parameters_with(&self, interval_ms: u32) -> Parameters {
        Parameters {
            suite: Suite::default().number(),
            service: self.service,
            layers: 0,
            body: self.body,
            pairs_per_client: self.pairs_per_client,
            filter_bits: self.filter_bits,
            interval_ms,
            submit_ms: self.submit_ms,
            layer_ms: self.layer_ms,
            verify_ms: self.verify_ms,
            reply_ms: self.reply_ms,
            beats: self.beat_parameters(),
        }
    }

    /// The beats of each round, as documents say them: without any, the rest is not said.
    pub fn beat_parameters(&self) -> BeatParameters {
        if self.beats == 0 {
            return BeatParameters::CLASSIC;
        }
        BeatParameters {
            beats: self.beats,
            beat_ms: self.beat_ms,
            layer_ms: self.beat_layer_ms,
            cell_bytes: self.cell_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{IdentityKey, Operator, Policy};
    use ed25519_dalek::SigningKey;

    use super::*;

    #[test]
    fn more_keys_than_shards_check_cannot_form_an_epoch() {
        let operator = |at: u8| Operator {
            name: at.to_string(),
            key: IdentityKey::of(&SigningKey::from_bytes(&[at; 32])),
            weight: 1,
        };
        let operators = [1, 2, 3].map(operator).to_vec();
        let policy = Policy { trusts_heavy_operators: true, ..Policy::DEFAULT };
        let network = NetworkFile::new(operators, policy).unwrap();
        let usual = CoordinatorConfig::default();
        assert_eq!(usual.can_form(&network, 4096, 15), Ok(()));
        assert_eq!(usual.can_form(&network, 4097, 15), Err(CannotForm::TooMany { shards: 4097 }));
        // A minute for each layer, there and back, is more than the 256 rounds of as many as there can be.
        let slow = CoordinatorConfig { layer_ms: 60_000, reply_ms: 60_000, ..usual };
        assert_eq!(slow.can_form(&network, 1000, 15), Ok(()));
        let Err(CannotForm::TooShort { shards: 4096, rounds: 256, least }) =
            slow.can_form(&network, 4096, 15)
        else {
            panic!("they form an epoch");
        };
        assert!(least > 256, "{least}");
    }

    #[test]
    fn epochs_of_large_networks_are_as_short_as_their_keys_ask_for() {
        let config = CoordinatorConfig { epoch_rounds: 720, ..CoordinatorConfig::default() };
        assert_eq!([5, 1000, 4096].map(|shards| config.rounds(shards)), [720, 720, 256]);
        assert_eq!(CoordinatorConfig { epoch_rounds: 0, ..config }.rounds(5), 1);
    }
}
