//! Operator lists, epoch documents and what goes into them.

use antiphon_wire::{
    Announcement, BeatParameters, Contribution, EpochDocument, KEM_KEY_BYTES, KemKey, OperatorList,
    Parameters, ShardEntry, SignedDocument,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;

pub(crate) fn operator_list() -> impl Strategy<Value = OperatorList> {
    (digest(), operator(), any::<u32>(), epoch(), epoch(), vec(identity(), 0..4)).prop_map(
        |(network, operator, number, first_epoch, last_epoch, shards)| OperatorList {
            network,
            operator,
            number,
            first_epoch,
            last_epoch,
            shards,
        },
    )
}

pub(crate) fn parameters() -> impl Strategy<Value = Parameters> {
    let fields = (any::<[u8; 5]>(), any::<u16>(), any::<[u32; 5]>(), beat_parameters());
    fields.prop_map(|(small, body, ms, beats)| Parameters {
        suite: small[0],
        service: small[1],
        layers: small[2],
        body,
        pairs_per_client: small[3],
        filter_bits: small[4],
        interval_ms: ms[0],
        submit_ms: ms[1],
        layer_ms: ms[2],
        verify_ms: ms[3],
        reply_ms: ms[4],
        beats,
    })
}

pub(crate) fn beat_parameters() -> impl Strategy<Value = BeatParameters> {
    (any::<[u16; 2]>(), any::<[u32; 2]>()).prop_map(|(small, ms)| BeatParameters {
        beats: small[0],
        beat_ms: ms[0],
        layer_ms: ms[1],
        cell_bytes: small[1],
    })
}

pub(crate) fn announcement() -> impl Strategy<Value = Announcement> {
    (epoch(), round(), timestamp(), beat_parameters()).prop_map(
        |(epoch, round, first_beat, beats)| Announcement { epoch, round, first_beat, beats },
    )
}

pub(crate) fn shard_entry() -> impl Strategy<Value = ShardEntry> {
    let keys = (bytes_32(), kem_key());
    (operator(), identity(), addresses(), addresses(), keys, any::<[u32; 2]>()).prop_map(
        |(operator, identity, peer_addresses, client_addresses, keys, noise)| ShardEntry {
            operator,
            identity,
            peer_addresses,
            client_addresses,
            onion_key: keys.0,
            kem_key: keys.1,
            noise_volume: noise[0],
            noise_sigma: noise[1],
        },
    )
}

fn kem_key() -> impl Strategy<Value = Option<KemKey>> {
    of(any::<u8>().prop_map(|byte| KemKey::new([byte; KEM_KEY_BYTES])))
}

pub(crate) fn epoch_document() -> impl Strategy<Value = EpochDocument> {
    let span = (epoch(), round(), round(), timestamp(), timestamp());
    let lists = (vec(signed(operator_list()), 0..3), vec(shard_entry(), 0..4));
    let keys = vec(bytes_32(), 0..4);
    (any::<u16>(), digest(), span, digest(), parameters(), lists, keys).prop_map(
        |(version, network, span, previous, parameters, lists, joint_seal_keys)| EpochDocument {
            version,
            network,
            epoch: span.0,
            first_round: span.1,
            last_round: span.2,
            starts_at: span.3,
            expires_at: span.4,
            previous,
            parameters,
            operators: lists.0,
            shards: lists.1,
            joint_seal_keys,
        },
    )
}

pub(crate) fn signed_document() -> impl Strategy<Value = SignedDocument> {
    (epoch_document(), vec(signature(), 0..4))
        .prop_map(|(document, signatures)| SignedDocument { document, signatures })
}

pub(crate) fn contribution() -> impl Strategy<Value = Contribution> {
    let keys = (bytes_32(), kem_key(), vec(bytes_32(), 0..4));
    (epoch(), round(), identity(), keys, bytes_64()).prop_map(
        |(epoch, first_round, identity, (onion_key, kem_key, seal_keys), proof)| Contribution {
            epoch,
            first_round,
            identity,
            onion_key,
            kem_key,
            seal_keys,
            proof,
        },
    )
}
