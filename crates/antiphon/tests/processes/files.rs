use std::fs;

use crate::network::Network;
use crate::process::Process;

/// A network with both clients, which know each other.
struct Talking {
    network: Network,
    _servers: Vec<Process>,
    clients: Vec<Process>,
}

impl Talking {
    fn start(network: Network) -> Self {
        let mut servers = vec![network.start_coordinator("coordinator")];
        servers.extend(network.start_shards());
        let mut clients = Vec::new();
        for role in ["first", "second"] {
            let mut client = network.start_client(role, "");
            client.wait_for_words("the conversation is open");
            clients.push(client);
        }
        Self { network, _servers: servers, clients }
    }
}

#[test]
fn files_are_stored_at_both_ends_and_clients_stay() {
    let network = Network::new();
    let there = network.write_file("there.bin", 3000, 1);
    let back = network.write_file("back.txt", 2000, 2);
    fs::create_dir(network.folder().join("second.in")).unwrap();
    fs::write(network.folder().join("second.in/there.bin"), "not to be overwritten").unwrap();
    let Talking { network, _servers, mut clients } = Talking::start(network);
    let mut receive = network.start_job("first", "receive", "");
    let mut send_there = network.start_job("first", "send", "there.bin");
    let mut send_back = network.start_job("second", "send", "back.txt");
    for job in [&mut receive, &mut send_there, &mut send_back] {
        assert_eq!(job.exit_code(), 0, "{}", job.log());
    }
    let path = |name: &str| network.folder().join(name);
    assert_eq!(fs::read(path("second.in/there-1.bin")).unwrap(), there);
    assert_eq!(fs::read(path("first.in/back.txt")).unwrap(), back);
    assert_eq!(fs::read(path("second.in/there.bin")).unwrap(), b"not to be overwritten");
    assert_eq!(network.report("first", "send")["stored"], true);
    assert_eq!(network.report("first", "receive")["bytes"], 2000);

    // Afterwards they are where they were, and another file goes through.
    let mut again = network.start_job("second", "send", "back.txt");
    assert_eq!(again.exit_code(), 0, "{}", again.log());
    assert_eq!(fs::read(path("first.in/back-1.txt")).unwrap(), back);
    for client in &mut clients {
        assert_eq!(client.terminate().0, 0);
    }
}

#[test]
fn a_file_goes_through_a_network_of_suite_2() {
    let network = Network::of_suite_2();
    let there = network.write_file("there.bin", 1000, 4);
    let Talking { network, _servers, clients: _clients } = Talking::start(network);
    let mut send = network.start_job("first", "send", "there.bin");
    assert_eq!(send.exit_code(), 0, "{}", send.log());
    assert_eq!(fs::read(network.folder().join("second.in/there.bin")).unwrap(), there);
}

#[test]
fn a_sender_learns_why_a_file_was_not_stored() {
    let network = Network::new();
    network.write_file("small.bin", 100, 3);
    network.write_file("large.bin", 5000, 3);
    network.change("second.toml", "inbox = \"second.in\"\n", "");
    network.change("second.toml", "network =", "largest_file_bytes = 4000\nnetwork =");
    let Talking { network, _servers, mut clients } = Talking::start(network);
    let mut refused = network.start_job("first", "send", "small.bin");
    assert_eq!(refused.exit_code(), 1);
    assert!(refused.log().contains("the receiver has no folder for files"), "{}", refused.log());
    assert_eq!(network.report("first", "send")["stored"], false);
    clients[1].wait_for_words("a file was offered and refused");

    let mut receive = network.start_job("second", "receive", "--into fresh");
    receive.wait_for_words("waiting for");
    let mut refused = network.start_job("first", "send", "large.bin");
    assert_eq!(refused.exit_code(), 1);
    assert!(refused.log().contains("files of at most 4000 bytes"), "{}", refused.log());
    let mut stored = network.start_job("first", "send", "small.bin");
    assert_eq!((stored.exit_code(), receive.exit_code()), (0, 0), "{}", stored.log());
    assert!(network.folder().join("fresh/small.bin").is_file());
}

#[test]
fn what_is_no_regular_file_or_too_large_is_refused_before_it_is_read() {
    let network = Network::new();
    network.change("first.toml", "network =", "largest_file_bytes = 99\nnetwork =");
    network.write_file("large.bin", 100, 4);
    let _client = {
        let mut client = network.start_client("first", "");
        client.wait_for_words("the conversation is open");
        client
    };
    for (file, words) in [
        ("/dev/zero", "no regular file"),
        ("nowhere.bin", "nowhere.bin"),
        (".", "no regular file"),
        ("large.bin", "100 bytes are more than the 99"),
    ] {
        let mut job = network.start_job("first", "send", file);
        assert_eq!(job.exit_code(), 2, "{file}");
        assert!(job.log().contains(words), "{file}: {}", job.log());
    }
    let mut late = network.start_job("first", "receive", "--timeout 1s");
    assert_eq!(late.exit_code(), 1);
    assert!(late.log().contains("not done within 1 s: waiting for the partner"), "{}", late.log());
}

#[test]
fn a_conversation_outlives_a_killed_client_and_an_end_that_began_anew_is_noticed() {
    let network = Network::new();
    let there = network.write_file("there.bin", 60_000, 5);
    let small = network.write_file("small.bin", 700, 6);
    let Talking { network, _servers, mut clients } = Talking::start(network);
    let mut cut_short = network.start_job("first", "send", "there.bin");
    cut_short.wait_for_words("sending");
    clients[1].kill();

    // The conversation goes on, and the file is sent once more.
    clients[1] = network.start_client("second", "");
    assert_eq!(cut_short.exit_code(), 1);
    assert!(cut_short.log().contains("client was started again"), "{}", cut_short.log());
    let mut again = network.start_job("first", "send", "small.bin");
    assert_eq!(again.exit_code(), 0, "{}", again.log());
    assert_eq!(fs::read(network.folder().join("second.in/small.bin")).unwrap(), small);
    let mut cut_short = network.start_job("first", "send", "there.bin");
    cut_short.wait_for_words("sending");
    // On another computer, nothing is remembered.
    clients[1].terminate();
    for file in ["second.state", "second.state.witness", "second.state.used"] {
        fs::remove_file(network.folder().join(file)).unwrap();
    }
    clients[1] = network.start_client("second", "");
    for client in &mut clients {
        client.wait_for_words("was started again with the same secret");
        client.wait_for_words("there is no conversation: one end was started again");
    }
    assert_eq!(cut_short.exit_code(), 1);
    assert!(cut_short.log().contains("make a new secret"), "{}", cut_short.log());
    assert!(!clients[0].log().contains("broke the rules"), "{}", clients[0].log());

    network.new_secret();
    for client in &mut clients {
        client.wait_for("a second conversation", |log| {
            (log.matches("the conversation is open").count() == 2).then_some(())
        });
    }
    let mut sent = network.start_job("first", "send", "there.bin");
    assert_eq!(sent.exit_code(), 0, "{}", sent.log());
    assert_eq!(fs::read(network.folder().join("second.in/there.bin")).unwrap(), there);
}
