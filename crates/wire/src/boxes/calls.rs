//! The published box of a call round: its tokens in order, the gaps between them Golomb coded.

use super::{BoxError, head};

/// Bits of a token.
pub const TOKEN_BITS: u32 = 40;
/// Bytes of a token.
pub const TOKEN_BYTES: usize = TOKEN_BITS as usize / 8;

/// Tokens of a box at most.
pub const MOST_TOKENS: usize = 1 << 20;

const VERSION: u8 = 1;
/// Version and count.
const HEAD_BYTES: usize = 1 + 4;

/// The 40 bits that stand in a box for one call. Nobody but the two ends can tell them from random ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(u64);

impl Token {
    /// The token with these low 40 bits; `None` for a larger number.
    #[must_use]
    pub fn new(bits: u64) -> Option<Self> {
        (bits >> TOKEN_BITS == 0).then_some(Self(bits))
    }

    /// The token as a number below 2^40.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The token's five bytes, the highest first.
    #[must_use]
    pub fn to_bytes(self) -> [u8; TOKEN_BYTES] {
        let [_, _, _, bytes @ ..] = self.0.to_be_bytes();
        bytes
    }

    /// The token with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; TOKEN_BYTES]) -> Self {
        Self(bytes.into_iter().fold(0, |bits, byte| bits << 8 | u64::from(byte)))
    }
}

/// The tokens of a box, in order. Their order says nothing about who came first.
#[derive(Clone, PartialEq, Eq)]
pub struct CallBox(Vec<Token>);

impl std::fmt::Debug for CallBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallBox({} tokens)", self.0.len())
    }
}

impl CallBox {
    /// The box of these tokens, of which equal ones stay as many as they are; `None` for more than [`MOST_TOKENS`].
    #[must_use]
    pub fn new(mut tokens: Vec<Token>) -> Option<Self> {
        tokens.sort_unstable();
        (tokens.len() <= MOST_TOKENS).then_some(Self(tokens))
    }

    /// The tokens in order.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.0
    }

    /// Returns `true` if the token is among them.
    #[must_use]
    pub fn holds(&self, token: Token) -> bool {
        self.0.binary_search(&token).is_ok()
    }

    /// Version, count, and for each token the gap to the one before: its quotient by 2^b in ones that a zero ends, and
    /// b bits of remainder. b follows from the count.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        let count = u32::try_from(self.0.len()).expect("a box has at most 2^20 tokens");
        bytes.extend(count.to_be_bytes());
        let remainder_bits = remainder_bits(self.0.len());
        let mut bits = Bits { bytes, free: 0 };
        let mut last = 0;
        for token in &self.0 {
            let gap = token.bits() - last;
            last = token.bits();
            (0..gap >> remainder_bits).for_each(|_| bits.push(true));
            bits.push(false);
            (0..remainder_bits).rev().for_each(|bit| bits.push(gap >> bit & 1 == 1));
        }
        bits.bytes
    }

    /// The box with these bytes. Takes no more memory than eight times theirs.
    ///
    /// # Errors
    /// [`BoxError`] for all that [`Self::to_bytes`] does not write.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BoxError> {
        let (count, body) = head(bytes, VERSION, HEAD_BYTES)?;
        let tokens = usize::try_from(count).map_err(|_| BoxError::TooMany(count))?;
        if tokens > MOST_TOKENS {
            return Err(BoxError::TooMany(count));
        }
        let remainder_bits = remainder_bits(tokens);
        // Checked before anything is allocated.
        if tokens.saturating_mul(1 + remainder_bits as usize) > 8 * body.len() {
            return Err(BoxError::Damaged);
        }
        let mut bits =
            body.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
        let mut read = || bits.next().ok_or(BoxError::Damaged);
        let mut found = Vec::with_capacity(tokens);
        let mut last = 0;
        let mut used = 0_usize;
        for _ in 0..tokens {
            let mut quotient: u64 = 0;
            while read()? {
                quotient += 1;
                if quotient >> (TOKEN_BITS - remainder_bits) > 0 {
                    return Err(BoxError::Damaged);
                }
            }
            let mut remainder = 0;
            for _ in 0..remainder_bits {
                remainder = remainder << 1 | u64::from(read()?);
            }
            // Both are below 2^41.
            last += (quotient << remainder_bits) + remainder;
            used += quotient as usize + 1 + remainder_bits as usize;
            found.push(Token::new(last).ok_or(BoxError::Damaged)?);
        }
        let whole = used.div_ceil(8) == body.len();
        if whole && bits.all(|bit| !bit) { Ok(Self(found)) } else { Err(BoxError::Damaged) }
    }
}

/// Bits of each gap's remainder: the binary logarithm of ln 2 times the mean gap, which is the best power of two for
/// gaps of random tokens (Gallager and van Voorhis, 1975).
fn remainder_bits(tokens: usize) -> u32 {
    const LN_2: u64 = 45_426;
    let mean = ((LN_2 << TOKEN_BITS) >> 16) / (tokens.max(1) as u64);
    mean.max(1).ilog2()
}

/// Bits one after the other, the highest of a byte first.
struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not used.
    free: u32,
}

impl Bits {
    fn push(&mut self, bit: bool) {
        if self.free == 0 {
            self.bytes.push(0);
            self.free = u8::BITS;
        }
        self.free -= 1;
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << self.free;
        }
    }
}

#[cfg(test)]
mod tests;
