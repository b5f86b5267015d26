//! The way to a daemon: one that is running, or one started in this process.
//!
//! Invariants:
//! - A daemon is started only where none listens and nobody named another one by `--connect`.
//! - Whatever is started is said on standard error, and stopped by [`Link::close`].

use std::time::Duration;

use inferd_proto::{CallRequest, Called, EmbedRequest, Embeddings, Hello, Request, Response, Servers, Tools};
use tokio::time::{Instant, sleep, timeout};

use crate::args::Reach;
use crate::client::{Answer, Client, ClientError, Key};
use crate::embedded::{Embedded, EmbeddedError, Home};
use crate::exit::Exit;
use crate::platform::terminated;
use crate::turn::interrupt;
use crate::words;

/// How long another process has to finish starting the daemon whose lock it holds.
const START_PATIENCE: Duration = Duration::from_secs(15);
const START_POLL: Duration = Duration::from_millis(50);

/// How long stopping may take without a word about it.
const STOP_QUIETLY: Duration = Duration::from_millis(500);

/// A daemon, and how it was reached.
pub(crate) struct Link {
    /// Where one may be started; `None` where another was named.
    home: Option<Home>,
    client: Client,
    embedded: Option<Embedded>,
}

/// Why there is no daemon to talk to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The daemon cannot be reached, or not any more.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// None could be started.
    #[error(transparent)]
    Start(#[from] EmbeddedError),
    /// `--api-key-env` names a variable that is not there.
    #[error("--api-key-env: the environment variable {0} is not set")]
    KeyUnset(String),
}

impl LinkError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Client(error) => error.into(),
            Self::Start(error) => error.exit(),
            Self::KeyUnset(_) => Exit::Usage,
        }
    }
}

impl Link {
    /// Connects to a daemon, starting one if need be. Says which engine answers where it is started, or `greets`.
    pub(crate) async fn open(reach: &Reach, model: Option<&str>, greets: bool) -> Result<Self, LinkError> {
        let key = match &reach.api_key_env {
            None => None,
            Some(name) => Some(Key::new(std::env::var(name).map_err(|_| LinkError::KeyUnset(name.clone()))?)),
        };
        let home = Home::of_user(reach.config.clone());
        let address = reach.connect.clone().unwrap_or_else(|| home.address());
        let home = reach.connect.is_none().then_some(home);
        let (client, embedded) = match (Client::connect(&address, key).await, &home) {
            (Err(error), Some(home)) if error.is_absent() => start(home).await?,
            (connected, _) => (connected?, None),
        };
        let link = Self { home, client, embedded };
        if greets || link.embedded.is_some() {
            link.greet(model).await?;
        }
        Ok(link)
    }

    /// What the daemon can do.
    pub(crate) async fn hello(&self) -> Result<Hello, ClientError> {
        self.client.hello().await
    }

    /// Sends `request`; where the daemon is gone by now, another is started first.
    pub(crate) async fn generate(&mut self, request: Request) -> Result<Answer, LinkError> {
        match (self.client.generate(request.clone()).await, &self.home) {
            (Err(error), Some(home)) if error.is_absent() => {
                if let Some(ended) = self.embedded.take() {
                    ended.stop().await;
                }
                (self.client, self.embedded) = start(home).await?;
                self.greet(request.model.as_deref()).await?;
                Ok(self.client.generate(request).await?)
            }
            (sent, _) => Ok(sent?),
        }
    }

    /// Sends texts and waits for their vectors.
    pub(crate) async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, ClientError> {
        self.client.embed(request).await
    }

    /// The servers the daemon knows.
    pub(crate) async fn servers(&self) -> Result<Servers, ClientError> {
        self.client.servers().await
    }

    /// The tools of all of them, or of one.
    pub(crate) async fn tools(&self, server: Option<&str>) -> Result<Tools, ClientError> {
        self.client.tools(server).await
    }

    /// Calls one of the tools; `news` is shown where the call stands.
    pub(crate) async fn call(
        &self,
        request: CallRequest,
        news: impl FnMut(&Response),
    ) -> Result<Called, ClientError> {
        self.client.call(request, news).await
    }

    /// Stops the daemon that was started here, when the requests of other programs are answered.
    pub(crate) async fn close(self) {
        let Self { client, embedded, .. } = self;
        drop(client);
        let Some(embedded) = embedded else { return };
        let mut stopped = std::pin::pin!(embedded.stop());
        if timeout(STOP_QUIETLY, &mut stopped).await.is_err() {
            eprintln!("other programs are still being answered by this process; Ctrl-C ends it now");
            tokio::select! {
                () = stopped => {}
                () = interrupt() => {}
                () = terminated() => {}
            }
        }
    }

    async fn greet(&self, model: Option<&str>) -> Result<(), LinkError> {
        match self.client.hello().await {
            Ok(hello) => {
                eprintln!("{}", words::engine(&hello, model));
                if self.embedded.as_ref().is_some_and(Embedded::is_mock) {
                    eprintln!("no model server was found: the mock answers");
                } else if words::is_mock(&hello) {
                    eprintln!("the mock answers: there is no model behind it");
                }
            }
            Err(ClientError::NoHello(_)) => eprintln!("an older inferd, which does not say who answers"),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Starts a daemon, or waits for the one that another process is starting at this moment.
async fn start(home: &Home) -> Result<(Client, Option<Embedded>), LinkError> {
    match home.start().await {
        Ok(embedded) => {
            eprintln!("no daemon is running: started one in this process");
            Ok((Client::connect(&home.address(), None).await?, Some(embedded)))
        }
        Err(error) if error.is_held() => {
            eprintln!("a daemon is starting: waiting for it");
            let patience = Instant::now() + START_PATIENCE;
            loop {
                match Client::connect(&home.address(), None).await {
                    Err(absent) if absent.is_absent() && Instant::now() < patience => sleep(START_POLL).await,
                    Err(absent) if absent.is_absent() => return Err(error.into()),
                    connected => return Ok((connected?, None)),
                }
            }
        }
        Err(error) => Err(error.into()),
    }
}
