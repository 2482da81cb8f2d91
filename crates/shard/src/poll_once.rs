//! Futures that are mostly ready at once, and should not cost a task then.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Runs `future` as far as it goes now, and returns it with what came of it. If that is
/// [`Poll::Pending`], it has to be polled again, by a task.
pub(crate) fn poll_once<F: Future>(future: F) -> (Pin<Box<F>>, Poll<F::Output>) {
    let mut future = Box::pin(future);
    let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    (future, polled)
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_has_to_wait_goes_on_later() {
        assert!(matches!(poll_once(async { 5 }), (_, Poll::Ready(5))));
        let (tell, told) = oneshot::channel();
        let (rest, Poll::Pending) = poll_once(told) else { panic!("not told yet") };
        let waiting = tokio::spawn(rest);
        tell.send(6).unwrap();
        assert_eq!(waiting.await.unwrap(), Ok(6));
    }
}
