//! The figures put together.

use std::fs;

use antiphon_model::{KernelSpeed, SpeedReport};

use super::cores::AllCores;
use super::hybrid::HybridCosts;
use super::link::LinkSpeed;
use super::onions::OnionCosts;
use super::small_costs::SmallCosts;

/// Puts the measurements together, and the figures that follow from them.
pub(super) fn report(
    kernels: Vec<KernelSpeed>,
    onions: &OnionCosts,
    hybrid: HybridCosts,
    cell_us: f64,
    small: &SmallCosts,
    all: &AllCores,
    link: LinkSpeed,
) -> SpeedReport {
    let best_peel_us =
        kernels.iter().filter_map(|kernel| kernel.peel_us).fold(f64::INFINITY, f64::min);
    SpeedReport {
        processor: processor(),
        cores: all.cores,
        kernels,
        best_peel_us,
        onions_per_s_per_core: 1e6 / best_peel_us,
        onions_per_s_all_cores: all.cores as f64 * 1e6 / all.peel_us,
        core_scaling: best_peel_us / all.peel_us,
        build_us_per_hop: onions.build_us_per_hop,
        build_us_per_hop_without_tables: onions.build_us_per_hop_without_tables,
        kem_peel_us: Some((hybrid.peel_us - best_peel_us).max(0.0)),
        kem_build_us_per_hop: Some((hybrid.build_us_per_hop - onions.build_us_per_hop).max(0.0)),
        reply_us: onions.reply_us,
        cell_us: Some(cell_us),
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

/// As the system names it.
fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == "model name")
        .map(|(_, value)| value.trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}
