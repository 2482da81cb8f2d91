//! What an adversary does to cells, and the player that does it.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::cipher::{CELL_BYTES, Cell};
use super::flaw::Flaw;
use super::passage::{Adversary, Batch};
use super::view::Direction;

/// A strategy on beats: something that is done in about half of the batches, beats or links that it could be done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It only watches.
    Nothing,
    /// The first cell of a batch is garbled.
    Garble,
    /// Half of a batch's cells are.
    Half,
    /// The first cell of a batch is overwritten with the same bytes, in every other beat.
    Tag,
    /// All cells of a batch become copies of its first.
    Copy,
    /// A batch's cells are sent in the reverse order.
    Swap,
    /// The batch before is sent in place of this one.
    Replay,
    /// Each cell is sent in the next one's slot.
    Shift,
    /// A batch is dropped whole.
    Drop,
    /// The first cell of a batch is left out.
    Short,
    /// A batch has one cell more.
    Long,
    /// An honest shard's batch comes too late.
    Delay,
    /// A batch is sent a second time, with one cell changed.
    Again,
    /// The last batch of the other direction is sent back.
    Reflect,
    /// Clients' links are cut.
    Cut,
    /// The gateway of the first client drops all that this client sends, and nobody else's.
    DropOne,
    /// Any of these, drawn anew for each batch.
    Everything,
}

/// The client that is dropped alone.
const VICTIM: usize = 0;
/// The bytes of a tag.
const TAG: Cell = [7; CELL_BYTES];

impl Act {
    /// Every act, the one that draws among the others last.
    pub const ALL: [Self; 17] = [
        Self::Nothing,
        Self::Garble,
        Self::Half,
        Self::Tag,
        Self::Copy,
        Self::Swap,
        Self::Replay,
        Self::Shift,
        Self::Drop,
        Self::Short,
        Self::Long,
        Self::Delay,
        Self::Again,
        Self::Reflect,
        Self::Cut,
        Self::DropOne,
        Self::Everything,
    ];

    /// The strategy's name on the command line.
    pub fn name(self) -> &'static str {
        self.described().0
    }

    /// What it does, in words.
    pub fn does(self) -> &'static str {
        self.described().1
    }

    /// The flaws that it has to notice, beside `Everything`, which has to notice all.
    pub fn notices(self) -> &'static [Flaw] {
        match self {
            Self::Nothing => &[
                Flaw::LateCircuits,
                Flaw::LiveAndLeft,
                Flaw::SameContentTwice,
                Flaw::EchoesRefused,
                Flaw::NothingForSingles,
                Flaw::LeavesPart,
            ],
            Self::Garble => &[
                Flaw::RelinksOnLoss,
                Flaw::FallsBackOnLoss,
                Flaw::WakesOnMessage,
                Flaw::AsksEarlyOnLoss,
                Flaw::OpensNoise,
                Flaw::PartnerTells,
                Flaw::FetchesPart,
            ],
            Self::Half | Self::Tag | Self::Swap | Self::Shift | Self::Replay => {
                &[Flaw::AsksEarlyOnLoss, Flaw::RelinksOnLoss, Flaw::OpensNoise, Flaw::PartnerTells]
            }
            Self::Copy | Self::Reflect => &[Flaw::RelinksOnLoss, Flaw::OpensNoise],
            Self::Drop | Self::Short | Self::Delay => &[Flaw::NoFill],
            // What is too long is filled whole.
            Self::Long => &[Flaw::RelinksOnLoss],
            Self::Again => &[Flaw::StreamTwice, Flaw::Twice, Flaw::RepeatsPart],
            Self::Cut => &[Flaw::SizesFollowPresence],
            Self::DropOne => &[Flaw::RelinksOnLoss, Flaw::FallsBackOnLoss, Flaw::AsksEarlyOnLoss],
            Self::Everything => &Flaw::ALL,
        }
    }

    const fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::Nothing => ("watch", "only watches"),
            Self::Garble => ("garble", "garbles a cell of a batch"),
            Self::Half => (
                "garble-half",
                "garbles half of a batch's cells, as one who asks partners what arrived",
            ),
            Self::Tag => ("tag", "puts the same bytes into one slot, in every other beat"),
            Self::Copy => ("copy", "sends copies of one cell in all slots of a batch"),
            Self::Swap => ("swap", "sends a batch's cells in the reverse order"),
            Self::Replay => ("replay", "sends an earlier batch in place of this one"),
            Self::Shift => ("shift", "sends each cell in the next one's slot"),
            Self::Drop => ("drop", "drops batches whole"),
            Self::Short => ("short", "leaves a cell out"),
            Self::Long => ("long", "adds a cell"),
            Self::Delay => ("late", "delays honest shards' batches beyond their time"),
            Self::Again => ("again", "sends a batch a second time with a cell changed"),
            Self::Reflect => ("reflect", "sends back what went the other way"),
            Self::Cut => ("cut", "cuts clients' links in some beats"),
            Self::DropOne => ("drop-one", "drops, as a gateway, every cell of one client"),
            Self::Everything => ("everything", "any of these, batch by batch"),
        }
    }
}

/// Plays an act. Its draws are its own, so that they are the same in both worlds.
pub struct Player {
    act: Act,
    draws: ChaCha8Rng,
    last: Vec<Option<Cell>>,
    back: Vec<Option<Cell>>,
    /// Cells that clients which sleep left for beats to come.
    ahead: Vec<Cell>,
}

impl Player {
    /// A player whose draws come from `seed`.
    pub fn new(act: Act, seed: u64) -> Self {
        let draws = ChaCha8Rng::seed_from_u64(seed);
        Self { act, draws, last: Vec::new(), back: Vec::new(), ahead: Vec::new() }
    }

    fn now(&mut self) -> Act {
        // The same number of draws for every act.
        let (any, whether) =
            (self.draws.random_range(0..Act::ALL.len() - 1), self.draws.random::<bool>());
        match self.act {
            Act::Everything => Act::ALL[any],
            act if whether => act,
            _ => Act::Nothing,
        }
    }
}

impl Adversary for Player {
    /// Long, as it is a list of acts.
    fn sends(&mut self, batch: Batch, cells: &mut Vec<Option<Cell>>) {
        let (sent, mark) = (cells.clone(), self.draws.random::<Cell>());
        match self.now() {
            Act::Garble => {
                cells[0] = cells[0].map(|cell| std::array::from_fn(|i| cell[i] ^ mark[i]));
            }
            Act::Half => {
                for (cell, bit) in cells.iter_mut().zip(mark) {
                    let garbled = cell.map(|cell| std::array::from_fn(|i| cell[i] ^ mark[i]));
                    *cell = if bit % 2 == 1 { garbled } else { *cell };
                }
            }
            Act::Tag if batch.beat.is_multiple_of(2) => cells[0] = Some(TAG),
            Act::Copy => cells.fill(sent[0]),
            Act::Swap => cells.reverse(),
            Act::Replay if self.last.len() == cells.len() => {
                cells.clone_from(&self.last);
                // With a cell that was left for any beat in the first slot.
                let left = self.ahead.get(usize::from(mark[0]) % self.ahead.len().max(1));
                cells[0] = left.copied().or(cells[0]);
            }
            Act::Reflect if self.back.len() == cells.len() => cells.clone_from(&self.back),
            Act::Shift => cells.rotate_left(1),
            Act::Drop => cells.clear(),
            Act::Short => cells[0] = None,
            Act::Long => cells.push(Some(mark)),
            _ => {}
        }
        match batch.direction {
            Direction::Forward => self.last = sent,
            Direction::Backward => self.back = sent,
        }
    }

    fn delays(&mut self, _: Batch) -> bool {
        self.now() == Act::Delay
    }

    fn again(&mut self, _: Batch) -> Option<(usize, Cell)> {
        let mark = self.draws.random::<Cell>();
        (self.now() == Act::Again).then_some((0, mark))
    }

    fn looks(&mut self, _: u32, cell: Cell) {
        self.ahead.push(cell);
    }

    fn cuts(&mut self, _: u32, client: usize) -> bool {
        // A gateway that drops one client's cells does so in every beat.
        match (self.act, self.now()) {
            (Act::DropOne, _) => client == VICTIM,
            (_, Act::DropOne) => client == VICTIM,
            (_, now) => now == Act::Cut,
        }
    }
}
