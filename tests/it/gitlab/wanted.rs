//! The request to create a deploy token, and why it is refused.

use super::api::{Result, bad, message};
use super::http::Request;
use super::text::parameters;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// `app/models/deploy_token.rb`
pub const SCOPES: [&str; 7] = [
    "read_repository",
    "read_registry",
    "write_registry",
    "read_package_registry",
    "write_package_registry",
    "read_virtual_registry",
    "write_virtual_registry",
];

/// The parameters of a POST.
pub struct Wanted {
    pub name: String,
    pub username: Option<String>,
    pub scopes: Vec<String>,
    pub expires_at: Option<Timestamp>,
}

impl Wanted {
    /// Refusals by Grape precede any check of permissions.
    pub fn of(request: &Request, query: &Map<String, Value>) -> Result<Self> {
        let json =
            request.header("Content-Type").is_some_and(|kind| kind.starts_with("application/json"));
        let mut fields = query.clone();
        if json && !request.body.is_empty() {
            let body: Value = serde_json::from_str(&request.body)
                .map_err(|_| bad("message body does not match declared format"))?;
            fields.extend(body.as_object().cloned().unwrap_or_default());
        } else {
            fields.extend(parameters(&request.body));
        }
        let missing: Vec<String> = ["name", "scopes"]
            .into_iter()
            .filter(|name| !fields.contains_key(*name))
            .map(|name| format!("{name} is missing"))
            .collect();
        if !missing.is_empty() {
            return Err(bad(&missing.join(", ")));
        }
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let scopes = match &fields["scopes"] {
            Value::String(list) => list.split(',').map(|scope| scope.trim().to_owned()).collect(),
            Value::Array(list) => {
                let texts = list.iter().map(|scope| scope.as_str().map(str::to_owned));
                texts.collect::<Option<Vec<_>>>().ok_or_else(|| bad("scopes is invalid"))?
            }
            _ => return Err(bad("scopes is invalid")),
        };
        if !scopes.iter().all(|scope| SCOPES.contains(&scope.as_str())) {
            return Err(bad("scopes does not have a valid value"));
        }
        let expires_at = match text("expires_at").filter(|time| !time.is_empty()) {
            Some(time) => Some(moment(&time).ok_or_else(|| bad("expires_at is invalid"))?),
            None => None,
        };
        Ok(Self {
            name: text("name").unwrap_or_default(),
            username: text("username"),
            scopes,
            expires_at,
        })
    }

    /// Refusals by the model (`app/models/deploy_token.rb`).
    pub fn check(&self) -> Result<()> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".+_-".contains(c);
        let mut errors = Vec::new();
        if self.scopes.is_empty() {
            errors.push("Scopes can't be blank");
        }
        if !self.username.as_ref().is_none_or(|name| name.chars().all(fits)) {
            errors.push("Username can contain only letters, digits, '_', '-', '+', and '.'");
        }
        if self.name.len() > 255 {
            errors.push("Name is too long (maximum is 255 characters)");
        }
        if errors.is_empty() { Ok(()) } else { Err(message(400, &errors.join(" and "))) }
    }
}

/// A date stands for its first second in UTC; fractions of a second are dropped.
fn moment(text: &str) -> Option<Timestamp> {
    let time = text.parse::<Timestamp>().or_else(|_| format!("{text}T00:00:00Z").parse()).ok()?;
    Timestamp::from_second(time.as_second()).ok()
}
