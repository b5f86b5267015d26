use super::*;

const CHANGED: &str = "notifications/tools/list_changed";

#[tokio::test(start_paused = true)]
async fn a_list_that_changes_every_millisecond_is_listed_a_few_times_a_second() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x0"])).await;
    let begun = Instant::now();
    let mut lists = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        a.says(json!({"jsonrpc": "2.0", "method": CHANGED})).await;
        if let Ok(request) = tokio::time::timeout(Duration::from_millis(1), a.hears()).await {
            if request["method"] == "tools/list" {
                lists += 1;
                let name = format!("x{lists}");
                a.answers(&request, json!({"tools": tools(&[&name])})).await;
            } else {
                a.answers(&request, json!({})).await;
            }
        }
    }
    assert!((8..=10).contains(&lists), "{lists}");
}

#[tokio::test(start_paused = true)]
async fn a_change_is_announced_once_and_only_if_it_is_one() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let mut changes = stage.upstreams.changes();
    changes.borrow_and_update();
    let before = stage.upstreams.catalogue().version.tools;
    for (tools_now, version) in [(tools(&["y", "x"]), before + 1), (tools(&["x", "y"]), before + 1)] {
        for _ in 0..5 {
            a.says(json!({"jsonrpc": "2.0", "method": CHANGED})).await;
        }
        let begun = Instant::now();
        a.lists(tools_now).await;
        assert_eq!(begun.elapsed().as_millis(), 200);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(stage.upstreams.catalogue().version.tools, version);
    }
    assert!(changes.has_changed().unwrap());
    changes.borrow_and_update();
    assert_eq!(names(&stage.upstreams.catalogue()), ["a::x", "a::y"]);
}
