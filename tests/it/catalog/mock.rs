//! A hub on loopback: one thread, plain HTTP, one answer per connection, every request remembered.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What came in.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// First byte asked for by a `Range` header.
    pub from: Option<usize>,
    pub token: Option<String>,
}

/// What goes out.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Bytes of the body after which the connection is closed.
    pub cut_at: usize,
}

impl Answer {
    pub fn new(status: u16, body: &[u8]) -> Self {
        Self { status, headers: Vec::new(), body: body.to_vec(), cut_at: usize::MAX }
    }

    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn cut_at(mut self, n_bytes: usize) -> Self {
        self.cut_at = n_bytes;
        self
    }
}

/// Serves until the test ends.
pub struct Server {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` sees the request and how many of its method came before it; without an answer, the connection hangs.
    pub fn start(answer: impl Fn(&Request, usize) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::<Request>::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            let mut hung = Vec::new();
            for stream in listener.incoming().flatten() {
                let Some(request) = read(&stream) else { continue };
                let mut seen = seen.lock().unwrap();
                let nth = seen.iter().filter(|earlier| earlier.method == request.method).count();
                seen.push(request.clone());
                match answer(&request, nth) {
                    // The client may have gone away; that is its affair.
                    Some(answer) => drop(write(stream, &request, &answer)),
                    None => hung.push(stream),
                }
            }
        });
        Self { url, requests }
    }

    /// Everything that came in, as `METHOD PATH [from]`.
    pub fn log(&self) -> Vec<String> {
        let line = |r: &Request| {
            let from = r.from.map(|from| format!(" from {from}")).unwrap_or_default();
            format!("{} {}{from}", r.method, r.path)
        };
        self.requests.lock().unwrap().iter().map(line).collect()
    }

    /// Everything that came in.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ').map(str::to_owned);
    let mut request = Request { method: words.next()?, path: words.next()?, from: None, token: None };
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        match name.to_ascii_lowercase().as_str() {
            "range" => request.from = value.strip_prefix("bytes=")?.split('-').next()?.parse().ok(),
            "authorization" => request.token = value.strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    Some(request)
}

fn write(mut stream: TcpStream, request: &Request, answer: &Answer) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {}\r\n", answer.status, answer.body.len())?;
    for (name, value) in &answer.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    if request.method != "HEAD" {
        stream.write_all(&answer.body[..answer.cut_at.min(answer.body.len())])?;
    }
    stream.flush()
}
