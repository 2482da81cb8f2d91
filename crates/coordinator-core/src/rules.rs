//! Rules that every part of the coordinator goes by.

use antiphon_wire::{NetworkFile, OperatorIndex};

use super::settings::CoordinatorConfig;

/// The operator's choices and the network that they are for.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) config: CoordinatorConfig,
    pub(crate) network: NetworkFile,
}

impl Rules {
    /// The time between the openings of two rounds, in milliseconds.
    pub(crate) fn interval_ms(&self) -> u64 {
        self.config.interval_in(&self.network).into()
    }

    /// The name of an operator; empty if the network has none of that number.
    pub(crate) fn operator_name(&self, operator: OperatorIndex) -> String {
        self.network.operator(operator).map(|known| known.name.clone()).unwrap_or_default()
    }
}
