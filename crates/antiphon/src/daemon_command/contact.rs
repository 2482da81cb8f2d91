//! `antiphon contact`.

mod requests;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use antiphon_contacts::Qr;
use antiphon_messenger::api::{
    CodeView, CodesView, ContactView, ContactsView, NewCode, NewContact, NewPhrase, PhraseView,
    Verification,
};
use clap::{Args, Subcommand};

use super::DaemonError;
use super::ask::Daemon;
use super::place::PlaceArguments;
use crate::cli::json::JsonArguments;
use crate::exit::EXIT_CODES;

/// Make contact codes, and add, list, verify and block contacts, through a running daemon
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Make contact codes, and add, list, verify and block contacts, through the daemon that `antiphon serve` runs.

Two people become contacts when each has the other's code. Make a code for each person, and give it to nobody \
else:

  antiphon contact code bob
  antiphon contact add bob antiphon1...
  antiphon contact verify bob

In a network with rounds for calls a phrase of five words does it as well. One makes it and tells it to the other, \
who puts it in:

  antiphon contact add bob --phrase
  antiphon contact add alice --phrase word word word word word

Whoever has your code can ask to talk without giving one back. Nothing says who asks but the label of the code \
that the person has, and only accepting tells the person that you saw it:

  antiphon contact add bob antiphon1... --invite
  antiphon contact requests
  antiphon contact accept LABEL alice

Nothing is sent by making a code or by verifying, and nobody sees that it was done."
)]
pub(crate) struct ContactArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the code for a person, and make it if there is none yet
    Code(CodeArguments),
    /// Show the codes that were made
    Codes(ListArguments),
    /// Take a code back that no contact is known by
    Revoke(NameArguments),
    /// Make a contact of the code that a person gave
    Add(AddArguments),
    /// Show who has a code of yours, and asks to talk
    Requests(ListArguments),
    /// Make a contact of somebody who asks to talk
    Accept(AcceptArguments),
    /// Refuse a request; nobody learns of it
    Decline(DeclineArguments),
    /// Show the contacts
    List(ListArguments),
    /// Show a contact's safety number, or note that it was compared with the contact
    Verify(VerifyArguments),
    /// Want nothing of a contact any more; its end sees that the conversation is over
    Block(NameArguments),
    /// Want a blocked contact again
    Unblock(NameArguments),
}

#[derive(Debug, Args)]
struct CodeArguments {
    /// Label of the code, such as the name of the person whom it is for: only you see it
    label: String,
    /// Make a code that is good for so many days [default: it has no end]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_525))]
    days: Option<u32>,
    /// Show it as a QR code as well
    #[arg(long)]
    qr: bool,
    /// Write it as a QR code to this SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    json: JsonArguments,
}

#[derive(Debug, Args)]
struct AddArguments {
    /// Name of the contact: only you see it
    name: String,
    /// The code that the person gave
    #[arg(required_unless_present = "phrase")]
    code: Option<String>,
    /// Meet by the five words that the person told; without words, make a phrase and show it
    #[arg(long, value_name = "WORD", num_args = 0..=5, conflicts_with_all = ["code", "own_code"])]
    phrase: Option<Vec<String>>,
    /// Label of the code that the person was given [default: the name; where there is none, one is made]
    #[arg(long, value_name = "LABEL")]
    own_code: Option<String>,
    /// Invite the person, who has no code of yours
    #[arg(long, requires = "code", conflicts_with = "own_code")]
    invite: bool,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    json: JsonArguments,
}

#[derive(Debug, Args)]
struct AcceptArguments {
    /// Label of the code that the person has, or the request's id where several came by one code
    request: String,
    /// Name that you give to the contact: only you see it
    name: String,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    json: JsonArguments,
}

#[derive(Debug, Args)]
struct DeclineArguments {
    /// Label of the code that the person has, or the request's id where several came by one code
    request: String,
    /// Take the code back as well, so that nobody asks by it again
    #[arg(long)]
    block: bool,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    json: JsonArguments,
}

#[derive(Debug, Args)]
struct ListArguments {
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    json: JsonArguments,
}

#[derive(Debug, Args)]
struct NameArguments {
    /// Name of the contact, or label of the code
    name: String,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    json: JsonArguments,
}

#[derive(Debug, Args)]
struct VerifyArguments {
    /// Name of the contact
    name: String,
    /// The sixty digits that the contact shows or says; whatever stands between them is left out
    number: Vec<String>,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    json: JsonArguments,
}

/// Does what is asked for with contacts and codes.
pub(crate) fn run(arguments: &ContactArguments) -> Result<(), DaemonError> {
    match &arguments.action {
        Action::Code(arguments) => code(arguments),
        Action::Codes(arguments) => codes(arguments),
        Action::Revoke(arguments) => revoke(arguments),
        Action::Add(arguments) => add(arguments),
        Action::Requests(arguments) => requests::list(arguments),
        Action::Accept(arguments) => requests::accept(arguments),
        Action::Decline(arguments) => requests::decline(arguments),
        Action::List(arguments) => list(arguments),
        Action::Verify(arguments) => verify(arguments),
        Action::Block(arguments) => block(arguments, "block"),
        Action::Unblock(arguments) => block(arguments, "unblock"),
    }
}

fn code(arguments: &CodeArguments) -> Result<(), DaemonError> {
    arguments.json.check()?;
    let daemon = Daemon::of(&arguments.place)?;
    let CodesView { codes } = daemon.get("/v1/codes")?;
    let known = codes.into_iter().find(|code| code.label == arguments.label);
    let code: CodeView = match known {
        Some(code) => code,
        None => {
            let new = NewCode { label: arguments.label.clone(), days: arguments.days };
            daemon.post("/v1/codes", &new, &[])?
        }
    };
    // In upper case it takes a smaller one.
    let qr = || Qr::new(code.code.to_uppercase().as_bytes());
    if let Some(path) = &arguments.svg
        && let Ok(qr) = qr()
    {
        let failed = |source| DaemonError::Write { path: path.clone(), source };
        fs::write(path, qr.to_svg()).map_err(failed)?;
    }
    let mut text = format!("{}\n", code.code);
    if arguments.qr
        && let Ok(qr) = qr()
    {
        text.push_str(&qr.to_text(false));
    }
    Ok(arguments.json.deliver(&code, &text)?)
}

fn codes(arguments: &ListArguments) -> Result<(), DaemonError> {
    arguments.json.check()?;
    let codes: CodesView = Daemon::of(&arguments.place)?.get("/v1/codes")?;
    let text = codes.codes.iter().fold(String::new(), |mut text, code| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}\n  {}", code.label, code.code);
        text
    });
    Ok(arguments.json.deliver(&codes, &text)?)
}

fn revoke(arguments: &NameArguments) -> Result<(), DaemonError> {
    arguments.json.check()?;
    let daemon = Daemon::of(&arguments.place)?;
    daemon.delete(&format!("/v1/codes/{}", escaped(&arguments.name)))?;
    let words = format!("the code \"{}\" is good for nothing any more\n", arguments.name);
    Ok(arguments.json.deliver(&(), &words)?)
}

fn add(arguments: &AddArguments) -> Result<(), DaemonError> {
    arguments.json.check()?;
    let daemon = Daemon::of(&arguments.place)?;
    let Some(code) = &arguments.code else { return add_by_phrase(&daemon, arguments) };
    let CodesView { codes } = daemon.get("/v1/codes")?;
    let new = NewContact {
        name: arguments.name.clone(),
        code: code.clone(),
        own_code: arguments.own_code.clone(),
        invite: arguments.invite,
    };
    let added: ContactView = daemon.post("/v1/contacts", &new, &[])?;
    let name = &added.name;
    let text = if arguments.invite {
        format!("{name} is invited, and a contact once {name} accepts, within 14 days\n")
    } else if codes.iter().any(|code| code.code == added.own_code) {
        format!("{name} is a contact, once {name} has added your code as well\n")
    } else {
        format!(
            "{name} is a contact, once {name} has added this code of yours:\n{}\n",
            added.own_code
        )
    };
    Ok(arguments.json.deliver(&added, &text)?)
}

fn add_by_phrase(daemon: &Daemon, arguments: &AddArguments) -> Result<(), DaemonError> {
    let words = arguments.phrase.iter().flatten().map(String::as_str).collect::<Vec<_>>();
    let phrase = (!words.is_empty()).then(|| words.join(" "));
    let new = NewPhrase { name: arguments.name.clone(), phrase };
    let added: PhraseView = daemon.post("/v1/phrases", &new, &[])?;
    let name = &added.contact.name;
    let text = match &added.phrase {
        Some(phrase) => format!(
            "{phrase}\n{name} is a contact, once {name} has put in these five words, within two days. Tell them to \
             nobody else; they are not shown again.\n"
        ),
        None => format!("{name} is a contact, once {name}'s daemon and this one have met\n"),
    };
    Ok(arguments.json.deliver(&added, &text)?)
}

fn list(arguments: &ListArguments) -> Result<(), DaemonError> {
    arguments.json.check()?;
    let contacts: ContactsView = Daemon::of(&arguments.place)?.get("/v1/contacts")?;
    let widest = contacts.contacts.iter().map(|contact| contact.name.chars().count()).max();
    let text = contacts.contacts.iter().fold(String::new(), |mut text, contact| {
        let verified = if contact.verified { "verified" } else { "not verified" };
        let width = widest.unwrap_or_default();
        let _ = writeln!(text, "{:width$}  {verified}, {}", contact.name, state(contact));
        text
    });
    let changed = contacts.contacts.iter().filter_map(warning);
    let text = changed.fold(text, |text, warning| text + "WARNING: " + &warning + "\n");
    Ok(arguments.json.deliver(&contacts, &text)?)
}

/// What a person should know and do if a contact is not who it was.
pub(super) fn warning(contact: &ContactView) -> Option<String> {
    let words = contact.changed.as_ref()?;
    Some(format!(
        "{words} `antiphon contact verify` shows it, and takes it once compared; `antiphon contact block` ends the \
         conversation."
    ))
}

/// How a contact's conversation stands, in words.
pub(super) fn state(contact: &ContactView) -> &'static str {
    match &contact.state[..] {
        _ if contact.blocked => "blocked",
        "met" => "in conversation",
        "waiting" => "waiting for the other end",
        "asleep" => "quiet: a message or a call begins a conversation",
        "lapsed" if contact.by_invitation => {
            "not met: the invitation was good for 14 days; invite again under another name"
        }
        "lapsed" => {
            "not met: the phrase was good for two days; make another one under another name"
        }
        "invited" => "invited: messages wait until the request is accepted",
        "calling" => "being called",
        "calls_used_up" => {
            "not called any more: as many calls were made as the network covers for one contact"
        }
        "no_place" => "waiting for a place: the network has as many pairs as other contacts take",
        _ => "not talking",
    }
}

fn verify(arguments: &VerifyArguments) -> Result<(), DaemonError> {
    arguments.json.check()?;
    let daemon = Daemon::of(&arguments.place)?;
    let contact = daemon.contact(&arguments.name)?;
    if arguments.number.is_empty() {
        let words = "the same digits have to stand at the other end; then: antiphon contact verify";
        let Some(number) = &contact.safety_number else {
            let text = format!("{} was not met yet\n", contact.name);
            return Ok(arguments.json.deliver(&contact, &text)?);
        };
        let mut text = format!("{number}\n{words} {} DIGITS\n", contact.name);
        if let Some(changed) = &contact.changed {
            let _ = writeln!(text, "WARNING: {changed}");
        }
        return Ok(arguments.json.deliver(&contact, &text)?);
    }
    let verification = Verification { safety_number: arguments.number.concat() };
    let path = format!("/v1/contacts/{}/verify", contact.id);
    let verified: ContactView = daemon.post(&path, &verification, &[])?;
    Ok(arguments.json.deliver(&verified, &format!("{} is verified\n", verified.name))?)
}

fn block(arguments: &NameArguments, what: &str) -> Result<(), DaemonError> {
    arguments.json.check()?;
    let daemon = Daemon::of(&arguments.place)?;
    let contact = daemon.contact(&arguments.name)?;
    let path = format!("/v1/contacts/{}/{what}", contact.id);
    let changed: ContactView = daemon.post(&path, &(), &[])?;
    let is = if changed.blocked { "is blocked" } else { "is wanted again" };
    Ok(arguments.json.deliver(&changed, &format!("{} {is}\n", changed.name))?)
}

/// A label as a part of a path.
fn escaped(label: &str) -> String {
    label.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}
