//! The call roots of one contact: the one in use, one that the partner may not have yet, and old ones.

mod record;

use crate::{CallBox, CallRoot, CallRound, Intent, Keywheel, SessionSecret, Side, Token};

pub use record::RootsError;

/// Old roots that are kept at most; with more, the oldest goes.
pub const MOST_OLD_ROOTS: usize = 4;

/// Root under which a call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one in use.
    Current,
    /// The refreshed one, of which nothing was known but that it had been made.
    Pending,
    /// One that has been replaced: the call was missed, or the partner has lost the news.
    Old,
}

/// A call of the partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The round in whose box it stood.
    pub round: CallRound,
    /// The purpose of the call.
    pub intent: Intent,
    /// The root that it was made from.
    pub root: Which,
}

/// A root that serves for tokens alone: no session opens under it.
#[derive(Debug)]
struct OldRoot {
    wheel: Keywheel,
    until: CallRound,
}

/// The call roots of a contact. To block somebody is to drop theirs: nothing is sent, and nothing tells it from
/// being away.
#[derive(Debug)]
pub struct Roots {
    side: Side,
    /// Call rounds for which boxes and old roots are kept.
    kept: u64,
    current: Keywheel,
    pending: Option<Keywheel>,
    old: Vec<OldRoot>,
}

impl Roots {
    /// A contact's first root. Boxes, and so old roots, are kept for `kept` call rounds: 20,160 of 60 s are 14 days.
    #[must_use]
    pub fn new(side: Side, root: &CallRoot, kept: u64) -> Self {
        Self { side, kept, current: Keywheel::new(root), pending: None, old: Vec::new() }
    }

    /// The own token for a call in `round`, under the root that the partner is known to have; `None` for a round that
    /// has been forgotten.
    #[must_use]
    pub fn token(&self, round: CallRound, intent: Intent) -> Option<Token> {
        Some(self.current.keys(round)?.token(self.side, intent))
    }

    /// The partner's call in the box of `round`, if there is one. Of several the one under the newest root.
    #[must_use]
    pub fn heard(&self, round: CallRound, published: &CallBox) -> Option<Heard> {
        // The newest first: who calls under it has it.
        let live = self.old.iter().rev().filter(|old| round <= old.until);
        let wheels = self.pending.iter().map(|wheel| (Which::Pending, wheel));
        let wheels = wheels.chain([(Which::Current, &self.current)]);
        let mut wheels = wheels.chain(live.map(|old| (Which::Old, &old.wheel)));
        wheels.find_map(|(root, wheel)| {
            let keys = wheel.keys(round)?;
            let stands = |intent: &Intent| published.holds(keys.token(self.side.other(), *intent));
            let intent = Intent::ALL.into_iter().find(stands)?;
            Some(Heard { round, intent, root })
        })
    }

    /// The secret of the session that a call of the partner opens. A call under the pending root shows that the
    /// partner has it, and makes it the current one. `None` for an old root, under which one can only be called
    /// back, and for a forgotten round.
    pub fn session_of(&mut self, heard: Heard) -> Option<SessionSecret> {
        match heard.root {
            Which::Old => return None,
            Which::Pending => self.confirmed(heard.round),
            Which::Current => {}
        }
        self.session(heard.round)
    }

    /// The secret of the session that an own call in `round` opens.
    #[must_use]
    pub fn session(&self, round: CallRound) -> Option<SessionSecret> {
        Some(self.current.keys(round)?.session())
    }

    /// Takes a refreshed root. It is used once the partner is known to have it, and understood from now on.
    pub fn refreshed(&mut self, root: &CallRoot) {
        let mut wheel = Keywheel::new(root);
        // Nobody calls under it in rounds that were before it.
        wheel.forget_before(self.current.first());
        self.pending = Some(wheel);
    }

    /// The partner has the refreshed root: it is the one in use from `round` on, and the one before serves for tokens.
    pub fn confirmed(&mut self, round: CallRound) {
        let Some(pending) = self.pending.take() else { return };
        let wheel = std::mem::replace(&mut self.current, pending);
        self.old.push(OldRoot { wheel, until: CallRound(round.0.saturating_add(self.kept)) });
        let many = self.old.len().saturating_sub(MOST_OLD_ROOTS);
        self.old.drain(..many);
    }

    /// Erases the keys of all rounds before `round`, the first whose box is still to be read, and old roots that are
    /// over.
    pub fn forget_before(&mut self, round: CallRound) {
        self.old.retain(|old| old.until >= round);
        let old = self.old.iter_mut().map(|old| &mut old.wheel);
        let wheels = old.chain(&mut self.pending).chain([&mut self.current]);
        wheels.for_each(|wheel| wheel.forget_before(round));
    }

    /// Roots that are looked for in each box; a stranger's token passes for a call with probability 2^-40 for each of
    /// them, intent and token.
    #[must_use]
    pub fn live(&self) -> usize {
        1 + usize::from(self.pending.is_some()) + self.old.len()
    }
}

#[cfg(test)]
mod tests;
