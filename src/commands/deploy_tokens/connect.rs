//! Which GitLab, and which project or group of it; what must be known before anything is made there. Only reads.

use crate::answers::{Answer, ImageRef, Instance};
use crate::cli::{GitlabAccess, RegistryOptions};
use crate::credentials::Access;
use crate::error::{Failure, Result};
use crate::gitlab::{Api, Place, Refusal, Token};
use crate::http::Authorities;
use crate::pull_secret::Issued;
use crate::registry::{Options, Registries};
use crate::ui::Ui;
use jiff::Timestamp;
use std::path::Path;

/// A GitLab that answers, with what it has of this project or group.
pub(in crate::commands) struct Gitlab {
    pub(in crate::commands) api: Api,
    pub(in crate::commands) place: Place,
    /// All its tokens.
    pub(in crate::commands) tokens: Vec<Token>,
    /// What time it is there.
    pub(in crate::commands) time: Timestamp,
}

/// How servers are spoken to.
#[derive(Clone, Copy)]
pub(in crate::commands) struct Network<'n> {
    pub(in crate::commands) plain_http: bool,
    pub(in crate::commands) ca_file: Option<&'n Path>,
}

impl<'n> From<&'n RegistryOptions> for Network<'n> {
    fn from(options: &'n RegistryOptions) -> Self {
        Self { plain_http: options.plain_http, ca_file: options.ca_file.as_deref() }
    }
}

/// What is known of where to ask.
pub(in crate::commands) struct Wish<'w> {
    /// What the user typed.
    pub(in crate::commands) access: &'w GitlabAccess,
    /// How to speak to it.
    pub(in crate::commands) network: Network<'w>,
    /// The group that was typed.
    pub(in crate::commands) group: Option<&'w str>,
    /// The token that the Secret holds.
    pub(in crate::commands) recorded: Option<&'w Issued>,
    /// The project's image.
    pub(in crate::commands) image: Option<&'w ImageRef>,
    /// Whether tokens are to be made or deleted.
    pub(in crate::commands) writes: bool,
}

impl Wish<'_> {
    /// Asks GitLab for the project or group and its tokens. Fails if the credential may not do there what is wanted, as far as
    /// that can be known.
    pub(in crate::commands) fn connect(&self, ui: &mut Ui) -> Result<Gitlab> {
        let api = self.api(ui)?;
        let waiting = ui.wait("asking GitLab", 1);
        let found = self.read(&api);
        drop(waiting);
        match found {
            Ok((place, tokens, time)) => Ok(Gitlab { api, place, tokens, time }),
            Err(refusal) => {
                let instance = api.instance().as_str();
                Err(refusal.failure("cannot use GitLab's API; nothing was made or written", instance).into())
            }
        }
    }

    /// The API, which was sent nothing yet.
    pub(in crate::commands) fn api(&self, ui: &mut Ui) -> Result<Api> {
        let host = self.access.gitlab_host.as_deref().map(|text| {
            Instance::parse(text).map_err(|rule| {
                Failure::usage(format!("`--gitlab-host` {rule}"))
                    .hint(format!("--gitlab-host {}", Instance::EXAMPLE))
            })
        });
        let access = Access {
            host: host.transpose()?,
            file: self.access.gitlab_token_file.as_deref(),
            variable: self.access.gitlab_token_env.as_deref(),
        };
        let wanted = match (&access.host, self.recorded) {
            (Some(typed), _) => typed.clone(),
            (None, Some(issued)) => issued.token.instance.clone(),
            (None, None) => self.of_registry()?,
        };
        let credential = access.credential(&wanted, ui)?;
        let typed = self.network.ca_file.map(|file| Authorities { named: "`--ca-file`", file });
        let stored = credential.authorities.as_ref().map(|(named, file)| Authorities { named, file });
        let authorities: Vec<_> = typed.into_iter().chain(stored).collect();
        Api::new(credential.instance, &credential.value, self.network.plain_http, &authorities)
    }

    /// The GitLab whose token service the registry names.
    fn of_registry(&self) -> Result<Instance> {
        let hint = format!("--gitlab-host {}", Instance::EXAMPLE);
        let Some(image) = self.image else {
            return Err(Failure::usage("no GitLab is known").hint(hint).into());
        };
        let registries = Registries::new(Options {
            plain_http: self.network.plain_http,
            ca_file: self.network.ca_file,
            platform: None,
        })?;
        let cannot = || Failure::failed(format!("no GitLab is known for `{}`", image.host()));
        match registries.token_service(image) {
            Ok(realm) => Ok(realm.as_deref().and_then(Instance::of_realm).ok_or_else(|| {
                cannot().because("it is not the registry of a GitLab, as far as it says").hint(hint)
            })?),
            Err(verdict) => Err(cannot().because(verdict.message(image)).hint(hint).into()),
        }
    }

    fn read(&self, api: &Api) -> std::result::Result<(Place, Vec<Token>, Timestamp), Refusal> {
        if self.writes {
            api.check_scope()?;
        }
        let recorded = self.recorded.filter(|issued| issued.token.instance == *api.instance());
        let place = match (self.group, recorded, self.image) {
            (Some(path), ..) => api.group(path)?,
            // By number: a project that was moved has another path.
            (None, Some(issued), _) => api.place(issued.token.owner)?,
            (None, None, Some(image)) => api.project_of(image)?,
            (None, None, None) => return Err(Refusal::NotFound { what: "project".to_owned() }),
        };
        if self.writes {
            api.check_role(&place)?;
        }
        let (tokens, time) = api.list(&place)?;
        Ok((place, tokens, time))
    }
}
