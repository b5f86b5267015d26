use super::*;

#[tokio::test(start_paused = true)]
async fn a_call_reaches_its_owner_in_either_spelling() {
    let stage = Stage::of(&["a", "b"]);
    let mut a = stage.play("a", tools(&["read file"])).await;
    let _b = stage.play("b", tools(&["read file"])).await;
    let spelling = stage.upstreams.catalogue().tool("a::read file").unwrap().spelling.clone();
    assert!(spelling.starts_with("a__read_file_"), "{spelling}");
    for name in ["a::read file", &spelling] {
        let arguments = json!({"path": "/x"}).as_object().cloned();
        let call = stage.upstreams.call(name, arguments, |_| {});
        let (result, ()) = tokio::join!(call, async {
            let asked = a.is_asked("tools/call").await;
            assert_eq!(asked["params"]["name"], "read file");
            assert_eq!(asked["params"]["arguments"], json!({"path": "/x"}));
            let result = json!({"content": [{"type": "text", "text": "hi"}, {"type": "odd"}],
                "structuredContent": [1], "isError": true});
            a.answers(&asked, result).await;
        });
        let result = result.unwrap();
        assert_eq!(result.content, [json!({"type": "text", "text": "hi"}), json!({"type": "odd"})]);
        assert_eq!((result.structured, result.is_error), (Some(json!([1])), true));
    }
    let unknown = stage.upstreams.call("a__read file", None, |_| {}).await.unwrap_err();
    insta::assert_snapshot!(unknown, @"there is no tool `a__read file`");
}

#[tokio::test(start_paused = true)]
async fn progress_is_passed_on_in_order_and_renews_patience() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let mut told = Vec::new();
    let call = stage.upstreams.call("a::x", None, |progress| told.push(progress));
    let (result, ()) = tokio::join!(call, async {
        let asked = a.is_asked("tools/call").await;
        for step in 1..=5 {
            advance(Duration::from_secs(50)).await;
            let params = json!({"progressToken": asked["params"]["_meta"]["progressToken"], "progress": step,
                "total": 5, "message": format!("step {step}")});
            a.says(json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        a.answers(&asked, json!({"content": []})).await;
    });
    result.unwrap();
    let steps: Vec<f64> = told.iter().map(|progress| progress.progress).collect();
    assert_eq!(steps, [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!((told[4].total, told[4].message.as_deref()), (Some(5.0), Some("step 5")));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_silent_is_given_up_and_cancelled_upstream() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let begun = Instant::now();
    let call = stage.upstreams.call("a::x", None, |_| {});
    let (result, ()) = tokio::join!(call, async {
        let asked = a.is_asked("tools/call").await;
        let mut next = a.hears().await;
        if next["method"] == "ping" {
            next = a.hears().await;
        }
        assert_eq!(next["method"], "notifications/cancelled");
        assert_eq!(next["params"]["requestId"], asked["id"]);
    });
    insta::assert_snapshot!(result.unwrap_err(), @"server `a` did not answer within 60 s");
    assert_eq!(begun.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn progress_for_ever_is_given_up_after_ten_minutes() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let begun = Instant::now();
    let call = stage.upstreams.call("a::x", None, |_| {});
    let busy = async {
        let asked = a.is_asked("tools/call").await;
        let params = json!({"progressToken": asked["params"]["_meta"]["progressToken"], "progress": 1});
        loop {
            a.says(json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})).await;
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
    };
    let result = tokio::select! { result = call => result, () = busy => unreachable!("it never ends") };
    insta::assert_snapshot!(result.unwrap_err(), @"server `a` did not answer within 600 s");
    assert_eq!(begun.elapsed().as_secs(), 600);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_is_cancelled_upstream() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let asked = tokio::select! {
        biased;
        result = stage.upstreams.call("a::x", None, |_| {}) => panic!("{result:?}"),
        asked = a.is_asked("tools/call") => asked,
    };
    let cancelled = a.is_asked("notifications/cancelled").await;
    assert_eq!(cancelled["params"]["requestId"], asked["id"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_with_the_servers_words() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    for (said, told) in [
        (json!({"error": {"code": -32602, "message": "no such path"}}), "server `a` refused: no such path"),
        (json!({"error": "broken"}), "server `a` refused: it gave no reason"),
        (json!({}), "server `a` refused: it answered with neither result nor error"),
        (json!({"result": 3}), "server `a` answered with what is no result: expected an object"),
        (
            json!({"result": {"content": 3}}),
            "server `a` answered with what is no result: its content is no list",
        ),
        (
            json!({"result": {"resultType": "input_required"}}),
            "server `a` answered with what is no result: it asks for more, which nobody here can give",
        ),
    ] {
        let (result, ()) = tokio::join!(stage.upstreams.call("a::x", None, |_| {}), async {
            let asked = a.is_asked("tools/call").await;
            let mut answer = said.clone();
            answer["id"] = asked["id"].clone();
            a.says(answer).await;
        });
        assert_eq!(result.unwrap_err().to_string(), told);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_long_costs_its_own_call_and_nothing_else() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x", "y"])).await;
    for id_comes_last in [false, true] {
        let both = async {
            tokio::join!(
                stage.upstreams.call("a::x", None, |_| {}),
                stage.upstreams.call("a::y", None, |_| {})
            )
        };
        let ((refused, fine), ()) = tokio::join!(both, async {
            let mut asked = [a.is_asked("tools/call").await, a.is_asked("tools/call").await];
            asked.sort_by_key(|asked| asked["params"]["name"].to_string());
            let id = &asked[0]["id"];
            let ends = if id_comes_last {
                (
                    r#"{"result":{"content":[{"id":1,"#.to_owned(),
                    format!(r#"}}]}},"jsonrpc":"2.0","id":{id}}}"#),
                )
            } else {
                (format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"#), r"}]}}".to_owned())
            };
            a.says_bytes(format!("{}\"text\":\"", ends.0).as_bytes()).await;
            for _ in 0..100 {
                a.says_bytes(&vec![b'x'; 1024 * 1024]).await;
            }
            a.says_bytes(format!("\"{}\n", ends.1).as_bytes()).await;
            a.answers(&asked[1], json!({"content": []})).await;
        });
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused.unwrap_err(), @"server `a` refused: its answer exceeds 16777216 bytes");
        }
        fine.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_has_so_many_calls_open_and_no_more() {
    let stage = Stage::of(&["a"]);
    let _a = stage.play("a", tools(&["x"])).await;
    let mut open: Vec<_> = (0..256).map(|_| Box::pin(stage.upstreams.call("a::x", None, |_| {}))).collect();
    for call in &mut open {
        assert!(futures_util::poll!(call.as_mut()).is_pending());
    }
    let refused = stage.upstreams.call("a::x", None, |_| {}).await.unwrap_err();
    insta::assert_snapshot!(refused, @"server `a` has 256 calls open already");
    open.pop();
    let mut next = Box::pin(stage.upstreams.call("a::x", None, |_| {}));
    assert!(futures_util::poll!(next.as_mut()).is_pending(), "there is room again");
}

#[tokio::test(start_paused = true)]
async fn what_a_server_asks_of_us_is_refused() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let request = json!({"jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage", "params": {"messages": [],
        "maxTokens": 1}});
    a.says(request).await;
    let answer = a.hears().await;
    assert_eq!((&answer["id"], answer["error"]["code"].as_i64()), (&json!("q"), Some(-32601)), "{answer}");
    a.says(json!({"jsonrpc": "2.0", "id": "p", "method": "ping"})).await;
    assert_eq!(a.hears().await["result"], json!({}));
}
