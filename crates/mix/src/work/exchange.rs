//! The exchange at layer L.

use std::sync::Arc;

use antiphon_wire::Geometry;

use crate::buffers::BufferPool;
use crate::circuits::LastTable;
use crate::erased::Erased;
use crate::layer::answering::Answering;
use crate::layer::closed_layer::{Admitted, ClosedLayer};
use crate::layer::routes::Slot;
use crate::service::{PairCounts, PublishedBox, Service};

#[derive(Debug)]
pub(crate) struct ExchangeJob {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) closed: ClosedLayer,
    pub(crate) geometry: Geometry,
    pub(crate) pool: BufferPool,
}

#[derive(Debug)]
pub(crate) struct Exchanged {
    pub(crate) answering: Answering,
    /// In a round that sets circuits up.
    pub(crate) table: Option<LastTable>,
    pub(crate) counts: PairCounts,
    /// Boxes that this shard hosts.
    pub(crate) boxes: Vec<PublishedBox>,
}

impl ExchangeJob {
    pub(super) fn run(self) -> Exchanged {
        let Self { service, closed, geometry, pool } = self;
        let Admitted { starts, reply_keys, circuit_keys, leaving, sources } = closed.admit();
        let (deposit_bytes, body_bytes) = (geometry.deposit_bytes(), geometry.body_bytes());
        // The service gets its deposits side by side, without a trace of their paths.
        let mut deposits = pool.take(leaving.len() * deposit_bytes);
        for onion in leaving.iter() {
            let source = &sources[onion.source as usize];
            deposits.extend_from_slice(&source[onion.at..onion.at + deposit_bytes]);
        }
        drop(sources);
        let mut replies = pool.take(leaving.len() * body_bytes);
        let counts = service.exchange(&deposits, body_bytes, &mut replies);
        let boxes = service.publish(&deposits, body_bytes);
        let slots: Erased<Slot> = leaving.iter().map(|onion| onion.slot).collect();
        let table = circuit_keys.map(|keys| {
            let partners = service.partners(&deposits, body_bytes);
            LastTable::new(starts.clone(), slots.clone(), keys, partners.into())
        });
        let bodies = [(&slots[..], replies.into_bytes())].into_iter();
        let answering = Answering::new(reply_keys, starts, body_bytes, bodies, pool);
        Exchanged { answering, table, counts, boxes }
    }
}
