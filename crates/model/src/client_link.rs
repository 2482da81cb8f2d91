//! Bytes on the wire of a client's link to its gateway, headers and acknowledgements included.

use antiphon_wire::Geometry;

/// Bytes that a client's QUIC packet carries.
const PACKET_PAYLOAD: f64 = 1180.0;
/// Bytes of the headers and tag of such a packet: IP, UDP, QUIC, stream frame.
const PACKET_HEADERS: f64 = 64.0;
/// Bytes of a packet that only acknowledges.
const ACKNOWLEDGEMENT: f64 = 72.0;
/// Bytes of a message beside the onions or replies in it: frame, tag, epoch, round, length.
const ROUND_HEADER: f64 = 25.0;
/// Bytes of a message beside the cells in it: frame, tag, epoch, round, beat, length.
const BEAT_HEADER: f64 = 33.0;

/// What a client's link carries for one round or one beat, whatever the client does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientLink {
    /// Bytes from the client.
    pub up: f64,
    /// Bytes to the client.
    pub down: f64,
}

impl ClientLink {
    /// A round in which a client has so many onions: they go up; that it is open and the replies come down.
    pub fn of_round(geometry: Geometry, onions: f64) -> Self {
        let message = |each: usize| on_wire(ROUND_HEADER + onions * each as f64);
        Self {
            up: message(geometry.entry_bytes()) + 2.0 * ACKNOWLEDGEMENT,
            down: on_wire(ROUND_HEADER) + message(geometry.body_bytes()) + ACKNOWLEDGEMENT,
        }
    }

    /// A beat in which a client has so many cells: they go up, and as many come back.
    pub fn of_beat(cell_bytes: u16, cells: f64) -> Self {
        let both_ways = on_wire(BEAT_HEADER + cells * f64::from(cell_bytes)) + ACKNOWLEDGEMENT;
        Self { up: both_ways, down: both_ways }
    }
}

fn on_wire(message: f64) -> f64 {
    message + (message / PACKET_PAYLOAD).ceil() * PACKET_HEADERS
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Blob, Encode as _, Epoch, FromClient, Round};

    use super::*;

    /// Bytes of a frame's length in front of each message.
    const FRAME: usize = 4;

    #[test]
    fn a_beats_message_is_as_long_as_the_protocols() {
        for cells in [1, 2, 8] {
            let message = FromClient::Cells {
                epoch: Epoch(1),
                round: Round(2),
                beat: 3,
                cells: Blob(vec![0; 256 * cells]),
            };
            let bytes = (FRAME + message.to_bytes().len()) as f64;
            assert_eq!(bytes, BEAT_HEADER + 256.0 * cells as f64);
            assert_eq!(on_wire(bytes), ClientLink::of_beat(256, cells as f64).up - ACKNOWLEDGEMENT);
        }
    }

    #[test]
    fn a_long_message_has_a_header_for_each_packet() {
        assert_eq!(on_wire(1180.0), 1180.0 + 64.0);
        assert_eq!(on_wire(1181.0), 1181.0 + 128.0);
    }
}
