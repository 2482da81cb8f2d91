//! Where a code word is wrong: bech32m's remainder tells one or two wrong characters from all others.

use super::symbols::{RIGHT, SYMBOLS, remainder, step};

/// A symbol that differs from what it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Position behind the prefix.
    pub(super) at: usize,
    /// The sum of the symbol that is there and the right one.
    pub(super) by: u8,
}

/// The one or two differences that explain the symbols' remainder; empty if there are none or several
/// explanations.
///
/// Any two code words of this length differ in four places, so one wrong character has no other explanation of
/// two. Of three and more, one in some 230 passes for another two.
pub(super) fn differences(symbols: &[u8]) -> Vec<Difference> {
    let wrong = remainder(symbols.iter().copied()) ^ RIGHT;
    let mut effects = effects();
    if let Some((_, one)) = effects.iter().find(|(effect, _)| *effect == wrong) {
        return vec![*one];
    }
    // Differences add up, so two of them explain what their effects add up to.
    effects.sort_unstable_by_key(|(effect, _)| *effect);
    let other = |effect: u32| {
        let at = effects.binary_search_by_key(&(effect ^ wrong), |(effect, _)| *effect).ok()?;
        Some(effects[at].1)
    };
    let mut pairs = effects.iter().filter_map(|&(effect, one)| Some((one, other(effect)?)));
    let mut pairs = pairs.by_ref().filter(|(one, other)| one.at < other.at);
    match (pairs.next(), pairs.next()) {
        (Some((one, other)), None) => vec![one, other],
        _ => Vec::new(),
    }
}

/// The differences at `places`, one or two, that make the symbols right; `None` if there are none.
pub(super) fn differences_at(symbols: &[u8], places: &[usize]) -> Option<Vec<Difference>> {
    let wrong = remainder(symbols.iter().copied()) ^ RIGHT;
    let effect = |at: usize, by: u8| (at..SYMBOLS - 1).fold(u32::from(by), |sum, _| step(sum, 0));
    let found = |differences: &[Difference]| {
        differences.iter().fold(wrong, |sum, one| sum ^ effect(one.at, one.by)) == 0
    };
    let one = |at: usize| (0..32).map(move |by| Difference { at, by });
    match *places {
        [at] => one(at).map(|one| vec![one]).find(|all| found(all)),
        [at, other] => one(at)
            .flat_map(|first| one(other).map(move |second| vec![first, second]))
            .find(|all| found(all)),
        _ => None,
    }
}

/// The place and symbol that are missing in symbols of which one has been left out.
pub(super) fn missing(symbols: &[u8]) -> Option<(usize, u8)> {
    let whole = |at: usize, symbol: u8| {
        let (before, behind) = symbols.split_at(at);
        before.iter().copied().chain([symbol]).chain(behind.iter().copied())
    };
    let gaps = (0..=symbols.len()).flat_map(|at| (0..32).map(move |symbol| (at, symbol)));
    gaps.into_iter().find(|&(at, symbol)| remainder(whole(at, symbol)) == RIGHT)
}

/// The place of a symbol too many.
pub(super) fn extra(symbols: &[u8]) -> Option<usize> {
    let without = |at: usize| {
        symbols.iter().enumerate().filter(move |(i, _)| *i != at).map(|(_, symbol)| *symbol)
    };
    (0..symbols.len()).find(|&at| remainder(without(at)) == RIGHT)
}

/// The effect of each difference on the remainder, for all places and symbols.
fn effects() -> Vec<(u32, Difference)> {
    let mut column: Vec<u32> = (0..32).collect();
    let mut effects = Vec::with_capacity(SYMBOLS * 31);
    // From the last symbol back: each place before it is one step more.
    for at in (0..SYMBOLS).rev() {
        let by = (1..32).map(|by| (column[usize::from(by)], Difference { at, by }));
        effects.extend(by);
        column.iter_mut().for_each(|effect| *effect = step(*effect, 0));
    }
    effects
}
