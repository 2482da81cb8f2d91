//! Those who ask to talk, and what the user says to that.

use std::fmt::Write as _;

use antiphon_messenger::api::{Acceptance, ContactView, RequestView, RequestsView};

use super::{AcceptArguments, DeclineArguments, ListArguments};
use crate::daemon_command::DaemonError;
use crate::daemon_command::ask::Daemon;

pub(super) fn list(arguments: &ListArguments) -> Result<(), DaemonError> {
    arguments.json.check()?;
    let found: RequestsView = Daemon::of(&arguments.place)?.get("/v1/requests")?;
    let text = found.requests.iter().fold(String::new(), |mut text, request| {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{}  somebody who has the code \"{}\" asks to talk",
            request.id, request.label
        );
        text
    });
    Ok(arguments.json.deliver(&found, &text)?)
}

pub(super) fn accept(arguments: &AcceptArguments) -> Result<(), DaemonError> {
    arguments.json.check()?;
    let daemon = Daemon::of(&arguments.place)?;
    let request = find(&daemon, &arguments.request)?;
    let acceptance = Acceptance { name: arguments.name.clone() };
    let path = format!("/v1/requests/{}/accept", request.id);
    let accepted: ContactView = daemon.post(&path, &acceptance, &[])?;
    let text = format!("{} is a contact, and is being called\n", accepted.name);
    Ok(arguments.json.deliver(&accepted, &text)?)
}

pub(super) fn decline(arguments: &DeclineArguments) -> Result<(), DaemonError> {
    arguments.json.check()?;
    let daemon = Daemon::of(&arguments.place)?;
    let request = find(&daemon, &arguments.request)?;
    let what = if arguments.block { "block" } else { "decline" };
    daemon.post::<()>(&format!("/v1/requests/{}/{what}", request.id), &(), &[])?;
    let mut text = "the request is refused, and nobody learns of it\n".to_owned();
    if arguments.block {
        let _ = writeln!(text, "the code \"{}\" is good for nothing any more", request.label);
    }
    Ok(arguments.json.deliver(&request, &text)?)
}

/// The request with this id, or the one that came by the code of this label.
fn find(daemon: &Daemon, named: &str) -> Result<RequestView, DaemonError> {
    let RequestsView { requests } = daemon.get("/v1/requests")?;
    let mut found =
        requests.into_iter().filter(|request| request.id == named || request.label == named);
    match (found.next(), found.next()) {
        (Some(request), None) => Ok(request),
        (None, _) => Err(DaemonError::NoRequest(named.to_owned())),
        (Some(_), Some(_)) => Err(DaemonError::SeveralRequests(named.to_owned())),
    }
}
