//! Phrases of five generated words, from which two people who can talk to each other make a call root.

mod nearest;
mod words;

use antiphon_wire::Digest;
use argon2::{Algorithm, Argon2, Params, Version};
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::CallRoot;
use crate::kdf::{Key, expand};

/// Words of a phrase.
pub const PHRASE_WORDS: usize = 5;
/// Random bits of a phrase: five times eleven, without those of the check.
pub const PHRASE_BITS: u32 = WORD_BITS * PHRASE_WORDS as u32 - CHECK_BITS;

const WORD_BITS: u32 = 11;
const CHECK_BITS: u32 = 5;
/// Memory that one guess takes, in KiB.
const MEMORY_KIB: u32 = 64 * 1024;
/// Passes over that memory.
const PASSES: u32 = 12;

const CHECK_CONTEXT: &str = "Antiphon 2026 phrase check";
const SALT_CONTEXT: &str = "Antiphon 2026 phrase salt";

/// A phrase that Antiphon made: 50 random bits, and 5 that follow from them.
///
/// The check is what tells a phrase from words that somebody thought of: of 32 such, one passes. It has no room to
/// locate a wrong word, only to notice it.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Phrase([u16; PHRASE_WORDS]);

impl std::fmt::Debug for Phrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Phrase(..)")
    }
}

/// One word that no phrase has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord {
    /// Its place, from 1.
    pub place: usize,
    /// The word as it was given.
    pub word: String,
    /// The word of the list that is nearest to it.
    pub nearest: &'static str,
}

impl std::fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { place, word, nearest } = self;
        write!(f, "word {place}, \"{word}\", is not on the list; the nearest is \"{nearest}\"")
    }
}

/// Change of a phrase that makes it pass its check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suggestion {
    /// Another word in one place.
    Word {
        /// The place, from 1.
        place: usize,
        /// The word that is there.
        given: &'static str,
        /// A similar one with which the check holds.
        meant: &'static str,
    },
    /// Two words in each other's places, from 1.
    Swapped(usize, usize),
}

impl std::fmt::Display for Suggestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word { place, given, meant } => {
                write!(f, ": word {place} may have to be \"{meant}\" and not \"{given}\"")
            }
            Self::Swapped(one, other) => {
                write!(f, ": words {one} and {other} may have to change places")
            }
        }
    }
}

/// Reason why a text is no phrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Not five words.
    #[error("a phrase has {PHRASE_WORDS} words, and this has {0}")]
    Count(usize),
    /// Words that are not on the list.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Unknown(Vec<UnknownWord>),
    /// Words of the list that Antiphon did not put together like this.
    #[error(
        "these words are no phrase that Antiphon made{}. Compare them with the partner's; words of your own \
         choice are not taken, since others can guess them",
        .0.as_ref().map(ToString::to_string).unwrap_or_default()
    )]
    Check(Option<Suggestion>),
}

impl Phrase {
    /// A new phrase. It has to reach the partner by a way on which nobody else hears it, and is good for one
    /// contact.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 8]);
        rng.fill_bytes(&mut bytes[..]);
        Self::of_bits(u64::from_be_bytes(*bytes) >> (u64::BITS - PHRASE_BITS))
    }

    fn of_bits(random: u64) -> Self {
        let all = random << CHECK_BITS | check_of(random);
        let shift = |place: usize| WORD_BITS as usize * (PHRASE_WORDS - 1 - place);
        Self(std::array::from_fn(|place| (all >> shift(place) & 0x7ff) as u16))
    }

    fn bits(&self) -> u64 {
        self.0.iter().fold(0, |bits, &word| bits << WORD_BITS | u64::from(word))
    }

    #[cfg(test)]
    pub(crate) fn random_bits(&self) -> u64 {
        self.bits() >> CHECK_BITS
    }

    fn holds(&self) -> bool {
        let bits = self.bits();
        bits & ((1 << CHECK_BITS) - 1) == check_of(bits >> CHECK_BITS)
    }

    /// Reads five words with anything between them, in upper or in lower case.
    ///
    /// # Errors
    /// [`PhraseError`] names words that are not on the list with the nearest that are, and says what could make
    /// words of the list a phrase.
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        let given: Vec<Zeroizing<String>> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(|word| Zeroizing::new(word.to_lowercase()))
            .collect();
        if given.len() != PHRASE_WORDS {
            return Err(PhraseError::Count(given.len()));
        }
        let unknown: Vec<UnknownWord> = (1..)
            .zip(&given)
            .filter(|(_, word)| words::index(word).is_none())
            .map(|(place, word)| UnknownWord {
                place,
                word: word.to_string(),
                nearest: nearest::word(word),
            })
            .collect();
        if !unknown.is_empty() {
            return Err(PhraseError::Unknown(unknown));
        }
        let phrase = Self(std::array::from_fn(|at| words::index(&given[at]).unwrap_or_default()));
        if phrase.holds() { Ok(phrase) } else { Err(PhraseError::Check(phrase.suggestion())) }
    }

    /// The phrase to read out or to write down, with spaces between the words.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let words: Vec<&str> = self.0.iter().map(|&index| words::at(index)).collect();
        Zeroizing::new(words.join(" "))
    }

    /// The only small change that makes the check hold, if there is one alone.
    fn suggestion(&self) -> Option<Suggestion> {
        // By chance, one change in 32 makes the check hold: of several nothing can be said.
        let swaps = (0..PHRASE_WORDS).flat_map(|i| (i + 1..PHRASE_WORDS).map(move |j| (i, j)));
        let swaps = swaps.filter(|&(i, j)| self.0[i] != self.0[j]).filter(|&(i, j)| {
            let mut other = self.clone();
            other.0.swap(i, j);
            other.holds()
        });
        let swaps = swaps.map(|(i, j)| Suggestion::Swapped(i + 1, j + 1));
        let words = (0..PHRASE_WORDS).flat_map(|at| {
            let given = words::at(self.0[at]);
            let similar = nearest::similar(given).filter(move |&index| {
                let mut other = self.clone();
                other.0[at] = index;
                other.holds()
            });
            similar.map(move |index| Suggestion::Word {
                place: at + 1,
                given,
                meant: words::at(index),
            })
        });
        let mut all = swaps.chain(words);
        let first = all.next()?;
        all.next().is_none().then_some(first)
    }

    /// The call root that both ends find. Takes 64 MiB and most of a second, so that guessing does as well.
    #[must_use]
    pub fn call_root(&self, network: &Digest) -> CallRoot {
        let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32));
        let params = params.expect("these are parameters that Argon2 allows");
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let salt = Key::derive(SALT_CONTEXT, &[&network.0]);
        let mut root = Key([0; 32]);
        argon.hash_password_into(self.to_text().as_bytes(), &salt.0, &mut root.0).expect(
            "a phrase, a salt of 32 bytes and 32 bytes of output are within Argon2's bounds",
        );
        CallRoot::of_phrase(&root)
    }
}

fn check_of(random: u64) -> u64 {
    let mut check = [0; 1];
    expand(CHECK_CONTEXT, &[&random.to_be_bytes()], &mut [&mut check]);
    u64::from(check[0] >> (u8::BITS - CHECK_BITS))
}

#[cfg(test)]
mod tests;
