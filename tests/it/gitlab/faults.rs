//! Faults of the network, a proxy or an overloaded server, to be applied to the next requests.

use super::http::Answer;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// A fault.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Gives this answer without executing the request.
    Answer(Answer),
    /// Closes the connection before executing the request.
    DropBefore,
    /// Executes the request, then closes the connection without an answer.
    DropAfter,
    /// Executes the request, and closes the connection in the middle of the answer.
    CutOff,
    /// Holds the request until [`super::Gitlab::release`], then executes it.
    HoldBefore,
    /// Executes the request, and holds the answer until [`super::Gitlab::release`].
    HoldAfter,
    /// Executes the request after this time.
    Delay(Duration),
    /// Executes the request, and answers after this time.
    DelayAfter(Duration),
    /// The answer's `Link` leads to this origin, `http://HOST:PORT`.
    LinksTo(String),
    /// Omits these headers from the answer.
    Without(&'static [&'static str]),
}

impl Fault {
    /// A JSON answer by GitLab itself.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Answer(Answer::json(status, body))
    }

    /// A proxy's page.
    pub fn html(status: u16) -> Self {
        let page = format!(
            "<html><head><title>{status}</title></head><body><h1>nginx</h1></body></html>\n"
        );
        Self::Answer(Answer::new(status, "text/html", page))
    }

    /// 429 as from the API's own limits; `Retry-After` may be missing.
    pub fn too_many_requests(retry_after: Option<u32>) -> Self {
        Self::limited("application/json", r#"{"message":"429 Too Many Requests"}"#, retry_after)
    }

    /// 429 as from `Rack::Attack`, in plain text.
    pub fn retry_later(retry_after: Option<u32>) -> Self {
        Self::limited("text/plain", "Retry later\n", retry_after)
    }

    fn limited(content_type: &str, body: &str, retry_after: Option<u32>) -> Self {
        let answer = Answer::new(429, content_type, body);
        Self::Answer(match retry_after {
            Some(seconds) => answer.with("Retry-After", seconds.to_string()),
            None => answer,
        })
    }

    pub fn redirect(url: &str) -> Self {
        Self::Answer(Answer::new(302, "text/html", "").with("Location", url))
    }
}

/// A fault and the requests to which it applies.
pub struct Planned {
    method: &'static str,
    within: String,
    fault: Fault,
    /// The number of requests left.
    left: u32,
}

impl Planned {
    pub fn new(method: &'static str, within: &str, fault: Fault, times: u32) -> Self {
        Self { method, within: within.to_owned(), fault, left: times }
    }
}

/// Takes the first of `planned` that applies to this request.
pub fn take(planned: &mut Vec<Planned>, method: &str, target: &str) -> Option<Fault> {
    let fits = |one: &Planned| one.method == method && target.contains(&one.within);
    let index = planned.iter().position(fits)?;
    planned[index].left -= 1;
    let fault = planned[index].fault.clone();
    if planned[index].left == 0 {
        planned.remove(index);
    }
    Some(fault)
}

/// Holds requests until they are released.
#[derive(Default)]
pub struct Gate {
    state: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    waiting: u32,
    /// How many of them may continue.
    passes: u32,
    open: bool,
}

impl Gate {
    pub fn hold(&self) {
        let mut held = self.state.lock().unwrap();
        held.waiting += 1;
        self.changed.notify_all();
        held = self.changed.wait_while(held, |held| held.passes == 0 && !held.open).unwrap();
        held.passes = held.passes.saturating_sub(1);
        held.waiting -= 1;
    }

    /// Waits until a request is held.
    pub fn wait(&self) {
        let held = self.state.lock().unwrap();
        let nobody = |held: &mut Held| held.waiting == held.passes;
        let waited =
            self.changed.wait_timeout_while(held, Duration::from_secs(60), nobody).unwrap();
        assert!(!waited.1.timed_out(), "no request came that is held");
    }

    /// The number of requests currently held.
    pub fn waiting(&self) -> usize {
        let held = self.state.lock().unwrap();
        (held.waiting - held.passes) as usize
    }

    /// Releases the held requests.
    pub fn release(&self) {
        let mut held = self.state.lock().unwrap();
        held.passes = held.waiting;
        self.changed.notify_all();
    }

    /// Stops holding requests.
    pub fn open(&self) {
        self.state.lock().unwrap().open = true;
        self.changed.notify_all();
    }
}
