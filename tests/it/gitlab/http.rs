//! HTTP/1.1 as far as the tests' GitLab server needs it: bodies, keep-alive, and truncated answers.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    /// A header's value; the name is case-insensitive.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The header with the API credential, as `NAME: VALUE`; `None` if there was none.
    pub fn credential(&self) -> Option<String> {
        let names = ["PRIVATE-TOKEN", "Authorization"];
        names.into_iter().find_map(|name| Some(format!("{name}: {}", self.header(name)?)))
    }

    /// Reads a request; `None` at the end of the connection.
    fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut line = || {
            let mut text = String::new();
            stream.read_line(&mut text).ok().filter(|length| *length > 0)?;
            Some(text.trim_end().to_owned())
        };
        let first = line()?;
        let mut words = first.split(' ').map(str::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        let mut headers = Vec::new();
        loop {
            let header = line()?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut request = Self { method, target, headers, body: String::new() };
        let length = request.header("Content-Length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        request.body = String::from_utf8_lossy(&body).into_owned();
        Some(request)
    }
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn new(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }.with("Content-Type", content_type)
    }

    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// Adds or replaces a header.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// What happens to a connection.
pub enum Reply {
    Answer(Answer),
    /// It ends in the middle of the body.
    CutOff(Answer),
    /// It ends without an answer.
    Drop,
}

/// Listens on a port of 127.0.0.1 until it is dropped.
pub struct Server {
    pub address: String,
    stopped: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Starts the server, with https if `tls`.
    pub fn start(
        tls: Option<Arc<ServerConfig>>,
        reply: impl Fn(Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stopped, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stop, streams, reply) = (stopped.clone(), open.clone(), Arc::new(reply));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                streams.lock().unwrap().push(stream.try_clone().unwrap());
                let (reply, tls) = (reply.clone(), tls.clone());
                thread::spawn(move || {
                    let end = stream.try_clone().unwrap();
                    match tls.map(|tls| ServerConnection::new(tls).unwrap()) {
                        Some(tls) => serve(StreamOwned::new(tls, stream), &*reply),
                        None => serve(stream, &*reply),
                    }
                    let _ = end.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, stopped, open, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread.
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().map(thread::JoinHandle::join);
        for stream in &*self.open.lock().unwrap() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Answers requests until either side closes the connection.
fn serve(stream: impl Read + Write, reply: &impl Fn(Request) -> Reply) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = Request::read(&mut stream) {
        let close =
            request.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let is_head = request.method == "HEAD";
        let (bytes, last) = match reply(request) {
            Reply::Answer(answer) => (bytes(&answer, is_head, answer.body.len()), close),
            Reply::CutOff(answer) => (bytes(&answer, is_head, answer.body.len() / 2), true),
            Reply::Drop => return,
        };
        if stream.get_mut().write_all(&bytes).is_err() || last {
            return;
        }
    }
}

/// The answer of the token service at `address` to a GET.
pub fn forward(request: &Request, address: &str) -> Answer {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let agent =
        ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
    let mut call = agent.get(format!("http://{address}/jwt/auth?{query}"));
    if let Some(login) = request.header("Authorization") {
        call = call.header("Authorization", login);
    }
    let mut response = call.call().unwrap();
    let kind = response.headers()["Content-Type"].to_str().unwrap().to_owned();
    Answer::new(response.status().as_u16(), &kind, response.body_mut().read_to_string().unwrap())
}

/// An answer with the first `sent` bytes of its body.
fn bytes(answer: &Answer, is_head: bool, sent: usize) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if answer.status != 204 {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    head.push_str("\r\n");
    let body = if is_head || answer.status == 204 { &[] } else { &answer.body.as_bytes()[..sent] };
    [head.as_bytes(), body].concat()
}

fn reason(status: u16) -> &'static str {
    let reasons = [
        (200, "OK"),
        (201, "Created"),
        (204, "No Content"),
        (301, "Moved Permanently"),
        (302, "Found"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (429, "Too Many Requests"),
        (500, "Internal Server Error"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
    ];
    reasons.into_iter().find(|(own, _)| *own == status).map_or("Other", |(_, reason)| reason)
}
