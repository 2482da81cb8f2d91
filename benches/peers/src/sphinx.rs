//! Nym's `sphinx-packet`: build a packet, process it at its first hop.

use std::time::Duration;

use sphinx_packet::constants::{
    DESTINATION_ADDRESS_LENGTH, IDENTIFIER_LENGTH, MAX_PATH_LENGTH, NODE_ADDRESS_LENGTH,
};
use sphinx_packet::header::delays;
use sphinx_packet::packet::builder::SphinxPacketBuilder;
use sphinx_packet::payload::PAYLOAD_OVERHEAD_SIZE;
use sphinx_packet::route::{Destination, DestinationAddressBytes, Node, NodeAddressBytes};
use sphinx_packet::{ProcessedPacketData, SphinxPacket};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::measure::{Contender, Failure, timed};

const PACKETS: usize = 64;
/// The most hops the format has; per hop, longer routes are the cheaper ones to build.
pub(crate) const HOPS: usize = MAX_PATH_LENGTH;

/// A route and what travels along it.
pub(crate) struct Sphinx {
    first: StaticSecret,
    route: Vec<Node>,
    destination: Destination,
    delays: Vec<delays::Delay>,
    payload: Vec<u8>,
    packet: Vec<u8>,
}

impl Sphinx {
    /// A route for payloads of `payload_bytes` bytes.
    pub(crate) fn new(payload_bytes: usize) -> Result<Self, Failure> {
        let secrets: Vec<_> = (0..HOPS).map(|_| StaticSecret::random()).collect();
        let node = |(i, secret)| {
            let address = NodeAddressBytes::from_bytes([i as u8 + 1; NODE_ADDRESS_LENGTH]);
            Node::new(address, PublicKey::from(secret))
        };
        let address = DestinationAddressBytes::from_bytes([9; DESTINATION_ADDRESS_LENGTH]);
        let mut sphinx = Self {
            route: secrets.iter().enumerate().map(node).collect(),
            first: secrets[0].clone(),
            destination: Destination::new(address, [4; IDENTIFIER_LENGTH]),
            delays: delays::generate_from_average_duration(HOPS, Duration::from_millis(10)),
            payload: vec![7; payload_bytes],
            packet: Vec::new(),
        };
        sphinx.packet = sphinx.build_one()?.to_bytes();
        Ok(sphinx)
    }

    fn build_one(&self) -> Result<SphinxPacket, Failure> {
        SphinxPacketBuilder::new()
            .with_payload_size(self.payload.len() + PAYLOAD_OVERHEAD_SIZE)
            .build_packet(&self.payload, &self.route, &self.destination, &self.delays)
            .map_err(|error| format!("sphinx-packet: {error}").into())
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

    /// Processing at the first hop.
    pub(crate) fn process(&self) -> Contender<'_> {
        Contender::new(
            PACKETS,
            Box::new(|| {
                let packets = (0..PACKETS)
                    .map(|_| SphinxPacket::from_bytes(&self.packet))
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|error| format!("sphinx-packet: {error}"))?;
                let (time, processed) = timed(|| {
                    let process = |packet: SphinxPacket| packet.process(&self.first);
                    packets.into_iter().map(process).collect::<Result<Vec<_>, _>>()
                });
                let processed = processed.map_err(|error| format!("sphinx-packet: {error}"))?;
                let forward = |packet: &sphinx_packet::ProcessedPacket| {
                    matches!(packet.data, ProcessedPacketData::ForwardHop { .. })
                };
                if !processed.iter().all(forward) {
                    return Err("sphinx-packet: a first hop that is the last".into());
                }
                Ok(time)
            }),
        )
    }
}
