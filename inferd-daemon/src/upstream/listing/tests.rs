use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use super::super::session::{Ask, Progress};
use super::*;

/// A server whose pages of tools are what a function makes of their number.
#[derive(Debug)]
struct Book(fn(usize) -> Value);

#[async_trait]
impl Session for Book {
    fn has(&self, list: List) -> bool {
        list == List::Tools
    }

    async fn page(&self, _list: List, cursor: Option<String>) -> Result<Value, Fault> {
        let number = cursor.map_or(0, |cursor| cursor.parse().expect("a cursor of this book"));
        Ok((self.0)(number))
    }

    async fn ask(&self, _ask: Ask, _progress: mpsc::Sender<Progress>) -> Result<Value, Fault> {
        unreachable!("only lists are asked for")
    }

    async fn ping(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }

    async fn run(&self) -> String {
        std::future::pending().await
    }

    async fn close(&self) {}
}

async fn listed(pages: fn(usize) -> Value) -> Listing {
    Listing::fetch(&Book(pages)).await.unwrap()
}

fn tool(name: impl Into<String>) -> Value {
    json!({"name": name.into(), "inputSchema": {"type": "object"}})
}

fn names(listing: &Listing) -> Vec<&str> {
    listing.tools.iter().filter_map(|tool| key_of(List::Tools, tool)).collect()
}

#[tokio::test]
async fn pages_become_one_sorted_list() {
    let listing = listed(|page| match page {
        0 => json!({"tools": [tool("c"), tool("a")], "nextCursor": "1"}),
        _ => json!({"tools": [tool("b")]}),
    })
    .await;
    assert_eq!(names(&listing), ["a", "b", "c"]);
    assert_eq!(listing.remarks, Vec::<String>::new());
}

#[tokio::test]
async fn cursors_for_ever_come_to_an_end() {
    let listing =
        listed(|page| json!({"tools": [tool(format!("t{page:03}"))], "nextCursor": (page + 1).to_string()}))
            .await;
    assert_eq!(listing.tools.len(), PAGES_MAX);
    assert_eq!(listing.remarks, ["tools: only the first 64 pages are offered"]);
    let listing = listed(|_| json!({"tools": [], "nextCursor": "7"})).await;
    assert_eq!(listing.remarks, ["tools: a page that leads back to itself"]);
}

#[tokio::test]
async fn a_hundred_thousand_tools_are_the_first_thousand() {
    let listing =
        listed(|_| json!({"tools": (0..100_000).map(|n| tool(format!("t{n}"))).collect::<Vec<_>>()})).await;
    assert_eq!(listing.tools.len(), ENTRIES_MAX);
    assert_eq!(listing.remarks, ["tools: only the first 1024 are offered"]);
}

#[tokio::test]
async fn a_list_has_a_limit_in_bytes_too() {
    let listing = listed(|_| {
        let long =
            |n| json!({"name": format!("t{n}"), "description": "x".repeat(1 << 20), "inputSchema": {}});
        json!({"tools": (0..40).map(long).collect::<Vec<_>>()})
    })
    .await;
    assert_eq!((listing.tools.len(), listing.remarks.len()), (16, 1), "{:?}", listing.remarks);
}

#[tokio::test]
async fn what_cannot_be_offered_is_left_out_and_the_rest_is_offered() {
    let listing = listed(|_| {
        json!({"tools": [
            tool("good"), tool("good"), {"name": "untyped", "inputSchema": {"properties": {}}}, "text", tool(""),
            {"name": "text", "inputSchema": "x"}, {"name": "list", "inputSchema": {"type": "array"}}, {"name": "none"},
            tool("n".repeat(2000)), {"inputSchema": {}},
        ]})
    })
    .await;
    assert_eq!(names(&listing), ["good", "untyped"]);
    assert_eq!(listing.tools[1]["inputSchema"], json!({"properties": {}, "type": "object"}));
    insta::assert_snapshot!(listing.remarks.join("\n"));
}

#[tokio::test]
async fn a_page_without_a_list_is_an_empty_one() {
    let listing = listed(|_| json!({"tools": 3})).await;
    assert_eq!(
        (listing.tools.len(), listing.remarks.join("")),
        (0, "tools: a page without a list".to_owned())
    );
}
