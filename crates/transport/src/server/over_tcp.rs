//! Listening for links over TCP.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::State;
use crate::carrier::{Carrier, Receiving, Sending};
use crate::close::CloseReason;
use crate::door::Permit;
use crate::link::Link;
use crate::tcp::{self, WeakConnection};

/// How long to wait when the system gives no more sockets.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(100);
/// How often that is said.
const TELL_EVERY: Duration = Duration::from_secs(10);

pub(super) async fn accept(
    listener: TcpListener,
    tls: rustls::ServerConfig,
    state: Arc<State>,
    links: mpsc::Sender<Link>,
) {
    let tls = Arc::new(tls);
    let mut told = None;
    loop {
        let (tcp, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Those that wait for a handshake give theirs back within seconds.
                if told.is_none_or(|told: Instant| told.elapsed() >= TELL_EVERY) {
                    tracing::warn!(%error, "cannot accept a connection: raise the limit of open files");
                    told = Some(Instant::now());
                }
                sleep(OUT_OF_SOCKETS).await;
                continue;
            }
        };
        let Some(permit) = state.door.admit(from.ip()) else { continue };
        let Some(slot) = state.door.begin(from.ip()) else { continue };
        let (state, links, tls) = (Arc::clone(&state), links.clone(), Arc::clone(&tls));
        tokio::spawn(async move {
            let handshake = handshake(tcp, tls, &state, permit);
            state.door.unless_pushed_out(slot, handshake, &links).await;
        });
    }
}

async fn handshake(
    tcp: TcpStream,
    tls: Arc<rustls::ServerConfig>,
    state: &State,
    permit: Permit,
) -> Option<((), Link)> {
    let tls = rustls::ServerConnection::new(tls).ok()?;
    let establish = tcp::establish(tcp, tls.into(), state.door.limits());
    let conn = timeout(state.door.limits().handshake_timeout, establish).await.ok()?.ok()?;
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
    let connected = state.connected(Carrier::Tcp(conn));
    Some(((), Link::first(&connected, control, Some(permit))))
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
