//! A network file: any text is refused, or gives a network whose values have all been checked.
#![no_main]

use antiphon_wire::NetworkFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(network) = NetworkFile::parse(text) {
        let id = network.id();
        let again = NetworkFile::new(network.operators, network.policy);
        assert_eq!(again.map(|network| network.id()), Ok(id));
    }
});
