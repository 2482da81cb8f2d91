//! The tables of a round that is still running.

use std::sync::Arc;

use crate::circuits::{LastTable, LayerTable, Tables};

/// The tables that a round has made so far: the gateway's, those of the layers that it has left, and layer L's.
#[derive(Debug, Default)]
pub(crate) struct Making {
    passed: Vec<LayerTable>,
    last: Option<LastTable>,
}

impl Making {
    /// Onions have left a layer, or the gateway: that after the last one.
    pub(crate) fn pass(&mut self, table: LayerTable) {
        self.passed.push(table);
    }

    /// Deposits have been exchanged.
    pub(crate) fn exchange(&mut self, table: LastTable) {
        self.last = Some(table);
    }

    /// The tables of all `layers` layers; `None` if this shard has not processed one of them.
    pub(crate) fn finish(&mut self, layers: u8) -> Option<Tables> {
        let Self { passed, last } = std::mem::take(self);
        let last = Arc::new(last?);
        let is_whole = passed.len() == usize::from(layers);
        is_whole.then(|| Tables { passed: passed.into_iter().map(Arc::new).collect(), last })
    }
}
