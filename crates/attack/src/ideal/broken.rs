//! Networks that lack one of their defences.

use std::fmt;
use std::str::FromStr;

/// A network with one defence removed, which an attack that works has to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    /// Shards never look for their noise: it can be dropped unnoticed.
    NoVerification,
    /// Shards add no noise.
    NoNoise,
    /// The seal opens before the noise is verified.
    EarlyOpen,
    /// Missing replies are not filled in, so a reply that never came back shows at the gateway.
    NoFill,
    /// All noise is checked and none is cover.
    NoCover,
    /// The keys of filters are known before the onions are in.
    KnownFilterKeys,
    /// Shards send onions on in the order in which they came.
    NoShuffle,
    /// Hops are drawn by shard, whoever runs it.
    WeightByShard,
    /// Documents need no quorum, and shards sign several for one round.
    NoQuorum,
    /// Neither shards nor clients recompute what a document's parameters have to be.
    NoPolicy,
    /// Noise is judged for the sets of operators that leave the least variance, as documents state it.
    StatedVariance,
    /// A document may ask for any number of pairs of onions.
    AnyPairs,
    /// An epoch may last for any time.
    EndlessEpochs,
    /// Where nobody counts as malicious, one operator's word makes an aborted round free.
    LoneWithholder,
    /// Clients count nothing for meetings in flight as their conversation closes.
    FreeCloses,
    /// Clients count no aborted rounds.
    UncountedAborts,
}

impl Broken {
    /// Every variant, in the order of declaration.
    pub const ALL: [Self; 16] = [
        Self::NoVerification,
        Self::NoNoise,
        Self::EarlyOpen,
        Self::NoFill,
        Self::NoCover,
        Self::KnownFilterKeys,
        Self::NoShuffle,
        Self::WeightByShard,
        Self::NoQuorum,
        Self::NoPolicy,
        Self::StatedVariance,
        Self::AnyPairs,
        Self::EndlessEpochs,
        Self::LoneWithholder,
        Self::FreeCloses,
        Self::UncountedAborts,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoVerification => "no-verification",
            Self::NoNoise => "no-noise",
            Self::EarlyOpen => "early-open",
            Self::NoFill => "no-fill",
            Self::NoCover => "no-cover",
            Self::KnownFilterKeys => "known-filter-keys",
            Self::NoShuffle => "no-shuffle",
            Self::WeightByShard => "weight-by-shard",
            Self::NoQuorum => "no-quorum",
            Self::NoPolicy => "no-policy",
            Self::StatedVariance => "stated-variance",
            Self::AnyPairs => "any-pairs",
            Self::EndlessEpochs => "endless-epochs",
            Self::LoneWithholder => "lone-withholder",
            Self::FreeCloses => "free-closes",
            Self::UncountedAborts => "uncounted-aborts",
        }
    }

    /// The missing defence, in a line.
    pub const fn about(self) -> &'static str {
        match self {
            Self::NoVerification => "shards never look for their noise",
            Self::NoNoise => "shards add no noise",
            Self::EarlyOpen => "the seal opens before the noise is verified",
            Self::NoFill => "what never came back is not filled in",
            Self::NoCover => "all noise is checked, none is cover",
            Self::KnownFilterKeys => "the keys of filters are known before the onions are in",
            Self::NoShuffle => "onions leave a shard in the order in which they came",
            Self::WeightByShard => "hops are drawn by shard, whoever runs it",
            Self::NoQuorum => "documents need no quorum",
            Self::NoPolicy => "nobody recomputes what a document's parameters have to be",
            Self::StatedVariance => "noise is judged by the variance that documents state",
            Self::AnyPairs => "a document may ask for any number of pairs of onions",
            Self::EndlessEpochs => "an epoch may last for any time",
            Self::LoneWithholder => "in a small network one operator's word makes an abort free",
            Self::FreeCloses => "what is in flight as a conversation closes costs nothing",
            Self::UncountedAborts => "clients count no aborted rounds",
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no such variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no broken variant {0:?}; there are {list}", list = names())]
pub struct UnknownVariant(String);

fn names() -> String {
    Broken::ALL.map(Broken::name).join(", ")
}

impl FromStr for Broken {
    type Err = UnknownVariant;

    fn from_str(text: &str) -> Result<Self, UnknownVariant> {
        let found = Self::ALL.into_iter().find(|variant| variant.name() == text);
        found.ok_or_else(|| UnknownVariant(text.to_owned()))
    }
}
