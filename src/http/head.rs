//! A request's head. `httparse` takes it apart, and this code then reads it strictly: anything that two programs could
//! understand differently is refused. So no request can be smuggled past a program in between, and no line into a
//! header.

use httparse::{EMPTY_HEADER, Error, Request};

use super::Limits;

/// The status with which a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) u16);

/// The only supported major version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
}

/// The part of a request before its body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    /// From the first slash on; or `*`.
    pub(super) target: String,
    pub(super) version: Version,
    pub(super) headers: Vec<(String, String)>,
    /// How long the body is.
    pub(super) length: usize,
    /// Whether the client waits for permission to send its body.
    pub(super) expects_continue: bool,
    /// Whether the connection may be used for another request.
    pub(super) keep_alive: bool,
}

/// The length of the empty lines before a request, which are ignored.
pub(super) fn blank(bytes: &[u8]) -> usize {
    let pairs = bytes.chunks_exact(2);
    pairs.take_while(|pair| pair == b"\r\n").count() * 2
}

/// The length of the head at the beginning of `bytes`, including its empty line, if it is complete.
///
/// # Errors
/// If a line ends with anything but CR LF, even where the rest is still missing.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let mut line = 0;
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        if at == line || bytes[at - 1] != b'\r' {
            return Err(Refusal(400));
        }
        if at == line + 1 {
            return Ok(Some(at + 1));
        }
        line = at + 1;
    }
    Ok(None)
}

/// Reads a head; `bytes` end with its empty line.
///
/// # Errors
/// If it is not one, or asks for what is not offered here.
pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Head, Refusal> {
    let mut headers = vec![EMPTY_HEADER; limits.headers];
    let mut request = Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(_) => (),
        Err(Error::TooManyHeaders) => return Err(Refusal(431)),
        Err(Error::Version) if is_version(bytes) => return Err(Refusal(505)),
        Err(_) => return Err(Refusal(400)),
    }
    // A missing part was incomplete.
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(Refusal(400));
    };
    // It accepts characters that are not ASCII.
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal(400));
    }
    let (method, target) = (method.to_owned(), target.to_owned());
    let version = match minor {
        0 => Version::Http10,
        _ => Version::Http11,
    };
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|header| {
            (
                header.name.to_owned(),
                String::from_utf8_lossy(header.value).into_owned(),
            )
        })
        .collect();
    let target = origin_form(target, single(&headers, "Host")?, &method)?;
    if version == Version::Http11 && single(&headers, "Host")?.is_none() {
        return Err(Refusal(400));
    }
    let length = body_length(&headers, version, limits)?;
    let expects_continue = match single(&headers, "Expect")? {
        None => false,
        Some(what) if what.eq_ignore_ascii_case("100-continue") => version == Version::Http11,
        Some(_) => return Err(Refusal(417)),
    };
    let says = |word| {
        let mut words = all(&headers, "Connection").flat_map(|value| value.split(','));
        words.any(|said| said.trim_matches([' ', '\t']).eq_ignore_ascii_case(word))
    };
    let keep_alive = !says("close") && (version == Version::Http11 || says("keep-alive"));
    Ok(Head {
        method,
        target,
        version,
        length,
        expects_continue,
        keep_alive,
        headers,
    })
}

/// Whether a request line ends with a version of the protocol that is not supported.
fn is_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\r').next();
    let version = line.and_then(|line| line.rsplit(|byte| *byte == b' ').next());
    matches!(
        version,
        Some([b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
    )
}

/// The path of a target, also if it is a complete URL that matches the header `Host`: handlers must be able to trust
/// that header.
fn origin_form(target: String, host: Option<&str>, method: &str) -> Result<String, Refusal> {
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok(target);
    }
    let (scheme, rest) = target.split_once("://").ok_or(Refusal(400))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let named = host.is_some_and(|host| host.eq_ignore_ascii_case(authority));
    match path.as_bytes().first() {
        _ if !scheme.eq_ignore_ascii_case("http") || !named => Err(Refusal(400)),
        Some(b'/') => Ok(path.to_owned()),
        Some(_) | None => Ok(format!("/{path}")),
    }
}

fn body_length(
    headers: &[(String, String)],
    version: Version,
    limits: &Limits,
) -> Result<usize, Refusal> {
    let length = single(headers, "Content-Length")?;
    if all(headers, "Transfer-Encoding").next().is_some() {
        let unclear = length.is_some() || version == Version::Http10;
        return Err(Refusal(if unclear { 400 } else { 411 }));
    }
    let Some(length) = length else {
        return Ok(0);
    };
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal(400));
    }
    match length.parse() {
        Ok(length) if length <= limits.body_bytes => Ok(length),
        Ok(_) | Err(_) => Err(Refusal(413)),
    }
}

fn all<'a>(headers: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = headers
        .iter()
        .filter(move |(header, _)| header.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str())
}

/// The value of a header that must not be repeated, not even with the same value.
fn single<'a>(headers: &'a [(String, String)], name: &'a str) -> Result<Option<&'a str>, Refusal> {
    let mut values = all(headers, name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Refusal(400)),
    }
}

/// Whether it can be a method or a header's name.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(allowed)
}

/// Whether it can be a header's value: no control characters, especially no CR or LF.
pub(super) fn is_field_value(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| *byte == b'\t' || !byte.is_ascii_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<Head, u16> {
        parse(head.as_bytes(), &Limits::default()).map_err(|Refusal(status)| status)
    }

    /// A head of version 1.1 with these lines after `Host`.
    fn with(lines: &str) -> Result<Head, u16> {
        read(&format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n"))
    }

    #[test]
    fn a_request_can_be_read() {
        let head = read(
            "POST /a%20b?c=d HTTP/1.1\r\nhost: x\r\nContent-Length:  12\t\r\nX-Empty:\r\nExpect: 100-Continue\r\n\r\n",
        )
        .unwrap();
        assert_eq!(
            (head.method.as_str(), head.target.as_str()),
            ("POST", "/a%20b?c=d")
        );
        assert_eq!((head.length, head.version), (12, Version::Http11));
        assert!(head.keep_alive && head.expects_continue);
        assert_eq!(head.headers[2], ("X-Empty".to_owned(), String::new()));
    }

    #[test]
    fn a_request_target_is_a_path_or_names_this_host() {
        let target = |target: &str| {
            let head = read(&format!("GET {target} HTTP/1.1\r\nHost: box:80\r\n\r\n"));
            head.map(|head| head.target)
        };
        assert_eq!(target("http://BOX:80/a?b").unwrap(), "/a?b");
        assert_eq!(target("http://box:80?b").unwrap(), "/?b");
        assert_eq!(target("http://box:80").unwrap(), "/");
        for wrong in [
            "http://other/",
            "https://box:80/",
            "box:80",
            "*",
            "a",
            "http:/",
        ] {
            assert_eq!(target(wrong), Err(400), "{wrong}");
        }
        assert!(read("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").is_ok());
    }

    #[test]
    fn connections_stay_open_by_the_rules_of_the_http_version() {
        let kept = |version: &str, says: &str| {
            read(&format!(
                "GET / HTTP/{version}\r\nHost: x\r\nConnection: {says}\r\n\r\n"
            ))
            .unwrap()
            .keep_alive
        };
        assert!(kept("1.1", "x") && kept("1.0", "x, Keep-Alive"));
        assert!(!kept("1.0", "x") && !kept("1.1", "x , CLOSE") && !kept("1.0", "keep-alive,close"));
    }

    #[test]
    fn malformed_or_ambiguous_requests_are_refused() {
        for (head, status) in [
            ("GET /\r\n\r\n", 400),
            ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
            ("GET /\t HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("GET /\u{7f} HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("GET /\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("GET /\rX HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("GET / http/1.1\r\nHost: x\r\n\r\n", 400),
            ("GET / HTTP/1.10\r\nHost: x\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("\r\n", 400),
        ] {
            assert_eq!(read(head), Err(status), "{head:?}");
        }
        for (lines, status) in [
            ("Host: x\r\n", 400),
            ("No colon\r\n", 400),
            (": x\r\n", 400),
            ("Space : x\r\n", 400),
            ("A: b\r\n continued\r\n", 400),
            ("A: b\rC: d\r\n", 400),
            ("A: b\r\r\n", 400),
            ("A: b\0\r\n", 400),
            ("Content-Length: 1\r\nContent-Length: 1\r\n", 400),
            ("Content-Length: 1, 1\r\n", 400),
            ("Content-Length: +1\r\n", 400),
            ("Content-Length: -1\r\n", 400),
            ("Content-Length: 0x1\r\n", 400),
            ("Content-Length:\r\n", 400),
            ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
            ("Content-Length: 1048577\r\n", 413),
            ("Content-Length: 99999999999999999999999\r\n", 413),
            ("Transfer-Encoding: chunked\r\n", 411),
            ("transfer-encoding: identity\r\n", 411),
            ("Expect: 200-ok\r\n", 417),
        ] {
            assert_eq!(with(lines), Err(status), "{lines:?}");
        }
        assert_eq!(
            read("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Err(400)
        );
        assert!(read("GET / HTTP/1.0\r\n\r\n").is_ok());
        assert!(with(&"A: b\r\n".repeat(99)).is_ok());
        assert_eq!(with(&"A: b\r\n".repeat(100)), Err(431));
        assert_eq!(with("Content-Length: 1048576\r\n").unwrap().length, 1 << 20);
    }

    #[test]
    fn the_end_of_a_head_is_found_and_lines_end_with_cr_and_lf() {
        assert_eq!(length(b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody"), Ok(Some(24)));
        assert_eq!(length(b"GET / HTTP/1.1\r\nA: b\r\n\r"), Ok(None));
        assert_eq!(length(b""), Ok(None));
        assert_eq!(length(b"\r\n"), Ok(Some(2)));
        for wrong in [&b"GET / HTTP/1.1\n"[..], b"\n", b"A\r\n\n", b"A\r\nB\n\r\n"] {
            assert_eq!(length(wrong), Err(Refusal(400)), "{wrong:?}");
        }
        assert_eq!(blank(b"\r\n\r\nGET"), 4);
        assert_eq!(blank(b"\r"), 0);
        assert_eq!(blank(b"G\r\n"), 0);
    }
}
