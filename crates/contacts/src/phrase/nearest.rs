//! Words of the list that look like a given one.

use super::words;

/// Letters of a given word that are looked at; the longest of the list has eight.
const LETTERS: usize = 16;

/// The word of the list with the fewest slips between it and `given`; of several the one that begins most like it.
pub(super) fn word(given: &str) -> &'static str {
    let best = words::all().iter().min_by_key(|word| {
        let same = word.chars().zip(given.chars()).take_while(|(a, b)| a == b).count();
        (slips(given, word), LETTERS.saturating_sub(same))
    });
    best.copied().unwrap_or_default()
}

/// The numbers of the words that are one slip away from `given`.
pub(super) fn similar(given: &str) -> impl Iterator<Item = u16> {
    (0..).zip(words::all()).filter(move |(_, word)| slips(given, word) == 1).map(|(at, _)| at)
}

/// The fewest letters to put in, leave out, replace or swap with the next between two words.
fn slips(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().take(LETTERS).collect();
    let other: Vec<char> = other.chars().take(LETTERS).collect();
    let mut before = vec![0; other.len() + 1];
    let mut last: Vec<usize> = (0..=other.len()).collect();
    // A row of the table at a time, with the two before it for letters that changed places.
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = last[j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_a_letter_too_many_missing_wrong_or_swapped_with_the_next() {
        for (given, meant, count) in [
            ("abandonn", "abandon", 1),
            ("abndon", "abandon", 1),
            ("abanbon", "abandon", 1),
            ("abadnon", "abandon", 1),
            ("zooooo", "zoo", 3),
            ("", "zoo", 3),
        ] {
            assert_eq!(slips(given, meant), count, "{given}");
            assert_eq!(slips(meant, given), count, "{given}");
        }
        assert_eq!(word("abadnon"), "abandon");
        assert_eq!(word("appple"), "apple");
    }
}
