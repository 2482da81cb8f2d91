//! The client's events: rounds, links and the partner.

use antiphon_client::{CoreEvent, Event, Outcome, PartnerError};

use super::{Conversation, Talk};

impl Talk<'_> {
    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Connected { .. } => self.last_failure.clear(),
            // Said again only if it is another one: attempts go on for as long as the client runs.
            Event::AttemptFailed { reason } if reason != self.last_failure => {
                tracing::warn!("{reason}; trying again");
                self.last_failure = reason;
            }
            Event::StateNotWritten { reason, .. } => {
                tracing::error!(%reason, "the state file cannot be written: nothing is submitted");
            }
            Event::Core(event) => self.core_event(&event),
            _ => {}
        }
    }

    fn core_event(&mut self, event: &CoreEvent) {
        match event {
            CoreEvent::RoundEnded { outcome, .. } => self.count(*outcome),
            CoreEvent::Resting { charged } => tracing::warn!(
                charged,
                "the ledger is used up: conversations rest, and the client stays as it is"
            ),
            CoreEvent::RestingAfterAborts { aborted } => tracing::warn!(
                aborted,
                "as many rounds were aborted as the guarantee allows for: conversations rest, and \
                 the client stays as it is"
            ),
            CoreEvent::Met { .. } => {
                if let Conversation::Open { met, .. } = &mut self.conversation {
                    *met = true;
                }
            }
            CoreEvent::Rhythm { level: now, .. } => {
                if let Conversation::Open { level, .. } = &mut self.conversation {
                    *level = *now;
                }
            }
            CoreEvent::Restarted { .. } => self.restarted(),
            CoreEvent::PartnerFailed { error, .. } => self.partner_failed(error),
            _ => {}
        }
    }

    fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Undisturbed => &mut self.rounds.undisturbed,
            Outcome::Disturbed => &mut self.rounds.disturbed,
            Outcome::FreeAbort => &mut self.rounds.free_aborts,
            Outcome::ChargedAbort => &mut self.rounds.charged_aborts,
        } += 1;
    }

    fn restarted(&mut self) {
        if let Conversation::Open { closing, .. } = &mut self.conversation {
            *closing =
                Some("one end was started again with the same secret, or two programs use it");
        }
        tracing::warn!(
            "one end of the conversation was started again with the same secret, or two programs use \
             it: the conversation closes"
        );
    }

    fn partner_failed(&mut self, error: &PartnerError) {
        self.partner_errors += 1;
        // Rarer and rarer: a partner must not fill the log.
        if self.partner_errors.is_power_of_two() {
            let times = self.partner_errors;
            tracing::warn!(%error, times, "the partner broke the rules of the conversation");
        }
    }
}
