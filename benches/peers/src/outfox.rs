//! Nym's `nym-outfox`: build a packet, decode it at its first hop.

use nym_outfox::constants::DEFAULT_HOPS;
use nym_outfox::packet::OutfoxPacket;
use sphinx_packet_of_outfox::constants::{
    DESTINATION_ADDRESS_LENGTH, IDENTIFIER_LENGTH, NODE_ADDRESS_LENGTH,
};
use sphinx_packet_of_outfox::route::{
    Destination, DestinationAddressBytes, Node, NodeAddressBytes,
};
use x25519_dalek_of_outfox::{PublicKey, StaticSecret};

use crate::measure::{Contender, Failure, timed};

const PACKETS: usize = 64;
/// The hops the format has.
const HOPS: usize = DEFAULT_HOPS;

/// A route and what travels along it.
pub(crate) struct Outfox {
    first: StaticSecret,
    route: [Node; HOPS],
    destination: Destination,
    payload: Vec<u8>,
    packet: Vec<u8>,
}

impl Outfox {
    /// A route for payloads of `payload_bytes` bytes.
    pub(crate) fn new(payload_bytes: usize) -> Result<Self, Failure> {
        let secrets: [StaticSecret; HOPS] = std::array::from_fn(|_| StaticSecret::random());
        let route = std::array::from_fn(|i| {
            let address = NodeAddressBytes::from_bytes([i as u8 + 1; NODE_ADDRESS_LENGTH]);
            Node::new(address, PublicKey::from(&secrets[i]))
        });
        let address = DestinationAddressBytes::from_bytes([9; DESTINATION_ADDRESS_LENGTH]);
        let [first, ..] = secrets;
        let mut outfox = Self {
            first,
            route,
            destination: Destination::new(address, [4; IDENTIFIER_LENGTH]),
            payload: vec![7; payload_bytes],
            packet: Vec::new(),
        };
        outfox.packet = outfox.build_one()?.to_bytes().map_err(failure)?;
        Ok(outfox)
    }

    fn build_one(&self) -> Result<OutfoxPacket, Failure> {
        let size = Some(self.payload.len());
        OutfoxPacket::build(&self.payload, &self.route, &self.destination, size).map_err(failure)
    }

    /// Building, per hop.
    pub(crate) fn build(&self) -> Contender<'_> {
        Contender::new(
            PACKETS * HOPS,
            Box::new(|| {
                let (time, built) =
                    timed(|| (0..PACKETS).map(|_| self.build_one()).collect::<Result<Vec<_>, _>>());
                built?;
                Ok(time)
            }),
        )
    }

    /// Decoding at the first hop.
    pub(crate) fn decode(&self) -> Contender<'_> {
        Contender::new(
            PACKETS,
            Box::new(|| {
                let mut packets = (0..PACKETS)
                    .map(|_| OutfoxPacket::try_from(self.packet.as_slice()).map_err(failure))
                    .collect::<Result<Vec<_>, _>>()?;
                let (time, decoded) = timed(|| {
                    packets
                        .iter_mut()
                        .map(|packet| packet.decode_next_layer(&self.first).map_err(failure))
                        .collect::<Result<Vec<_>, _>>()
                });
                decoded?;
                Ok(time)
            }),
        )
    }
}

fn failure(error: impl std::fmt::Display) -> Failure {
    format!("nym-outfox: {error}").into()
}
