//! Report of `antiphon speed` on a machine, as its JSON names things.

use serde::{Deserialize, Serialize};

use crate::{MachineFigures, Overheads};

/// Speed of a machine. Times are processor time of one core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpeedReport {
    /// As the system names it.
    pub processor: String,
    /// That this program may use.
    pub cores: usize,
    /// Speed of each kernel, the fastest first.
    pub kernels: Vec<KernelSpeed>,
    /// Of the fastest kernel that the machine has.
    pub best_peel_us: f64,
    /// The same, as a rate.
    pub onions_per_s_per_core: f64,
    /// Of all cores at once.
    pub onions_per_s_all_cores: f64,
    /// The latter over `cores` times the former.
    pub core_scaling: f64,
    /// With tables of the hop keys, as noise is built.
    pub build_us_per_hop: f64,
    /// As most clients build.
    pub build_us_per_hop_without_tables: f64,
    /// What suite 2 adds to peeling an onion. `None` in files of before it was measured.
    #[serde(default)]
    pub kem_peel_us: Option<f64>,
    /// What suite 2 adds to building an onion, for each hop. `None` likewise.
    #[serde(default)]
    pub kem_build_us_per_hop: Option<f64>,
    /// For a reply and hop.
    pub reply_us: f64,
    /// For a cell of 256 bytes and hop: moved to its place, and the cipher taken off. `None` in files of before it was
    /// measured.
    #[serde(default)]
    pub cell_us: Option<f64>,
    /// For an onion: finding copies, gathering in random order.
    pub close_us: f64,
    /// Insertion of an onion into a filter.
    pub filter_insert_ns: f64,
    /// Test of an onion against a filter.
    pub filter_test_ns: f64,
    /// Of a batch header.
    pub sign_us: f64,
    /// Check of a signature of a batch header.
    pub verify_us: f64,
    /// Hashing a byte of a batch.
    pub hash_ns_per_byte: f64,
    /// Of one link between shards, over loopback.
    pub link_gbytes_per_s: f64,
    /// Both ends of it.
    pub link_cpu_ns_per_byte: f64,
    /// Load that the machine carries, where that was asked for.
    #[serde(flatten)]
    pub at_interval: Option<AtInterval>,
}

/// Speed of one kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelSpeed {
    /// As `antiphon speed` shows it.
    pub name: String,
    /// True if this machine can run the kernel.
    pub available: bool,
    /// One Diffie-Hellman of a batch.
    pub dh_us: Option<f64>,
    /// One onion of a batch.
    pub peel_us: Option<f64>,
}

/// The users that a shard on this machine serves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtInterval {
    /// Between the starts of two rounds.
    pub interval_s: f64,
    /// Of the network that it is one of.
    pub network_shards: u16,
    /// Each of these adds so many noise onions.
    pub noise_per_shard: u32,
    /// Users of this machine, if rounds take `most_load` of its cores' time.
    pub users_at_interval: u64,
    /// The same of all shards together.
    pub network_users_at_interval: u64,
    /// The share of the cores' time that is planned with.
    pub most_load: f64,
    /// The link that this takes, in each direction.
    pub gbps_at_interval: f64,
    /// The memory that this takes.
    pub memory_at_interval_bytes: f64,
}

impl SpeedReport {
    /// The figures that the model takes. What only whole rounds show is taken from the reference
    /// machine, and scaled by how fast this one checks signatures: scalar code that every machine runs.
    pub fn figures(&self) -> MachineFigures {
        let reference = MachineFigures::REFERENCE;
        let times = self.verify_us / reference.verify_us;
        MachineFigures {
            peel_us: self.best_peel_us,
            build_us_per_hop: self.build_us_per_hop,
            kem_peel_us: self.kem_peel_us.unwrap_or(reference.kem_peel_us * times),
            kem_build_us_per_hop: self
                .kem_build_us_per_hop
                .unwrap_or(reference.kem_build_us_per_hop * times),
            reply_us: self.reply_us,
            cell_us: self.cell_us.unwrap_or(reference.cell_us * times),
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
