//! A browser without a screen: it speaks HTTP/1.1 as the pages do, with one connection per request.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// The longest time a test waits for an answer; a pool test may take 20 seconds.
const PATIENCE: Duration = Duration::from_secs(40);

/// A client of the pages' port. It sends a token and a cookie once it has them.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    address: SocketAddr,
    /// The header `Host`.
    pub(crate) host: String,
    /// The header `Origin`, if any.
    pub(crate) origin: Option<String>,
    /// The header `X-DPMP-Token`, if any.
    pub(crate) token: Option<String>,
    /// The header `Cookie`, if any.
    pub(crate) cookie: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Http {
    /// A client that has sent no request yet.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            host: address.to_string(),
            origin: None,
            token: None,
            cookie: None,
        }
    }

    /// Fetches the token from `GET /api/v1/session`, as a page does before it changes anything.
    #[track_caller]
    pub(crate) fn with_token(mut self) -> Self {
        let session = self.get("/api/v1/session").json();
        self.token = Some(session["token"].as_str().expect("a token").to_owned());
        self.origin = Some(format!("http://{}", self.host));
        self
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send_json("POST", path, body)
    }

    #[track_caller]
    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.send_json("PUT", path, body)
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str, body: &Value) -> Answer {
        self.send_json("DELETE", path, body)
    }

    #[track_caller]
    fn send_json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let json = [("Content-Type", "application/json")];
        self.send(method, path, &json, body.to_string().as_bytes())
    }

    /// Sends a request with these headers in addition to the usual ones.
    #[track_caller]
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.host
        );
        let own = [
            ("Origin", &self.origin),
            ("X-DPMP-Token", &self.token),
            ("Cookie", &self.cookie),
        ];
        let own = own
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        for (name, value) in own.chain(headers.iter().copied()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method != "GET" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        // The answer to a refused request may arrive before the whole body is read.
        let _ = stream.write_all(body);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::read(&bytes).unwrap_or_else(|| {
            panic!(
                "{method} {path}: no answer: {}",
                String::from_utf8_lossy(&bytes)
            )
        })
    }
}

impl Answer {
    /// Splits an answer into its parts.
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Self {
            status,
            headers,
            body: bytes[end + 4..].to_vec(),
        };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = join_chunks(&answer.body)?;
        }
        Some(answer)
    }

    /// All values of a header.
    pub(crate) fn all_headers(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter();
        let named = named.filter(|(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The first header with this lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("no JSON ({error}), status {}: {}", self.status, self.text())
        })
    }

    /// The code of an error, such as `not_found`.
    #[track_caller]
    pub(crate) fn error_code(&self) -> String {
        let body = self.json();
        body["error"]["code"].as_str().expect("a code").to_owned()
    }
}

fn join_chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = std::str::from_utf8(&rest[..end]).ok()?;
        let length = usize::from_str_radix(length, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        let chunk = rest.get(end + 2..end + 2 + length)?;
        body.extend_from_slice(chunk);
        rest = rest.get(end + 4 + length..)?;
    }
}
