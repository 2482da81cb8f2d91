//! The figures, named as the JSON names them.

use std::fs;

use antiphon_model::{MachineFigures, Overheads};
use serde::{Deserialize, Serialize};

use super::cores::AllCores;
use super::link::LinkSpeed;
use super::onions::OnionCosts;
use super::small::SmallCosts;

/// What a machine can do. Times are processor time of one core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SpeedReport {
    /// As the system names it.
    pub(crate) processor: String,
    /// That this program may use.
    pub(crate) cores: usize,
    /// Fastest first.
    pub(crate) kernels: Vec<KernelSpeed>,
    /// Of the fastest kernel that the machine has.
    pub(crate) best_peel_us: f64,
    /// The same, as a rate.
    pub(crate) onions_per_s_per_core: f64,
    /// Of all cores at once.
    pub(crate) onions_per_s_all_cores: f64,
    /// The latter over `cores` times the former.
    pub(crate) core_scaling: f64,
    /// With tables of the hop keys, as noise is built.
    pub(crate) build_us_per_hop: f64,
    /// As most clients build.
    pub(crate) build_us_per_hop_without_tables: f64,
    /// For a reply and hop.
    pub(crate) reply_us: f64,
    /// For an onion: finding copies, gathering in random order.
    pub(crate) close_us: f64,
    pub(crate) filter_insert_ns: f64,
    pub(crate) filter_test_ns: f64,
    /// Of a batch header.
    pub(crate) sign_us: f64,
    pub(crate) verify_us: f64,
    /// Of a batch.
    pub(crate) hash_ns_per_byte: f64,
    /// Of one link between shards, over loopback.
    pub(crate) link_gbytes_per_s: f64,
    /// Both ends of it.
    pub(crate) link_cpu_ns_per_byte: f64,
    /// What the machine carries, where that was asked for.
    #[serde(flatten)]
    pub(crate) at_interval: Option<AtInterval>,
}

/// How fast one kernel is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KernelSpeed {
    pub(crate) name: String,
    /// Whether this machine has it.
    pub(crate) available: bool,
    /// One Diffie-Hellman of a batch.
    pub(crate) dh_us: Option<f64>,
    /// One onion of a batch.
    pub(crate) peel_us: Option<f64>,
}

/// The users that a shard on this machine serves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AtInterval {
    /// Between the starts of two rounds.
    pub(crate) interval_s: f64,
    /// Of the network that it is one of.
    pub(crate) network_shards: u16,
    /// Each of these adds so many noise onions.
    pub(crate) noise_per_shard: u32,
    /// Users of this machine, if rounds take `most_load` of its cores' time.
    pub(crate) users_at_interval: u64,
    /// The same of all shards together.
    pub(crate) network_users_at_interval: u64,
    /// The share of the cores' time that is planned with.
    pub(crate) most_load: f64,
    /// The link that this takes, in each direction.
    pub(crate) gbps_at_interval: f64,
    /// The memory that this takes.
    pub(crate) memory_at_interval_bytes: f64,
}

impl SpeedReport {
    pub(super) fn new(
        kernels: Vec<KernelSpeed>,
        onions: &OnionCosts,
        small: &SmallCosts,
        all: &AllCores,
        link: LinkSpeed,
    ) -> Self {
        let best_peel_us =
            kernels.iter().filter_map(|kernel| kernel.peel_us).fold(f64::INFINITY, f64::min);
        Self {
            processor: processor(),
            cores: all.cores,
            kernels,
            best_peel_us,
            onions_per_s_per_core: 1e6 / best_peel_us,
            onions_per_s_all_cores: all.cores as f64 * 1e6 / all.peel_us,
            core_scaling: best_peel_us / all.peel_us,
            build_us_per_hop: onions.build_us_per_hop,
            build_us_per_hop_without_tables: onions.build_us_per_hop_without_tables,
            reply_us: onions.reply_us,
            close_us: onions.close_us,
            filter_insert_ns: small.filter_insert_ns,
            filter_test_ns: small.filter_test_ns,
            sign_us: small.sign_us,
            verify_us: small.verify_us,
            hash_ns_per_byte: small.hash_ns_per_byte,
            link_gbytes_per_s: link.gbytes_per_s,
            link_cpu_ns_per_byte: link.cpu_ns_per_byte,
            at_interval: None,
        }
    }

    /// The figures that the model takes. What only whole rounds show is taken from the reference
    /// machine, and scaled by how fast this one checks signatures: scalar code that every machine runs.
    pub(crate) fn figures(&self) -> MachineFigures {
        let times = self.verify_us / MachineFigures::REFERENCE.verify_us;
        MachineFigures {
            peel_us: self.best_peel_us,
            build_us_per_hop: self.build_us_per_hop,
            reply_us: self.reply_us,
            close_us: self.close_us,
            filter_insert_ns: self.filter_insert_ns,
            filter_test_ns: self.filter_test_ns,
            sign_us: self.sign_us,
            verify_us: self.verify_us,
            hash_ns_per_byte: self.hash_ns_per_byte,
            link_cpu_ns_per_byte: self.link_cpu_ns_per_byte,
            link_gbytes_per_s: self.link_gbytes_per_s,
            core_scaling: self.core_scaling.min(1.0),
            overheads: Overheads::REFERENCE.scaled(times),
        }
    }
}

pub(crate) fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == "model name")
        .map(|(_, value)| value.trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}
