//! Epoch documents, from the coordinator.

use std::sync::Arc;
use std::time::Duration;

use antiphon_client::{ClientConfig, Coordinator};
use antiphon_process::clock::SystemClock;
use antiphon_routing::{DocumentError, VerifiedEpoch};
use antiphon_transport::{DialError, Dialer, Limits, Link, LinkReceiver, LinkSender};
use antiphon_wire::{
    Decode as _, Encode as _, Epoch, FromClient, NetworkFile, PROTOCOL_VERSION, ToClient,
};
use bytes::Bytes;
use tokio::task::spawn_blocking;

/// Pause before a coordinator is dialled again.
const AGAIN: Duration = Duration::from_secs(1);

/// Where a network is.
#[derive(Clone, Debug)]
pub struct NetworkAddress {
    /// Network file that clients pin.
    pub file: NetworkFile,
    /// Where they get documents, one after the other.
    pub coordinators: Vec<Coordinator>,
}

impl From<ClientConfig> for NetworkAddress {
    fn from(config: ClientConfig) -> Self {
        Self { file: config.network, coordinators: config.coordinators }
    }
}

/// Reason for which there is no document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentsError {
    /// The coordinator cannot be dialled.
    #[error("no link to the coordinator at {address}: {source}")]
    Dial {
        /// Address of the coordinator.
        address: String,
        /// Reason for which the link failed.
        source: DialError,
    },
    /// The configuration names none.
    #[error("there is no coordinator to ask")]
    NoCoordinator,
    /// The coordinator broke off.
    #[error("the coordinator at {address} ends the link without a document")]
    Broken {
        /// Address of the coordinator.
        address: String,
    },
    /// A document that no client takes.
    #[error("the coordinator's document is not valid: {0}")]
    Invalid(#[from] DocumentError),
}

/// A link to the coordinator, which sends documents as they are published.
pub(crate) struct Documents {
    address: NetworkAddress,
    /// Address of the coordinator that was linked last.
    asked: String,
    dialer: Dialer,
    link: Option<(LinkSender, LinkReceiver)>,
    newest: Option<Epoch>,
}

impl Documents {
    /// Opens a link to the coordinator of a network.
    pub(crate) async fn connect(address: NetworkAddress) -> Result<Self, DocumentsError> {
        let dialer = Dialer::new(None, Limits::documents());
        let mut documents =
            Self { address, asked: String::new(), dialer, link: None, newest: None };
        documents.link().await?;
        Ok(documents)
    }

    async fn link(&mut self) -> Result<(), DocumentsError> {
        let coordinators = &mut self.address.coordinators;
        let Some(Coordinator { address, identity }) = coordinators.first().cloned() else {
            return Err(DocumentsError::NoCoordinator);
        };
        // Whatever comes of it, the next one is asked after it.
        coordinators.rotate_left(1);
        let dialled = self.dialer.dial_host(&address, identity.0).await;
        let link: Link =
            dialled.map_err(|source| DocumentsError::Dial { address: address.clone(), source })?;
        self.asked = address;
        let (sender, receiver) = link.split();
        let hello = FromClient::Hello { version: PROTOCOL_VERSION };
        // The receiving side says so if the link is gone already.
        let _ = sender.send(hello.to_bytes().into()).await;
        self.link = Some((sender, receiver));
        Ok(())
    }

    /// The next frame; `None` if there was none, and the link has to be tried again. Without any document so
    /// far, nobody waits for that.
    async fn frame(&mut self) -> Result<Option<Bytes>, DocumentsError> {
        let Some((_, receiver)) = &mut self.link else {
            return match self.link().await {
                Err(error) if self.newest.is_none() => Err(error),
                Err(error) => {
                    tracing::warn!(%error, "no link to the coordinator");
                    tokio::time::sleep(AGAIN).await;
                    Ok(None)
                }
                Ok(()) => Ok(None),
            };
        };
        if let Ok(Some(frame)) = receiver.recv().await {
            return Ok(Some(frame));
        }
        self.link = None;
        if self.newest.is_some() {
            return Ok(None);
        }
        Err(DocumentsError::Broken { address: self.asked.clone() })
    }

    /// The next document newer than those before, checked as clients check it. Links up again if the
    /// link is gone.
    pub(crate) async fn next(&mut self) -> Result<Arc<VerifiedEpoch>, DocumentsError> {
        loop {
            let Some(frame) = self.frame().await? else { continue };
            let Ok(ToClient::Document { document }) = ToClient::from_bytes(&frame) else {
                self.link = None;
                continue;
            };
            let known = self.newest.is_some_and(|newest| document.document.epoch <= newest);
            if known || SystemClock::now() >= document.document.expires_at {
                continue;
            }
            let file = self.address.file.clone();
            let checked = spawn_blocking(move || VerifiedEpoch::verify(document, &file)).await;
            // A panic is a bug to be seen.
            let epoch =
                checked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
            self.newest = Some(epoch.epoch());
            return Ok(Arc::new(epoch.with_tables()));
        }
    }
}
