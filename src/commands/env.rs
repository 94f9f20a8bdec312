//! `makeinfra env`: the environments of a repository.

mod add;
mod list;
mod remove;

pub use add::add;
pub use list::list;
pub use remove::remove;
