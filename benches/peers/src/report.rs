//! What is printed: a table for people, an object for programs.

use serde::Serialize;

use crate::published::ThreeHops;

/// All figures of a run. Times are CPU time in microseconds: per packet and hop, or where they say
/// so per hop of a packet being built.
#[derive(Serialize)]
pub(crate) struct Report {
    /// L of a default epoch; our packets pass L-1 hops here.
    pub(crate) layers: u8,
    /// What every format carries, in bytes: our deposit.
    pub(crate) payload_bytes: usize,
    /// How often each step was measured.
    pub(crate) repetitions: u32,
    /// The kernel that the figures without a name are of.
    pub(crate) best_kernel: &'static str,
    pub(crate) ours_peel_us: f64,
    pub(crate) ours_build_us_per_hop: f64,
    pub(crate) sphinx_packet_us: f64,
    pub(crate) sphinx_packet_build_us_per_hop: f64,
    pub(crate) outfox_us: f64,
    pub(crate) outfox_build_us_per_hop: f64,
    pub(crate) nacl_box_us: f64,
    pub(crate) nacl_box_build_us_per_hop: f64,
    pub(crate) kernels: Vec<KernelReport>,
    /// How many times faster the best kernel is.
    pub(crate) ratios: Ratios,
    pub(crate) vuvuzela_three_hops: ThreeHops,
}

/// One of our kernels.
#[derive(Serialize)]
pub(crate) struct KernelReport {
    pub(crate) name: &'static str,
    /// The bare Diffie-Hellman.
    pub(crate) dh_us: f64,
    pub(crate) peel_us: f64,
    pub(crate) build_us_per_hop: f64,
    /// What the whole of a hop costs, in Diffie-Hellmans.
    pub(crate) peel_over_dh: f64,
    /// How many times more onions than packets a core peels.
    pub(crate) vs_sphinx_packet: f64,
    pub(crate) vs_nacl_box: f64,
    pub(crate) vs_outfox: f64,
    /// How many times more hops a core builds.
    pub(crate) build_vs_sphinx_packet: f64,
}

/// Peer's time over ours, for the best kernel.
#[derive(Serialize)]
pub(crate) struct Ratios {
    pub(crate) peel_over_dh: f64,
    pub(crate) peel_vs_sphinx_packet: f64,
    pub(crate) peel_vs_nacl_box: f64,
    pub(crate) peel_vs_outfox: f64,
    pub(crate) build_vs_sphinx_packet: f64,
    pub(crate) build_vs_nacl_box: f64,
    pub(crate) build_vs_outfox: f64,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} bytes of payload; microseconds of one core, best of {} repetitions\n",
            self.payload_bytes, self.repetitions
        )?;
        writeln!(f, "{:<28}{:>10}{:>10}{:>14}", "", "bare DH", "peel", "build, a hop")?;
        for kernel in &self.kernels {
            let name = format!("antiphon, {}", kernel.name);
            let (dh, peel, build) = (kernel.dh_us, kernel.peel_us, kernel.build_us_per_hop);
            writeln!(f, "{name:<28}{dh:>10.2}{peel:>10.2}{build:>14.2}")?;
        }
        for (name, peel, build) in [
            ("sphinx-packet", self.sphinx_packet_us, self.sphinx_packet_build_us_per_hop),
            ("nym-outfox", self.outfox_us, self.outfox_build_us_per_hop),
            ("NaCl-box onion", self.nacl_box_us, self.nacl_box_build_us_per_hop),
        ] {
            writeln!(f, "{name:<28}{:>10}{peel:>10.2}{build:>14.2}", "")?;
        }

        writeln!(
            f,
            "\n{:<28}{:>10}{:>15}{:>12}{:>14}{:>22}",
            "times as fast as",
            "(peel/DH)",
            "sphinx-packet",
            "nym-outfox",
            "NaCl box",
            "sphinx-packet, build"
        )?;
        for kernel in &self.kernels {
            writeln!(
                f,
                "{:<28}{:>10.2}{:>15.2}{:>12.2}{:>14.2}{:>22.2}",
                format!("antiphon, {}", kernel.name),
                kernel.peel_over_dh,
                kernel.vs_sphinx_packet,
                kernel.vs_outfox,
                kernel.vs_nacl_box,
                kernel.build_vs_sphinx_packet
            )?;
        }

        let three = &self.vuvuzela_three_hops;
        write!(
            f,
            "\n{} onions through {} hops, {}: {:.2} s of one core; Vuvuzela through 3: {:.2} s",
            three.onions, three.hops, self.best_kernel, three.seconds, three.published_seconds
        )
    }
}
