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

/// The server; it stops when dropped. Everything can be changed while it runs.
pub struct Gitlab {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    requests: Mutex<Vec<Request>>,
    planned: Mutex<Vec<Planned>>,
    gate: Gate,
    /// How many requests are being answered.
    busy: AtomicUsize,
    /// The token service behind it.
    sign_in: Mutex<Option<String>>,
    mirror: Mutex<Option<Mirror>>,
}

impl Gitlab {
    /// An empty instance at the root of a port of 127.0.0.1, whose clock is the real one.
    pub fn start() -> Self {
        Self::with(None)
    }

    /// The same over TLS, with a certificate for `127.0.0.1` and `names`.
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

    /// Puts the instance below a path, such as `/root`.
    pub fn below(self, root: &str) -> Self {
        root.clone_into(&mut self.shared.state().root);
        self
    }

    /// Names the instance `https://HOST`, where a proxy leads to its port: so it calls itself in
    /// `Link` and redirects.
    pub fn named(self, origin: &str) -> Self {
        origin.clone_into(&mut self.shared.state().origin);
        self
    }

    /// Puts a proxy before it that decodes `%2F` in paths.
    pub fn behind_a_decoding_proxy(self) -> Self {
        self.shared.state().decodes_slashes = true;
        self
    }

    /// `http://127.0.0.1:PORT`, with the path below which it is.
    pub fn url(&self) -> String {
        self.shared.state().url()
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> &str {
        &self.server.address
    }

    /// Host of its container registry, which projects tell.
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

    /// Lets everybody see the project or group.
    pub fn public(&self, path: &str) -> &Self {
        self.change(|state| {
            state
                .places
                .iter_mut()
                .filter(|place| place.path == path)
                .for_each(|place| place.public = true);
        })
    }

    /// Makes `old_path` one that project `id` had before.
    pub fn moved(&self, old_path: &str, id: u64) -> &Self {
        self.change(|state| state.moved.push((old_path.to_owned(), id)))
    }

    /// Gives a project another path: from now on its old one is that of a moved project.
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

    /// Adds somebody with a personal access token. `roles` are by path; those of a group are for
    /// all below it.
    pub fn person(&self, credential: &str, roles: &[(&str, Role)], scopes: &[&str]) -> &Self {
        self.somebody(credential, roles, scopes, false)
    }

    /// Adds somebody with a token of OAuth, as `glab auth login` gets one: only `Bearer` takes it.
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

    /// Takes a credential's roles away, or gives it others.
    pub fn roles(&self, credential: &str, roles: &[(&str, Role)]) -> &Self {
        let roles = roles.iter().map(|(path, role)| ((*path).to_owned(), *role)).collect();
        self.change(|state| state.person_mut(credential).roles = roles)
    }

    /// Lets a credential expire, revokes it, or makes it valid again.
    pub fn standing(&self, credential: &str, standing: Standing) -> &Self {
        self.change(|state| state.person_mut(credential).standing = standing)
    }

    /// All deploy tokens, in the order in which they were made.
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

    /// Changes anything of a token: expiry, project, `revoked`.
    pub fn change_token(&self, id: u64, change: impl FnOnce(&mut DeployToken)) -> &Self {
        self.change(|state| change(state.tokens.iter_mut().find(|token| token.id == id).unwrap()))
    }

    /// Removes a token, as somebody else's DELETE does.
    pub fn remove_token(&self, id: u64) -> &Self {
        self.change(|state| state.tokens.retain(|token| token.id != id))
    }

    /// Sets the clock, which stands still from now on.
    pub fn set_clock(&self, time: Timestamp) -> &Self {
        self.change(|state| state.clock = Clock::Set(time))
    }

    /// Moves the clock and stops it.
    pub fn advance(&self, by: SignedDuration) -> &Self {
        self.change(|state| state.advance(by))
    }

    /// All requests so far, those with a fault included.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The same as `METHOD TARGET`, for a comparison as a whole.
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

    /// Lets the next request with this method, and `within` in its path and query, meet a fault.
    /// Faults for the same request come in the order in which they were planned.
    pub fn next(&self, method: &'static str, within: &str, fault: Fault) -> &Self {
        self.times(1, method, within, fault)
    }

    /// The same for the next `times` requests; `u32::MAX` for all.
    pub fn times(&self, times: u32, method: &'static str, within: &str, fault: Fault) -> &Self {
        self.shared.planned.lock().unwrap().push(Planned::new(method, within, fault, times));
        self
    }

    /// Returns once a request is held by [`Fault::HoldBefore`] or [`Fault::HoldAfter`]: now a test
    /// kills who sent it, or does what somebody else does meanwhile.
    pub fn wait_for_held(&self) -> &Self {
        self.shared.gate.wait();
        self
    }

    /// Whether a request is held now.
    pub fn holds(&self) -> bool {
        self.shared.gate.waiting() > 0
    }

    /// Returns once all requests are answered but those that are held.
    pub fn wait_for_idle(&self) -> &Self {
        while self.shared.busy.load(Ordering::SeqCst) > self.shared.gate.waiting() {
            thread::sleep(Duration::from_millis(1));
        }
        self
    }

    /// Lets the requests go on that are held.
    pub fn release(&self) -> &Self {
        self.shared.gate.release();
        self
    }

    /// Forgets the faults that are left.
    pub fn heal(&self) -> &Self {
        self.shared.planned.lock().unwrap().clear();
        self
    }

    /// Has it answer `/jwt/auth` as the token service at this address (`HOST:PORT`, plain http)
    /// does. These requests are not among [`Gitlab::requests`], but may meet faults.
    pub fn signs_in_by(&self, address: &str) -> &Self {
        *self.shared.sign_in.lock().unwrap() = Some(address.to_owned());
        self
    }

    /// Keeps the tokens that sign in as files in `dir`, as tests/cluster/token-service reads them.
    /// A token that is made from now on is refused there for `delay`.
    pub fn registry_tokens_in(&self, dir: &Path, delay: Duration) -> &Self {
        let prefix = format!("gitlab-{}", self.host().rsplit(':').next().unwrap());
        let mirror = Mirror::new(dir.to_owned(), prefix, delay, &self.shared.state());
        *self.shared.mirror.lock().unwrap() = Some(mirror);
        self.shared.sync();
        let shared = Arc::downgrade(&self.shared);
        // For what comes with time: a delay that is over, a token that expires.
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
        // Its directory may be gone next.
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
