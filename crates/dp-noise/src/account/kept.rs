//! What an account computes once, however much it is asked.

use std::sync::{Arc, OnceLock};

use crate::mechanism::Computed;
use crate::privacy_loss::{PrivacyLoss, Step};

/// What one round tells with up to so many deposits lost; empty if nothing is hidden.
pub(super) type Levels = Vec<(u32, PrivacyLoss)>;

#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// Shared by the accounts of one mechanism.
    pub(super) sum: Arc<Computed>,
    one: OnceLock<Levels>,
    two: OnceLock<Levels>,
}

impl Kept {
    /// For the same mechanism with other extras.
    pub(super) fn with_other_extras(&self) -> Self {
        Self { sum: Arc::clone(&self.sum), ..Self::default() }
    }

    /// What a round tells at this step.
    pub(super) fn levels(&self, step: Step, compute: impl FnOnce() -> Levels) -> &Levels {
        match step {
            Step::One => self.one.get_or_init(compute),
            Step::Two => self.two.get_or_init(compute),
        }
    }
}

/// It follows from what is accounted for.
impl PartialEq for Kept {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
