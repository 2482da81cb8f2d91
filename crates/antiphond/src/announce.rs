//! The words of every process on its network file when it starts.

use antiphon_wire::NetworkFile;

/// Says which network this is, in full so that people can compare it, and whom its users trust outright.
pub fn announce(network: &NetworkFile) {
    tracing::info!("the network file's id is {}", network.id().in_groups());
    if let Some(trust) = network.trust_in_words() {
        tracing::warn!("{trust}");
    }
}
