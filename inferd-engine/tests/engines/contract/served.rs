//! A server that speaks HTTP, in the words of an engine's own.

use inferd_engine::testing::contract::{Ending, Rig, Script, Stage};
use inferd_engine::testing::upstream::{Reply, Upstream};

use crate::lane::keyless;
use crate::protocols::Engine;

pub(super) struct ServedRig<E>(pub(super) E);

impl<E: Engine> ServedRig<E> {
    fn reply(&self, script: &Script, stream: bool) -> Reply {
        let Self(engine) = self;
        let tokens = || {
            let begun = engine.stream().text(&engine.begins());
            script.tokens.iter().fold(begun, |reply, token| reply.text(&engine.says(token)))
        };
        match script.ending {
            Ending::Invalid => Reply::json(400, &engine.refuses("no")),
            Ending::Unavailable => Reply::json(500, &engine.refuses("no")),
            Ending::Done if !stream => Reply::json(200, &engine.whole(&script.tokens.concat())),
            Ending::Done => tokens().text(&engine.ends()),
            Ending::CutShort => tokens().end(),
            Ending::Hang => tokens().hang(),
        }
    }
}

impl<E: Engine> Rig for ServedRig<E> {
    async fn play(&self, script: Script, stream: bool) -> Stage {
        let reply = self.reply(&script, stream);
        let reply = if script.byte_by_byte { reply.byte_by_byte() } else { reply };
        let upstream = Upstream::start([reply]).await;
        Stage { backend: self.0.built(keyless(&upstream)), upstream: Some(upstream) }
    }
}
