//! Messages between the coordinator and the shards.

use std::sync::Arc;

use crate::codec::{choice, record};
use crate::{
    Addresses, Announcement, Contribution, Digest, Epoch, EpochDocument, OperatorList, Reason,
    Round, ShardIndex, Signature, Signed, SignedDocument, Term, Timestamp,
};

/// The most rounds that a coordinator has open at once. It bounds the memory that shards and clients keep for
/// rounds that are not over.
pub const MOST_ROUNDS_IN_FLIGHT: usize = 8;

record! {
    /// Offer of a shard to serve.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Registration {
        /// The sender's [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
        pub version: u16,
        /// Signed list of the operator, on which the shard is.
        pub list: Signed<OperatorList>,
        /// Addresses for other shards.
        pub peer_addresses: Addresses,
        /// Addresses for clients.
        pub client_addresses: Addresses,
    }
}

record! {
    /// An epoch of which a shard has the keys. They are in memory only: a shard that was started
    /// again has none.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct HeldEpoch {
        /// Number of the epoch.
        pub epoch: Epoch,
        /// Hash of the epoch's document.
        pub document: Digest,
    }
}

record! {
    /// Progress of a shard, for a coordinator that may have lost its state or have an old one. Nothing of it
    /// is secret: all shards see what they sign and serve.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Standing {
        /// The highest epoch for which it signed a document. It signs none up to it any more.
        pub signed_epoch: Epoch,
        /// The highest round that it served. It serves none up to it any more.
        pub served_round: Round,
        /// The epochs whose rounds it can serve.
        pub held: Vec<HeldEpoch>,
        /// Time by the shard's clock.
        pub clock: Timestamp,
    }
}

record! {
    /// Figures of a finished round at one shard: only those that anybody watching could count.
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
    /// End of a round at one shard.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum RoundOutcome("outcome") {
        /// The seal was opened here and replies went back.
        0 = Delivered,
        /// This shard withheld its seal key.
        1 = Withheld {
            /// Reason that the shard signed.
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
            /// Identity and addresses.
            registration: Registration,
            /// Epochs and rounds that the shard has behind it.
            standing: Standing,
        },
        /// The answer to a call.
        1 = Contribute {
            /// The shard's keys for the epoch, with their proofs.
            contribution: Contribution,
        },
        /// The shard's signature on a proposal.
        2 = Endorse {
            /// Epoch of the proposal.
            epoch: Epoch,
            /// Hash of the proposed document.
            document: Digest,
            /// Signature over the document, by the shard's identity.
            signature: Signature,
        },
        /// The shard will not answer a call with keys, or not sign a proposal.
        3 = Refuse {
            /// Epoch of the call or the proposal.
            epoch: Epoch,
            /// Reason, as text for the coordinator's log.
            reason: crate::Blob,
        },
        /// The shard's noise for a round is built.
        4 = Ready {
            /// Epoch that the round belongs to.
            epoch: Epoch,
            /// Round that can be opened as far as this shard is concerned.
            round: Round,
        },
        /// A round ended here.
        5 = Ended {
            /// Epoch that the round belongs to.
            epoch: Epoch,
            /// Round that is over at this shard.
            round: Round,
            /// Whether the replies went back, and if not, why.
            outcome: RoundOutcome,
            /// Figures of the round at this shard.
            counts: RoundCounts,
        },
        /// The shard is going to stop, and wants to be in no epoch after this one. It serves until
        /// it is [released](ToShard::Release), or told that it is [needed](ToShard::Needed).
        6 = Leaving,
        /// The time by the shard's clock, as a sign of life and to find clocks that are wrong.
        7 = Clock {
            /// Time by the shard's clock.
            now: Timestamp,
        },
        /// The shard said that it is leaving, and stays after all.
        8 = Staying,
        /// The sender of a [campaign](ToShard::Campaign) leads this shard from now on.
        9 = Granted {
            /// Term of the campaign.
            term: Term,
            /// Epochs and rounds that the shard has behind it.
            standing: Standing,
            /// Milliseconds since it opened its last round, by its own clock; 2^64 - 1 if it has opened none.
            since_opened_ms: u64,
        },
        /// Another coordinator leads this shard. Said to those that do not lead: when they are linked, whenever
        /// something of it changes, and as the answer to a campaign that has no success.
        10 = Follows {
            /// The highest term that this shard granted.
            term: Term,
            /// Epochs and rounds that the shard has behind it.
            standing: Standing,
        },
        /// This shard hears no coordinator that leads; otherwise as [`Follows`](Self::Follows).
        11 = Leaderless {
            /// The highest term that this shard granted.
            term: Term,
            /// Epochs and rounds that the shard has behind it.
            standing: Standing,
        },
        /// The answer to [`ToShard::Show`].
        12 = Document {
            /// A document that this shard holds keys of.
            document: SignedDocument,
        },
        /// The answer to [`ToShard::Beat`] of the coordinator that leads.
        13 = Beat {
            /// Number of the beat.
            number: u64,
        },
        /// Asks for a contribution to the proposal that no other shard has served.
        14 = AskContribution {
            /// Hash of the contribution.
            digest: Digest,
        },
        /// A message about canaries, for all shards of its round or for the coordinator that judges.
        15 = Canary {
            /// The message, in a form of its own.
            message: crate::Blob,
        },
    }
}

choice! {
    /// From the coordinator to a shard.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum ToShard("message to a shard") {
        /// Keys are wanted for an epoch.
        0 = Call {
            /// Number of the epoch that is planned.
            epoch: Epoch,
            /// First round of that epoch: how many seal keys are wanted follows from it and the last.
            first_round: Round,
            /// Last round of that epoch.
            last_round: Round,
        },
        /// A document to sign. The contributions that it is made of come one by one.
        1 = Propose {
            /// Document that is proposed.
            document: EpochDocument,
            /// The hash of the contribution of each shard listed, in the document's order.
            contributions: Vec<Digest>,
            /// Each contribution is handed to so many shards that follow its owner in the document, around its
            /// end. They have it for the others.
            spread: u16,
        },
        /// A document that all have signed.
        2 = Publish {
            /// The document and the signatures.
            document: SignedDocument,
        },
        /// Opens a round to clients.
        3 = Open {
            /// Round to open, its epoch, and when its beats begin.
            announcement: Announcement,
        },
        /// The registration is not accepted.
        4 = Reject {
            /// Reason, as text for the shard's log.
            reason: crate::Blob,
        },
        /// Nothing more is wanted of a shard that is leaving.
        5 = Release,
        /// Wants the time by the shard's clock, as a sign that it is there.
        6 = AskClock,
        /// No epoch could come about without a shard that is leaving. It may go all the same, and is asked
        /// for epochs again until it has gone.
        7 = Needed {
            /// Who is missing for a quorum, in words.
            reason: crate::Blob,
        },
        /// The sender wants to lead. Shards that have several coordinators heed nothing of one that does not.
        8 = Campaign {
            /// Term for which it wants to lead.
            term: Term,
        },
        /// The sender leads no more: another may, at once.
        9 = Resign,
        /// The sender wants the document of an epoch that the shard holds.
        10 = Show {
            /// Number of the epoch.
            epoch: Epoch,
        },
        /// The sender still leads.
        11 = Beat {
            /// Number of the beat.
            number: u64,
        },
        /// A contribution to the proposal.
        12 = Contribution {
            /// One shard's keys, with their proof.
            contribution: Arc<Contribution>,
        },
        /// A message about canaries that a shard of its round has sent, this one or another.
        13 = Canary {
            /// The message as it was sent.
            message: crate::Blob,
        },
    }
}
