//! A receiver that sends back whatever it was sent, as many a web server's error page does.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// Answers each request with what it was: the first ones that it failed, then that it took it. Its address.
pub(crate) fn start(failing: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for (turn, stream) in listener.incoming().flatten().enumerate() {
            let status = if turn < failing { "500 Internal Server Error" } else { "200 OK" };
            std::thread::spawn(move || answer(stream, status));
        }
    });
    url
}

fn answer(mut stream: TcpStream, status: &str) -> Option<()> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let body = loop {
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break body.to_owned();
        }
    };
    // The headers too: the signature stands among them.
    let echoed = format!("{text}{body}");
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", echoed.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(echoed.as_bytes())).ok()
}
