//! What is wrong with a shard, in words that say what to do.

use antiphon_process::verdict::{Advice, Verdict};

use crate::status::{Drain, Status};

/// How the shard stands, all in all.
pub(crate) fn verdict(status: &Status) -> Verdict {
    let Status { ready, words, drain, stopping, unlinked, list, .. } = status;
    let mut advice = Vec::new();
    if !ready && !stopping {
        let advise = if *drain == Drain::Drained { Advice::care } else { Advice::bad };
        advice.push(advise(format!("{}.", capital(words))));
    }
    if let Some(why) = unlinked {
        advice.push(Advice::bad(format!(
            "No link to the coordinator: {why}. Check its address, and that UDP gets there."
        )));
    }
    if let Drain::Refused { why } = drain {
        advice.push(Advice::care(format!(
            "It was to be drained, and no epoch could come about without it: {why}. Drain it again when they \
             are back."
        )));
    }
    if !list.has_shard {
        advice.push(Advice::bad(
            "The operator's newest list is without this shard. Have a list signed that has it, or stop it."
                .to_owned(),
        ));
    }
    Verdict::of(advice, if *stopping { "The shard is stopping" } else { "The shard takes part" })
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use antiphon_process::verdict::Urgency;

    use super::*;
    use crate::ListStatus;

    fn well() -> Status {
        Status {
            version: "1.2.3".to_owned(),
            network: "ab".repeat(32),
            shard: "cd".repeat(32),
            ready: true,
            words: "ready: in epoch 7".to_owned(),
            epoch: Some(7),
            drain: Drain::No,
            stopping: false,
            unlinked: None,
            list: ListStatus { number: 3, first_epoch: 2, last_epoch: 90, has_shard: true },
        }
    }

    #[test]
    fn what_somebody_has_to_do_something_about_is_told_and_nothing_else() {
        assert_eq!(verdict(&well()), Verdict::of(Vec::new(), "The shard takes part"));
        let words = "not ready: it is starting".to_owned();
        let needed = Drain::Refused { why: "absent would be: beta".to_owned() };
        for (status, urgency, told) in [
            (Status { ready: false, words, ..well() }, Urgency::Bad, "Not ready: it is starting."),
            (
                Status { unlinked: Some("refused".to_owned()), ..well() },
                Urgency::Bad,
                "refused. Check",
            ),
            (
                Status { drain: needed, ..well() },
                Urgency::Care,
                "without it: absent would be: beta.",
            ),
            (
                Status { list: ListStatus { has_shard: false, ..well().list }, ..well() },
                Urgency::Bad,
                "without this shard. Have a list signed",
            ),
            (
                Status {
                    ready: false,
                    drain: Drain::Drained,
                    words: "not ready: it has left".to_owned(),
                    ..well()
                },
                Urgency::Care,
                "Not ready: it has left.",
            ),
        ] {
            let verdict = verdict(&status);
            assert_eq!(verdict.urgency, urgency, "{told}");
            assert!(verdict.advice.iter().any(|advice| advice.words.contains(told)), "{verdict:?}");
        }
    }
}
