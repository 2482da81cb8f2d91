//! A link between two shards, over loopback.

use std::net::{Ipv4Addr, SocketAddr};

use antiphon_process::entropy::entropy;
use antiphon_transport::{
    BatchSender, Chunk, Identity, Lane, Limits, LinkLost, PeerDialer, PeerReceiver, PeerServer,
};
use bytes::Bytes;
use rand::Rng as _;
use tokio::runtime::Builder;
use tokio::time::Instant;

use super::MeasurementError;
use super::stopwatch::process_time;

/// Bytes of a chunk, as batches are cut.
const CHUNK: usize = 128 << 10;

/// Speed and cost of a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkSpeed {
    /// Gigabytes a second of one link.
    pub(super) gbytes_per_s: f64,
    /// Processor time of both ends, the kernel's included.
    pub(super) cpu_ns_per_byte: f64,
}

/// Sends batches over one link, and takes the best of several.
pub(super) fn over_loopback(quick: bool) -> Result<LinkSpeed, MeasurementError> {
    let (batches, megabytes) = if quick { (4, 32) } else { (10, 128) };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let (mut sender, mut receiver, _server) = pair().await?;
        // The best of several batches: whatever else the machine does only ever slows one down.
        let mut best = LinkSpeed { gbytes_per_s: 0.0, cpu_ns_per_byte: f64::INFINITY };
        for _ in 0..batches {
            sender.begin(vec![Bytes::from(vec![5; CHUNK]); megabytes << 3]);
            let (start, cpu) = (Instant::now(), process_time());
            let sending = tokio::spawn(async move {
                while sender.under_way() > 0 {
                    sender.send_some().await?;
                }
                Ok::<_, LinkLost>(sender)
            });
            let mut bytes = 0;
            loop {
                let frame = receiver.recv().await.map_err(|_| MeasurementError::Link)?;
                let chunk = frame.and_then(Chunk::from_frame).ok_or(MeasurementError::Link)?;
                bytes += chunk.bytes.len();
                if chunk.is_last {
                    break;
                }
            }
            let bytes = bytes as f64;
            best.gbytes_per_s = best.gbytes_per_s.max(bytes * 1e-9 / start.elapsed().as_secs_f64());
            // Both ends run in this process, so its time is that of both.
            let spent = process_time().saturating_sub(cpu).as_secs_f64();
            best.cpu_ns_per_byte = best.cpu_ns_per_byte.min(spent * 1e9 / bytes);
            let sent = sending.await.map_err(|_| MeasurementError::Panicked)?;
            sender = sent.map_err(|_| MeasurementError::Link)?;
        }
        Ok(best)
    })
}

/// Both ends of a link for batches between two shards, and the server, which has to live as long.
async fn pair() -> Result<(BatchSender, PeerReceiver, PeerServer), MeasurementError> {
    let limits = Limits::shards();
    let (shard, other) = (identity(), identity());
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut server = PeerServer::bind(any, &shard, |_| true, limits.clone())?;
    let dialer = PeerDialer::new(&other, limits);
    let dialled = dialer.dial(server.local_addr(), shard.public(), Lane::Batches);
    let (dialled, accepted) = tokio::join!(dialled, server.accept());
    Ok((BatchSender::new(dialled?), accepted.ok_or(MeasurementError::Link)?, server))
}

fn identity() -> Identity {
    let mut seed = [0; 32];
    entropy().fill_bytes(&mut seed);
    Identity::from_seed(&seed)
}
