//! What shards sign in a round.

use antiphon_wire::{
    BatchHeader, BoxStatement, CellBatch, Direction, FilterSalt, FilterStatement, Finding, Reason,
    SealAct, SealSecret, SealStatement, SignedHeader, Verdict,
};
use ed25519_dalek::SigningKey;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Forward), Just(Direction::Reply)]
}

pub(crate) fn batch_header() -> impl Strategy<Value = BatchHeader> {
    let way = direction();
    (any::<u16>(), epoch(), round(), layer(), way, [shard(), shard()], any::<u32>(), digest())
        .prop_map(|(version, epoch, round, layer, direction, ends, count, hash)| BatchHeader {
            version,
            epoch,
            round,
            layer,
            direction,
            sender: ends[0],
            receiver: ends[1],
            count,
            hash,
        })
}

pub(crate) fn signed_header() -> impl Strategy<Value = SignedHeader> {
    (vec(batch_header(), 1..20), any::<prop::sample::Index>()).prop_map(|(headers, one)| {
        let mut all = SignedHeader::sign_all(headers, &SigningKey::from_bytes(&[7; 32]));
        all.swap_remove(one.index(all.len()))
    })
}

pub(crate) fn filter_statement() -> impl Strategy<Value = FilterStatement> {
    let salt = any::<[u8; 16]>().prop_map(FilterSalt);
    (epoch(), round(), shard(), salt, any::<u32>(), blob()).prop_map(
        |(epoch, round, shard, salt, onions, bits)| FilterStatement {
            epoch,
            round,
            shard,
            salt,
            onions,
            bits,
        },
    )
}

pub(crate) fn finding() -> impl Strategy<Value = Finding> {
    prop_oneof![
        (digest(), digest())
            .prop_map(|(filters, announcement)| Finding::Satisfied { filters, announcement }),
        (shard(), any::<u32>()).prop_map(|(at, missing)| Finding::Complaint { at, missing }),
    ]
}

pub(crate) fn verdict() -> impl Strategy<Value = Verdict> {
    (epoch(), round(), shard(), finding()).prop_map(|(epoch, round, shard, finding)| Verdict {
        epoch,
        round,
        shard,
        finding,
    })
}

pub(crate) fn cell_batch() -> impl Strategy<Value = CellBatch> {
    (epoch(), round(), any::<u64>(), layer(), direction(), any::<u32>()).prop_map(
        |(epoch, round, beat, layer, direction, count)| CellBatch {
            epoch,
            round,
            beat,
            layer,
            direction,
            count,
        },
    )
}

pub(crate) fn box_statement() -> impl Strategy<Value = BoxStatement> {
    (digest(), epoch(), round(), shard(), any::<u16>(), blob()).prop_map(
        |(network, epoch, round, shard, number, content)| BoxStatement {
            network,
            epoch,
            round,
            shard,
            number,
            content,
        },
    )
}

pub(crate) fn reason() -> impl Strategy<Value = Reason> {
    prop_oneof![
        (layer(), shard()).prop_map(|(layer, sender)| Reason::MissingBatch { layer, sender }),
        shard().prop_map(|shard| Reason::MissingFilter { shard }),
        shard().prop_map(|shard| Reason::BadFilter { shard }),
        (shard(), shard(), any::<u32>()).prop_map(|(complainant, at, missing)| {
            Reason::MissingOnions { complainant, at, missing }
        }),
        shard().prop_map(|shard| Reason::OtherFilters { shard }),
        shard().prop_map(|shard| Reason::MissingVerdict { shard }),
        shard().prop_map(|shard| Reason::Follows { shard }),
        Just(Reason::NotPrepared),
        shard().prop_map(|shard| Reason::FullFilter { shard }),
    ]
}

pub(crate) fn seal_act() -> impl Strategy<Value = SealAct> {
    prop_oneof![
        (bytes_32(), digest()).prop_map(|(secret, announcement)| SealAct::Released {
            secret: SealSecret(secret),
            announcement,
        }),
        reason().prop_map(|reason| SealAct::Withheld { reason }),
    ]
}

pub(crate) fn seal_statement() -> impl Strategy<Value = SealStatement> {
    (digest(), epoch(), round(), shard(), seal_act()).prop_map(
        |(network, epoch, round, shard, act)| SealStatement { network, epoch, round, shard, act },
    )
}
