//! GitLab's API for deploy tokens (`lib/api/deploy_tokens.rb`, `doc/api/deploy_tokens.md`): finds
//! projects and groups; lists, creates and deletes tokens.
//!
//! A POST is sent once and never repeated. A list only counts if its last page was read. Only
//! names, numbers and dates leave this module, and the value of a token as a [`Secret`]. Never
//! prompts and writes no files.

mod answer;
pub mod lifetime;
mod name;
mod refusal;

pub use answer::{Minted, Token};
pub use lifetime::Lifetime;
pub use name::TokenName;
pub use refusal::{GitlabRefusal, Need};

use crate::answers::{ImageRef, Instance, Owner, TokenRef};
use crate::error;
use crate::http::{Authorities, HttpErrorKind, Method, Reply, Request, Transport};
use crate::secret::Secret;
use answer::{DeployTokenJson, Project};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::json;
use ureq::http::{Uri, header::AUTHORIZATION};
use zeroize::Zeroizing;

/// Size limit for an answer, above a page of tokens or a project.
const LIMIT: u64 = 4 << 20;
/// Tokens per page, GitLab's maximum.
const PER_PAGE: &str = "100";
/// Limit on the number of pages, far above any project's, in case a server repeats them.
const PAGES: usize = 1000;

/// The project or group that owns a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectOrGroup {
    /// Its number.
    pub owner: Owner,
    /// Its current path.
    pub path: String,
}

impl ProjectOrGroup {
    /// Its name for users: `project group/hello`.
    #[must_use]
    pub fn title(&self) -> String {
        match self.owner {
            Owner::Project(_) => format!("project `{}`", self.path),
            Owner::Group(_) => format!("group `{}`", self.path),
        }
    }
}

/// A connection to one GitLab with one credential.
pub struct Api {
    transport: Transport,
    instance: Instance,
    /// `Bearer …`, which GitLab accepts for every kind of token (`doc/api/rest/authentication.md`).
    credential: Secret,
}

/// Why a POST returned no token.
#[derive(Debug)]
pub enum NotMinted {
    /// No token was created.
    Refused(GitlabRefusal),
    /// A token may exist, but its value is lost.
    Lost(GitlabRefusal),
}

impl Api {
    /// Prepares a connection to `instance` with `credential`; sends nothing yet. `plain_http`
    /// allows http for all hosts.
    pub fn new(
        instance: Instance,
        credential: &Secret,
        plain_http: bool,
        authorities: &[Authorities],
    ) -> error::Result<Self> {
        let transport = Transport::new(plain_http, authorities)?;
        let mut header = Zeroizing::new(String::with_capacity(credential.expose().len() + 8));
        header.push_str("Bearer ");
        header.push_str(credential.expose());
        Ok(Self { transport, instance, credential: Secret::new(std::mem::take(&mut header)) })
    }

    /// The GitLab instance.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The project that `image` belongs to: the longest prefix of its path that is a project.
    pub fn project_of(&self, image: &ImageRef) -> Result<ProjectOrGroup, GitlabRefusal> {
        let path = image.path();
        let mut prefix = path.as_str();
        // A project is in a group or a user's namespace.
        while prefix.contains('/') {
            match self.project(prefix) {
                Err(GitlabRefusal::NotFound { .. }) => {}
                found => return found,
            }
            prefix = prefix.rsplit_once('/').map_or("", |(shorter, _)| shorter);
        }
        Err(GitlabRefusal::NotFound { what: format!("project of `{}`", image.name()) })
    }

    /// The project at `path`. Fails if the user is known to lack the role for creating tokens
    /// there.
    fn project(&self, path: &str) -> Result<ProjectOrGroup, GitlabRefusal> {
        let what = format!("project `{path}`");
        let project: Project =
            self.get(&format!("projects/{}", encoded(path)), &what, Need::Maintainer)?;
        project.place()
    }

    /// The group at `path`.
    pub fn group(&self, path: &str) -> Result<ProjectOrGroup, GitlabRefusal> {
        let what = format!("group `{path}`");
        let group: answer::Group =
            self.get(&format!("groups/{}", encoded(path)), &what, Need::Owner)?;
        Ok(ProjectOrGroup { owner: Owner::Group(group.id), path: group.full_path })
    }

    /// The project or group with the number `owner`, whose path may have changed.
    pub fn place(&self, owner: Owner) -> Result<ProjectOrGroup, GitlabRefusal> {
        let (path, what, need) = (owner.api_path(), numbered(owner), Need::of(owner));
        match owner {
            Owner::Project(_) => self.get::<Project>(&path, &what, need)?.place(),
            Owner::Group(_) => {
                let group: answer::Group = self.get(&path, &what, need)?;
                Ok(ProjectOrGroup { owner, path: group.full_path })
            }
        }
    }

    /// Fails if the user is known to lack the role for creating and deleting tokens of `place`. For
    /// a project, that was checked with its data; a group requires an owner, although other members
    /// may list its tokens.
    pub fn check_role(&self, place: &ProjectOrGroup) -> Result<(), GitlabRefusal> {
        if matches!(place.owner, Owner::Project(_)) {
            return Ok(());
        }
        // A user who is not a member may be an administrator. If that is undetermined, the request
        // itself decides.
        let Ok(user) = self.get::<answer::User>("user", "user", Need::Owner) else { return Ok(()) };
        let path = format!("{}/members/all/{}", place.owner.api_path(), user.id);
        match self.get::<answer::Member>(&path, "member", Need::Owner) {
            Ok(member) if member.access_level < answer::OWNER => {
                Err(GitlabRefusal::Role { place: place.title(), need: Need::Owner })
            }
            _ => Ok(()),
        }
    }

    /// Fails if the credential is known to lack the scope for creating tokens. Only personal,
    /// project and group access tokens reveal their scopes.
    pub fn check_scope(&self) -> Result<(), GitlabRefusal> {
        match self.get::<answer::Credential>(
            "personal_access_tokens/self",
            "access token",
            Need::Maintainer,
        ) {
            Ok(credential) if !credential.may_make_tokens() => Err(GitlabRefusal::Scope),
            Err(GitlabRefusal::Unauthorized) => Err(GitlabRefusal::Unauthorized),
            _ => Ok(()),
        }
    }

    /// All deploy tokens of `place`, and the server's current time.
    pub fn list(&self, place: &ProjectOrGroup) -> Result<(Vec<Token>, Timestamp), GitlabRefusal> {
        let path = format!("{}/deploy_tokens", place.owner.api_path());
        let (mut tokens, mut page) = (Vec::new(), "1".to_owned());
        for _ in 0..PAGES {
            let query = vec![("per_page", PER_PAGE), ("page", page.as_str())];
            let reply = self.send(&Request { query, ..self.request(&path)? })?;
            let time = time_of(&reply);
            if reply.status != 200 {
                return Err(GitlabRefusal::of(&reply, &place.title(), Need::of(place.owner)));
            }
            let found: Vec<DeployTokenJson> = read(&reply)?;
            tokens.extend(found.into_iter().map(|found| found.token(&self.instance, place.owner)));
            match reply.header("x-next-page") {
                Some("") => return Ok((tokens, time)),
                Some(next) if next.bytes().all(|byte| byte.is_ascii_digit()) && next != page => {
                    next.clone_into(&mut page);
                }
                // The answer does not confirm that this was the last page.
                _ => return Err(GitlabRefusal::Incomplete),
            }
        }
        Err(GitlabRefusal::Incomplete)
    }

    /// Creates a token that can only pull.
    pub fn mint(
        &self,
        place: &ProjectOrGroup,
        name: &TokenName,
        lifetime: &Lifetime,
    ) -> Result<Minted, NotMinted> {
        let mut body = json!({"name": name.to_string(), "scopes": ["read_registry"]});
        if let Some(end) = lifetime.end() {
            body["expires_at"] = json!(end.to_string());
        }
        let (path, body) = (format!("{}/deploy_tokens", place.owner.api_path()), body.to_string());
        let request = self.request(&path).map_err(NotMinted::Refused)?;
        let reply = self.send(&Request { method: Method::Post, body: &body, ..request });
        let reply = reply.map_err(|refusal| {
            if refusal.is_before_sending() {
                NotMinted::Refused(refusal)
            } else {
                NotMinted::Lost(refusal)
            }
        })?;
        match reply.status {
            201 => read::<DeployTokenJson>(&reply)
                .and_then(|found| found.minted(&self.instance, place))
                .map_err(NotMinted::Lost),
            // A proxy may have sent the answer although GitLab has completed the request.
            status if (200..300).contains(&status) || status >= 500 || status == 408 => Err(
                NotMinted::Lost(GitlabRefusal::of(&reply, &place.title(), Need::of(place.owner))),
            ),
            _ => Err(NotMinted::Refused(GitlabRefusal::of(
                &reply,
                &place.title(),
                Need::of(place.owner),
            ))),
        }
    }

    /// The token `token`; `None` if it does not exist although its project does.
    pub fn token(&self, token: &TokenRef) -> Result<Option<Token>, GitlabRefusal> {
        let path = format!("{}/deploy_tokens/{}", token.owner.api_path(), token.id);
        match self.get::<DeployTokenJson>(&path, &numbered(token.owner), Need::of(token.owner)) {
            Ok(found) => Ok(Some(found.token(&self.instance, token.owner))),
            Err(GitlabRefusal::NotFound { .. }) => self.place(token.owner).map(|_| None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Deletes `token`. Returns whether it existed.
    pub fn delete(&self, token: &TokenRef) -> Result<bool, GitlabRefusal> {
        let path = format!("{}/deploy_tokens/{}", token.owner.api_path(), token.id);
        let reply = self.send(&Request { method: Method::Delete, ..self.request(&path)? })?;
        match reply.status {
            204 | 200 | 202 => Ok(true),
            404 if is_json(&reply) => {
                // 404 is also the answer for tokens that the user may not see.
                self.place(token.owner)?;
                Ok(false)
            }
            _ => Err(GitlabRefusal::of(&reply, &numbered(token.owner), Need::of(token.owner))),
        }
    }

    fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &str,
        need: Need,
    ) -> Result<T, GitlabRefusal> {
        let reply = self.send(&self.request(path)?)?;
        match reply.status {
            200 => read(&reply),
            _ => Err(GitlabRefusal::of(&reply, what, need)),
        }
    }

    fn request(&self, path: &str) -> Result<Request<'_>, GitlabRefusal> {
        let url = format!("{}/api/v4/{path}", self.instance);
        let url: Uri = url.parse().map_err(|_| GitlabRefusal::NoApi)?;
        let credentials = Some((AUTHORIZATION, &self.credential));
        Ok(Request {
            url,
            credentials,
            accept: "application/json",
            limit: LIMIT,
            ..Request::default()
        })
    }

    fn send(&self, request: &Request) -> Result<Reply, GitlabRefusal> {
        if self.instance.is_plain() && !self.transport.may_be_plain(self.instance.host()) {
            return Err(GitlabRefusal::Plain { host: self.instance.authority().to_owned() });
        }
        let reply = match self.transport.send(request) {
            // A connection that was kept open may have been closed; these methods are idempotent.
            Err(trouble)
                if trouble.fault() == HttpErrorKind::Broken
                    && matches!(request.method, Method::Get | Method::Delete) =>
            {
                self.transport.send(request)
            }
            reply => reply,
        };
        let reply = reply.map_err(GitlabRefusal::HttpError)?;
        if reply.moved {
            return Err(GitlabRefusal::Elsewhere);
        }
        Ok(reply)
    }
}

/// The name for users of a project or group whose path is unknown.
fn numbered(owner: Owner) -> String {
    match owner {
        Owner::Project(number) => format!("project {number}"),
        Owner::Group(number) => format!("group {number}"),
    }
}

/// Deserialises the body of `reply`. The parser's own message could quote a token.
fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, GitlabRefusal> {
    serde_json::from_slice(&reply.body).map_err(|_| GitlabRefusal::NoApi)
}

fn is_json(reply: &Reply) -> bool {
    reply.media_type.contains("json")
}

/// GitLab's own time: names stay in order regardless of the clocks of several machines.
fn time_of(reply: &Reply) -> Timestamp {
    let date = reply.header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    date.map_or_else(Timestamp::now, |date| date.timestamp())
}

/// A path encoded as one segment of a URL.
fn encoded(path: &str) -> String {
    path.bytes().fold(String::with_capacity(path.len() + 8), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}
