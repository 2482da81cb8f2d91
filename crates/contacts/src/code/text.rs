//! Codes as people see them, and what they are told about a wrong one.

use std::fmt;

use super::locate::{self, Difference};
use super::symbols::{self, DATA_SYMBOLS, PREFIX, RIGHT, SYMBOLS};
use super::{CODE_BYTES, CODE_CHARACTERS, CodeBytesError};

/// Characters shown before and behind a wrong one.
const SURROUNDINGS: usize = 4;
/// Wrong characters outside the alphabet that the checksum can replace.
const MOST_REPLACED: usize = 2;

/// One wrong character of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slip {
    /// Its place, counted from 1 with the prefix and without spaces.
    pub place: usize,
    /// The character that is there.
    pub found: char,
    /// The character that makes the code right, if the checksum tells.
    pub meant: Option<char>,
    /// The characters around it, with the wrong one in brackets.
    pub around: String,
}

impl fmt::Display for Slip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, found, meant, around } = self;
        write!(f, "character {place}, \"{found}\" in {around}")?;
        meant.map_or(Ok(()), |meant| write!(f, ", may have to be \"{meant}\""))
    }
}

/// Reason why a text is no contact code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Nothing but spaces.
    #[error("there is no contact code: it begins with antiphon1")]
    Empty,
    /// Something else than a code.
    #[error("a contact code begins with antiphon1; this begins with \"{0}\"")]
    Prefix(String),
    /// Upper and lower case together.
    #[error(
        "a contact code is in lower case or in upper case throughout, and this mixes them: copy it again, \
         or type it in lower case"
    )]
    MixedCase,
    /// Too few characters, and not by one.
    #[error(
        "this contact code is cut off: it has {found} characters, and a whole one has {CODE_CHARACTERS}"
    )]
    Truncated {
        /// Characters that are there.
        found: usize,
    },
    /// One character has been left out.
    #[error("a character is missing: \"{meant}\", to be put in as character {place}")]
    Missing {
        /// Place that the character gets, counted from 1.
        place: usize,
        /// The character.
        meant: char,
    },
    /// One character too many.
    #[error("there is a character too many: number {place}, \"{found}\"")]
    Extra {
        /// Its place, counted from 1.
        place: usize,
        /// The character.
        found: char,
    },
    /// Too many characters, and not by one.
    #[error(
        "this has {found} characters, and a contact code has {CODE_CHARACTERS}: give one code at a time"
    )]
    TooLong {
        /// Characters that are there.
        found: usize,
    },
    /// Characters that codes don't have, or wrong ones.
    #[error("this contact code has a wrong character: {}", listed(.0))]
    Wrong(Vec<Slip>),
    /// More wrong characters than can be found.
    #[error(
        "this contact code is wrong in several places that its checksum cannot tell: copy it again, or \
         compare it from its beginning"
    )]
    Checksum,
    /// A right checksum over bytes that are no code.
    #[error(transparent)]
    Bytes(#[from] CodeBytesError),
}

fn listed(slips: &[Slip]) -> String {
    let told: Vec<_> = slips.iter().map(Slip::to_string).collect();
    told.join("; and ")
}

/// The text of a code.
pub(super) fn write(bytes: &[u8; CODE_BYTES]) -> String {
    let symbols = symbols::of_bytes(bytes);
    PREFIX.chars().chain(symbols.into_iter().map(symbols::character)).collect()
}

/// Bytes of the code that a text holds.
pub(super) fn read(text: &str) -> Result<[u8; CODE_BYTES], CodeError> {
    let body = body(text)?;
    let symbols: Vec<Option<u8>> = body.iter().map(|&c| symbols::symbol(c)).collect();
    if body.len() != SYMBOLS {
        return Err(wrong_length(&body, &symbols));
    }
    let strangers: Vec<usize> = (0..SYMBOLS).filter(|&at| symbols[at].is_none()).collect();
    let symbols: Vec<u8> = symbols.into_iter().map(Option::unwrap_or_default).collect();
    if !strangers.is_empty() {
        return Err(CodeError::Wrong(replaced(&body, &symbols, &strangers)));
    }
    if symbols::remainder(symbols.iter().copied()) != RIGHT {
        let differences = locate::differences(&symbols);
        let slip = |one: &Difference| slip(&body, one.at, Some(symbols[one.at] ^ one.by));
        let slips: Vec<Slip> = differences.iter().map(slip).collect();
        return Err(if slips.is_empty() { CodeError::Checksum } else { CodeError::Wrong(slips) });
    }
    symbols::to_bytes(&symbols[..DATA_SYMBOLS]).ok_or(CodeError::Checksum)
}

/// The lower-case characters behind the prefix.
fn body(text: &str) -> Result<Vec<char>, CodeError> {
    // No more than a few codes' worth of what may be a whole file.
    let compact: String =
        text.chars().filter(|c| !c.is_whitespace()).take(4 * CODE_CHARACTERS).collect();
    if compact.is_empty() {
        return Err(CodeError::Empty);
    }
    let any = |case: fn(&char) -> bool| compact.chars().any(|c| case(&c));
    let lower = compact.to_ascii_lowercase();
    let Some(body) = lower.strip_prefix(PREFIX) else {
        return Err(CodeError::Prefix(compact.chars().take(PREFIX.len()).collect()));
    };
    if any(char::is_ascii_uppercase) && any(char::is_ascii_lowercase) {
        return Err(CodeError::MixedCase);
    }
    Ok(body.chars().collect())
}

/// A text of another length: one character is found, more are not.
fn wrong_length(body: &[char], symbols: &[Option<u8>]) -> CodeError {
    let found = PREFIX.len() + body.len();
    let place = |at: usize| PREFIX.len() + at + 1;
    let known: Option<Vec<u8>> = symbols.iter().copied().collect();
    if body.len() < SYMBOLS {
        // One missing has one explanation; two have too many.
        let missing = known.filter(|known| known.len() + 1 == SYMBOLS);
        let missing = missing.and_then(|known| locate::missing(&known));
        return missing.map_or(CodeError::Truncated { found }, |(at, symbol)| CodeError::Missing {
            place: place(at),
            meant: symbols::character(symbol),
        });
    }
    if body.len() > SYMBOLS + 1 {
        return CodeError::TooLong { found };
    }
    // The one too many may be one that codes don't have.
    let strange = symbols.iter().position(Option::is_none);
    let extra = known.and_then(|known| locate::extra(&known)).or(strange);
    extra.map_or(CodeError::TooLong { found }, |at| CodeError::Extra {
        place: place(at),
        found: body[at],
    })
}

/// Characters that codes don't have, each with what the checksum makes of it.
fn replaced(body: &[char], symbols: &[u8], strangers: &[usize]) -> Vec<Slip> {
    let few = (strangers.len() <= MOST_REPLACED).then_some(strangers);
    let meant = few.and_then(|places| locate::differences_at(symbols, places));
    let told = |(i, &at): (usize, &usize)| {
        let meant = meant.as_ref().and_then(|all| all.get(i));
        slip(body, at, meant.map(|one| symbols[at] ^ one.by))
    };
    strangers.iter().enumerate().map(told).collect()
}

fn slip(body: &[char], at: usize, meant: Option<u8>) -> Slip {
    let first = at.saturating_sub(SURROUNDINGS);
    let before: String = body[first..at].iter().collect();
    let behind: String = body[at + 1..].iter().take(SURROUNDINGS).collect();
    Slip {
        place: PREFIX.len() + at + 1,
        found: body[at],
        meant: meant.map(symbols::character),
        around: format!("...{before}[{}]{behind}...", body[at]),
    }
}
