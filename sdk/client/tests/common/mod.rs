//! A node that says what a test wants it to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// What it is asked.
pub(crate) struct Request {
    pub(crate) is_post: bool,
    pub(crate) path: String,
    pub(crate) body: String,
}

/// Serves at the address that is returned. It answers with a status and JSON, or not at all.
pub(crate) fn serve(
    answer: impl Fn(&Request) -> Option<(&'static str, String)> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, answer) = (stream.expect("a connection"), Arc::clone(&answer));
            std::thread::spawn(move || answer_all(&stream, answer.as_ref()));
        }
    });
    url
}

fn answer_all(stream: &TcpStream, answer: &impl Fn(&Request) -> Option<(&'static str, String)>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let lower = head.to_lowercase();
        let length = lower
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let request = Request {
            is_post: head.starts_with("POST"),
            path: head.split(' ').nth(1).unwrap_or_default().to_owned(),
            body: String::from_utf8(body).expect("JSON"),
        };
        let Some((status, text)) = answer(&request) else {
            std::thread::sleep(Duration::from_secs(60));
            return;
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        let mut stream = stream;
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
