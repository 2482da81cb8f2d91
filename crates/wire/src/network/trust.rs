//! Operators that are never counted as malicious.

use super::{NetworkFile, Operator};

impl NetworkFile {
    /// The most weight that malicious operators may hold: f of the total, rounded down.
    pub fn malicious_weight(&self) -> u64 {
        self.total_weight() * u64::from(self.policy.malicious_ppm) / 1_000_000
    }

    /// Operators heavier than that: no figure counts any of them as malicious.
    pub fn heavy_operators(&self) -> impl Iterator<Item = &Operator> {
        let most = self.malicious_weight();
        self.operators.iter().filter(move |operator| u64::from(operator.weight) > most)
    }

    /// A sentence that names the operators who have to be trusted outright, to be shown wherever the network
    /// file is used; `None` if there are none.
    pub fn trust_in_words(&self) -> Option<String> {
        const NAMED: usize = 5;
        let names: Vec<_> = self.heavy_operators().map(|operator| operator.name.as_str()).collect();
        let who = match names.len() {
            0 => return None,
            all if all == self.operators.len() => "every operator".to_owned(),
            1 => "one operator".to_owned(),
            some => format!("{some} operators"),
        };
        let more = if names.len() > NAMED { ", ..." } else { "" };
        let named = names[..names.len().min(NAMED)].join(", ");
        let (most, total) = (self.malicious_weight(), self.total_weight());
        let f = f64::from(self.policy.malicious_ppm) / 1e6;
        Some(format!(
            "{who} must be trusted ({named}{more}): with malicious = {f}, operators of weight {most} of \
             {total} may be malicious, and whoever weighs more is never counted as one. If one of them is, \
             no figure holds"
        ))
    }
}
