//! The keys of call rounds, of which the past ones can be erased.

use antiphon_wire::{TOKEN_BYTES, Token};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::kdf::{Key, expand};
use crate::{CallRoot, Side};

const TREE_CONTEXT: &str = "Antiphon 2026 keywheel";
const TOKEN_CONTEXT: &str = "Antiphon 2026 call token";
const SESSION_CONTEXT: &str = "Antiphon 2026 session of a call round";

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;

/// Number of a call round, which is the number of the mix's round. Numbers only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallRound(pub u64);

/// Purpose of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Intent {
    /// The caller has something to say, or accepts an invitation.
    Call,
    /// The caller is there and opens the session in the round that this call round names.
    Answer,
}

impl Intent {
    /// All that there are.
    pub const ALL: [Self; 2] = [Self::Call, Self::Answer];

    fn byte(self) -> u8 {
        match self {
            Self::Call => 0,
            Self::Answer => 1,
        }
    }
}

/// Secret of the session that a call opens: both ends find it from the call round alone.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionSecret(pub [u8; 32]);

impl std::fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionSecret(..)")
    }
}

/// The keys of one call round of a contact.
pub struct CallKeys(Key);

impl std::fmt::Debug for CallKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallKeys(..)")
    }
}

impl CallKeys {
    /// The token with which the end at `side` calls.
    #[must_use]
    pub fn token(&self, side: Side, intent: Intent) -> Token {
        let mut bytes = [0; TOKEN_BYTES];
        let call = [side.byte(), intent.byte()];
        expand(TOKEN_CONTEXT, &[&self.0.0, &call], &mut [&mut bytes]);
        Token::from_bytes(bytes)
    }

    /// The secret of the session that this call round opens. It serves one session: who wants another calls in
    /// a later round.
    #[must_use]
    pub fn session(&self) -> SessionSecret {
        SessionSecret(Key::derive(SESSION_CONTEXT, &[&self.0.0]).0)
    }
}

/// Reason why a kept keywheel cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WheelError {
    /// A version that this program does not know.
    #[error("this record of call keys has version {0}: a newer program wrote it")]
    Version(u8),
    /// Too short or too long.
    #[error("this record of call keys is damaged")]
    Damaged,
}

/// The keys of all call rounds from one on.
///
/// A binary tree over the rounds' numbers, of Goldreich, Goldwasser and Micali: each key gives those of its two
/// halves, and the leaves are the rounds'. Kept are the keys of the halves that are wholly ahead, so that no
/// key of a forgotten round can be found again, and any round ahead takes at most 64 derivations. The two ends
/// need not agree on where they begin.
#[derive(Clone)]
pub struct Keywheel {
    /// The first round that is not forgotten.
    from: u64,
    /// The key of each of the [`blocks`] from there on.
    keys: Vec<Key>,
}

/// A half, quarter and so on of all rounds: its first one, and the binary logarithm of their number.
#[derive(Clone, Copy)]
struct Block {
    first: u64,
    height: u32,
}

impl Block {
    fn covers(self, round: u64) -> bool {
        (self.first ^ round).checked_shr(self.height).unwrap_or(0) == 0
    }
}

/// The largest blocks that together have all rounds from this one on.
fn blocks(from: u64) -> impl Iterator<Item = Block> {
    let block = |first: u64| Block { first, height: first.trailing_zeros() };
    let next = |block: &Block| {
        let rounds = 1_u64.checked_shl(block.height)?;
        block.first.checked_add(rounds)
    };
    std::iter::successors(Some(block(from)), move |last| next(last).map(block))
}

impl std::fmt::Debug for Keywheel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keywheel").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Keywheel {
    /// The keys of all rounds.
    #[must_use]
    pub fn new(root: &CallRoot) -> Self {
        Self { from: 0, keys: vec![root.0.clone()] }
    }

    /// The first round whose keys are there.
    #[must_use]
    pub fn first(&self) -> CallRound {
        CallRound(self.from)
    }

    /// The keys of a round; `None` if it has been forgotten.
    #[must_use]
    pub fn keys(&self, round: CallRound) -> Option<CallKeys> {
        self.key(Block { first: round.0, height: 0 }).map(CallKeys)
    }

    /// Erases the keys of all rounds before this one.
    pub fn forget_before(&mut self, round: CallRound) {
        if round.0 <= self.from {
            return;
        }
        // All of them are ahead of what is kept, so there is a key for each.
        let keys: Vec<Key> = blocks(round.0).map_while(|block| self.key(block)).collect();
        *self = Self { from: round.0, keys };
    }

    fn key(&self, wanted: Block) -> Option<Key> {
        let mut kept = blocks(self.from).zip(&self.keys);
        let (block, key) = kept.find(|(block, _)| block.covers(wanted.first))?;
        let mut key = key.clone();
        // Down from the kept block, each time into the half that has the wanted one.
        for height in (wanted.height..block.height).rev() {
            let (mut low, mut high) = (Key([0; KEY_BYTES]), Key([0; KEY_BYTES]));
            expand(TREE_CONTEXT, &[&key.0], &mut [&mut low.0, &mut high.0]);
            key = if wanted.first >> height & 1 == 0 { low } else { high };
        }
        Some(key)
    }

    /// The record to keep: version, first round, and the keys from the nearest block to the farthest.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(9 + self.keys.len() * KEY_BYTES));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.from.to_be_bytes());
        self.keys.iter().for_each(|key| bytes.extend_from_slice(&key.0));
        bytes
    }

    /// The keywheel that a record holds.
    ///
    /// # Errors
    /// [`WheelError`] for another version or length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WheelError> {
        let (version, rest) = bytes.split_first().ok_or(WheelError::Damaged)?;
        if *version != VERSION {
            return Err(WheelError::Version(*version));
        }
        let (from, rest) = rest.split_first_chunk().ok_or(WheelError::Damaged)?;
        let from = u64::from_be_bytes(*from);
        let (keys, behind) = rest.as_chunks::<KEY_BYTES>();
        // The first round says how many blocks there are, and which.
        if !behind.is_empty() || keys.len() != blocks(from).count() {
            return Err(WheelError::Damaged);
        }
        Ok(Self { from, keys: keys.iter().map(|key| Key(*key)).collect() })
    }
}

#[cfg(test)]
mod tests;
