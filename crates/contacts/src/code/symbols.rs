//! The code words of bech32m: symbols of five bits, and the remainder that they have to leave.

/// The beginning of every code as text.
pub(super) const PREFIX: &str = "antiphon1";
/// Symbols of a code's bytes: 92 times 5 bits hold 57 bytes and four zero bits.
pub(super) const DATA_SYMBOLS: usize = 92;
/// Symbols of the checksum.
const CHECK_SYMBOLS: usize = 6;
/// Symbols behind the prefix.
pub(super) const SYMBOLS: usize = DATA_SYMBOLS + CHECK_SYMBOLS;

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
/// The remainder of a right code word.
pub(super) const RIGHT: u32 = 0x2bc8_30a3;

/// The character of a symbol below 32.
pub(super) fn character(symbol: u8) -> char {
    char::from(ALPHABET[usize::from(symbol & 31)])
}

/// The symbol of a lower-case character.
pub(super) fn symbol(character: char) -> Option<u8> {
    let at = ALPHABET.iter().position(|&one| char::from(one) == character)?;
    u8::try_from(at).ok()
}

/// The remainder after one more symbol: BIP 173's polynomial arithmetic, five bits at a time.
pub(super) fn step(remainder: u32, symbol: u8) -> u32 {
    let shifted = (remainder & 0x1ff_ffff) << 5 ^ u32::from(symbol);
    let top = remainder >> 25;
    let reduced = |sum: u32, (bit, generator): (usize, &u32)| {
        if top >> bit & 1 == 1 { sum ^ generator } else { sum }
    };
    GENERATOR.iter().enumerate().fold(shifted, reduced)
}

/// The remainder of the symbols behind the prefix; a right code word's is [`RIGHT`].
pub(super) fn remainder(symbols: impl IntoIterator<Item = u8>) -> u32 {
    let name = PREFIX.trim_end_matches('1').bytes();
    let spread = name.clone().map(|c| c >> 5).chain([0]).chain(name.map(|c| c & 31));
    spread.chain(symbols).fold(1, step)
}

/// All symbols of a code with these bytes, checksum included.
pub(super) fn of_bytes(bytes: &[u8]) -> Vec<u8> {
    let bit = |i: usize| bytes.get(i / 8).is_some_and(|byte| byte >> (7 - i % 8) & 1 == 1);
    let data = |at: usize| (0..5).fold(0, |symbol, i| symbol << 1 | u8::from(bit(5 * at + i)));
    let mut symbols: Vec<u8> = (0..DATA_SYMBOLS).map(data).collect();
    let check = remainder(symbols.iter().copied().chain([0; CHECK_SYMBOLS])) ^ RIGHT;
    symbols.extend((0..CHECK_SYMBOLS).rev().map(|i| (check >> (5 * i) & 31) as u8));
    symbols
}

/// The bytes in the symbols of data; `None` if bits behind them are not zero.
pub(super) fn to_bytes<const N: usize>(symbols: &[u8]) -> Option<[u8; N]> {
    let bit = |i: usize| symbols.get(i / 5).is_some_and(|symbol| symbol >> (4 - i % 5) & 1 == 1);
    let byte = |at: usize| (0..8).fold(0, |byte, i| byte << 1 | u8::from(bit(8 * at + i)));
    let rest = (8 * N..5 * DATA_SYMBOLS).any(bit);
    (!rest).then(|| std::array::from_fn(byte))
}
