//! Labels of metrics. Each is an enumeration, so that its values are bounded.

use antiphon_wire::{Reason, RoundOutcome};

/// One label.
pub trait Label: Copy + Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// Every value that it can have.
    const VALUES: &'static [&'static str];

    /// The value as it is shown.
    fn value(self) -> &'static str;
}

/// All labels of a metric.
pub trait Labels: Copy + Send + Sync + 'static {
    /// Each of them, with all of its values.
    const SETS: &'static [super::LabelSet];

    /// The values, in the order of `SETS`.
    fn values(self) -> Vec<&'static str>;
}

impl Labels for () {
    const SETS: &'static [super::LabelSet] = &[];

    fn values(self) -> Vec<&'static str> {
        Vec::new()
    }
}

impl<A: Label> Labels for A {
    const SETS: &'static [super::LabelSet] = &[(A::NAME, A::VALUES)];

    fn values(self) -> Vec<&'static str> {
        vec![self.value()]
    }
}

impl<A: Label, B: Label> Labels for (A, B) {
    const SETS: &'static [super::LabelSet] = &[(A::NAME, A::VALUES), (B::NAME, B::VALUES)];

    fn values(self) -> Vec<&'static str> {
        vec![self.0.value(), self.1.value()]
    }
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident = $shown:literal { $($(#[$of:meta])* $variant:ident = $value:expr,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$of])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl Label for $name {
            const NAME: &'static str = $shown;
            const VALUES: &'static [&'static str] = &[$($value),+];

            fn value(self) -> &'static str {
                match self { $(Self::$variant => $value),+ }
            }
        }
    };
}

label! {
    /// How a round ended at a shard.
    Outcome = "outcome" {
        /// Replies went back.
        Delivered = "delivered",
        /// The shard withheld its seal key.
        Withheld = "withheld",
        /// Another shard's seal key did not come.
        NotOpened = "not_opened",
    }
}

label! {
    /// How a round ended over all shards.
    Ending = "outcome" {
        /// Replies went back everywhere.
        Delivered = "delivered",
        /// Seals were opened, but not everywhere.
        Partial = "partial",
        /// A shard withheld its seal key.
        Aborted = "aborted",
        /// Nobody told here: the coordinator was deposed while it was open.
        Unheard = "unheard",
    }
}

label! {
    /// Why a seal key was withheld.
    Cause = "cause" {
        /// A batch did not come in time, or was not what its header said.
        MissingBatch = "missing_batch",
        /// A filter did not come in time.
        MissingFilter = "missing_filter",
        /// A filter had another size than its onions take.
        BadFilter = "bad_filter",
        /// A filter had too many ones.
        FullFilter = "full_filter",
        /// Onions were missing from a filter.
        MissingOnions = "missing_onions",
        /// A shard saw other filters.
        OtherFilters = "other_filters",
        /// A verdict did not come in time.
        MissingVerdict = "missing_verdict",
        /// Another shard withheld first.
        Follows = "follows",
        /// The shard did not have what the round needs.
        NotPrepared = "not_prepared",
        /// No shard said.
        Unsaid = "unsaid",
    }
}

label! {
    /// A step of a round at a shard.
    Phase = "phase" {
        /// From the opening until the batches for layer 1 are handed to the links.
        Submit = "submit",
        /// From there, and from each layer's batches, until the first bytes of the next layer come in.
        Wait = "wait",
        /// From the first bytes of a layer until its last batch is complete.
        Receive = "receive",
        /// The part of peeling that is not hidden behind receiving.
        Peel = "peel",
        /// Leaving out copies, shuffling, and gathering batches.
        Shuffle = "shuffle",
        /// Until the system has taken the last batch.
        Send = "send",
        /// Until every seal key is in.
        Verification = "verification",
        /// The service at layer L.
        Exchange = "exchange",
        /// Until the clients are answered.
        Replies = "replies",
    }
}

label! {
    /// What threads computed.
    Work = "work" {
        /// Peeling onions.
        Peel = "peel",
        /// Building noise.
        Noise = "noise",
        /// Moving the cells of beats.
        Cells = "cells",
    }
}

label! {
    /// Where links come in at a shard.
    ShardEndpoint = "endpoint" {
        /// Other shards'.
        Peers = "peers",
        /// Clients'.
        Clients = "clients",
    }
}

label! {
    /// Where links come in at a coordinator.
    CoordinatorEndpoint = "endpoint" {
        /// Shards'.
        Shards = "shards",
        /// Clients'.
        Clients = "clients",
    }
}

label! {
    /// Why a link was not let in.
    Refusal = "why" {
        /// There were as many links as there may be.
        Full = "full",
        /// Its source had its share.
        Share = "share",
        /// It came too fast from one source.
        Pace = "pace",
        /// Its handshake was given up for later ones.
        Handshakes = "handshakes",
    }
}

label! {
    /// Why a client's link was closed by its gateway.
    Dropped = "why" {
        /// It handed in nothing for a hundred rounds.
        Silent = "silent",
        /// It sent more messages than a round needs.
        Floods = "floods",
        /// It speaks another version of the protocol.
        OtherVersion = "other_version",
        /// It does not read.
        DoesNotRead = "does_not_read",
    }
}

label! {
    /// What a shard did not take.
    Refused = "what" {
        /// A call for keys.
        Call = "call",
        /// A proposal of an epoch.
        Proposal = "proposal",
        /// A document.
        Document = "document",
        /// A list of its operator.
        List = "list",
    }
}

label! {
    /// Which work waits for a thread.
    Urgency = "urgency" {
        /// That of rounds that run.
        Urgent = "urgent",
        /// Noise and keys for later.
        Background = "background",
    }
}

label! {
    /// What waits for a link to another shard.
    Queue = "queue" {
        /// Messages.
        Messages = "messages",
        /// Batches of onions or replies.
        Batches = "batches",
    }
}

label! {
    /// What became of an epoch.
    Fate = "what" {
        /// Its shards were asked for keys.
        Called = "called",
        /// All of its shards have signed it.
        Published = "published",
        /// It did not come about.
        Failed = "failed",
        /// It ran, and could not go on.
        Broken = "broken",
    }
}

label! {
    /// Why a link is not taken for a shard's.
    Registration = "why" {
        /// Nothing came.
        Silent = "silent",
        /// What came is no registration.
        Nonsense = "nonsense",
        /// No operator's list vouches for it.
        Unlisted = "unlisted",
        /// It was rejected for what it registered with.
        Rejected = "rejected",
    }
}

label! {
    /// Whether rounds open.
    Conduct = "conduct" {
        /// When they are due.
        Going = "going",
        /// Not before the epoch's shards are back.
        Resuming = "resuming",
        /// Not before the next epoch.
        Broken = "broken",
        /// No more: the coordinator stops.
        Stopped = "stopped",
        /// At another coordinator.
        Standby = "standby",
    }
}

label! {
    /// How a registered shard stands.
    Standing = "standing" {
        /// In the epoch that runs or follows.
        InEpoch = "in_epoch",
        /// In none yet.
        Waiting = "waiting",
        /// It sits out.
        Suspended = "suspended",
        /// It sits out, since it was named for garbling cells.
        Garbles = "garbles",
        /// It leaves at the next hand-over.
        Leaving = "leaving",
        /// It has left.
        Released = "released",
    }
}

label! {
    /// What became of a canary's cell that did not come home.
    Lost = "lost" {
        /// It was changed on the way.
        Garbled = "garbled",
        /// Its batch was late, or a shard said nothing.
        Late = "late",
    }
}

label! {
    /// Which weight of operators.
    Weight = "of" {
        /// Of those present.
        Present = "present",
        /// That an epoch takes.
        Needed = "needed",
        /// Of all.
        Total = "total",
    }
}

label! {
    /// Whose onions.
    Origin = "origin" {
        /// Clients'.
        Clients = "clients",
        /// Shards': noise.
        Noise = "noise",
    }
}

label! {
    /// Which of the shards' clocks.
    Extreme = "clock" {
        /// The one that is furthest behind.
        Earliest = "earliest",
        /// The one that is furthest ahead.
        Latest = "latest",
    }
}

label! {
    /// What came of a controller's look at a resource.
    LookEnding = "outcome" {
        /// All is as it was asked for.
        Settled = "settled",
        /// Something was done.
        Acted = "acted",
        /// Something is waited for.
        Waited = "waited",
        /// Nothing goes on before somebody does something.
        Blocked = "blocked",
        /// The specification is refused.
        Refused = "refused",
        /// It broke off.
        Failed = "failed",
    }
}

label! {
    /// Why a controller could not do something.
    Failure = "why" {
        /// The API server did not answer.
        Unreachable = "unreachable",
        /// The API server did not allow it.
        Forbidden = "forbidden",
        /// Somebody else wrote meanwhile.
        Conflict = "conflict",
        /// The API server refused it otherwise.
        Rejected = "rejected",
        /// The Lease was lost meanwhile.
        Deposed = "deposed",
        /// The system gave no randomness, or an object could not be made.
        Internal = "internal",
    }
}

label! {
    /// A kind of thing that a controller does.
    StepKind = "step" {
        /// It makes identity keys.
        MakesKeys = "makes_keys",
        /// It signs a list.
        SignsList = "signs_list",
        /// It applies objects.
        Applies = "applies",
        /// It asks for more shards.
        ScalesUp = "scales_up",
        /// It asks for fewer shards.
        ScalesDown = "scales_down",
        /// It has all shards stop.
        Stops = "stops",
        /// It has a list brought to a pod.
        BringsList = "brings_list",
        /// It replaces a pod.
        ReplacesPod = "replaces_pod",
        /// It deletes the key and the claim of a shard that is gone.
        ForgetsShard = "forgets_shard",
        /// It lets a resource go.
        LetsGo = "lets_go",
    }
}

label! {
    /// A change that takes a hand-over.
    Change = "change" {
        /// The end of a list was signed, for one with other shards.
        List = "list",
        /// The pod of a shard that is in an epoch was replaced.
        Replacement = "replacement",
        /// All shards were told to leave.
        Departure = "departure",
    }
}

label! {
    /// What became of a round's trace.
    Telling = "result" {
        /// The collector took it.
        Sent = "sent",
        /// The collector did not take it in time, or refused it.
        Failed = "failed",
        /// Too many others were waiting.
        Lost = "lost",
    }
}

label! {
    /// The version of the program.
    Version = "version" {
        /// This one.
        This = env!("CARGO_PKG_VERSION"),
    }
}

impl From<&RoundOutcome> for Outcome {
    fn from(outcome: &RoundOutcome) -> Self {
        match outcome {
            RoundOutcome::Delivered => Self::Delivered,
            RoundOutcome::Withheld { .. } => Self::Withheld,
            RoundOutcome::NotOpened { .. } => Self::NotOpened,
        }
    }
}

impl From<&Reason> for Cause {
    fn from(reason: &Reason) -> Self {
        match reason {
            Reason::MissingBatch { .. } => Self::MissingBatch,
            Reason::MissingFilter { .. } => Self::MissingFilter,
            Reason::BadFilter { .. } => Self::BadFilter,
            Reason::FullFilter { .. } => Self::FullFilter,
            Reason::MissingOnions { .. } => Self::MissingOnions,
            Reason::OtherFilters { .. } => Self::OtherFilters,
            Reason::MissingVerdict { .. } => Self::MissingVerdict,
            Reason::Follows { .. } => Self::Follows,
            Reason::NotPrepared => Self::NotPrepared,
        }
    }
}
