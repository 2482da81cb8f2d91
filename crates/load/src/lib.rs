#![doc = include_str!("../README.md")]

mod arrivals;
mod beats;
mod builder;
mod cpu;
mod documents;
mod fleet;
mod harness;
mod latency;
mod memory;
mod observed;
mod page;
mod phases;
mod plots;
mod population;
mod prepared;
mod progress;
mod provenance;
mod report;
mod round_book;
mod window;

pub use arrivals::{Arrivals, ArrivalsError, WINDOW_SHARE};
pub use documents::{DocumentsError, NetworkAddress};
pub use harness::{LoadError, LoadOptions, Target, check_memory, run};
pub use latency::{Latencies, Percentiles};
pub use memory::{MemoryNeeds, TooManyClients};
pub use page::{PageError, make_folder, write_page};
pub use phases::{LayerPhases, Phases, Spread};
pub use prepared::PrepareError;
pub use progress::{Progress, Silent, Stage};
pub use provenance::Provenance;
pub use report::{BeatsReport, Outcome, Report, Round};
