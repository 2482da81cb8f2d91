//! Requests of those who look after a process, to the part of it that decides. That part answers when it gets
//! to it, and nothing is put together that nobody asked for.

use tokio::sync::{mpsc, oneshot};

/// Requests that wait at once; whoever asks more is told that the process is busy.
const WAITING: usize = 4;

/// What a process is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// How it stands.
    Status,
    /// To set the gauges that are read only when metrics are asked for. The answer is empty.
    Gauges,
    /// To leave at the next hand-over, and to stay up.
    Drain,
    /// To take part again.
    Undo,
}

/// How the process stands after a request, as JSON; or why the request is refused, in words.
pub type Answer = Result<String, String>;

/// Hands requests in.
#[derive(Clone, Debug)]
pub struct Asker(mpsc::Sender<Request>);

/// The requests, for whoever can answer them.
#[derive(Debug)]
pub struct Requests(mpsc::Receiver<Request>);

/// One request.
#[derive(Debug)]
pub struct Request {
    /// What is asked for.
    pub wanted: Wanted,
    answer: oneshot::Sender<Answer>,
}

/// Both ends.
pub fn channel() -> (Asker, Requests) {
    let (asker, requests) = mpsc::channel(WAITING);
    (Asker(asker), Requests(requests))
}

impl Asker {
    /// The answer; `None` if the process is too busy to give one, or gone.
    pub async fn ask(&self, wanted: Wanted) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Request { wanted, answer }).ok()?;
        answered.await.ok()
    }
}

impl Requests {
    /// The next request; none comes any more once nobody can ask.
    pub async fn next(&mut self) -> Request {
        match self.0.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }
}

impl Request {
    /// Answers the request.
    pub fn answer(self, answer: Answer) {
        // Fails only if nobody waits for it any more.
        let _ = self.answer.send(answer);
    }
}
