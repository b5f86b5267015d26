//! A wire between an engine and its server, which tells how much went over it and whether it is still there.
//!
//! Invariant: it holds no more than one small piece and the least buffer the system gives; what the engine does not read,
//! the server cannot send.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Asked for; the system rounds it up.
const BUFFER_BYTES: u32 = 4096;

/// What went over a relay so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    /// Connections of the engine that are open.
    pub(crate) open: usize,
    /// Bytes of the server handed on to the engine.
    pub(crate) answered_bytes: usize,
}

/// A running relay. Dropping it closes its connections.
pub(crate) struct Relay {
    address: SocketAddr,
    traffic: watch::Receiver<Traffic>,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// A relay to the server at `url`.
    pub(crate) fn to(url: &str) -> Result<Self> {
        let server = url.strip_prefix("http://").context("the server speaks plain HTTP")?.parse()?;
        let socket = TcpSocket::new_v4()?;
        // Connections inherit it.
        socket.set_send_buffer_size(BUFFER_BYTES)?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener = socket.listen(16)?;
        let address = listener.local_addr()?;
        let (sender, traffic) = watch::channel(Traffic::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, sender));
        Ok(Self { address, traffic, _tasks: tasks })
    }

    /// Where an engine is to connect.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What went over it so far.
    pub(crate) fn traffic(&self) -> Traffic {
        *self.traffic.borrow()
    }

    /// Waits until the traffic satisfies `enough`.
    pub(crate) async fn until(&self, enough: impl FnMut(&Traffic) -> bool) -> Result<()> {
        self.traffic.clone().wait_for(enough).await?;
        Ok(())
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, traffic: watch::Sender<Traffic>) {
    let mut connections = JoinSet::new();
    let traffic = std::sync::Arc::new(traffic);
    while let Ok((engine, _)) = listener.accept().await {
        let traffic = std::sync::Arc::clone(&traffic);
        connections.spawn(async move {
            traffic.send_modify(|traffic| traffic.open += 1);
            let (from_engine, to_engine) = engine.into_split();
            // The connection is over when the engine closes its side, or can be sent nothing more.
            let over = relay(from_engine, to_engine, server, &traffic).await;
            traffic.send_modify(|traffic| traffic.open -= 1);
            over
        });
    }
}

async fn relay(
    mut from_engine: OwnedReadHalf,
    mut to_engine: OwnedWriteHalf,
    server: SocketAddr,
    traffic: &watch::Sender<Traffic>,
) -> std::io::Result<()> {
    let (mut from_server, mut to_server) = TcpStream::connect(server).await?.into_split();
    let answers = async {
        let mut piece = [0; BUFFER_BYTES as usize];
        while let read @ 1.. = from_server.read(&mut piece).await? {
            let mut rest = &piece[..read];
            while !rest.is_empty() {
                let sent = to_engine.write(rest).await?;
                traffic.send_modify(|traffic| traffic.answered_bytes += sent);
                rest = &rest[sent..];
            }
        }
        to_engine.shutdown().await
    };
    tokio::select! {
        asked = tokio::io::copy(&mut from_engine, &mut to_server) => asked.map(drop),
        answered = answers => answered,
    }
}
