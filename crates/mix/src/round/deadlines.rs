//! By when each step of a round has to be done, counted from its opening.

use antiphon_wire::{Announcement, Geometry, Layer, Parameters, Timestamp};

use crate::layer::origin::Origin;

/// The deadlines of one round at one shard, by its own clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    opened: Timestamp,
    announcement: Announcement,
    parameters: Parameters,
    geometry: Geometry,
}

impl Deadlines {
    pub(crate) fn new(
        opened: Timestamp,
        announcement: Announcement,
        parameters: Parameters,
        geometry: Geometry,
    ) -> Self {
        Self { opened, announcement, parameters, geometry }
    }

    /// The coordinator's word that opened the round.
    pub(crate) fn announcement(&self) -> &Announcement {
        &self.announcement
    }

    /// The moment the round was opened.
    pub(crate) fn opened(&self) -> Timestamp {
        self.opened
    }

    /// End of the time for clients' onions.
    pub(crate) fn submissions(&self) -> Timestamp {
        self.opened.plus_ms(self.parameters.submit_ms.into())
    }

    /// Deadline of all batches for one of the layers 1 to L-1.
    pub(crate) fn batches(&self, layer: Layer) -> Timestamp {
        self.submissions().plus_ms(u64::from(layer.0) * u64::from(self.parameters.layer_ms))
    }

    fn after_seal(&self, verifications: u64) -> Timestamp {
        let sealed = self.batches(self.geometry.seal_layer());
        sealed.plus_ms(verifications * u64::from(self.parameters.verify_ms))
    }

    /// Deadline of all filters.
    pub(crate) fn filters(&self) -> Timestamp {
        self.after_seal(1)
    }

    /// Deadline of all verdicts.
    pub(crate) fn verdicts(&self) -> Timestamp {
        self.after_seal(2)
    }

    /// The moment to ask the others for seal keys that have not come.
    pub(crate) fn ask_for_keys(&self) -> Timestamp {
        self.verdicts().plus_ms(u64::from(self.parameters.verify_ms) / 2)
    }

    /// Deadline of the statements that the others were asked for at `asked`, if some shard has
    /// withheld.
    pub(crate) fn answered(&self, asked: Timestamp) -> Timestamp {
        asked.plus_ms(self.parameters.verify_ms.into())
    }

    /// Deadline of all seal keys.
    pub(crate) fn keys(&self) -> Timestamp {
        self.after_seal(3)
    }

    /// Deadline of the batches for layer L: later ones count as empty.
    pub(crate) fn dead_drops(&self) -> Timestamp {
        self.keys().plus_ms(self.parameters.layer_ms.into())
    }

    /// Deadline of the replies that `layer` needs to answer its onions: later ones are filled in.
    pub(crate) fn replies(&self, layer: Origin) -> Timestamp {
        let steps = u64::from(self.geometry.layers() - layer.layers_passed());
        self.dead_drops().plus_ms(steps * u64::from(self.parameters.reply_ms))
    }
}
