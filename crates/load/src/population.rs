//! Who the simulated clients are: everything about them follows from a seed.

use antiphon_client_core::{BareMeeting, ConversationSecret, Role};
use antiphon_wire::{DEAD_DROP_BYTES, Geometry, Round};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

const CONTEXT: &str = "Antiphon 2026 load harness";

/// Use of a derivation, which keeps its bytes apart from others.
#[derive(Clone, Copy)]
enum Purpose {
    Secret = 0,
    Payload = 1,
    Idle = 2,
    Churn = 3,
    Arrival = 4,
    Onions = 5,
    Gateway = 6,
    Cell = 7,
}

/// The simulated clients. Client `2i` talks to client `2i + 1`, up to as many as talk; the rest idle.
#[derive(Clone, Debug)]
pub(crate) struct Population {
    clients: u32,
    talkers: u32,
    churn: f64,
    key: [u8; 32],
}

impl Population {
    /// `clients` clients, of which the fraction `talking` talks (rounded down to pairs), and of which
    /// about the fraction `churn` is replaced before each round.
    pub(crate) fn new(clients: u32, talking: f64, churn: f64, seed: u64) -> Self {
        let pairs = (f64::from(clients) * talking / 2.0).floor() as u32;
        let key = blake3::derive_key(CONTEXT, &seed.to_be_bytes());
        Self { clients, talkers: 2 * pairs, churn, key }
    }

    pub(crate) fn clients(&self) -> u32 {
        self.clients
    }

    /// Number of clients that talk.
    pub(crate) fn talkers(&self) -> u32 {
        self.talkers
    }

    pub(crate) fn partner(&self, client: u32) -> Option<u32> {
        (client < self.talkers).then_some(client ^ 1)
    }

    /// Returns `true` if the client that has this number leaves before `round` and another takes the number.
    /// Partners leave together.
    pub(crate) fn leaves_before(&self, client: u32, round: Round) -> bool {
        let unit = self.partner(client).map_or(client, |partner| client.min(partner));
        let mut bytes = [0; 8];
        self.churn > 0.0 && {
            self.fill(Purpose::Churn, &[unit.into(), round.0], &mut bytes);
            (u64::from_be_bytes(bytes) as f64) < self.churn * 2_f64.powi(64)
        }
    }

    /// The secret of the conversation of a talking client, whose number came into use at round `born`.
    pub(crate) fn secret(&self, client: u32, born: u64) -> ConversationSecret {
        let mut secret = ConversationSecret([0; 32]);
        self.fill(Purpose::Secret, &[u64::from(client / 2), born], &mut secret.0);
        secret
    }

    pub(crate) fn role(client: u32) -> Role {
        if client.is_multiple_of(2) { Role::First } else { Role::Second }
    }

    /// Message of a talking client in one of the two bodies of a round: as many bytes as fit.
    pub(crate) fn payload(
        &self,
        client: u32,
        round: Round,
        body: usize,
        geometry: Geometry,
    ) -> Vec<u8> {
        let mut payload = vec![0; BareMeeting::payload_bytes(geometry)];
        self.fill(Purpose::Payload, &[client.into(), round.0, body as u64], &mut payload);
        payload
    }

    /// Fills `deposits`, two of them behind each other, as an idle client does: one fresh dead drop for
    /// both, and random bodies.
    pub(crate) fn idle(&self, client: u32, round: Round, pair: u8, deposits: &mut [u8]) {
        let second = deposits.len() / 2;
        self.fill(Purpose::Idle, &[client.into(), round.0, pair.into()], deposits);
        deposits.copy_within(..DEAD_DROP_BYTES, second);
    }

    /// Fills the cell that a client sends on one of its circuits in a beat.
    pub(crate) fn cell(&self, client: u32, (round, beat, on): (Round, u64, u8), cell: &mut [u8]) {
        self.fill(Purpose::Cell, &[client.into(), round.0, beat, on.into()], cell);
    }

    /// Randomness for when a client arrives in a round.
    pub(crate) fn arrival(&self, client: u32, round: Round) -> ChaCha20Rng {
        self.generator(Purpose::Arrival, &[client.into(), round.0])
    }

    /// Randomness for the gateway of a client's link.
    pub(crate) fn gateway(&self, client: u32, link: u64) -> ChaCha20Rng {
        self.generator(Purpose::Gateway, &[client.into(), link])
    }

    /// Randomness for the paths and keys of a run of clients' onions of a round.
    pub(crate) fn onions(&self, first: u32, round: Round) -> ChaCha20Rng {
        self.generator(Purpose::Onions, &[first.into(), round.0])
    }

    fn generator(&self, purpose: Purpose, about: &[u64]) -> ChaCha20Rng {
        let mut seed = [0; 32];
        self.fill(purpose, about, &mut seed);
        ChaCha20Rng::from_seed(seed)
    }

    fn fill(&self, purpose: Purpose, about: &[u64], out: &mut [u8]) {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[purpose as u8]);
        for number in about {
            hasher.update(&number.to_be_bytes());
        }
        hasher.finalize_xof().fill(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn talkers_come_in_pairs_and_partners_share_a_secret() {
        let population = Population::new(11, 0.5, 0.0, 1);
        assert_eq!(population.talkers(), 4);
        for client in 0..11 {
            let partner = population.partner(client);
            assert_eq!(partner.is_some(), client < 4);
            let Some(partner) = partner else { continue };
            assert_eq!(population.partner(partner), Some(client));
            assert_eq!(population.secret(client, 9).0, population.secret(partner, 9).0);
            assert_ne!(population.secret(client, 9).0, population.secret(client, 10).0);
            assert_ne!(Population::role(client), Population::role(partner));
        }
    }

    #[test]
    fn churn_takes_about_its_share_and_partners_together() {
        let population = Population::new(10_000, 0.5, 0.1, 2);
        let leaving = |round| {
            (0..10_000).filter(|client| population.leaves_before(*client, Round(round))).count()
        };
        // Six standard deviations of pairs that leave together.
        for round in 1..4 {
            assert!(leaving(round).abs_diff(1000) < 6 * 43, "{}", leaving(round));
        }
        for pair in 0..2500 {
            let leaves = |client| population.leaves_before(client, Round(5));
            assert_eq!(leaves(2 * pair), leaves(2 * pair + 1));
        }
        let steady = Population::new(100, 0.5, 0.0, 2);
        assert!((0..100).all(|client| !steady.leaves_before(client, Round(1))));
    }
}
