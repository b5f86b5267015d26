//! What goes on of its own accord: the daemon's own messages, and sessions begun anew.

use hyper::{Method, StatusCode};
use tokio::time::sleep;

use super::stream::Stream;
use super::{COME_BACK, PATIENCE, Relay, Session, Unanswered, headers, locked};
use crate::mcp::message::Message;

impl Relay {
    /// Begins a session in the place of session number `used`, unless there is another already; its number.
    pub(super) async fn renew(&self, used: u64) -> Result<u64, Unanswered> {
        let _turn = self.renewing.lock().await;
        let now = self.session.borrow().number;
        if now != used {
            return Ok(now);
        }
        let hello = locked(&self.hello).clone();
        let hello =
            hello.ok_or(Unanswered::Refused { status: StatusCode::NOT_FOUND, said: String::new() })?;
        self.session.send_modify(|session| session.id = None);
        let reply = self.post(&hello).await?;
        let (status, id) = (reply.status, headers::session(&reply.headers));
        if status != StatusCode::OK {
            return Err(Unanswered::Refused { status, said: reply.whole().await? });
        }
        // The client has this answer already, from the session before.
        reply.whole().await?;
        let version = self.session.borrow().version.clone();
        self.session.send_modify(|session| {
            *session = Session { id, version, ready: false, number: used + 1 };
        });
        let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        self.deliver(&Message::read(ready.as_bytes()).expect("it is a message")).await?;
        self.session.send_modify(|session| session.ready = true);
        eprintln!("inferd-cli: the daemon had forgotten the session: a new one was begun");
        Ok(used + 1)
    }

    /// Passes on what the daemon says of its own accord, for ever.
    pub(in crate::mcp) async fn listen(&self) -> std::convert::Infallible {
        let mut sessions = self.session.subscribe();
        let mut cursor: Option<(u64, String)> = None;
        loop {
            let open = |session: &Session| session.ready && session.id.is_some();
            let session = match sessions.wait_for(open).await {
                Ok(session) => session.clone(),
                Err(_) => std::future::pending().await,
            };
            let last =
                cursor.as_ref().filter(|(number, _)| *number == session.number).map(|(_, id)| id.as_str());
            match self.place.send(Method::GET, headers::read(&session, last), String::new()).await {
                Ok(reply) if reply.status == StatusCode::OK => {
                    let mut stream = Stream::new(reply);
                    while let Ok(Some(event)) = stream.next().await {
                        if event.is_message()
                            && let Ok(value) = serde_json::from_str(&event.data)
                            && !self.say(event.into_line(&value)).await
                        {
                            std::future::pending::<()>().await;
                        }
                    }
                    cursor = stream.cursor.map(|id| (session.number, id)).or(cursor);
                    sleep(stream.come_back).await;
                }
                Ok(reply) if reply.status == StatusCode::NOT_FOUND => {
                    if let Err(error) = self.renew(session.number).await {
                        eprintln!("inferd-cli: the session is lost: {error}");
                        sleep(PATIENCE).await;
                    }
                }
                // The daemon has nothing to say of its own accord, in this session.
                Ok(reply) if reply.status == StatusCode::METHOD_NOT_ALLOWED => {
                    let number = session.number;
                    if sessions.wait_for(|session| session.number != number).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
                Ok(_) | Err(_) => sleep(COME_BACK).await,
            }
        }
    }
}
