//! The steps of users with clones of one repository, and faults that end a command. Serialised as
//! JSON, for a replay.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// The maximum number of clones.
pub const CLONES: usize = 4;
/// The possible environments.
pub const ENVIRONMENTS: [&str; 2] = ["production", "staging"];

/// A history of one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    /// The number of clones, at least two.
    pub clones: usize,
    pub steps: Vec<Step>,
}

/// An action in a clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub clone: usize,
    pub act: Act,
    /// The fault that the command meets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meets: Option<Fate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// `rotate` with a token that was created by hand.
    ByHand {
        commit: bool,
        env: Option<usize>,
    },
    /// `rotate --from-gitlab`
    FromGitlab {
        commit: bool,
        env: Option<usize>,
    },
    /// `rotate --finish`; with `vouch`, all environments are declared as deployed.
    Finish {
        yes: bool,
        commit: bool,
        vouch: bool,
    },
    /// `secret set`
    SecretSet {
        commit: bool,
    },
    /// `env add staging`
    EnvAdd {
        commit: bool,
    },
    /// `env remove staging`
    EnvRemove {
        commit: bool,
    },
    /// `update`, after an edit of the record.
    Update {
        commit: bool,
    },
    /// `git add -A` and `git commit`
    Commit,
    /// Discards uncommitted changes.
    Discard,
    /// Also discards commits that were not pushed.
    Reset,
    Stash,
    Unstash,
    Push,
    /// `git pull`; in a conflict, one side of each file is taken.
    Pull {
        theirs: bool,
    },
    /// Deploys this environment of the work tree to the cluster.
    Deploy {
        env: usize,
    },
    /// Pulls, pushes and deploys everything.
    Ship,
    /// `rotate --from-gitlab --commit`, followed by [`Self::Ship`].
    Renew,
    /// Like [`Self::Renew`], followed by `rotate --finish --commit --yes`.
    Replace,
    /// Two hours pass.
    Wait,
}

/// A fault that a command can meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// A signal during its request number `nth` with `method`: before the server begins, or with
    /// `done` while it waits for the answer. With `late`, the request is only completed after the
    /// next step.
    Signal { signal: Signal, method: Method, nth: usize, done: bool, late: bool },
    /// Killed at its `nth` call of `call`.
    Call { call: Call, nth: usize },
    /// The connection breaks at that request.
    Lost { method: Method, nth: usize, done: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    Kill,
    Term,
    Int,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    Get,
    Post,
    Delete,
}

/// System calls that change files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(non_camel_case_types)]
pub enum Call {
    openat,
    write,
    fsync,
    renameat,
    renameat2,
    unlink,
    linkat,
    link,
    mkdir,
    utimensat,
}

/// Each call with the approximate number that a rotation makes, and its weight.
const CALLS: [(Call, usize, u32); 10] = [
    (Call::openat, 700, 1),
    (Call::write, 28, 2),
    (Call::fsync, 34, 4),
    (Call::renameat, 14, 3),
    (Call::renameat2, 3, 1),
    (Call::unlink, 10, 2),
    (Call::linkat, 5, 1),
    (Call::link, 1, 1),
    (Call::mkdir, 13, 1),
    (Call::utimensat, 11, 1),
];

impl Fate {
    /// Whether the fault can happen to `act`.
    pub fn is_for(&self, act: Act) -> bool {
        act.is_ours() && (act.asks_gitlab() || matches!(self, Self::Call { .. }))
    }
}

impl Act {
    /// The actions of which it consists.
    pub fn parts(self) -> Vec<Self> {
        let deploys = (0..ENVIRONMENTS.len()).map(|env| Self::Deploy { env });
        let ship = [Self::Pull { theirs: false }, Self::Push].into_iter().chain(deploys);
        let renew = [Self::FromGitlab { commit: true, env: None }].into_iter().chain(ship.clone());
        match self {
            Self::Ship => ship.collect(),
            Self::Renew => renew.collect(),
            Self::Replace => {
                renew.chain([Self::Finish { yes: true, commit: true, vouch: false }]).collect()
            }
            act => vec![act],
        }
    }

    /// Whether it is a makeinfra command.
    pub fn is_ours(self) -> bool {
        self.asks_gitlab()
            || matches!(
                self,
                Self::ByHand { .. }
                    | Self::SecretSet { .. }
                    | Self::EnvAdd { .. }
                    | Self::EnvRemove { .. }
                    | Self::Update { .. }
            )
    }

    /// Whether it uses GitLab's API.
    pub fn asks_gitlab(self) -> bool {
        matches!(self, Self::FromGitlab { .. } | Self::Finish { .. })
    }
}

pub fn story() -> impl Strategy<Value = Story> {
    (2..=CLONES, prop::collection::vec(step(), 4..22))
        .prop_map(|(clones, steps)| Story { clones, steps })
}

fn step() -> impl Strategy<Value = Step> {
    let clone = prop_oneof![5 => Just(0), 3 => Just(1), 1 => Just(2), 1 => Just(3)];
    (clone, act()).prop_flat_map(|(clone, act)| {
        let parts = act.parts();
        let asks = parts.iter().copied().find(|part| part.asks_gitlab());
        let is_ours = parts.iter().any(|part| part.is_ours());
        let meets = match (is_ours, asks) {
            (false, _) => Just(None).boxed(),
            (true, None) => prop::option::weighted(0.35, killed()).boxed(),
            (true, Some(Act::Finish { .. })) => {
                prop::option::weighted(0.4, asking(Method::Delete)).boxed()
            }
            (true, Some(_)) => prop::option::weighted(0.4, asking(Method::Post)).boxed(),
        };
        meets.prop_map(move |meets| Step { clone, act, meets })
    })
}

fn act() -> impl Strategy<Value = Act> {
    let env = || prop::option::weighted(0.3, 0..ENVIRONMENTS.len());
    let commit = || prop::bool::weighted(0.8);
    prop_oneof![
        3 => (commit(), env()).prop_map(|(commit, env)| Act::ByHand { commit, env }),
        8 => (commit(), env()).prop_map(|(commit, env)| Act::FromGitlab { commit, env }),
        8 => (prop::bool::weighted(0.7), commit(), prop::bool::weighted(0.2))
            .prop_map(|(yes, commit, vouch)| Act::Finish { yes, commit, vouch }),
        1 => commit().prop_map(|commit| Act::SecretSet { commit }),
        2 => commit().prop_map(|commit| Act::EnvAdd { commit }),
        1 => commit().prop_map(|commit| Act::EnvRemove { commit }),
        1 => commit().prop_map(|commit| Act::Update { commit }),
        2 => Just(Act::Commit),
        1 => Just(Act::Discard),
        1 => Just(Act::Reset),
        1 => Just(Act::Stash),
        1 => Just(Act::Unstash),
        3 => Just(Act::Push),
        5 => any::<bool>().prop_map(|theirs| Act::Pull { theirs }),
        2 => (0..ENVIRONMENTS.len()).prop_map(|env| Act::Deploy { env }),
        2 => Just(Act::Ship),
        4 => Just(Act::Renew),
        4 => Just(Act::Replace),
        1 => Just(Act::Wait),
    ]
}

/// Faults of a command that uses GitLab, where it performs `writes`.
fn asking(writes: Method) -> impl Strategy<Value = Fate> {
    let signal =
        prop_oneof![6 => Just(Signal::Kill), 1 => Just(Signal::Term), 1 => Just(Signal::Int)];
    let at = move || {
        prop_oneof![
            1 => (0..10_usize).prop_map(|nth| (Method::Get, nth)),
            1 => (0..10_usize).prop_map(move |nth| (writes, nth / 8)),
        ]
    };
    prop_oneof![
        4 => (signal, at(), any::<bool>(), prop::bool::weighted(0.3))
            .prop_map(|(signal, (method, nth), done, late)| Fate::Signal { signal, method, nth, done, late }),
        4 => killed(),
        2 => (at(), any::<bool>()).prop_map(|((method, nth), done)| Fate::Lost { method, nth, done }),
    ]
}

fn killed() -> impl Strategy<Value = Fate> {
    let calls = CALLS.iter().map(|(call, most, weight)| {
        let call = *call;
        (*weight, (1..=*most).prop_map(move |nth| Fate::Call { call, nth }).boxed())
    });
    prop::strategy::Union::new_weighted(calls.collect())
}
