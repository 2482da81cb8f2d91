//! A bot that answers each message with the same text, once, however often it is started.
//!
//! It keeps the number of the last event that it is done with in a file, and answers under a key that is made of the
//! message's id. Killed between the two, it answers again under the same key, which makes one message.
//!
//! ```sh
//! antiphon profile new bot
//! cargo run -p antiphon-messenger --example echo_bot -- bot antiphon.toml CODE_OF_A_FRIEND
//! ```
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::path::Path;
use std::{env, fs, io};

use antiphon_messenger::{Messenger, config};
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_profile::{EventId, EventKind, Profile, Unlock};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let usage = || io::Error::other("echo_bot FOLDER CONFIG [CODE]");
    let folder = arguments.next().ok_or_else(usage)?;
    let config = config::load(Path::new(&arguments.next().ok_or_else(usage)?))?;
    println!("passphrase:");
    let passphrase = io::read_to_string(io::stdin())?;
    let unlock = Unlock::passphrase(passphrase.trim_end());
    let profile = Profile::open(Path::new(&folder), &unlock, SystemClock::now(), &mut entropy())?;
    let messenger = Messenger::start(profile, config)?;
    if let Some(code) = arguments.next() {
        let friend = messenger.add_contact("friend", &code, None).await?;
        println!("the code for the friend: {}", friend.own_code().to_text());
    }
    echo(&messenger, &Path::new(&folder).join("echoed")).await
}

/// Answers what comes from the event on that is noted in the file `done`, for as long as the messenger is there.
pub(crate) async fn echo(messenger: &Messenger, done: &Path) -> Result<(), Box<dyn Error>> {
    let last = fs::read_to_string(done).unwrap_or_default();
    let mut last = EventId(last.trim().parse().unwrap_or(0));
    let mut newest = messenger.newest_event();
    loop {
        newest.borrow_and_update();
        for event in messenger.events_after(last, 100).await? {
            if let EventKind::Received(id) = event.kind {
                let (message, _) = messenger.message(id).await?;
                let key = format!("echo of {id}");
                messenger.send(message.contact, message.body.clone(), Some(&key)).await?;
            }
            last = event.id;
            fs::write(done, last.0.to_string())?;
        }
        newest.changed().await?;
    }
}
