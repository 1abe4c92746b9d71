//! A registry that does what a test wants it to.

use masu_image::manifest::MediaType;
use masu_image::{Descriptor, Digest};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `PUT`, …
    pub method: String,
    /// The path, and the query if there is one.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// What was sent along.
    pub body: Vec<u8>,
    /// How many requests for this path there have been before.
    pub before: usize,
}

impl Request {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status; 0 for none, the connection breaks instead.
    pub status: u16,
    /// The headers, but for the length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// After how many bytes of it the connection breaks.
    pub cut: Option<usize>,
    /// How long to wait after the first half of the body.
    pub pause: Duration,
}

impl Reply {
    /// One with a body.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cut: None, pause: Duration::ZERO }
    }

    /// With a header more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With a connection that breaks.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// What a request asked for, of content that can be had in parts.
    #[must_use]
    pub fn part(request: &Request, content: &[u8]) -> Self {
        let start = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        let Some(start) = start.and_then(|start| start.parse::<usize>().ok()) else {
            return Self::new(200, content);
        };
        let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
        Self::new(206, content.get(start..).unwrap_or_default()).with("Content-Range", range)
    }
}

type Handler = Box<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A server on a port of loopback, plain HTTP.
pub struct Fake {
    /// `127.0.0.1:PORT`.
    pub host: String,
    requests: Arc<Mutex<Vec<Request>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fake").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Fake {
    /// Starts one; `/v2/` is answered, all else is for `handle`, which is told the server's own host.
    #[must_use]
    pub fn start(handle: impl Fn(&str, &Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (requests, stopped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let own = host.clone();
        let handler: Arc<Handler> = Arc::new(Box::new(move |request| handle(&own, request)));
        let (kept, stop) = (Arc::clone(&requests), Arc::clone(&stopped));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (handler, requests) = (Arc::clone(&handler), Arc::clone(&kept));
                // One for each connection; it ends with it.
                std::thread::spawn(move || serve(stream, &handler, &requests));
            }
        });
        Self { host, requests, stopped, thread: Some(thread) }
    }

    /// Starts one that serves an image as `test/image`, with the blobs of its layers as `layer` answers.
    #[must_use]
    pub fn of_image(image: &Image, layer: impl Fn(&Request, &[u8]) -> Reply + Send + Sync + 'static) -> Self {
        let image = image.clone();
        Self::start(move |_, request| image.answer(request, &layer))
    }

    /// The name of its image.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/test/image:1", self.host)
    }

    /// What was asked for, but for TLS that it does not speak.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many of the requests were for a path with this in it.
    #[must_use]
    pub fn count(&self, part: &str) -> usize {
        self.requests().iter().filter(|request| request.path.contains(part)).count()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread, which then sees that it is to end.
        drop(TcpStream::connect(&self.host));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Answers all requests of a connection. `None` is its end, whichever way.
fn serve(stream: TcpStream, handler: &Handler, requests: &Mutex<Vec<Request>>) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        // What is no text is a TLS client.
        reader.read_line(&mut line).ok()?;
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
        reader.read_exact(&mut body).ok()?;
        let request = {
            let mut all = requests.lock().ok()?;
            let before = all.iter().filter(|other| other.path == path).count();
            let request = Request { method, path, headers, body, before };
            all.push(request.clone());
            request
        };
        let reply = if request.path == "/v2/" { Reply::new(200, "") } else { handler(&request) };
        if reply.status != 0 {
            write_reply(&mut writer, &request, &reply).ok()?;
        }
        if reply.status == 0 || reply.cut.is_some() {
            writer.shutdown(Shutdown::Both).ok()?;
            return None;
        }
    }
}

fn write_reply(writer: &mut TcpStream, request: &Request, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Reply\r\n", reply.status);
    if !reply.headers.iter().any(|(name, _)| *name == "Content-Length") {
        head += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    writer.write_all((head + "\r\n").as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let body = reply.body.get(..reply.cut.unwrap_or(reply.body.len())).unwrap_or_default();
    let (first, second) = body.split_at(body.len() / 2);
    writer.write_all(first)?;
    if !reply.pause.is_zero() {
        std::thread::sleep(reply.pause);
    }
    writer.write_all(second)
}

/// An image of one layer, or of several.
#[derive(Debug, Clone)]
pub struct Image {
    /// The layers, as they are sent.
    pub layers: Vec<Vec<u8>>,
    /// The configuration.
    pub config: Vec<u8>,
    /// The manifest.
    pub manifest: Vec<u8>,
}

impl Image {
    /// One whose layers are empty archives of these sizes, in blocks of 512 bytes; each differs from the others.
    #[must_use]
    pub fn new(blocks: &[usize]) -> Self {
        let layers: Vec<Vec<u8>> =
            blocks.iter().enumerate().map(|(number, blocks)| archive(number, *blocks)).collect();
        let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        Self::of(layers, config.to_string().into_bytes())
    }

    /// One of these layers and this configuration.
    #[must_use]
    pub fn of(layers: Vec<Vec<u8>>, config: Vec<u8>) -> Self {
        let descriptor = |media_type: &'static str, bytes: &[u8]| {
            Descriptor::new(media_type, Digest::of(bytes), u64::try_from(bytes.len()).unwrap())
        };
        let all = layers.iter().map(|layer| descriptor(MediaType::OCI_LAYER, layer)).collect();
        let manifest = masu_image::manifest::Manifest::new(descriptor(MediaType::OCI_CONFIG, &config), all);
        let manifest = serde_json::to_vec(&manifest).unwrap();
        Self { layers, config, manifest }
    }

    /// The digest of a layer.
    #[must_use]
    pub fn layer(&self, number: usize) -> Digest {
        Digest::of(self.layers.get(number).unwrap())
    }

    /// The digest of the manifest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// What a good registry answers; `layer` does for layers.
    pub fn answer(&self, request: &Request, layer: &impl Fn(&Request, &[u8]) -> Reply) -> Reply {
        if request.path.contains("/manifests/") {
            return Reply::new(200, self.manifest.clone()).with("Content-Type", MediaType::OCI_MANIFEST);
        }
        let asked = request.path.rsplit('/').next().unwrap_or_default();
        if asked == Digest::of(&self.config).to_string() {
            return Reply::new(200, self.config.clone());
        }
        match self.layers.iter().find(|layer| asked == Digest::of(layer).to_string()) {
            Some(content) => layer(request, content),
            None => Reply::new(404, r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}"#),
        }
    }
}

/// A tar archive of a directory `d` with the number in its name, and then its end, as long as it takes.
fn archive(number: usize, blocks: usize) -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put = |at: usize, text: &str| {
        header.get_mut(at..at + text.len()).unwrap().copy_from_slice(text.as_bytes());
    };
    put(0, &format!("d{number}/"));
    put(100, "0000755");
    put(108, "0000000");
    put(116, "0000000");
    put(124, "00000000000");
    put(136, "00000000000");
    put(148, "        ");
    put(156, "5");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header.get_mut(148..155).unwrap().copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header.resize(512 * (blocks + 3), 0);
    header
}
