//! Things that the shards of one process share, so that there may be many of them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use antiphon_process::descriptors;
use antiphon_shard::Workers;
use antiphon_transport::{Medium, MemoryNetwork};

use crate::{EmbeddedError, EmbeddedOptions};

/// Files and sockets of the process itself.
const OF_THE_PROCESS: u64 = 64;
/// Those of each shard: two sockets, a link to the coordinator and a few files.
const OF_A_SHARD: u64 = 16;
/// Those of each ordered pair of shards: two lanes, with both ends in this process.
const OF_A_PAIR: u64 = 4;

/// Medium of the links between the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardLinks {
    /// TCP over loopback, as in a network of separate processes. Each shard has threads of its own, unless they are to
    /// be shared.
    Tcp,
    /// The memory of this process, which takes no descriptors. All shards share one set of threads.
    Memory,
}

impl ShardLinks {
    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Memory => "memory",
        }
    }

    /// Descriptors that so many shards and `sockets` of others take.
    fn needs(self, shards: u16, sockets: u32) -> u64 {
        let shards = u64::from(shards);
        let links = match self {
            Self::Tcp => OF_A_PAIR * shards * shards,
            Self::Memory => 0,
        };
        OF_THE_PROCESS + OF_A_SHARD * shards + links + u64::from(sockets)
    }

    /// Takes the medium that is asked for, or else TCP if the process may have that many descriptors. Raises
    /// its limit.
    pub(crate) fn chosen(options: &EmbeddedOptions) -> Result<Self, EmbeddedError> {
        descriptors::raise();
        Self::within(options, descriptors::limit())
    }

    fn within(options: &EmbeddedOptions, limit: u64) -> Result<Self, EmbeddedError> {
        let (shards, sockets) = (options.shards, options.sockets);
        let fits = |links: &Self| links.needs(shards, sockets) <= limit;
        let all = [Self::Tcp, Self::Memory];
        let mut allowed = all.into_iter().filter(|it| options.links.is_none_or(|only| only == *it));
        let least = options.links.unwrap_or(Self::Memory);
        let needed = least.needs(shards, sockets);
        allowed.find(fits).ok_or(EmbeddedError::Descriptors { limit, shards, needed })
    }

    /// Medium for the shards, and the workers that they share if they do.
    pub(crate) fn shared(
        self,
        options: &EmbeddedOptions,
    ) -> Result<(Medium, Option<Arc<Workers>>), EmbeddedError> {
        let medium = match self {
            Self::Tcp => Medium::Tcp,
            Self::Memory => Medium::Memory(MemoryNetwork::default()),
        };
        if self == Self::Tcp && !options.shares_threads {
            return Ok((medium, None));
        }
        let cores = || available_parallelism().unwrap_or(NonZeroUsize::MIN);
        // One more, since one is kept free for rounds while epochs are checked.
        let threads = options.threads.unwrap_or_else(|| cores().saturating_add(1));
        let workers = Workers::start(threads).map_err(EmbeddedError::Threads)?;
        Ok((medium, Some(Arc::new(workers))))
    }
}

#[cfg(test)]
mod tests {
    use antiphon_coordinator::CoordinatorConfig;
    use antiphon_wire::Policy;

    use super::*;

    #[test]
    fn links_stay_on_tcp_where_there_are_enough_sockets() {
        let options =
            |shards| EmbeddedOptions::new(shards, Policy::default(), CoordinatorConfig::default());
        let chosen = |shards, limit| ShardLinks::within(&options(shards), limit).ok();
        assert_eq!(chosen(5, 1024), Some(ShardLinks::Tcp));
        assert_eq!(chosen(60, 20_000), Some(ShardLinks::Tcp));
        assert_eq!(chosen(100, 20_000), Some(ShardLinks::Memory));
        assert_eq!(chosen(100, 50_000), Some(ShardLinks::Tcp));
        assert_eq!(chosen(100, 1024), None);
        let links = Some(ShardLinks::Memory);
        let asked = ShardLinks::within(&EmbeddedOptions { links, ..options(5) }, 1024);
        assert_eq!(asked.ok(), links);
    }
}
