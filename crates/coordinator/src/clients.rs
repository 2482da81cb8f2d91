//! The clients' links: they ask for documents and get newer ones as they come.

use std::time::Duration;

use antiphon_transport::{CloseReason, LinkSender, SendError, Server};
use antiphon_wire::{Decode, Epoch, FromClient, PROTOCOL_VERSION};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::driver::Documents;

/// Time in which a client has to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Time in which a client has to accept a document.
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// Time for which a client may stay after the first document: it follows its gateway from then on.
const STAY: Duration = Duration::from_secs(60);

/// Takes links until told to stop, and closes them once the open rounds have ended.
pub(crate) async fn serve(
    mut server: Server,
    mut documents: watch::Receiver<Documents>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let link = tokio::select! {
            link = server.accept() => link,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        let Some(link) = link else { break };
        let documents = documents.clone();
        tokio::spawn(async move {
            let (sender, mut receiver) = link.split();
            let hello = timeout(HELLO_WITHIN, receiver.recv()).await;
            let Ok(Ok(Some(frame))) = hello else {
                return sender.close(CloseReason::Protocol);
            };
            let expected = FromClient::Hello { version: PROTOCOL_VERSION };
            if FromClient::from_bytes(&frame) != Ok(expected) {
                return sender.close(CloseReason::Protocol);
            }
            tokio::select! {
                reason = push(&sender, documents) => sender.close(reason),
                // There is nothing more to ask for.
                incoming = receiver.recv() => if matches!(incoming, Ok(Some(_))) {
                    sender.close(CloseReason::Protocol);
                },
            }
        });
    }
    // Nobody publishes once the open rounds have ended.
    while documents.changed().await.is_ok() {}
    server.shut_down().await;
}

/// Sends every document once, newer ones as they come, until a while after the first. A client that is
/// slow misses none but the outdated.
async fn push(sender: &LinkSender, mut documents: watch::Receiver<Documents>) -> CloseReason {
    let mut sent = Epoch(0);
    let mut leaves = None;
    loop {
        let mut due = documents.borrow_and_update().clone();
        due.retain(|(epoch, _)| *epoch > sent);
        for (epoch, frame) in due {
            match timeout(SEND_WITHIN, sender.send(frame)).await {
                Ok(Ok(())) => sent = epoch,
                Ok(Err(SendError::FrameTooLarge(error))) => {
                    tracing::error!(%error, "no client can be given the document of epoch {}", epoch.0);
                    return CloseReason::FrameTooLarge;
                }
                // It is gone, or too slow.
                Ok(Err(_)) | Err(_) => return CloseReason::Abandoned,
            }
            leaves.get_or_insert_with(|| Instant::now() + STAY);
        }
        let changed = match leaves {
            None => Ok(documents.changed().await),
            Some(leaves) => timeout_at(leaves, documents.changed()).await,
        };
        match changed {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return CloseReason::ShuttingDown,
            Err(_) => return CloseReason::Done,
        }
    }
}
