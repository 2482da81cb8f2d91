//! Listening for links over TCP.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::{Permit, State};
use crate::carrier::{Carrier, Receiving, Sending};
use crate::close::CloseReason;
use crate::link::{Connected, Link};
use crate::tcp::{self, WeakConnection};

/// How long to wait when the system gives no more sockets.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(100);

pub(super) async fn accept(
    listener: TcpListener,
    tls: rustls::ServerConfig,
    state: Arc<State>,
    links: mpsc::Sender<Link>,
) {
    let tls = Arc::new(tls);
    loop {
        let (tcp, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(OUT_OF_SOCKETS).await;
                continue;
            }
        };
        let slot = Arc::clone(&state.handshakes).try_acquire_owned().ok();
        let (Some(slot), Some(permit)) = (slot, state.admission.admit(from.ip())) else {
            state.counters.refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (state, links, tls) = (Arc::clone(&state), links.clone(), Arc::clone(&tls));
        tokio::spawn(async move {
            // Held until the link is taken: a caller that accepts slowly slows handshakes down.
            let _slot = slot;
            let Some(link) = handshake(tcp, tls, &state, permit).await else {
                state.counters.failed.fetch_add(1, Ordering::Relaxed);
                return;
            };
            state.counters.accepted.fetch_add(1, Ordering::Relaxed);
            // Fails only when the server is gone, and the link with it.
            let _ = links.send(link).await;
        });
    }
}

async fn handshake(
    tcp: TcpStream,
    tls: Arc<rustls::ServerConfig>,
    state: &State,
    permit: Permit,
) -> Option<Link> {
    let tls = rustls::ServerConnection::new(tls).ok()?;
    let establish = tcp::establish(tcp, tls.into(), &state.limits);
    let conn = timeout(state.limits.handshake_timeout, establish).await.ok()?.ok()?;
    let control = conn.control();
    let control = (Sending::Tcp(control.0), Receiving::Tcp(control.1));
    let known = match &mut *open(state) {
        Some(known) => {
            known.retain(|conn| conn.upgrade().is_some());
            known.push(conn.downgrade());
            true
        }
        None => false,
    };
    if !known {
        conn.close(CloseReason::ShuttingDown);
        return None;
    }
    let connected = Connected::new(Carrier::Tcp(conn), state.limits.max_frame_bytes);
    Some(Link::first(&connected, control, Some(permit)))
}

/// Closes all connections and waits until the other sides have been told.
pub(super) async fn close(state: &State, reason: CloseReason) {
    let known = open(state).take().unwrap_or_default();
    let known: Vec<_> = known.iter().filter_map(WeakConnection::upgrade).collect();
    for conn in &known {
        conn.close(reason);
    }
    for conn in known {
        conn.said().await;
    }
}

fn open(state: &State) -> MutexGuard<'_, Option<Vec<WeakConnection>>> {
    // Nothing panics while holding it.
    state.tcp.lock().unwrap_or_else(PoisonError::into_inner)
}
