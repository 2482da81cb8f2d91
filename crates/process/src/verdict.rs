//! What somebody who looks after a process has to do, in words. The page in a browser and the terminal show the same.

use serde::{Deserialize, Serialize};

/// How urgent something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Nothing is to be done.
    Good,
    /// Something is to be looked at.
    Care,
    /// Something is to be done.
    Bad,
}

/// A sentence that says what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// How urgent it is.
    pub urgency: Urgency,
    /// The sentence.
    pub words: String,
}

/// How a process stands, all in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// That of the most urgent advice.
    pub urgency: Urgency,
    /// A headline.
    pub words: String,
    /// What is wrong, the most urgent first.
    pub advice: Vec<Advice>,
}

impl Advice {
    /// Something is to be done.
    pub const fn bad(words: String) -> Self {
        Self { urgency: Urgency::Bad, words }
    }

    /// Something is to be looked at.
    pub const fn care(words: String) -> Self {
        Self { urgency: Urgency::Care, words }
    }
}

impl Verdict {
    /// The verdict that follows from `advice`; with none, the headline is `well`.
    pub fn of(mut advice: Vec<Advice>, well: &str) -> Self {
        advice.sort_by_key(|advice| std::cmp::Reverse(advice.urgency));
        let urgency = advice.first().map_or(Urgency::Good, |advice| advice.urgency);
        let words = match urgency {
            Urgency::Good => well,
            Urgency::Care => "It works, and something is to be looked at",
            Urgency::Bad => "Something is to be done",
        };
        Self { urgency, words: words.to_owned(), advice }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_advice_comes_first_and_makes_the_headline() {
        let sentence = |text: &str| text.to_owned();
        assert_eq!(Verdict::of(Vec::new(), "all is well").words, "all is well");
        let advice = vec![Advice::care(sentence("a")), Advice::bad(sentence("b"))];
        let verdict = Verdict::of(advice, "all is well");
        assert_eq!((verdict.urgency, verdict.advice[0].words.as_str()), (Urgency::Bad, "b"));
        assert_eq!(verdict.words, "Something is to be done");
        let verdict = Verdict::of(vec![Advice::care(sentence("a"))], "all is well");
        assert_eq!(verdict.urgency, Urgency::Care);
    }
}
