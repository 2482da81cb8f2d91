//! How a process stands, asked of the part of it that decides. That part answers when it gets to it, and
//! nothing is put together that nobody asked for.

use tokio::sync::{mpsc, oneshot};

/// Questions that wait at once; whoever asks more is told that the process is busy.
const WAITING: usize = 4;

/// Asks how a process stands.
#[derive(Clone, Debug)]
pub struct StatusAsker(mpsc::Sender<oneshot::Sender<String>>);

/// The questions, for whoever can answer them.
#[derive(Debug)]
pub struct StatusQuestions(mpsc::Receiver<oneshot::Sender<String>>);

/// One question.
#[derive(Debug)]
pub struct StatusQuestion(oneshot::Sender<String>);

/// Both ends.
pub fn channel() -> (StatusAsker, StatusQuestions) {
    let (asker, questions) = mpsc::channel(WAITING);
    (StatusAsker(asker), StatusQuestions(questions))
}

impl StatusAsker {
    /// How the process stands, as JSON; `None` if it is too busy to say, or gone.
    pub async fn ask(&self) -> Option<String> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(answer).ok()?;
        answered.await.ok()
    }
}

impl StatusQuestions {
    /// The next question; none comes any more once nobody can ask.
    pub async fn next(&mut self) -> StatusQuestion {
        match self.0.recv().await {
            Some(answer) => StatusQuestion(answer),
            None => std::future::pending().await,
        }
    }
}

impl StatusQuestion {
    /// Answers with JSON.
    pub fn answer(self, json: String) {
        // Fails only if nobody waits for it any more.
        let _ = self.0.send(json);
    }
}
