//! Beats that break one of the rules that the theorem rests on.

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// The cipher is a stream, and a batch that comes again is processed again.
    StreamTwice,
    /// A batch that comes again is processed again.
    Twice,
    /// A shard that is asked for a batch again repeats what it made of that batch, and not all that it sent.
    RepeatsPart,
    /// A cell that is missing is left out of the next batch.
    NoFill,
    /// A gateway leaves out the cells of clients that sent none.
    SizesFollowPresence,
    /// A client links anew when a reply was not what it had to be.
    RelinksOnLoss,
    /// A client goes back to an older round's circuits when a reply was not what it had to be.
    FallsBackOnLoss,
    /// A client asks for an early round when a reply was not what it had to be.
    AsksEarlyOnLoss,
    /// A client that sleeps links when a message came for it.
    WakesOnMessage,
    /// A client that sleeps leaves cells for as many beats as it has something to say in.
    LeavesPart,
    /// A client that sleeps fetches what came of the beats in which a message came for it.
    FetchesPart,
    /// A batch that came too late for the round has circuits all the same.
    LateCircuits,
    /// A client that left a cell for a beat sends another one in it.
    LiveAndLeft,
    /// A client's two circuits carry the same sealed bytes.
    SameContentTwice,
    /// An onion that was refused has its cell sent back as it came.
    EchoesRefused,
    /// Makers of noise keep keys, and open what was garbled once the round is over, as canaries are opened.
    OpensNoise,
    /// Layer L returns nothing to a circuit that was swapped with nobody.
    NothingForSingles,
    /// The partner of a client tells the adversary which cells arrived. No rule forbids that.
    PartnerTells,
}

impl Flaw {
    /// Every flaw, in the order of declaration.
    pub const ALL: [Self; 18] = [
        Self::StreamTwice,
        Self::Twice,
        Self::RepeatsPart,
        Self::NoFill,
        Self::SizesFollowPresence,
        Self::RelinksOnLoss,
        Self::FallsBackOnLoss,
        Self::AsksEarlyOnLoss,
        Self::WakesOnMessage,
        Self::LeavesPart,
        Self::FetchesPart,
        Self::LateCircuits,
        Self::LiveAndLeft,
        Self::SameContentTwice,
        Self::EchoesRefused,
        Self::OpensNoise,
        Self::NothingForSingles,
        Self::PartnerTells,
    ];

    /// The name of a network with this flaw.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StreamTwice => "stream-twice",
            Self::Twice => "twice",
            Self::RepeatsPart => "repeats-part",
            Self::NoFill => "no-fill",
            Self::SizesFollowPresence => "sizes-follow-presence",
            Self::RelinksOnLoss => "relinks-on-loss",
            Self::FallsBackOnLoss => "falls-back-on-loss",
            Self::AsksEarlyOnLoss => "asks-early-on-loss",
            Self::WakesOnMessage => "wakes-on-message",
            Self::LeavesPart => "leaves-part",
            Self::FetchesPart => "fetches-part",
            Self::LateCircuits => "late-circuits",
            Self::LiveAndLeft => "live-and-left",
            Self::SameContentTwice => "same-content-twice",
            Self::EchoesRefused => "echoes-refused",
            Self::OpensNoise => "opens-noise",
            Self::NothingForSingles => "nothing-for-singles",
            Self::PartnerTells => "partner-tells",
        }
    }
}
