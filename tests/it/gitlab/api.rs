//! The REST API according to GitLab 19's source: `deploy_tokens.rb`, `members.rb`, and the finders
//! of `helpers.rb` in `lib/api`.

use super::credentials::{authenticate, required};
use super::http::{Answer, Request};
use super::state::{DeployToken, Kind, Person, Place, Role, State};
use super::text::{decode, parameters};
use super::wanted::{SCOPES, Wanted};
use serde_json::{Map, Value, json};

pub type Result<T = Answer> = std::result::Result<T, Answer>;

/// Executes a request, and returns the answer.
pub fn answer(state: &mut State, request: &Request) -> Answer {
    let answer = route(state, request).unwrap_or_else(|error| error);
    dated(answer, state)
}

/// Adds the server's date, which every answer has.
pub fn dated(answer: Answer, state: &State) -> Answer {
    answer.with("Date", state.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// A request in progress.
struct Call<'r> {
    request: &'r Request,
    /// Path segments after `/api/v4`, decoded.
    segments: Vec<String>,
    query: Map<String, Value>,
}

fn route(state: &mut State, request: &Request) -> Result {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let path = if state.decodes_slashes { decode(path) } else { path.to_owned() };
    let Some(path) = path.strip_prefix(&state.root).and_then(|path| path.strip_prefix("/api/v4/"))
    else {
        return Err(Answer::new(
            404,
            "text/html; charset=utf-8",
            "<!DOCTYPE html>\n<h1>404: Page not found</h1>",
        ));
    };
    let call =
        Call { request, segments: path.split('/').map(decode).collect(), query: parameters(query) };
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let kind = match segments[0] {
        "projects" => Some(Kind::Project),
        "groups" => Some(Kind::Group),
        _ => None,
    };
    match (request.method.as_str(), kind, &segments[1..]) {
        ("GET", None, []) if segments == ["version"] => {
            required(state, request, &["api", "read_api", "read_user"])?;
            Ok(Answer::json(200, &json!({"version": "19.0.0-ee", "revision": "0123456789a"})))
        }
        ("GET", None, []) if segments == ["user"] => {
            let person = required(state, request, &["api", "read_api", "read_user"])?;
            let body = json!({"id": person.id, "username": person.username(), "name": person.username(), "state": "active"});
            Ok(Answer::json(200, &body))
        }
        ("GET", None, ["self"]) if segments[0] == "personal_access_tokens" => {
            own_token(state, request)
        }
        ("GET", None, []) if segments == ["deploy_tokens"] => {
            required(state, request, &["api", "read_api"])?;
            Err(forbidden())
        }
        ("GET", Some(kind), [_]) => {
            let (place, person) = call.place(state, kind)?;
            Ok(Answer::json(200, &shown(state, place, person)))
        }
        ("GET", Some(kind), [_, "members", "all", user]) => {
            required(state, request, &["api", "read_api"])?;
            let (place, _) = call.place(state, kind)?;
            member(state, place, user)
        }
        ("GET", Some(kind), [_, "deploy_tokens"]) => call.list(state, kind),
        ("POST", Some(kind), [_, "deploy_tokens"]) => call.create(state, kind),
        ("GET" | "DELETE", Some(kind), [_, "deploy_tokens", id]) => {
            let id = id.parse().map_err(|_| bad("token_id is invalid"))?;
            if request.method == "GET" {
                call.get(state, kind, id)
            } else {
                call.delete(state, kind, id)
            }
        }
        (_, Some(_), [_] | [_, "deploy_tokens"] | [_, "deploy_tokens", _]) => {
            Err(Answer::json(405, &json!({"error": "405 Not Allowed"})))
        }
        _ => Err(Answer::json(404, &json!({"error": "404 Not Found"}))),
    }
}

impl Call<'_> {
    /// The place of `:id` if the user may see it, and the user; `None` without a credential.
    fn place<'s>(&self, state: &'s State, kind: Kind) -> Result<(&'s Place, Option<&'s Person>)> {
        let scopes: &[&str] =
            if self.request.method == "GET" { &["api", "read_api"] } else { &["api"] };
        let person = authenticate(state, self.request, scopes)?;
        let id = &self.segments[1];
        let visible =
            |place: &&Place| place.public || person.is_some_and(|person| person.sees(place));
        if let Some(place) = state.place(kind, id).filter(visible) {
            return Ok((place, person));
        }
        let moved = state
            .moved
            .iter()
            .find(|(path, _)| kind == Kind::Project && path.eq_ignore_ascii_case(id));
        let target =
            moved.and_then(|(_, number)| state.place(kind, &number.to_string())).filter(visible);
        match target {
            None if kind == Kind::Project => Err(message(404, "404 Project Not Found")),
            None => Err(message(404, "404 Group Not Found")),
            Some(_) if self.request.method != "GET" => {
                Err(message(405, "Non GET methods are not allowed for moved projects"))
            }
            Some(place) => {
                let query =
                    self.request.target.split_once('?').map(|(_, query)| format!("?{query}"));
                let rest: String =
                    self.segments[2..].iter().map(|segment| format!("/{segment}")).collect();
                let url = format!(
                    "{}/api/v4/projects/{}{rest}{}",
                    state.url(),
                    place.id,
                    query.unwrap_or_default()
                );
                let text = format!("This resource has been moved permanently to {url}");
                Err(Answer::new(301, "text/plain", text).with("Location", url))
            }
        }
    }

    /// The place of `:id`, for which the user must have this role.
    fn place_for(&self, state: &State, kind: Kind, role: Role) -> Result<Place> {
        let (place, person) = self.place(state, kind)?;
        let own = person.and_then(|person| person.role(&place.path));
        if own >= Some(role) { Ok(place.clone()) } else { Err(forbidden()) }
    }

    fn list(&self, state: &State, kind: Kind) -> Result {
        let number = |name: &str, default| match self.query.get(name) {
            None => Ok(default),
            Some(value) => value
                .as_str()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| bad(&format!("{name} is invalid"))),
        };
        let (page, per_page): (usize, usize) = (number("page", 1)?, number("per_page", 20)?);
        if per_page == 0 {
            return Err(bad("per_page has a value not allowed"));
        }
        let active = match self.query.get("active").and_then(Value::as_str) {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(_) => return Err(bad("active is invalid")),
        };
        let place = self.place_for(state, kind, Role::Maintainer)?;
        let now = state.now();
        let mut tokens: Vec<&DeployToken> = state
            .tokens
            .iter()
            .filter(|token| {
                token.kind == kind && token.place == place.id && (!active || token.is_active(now))
            })
            .collect();
        tokens.sort_by_key(|token| token.id);
        let (page, per_page) = (page.max(1), per_page.min(100));
        let pages = tokens.len().div_ceil(per_page).max(1);
        let shown: Vec<Value> = tokens
            .iter()
            .skip((page - 1) * per_page)
            .take(per_page)
            .map(|token| token.shown(now))
            .collect();
        let before = (page > 1).then(|| page - 1).filter(|before| *before <= pages);
        let after = (page < pages).then_some(page + 1);
        let numbers = |page: Option<usize>| page.map(|page| page.to_string()).unwrap_or_default();
        let (path, _) = self.request.target.split_once('?').unwrap_or((&self.request.target, ""));
        let link = |page: Option<usize>, name| {
            let active = self
                .query
                .get("active")
                .and_then(Value::as_str)
                .map(|active| format!("active={active}&"));
            let (id, active) = (&place.id, active.unwrap_or_default());
            let url = format!(
                "{}{path}?{active}id={id}&page={}&per_page={per_page}",
                state.origin, page?
            );
            Some(format!("<{url}>; rel=\"{name}\""))
        };
        let links = [
            link(before, "prev"),
            link(after, "next"),
            link(Some(1), "first"),
            link(Some(pages), "last"),
        ];
        Ok(Answer::json(200, &shown.into())
            .with("X-Per-Page", per_page.to_string())
            .with("X-Page", page.to_string())
            .with("X-Next-Page", numbers(after))
            .with("X-Prev-Page", numbers(before))
            .with("Link", links.into_iter().flatten().collect::<Vec<_>>().join(", "))
            .with("X-Total", tokens.len().to_string())
            .with("X-Total-Pages", pages.to_string()))
    }

    fn create(&self, state: &mut State, kind: Kind) -> Result {
        let wanted = Wanted::of(self.request, &self.query)?;
        let role = if kind == Kind::Project { Role::Maintainer } else { Role::Owner };
        let place = self.place_for(state, kind, role)?;
        wanted.check()?;
        let id = state.add(DeployToken {
            id: 0,
            kind,
            place: place.id,
            name: wanted.name,
            username: wanted.username.filter(|name| !name.is_empty()),
            token: fresh_value(),
            scopes: SCOPES
                .map(str::to_owned)
                .into_iter()
                .filter(|scope| wanted.scopes.contains(scope))
                .collect(),
            expires_at: wanted.expires_at,
            revoked: false,
        });
        let token = state.tokens.iter().find(|token| token.id == id).unwrap();
        let mut body = token.shown(state.now());
        body["token"] = token.token.clone().into();
        Ok(Answer::json(201, &body))
    }

    fn get(&self, state: &State, kind: Kind, id: u64) -> Result {
        let place = self.place_for(state, kind, Role::Maintainer)?;
        let token = state.tokens.iter().find(|token| is_of(token, &place, id)).ok_or_else(gone)?;
        Ok(Answer::json(200, &token.shown(state.now())))
    }

    fn delete(&self, state: &mut State, kind: Kind, id: u64) -> Result {
        let role = if kind == Kind::Project { Role::Maintainer } else { Role::Owner };
        let place = self.place_for(state, kind, role)?;
        let index =
            state.tokens.iter().position(|token| is_of(token, &place, id)).ok_or_else(gone)?;
        state.tokens.remove(index);
        Ok(Answer { status: 204, ..Answer::default() })
    }
}

/// `gldt-` and 20 random letters.
fn fresh_value() -> String {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes).unwrap();
    format!("gldt-{}", bytes.map(|byte| format!("{byte:02x}")).concat())
}

fn is_of(token: &DeployToken, place: &Place, id: u64) -> bool {
    token.id == id && token.kind == place.kind && token.place == place.id
}

/// `lib/api/personal_access_tokens/self_information.rb`: any scope is sufficient.
fn own_token(state: &State, request: &Request) -> Result {
    let person = required(state, request, &[])?;
    if person.oauth {
        let text =
            "400 Bad request - This endpoint requires token type to be a personal access token";
        return Err(message(400, text));
    }
    let body = json!({
        "id": person.id, "name": "token", "revoked": false, "scopes": person.scopes, "user_id": person.id,
        "active": true, "expires_at": null,
    });
    Ok(Answer::json(200, &body))
}

/// `lib/api/entities/project.rb` and group.rb.
fn shown(state: &State, place: &Place, person: Option<&Person>) -> Value {
    let name = place.path.rsplit('/').next().unwrap();
    let visibility = if place.public { "public" } else { "private" };
    let mut body = json!({"id": place.id, "name": name, "path": name, "visibility": visibility});
    if place.kind == Kind::Group {
        body["full_path"] = place.path.clone().into();
        body["web_url"] = format!("{}/groups/{}", state.url(), place.path).into();
        return body;
    }
    body["path_with_namespace"] = place.path.clone().into();
    body["web_url"] = format!("{}/{}", state.url(), place.path).into();
    body["container_registry_image_prefix"] =
        format!("{}/{}", state.registry, place.path.to_lowercase()).into();
    if let Some(person) = person {
        let access = |role: Option<Role>| {
            role.map(|role| json!({"access_level": role as u8, "notification_level": 3}))
        };
        body["permissions"] = json!({
            "project_access": access(person.direct(&place.path)),
            "group_access": access(person.inherited(&place.path)),
        });
    }
    body
}

fn member(state: &State, place: &Place, user: &str) -> Result {
    let user: u64 = user.parse().map_err(|_| bad("user_id is invalid"))?;
    let person = state.people.iter().find(|person| person.id == user).ok_or_else(gone)?;
    let role = person.role(&place.path).ok_or_else(gone)?;
    Ok(Answer::json(
        200,
        &json!({
            "id": person.id, "username": person.username(), "state": "active",
            "access_level": role as u8, "expires_at": null,
        }),
    ))
}

pub fn message(status: u16, text: &str) -> Answer {
    Answer::json(status, &json!({"message": text}))
}

pub fn bad(text: &str) -> Answer {
    Answer::json(400, &json!({"error": text}))
}

fn forbidden() -> Answer {
    message(403, "403 Forbidden")
}

/// The answer for a missing record (`lib/api/api.rb`).
fn gone() -> Answer {
    message(404, "404 Not found")
}
