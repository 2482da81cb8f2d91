//! What the coordinator and the shards say to each other.

use std::net::SocketAddr;

use crate::codec::{choice, record};
use crate::{
    Contribution, Digest, Epoch, EpochDocument, OperatorList, Reason, Round, ShardIndex, Signature,
    Signed, SignedDocument, Timestamp,
};

/// The most rounds that a coordinator has open at once. Shards and clients size by it what they
/// keep of rounds that are not over.
pub const MOST_ROUNDS_IN_FLIGHT: usize = 8;

record! {
    /// A shard offering its service.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Registration {
        /// [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
        pub version: u16,
        /// The operator's list, on which the shard is.
        pub list: Signed<OperatorList>,
        /// Where other shards reach it.
        pub peer_address: SocketAddr,
        /// Where clients reach it.
        pub client_address: SocketAddr,
    }
}

record! {
    /// An epoch of which a shard has the keys. They are in memory only: a shard that was started
    /// again has none.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct HeldEpoch {
        /// Its number.
        pub epoch: Epoch,
        /// The hash of its document.
        pub document: Digest,
    }
}

record! {
    /// What a shard has done so far, for a coordinator that may have lost its state or have an old
    /// one. Nothing of it is secret: all shards see what they sign and serve.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Standing {
        /// The highest epoch for which it signed a document. It signs none up to it any more.
        pub signed_epoch: Epoch,
        /// The highest round that it served. It serves none up to it any more.
        pub served_round: Round,
        /// The epochs whose rounds it can serve.
        pub held: Vec<HeldEpoch>,
        /// The time by its clock.
        pub clock: Timestamp,
    }
}

record! {
    /// What a finished round looked like from one shard. Only what anybody watching could count.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RoundCounts {
        /// Onions that clients gave this shard as their gateway.
        pub user_onions: u32,
        /// Noise onions that this shard added.
        pub noise_onions: u32,
        /// Filters that this shard tested.
        pub filters_checked: u32,
        /// Bytes of all filters together.
        pub filter_bytes: u32,
        /// Dead drops at this shard with two deposits.
        pub pairs: u32,
        /// Dead drops at this shard with one deposit.
        pub singles: u32,
    }
}

choice! {
    /// How a round ended at one shard.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum RoundOutcome("outcome") {
        /// The seal was opened here and replies went back.
        0 = Delivered,
        /// This shard withheld its seal key.
        1 = Withheld {
            /// Why.
            reason: Reason,
        },
        /// This shard released its key, but could not open.
        2 = NotOpened {
            /// A shard whose key did not come.
            missing: ShardIndex,
        },
    }
}

choice! {
    /// From a shard to the coordinator.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum ToCoordinator("message to the coordinator") {
        /// The first message on a link.
        0 = Register {
            /// Who and where.
            registration: Registration,
            /// What it has done so far.
            standing: Standing,
        },
        /// The answer to a call.
        1 = Contribute {
            /// Keys and proofs.
            contribution: Contribution,
        },
        /// The shard's signature on a proposal.
        2 = Endorse {
            /// The epoch.
            epoch: Epoch,
            /// The document's hash.
            document: Digest,
            /// The signature.
            signature: Signature,
        },
        /// The shard will not answer a call with keys, or not sign a proposal.
        3 = Refuse {
            /// The epoch.
            epoch: Epoch,
            /// Why, as text for the coordinator's log.
            reason: crate::Blob,
        },
        /// The shard's noise for a round is built.
        4 = Ready {
            /// The epoch.
            epoch: Epoch,
            /// The round.
            round: Round,
        },
        /// A round ended here.
        5 = Ended {
            /// The epoch.
            epoch: Epoch,
            /// The round.
            round: Round,
            /// How.
            outcome: RoundOutcome,
            /// What could be counted.
            counts: RoundCounts,
        },
        /// The shard is going to stop, and wants to be in no epoch after this one. It serves until
        /// it is [released](ToShard::Release).
        6 = Leaving,
        /// The time by the shard's clock: as a sign of life, and to find clocks that are wrong.
        7 = Clock {
            /// The time.
            now: Timestamp,
        },
    }
}

choice! {
    /// From the coordinator to a shard.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum ToShard("message to a shard") {
        /// Keys are wanted for an epoch.
        0 = Call {
            /// The epoch.
            epoch: Epoch,
            /// Its first round.
            first_round: Round,
            /// Its last round.
            last_round: Round,
        },
        /// A document to sign, with every shard's keys and proofs in the document's order.
        1 = Propose {
            /// The document.
            document: EpochDocument,
            /// One contribution for each shard listed.
            contributions: Vec<Contribution>,
        },
        /// A document that all have signed.
        2 = Publish {
            /// The document and the signatures.
            document: SignedDocument,
        },
        /// A round begins.
        3 = Open {
            /// The epoch.
            epoch: Epoch,
            /// The round.
            round: Round,
        },
        /// The registration is not accepted.
        4 = Reject {
            /// Why, as text for the shard's log.
            reason: crate::Blob,
        },
        /// Nothing more is wanted of a shard that is leaving.
        5 = Release,
        /// Wants the time by the shard's clock, as a sign that it is there.
        6 = AskClock,
    }
}
