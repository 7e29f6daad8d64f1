//! What people write, and what is written for them: texts and places in them, sizes, limits of time, whole files, and the refusal that
//! says where an input is wrong, what was found, what is allowed, and what to do.

mod numbers;
mod refusal;
pub mod shell;
pub mod size;
mod suggest;
mod text;
mod time_limit;
mod whole_file;

pub use self::numbers::{group, group_wide};
pub use self::refusal::{Place, Refusal, visible};
pub use self::suggest::nearest;
pub use self::text::{find, mentions, offset_of, read_text};
pub use self::time_limit::{TimeLimit, TimeLimitError};
pub use self::whole_file::{PART, WholeFile, write_whole};
