//! Messages on links.

use std::sync::Arc;

use antiphon_wire::{
    FromClient, HeldEpoch, PeerMessage, Registration, RoundCounts, RoundOutcome, Standing, Term,
    Ticket, Timestamp, ToClient, ToCoordinator, ToShard,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

pub(crate) fn registration() -> impl Strategy<Value = Registration> {
    (any::<u16>(), signed(operator_list()), addresses(), addresses()).prop_map(
        |(version, list, peer_addresses, client_addresses)| Registration {
            version,
            list,
            peer_addresses,
            client_addresses,
        },
    )
}

pub(crate) fn held_epoch() -> impl Strategy<Value = HeldEpoch> {
    (epoch(), digest()).prop_map(|(epoch, document)| HeldEpoch { epoch, document })
}

pub(crate) fn standing() -> impl Strategy<Value = Standing> {
    (epoch(), round(), vec(held_epoch(), 0..4), any::<u64>()).prop_map(
        |(signed_epoch, served_round, held, clock)| Standing {
            signed_epoch,
            served_round,
            held,
            clock: Timestamp(clock),
        },
    )
}

pub(crate) fn round_counts() -> impl Strategy<Value = RoundCounts> {
    any::<[u32; 6]>().prop_map(|counts| RoundCounts {
        user_onions: counts[0],
        noise_onions: counts[1],
        filters_checked: counts[2],
        filter_bytes: counts[3],
        pairs: counts[4],
        singles: counts[5],
    })
}

pub(crate) fn round_outcome() -> impl Strategy<Value = RoundOutcome> {
    prop_oneof![
        Just(RoundOutcome::Delivered),
        reason().prop_map(|reason| RoundOutcome::Withheld { reason }),
        shard().prop_map(|missing| RoundOutcome::NotOpened { missing }),
    ]
}

pub(crate) fn to_coordinator() -> impl Strategy<Value = ToCoordinator> {
    prop_oneof![
        (registration(), standing()).prop_map(|(registration, standing)| {
            ToCoordinator::Register { registration, standing }
        }),
        Just(ToCoordinator::Leaving),
        Just(ToCoordinator::Staying),
        any::<u64>().prop_map(|now| ToCoordinator::Clock { now: Timestamp(now) }),
        contribution().prop_map(|contribution| ToCoordinator::Contribute { contribution }),
        (epoch(), digest(), signature()).prop_map(|(epoch, document, signature)| {
            ToCoordinator::Endorse { epoch, document, signature }
        }),
        (epoch(), blob()).prop_map(|(epoch, reason)| ToCoordinator::Refuse { epoch, reason }),
        (epoch(), round()).prop_map(|(epoch, round)| ToCoordinator::Ready { epoch, round }),
        digest().prop_map(|digest| ToCoordinator::AskContribution { digest }),
        blob().prop_map(|message| ToCoordinator::Canary { message }),
        (epoch(), round(), round_outcome(), round_counts()).prop_map(
            |(epoch, round, outcome, counts)| {
                ToCoordinator::Ended { epoch, round, outcome, counts }
            }
        ),
        (any::<u64>(), standing(), any::<u64>()).prop_map(|(term, standing, since_opened_ms)| {
            ToCoordinator::Granted { term: Term(term), standing, since_opened_ms }
        }),
        (any::<u64>(), standing())
            .prop_map(|(term, standing)| ToCoordinator::Follows { term: Term(term), standing }),
        (any::<u64>(), standing())
            .prop_map(|(term, standing)| ToCoordinator::Leaderless { term: Term(term), standing }),
        signed_document().prop_map(|document| ToCoordinator::Document { document }),
        any::<u64>().prop_map(|number| ToCoordinator::Beat { number }),
    ]
}

pub(crate) fn to_shard() -> impl Strategy<Value = ToShard> {
    prop_oneof![
        (epoch(), round(), round()).prop_map(|(epoch, first_round, last_round)| ToShard::Call {
            epoch,
            first_round,
            last_round
        }),
        (epoch_document(), vec(digest(), 0..3), any::<u16>()).prop_map(
            |(document, contributions, spread)| ToShard::Propose {
                document,
                contributions,
                spread
            }
        ),
        contribution().prop_map(|contribution| ToShard::Contribution {
            contribution: Arc::new(contribution)
        }),
        signed_document().prop_map(|document| ToShard::Publish { document }),
        announcement().prop_map(|announcement| ToShard::Open { announcement }),
        blob().prop_map(|reason| ToShard::Reject { reason }),
        Just(ToShard::Release),
        Just(ToShard::AskClock),
        blob().prop_map(|reason| ToShard::Needed { reason }),
        any::<u64>().prop_map(|term| ToShard::Campaign { term: Term(term) }),
        Just(ToShard::Resign),
        epoch().prop_map(|epoch| ToShard::Show { epoch }),
        any::<u64>().prop_map(|number| ToShard::Beat { number }),
        blob().prop_map(|message| ToShard::Canary { message }),
    ]
}

pub(crate) fn from_client() -> impl Strategy<Value = FromClient> {
    prop_oneof![
        any::<u16>().prop_map(|version| FromClient::Hello { version }),
        (epoch(), round(), digest(), blob()).prop_map(|(epoch, round, ticket, onions)| {
            FromClient::Submit { epoch, round, ticket, onions }
        }),
        (epoch(), round(), any::<[u8; 32]>()).prop_map(|(epoch, round, ticket)| {
            FromClient::Resume { epoch, round, ticket: Ticket(ticket) }
        }),
        (epoch(), round(), any::<u64>(), blob()).prop_map(|(epoch, round, beat, cells)| {
            FromClient::Cells { epoch, round, beat, cells }
        }),
        round().prop_map(|after| FromClient::AskBoxes { after }),
        (epoch(), round(), digest(), blob(), blob()).prop_map(
            |(epoch, round, ticket, onions, cells)| FromClient::Leave {
                epoch,
                round,
                ticket,
                onions,
                cells
            }
        ),
    ]
}

pub(crate) fn to_client() -> impl Strategy<Value = ToClient> {
    prop_oneof![
        signed_document().prop_map(|document| ToClient::Document { document }),
        (epoch(), round(), any::<u32>()).prop_map(|(epoch, round, closes_in_ms)| {
            ToClient::Opened { epoch, round, closes_in_ms }
        }),
        (epoch(), round(), blob()).prop_map(|(epoch, round, replies)| ToClient::Replies {
            epoch,
            round,
            replies
        }),
        (epoch(), round(), vec(signed(seal_statement()), 0..4))
            .prop_map(|(epoch, round, statements)| ToClient::Aborted { epoch, round, statements }),
        (epoch(), round(), blob()).prop_map(|(epoch, round, reason)| ToClient::Refused {
            epoch,
            round,
            reason
        }),
        (announcement(), vec(signed(seal_statement()), 0..4))
            .prop_map(|(announcement, statements)| ToClient::Circuits { announcement, statements }),
        (epoch(), round(), any::<u64>(), blob()).prop_map(|(epoch, round, beat, cells)| {
            ToClient::Cells { epoch, round, beat, cells }
        }),
        any::<u64>().prop_map(|now| ToClient::Clock { now: Timestamp(now) }),
        signed(box_statement()).prop_map(|published| ToClient::Box { published }),
        (epoch(), round(), blob()).prop_map(|(epoch, round, cells)| ToClient::Backlog {
            epoch,
            round,
            cells
        }),
    ]
}

pub(crate) fn peer_message() -> impl Strategy<Value = PeerMessage> {
    prop_oneof![
        signed_header().prop_map(|header| PeerMessage::Batch { header }),
        signed(filter_statement()).prop_map(|filter| PeerMessage::Filter { filter }),
        signed(verdict()).prop_map(|verdict| PeerMessage::Verdict { verdict }),
        vec(signed(seal_statement()), 0..4)
            .prop_map(|statements| PeerMessage::Statements { statements }),
        (epoch(), round()).prop_map(|(epoch, round)| PeerMessage::AskStatements { epoch, round }),
        digest().prop_map(|digest| PeerMessage::AskContribution { digest }),
        contribution().prop_map(|contribution| PeerMessage::Contribution {
            contribution: Arc::new(contribution)
        }),
        Just(PeerMessage::NoContribution),
        cell_batch().prop_map(|batch| PeerMessage::Cells { batch }),
        signed(box_statement()).prop_map(|published| PeerMessage::Box { published }),
    ]
}
