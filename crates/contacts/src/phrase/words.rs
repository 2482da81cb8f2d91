//! The list of words: that of BIP 39, in English, whose words differ in their first four letters.

use std::sync::LazyLock;

/// Words of the list.
pub(super) const WORDS: usize = 2048;

static LIST: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("../../words/english.txt").lines().collect());

/// The list in its order, which is the alphabet's.
pub(super) fn all() -> &'static [&'static str] {
    &LIST
}

/// The word with this number, below [`WORDS`].
pub(super) fn at(index: u16) -> &'static str {
    LIST[usize::from(index) % WORDS]
}

/// The number of a lower-case word.
pub(super) fn index(word: &str) -> Option<u16> {
    let at = LIST.binary_search(&word).ok()?;
    u16::try_from(at).ok()
}
