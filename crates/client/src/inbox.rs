//! Messages that have arrived and were not taken yet, bounded in number and bytes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::options::MESSAGE_OVERHEAD;

/// Messages held at most.
const MOST_MESSAGES: usize = 4096;

/// A message in an inbox.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// Messages dropped between the one before and this one.
    pub(crate) missed_before: u64,
    pub(crate) message: Vec<u8>,
    /// The bytes it takes up, given back when it is taken.
    _room: OwnedSemaphorePermit,
}

/// The filling side. Never waits.
pub(crate) struct Inbox {
    sender: mpsc::Sender<Arrived>,
    room: Arc<Semaphore>,
    missed: u64,
}

/// An inbox for messages of `bytes` bytes in all, counting each one `MESSAGE_OVERHEAD` bytes longer
/// than it is, and the side that takes them.
pub(crate) fn inbox(bytes: u32) -> (Inbox, mpsc::Receiver<Arrived>) {
    let (sender, receiver) = mpsc::channel(MOST_MESSAGES);
    (Inbox { sender, room: Arc::new(Semaphore::new(bytes as usize)), missed: 0 }, receiver)
}

impl Inbox {
    /// Puts a message in, or returns the number dropped in a row, this one included. A message that nobody
    /// will take any more is dropped without a word.
    pub(crate) fn put(&mut self, message: Vec<u8>) -> Result<(), u64> {
        if self.sender.is_closed() {
            return Ok(());
        }
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let bytes = length.saturating_add(MESSAGE_OVERHEAD);
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes);
        let (Ok(room), Ok(place)) = (room, self.sender.try_reserve()) else {
            self.missed = self.missed.saturating_add(1);
            return Err(self.missed);
        };
        let missed_before = std::mem::take(&mut self.missed);
        place.send(Arrived { missed_before, message, _room: room });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_inbox_drops_what_arrives_and_marks_the_gap() {
        let (mut inbox, mut receiver) = inbox(250);
        assert_eq!(inbox.put(vec![1; 100]), Ok(()));
        assert_eq!(inbox.put(vec![2; 100]), Err(1));
        assert_eq!(inbox.put(vec![3; 100]), Err(2));
        let first = receiver.try_recv().unwrap();
        assert_eq!((first.missed_before, first.message[0]), (0, 1));
        drop(first);
        assert_eq!(inbox.put(vec![4; 100]), Ok(()));
        let second = receiver.try_recv().unwrap();
        assert_eq!((second.missed_before, second.message[0]), (2, 4));
    }

    #[test]
    fn empty_messages_are_bounded_too() {
        let (mut inbox, _receiver) = inbox(u32::MAX >> 4);
        let taken = (0..MOST_MESSAGES + 10).filter(|_| inbox.put(Vec::new()).is_ok()).count();
        assert_eq!(taken, MOST_MESSAGES);
    }
}
