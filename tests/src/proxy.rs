//! A faulty network between real validators: a UDP proxy with a rule for each direction of each
//! link, which needs no privileges and no `tc netem`.
//!
//! Genesis names the proxy's public address of each validator; each listens elsewhere. A validator
//! dials and is dialled through one socket, so the source port of a datagram that comes to the
//! public address of `i` tells who sent it, `j`. It goes on to `i` from a socket that stands for
//! `j` there, and what `i` answers to that socket goes back to `j`. Strangers are not let through.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// The longest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// What one direction of one link does to datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// How long each is kept back.
    pub delay: Duration,
    /// How many of a thousand are lost.
    pub loss_permille: u32,
}

impl Link {
    /// Nothing gets through.
    pub const CUT: Self = Self {
        delay: Duration::ZERO,
        loss_permille: 1_000,
    };

    /// Everything arrives, so much later.
    #[must_use]
    pub fn slow(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// So many of a thousand are lost.
    #[must_use]
    pub fn lossy(loss_permille: u32) -> Self {
        Self {
            loss_permille,
            ..Self::default()
        }
    }
}

/// The rules and what came of them, by `from * nodes + to`.
#[derive(Debug)]
struct Rules {
    nodes: usize,
    links: Vec<Link>,
    passed: Vec<u64>,
    /// State of the generator that losses are drawn from: the same in every run.
    random: u64,
}

impl Rules {
    /// Until when a datagram is kept back; none where it is lost.
    fn judge(&mut self, from: usize, to: usize) -> Option<Instant> {
        let link = self.links[from * self.nodes + to];
        // SplitMix64 (Steele et al., OOPSLA 2014).
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.random;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^= drawn >> 31;
        if drawn % 1_000 < u64::from(link.loss_permille) {
            return None;
        }
        self.passed[from * self.nodes + to] += 1;
        Some(Instant::now() + link.delay)
    }
}

type Shared = Arc<Mutex<Rules>>;

fn lock(rules: &Shared) -> MutexGuard<'_, Rules> {
    rules.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running proxy; dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    public: Vec<SocketAddr>,
    rules: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Stands before nodes that listen at `nodes` on loopback, with every link open.
    ///
    /// # Errors
    /// If a socket cannot be bound.
    pub fn start(nodes: &[SocketAddr]) -> io::Result<Self> {
        let count = nodes.len();
        let rules = Arc::new(Mutex::new(Rules {
            nodes: count,
            links: vec![Link::default(); count * count],
            passed: vec![0; count * count],
            random: 0,
        }));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut public = Vec::new();
        for to in 0..count {
            let socket = runtime.block_on(bind())?;
            public.push(socket.local_addr()?);
            let mut links = Vec::new();
            for from in 0..count {
                links.push(Dialled {
                    from,
                    to,
                    dialler: nodes[from],
                    node: nodes[to],
                    public: Arc::clone(&socket),
                    inner: runtime.block_on(bind())?,
                    rules: Arc::clone(&rules),
                });
            }
            runtime.spawn(serve(socket, links));
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("udp-proxy".to_owned())
            .spawn(move || {
                // Ends as well when the sender is dropped.
                let _ = runtime.block_on(stopped);
            })?;
        Ok(Self {
            public,
            rules,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where the others find node `index`.
    #[must_use]
    pub fn public(&self, index: usize) -> SocketAddr {
        self.public[index]
    }

    /// Sets one direction of one link.
    pub fn set(&self, from: usize, to: usize, link: Link) {
        let mut rules = lock(&self.rules);
        let at = from * rules.nodes + to;
        rules.links[at] = link;
    }

    /// Sets every link.
    pub fn set_all(&self, link: Link) {
        lock(&self.rules).links.fill(link);
    }

    /// Cuts every link between two groups, and opens those within each. Who is in none is alone.
    pub fn partition(&self, groups: &[&[usize]]) {
        let group = |node: usize| groups.iter().position(|group| group.contains(&node));
        let count = self.public.len();
        for from in 0..count {
            for to in 0..count {
                let together = group(from).is_some() && group(from) == group(to);
                let link = if together { Link::default() } else { Link::CUT };
                self.set(from, to, link);
            }
        }
    }

    /// Cuts one node off from all others and leaves their links as they are.
    pub fn isolate(&self, node: usize) {
        for other in 0..self.public.len() {
            self.set(node, other, Link::CUT);
            self.set(other, node, Link::CUT);
        }
    }

    /// Opens every link.
    pub fn heal(&self) {
        self.set_all(Link::default());
    }

    /// How many datagrams of one direction were let through so far.
    #[must_use]
    pub fn passed(&self, from: usize, to: usize) -> u64 {
        let rules = lock(&self.rules);
        rules.passed[from * rules.nodes + to]
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn bind() -> io::Result<Arc<UdpSocket>> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map(Arc::new)
}

/// What `from` sends to the public address of `to`, and what comes back.
struct Dialled {
    from: usize,
    to: usize,
    dialler: SocketAddr,
    node: SocketAddr,
    public: Arc<UdpSocket>,
    /// Stands for `from` before `to`.
    inner: Arc<UdpSocket>,
    rules: Shared,
}

/// Takes what comes to the public address of one node.
async fn serve(public: Arc<UdpSocket>, links: Vec<Dialled>) {
    let mut diallers = Vec::new();
    for link in links {
        let rules = Arc::clone(&link.rules);
        let there = Pipe::new(link.from, link.to, rules, &link.inner, link.node);
        diallers.push((link.dialler, there));
        tokio::spawn(answers(link));
    }
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // On loopback a receive fails only for a datagram that could not be delivered.
        let Ok((len, source)) = public.recv_from(&mut buffer).await else {
            continue;
        };
        if let Some((_, pipe)) = diallers.iter().find(|(dialler, _)| *dialler == source) {
            pipe.put(&buffer[..len]);
        }
    }
}

/// Takes what one node answers to one dialler.
async fn answers(link: Dialled) {
    let back = Pipe::new(link.to, link.from, link.rules, &link.public, link.dialler);
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok((len, source)) = link.inner.recv_from(&mut buffer).await else {
            continue;
        };
        if source == link.node {
            back.put(&buffer[..len]);
        }
    }
}

/// Hands datagrams to one address, each when its time has come, in the order in which they came.
struct Pipe {
    from: usize,
    to: usize,
    rules: Shared,
    queue: mpsc::UnboundedSender<(Instant, Vec<u8>)>,
}

impl Pipe {
    fn new(
        from: usize,
        to: usize,
        rules: Shared,
        socket: &Arc<UdpSocket>,
        target: SocketAddr,
    ) -> Self {
        let (queue, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        let socket = Arc::clone(socket);
        tokio::spawn(async move {
            while let Some((at, datagram)) = due.recv().await {
                if at > Instant::now() {
                    tokio::time::sleep_until(at).await;
                }
                // A full buffer loses datagrams, as networks do.
                let _ = socket.send_to(&datagram, target).await;
            }
        });
        Self {
            from,
            to,
            rules,
            queue,
        }
    }

    fn put(&self, datagram: &[u8]) {
        if let Some(due) = lock(&self.rules).judge(self.from, self.to) {
            // The other end lives as long as the proxy.
            let _ = self.queue.send((due, datagram.to_vec()));
        }
    }
}

#[cfg(test)]
mod tests;
