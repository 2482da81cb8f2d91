//! `antiphon shard` and `antiphon coordinator`: what `antiphond` runs, for those who have one program.

use antiphond::ServeError;

use crate::exit::{Exit, Exits};

impl Exits for ServeError {
    fn exit(&self) -> Exit {
        if self.is_usage() { Exit::Usage } else { Exit::Failed }
    }
}
