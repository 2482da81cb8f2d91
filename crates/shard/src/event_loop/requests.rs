//! Requests of those who look after the shard: how it stands, to leave at the next hand-over, and to stay.

use antiphon_mix::{Departure, Input, Membership};
use antiphon_process::clock::SystemClock;
use antiphon_process::requests::{Request, Wanted};

use super::{EventLoop, RunError};
use crate::status::{Drain, ListStatus, Status};
use crate::through::Through;

impl<T: Through> EventLoop<T> {
    /// Does what is asked for, and answers how the shard stands then, or why not.
    pub(super) async fn answer(&mut self, request: Request) -> Result<(), RunError> {
        let done = match request.wanted {
            Wanted::Gauges => {
                self.set_gauges();
                request.answer(Ok(String::new()));
                return Ok(());
            }
            Wanted::Status => Ok(()),
            Wanted::Drain => self.drain().await?,
            Wanted::Undo => self.undo().await?,
        };
        self.tell_part();
        request.answer(done.map(|()| self.status().to_json()));
        Ok(())
    }

    /// Asks for epochs without this shard, which stays up. Asked again, it changes nothing.
    async fn drain(&mut self) -> Result<Result<(), String>, RunError> {
        let is_leaving = matches!(self.drain, Drain::Leaving | Drain::Drained);
        if is_leaving || self.leaving_until.is_some() {
            return Ok(Ok(()));
        }
        if self.coordinators.is_empty() {
            let why = self.part.unlinked.as_deref().unwrap_or("it is starting");
            return Ok(Err(format!(
                "no link to the coordinator, so that nobody can plan an epoch without this shard: {why}"
            )));
        }
        tracing::info!("asked to leave at the next hand-over, and to stay up");
        self.drain = Drain::Leaving;
        self.handle(Input::Leave).await?;
        Ok(Ok(()))
    }

    /// Takes part again.
    async fn undo(&mut self) -> Result<Result<(), String>, RunError> {
        if self.leaving_until.is_some() {
            return Ok(Err("the shard is stopping: start it again to have it back".to_owned()));
        }
        if !self.machine.is_on_list() {
            let why = "its operator's newest list is without this shard: the operator has to sign a list with it";
            return Ok(Err(why.to_owned()));
        }
        if self.drain != Drain::No {
            tracing::info!("asked to take part again");
        }
        self.drain = Drain::No;
        self.handle(Input::Stay).await?;
        Ok(Ok(()))
    }

    /// Follows what the coordinator answers to a shard that is to be drained. One without which there would
    /// be no epoch stays in it.
    pub(super) async fn follow_drain(&mut self) -> Result<(), RunError> {
        if self.drain != Drain::Leaving || self.leaving_until.is_some() {
            return Ok(());
        }
        match self.machine.departure() {
            Departure::Staying | Departure::Leaving => Ok(()),
            Departure::Released => {
                tracing::info!(
                    "drained: this shard is in no epoch until it is asked to take part again"
                );
                self.drain = Drain::Drained;
                Ok(())
            }
            Departure::Needed(why) => {
                tracing::warn!(%why, "not drained: no epoch could come about without this shard");
                self.drain = Drain::Refused { why: why.clone() };
                self.handle(Input::Stay).await
            }
        }
    }

    fn status(&self) -> Status {
        let list = self.machine.list();
        let readiness = self.part.readiness();
        let membership = self.machine.membership(SystemClock::now());
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            network: hex::encode(list.network.0),
            shard: self.machine.identity().to_hex(),
            ready: readiness.is_ready(),
            words: readiness.to_string(),
            epoch: match membership {
                Membership::Member(epoch) | Membership::Announced(epoch) => Some(epoch.0),
                Membership::LeftOut(_) | Membership::Nowhere => None,
            },
            drain: self.drain.clone(),
            stopping: self.leaving_until.is_some(),
            unlinked: self.part.unlinked.clone(),
            list: ListStatus {
                number: list.number,
                first_epoch: list.first_epoch.0,
                last_epoch: list.last_epoch.0,
                has_shard: self.machine.is_on_list(),
            },
        }
    }
}
