//! What the commands share that have GitLab make and delete deploy tokens: who is asked, what is
//! under way, and what a failure leaves there.

mod connect;
mod held;
mod inventory;
mod journal;
mod mint;

pub(super) use connect::{Gitlab, Gitlabs, Meant, Network, remote};
pub(super) use held::{is_held, is_held_among, is_held_below, is_held_now};
pub(super) use inventory::{Row, Use, holdings, rows};
pub(super) use journal::{Held, Journal};
pub(super) use mint::{Fresh, LATE, Order, lifetime};
