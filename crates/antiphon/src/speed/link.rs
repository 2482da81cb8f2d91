//! A link between two shards, over loopback.

use std::net::{Ipv4Addr, SocketAddr};

use antiphon_process::entropy::entropy;
use antiphon_transport::{Accept, Dialer, Identity, Incoming, Limits, Link, Server};
use bytes::Bytes;
use rand::Rng as _;
use tokio::runtime::Builder;
use tokio::time::Instant;

use super::SpeedError;
use super::stopwatch::process_time;

/// Bytes of a frame, as batches are cut.
const FRAME: usize = 64 << 10;

/// What a link takes and gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkSpeed {
    /// Gigabytes a second of one link.
    pub(super) gbytes_per_s: f64,
    /// Processor time of both ends, the kernel's included.
    pub(super) cpu_ns_per_byte: f64,
}

/// Sends batches over one link, and takes the best of several.
pub(super) fn over_loopback(quick: bool) -> Result<LinkSpeed, SpeedError> {
    let (batches, megabytes) = if quick { (4, 32) } else { (10, 128) };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let (ours, theirs, _server) = pair().await?;
        let (sender, _ignored) = ours.split();
        let (_sender, mut receiver) = theirs.split();
        let mut best = LinkSpeed { gbytes_per_s: 0.0, cpu_ns_per_byte: f64::INFINITY };
        for _ in 0..batches {
            let frames = vec![Bytes::from(vec![5; FRAME]); megabytes << 4];
            let (start, cpu) = (Instant::now(), process_time());
            let sender = sender.clone();
            let sending = tokio::spawn(async move { sender.send_bulk(frames).await });
            let Ok(Some(Incoming::Bulk(mut bulk))) = receiver.recv().await else {
                return Err(SpeedError::Link);
            };
            let mut bytes = 0;
            while let Some(frame) = bulk.next().await.map_err(|_| SpeedError::Link)? {
                bytes += frame.len();
            }
            let bytes = bytes as f64;
            best.gbytes_per_s = best.gbytes_per_s.max(bytes * 1e-9 / start.elapsed().as_secs_f64());
            let spent = process_time().saturating_sub(cpu).as_secs_f64();
            best.cpu_ns_per_byte = best.cpu_ns_per_byte.min(spent * 1e9 / bytes);
            sending.await.map_err(|_| SpeedError::Panicked)?.map_err(|_| SpeedError::Link)?;
        }
        Ok(best)
    })
}

/// Both ends of a link between two shards, and the server, which has to live as long.
async fn pair() -> Result<(Link, Link, Server), SpeedError> {
    let limits = Limits::shards();
    let (shard, other) = (identity(), identity());
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut server = Server::bind(any, &shard, Accept::AnyIdentity, limits.clone())?;
    let address = server.local_addr()?;
    let dialer = Dialer::new(Some(&other), limits);
    let (dialled, accepted) = tokio::join!(dialer.dial(address, shard.public()), server.accept());
    Ok((dialled?, accepted.ok_or(SpeedError::Link)?, server))
}

fn identity() -> Identity {
    let mut seed = [0; 32];
    entropy().fill_bytes(&mut seed);
    Identity::from_seed(&seed)
}
