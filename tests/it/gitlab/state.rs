//! The state of a GitLab server: projects, groups, users and their credentials, deploy tokens, and
//! the time.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Roles, with GitLab's numbers (`lib/gitlab/access.rb`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Guest = 10,
    Reporter = 20,
    Developer = 30,
    Maintainer = 40,
    Owner = 50,
}

/// The kind of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Project,
    Group,
}

/// A project or a group, which can have deploy tokens.
#[derive(Clone, Debug)]
pub struct Place {
    pub kind: Kind,
    pub id: u64,
    /// `group/hello`
    pub path: String,
    /// Whether it is public.
    pub public: bool,
}

/// The state of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Valid,
    Expired,
    Revoked,
}

/// A user with one credential.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: u64,
    pub credential: String,
    /// Whether it is an OAuth token, which GitLab only accepts as `Bearer`.
    pub oauth: bool,
    pub standing: Standing,
    /// Roles by path of the project or group.
    pub roles: Vec<(String, Role)>,
    pub scopes: Vec<String>,
}

impl Person {
    pub fn username(&self) -> String {
        format!("person-{}", self.id)
    }

    /// The role in the member list of `path` itself.
    pub fn direct(&self, path: &str) -> Option<Role> {
        let own = self.roles.iter().filter(|(place, _)| place.eq_ignore_ascii_case(path));
        own.map(|(_, role)| *role).max()
    }

    /// The role inherited from the groups above `path`.
    pub fn inherited(&self, path: &str) -> Option<Role> {
        let above = self.roles.iter().filter(|(place, _)| is_below(path, place));
        above.map(|(_, role)| *role).max()
    }

    pub fn role(&self, path: &str) -> Option<Role> {
        self.direct(path).max(self.inherited(path))
    }

    /// Whether this user is a member of `place`, or, if it is a group, of something below it.
    pub fn sees(&self, place: &Place) -> bool {
        let below =
            |(path, _): &(String, Role)| place.kind == Kind::Group && is_below(path, &place.path);
        self.role(&place.path).is_some() || self.roles.iter().any(below)
    }
}

fn is_below(path: &str, group: &str) -> bool {
    path.len() > group.len()
        && path.as_bytes()[group.len()] == b'/'
        && path[..group.len()].eq_ignore_ascii_case(group)
}

/// A deploy token with everything that GitLab stores about it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeployToken {
    /// 0 for the next free number.
    pub id: u64,
    pub kind: Kind,
    /// Number of its project or group.
    pub place: u64,
    pub name: String,
    /// `None` for `gitlab+deploy-token-ID`.
    pub username: Option<String>,
    /// The secret value.
    pub token: String,
    pub scopes: Vec<String>,
    /// `None` if it never expires.
    pub expires_at: Option<Timestamp>,
    pub revoked: bool,
}

impl DeployToken {
    /// A token as created by hand: `read_registry` for the project, no expiry.
    pub fn by_hand(project: u64, name: &str, token: &str) -> Self {
        Self {
            id: 0,
            kind: Kind::Project,
            place: project,
            name: name.to_owned(),
            username: None,
            token: token.to_owned(),
            scopes: vec!["read_registry".to_owned()],
            expires_at: None,
            revoked: false,
        }
    }

    pub fn username(&self) -> String {
        self.username.clone().unwrap_or_else(|| format!("gitlab+deploy-token-{}", self.id))
    }

    /// Whether it can sign in, to the second.
    pub fn is_active(&self, now: Timestamp) -> bool {
        !self.revoked && self.expires_at.is_none_or(|end| end >= now)
    }

    /// The API's flag, which compares dates and so lags until midnight.
    pub fn is_flagged_expired(&self, now: Timestamp) -> bool {
        let date = |time: Timestamp| time.strftime("%F").to_string();
        self.expires_at.is_some_and(|end| date(end) < date(now))
    }

    /// The API's representation, without the value.
    pub fn shown(&self, now: Timestamp) -> Value {
        json!({
            "id": self.id, "name": self.name, "username": self.username(),
            "expires_at": self.expires_at.map(|end| end.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()),
            "scopes": self.scopes, "revoked": self.revoked, "expired": self.is_flagged_expired(now),
        })
    }
}

/// The server's clock, which stands still once it was set.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    Real,
    Set(Timestamp),
}

/// The whole state.
#[derive(Debug)]
pub struct State {
    /// `http://HOST:PORT`
    pub origin: String,
    /// The path of the instance, such as `/root`; empty for none.
    pub root: String,
    /// Host of its registry.
    pub registry: String,
    pub clock: Clock,
    pub places: Vec<Place>,
    /// Former paths of projects, with their numbers.
    pub moved: Vec<(String, u64)>,
    pub people: Vec<Person>,
    pub tokens: Vec<DeployToken>,
    /// Ids are never reused.
    last_token: u64,
    /// Whether a proxy decodes `%2F` in paths.
    pub decodes_slashes: bool,
}

impl State {
    pub fn new() -> Self {
        Self {
            origin: String::new(),
            root: String::new(),
            registry: "registry.gitlab.test".to_owned(),
            clock: Clock::Real,
            places: Vec::new(),
            moved: Vec::new(),
            people: Vec::new(),
            tokens: Vec::new(),
            last_token: 0,
            decodes_slashes: false,
        }
    }

    /// The URL of the instance, without a trailing slash.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin, self.root)
    }

    pub fn now(&self) -> Timestamp {
        match self.clock {
            Clock::Real => Timestamp::now(),
            Clock::Set(time) => time,
        }
    }

    pub fn advance(&mut self, by: SignedDuration) {
        self.clock = Clock::Set(self.now() + by);
    }

    /// The project or group with this number or path.
    pub fn place(&self, kind: Kind, id: &str) -> Option<&Place> {
        let number = id.parse::<u64>().ok();
        let mut places = self.places.iter().filter(|place| place.kind == kind);
        match number {
            Some(number) => places.find(|place| place.id == number),
            None => places.find(|place| place.path.eq_ignore_ascii_case(id)),
        }
    }

    pub fn person_mut(&mut self, credential: &str) -> &mut Person {
        self.people.iter_mut().find(|person| person.credential == credential).unwrap()
    }

    /// Adds a token, with the next id if it has none, and returns its id.
    pub fn add(&mut self, mut token: DeployToken) -> u64 {
        if token.id == 0 {
            token.id = self.last_token + 1;
        }
        self.last_token = self.last_token.max(token.id);
        let id = token.id;
        self.tokens.push(token);
        id
    }
}
