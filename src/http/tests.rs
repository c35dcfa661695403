//! The server over real sockets. Deadlines are shortened if a test waits for one; everything else waits for conditions,
//! with a generous limit.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use rouille::ResponseBody;
use socket2::SockRef;

use super::*;
use crate::system::net::tests::loopback;

/// Anything that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A deadline that is meant to pass.
const SHORT: Duration = Duration::from_millis(150);

/// Sends a request and returns the whole answer.
pub(crate) fn ask(addr: SocketAddr, request_line: &str) -> String {
    let mut client = Client::new(addr);
    client.send(&format!(
        "{request_line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ));
    client.rest()
}

pub(crate) fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) fn refusal(status: u16) -> Response {
    Response::text("").with_status_code(status)
}

/// A server with changed limits.
fn server(
    change: impl FnOnce(&mut Limits),
    handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
) -> ServerHandle {
    let mut limits = Limits::default();
    change(&mut limits);
    let answers = Answers {
        handler: Box::new(handler),
        refusal,
    };
    serve_within(limits, "web", any_port(), answers).unwrap()
}

/// Answers with the request.
fn echo(request: &Request) -> Response {
    let mut body = String::new();
    let data = request.data().unwrap().read_to_string(&mut body);
    data.unwrap();
    Response::text(format!("{} {} {body}", request.method(), request.raw_url()))
}

/// A body of unknown length.
fn streamed(body: impl Read + Send + 'static) -> Response {
    Response {
        data: ResponseBody::from_reader(body),
        ..Response::text("")
    }
}

struct Client(BufReader<TcpStream>);

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Client {
    fn new(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// The server may have closed already.
    fn try_send(&mut self, text: &str) -> io::Result<()> {
        self.0.get_mut().write_all(text.as_bytes())
    }

    fn send(&mut self, text: &str) {
        self.try_send(text).unwrap();
    }

    fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn bytes(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Everything up to the end of the connection.
    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }

    fn is_closed(&mut self) -> bool {
        match self.0.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    fn head(&mut self) -> Answer {
        let mut head = String::new();
        loop {
            let line = self.line();
            assert!(line.ends_with("\r\n"), "{head:?} then {line:?}");
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        Answer {
            status: head[9..12].parse().unwrap(),
            head,
            body: String::new(),
        }
    }

    /// A chunk; empty at the end of all.
    fn chunk(&mut self) -> String {
        let size = self.line();
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        let chunk = self.bytes(size);
        assert_eq!(self.bytes(2), "\r\n");
        chunk
    }

    fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if let Some(length) = answer.header("Content-Length") {
            answer.body = self.bytes(length.parse().unwrap());
        } else if answer.header("Transfer-Encoding") == Some("chunked") {
            loop {
                let chunk = self.chunk();
                if chunk.is_empty() {
                    break;
                }
                answer.body.push_str(&chunk);
            }
        } else if answer.status != 204 {
            answer.body = self.rest();
        }
        answer
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(named, _)| *named == name).map(|pair| pair.1)
    }
}

/// Waits until no more than `left` are connected.
fn wait_until_left(server: &ServerHandle, left: usize) {
    let mut state = server.hall.state.lock();
    let until = clock() + PATIENCE;
    while state.guests().count() > left {
        let waited = server.hall.changed.wait_until(&mut state, until);
        assert!(!waited.timed_out(), "too many connections are left");
    }
}

/// How long the stop takes.
fn stop(server: ServerHandle) -> Duration {
    let begin = clock();
    server.stop();
    begin.elapsed()
}

#[test]
fn it_answers_and_can_stop_with_connections_open() {
    let server = server(|_| (), echo);
    let addr = server.addr();
    assert!(ask(addr, "GET /here").ends_with("\r\n\r\nGET /here "));
    let mut silent = Client::new(addr);
    let mut half = Client::new(addr);
    half.send("GET / HTTP/1.1\r\nHo");
    let mut idle = Client::new(addr);
    idle.get("/");
    assert_eq!(idle.answer().status, 200);
    assert!(ask(addr, "GET /still").ends_with("GET /still "));
    let took = stop(server);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(silent.is_closed() && half.is_closed() && idle.is_closed());
    assert!(TcpStream::connect(addr).is_err());
    assert!(TcpListener::bind(addr).is_ok());
}

#[test]
fn a_stop_lets_the_answer_be_read() {
    let (entered, in_handler) = bounded(1);
    let (release, wait) = bounded::<()>(1);
    let server = server(
        |limits| limits.finish = Duration::from_secs(5),
        move |_| {
            entered.send(()).unwrap();
            let _ = wait.recv_timeout(PATIENCE);
            Response::text("to the end")
        },
    );
    let mut client = Client::new(server.addr());
    client.get("/");
    in_handler.recv_timeout(PATIENCE).unwrap();
    let hall = Arc::clone(&server.hall);
    std::thread::scope(|scope| {
        scope.spawn(|| stop(server));
        let until = clock() + PATIENCE;
        while !hall.state.lock().stopping {
            hall.wait_for_change(SHORT);
            assert!(clock() < until);
        }
        release.send(()).unwrap();
    });
    assert_eq!(client.answer().body, "to the end");
    assert!(client.is_closed());
}

#[test]
fn a_stop_cuts_off_endless_answers() {
    let server = server(|_| (), |_| streamed(io::repeat(b'x')));
    let mut endless = Client::new(server.addr());
    endless.get("/");
    assert_eq!(endless.head().status, 200);
    let took = stop(server);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_stop_does_not_wait_for_an_idle_reader() {
    let (news, silence) = bounded::<Vec<u8>>(0);
    let server = server(|_| (), move |_| streamed(Pieces(silence.clone())));
    let mut client = Client::new(server.addr());
    client.get("/");
    assert_eq!(client.head().status, 200);
    let took = stop(server);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(client.is_closed());
    drop(news);
}

#[test]
fn a_port_in_use_gives_a_clear_error() {
    let other = TcpListener::bind(any_port()).unwrap();
    let addr = other.local_addr().unwrap();
    let error = serve("metrics", addr, Seats::default(), refusal, |_| {
        Response::text("")
    })
    .unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains(&addr.to_string()), "{text}");
    assert!(text.contains("metrics.port"), "{text}");
}

#[test]
fn a_handler_sees_the_client_and_runs_on_a_named_thread() {
    let server = server(
        |_| (),
        |request| {
            let thread = std::thread::current();
            let header = request.header("x-some").unwrap_or_default();
            Response::text(format!(
                "{} {} {header}",
                thread.name().unwrap(),
                request.remote_addr()
            ))
        },
    );
    let mut client = Client::new(server.addr());
    let own = client.0.get_ref().local_addr().unwrap();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nX-Some: thing\r\n\r\n");
    assert_eq!(client.answer().body, format!("web-0 {own} thing"));
}

#[test]
fn a_connection_serves_many_requests_and_ends_when_it_should() {
    let server = server(|_| (), echo);
    let mut client = Client::new(server.addr());
    for path in ["/1", "/2", "/3"] {
        client.get(path);
        let answer = client.answer();
        assert_eq!(answer.body, format!("GET {path} "));
        assert_eq!(answer.header("Connection"), None);
    }
    client.send("GET /4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.header("Connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = server(|_| (), echo);
    let mut client = Client::new(server.addr());
    let requests: String = (0..200)
        .map(|n| format!("POST /{n} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n{n:04}\r\n"))
        .collect();
    client.send(&requests);
    for n in 0..200 {
        assert_eq!(client.answer().body, format!("POST /{n} {n:04}"));
    }
    // A client that closes its side is answered all the same.
    client.get("/last");
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.answer().body, "GET /last ");
    assert!(client.is_closed());
}

#[test]
fn answers_without_a_body_keep_the_connection_in_sync() {
    let server = server(
        |_| (),
        |request| match request.url().as_str() {
            "/known" => Response::text("four"),
            "/unknown" => streamed(&b"some"[..]),
            "/none" => Response::text("not sent").with_status_code(204),
            _ => Response::text("not sent").with_status_code(304),
        },
    );
    let mut client = Client::new(server.addr());
    client.send("HEAD /known HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.head().header("Content-Length"), Some("4"));
    client.send("HEAD /unknown HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.head().header("Transfer-Encoding"), Some("chunked"));
    for (path, status) in [("/none", 204), ("/else", 304)] {
        client.get(path);
        let answer = client.head();
        assert_eq!(
            (answer.status, answer.header("Content-Length")),
            (status, None)
        );
    }
    client.get("/known");
    assert_eq!(client.answer().body, "four");
}

#[test]
fn http_1_0_is_supported() {
    let server = server(
        |_| (),
        |request| match request.url().as_str() {
            "/known" => Response::text("four"),
            _ => streamed(&b"some text"[..]),
        },
    );
    let mut client = Client::new(server.addr());
    client.send("GET /known HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.header("Connection"), Some("keep-alive"));
    client.send("GET /known HTTP/1.0\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.header("Connection"), Some("close"));
    assert!(client.is_closed());
    // This version has no chunks: the body ends with the connection.
    let mut client = Client::new(server.addr());
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.header("Connection"), Some("close"));
    assert_eq!(answer.header("Transfer-Encoding"), None);
    assert_eq!(answer.body, "some text");
}

/// A body whose pieces come from elsewhere.
struct Pieces(Receiver<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.recv().unwrap_or_default();
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

#[test]
fn pieces_of_a_stream_arrive_immediately_and_it_has_no_deadline() {
    let (news, pieces): (Sender<Vec<u8>>, _) = bounded(0);
    let server = server(
        |limits| limits.answer = SHORT,
        move |_| streamed(Pieces(pieces.clone())),
    );
    let mut client = Client::new(server.addr());
    client.get("/");
    assert_eq!(client.head().header("Transfer-Encoding"), Some("chunked"));
    let until = clock() + SHORT * 3;
    while clock() < until {
        news.send(b"data: 1\n\n".to_vec()).unwrap();
        assert_eq!(client.chunk(), "data: 1\n\n");
        std::thread::sleep(SHORT / 10);
    }
    drop(news);
    assert_eq!(client.chunk(), "");
    client.get("/again");
    assert_eq!(client.answer().body, "");
}

#[test]
fn long_answers_arrive_whole() {
    let text: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    let text: Arc<str> = text.into();
    let served = Arc::clone(&text);
    let server = server(
        |_| (),
        move |request| match request.url().as_str() {
            "/known" => Response::text(&*served),
            _ => streamed(io::Cursor::new(served.as_bytes().to_vec())),
        },
    );
    let mut client = Client::new(server.addr());
    for path in ["/known", "/unknown"] {
        client.get(path);
        assert!(client.answer().body == *text);
    }
}

#[test]
fn a_truncated_answer_is_recognized() {
    let server = server(
        |_| (),
        |_| Response {
            data: ResponseBody::from_reader_and_size(&b"short"[..], 10),
            ..Response::text("")
        },
    );
    let mut client = Client::new(server.addr());
    client.get("/");
    assert!(client.rest().ends_with("\r\n\r\nshort"));
}

#[test]
fn a_handler_panic_gives_a_500_and_ends_the_connection() {
    let server = server(
        |_| (),
        |request| {
            assert_ne!(request.url(), "/panic", "as the test wants");
            Response::text("").with_status_code(101)
        },
    );
    for path in ["/panic", "/no-final-answer"] {
        let mut client = Client::new(server.addr());
        client.get(path);
        assert_eq!(client.answer().status, 500);
        assert!(client.is_closed());
    }
}

#[test]
fn slow_clients_are_dropped() {
    let server = server(
        |limits| (limits.head, limits.body, limits.idle) = (SHORT, SHORT, SHORT),
        echo,
    );
    let addr = server.addr();
    // A client that never sends a request, and one that sends no more.
    assert_eq!(Client::new(addr).rest(), "");
    let mut idle = Client::new(addr);
    idle.get("/");
    assert_eq!(idle.answer().status, 200);
    assert!(idle.is_closed());
    // Each byte is in time, but the whole is not.
    for begin in [
        "GET / HTTP/1.1\r\nX: ",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n",
    ] {
        let mut slow = Client::new(addr);
        slow.send(begin);
        let until = clock() + PATIENCE;
        while slow.try_send("x").is_ok() {
            assert!(clock() < until, "it may continue forever");
            std::thread::sleep(SHORT / 15);
        }
        let mut slow = Client::new(addr);
        slow.send(begin);
        assert_eq!(slow.answer().status, 408);
        assert!(slow.is_closed());
    }
    wait_until_left(&server, 0);
}

#[test]
fn a_client_that_never_reads_an_endless_answer_is_dropped() {
    /// Reports when it is dropped.
    struct Endless(Sender<()>);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(b'x');
            Ok(buffer.len())
        }
    }
    impl Drop for Endless {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let usual = Limits::default();
    for (path, write, answer) in [
        ("/unknown", SHORT, usual.answer),
        ("/known", SHORT, usual.answer),
        ("/known", usual.write, SHORT),
    ] {
        let (dropped, drops) = bounded(1);
        let change = |limits: &mut Limits| (limits.write, limits.answer) = (write, answer);
        let server = server(change, move |request| {
            let body = Endless(dropped.clone());
            match request.url().as_str() {
                "/known" => Response {
                    data: ResponseBody::from_reader_and_size(body, usize::MAX >> 1),
                    ..Response::text("")
                },
                _ => streamed(body),
            }
        });
        let mut client = Client::new(server.addr());
        client.get(path);
        drops.recv_timeout(PATIENCE).unwrap();
        wait_until_left(&server, 0);
    }
}

#[test]
fn one_client_too_many_is_turned_away_until_another_leaves() {
    let by_limit: [fn(&mut Limits); 2] = [
        |limits| limits.connections = 2,
        |limits| limits.per_address = 2,
    ];
    for change in by_limit {
        let server = server(change, echo);
        let mut clients: Vec<_> = (0..2).map(|_| Client::new(server.addr())).collect();
        for client in &mut clients {
            client.get("/");
            assert_eq!(client.answer().status, 200);
        }
        for _ in 0..20 {
            let mut third = Client::new(server.addr());
            let answer = third.answer();
            assert_eq!(
                (answer.status, answer.header("Connection")),
                (503, Some("close"))
            );
            assert!(third.is_closed());
        }
        clients.pop();
        wait_until_left(&server, 1);
        let mut next = Client::new(server.addr());
        next.get("/");
        assert_eq!(next.answer().status, 200);
        clients[0].get("/still");
        assert_eq!(clients[0].answer().body, "GET /still ");
    }
}

#[test]
fn seats_are_counted_per_address_and_in_total() {
    let hall = Arc::new(Hall::new(Limits {
        connections: 3,
        per_address: 2,
        ..Limits::default()
    }));
    let stream = Arc::new(loopback(None).0);
    let take = |last| hall.take(IpAddr::from([10, 0, 0, last]), &stream);
    let first = take(1).unwrap();
    let _second = take(1).unwrap();
    assert!(take(1).is_none());
    let _third = take(2).unwrap();
    assert!(take(3).is_none());
    drop(first);
    assert_eq!(take(3).unwrap().index, 0);
    hall.begin_to_stop();
    assert!(take(3).is_none());
}

#[test]
fn a_connection_reset_harms_no_other_client() {
    // Places for all of them: some are still waiting to be accepted when the last one has gone.
    let server = server(
        |limits| (limits.connections, limits.per_address) = (128, 128),
        echo,
    );
    for _ in 0..100 {
        let mut client = Client::new(server.addr());
        client.get("/");
        let socket = SockRef::from(client.0.get_ref());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
    assert!(ask(server.addr(), "GET /").ends_with("GET / "));
    wait_until_left(&server, 0);
}

#[test]
fn bodies_have_a_length_and_a_limit() {
    let server = server(|limits| limits.body_bytes = 100_000, echo);
    let addr = server.addr();
    let post =
        |length: usize| format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n");
    let body = "b".repeat(100_000);
    let mut client = Client::new(addr);
    client.send(&format!("{}\r\n{body}", post(body.len())));
    assert!(client.answer().body == format!("POST / {body}"));
    // It asks first and is told to continue.
    client.send(&format!("{}Expect: 100-continue\r\n\r\n", post(5)));
    assert_eq!(client.head().status, 100);
    client.send("later");
    assert_eq!(client.answer().body, "POST / later");
    // It asks but does not wait for the answer.
    client.send(&format!("{}Expect: 100-continue\r\n\r\nearly", post(5)));
    assert_eq!(client.answer().body, "POST / early");
    // It asks and is told not to.
    client.send(&format!("{}Expect: 100-continue\r\n\r\n", post(100_001)));
    assert_eq!(client.answer().status, 413);
    assert!(client.is_closed());
    // The answer can be read even though the body was sent.
    let mut client = Client::new(addr);
    client.send(&format!("{}\r\n{body}!", post(100_001)));
    assert_eq!(client.answer().status, 413);
    let mut client = Client::new(addr);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(client.answer().status, 411);
    assert!(client.is_closed());
}

#[test]
fn malformed_requests_are_refused_and_the_rest_is_ignored() {
    let heeded = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&heeded);
    let server = server(
        |_| (),
        move |_| {
            seen.store(true, Ordering::SeqCst);
            Response::text("")
        },
    );
    let long = "x".repeat(16 * 1024);
    for (request, status) in [
        ("GET /\r\n", 400),
        ("\u{16}\u{3}\u{1}\0\n", 400),
        ("GET / HTTP/1.1\nHost: x\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n A: b\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : x\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
        ("PRI * HTTP/2.0\r\n", 505),
        (&format!("GET /{long} HTTP/1.1\r\n"), 431),
        (
            &format!("GET / HTTP/1.1\r\nHost: x\r\n{}", "A: b\r\n".repeat(100)),
            431,
        ),
        (&"\r\n".repeat(9000), 431),
    ] {
        let mut client = Client::new(server.addr());
        let _ = client.try_send(&format!("{request}\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        let answer = client.answer();
        assert_eq!(answer.status, status, "{request:?}");
        assert_eq!(answer.header("Connection"), Some("close"));
        assert!(client.is_closed(), "{request:?}");
    }
    assert!(!heeded.load(Ordering::SeqCst));
}
