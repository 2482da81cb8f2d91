//! One file, carried both ways through a conversation.

use antiphon_client::{Conversation, ConversationReceiver, ConversationSender};
use indicatif::ProgressBar;
use tokio::sync::watch;

use super::report::Messages;

/// Bytes of a message: what the two bodies of a round carry in one direction.
const MESSAGE_BYTES: usize = 444;

/// Sends `file` from each end to the other and waits until both have it, and know that the other
/// has. `so_far` always says how much has arrived, so that a transfer that is given up still counts.
pub(super) async fn exchange(
    ends: [Conversation; 2],
    file: &[u8],
    progress: &ProgressBar,
    so_far: &watch::Sender<Messages>,
) {
    let [a, b] = ends;
    let (a_sender, mut a_receiver) = a.split();
    let (b_sender, mut b_receiver) = b.split();
    // Both directions at once, as in a conversation of two people.
    let (there, back, a_has, b_has) = tokio::join!(
        send(&a_sender, file, so_far),
        send(&b_sender, file, so_far),
        receive(&mut a_receiver, file.len(), progress, so_far),
        receive(&mut b_receiver, file.len(), progress, so_far),
    );
    let intact = there && back && a_has == file && b_has == file;
    so_far.send_modify(|messages| messages.intact = intact);
}

/// Returns whether all messages were acknowledged.
async fn send(sender: &ConversationSender, file: &[u8], so_far: &watch::Sender<Messages>) -> bool {
    let mut deliveries = Vec::new();
    // An empty file is one empty message.
    let mut messages = file.chunks(MESSAGE_BYTES).collect::<Vec<_>>();
    if messages.is_empty() {
        messages.push(&[]);
    }
    for message in messages {
        match sender.send(message).await {
            Ok(delivery) => deliveries.push(delivery),
            Err(_) => return false,
        }
        so_far.send_modify(|messages| messages.sent += 1);
    }
    for delivery in deliveries {
        if delivery.await.is_err() {
            return false;
        }
    }
    true
}

/// Returns what arrived, at least `bytes` of it unless the conversation ends.
async fn receive(
    receiver: &mut ConversationReceiver,
    bytes: usize,
    progress: &ProgressBar,
    so_far: &watch::Sender<Messages>,
) -> Vec<u8> {
    let mut file = Vec::with_capacity(bytes);
    loop {
        let Ok(message) = receiver.receive().await else { return file };
        progress.inc(message.len() as u64);
        so_far.send_modify(|messages| {
            messages.received += 1;
            messages.bytes += message.len() as u64;
        });
        file.extend_from_slice(&message);
        if file.len() >= bytes {
            return file;
        }
    }
}
