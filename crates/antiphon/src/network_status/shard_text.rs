//! A shard's status for people.

use antiphon_shard::{Drain, Status};

use super::{ShardPage, verdict_text};

/// Some lines of text.
pub(super) fn text(page: &ShardPage) -> String {
    let ShardPage { verdict, status } = page;
    let Status { version, network, shard, words, drain, stopping, unlinked, list, .. } = status;
    let short = |name: &str| name.get(..12).unwrap_or(name).to_owned();
    let leaves = match drain {
        _ if *stopping => "it is stopping".to_owned(),
        Drain::No => "it stays".to_owned(),
        Drain::Leaving => "it leaves at the next hand-over, and stays up".to_owned(),
        Drain::Drained => {
            "drained: it may be stopped at any time; `antiphon drain --undo` has it back".to_owned()
        }
        Drain::Refused { why } => {
            format!("it was to leave, and no epoch could come about without it: {why}")
        }
    };
    let listed = if list.has_shard { "" } else { "; a newer one is without this shard" };
    let coordinator =
        unlinked.as_ref().map_or("linked".to_owned(), |why| format!("no link: {why}"));
    let lines = [
        ("shard", format!("{}, version {version}", short(shard))),
        ("network", short(network)),
        ("now", words.clone()),
        ("leaving", leaves),
        ("coordinator", coordinator),
        (
            "list",
            format!(
                "{}, for epochs {} to {}{listed}",
                list.number, list.first_epoch, list.last_epoch
            ),
        ),
    ]
    .map(|(name, value)| format!("{name:<12}{value}\n"));
    verdict_text(verdict) + &lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_has_to_do_something_about_is_in_the_text() {
        let page = serde_json::json!({
            "verdict": { "urgency": "good", "words": "The shard takes part", "advice": [] },
            "version": "1.2.3", "network": "ab".repeat(32), "shard": "cd".repeat(32),
            "ready": true, "words": "ready: in epoch 7", "epoch": 7,
            "drain": { "state": "refused", "why": "absent would be: beta" },
            "stopping": false, "unlinked": "refused",
            "list": { "number": 3, "first_epoch": 2, "last_epoch": 90, "has_shard": false },
        });
        let text = text(&serde_json::from_value(page).unwrap());
        assert!(text.starts_with("The shard takes part\n\nshard "), "{text}");
        for said in [
            "cdcdcdcdcdcd, version 1.2.3",
            "ready: in epoch 7",
            "no epoch could come about without it: absent would be: beta",
            "no link: refused",
            "3, for epochs 2 to 90; a newer one is without this shard",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }
}
