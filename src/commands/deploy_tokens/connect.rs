//! Connects to GitLab: determines the instance and the project or group, and checks what must be
//! known before anything is created there. Only reads.

use crate::answers::{Answer, ImageRef, Instance};
use crate::cli::{GitlabAccess, RegistryOptions};
use crate::credentials::{Access, job_authorities};
use crate::error::{Failure, Result};
use crate::gitlab::{Api, GitlabRefusal, ProjectOrGroup, Token};
use crate::http::{Authorities, is_loopback};
use crate::pull_secret::Issued;
use crate::registry::{Options, Registries};
use crate::remote::Remote;
use crate::ui::Ui;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A GitLab instance with its tokens for this project or group.
#[derive(Clone)]
pub(in crate::commands) struct Gitlab {
    pub(in crate::commands) api: Arc<Api>,
    pub(in crate::commands) place: ProjectOrGroup,
    /// All tokens of the project or group.
    pub(in crate::commands) tokens: Vec<Token>,
    /// The server's current time.
    pub(in crate::commands) time: Timestamp,
}

/// How to connect to servers.
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

/// The connections of a run, which sends each GitLab its credential once.
pub(in crate::commands) struct Gitlabs<'g> {
    access: &'g GitlabAccess,
    network: Network<'g>,
    /// The group that the user typed.
    group: Option<&'g str>,
    /// Whether tokens will be created or deleted.
    writes: bool,
    /// Instances that were contacted, with the API or the failure: a refused credential is not sent
    /// again.
    known: Vec<(Instance, std::result::Result<Arc<Api>, Failure>)>,
    /// Instances that registries have named, by the registries' hosts.
    named: Vec<(String, Instance)>,
    /// Results by target: repositories with the same group or project need its list of tokens only
    /// once.
    seen: BTreeMap<String, Gitlab>,
}

/// What identifies the GitLab instance and the project or group.
#[derive(Clone, Copy)]
pub(in crate::commands) struct OwnerHints<'m> {
    /// The token in the Secret.
    pub(in crate::commands) recorded: Option<&'m Issued>,
    /// The project's image.
    pub(in crate::commands) image: Option<&'m ImageRef>,
}

impl<'g> Gitlabs<'g> {
    /// Starts without any connection. `access` and `network` determine how to connect; a `group` is
    /// used for all connections.
    pub(in crate::commands) fn new(
        access: &'g GitlabAccess,
        network: Network<'g>,
        group: Option<&'g str>,
        writes: bool,
    ) -> Self {
        Self {
            access,
            network,
            group,
            writes,
            known: Vec::new(),
            named: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Connects to the GitLab instance and reads the project or group and its tokens. Fails if the
    /// credential is known to lack a permission.
    pub(in crate::commands) fn connect(
        &mut self,
        meant: OwnerHints,
        ui: &mut Ui,
    ) -> Result<Gitlab> {
        let api = self.api(meant, ui)?;
        let _waiting = ui.wait("contacting GitLab", 1);
        self.look(&api, meant)
    }

    /// The API of the GitLab instance, after checking the credential and its scope.
    pub(in crate::commands) fn api(&mut self, meant: OwnerHints, ui: &mut Ui) -> Result<Arc<Api>> {
        let typed = typed(self.access)?.host;
        let wanted = match (&typed, meant.recorded) {
            (Some(typed), _) => typed.clone(),
            (None, Some(issued)) => issued.token.instance.clone(),
            (None, None) => self.of_registry(meant.image)?,
        };
        if let Some((_, known)) = self.known.iter().find(|(instance, _)| *instance == wanted) {
            return Ok(known.clone()?);
        }
        let opened = self.open(&wanted, ui);
        let known = match &opened {
            Ok(api) => Ok(Arc::clone(api)),
            Err(error) => Err(Failure::from(error)),
        };
        self.known.push((wanted, known));
        opened
    }

    fn open(&self, wanted: &Instance, ui: &mut Ui) -> Result<Arc<Api>> {
        let credential = typed(self.access)?.credential(wanted, ui)?;
        let named = self.network.ca_file.map(|file| Authorities { named: "`--ca-file`", file });
        let stored =
            credential.authorities.as_ref().map(|(named, file)| Authorities { named, file });
        let authorities: Vec<_> = named.into_iter().chain(stored).collect();
        let api = Api::new(
            credential.instance,
            &credential.value,
            self.network.plain_http,
            &authorities,
        )?;
        if self.writes {
            let _waiting = ui.wait("contacting GitLab", 1);
            api.check_scope().map_err(|refusal| unusable(&api, &refusal))?;
        }
        Ok(Arc::new(api))
    }

    /// The GitLab instance that the registry of `image` names as its token service.
    fn of_registry(&mut self, image: Option<&ImageRef>) -> Result<Instance> {
        let hint = format!("--gitlab-host {}", Instance::EXAMPLE);
        let Some(image) = image else {
            return Err(Failure::usage("cannot determine the GitLab").hint(hint).into());
        };
        if let Some((_, instance)) = self.named.iter().find(|(host, _)| host == image.host()) {
            return Ok(instance.clone());
        }
        let registries = Registries::new(Options {
            plain_http: self.network.plain_http,
            ca_file: self.network.ca_file,
            platform: None,
        })?;
        let cannot =
            || Failure::failed(format!("cannot determine the GitLab of `{}`", image.host()));
        let realm = registries
            .token_service(image)
            .map_err(|verdict| cannot().because(verdict.message(image)).hint(hint.clone()))?;
        let instance = realm
            .as_deref()
            .and_then(Instance::of_realm)
            .ok_or_else(|| cannot().because("its answer does not name a GitLab").hint(hint))?;
        self.named.push((image.host().to_owned(), instance.clone()));
        Ok(instance)
    }

    /// Like [`Self::connect`], with an open API.
    pub(in crate::commands) fn look(
        &mut self,
        api: &Arc<Api>,
        meant: OwnerHints,
    ) -> Result<Gitlab> {
        let recorded = meant.recorded.filter(|issued| issued.token.instance == *api.instance());
        let recorded = recorded.map(|issued| issued.token.owner.api_path());
        let image = meant.image.filter(|_| recorded.is_none()).map(ImageRef::path);
        // A group that the user typed is the same for all repositories.
        let what = if self.group.is_some() { None } else { recorded.or(image) };
        let key = format!("{} {}", api.instance(), what.unwrap_or_default());
        if let Some(known) = self.seen.get(&key) {
            return Ok(known.clone());
        }
        let found = self.read(api, meant);
        let (place, tokens, time) = found.map_err(|refusal| unusable(api, &refusal))?;
        let found = Gitlab { api: Arc::clone(api), place, tokens, time };
        self.seen.insert(key, found.clone());
        Ok(found)
    }

    fn read(
        &self,
        api: &Api,
        meant: OwnerHints,
    ) -> std::result::Result<(ProjectOrGroup, Vec<Token>, Timestamp), GitlabRefusal> {
        let recorded = meant.recorded.filter(|issued| issued.token.instance == *api.instance());
        let place = match (self.group, recorded, meant.image) {
            (Some(path), ..) => api.group(path)?,
            // By number, because a moved project has another path.
            (None, Some(issued), _) => api.place(issued.token.owner)?,
            (None, None, Some(image)) => api.project_of(image)?,
            (None, None, None) => {
                return Err(GitlabRefusal::NotFound { what: "project".to_owned() });
            }
        };
        if self.writes {
            api.check_role(&place)?;
        }
        let (tokens, time) = api.list(&place)?;
        Ok((place, tokens, time))
    }
}

fn unusable(api: &Api, refusal: &GitlabRefusal) -> Failure {
    refusal.failure(
        "GitLab's API request failed; nothing was created or written",
        api.instance().as_str(),
    )
}

/// The user's options about the credential.
fn typed(access: &GitlabAccess) -> Result<Access<'_>> {
    let host = access.gitlab_host.as_deref().map(|text| {
        Instance::parse(text).map_err(|rule| {
            Failure::usage(format!("`--gitlab-host` {rule}"))
                .hint(format!("--gitlab-host {}", Instance::EXAMPLE))
        })
    });
    Ok(Access {
        host: host.transpose()?,
        file: access.gitlab_token_file.as_deref(),
        variable: access.gitlab_token_env.as_deref(),
    })
}

/// The remote `name` of the clone at `dir`, with an access token for GitLab repositories if an
/// environment variable has one.
pub(in crate::commands) fn remote(
    dir: &Path,
    name: &str,
    access: &GitlabAccess,
    network: Network,
) -> Result<Remote> {
    let remote = Remote::new(dir, name);
    let access = typed(access)?;
    let Some((instance, variable)) = access.in_variable()? else { return Ok(remote) };
    // Never sent over a network in plaintext.
    if instance.is_plain() && !network.plain_http && !is_loopback(instance.host()) {
        return Ok(remote);
    }
    let remote = match job_authorities() {
        Some(file) => remote.trusting(&instance, &file),
        None => remote,
    };
    Ok(remote.signing_in(&instance, variable))
}
