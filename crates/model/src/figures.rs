//! Figures of a machine, measured or fitted.

use antiphon_wire::{Geometry, Layer, Suite};

use super::ScenarioError;

/// Figures of a machine, as `antiphon speed` measures them. Times are of one core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MachineFigures {
    /// CPU microseconds to peel an onion in a large batch: Diffie-Hellman, key derivation, opening.
    pub peel_us: f64,
    /// CPU microseconds to build an onion, for each of its hops, with tables of the hop keys.
    pub build_us_per_hop: f64,
    /// CPU microseconds that suite 2 adds to peeling an onion: decapsulation.
    pub kem_peel_us: f64,
    /// CPU microseconds that suite 2 adds to building an onion, for each of its hops: encapsulation.
    pub kem_build_us_per_hop: f64,
    /// CPU microseconds to apply a reply stream to one reply.
    pub reply_us: f64,
    /// CPU microseconds for a cell of 256 bytes at one hop, in a large batch: moved to its place, and the cipher taken
    /// off or put on.
    pub cell_us: f64,
    /// CPU microseconds to close a layer, for each onion: duplicates, permutation, gathering.
    pub close_us: f64,
    /// CPU nanoseconds to put an onion into a filter.
    pub filter_insert_ns: f64,
    /// CPU nanoseconds to test an onion against a filter.
    pub filter_test_ns: f64,
    /// CPU microseconds to sign a batch header.
    pub sign_us: f64,
    /// CPU microseconds to check a signature.
    pub verify_us: f64,
    /// CPU nanoseconds to hash a byte of a batch.
    pub hash_ns_per_byte: f64,
    /// CPU nanoseconds for each byte of a batch on a link between shards, both ends together.
    pub link_cpu_ns_per_byte: f64,
    /// The rate of one such link, over loopback, in gigabytes a second.
    pub link_gbytes_per_s: f64,
    /// Share of a core's speed that is left when all cores work: 1 if they do not disturb each other.
    pub core_scaling: f64,
    /// Costs that cannot be measured apart from a round.
    pub overheads: Overheads,
}

/// Costs that only whole rounds show. Fitted to the processor time of runs of
/// `antiphon load`, as the book's chapter on the model tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overheads {
    /// CPU microseconds for each batch, both ends together: framing, hand-over between tasks, system
    /// calls, acknowledgements.
    pub batch_us: f64,
    /// Microseconds for each shard and step in which nothing else of that shard goes on: wake-ups.
    pub step_us: f64,
    /// CPU microseconds of a gateway for each client and round: its onions in, its replies out.
    pub client_us: f64,
    /// CPU microseconds of the load harness for each client and round, where it shares the machine.
    pub harness_us: f64,
    /// The share of a layer's closing that one thread does alone.
    pub serial_close: f64,
    /// Bytes that a gateway holds for each client that is linked.
    pub client_bytes: f64,
}

impl Overheads {
    /// As fitted on the reference machine by `antiphon-calibrate DIR --fit`, whose output the file
    /// is.
    pub const REFERENCE: Self = include!("overheads.in");

    /// For a core that takes `times` as long for everything.
    pub fn scaled(self, times: f64) -> Self {
        Self {
            batch_us: self.batch_us * times,
            step_us: self.step_us * times,
            client_us: self.client_us * times,
            harness_us: self.harness_us * times,
            ..self
        }
    }
}

impl MachineFigures {
    /// The reference machine: a core of an AMD EPYC of the Zen 4 generation at 2.6 GHz, with AVX-512. What
    /// suite 2 adds, and what a cell takes, was measured on a busy Xeon (Ice Lake) at 2.8 GHz instead.
    pub const REFERENCE: Self = Self {
        peel_us: 6.1,
        build_us_per_hop: 3.65,
        kem_peel_us: 134.0,
        kem_build_us_per_hop: 96.0,
        reply_us: 0.3,
        cell_us: 0.15,
        close_us: 0.18,
        filter_insert_ns: 505.0,
        filter_test_ns: 505.0,
        sign_us: 18.5,
        verify_us: 36.8,
        hash_ns_per_byte: 0.16,
        link_cpu_ns_per_byte: 0.93,
        link_gbytes_per_s: 2.0,
        core_scaling: 1.0,
        overheads: Overheads::REFERENCE,
    };

    /// The figures for onions of this shape: what takes a time of its own in suite 2 takes that time, and
    /// gathering takes longer as onions are larger.
    pub(super) fn for_onions(self, geometry: Geometry) -> Self {
        let (peel, build) = match geometry.suite() {
            Suite::Classic => return self,
            Suite::Hybrid => (self.kem_peel_us, self.kem_build_us_per_hop),
        };
        let middle = Layer(geometry.layers() / 2);
        let bytes = |suite| geometry.with_suite(suite).onion_bytes(middle) as f64;
        Self {
            peel_us: self.peel_us + peel,
            build_us_per_hop: self.build_us_per_hop + build,
            close_us: self.close_us * bytes(Suite::Hybrid) / bytes(Suite::Classic),
            ..self
        }
    }

    /// Refuses figures that no machine has.
    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        let Overheads { batch_us, step_us, client_us, harness_us, serial_close, client_bytes } =
            self.overheads;
        let above_zero = [
            ("peel_us", self.peel_us),
            ("build_us_per_hop", self.build_us_per_hop),
            ("reply_us", self.reply_us),
            ("link_gbytes_per_s", self.link_gbytes_per_s),
            ("core_scaling", self.core_scaling),
        ];
        let not_negative = [
            ("kem_peel_us", self.kem_peel_us),
            ("kem_build_us_per_hop", self.kem_build_us_per_hop),
            ("cell_us", self.cell_us),
            ("close_us", self.close_us),
            ("filter_insert_ns", self.filter_insert_ns),
            ("filter_test_ns", self.filter_test_ns),
            ("sign_us", self.sign_us),
            ("verify_us", self.verify_us),
            ("hash_ns_per_byte", self.hash_ns_per_byte),
            ("link_cpu_ns_per_byte", self.link_cpu_ns_per_byte),
            ("batch_us", batch_us),
            ("step_us", step_us),
            ("client_us", client_us),
            ("harness_us", harness_us),
            ("serial_close", serial_close),
            ("client_bytes", client_bytes),
        ];
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let bad = above_zero
            .into_iter()
            .find(|(_, value)| !positive(*value))
            .or_else(|| not_negative.into_iter().find(|(_, v)| !v.is_finite() || *v < 0.0));
        match bad {
            Some((name, value)) => Err(ScenarioError::Figure { name, value }),
            None => Ok(()),
        }
    }
}
