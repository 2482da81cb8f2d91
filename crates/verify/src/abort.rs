//! Judgement of aborted rounds, free or charged, from the shards' signed statements alone.

use std::collections::BTreeSet;

use antiphon_wire::{
    EpochDocument, NetworkFile, OperatorIndex, Round, SealAct, SealStatement, Signed, Suite,
};

/// Cost of an aborted round for the client's ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortKind {
    /// An honest operator is certain to have withheld: nothing was opened, nothing is learnt.
    Free,
    /// There is no such certainty: the round counts like a disturbed one.
    Charged,
}

/// Judges an aborted round by the shards' signed statements about it.
///
/// Free if the operators with at least one shard that signed *withheld* are two or more, and hold more than f
/// of the network file's weight. One operator alone never makes a round free, however heavy it is: whoever is
/// trusted in the figures could abort rounds by what it has seen, at no cost. Statements that are forged, or
/// about another round, network or roster, do not count. An operator counts in full once any of its shards
/// signed.
///
/// In suite 2 no aborted round is free. The seal keeps out today's computers alone: whoever recorded the round, and has
/// the ML-KEM secrets of malicious seal shards, opens it with a quantum computer, though nobody verified its noise.
pub fn judge_abort(
    document: &EpochDocument,
    network: &NetworkFile,
    round: Round,
    statements: &[Signed<SealStatement>],
) -> AbortKind {
    if network.policy.suite == Suite::Hybrid {
        return AbortKind::Charged;
    }
    let withheld: BTreeSet<OperatorIndex> = statements
        .iter()
        .filter_map(|signed| {
            let claimed = signed.claimed();
            // The signature comes last: it is the dearest check.
            let shard = document.shards.get(claimed.shard.position())?;
            let about_this = claimed.network == document.network
                && claimed.epoch == document.epoch
                && claimed.round == round
                && matches!(claimed.act, SealAct::Withheld { .. });
            (about_this && signed.verify(&shard.identity).is_ok()).then_some(shard.operator)
        })
        .collect();
    let weight: u64 = withheld
        .iter()
        .filter_map(|index| network.operator(*index))
        .map(|operator| u64::from(operator.weight))
        .sum();
    let f = u64::from(network.policy.malicious_ppm);
    if withheld.len() >= 2 && weight * 1_000_000 > network.total_weight() * f {
        AbortKind::Free
    } else {
        AbortKind::Charged
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{
        BeatParameters, Digest, Epoch, IdentityKey, Operator, PROTOCOL_VERSION, Parameters, Policy,
        Reason, SERVICE_CONVERSATION, ShardEntry, ShardIndex, Timestamp,
    };
    use ed25519_dalek::SigningKey;

    use super::*;

    fn key(number: usize) -> SigningKey {
        SigningKey::from_bytes(&[number as u8 + 1; 32])
    }

    /// A network of such operators with a shard each, and a document that lists them all.
    fn network(weights: &[u32], suite: Suite) -> (NetworkFile, EpochDocument) {
        let operator = |(i, &weight): (usize, &u32)| Operator {
            name: format!("operator {i}"),
            key: IdentityKey::of(&key(i)),
            weight,
        };
        let policy = Policy { trusts_heavy_operators: true, suite, ..Policy::default() };
        let operators = weights.iter().enumerate().map(operator).collect();
        let network = NetworkFile::new(operators, policy).unwrap();
        let shard = |i| ShardEntry {
            operator: OperatorIndex(i as u16),
            identity: IdentityKey::of(&key(i)),
            peer_addresses: std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into(),
            client_addresses: std::net::SocketAddr::from(([127, 0, 0, 1], 2)).into(),
            onion_key: [0; 32],
            kem_key: None,
            noise_volume: 4,
            noise_sigma: 64,
        };
        let document = EpochDocument {
            version: PROTOCOL_VERSION,
            network: network.id(),
            epoch: Epoch(1),
            first_round: Round(1),
            last_round: Round(9),
            starts_at: Timestamp(0),
            expires_at: Timestamp(1),
            previous: Digest::default(),
            parameters: Parameters {
                suite: suite.number(),
                service: SERVICE_CONVERSATION,
                layers: 15,
                body: 256,
                pairs_per_client: 1,
                filter_bits: 20,
                interval_ms: 5000,
                submit_ms: 1,
                layer_ms: 1,
                verify_ms: 1,
                reply_ms: 1,
                beats: BeatParameters::CLASSIC,
            },
            operators: Vec::new(),
            shards: (0..weights.len()).map(shard).collect(),
            joint_seal_keys: Vec::new(),
        };
        (network, document)
    }

    /// How the round is judged if the shards of these operators signed that they withheld.
    fn judged(weights: &[u32], withheld: &[usize]) -> AbortKind {
        judged_in(Suite::Classic, weights, withheld)
    }

    fn judged_in(suite: Suite, weights: &[u32], withheld: &[usize]) -> AbortKind {
        let (network, document) = network(weights, suite);
        let statement = |&i: &usize| {
            let statement = SealStatement {
                network: document.network,
                epoch: document.epoch,
                round: Round(3),
                shard: ShardIndex(i as u16),
                act: SealAct::Withheld { reason: Reason::NotPrepared },
            };
            Signed::new(statement, &key(i))
        };
        let statements: Vec<_> = withheld.iter().map(statement).collect();
        judge_abort(&document, &network, Round(3), &statements)
    }

    /// Where nobody counts as malicious, one is more than f; so is whoever is heavier than f.
    #[test]
    fn one_operator_alone_never_makes_a_round_free() {
        for weights in [&[1; 3][..], &[1; 4], &[3, 1, 1, 1, 1], &[1]] {
            assert_eq!(judged(weights, &[0]), AbortKind::Charged, "{weights:?}");
            assert_eq!(judged(weights, &[0, 0]), AbortKind::Charged, "{weights:?}");
        }
        assert_eq!(judged(&[1; 3], &[0, 2]), AbortKind::Free);
        assert_eq!(judged(&[3, 1, 1, 1, 1], &[0, 2]), AbortKind::Free);
    }

    #[test]
    fn free_takes_more_than_the_malicious_share() {
        assert_eq!(judged(&[1; 5], &[0]), AbortKind::Charged);
        assert_eq!(judged(&[1; 5], &[0, 3]), AbortKind::Free);
        assert_eq!(judged(&[1; 10], &[0, 3]), AbortKind::Charged);
        assert_eq!(judged(&[1; 10], &[0, 3, 9]), AbortKind::Free);
    }

    /// Its onions outlast today's computers, and its seal does not.
    #[test]
    fn an_aborted_round_of_suite_2_is_charged_whoever_withheld() {
        assert_eq!(judged_in(Suite::Classic, &[1; 5], &[0, 1, 2, 3, 4]), AbortKind::Free);
        assert_eq!(judged_in(Suite::Hybrid, &[1; 5], &[0, 1, 2, 3, 4]), AbortKind::Charged);
    }
}
