//! A GitLab server for tests: its deploy-token API with a state, a clock, and the faults of a
//! network.
//!
//! It answers as GitLab 19's source says. Two clients of others hold it to that.
//!
//! ```
//! let gitlab = Gitlab::start();
//! gitlab.project(7, "group/hello").person("glpat-ada", &[("group/hello", Role::Maintainer)], &["api"]);
//! gitlab.next("POST", "/deploy_tokens", Fault::DropAfter);
//! // ... run something against gitlab.url() ...
//! assert_eq!(gitlab.tokens().len(), 1);
//! ```

mod api;
mod clients;
mod credentials;
mod faults;
mod http;
mod mirror;
mod state;
mod tests;
mod text;
mod wanted;

pub use faults::Fault;
pub use http::Request;
pub use state::{DeployToken, Kind, Role, Standing};

use super::registry_bed::Authority;
use faults::{Gate, Planned};
use http::{Answer, Reply, Server};
use jiff::{SignedDuration, Timestamp};
use mirror::Mirror;
use rustls::ServerConfig;
use state::{Clock, Person, Place, State};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread;
use std::time::Duration;

/// The server, which stops when dropped. Everything can be changed while it runs.
pub struct Gitlab {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    requests: Mutex<Vec<Request>>,
    planned: Mutex<Vec<Planned>>,
    gate: Gate,
    /// The number of requests in progress.
    busy: AtomicUsize,
    /// The address of the token service behind it.
    sign_in: Mutex<Option<String>>,
    mirror: Mutex<Option<Mirror>>,
}

impl Gitlab {
    /// An empty instance at the root of a port on 127.0.0.1, with the real clock.
    pub fn start() -> Self {
        Self::with(None)
    }

    /// Like [`Gitlab::start`], over TLS, with a certificate for `127.0.0.1` and `names`.
    pub fn with_tls(authority: &Authority, names: &[&str]) -> Self {
        Self::with(Some(authority.server_config(&[names, &["127.0.0.1"]].concat()).into()))
    }

    fn with(tls: Option<Arc<ServerConfig>>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new()),
            requests: Mutex::default(),
            planned: Mutex::default(),
            gate: Gate::default(),
            busy: AtomicUsize::new(0),
            sign_in: Mutex::default(),
            mirror: Mutex::default(),
        });
        let server = Server::start(tls, {
            let shared = shared.clone();
            move |request| {
                shared.busy.fetch_add(1, Ordering::SeqCst);
                let reply = shared.reply(&request);
                shared.busy.fetch_sub(1, Ordering::SeqCst);
                reply
            }
        });
        shared.state().origin = format!("{scheme}://{}", server.address);
        Self { server, shared }
    }

    /// Serves the instance below a path, such as `/root`.
    pub fn below(self, root: &str) -> Self {
        root.clone_into(&mut self.shared.state().root);
        self
    }

    /// Gives the instance the public URL `https://HOST`, from which a proxy leads to its port. The
    /// URL appears in `Link` and redirects.
    pub fn named(self, origin: &str) -> Self {
        origin.clone_into(&mut self.shared.state().origin);
        self
    }

    /// Simulates a proxy that decodes `%2F` in paths.
    pub fn behind_a_decoding_proxy(self) -> Self {
        self.shared.state().decodes_slashes = true;
        self
    }

    /// `http://127.0.0.1:PORT`, including the path.
    pub fn url(&self) -> String {
        self.shared.state().url()
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> &str {
        &self.server.address
    }

    /// Sets the host of its container registry, which projects report.
    pub fn registry(&self, host: &str) -> &Self {
        self.change(|state| host.clone_into(&mut state.registry))
    }

    /// Adds a private project.
    pub fn project(&self, id: u64, path: &str) -> &Self {
        let place = Place { kind: Kind::Project, id, path: path.to_owned(), public: false };
        self.change(|state| state.places.push(place))
    }

    /// Adds a private group.
    pub fn group(&self, id: u64, path: &str) -> &Self {
        let place = Place { kind: Kind::Group, id, path: path.to_owned(), public: false };
        self.change(|state| state.places.push(place))
    }

    /// Makes the project or group public.
    pub fn public(&self, path: &str) -> &Self {
        self.change(|state| {
            state
                .places
                .iter_mut()
                .filter(|place| place.path == path)
                .for_each(|place| place.public = true);
        })
    }

    /// Makes `old_path` a former path of the project `id`.
    pub fn moved(&self, old_path: &str, id: u64) -> &Self {
        self.change(|state| state.moved.push((old_path.to_owned(), id)))
    }

    /// Moves a project; its old path then redirects.
    pub fn rename(&self, id: u64, path: &str) -> &Self {
        self.change(|state| {
            let project = |place: &&mut Place| place.kind == Kind::Project && place.id == id;
            let place = state.places.iter_mut().find(project).unwrap();
            state.moved.push((std::mem::replace(&mut place.path, path.to_owned()), id));
        })
    }

    /// Deletes a project with its tokens.
    pub fn remove_project(&self, id: u64) -> &Self {
        self.change(|state| {
            state.places.retain(|place| place.kind != Kind::Project || place.id != id);
            state.tokens.retain(|token| token.kind != Kind::Project || token.place != id);
        })
    }

    /// Adds a user with a personal access token. `roles` are by path; those of a group apply to
    /// everything below it.
    pub fn person(&self, credential: &str, roles: &[(&str, Role)], scopes: &[&str]) -> &Self {
        self.somebody(credential, roles, scopes, false)
    }

    /// Adds a user with an OAuth token, as from `glab auth login`, which is only accepted as
    /// `Bearer`.
    pub fn oauth(&self, credential: &str, roles: &[(&str, Role)], scopes: &[&str]) -> &Self {
        self.somebody(credential, roles, scopes, true)
    }

    fn somebody(
        &self,
        credential: &str,
        roles: &[(&str, Role)],
        scopes: &[&str],
        oauth: bool,
    ) -> &Self {
        self.change(|state| {
            state.people.push(Person {
                id: 100 + state.people.len() as u64,
                credential: credential.to_owned(),
                oauth,
                standing: Standing::Valid,
                roles: roles.iter().map(|(path, role)| ((*path).to_owned(), *role)).collect(),
                scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            });
        })
    }

    /// Replaces the roles of a credential.
    pub fn roles(&self, credential: &str, roles: &[(&str, Role)]) -> &Self {
        let roles = roles.iter().map(|(path, role)| ((*path).to_owned(), *role)).collect();
        self.change(|state| state.person_mut(credential).roles = roles)
    }

    /// Expires, revokes or restores a credential.
    pub fn standing(&self, credential: &str, standing: Standing) -> &Self {
        self.change(|state| state.person_mut(credential).standing = standing)
    }

    /// All deploy tokens, in the order of creation.
    pub fn tokens(&self) -> Vec<DeployToken> {
        self.shared.state().tokens.clone()
    }

    /// The deploy token with this id.
    pub fn token(&self, id: u64) -> Option<DeployToken> {
        self.tokens().into_iter().find(|token| token.id == id)
    }

    /// Adds a token by hand, see [`DeployToken::by_hand`], and returns its id.
    pub fn add_token(&self, token: DeployToken) -> u64 {
        let mut id = 0;
        self.change(|state| id = state.add(token));
        id
    }

    /// Changes any property of a token: expiry, project, `revoked`.
    pub fn change_token(&self, id: u64, change: impl FnOnce(&mut DeployToken)) -> &Self {
        self.change(|state| change(state.tokens.iter_mut().find(|token| token.id == id).unwrap()))
    }

    /// Removes a token, like a DELETE by somebody else.
    pub fn remove_token(&self, id: u64) -> &Self {
        self.change(|state| state.tokens.retain(|token| token.id != id))
    }

    /// Sets the clock and stops it.
    pub fn set_clock(&self, time: Timestamp) -> &Self {
        self.change(|state| state.clock = Clock::Set(time))
    }

    /// Advances the clock and stops it.
    pub fn advance(&self, by: SignedDuration) -> &Self {
        self.change(|state| state.advance(by))
    }

    /// All requests so far, including those with a fault.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// All requests as `METHOD TARGET`.
    pub fn log(&self) -> Vec<String> {
        self.requests()
            .iter()
            .map(|request| format!("{} {}", request.method, request.target))
            .collect()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) -> &Self {
        self.shared.requests.lock().unwrap().clear();
        self
    }

    /// Plans a fault for the next request with this method and `within` in its path and query.
    /// Faults for the same request apply in the order of planning.
    pub fn next(&self, method: &'static str, within: &str, fault: Fault) -> &Self {
        self.times(1, method, within, fault)
    }

    /// Plans a fault for the next `times` requests; `u32::MAX` for all.
    pub fn times(&self, times: u32, method: &'static str, within: &str, fault: Fault) -> &Self {
        self.shared.planned.lock().unwrap().push(Planned::new(method, within, fault, times));
        self
    }

    /// Waits until a request is held by [`Fault::HoldBefore`] or [`Fault::HoldAfter`]. The test can
    /// then kill the client, or act as somebody else.
    pub fn wait_for_held(&self) -> &Self {
        self.shared.gate.wait();
        self
    }

    /// Whether a request is held.
    pub fn holds(&self) -> bool {
        self.shared.gate.waiting() > 0
    }

    /// Waits until all requests are answered, except for those that are held.
    pub fn wait_for_idle(&self) -> &Self {
        while self.shared.busy.load(Ordering::SeqCst) > self.shared.gate.waiting() {
            thread::sleep(Duration::from_millis(1));
        }
        self
    }

    /// Releases the held requests.
    pub fn release(&self) -> &Self {
        self.shared.gate.release();
        self
    }

    /// Cancels the remaining faults.
    pub fn heal(&self) -> &Self {
        self.shared.planned.lock().unwrap().clear();
        self
    }

    /// Forwards `/jwt/auth` to the token service at this address (`HOST:PORT`, plain http). These
    /// requests are not in [`Gitlab::requests`], but faults apply to them.
    pub fn signs_in_by(&self, address: &str) -> &Self {
        *self.shared.sign_in.lock().unwrap() = Some(address.to_owned());
        self
    }

    /// Keeps the valid tokens as files in `dir`, in the format of tests/cluster/token-service.
    /// Tokens created from now on are refused there for `delay`.
    pub fn registry_tokens_in(&self, dir: &Path, delay: Duration) -> &Self {
        let prefix = format!("gitlab-{}", self.host().rsplit(':').next().unwrap());
        let mirror = Mirror::new(dir.to_owned(), prefix, delay, &self.shared.state());
        *self.shared.mirror.lock().unwrap() = Some(mirror);
        self.shared.sync();
        let shared = Arc::downgrade(&self.shared);
        // For changes over time: the end of a delay, the expiry of a token.
        thread::spawn(move || {
            while let Some(shared) = Weak::upgrade(&shared) {
                shared.sync();
                drop(shared);
                thread::sleep(Duration::from_millis(20));
            }
        });
        self
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> &Self {
        change(&mut self.shared.state());
        self.shared.sync();
        self
    }
}

impl Drop for Gitlab {
    fn drop(&mut self) {
        self.shared.gate.open();
        // Its directory may be deleted next.
        *self.shared.mirror.lock().unwrap() = None;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn sync(&self) {
        if let Some(mirror) = &mut *self.mirror.lock().unwrap() {
            mirror.sync(&self.state());
        }
    }

    fn reply(&self, request: &Request) -> Reply {
        let fault =
            faults::take(&mut self.planned.lock().unwrap(), &request.method, &request.target);
        if !self.is_sign_in(request) {
            self.requests.lock().unwrap().push(request.clone());
        }
        match fault {
            None => Reply::Answer(self.answer(request)),
            Some(Fault::Answer(answer)) => Reply::Answer(api::dated(answer, &self.state())),
            Some(Fault::DropBefore) => Reply::Drop,
            Some(Fault::DropAfter) => {
                self.answer(request);
                Reply::Drop
            }
            Some(Fault::CutOff) => Reply::CutOff(self.answer(request)),
            Some(Fault::HoldBefore) => {
                self.gate.hold();
                Reply::Answer(self.answer(request))
            }
            Some(Fault::HoldAfter) => {
                let answer = self.answer(request);
                self.gate.hold();
                Reply::Answer(answer)
            }
            Some(Fault::Delay(time)) => {
                thread::sleep(time);
                Reply::Answer(self.answer(request))
            }
            Some(Fault::DelayAfter(time)) => {
                let answer = self.answer(request);
                thread::sleep(time);
                Reply::Answer(answer)
            }
            Some(Fault::LinksTo(origin)) => {
                let mut answer = self.answer(request);
                let own = self.state().origin.clone();
                answer.headers.iter_mut().filter(|(name, _)| name == "Link").for_each(
                    |(_, value)| {
                        *value = value.replace(&own, &origin);
                    },
                );
                Reply::Answer(answer)
            }
            Some(Fault::Without(names)) => {
                let mut answer = self.answer(request);
                answer.headers.retain(|(name, _)| !names.contains(&name.as_str()));
                Reply::Answer(answer)
            }
        }
    }

    fn is_sign_in(&self, request: &Request) -> bool {
        let path = request.target.split('?').next();
        path.and_then(|path| path.strip_prefix(&self.state().root)) == Some("/jwt/auth")
    }

    fn answer(&self, request: &Request) -> Answer {
        if self.is_sign_in(request)
            && let Some(service) = &*self.sign_in.lock().unwrap()
        {
            return http::forward(request, service);
        }
        let answer = api::answer(&mut self.state(), request);
        self.sync();
        answer
    }
}
