//! Servers for what no real server does on demand: a proxy, a redirect, silence.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Listens on its own port until it is dropped, and records the head of every request.
pub struct SmallServer {
    pub address: String,
    heads: Arc<Mutex<Vec<String>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl SmallServer {
    /// Answers each connection with the result of `answer` for the head of its request.
    pub fn start(answer: impl Fn(&str, TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let (kept, stop, answer) = (heads.clone(), stopped.clone(), Arc::new(answer));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let (kept, answer) = (kept.clone(), answer.clone());
                thread::spawn(move || {
                    let head = read_head(&stream);
                    kept.lock().unwrap().push(head.clone());
                    answer(&head, stream);
                });
            }
        });
        Self { address, heads, stopped, thread: Some(thread) }
    }

    /// Gives every request the same answer, consisting of status line and headers.
    pub fn saying(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::start(move |_, mut stream| {
            let _ = write!(
                stream,
                "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        })
    }

    /// A proxy for CONNECT only. It connects every name to `target`, and requires `login` if there
    /// is one.
    pub fn proxy(
        target: impl Fn(&str) -> String + Send + Sync + 'static,
        login: Option<&'static str>,
    ) -> Self {
        Self::start(move |head, mut stream| {
            let name = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
            let known = login.is_none_or(|login| {
                head.contains(&format!("Proxy-Authorization: Basic {login}\r\n"))
            });
            let (Some(name), true) = (name, known) else {
                let _ = write!(stream, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
                return;
            };
            let Ok(server) = TcpStream::connect(target(name)) else {
                let _ = write!(stream, "HTTP/1.1 502 Bad Gateway\r\n\r\n");
                return;
            };
            let _ = write!(stream, "HTTP/1.1 200 OK\r\n\r\n");
            join(&stream, &server);
        })
    }

    /// A SOCKS 5 proxy (RFC 1928) without a login, for names and for `target` only.
    pub fn socks(target: String) -> Self {
        Self::start(move |_, mut stream| {
            // The version of the greeting has been read already.
            let mut methods = vec![0; read_bytes::<1>(&stream)[0].into()];
            stream.read_exact(&mut methods).unwrap();
            stream.write_all(&[5, 0]).unwrap();
            let [.., kind, length] = read_bytes::<5>(&stream);
            assert_eq!(kind, 3, "a name, which is looked up by the proxy");
            stream.read_exact(&mut vec![0; usize::from(length) + 2]).unwrap();
            stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
            join(&stream, &TcpStream::connect(&target).unwrap());
        })
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for SmallServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread.
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// Forwards data in both directions until both sides are done.
fn join(mut client: &TcpStream, mut server: &TcpStream) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || io::copy(&mut from, &mut to));
    let _ = io::copy(&mut server, &mut client);
}

fn read_bytes<const N: usize>(mut stream: &TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads until an empty line, the end, or a byte that shows the input to be TLS or SOCKS rather
/// than HTTP.
fn read_head(mut stream: &TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n")
        && head.len() < 16 << 10
        && !matches!(head.first(), Some(0x16 | 5))
    {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}
