//! A bridge between a contact and any other program, by two folders of files: each file that the program puts into `out` is sent, and
//! each message that comes lies in `in`, once, whenever either is killed.
//!
//! ```sh
//! antiphon profile new bridge
//! cargo run -p antiphon-messenger --example bridge -- bridge antiphon.toml CODE_OF_A_FRIEND mail
//! mv letter mail/out/letter-1
//! ```
//!
//! A file is written elsewhere and moved into `out` when it is whole. Its name is the key under which it is sent, so that it is one
//! message however often it is tried, and no name is used twice.
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::path::Path;
use std::time::Duration;
use std::{env, fs, io};

use antiphon_messenger::{Messenger, config};
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_profile::{ContactId, EventId, EventKind, Profile, Unlock};
use tokio::time::{interval, timeout};

/// Pause between two looks into `out`.
const LOOK: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut next =
        || arguments.next().ok_or_else(|| io::Error::other("bridge FOLDER CONFIG CODE MAIL"));
    let (folder, config, code, mail) = (next()?, next()?, next()?, next()?);
    let config = config::load(Path::new(&config))?;
    println!("passphrase:");
    let passphrase = io::read_to_string(io::stdin())?;
    let unlock = Unlock::passphrase(passphrase.trim_end());
    let profile = Profile::open(Path::new(&folder), &unlock, SystemClock::now(), &mut entropy())?;
    let messenger = Messenger::start(profile, config)?;
    let known =
        messenger.contacts().await?.into_iter().find(|contact| contact.code().to_text() == code);
    let friend = match known {
        Some(friend) => friend,
        None => messenger.add_contact("friend", &code, None).await?,
    };
    println!("the code for the friend: {}", friend.own_code().to_text());
    bridge(&messenger, friend.id(), Path::new(&mail)).await
}

/// Carries files and messages for as long as the messenger is there.
pub(crate) async fn bridge(
    messenger: &Messenger,
    contact: ContactId,
    mail: &Path,
) -> Result<(), Box<dyn Error>> {
    let (out, inbox, done) = (mail.join("out"), mail.join("in"), mail.join("last event"));
    fs::create_dir_all(&out)?;
    fs::create_dir_all(&inbox)?;
    let last = fs::read_to_string(&done).unwrap_or_default();
    let mut last = EventId(last.trim().parse().unwrap_or(0));
    let mut newest = messenger.newest_event();
    // At fixed times, whatever there is.
    let mut look = interval(LOOK);
    loop {
        look.tick().await;
        send_all(messenger, contact, &out).await?;
        newest.borrow_and_update();
        for event in messenger.events_after(last, 100).await? {
            if let EventKind::Received(id) = event.kind {
                let (message, _) = messenger.message(id).await?;
                // Whole, or not there; and the same once more if it was not noted.
                let part = mail.join("part");
                fs::write(&part, &message.body)?;
                fs::rename(part, inbox.join(id.to_string()))?;
            }
            last = event.id;
            fs::write(&done, last.0.to_string())?;
        }
        let _ = timeout(LOOK, newest.changed()).await;
    }
}

/// Sends every file and removes it once its message is on disk here.
async fn send_all(
    messenger: &Messenger,
    contact: ContactId,
    out: &Path,
) -> Result<(), Box<dyn Error>> {
    let mut files: Vec<_> = fs::read_dir(out)?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        let key = file.file_name().to_string_lossy().into_owned();
        messenger.send(contact, fs::read(file.path())?, Some(&key)).await?;
        fs::remove_file(file.path())?;
    }
    Ok(())
}
