//! A proxy as companies have it: it knows names that nobody else does.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A server on a port of loopback that connects (RFC 9110, 9.3.6) everybody to one registry, whatever they ask for.
#[derive(Debug)]
pub struct Proxy {
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    host: String,
    asked: Arc<Mutex<Vec<String>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one in front of `registry`, a `HOST:PORT`.
    #[must_use]
    pub fn start(registry: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (asked, stopped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, stop, registry) = (Arc::clone(&asked), Arc::clone(&stopped), registry.to_owned());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (asked, registry) = (Arc::clone(&kept), registry.clone());
                // One for each connection; it ends with it.
                std::thread::spawn(move || serve(stream, &registry, &asked));
            }
        });
        Self { address: format!("http://{host}"), host, asked, stopped, thread: Some(thread) }
    }

    /// What was asked for, the first line of each request.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread, which then sees that it is to end.
        drop(TcpStream::connect(&self.host));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// `None` is the end of a connection, whichever way.
fn serve(client: TcpStream, registry: &str, asked: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    asked.lock().ok()?.push(line.trim_end().to_owned());
    while line.trim_end() != "" {
        line.clear();
        reader.read_line(&mut line).ok()?;
    }
    let server = TcpStream::connect(registry).ok()?;
    (&client).write_all(b"HTTP/1.1 200 Connected\r\n\r\n").ok()?;
    let (mut up, mut down) = (server.try_clone().ok()?, client);
    std::thread::spawn(move || {
        std::io::copy(&mut reader, &mut up).ok();
        up.shutdown(Shutdown::Write).ok();
    });
    std::io::copy(&mut &server, &mut down).ok()?;
    down.shutdown(Shutdown::Both).ok()
}
