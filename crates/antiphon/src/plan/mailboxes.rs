//! What the mailbox services of a network cost and promise.

use antiphon_routing::MixingPopulation;
use antiphon_wire::{INVITATION_BYTES, NetworkFile, Services, TOKEN_BITS};
use serde::Serialize;

use super::solved::Solved;
use super::text::{Table, short};

/// Bits of a token in a box beyond the logarithm of the mean gap: about what Golomb's code takes.
const BEYOND_GAP: f64 = 1.5;

/// Figures of both services, named as the JSON names them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct MailboxFigures {
    /// Calls of one relation, and besides as many invitations, over which epsilon and delta of the noise hold.
    pub(super) mailbox_items_budget: u32,
    /// Items of noise in a box, on average.
    pub(super) mailbox_noise_mean: f64,
    /// Noise deposits of all shards in a mailbox round with one box.
    pub(super) mailbox_noise_total: u64,
    /// Bytes of a call box that has noise alone, about.
    pub(super) call_box_bytes: u64,
    /// The same of an invitation box.
    pub(super) invitation_box_bytes: u64,
    /// How well one onion can be followed from its client to a box, proven, for each item.
    pub(super) delta_mix_item: f64,
    /// The same over the budget.
    pub(super) delta_mix_items_budget: f64,
    #[serde(skip)]
    services: Services,
}

impl MailboxFigures {
    /// For paths of so many mixing hops; `None` without mailbox rounds.
    pub(super) fn of(solved: &Solved, network: &NetworkFile, hops: u8) -> Option<Self> {
        let services = network.policy.services;
        if !services.has_mailboxes() {
            return None;
        }
        let volumes = solved.shares.iter().zip(&solved.noise.per_operator);
        let total: u64 =
            volumes.map(|(share, each)| u64::from(share.shards) * u64::from(each.volume())).sum();
        let mean = total as f64 / 4.0;
        let gap_bits = f64::from(TOKEN_BITS) - mean.max(1.0).log2() + BEYOND_GAP;
        // A box has half of the noise that a round of dead drops has.
        let population = MixingPopulation {
            onions: solved.honest.least_noise / 2,
            ..solved.honest.population(solved.rules.effective_malicious)
        };
        let item = population.one_onion(hops).proven;
        let budget = solved.rules.budget.disturbed_rounds();
        Some(Self {
            mailbox_items_budget: budget,
            mailbox_noise_mean: mean,
            mailbox_noise_total: total / 2,
            call_box_bytes: (mean * gap_bits / 8.0) as u64,
            invitation_box_bytes: (mean * INVITATION_BYTES as f64) as u64,
            delta_mix_item: item,
            delta_mix_items_budget: (item * f64::from(budget)).min(1.0),
            services,
        })
    }

    /// Bytes of the box of a mailbox round that has noise alone, on average over both kinds.
    pub(super) fn mean_box_bytes(&self) -> f64 {
        let invitations = 1.0 / f64::from(self.services.invitations_every);
        let (call, invitation) = (self.call_box_bytes as f64, self.invitation_box_bytes as f64);
        let boxes = |count: u16| f64::from(count);
        (1.0 - invitations) * call * boxes(self.services.call_boxes)
            + invitations * invitation * boxes(self.services.invitation_boxes)
    }

    pub(super) fn render(&self) -> String {
        let mut table = Table::default();
        let k = self.mailbox_items_budget;
        let Services { dead_drop_rounds, mailbox_rounds, invitations_every, .. } = self.services;
        table.section("Mailboxes: calls and invitations");
        table.row(
            "mailbox rounds",
            &format!("{mailbox_rounds} of {}", dead_drop_rounds + mailbox_rounds),
            format!("one of {invitations_every} of them for invitations; one onion a client"),
        );
        table.row(
            "items covered",
            &k,
            "calls of one relation, and as many invitations, each at epsilon and delta as above",
        );
        table.row(
            "noise in a box",
            &self.mailbox_noise_mean.round(),
            format!("items on average, of {} deposits for each box", self.mailbox_noise_total),
        );
        table.row("call box", &format!("{} B", self.call_box_bytes), "of noise alone, about");
        table.row("invitation box", &format!("{} B", self.invitation_box_bytes), "the same");
        table.row(
            "mixing adds, an item",
            &short(self.delta_mix_item),
            "proven; one onion followed from its client to the box",
        );
        table.row(
            "mixing adds, in all",
            &short(self.delta_mix_items_budget),
            format!("over all {k}, beside epsilon and delta"),
        );
        table.render()
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{IdentityKey, Operator, Policy};
    use ed25519_dalek::SigningKey;

    use super::*;

    #[test]
    fn five_operators_mailboxes_cost_what_the_page_on_contacts_says() {
        let operator = |at: u8| Operator {
            name: at.to_string(),
            key: IdentityKey::of(&SigningKey::from_bytes(&[at; 32])),
            weight: 1,
        };
        let policy = Policy { services: Services::USUAL, ..Policy::DEFAULT };
        let network = NetworkFile::new((1..=5).map(operator).collect(), policy).unwrap();
        let solved = Solved::of(&network, 1).unwrap();
        let figures = MailboxFigures::of(&solved, &network, 14).unwrap();
        assert_eq!((figures.mailbox_items_budget, figures.mailbox_noise_mean), (1000, 2020.0));
        assert_eq!((figures.mailbox_noise_total, figures.invitation_box_bytes), (4040, 290_880));
        assert!((7600..7800).contains(&figures.call_box_bytes), "{}", figures.call_box_bytes);
        assert!((figures.delta_mix_item / 3.2e-6 - 1.0).abs() < 0.02, "{}", figures.delta_mix_item);
        assert!(figures.render().contains("1 of 12"));
    }
}
