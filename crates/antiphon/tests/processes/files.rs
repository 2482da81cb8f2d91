use std::fs;

use crate::network::Network;

#[test]
fn two_clients_exchange_files() {
    let network = Network::new();
    let there = network.write_file("there.bin", 3000, 1);
    let back = network.write_file("back.txt", 2000, 2);
    for folder in ["first.in", "second.in"] {
        network.make_folder(folder);
    }
    fs::write(network.folder().join("second.in/there.bin"), "not to be overwritten").unwrap();
    let _coordinator = network.start_coordinator("coordinator");
    let _shards = network.start_shards();
    let mut first = network.start_client("first", "--send there.bin --receive first.in");
    let mut second = network.start_client("second", "--send back.txt --receive second.in");
    assert_eq!((first.exit_code(), second.exit_code()), (0, 0), "{}", first.log());

    let path = |name: &str| network.folder().join(name);
    assert_eq!(fs::read(path("second.in/there-1.bin")).unwrap(), there);
    assert_eq!(fs::read(path("first.in/back.txt")).unwrap(), back);
    assert_eq!(fs::read(path("second.in/there.bin")).unwrap(), b"not to be overwritten");
    for (role, sent, received) in [("first", 3000, 2000), ("second", 2000, 3000)] {
        let report = network.report(role);
        assert_eq!(report["done"], true);
        assert_eq!(report["intact"], true);
        assert_eq!(report["sending"]["acknowledged"], sent);
        assert_eq!(report["bytes"], received);
        assert_eq!(report["files"][0]["bytes"], received);
    }
}

#[test]
fn one_end_can_send_and_the_other_receive() {
    let network = Network::new();
    let there = network.write_file("there.bin", 700, 3);
    network.make_folder("in");
    let _coordinator = network.start_coordinator("coordinator");
    let _shards = network.start_shards();
    let mut first = network.start_client("first", "--send there.bin --timeout 100");
    let mut second = network.start_client("second", "--receive in --timeout 100");
    assert_eq!((first.exit_code(), second.exit_code()), (0, 0));
    assert_eq!(fs::read(network.folder().join("in/there.bin")).unwrap(), there);
}
