//! Shared by the commands that create and delete deploy tokens in GitLab: connections, the journal,
//! and cleaning up after failures.

mod connect;
mod held;
mod inventory;
mod journal;
mod mint;

pub(super) use connect::{Gitlab, Gitlabs, Network, OwnerHints, remote};
pub(super) use held::{is_held, is_held_among, is_held_below, is_held_now};
pub(super) use inventory::{Row, TokenUse, holdings, rows};
pub(super) use journal::{Journal, JournalLock};
pub(super) use mint::{LATE, NewToken, TokenRequest, lifetime};
