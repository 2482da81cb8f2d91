//! Memory that a run needs, and the share of it that the machine has.

use std::fs;

use antiphon_wire::Geometry;

/// Bytes of one simulated client's link in the harness besides its onions: its task, stream and timers.
const LINK_BYTES: u64 = 6 << 10;
/// Bytes of it in a shard of an embedded network: two tasks, a queue, a stream and the round's books.
const GATEWAY_BYTES: u64 = 10 << 10;
/// Bytes of a connection at each of its ends, with its buffers.
const CONNECTION_BYTES: u64 = 128 << 10;
/// Copies of one layer's onions that the shards of an embedded network hold together at the peak: in
/// the links' buffers, as they are received, peeled and gathered.
const LAYER_COPIES: u64 = 6;
/// Bytes that a shard keeps for each onion and layer to answer it: reply key, slot and order.
const REPLY_STATE_BYTES: u64 = 32 + 16;
/// Bytes that a shard keeps for each circuit and layer.
const TABLE_BYTES: u64 = 36;
/// Rounds whose circuits are kept at once: the one whose beats run, one whose last beats are under way, and one to come.
const CIRCUIT_ROUNDS: u64 = 3;
/// Bytes of one circuit's cells in both directions, made, under way and in links' buffers.
const CELL_STATE_BYTES: u64 = 4 << 10;
/// The process itself and all that does not grow with the clients, in bytes.
const BASE_BYTES: u64 = 96 << 20;
/// Bytes of a shard whatever its load: threads, links to peers, tables.
const SHARD_BYTES: u64 = 24 << 20;

/// The share of the available memory that a run may take.
const SHARE: f64 = 0.8;

/// Figures that decide how much memory a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryNeeds {
    /// Number of simulated clients.
    pub clients: u64,
    /// Onions of one client in one round.
    pub onions_per_client: u64,
    /// The shape of the onions.
    pub geometry: Geometry,
    /// Simulated clients on one connection.
    pub links_per_connection: u64,
    /// Shards of the network in this process, and the noise onions of one round of all of them.
    pub embedded: Option<(u64, u64)>,
    /// Rounds of that network that may run at the same time, at least 1.
    pub rounds_in_flight: u64,
    /// Beats follow its rounds.
    pub has_beats: bool,
}

/// Refusal of a run that the machine has too little memory for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{clients} clients need about {need_mib} MiB of memory ({per_client_kib} KiB each and {fixed_mib} \
     MiB besides), and {available_mib} MiB are available: ask for at most {most} clients"
)]
pub struct TooManyClients {
    /// The clients asked for.
    pub clients: u64,
    /// Memory that all clients need, in MiB.
    pub need_mib: u64,
    /// Memory that each of them adds, in KiB.
    pub per_client_kib: u64,
    /// Memory that is needed without any client, in MiB.
    pub fixed_mib: u64,
    /// Memory that the machine has, in MiB.
    pub available_mib: u64,
    /// Most clients that would fit.
    pub most: u64,
}

impl MemoryNeeds {
    /// Bytes of a client's onions of one round: the message to the gateway and one reply key for each onion
    /// and layer, the keys of a meeting, and the book's entries.
    pub fn bytes_per_client_and_round(&self) -> u64 {
        let keys = if self.has_beats { 2 } else { 1 };
        let keys = keys * 32 * u64::from(self.geometry.layers());
        self.onions_per_client * (self.geometry.entry_bytes() as u64 + keys) + 192
    }

    /// Bytes of a client's circuits of the rounds that it may have cells for, if there are beats, and of its cells.
    fn bytes_of_circuits(&self) -> u64 {
        let keys = CIRCUIT_ROUNDS * 32 * u64::from(self.geometry.layers());
        if self.has_beats { self.onions_per_client * (keys + CELL_STATE_BYTES) } else { 0 }
    }

    /// Bytes of a client besides its onions.
    fn bytes_per_client(&self) -> u64 {
        let connection = CONNECTION_BYTES.div_ceil(self.links_per_connection.max(1));
        let harness = LINK_BYTES + connection + self.bytes_of_circuits();
        match self.embedded {
            None => harness,
            Some(_) => {
                harness
                    + GATEWAY_BYTES
                    + connection
                    + self.onions_per_client * self.bytes_per_onion_in_shards()
            }
        }
    }

    /// Bytes of one onion of each running round that all shards together hold at the peak.
    fn bytes_per_onion_in_shards(&self) -> u64 {
        let layers = u64::from(self.geometry.layers());
        let tables = if self.has_beats { CIRCUIT_ROUNDS * TABLE_BYTES * layers } else { 0 };
        let state = REPLY_STATE_BYTES * layers;
        let round = LAYER_COPIES * self.geometry.entry_bytes() as u64 + state;
        self.rounds_in_flight * round + tables
    }

    fn fixed(&self) -> u64 {
        let shards = self.embedded.map_or(0, |(shards, noise)| {
            // The noise of the running rounds and as much for those to come.
            shards * SHARD_BYTES + 2 * noise * self.bytes_per_onion_in_shards()
        });
        BASE_BYTES + shards
    }

    /// Bytes of a run that holds the onions of `rounds` rounds at once:
    ///
    /// ```text
    /// fixed + clients x (client + rounds x onions x (entry + 32 L) + ...)
    /// ```
    pub fn bytes(&self, rounds: u64) -> u64 {
        let each = self.bytes_per_client() + rounds * self.bytes_per_client_and_round();
        self.fixed().saturating_add(self.clients.saturating_mul(each))
    }

    /// Number of rounds whose onions fit into `available` bytes, from `least` to `most`.
    ///
    /// # Errors
    /// If not even `least` do.
    pub fn rounds_that_fit(
        &self,
        least: u64,
        most: u64,
        available: u64,
    ) -> Result<u64, TooManyClients> {
        let budget = (available as f64 * SHARE) as u64;
        let mib = |bytes: u64| bytes >> 20;
        let need = self.bytes(least);
        if need > budget {
            let each = self.bytes_per_client() + least * self.bytes_per_client_and_round();
            return Err(TooManyClients {
                clients: self.clients,
                need_mib: mib(need),
                per_client_kib: each.div_ceil(1 << 10),
                fixed_mib: mib(self.fixed()),
                available_mib: mib(available),
                most: budget.saturating_sub(self.fixed()) / each.max(1),
            });
        }
        let each_round = (self.clients * self.bytes_per_client_and_round()).max(1);
        Ok((least + (budget - need) / each_round).min(most).max(least))
    }
}

/// Bytes that the system could give this process, if it says.
pub(crate) fn available() -> Option<u64> {
    field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// The most memory that this process has held so far, in bytes, if the system says.
pub(crate) fn peak() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// A figure in kB from one of the kernel's lists.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(clients: u64) -> MemoryNeeds {
        MemoryNeeds {
            clients,
            onions_per_client: 2,
            geometry: Geometry::new(15, 256).unwrap(),
            links_per_connection: 256,
            embedded: None,
            rounds_in_flight: 1,
            has_beats: false,
        }
    }

    #[test]
    fn a_clients_onions_are_their_bytes_and_their_reply_keys() {
        assert_eq!(needs(1).bytes_per_client_and_round(), 2 * (1022 + 15 * 32) + 192);
    }

    #[test]
    fn what_fits_is_used_and_what_does_not_is_refused_with_a_number_that_does() {
        let available = 4 << 30;
        assert_eq!(needs(1000).rounds_that_fit(2, 12, available), Ok(12));
        let fits = needs(100_000).rounds_that_fit(2, 1000, available).unwrap();
        assert!((2..1000).contains(&fits), "{fits}");
        let budget = available as f64 * SHARE;
        assert!((needs(100_000).bytes(fits) as f64) <= budget);
        assert!((needs(100_000).bytes(fits + 1) as f64) > budget);

        let refused = needs(10_000_000).rounds_that_fit(2, 12, available).unwrap_err();
        assert!(needs(refused.most).rounds_that_fit(2, 12, available).is_ok());
        assert!(needs(refused.most + 1).rounds_that_fit(2, 12, available).is_err());
        let said = refused.to_string();
        assert!(said.contains("10000000 clients need") && said.contains("4096 MiB"), "{said}");
    }

    #[test]
    fn an_embedded_network_takes_more() {
        let embedded = MemoryNeeds { embedded: Some((5, 5 * 1616)), ..needs(1000) };
        assert!(embedded.bytes(2) > needs(1000).bytes(2) + 5 * SHARD_BYTES);
        let overlapping = MemoryNeeds { rounds_in_flight: 4, ..embedded };
        assert!(overlapping.bytes(5) > embedded.bytes(5));
        // Keys in the harness and tables in the shards, for each onion and layer.
        let beats = MemoryNeeds { has_beats: true, ..embedded };
        assert!(beats.bytes(2) - embedded.bytes(2) > 2 * 1000 * 15 * 3 * (32 + 36));
    }

    #[test]
    fn the_kernels_lists_are_read() {
        let text = "MemFree: 1 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(field(text, "MemAvailable:"), Some(2 << 20));
        assert_eq!(field(text, "VmHWM:"), None);
    }
}
