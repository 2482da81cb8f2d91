//! Arguments of a network whose rounds are followed by beats.

use antiphon_coordinator::CoordinatorConfig;
use antiphon_wire::{BeatParameters, NetworkFile, Policy};
use clap::Args;

use super::PlanError;
use crate::cli::beats;

/// The beats, and what else is usual with them.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Beats")]
pub(crate) struct BeatArguments {
    /// Plan a network whose rounds are followed by so many beats each: the rounds are of suite 2 and five minutes apart
    /// then, unless said otherwise [without N: as many as cover two intervals of rounds]
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        default_missing_value = "0",
        requires = "prediction",
        conflicts_with_all = ["target_latency_s"]
    )]
    beats: Option<u16>,
    /// Milliseconds from one beat to the next
    #[arg(
        long,
        value_name = "MS",
        default_value_t = CoordinatorConfig::default().beat_ms,
        value_parser = clap::value_parser!(u32).range(1..=3_600_000),
        requires = "beats"
    )]
    beat_ms: u32,
    /// Milliseconds after which each layer of a beat closes, whatever has not come by then; clients' cells leave as long
    /// before their beat
    #[arg(
        long,
        value_name = "MS",
        default_value_t = CoordinatorConfig::default().beat_layer_ms,
        value_parser = clap::value_parser!(u32).range(1..=60_000),
        requires = "beats"
    )]
    beat_layer_ms: u32,
    /// With mailbox rounds: two of three, and all 100 s apart unless said otherwise
    #[arg(long, requires = "beats", conflicts_with = "network")]
    mailboxes: bool,
}

impl BeatArguments {
    pub(super) fn are_wanted(&self) -> bool {
        self.beats.is_some()
    }

    /// The policy of a network without a file of its own, rounds `interval_s` apart if that is said.
    pub(super) fn policy(&self, interval_s: Option<f64>, policy: Policy) -> Policy {
        if !self.are_wanted() {
            return policy;
        }
        let services = beats::services(self.mailboxes, true);
        let usual = beats::least_interval_ms(true, &services);
        // Arguments are bounded far below what a network file can say.
        let interval_ms = interval_s.map_or(usual, |seconds| (seconds * 1e3) as u32);
        Policy {
            suite: beats::usual_suite(true),
            services,
            least_round_interval_ms: interval_ms,
            ..policy
        }
    }

    /// The beats of a round, of which one is `interval_ms` from the next; `None` in a classic network.
    pub(super) fn of(
        &self,
        network: &NetworkFile,
        interval_ms: f64,
    ) -> Result<Option<BeatParameters>, PlanError> {
        let Some(asked) = self.beats else { return Ok(None) };
        let apart_ms = interval_ms * network.policy.services.rounds_apart() as f64;
        let least = (2.0 * apart_ms / f64::from(self.beat_ms)).ceil();
        let beats = if asked == 0 { least } else { f64::from(asked) };
        if beats < least || beats > f64::from(u16::MAX) {
            return Err(PlanError::Beats { least, most: u16::MAX });
        }
        let usual = CoordinatorConfig::default();
        Ok(Some(BeatParameters {
            beats: beats as u16,
            beat_ms: self.beat_ms,
            layer_ms: self.beat_layer_ms,
            cell_bytes: usual.cell_bytes,
        }))
    }
}
