use rmcp::model::{CallToolResult, JsonObject, PaginatedRequestParams};

use super::*;

fn tool(name: &str, description: &str) -> Offered<Tool> {
    let tool = Tool::new(name.to_owned(), description.to_owned(), Arc::new(JsonObject::new()));
    Offered::new(tool, |_| std::future::ready(Ok(CallToolResult::success(Vec::new()).into())))
}

fn tools(names: &[&str]) -> Supplied {
    Supplied { tools: names.iter().map(|name| tool(name, "")).collect(), ..Supplied::default() }
}

fn listed(menu: &Menu) -> Vec<String> {
    let (page, _) = menu.now().tools.page(None).unwrap();
    page.into_iter().map(|tool| tool.name.into_owned()).collect()
}

#[test]
fn what_is_supplied_stands_behind_the_daemons_own_and_takes_the_place_of_what_was() {
    let menu = Menu::new(tools(&["own"]));
    let changes = menu.changes();
    menu.supply(tools(&["b", "a"]));
    assert_eq!(listed(&menu), ["own", "b", "a"]);
    menu.supply(tools(&["c"]));
    assert_eq!(listed(&menu), ["own", "c"]);
    menu.supply(Supplied::default());
    assert_eq!(listed(&menu), ["own"]);
    assert!(changes.has_changed().unwrap());
}

#[test]
fn a_list_is_of_a_new_edition_when_it_reads_otherwise_and_only_then() {
    let menu = Menu::new(tools(&["own"]));
    let mut changes = menu.changes();
    let mut supply = |tools: Vec<Offered<Tool>>| {
        menu.supply(Supplied { tools, ..Supplied::default() });
        let changed = changes.has_changed().unwrap();
        let now = changes.borrow_and_update();
        (changed, now.tools.edition(), now.resources.edition())
    };
    assert_eq!(supply(vec![tool("a", "")]), (true, 1, 0));
    assert_eq!(supply(vec![tool("a", "")]), (false, 1, 0));
    assert_eq!(supply(vec![tool("a", "says something else")]), (true, 2, 0));
    assert_eq!(supply(vec![tool("b", ""), tool("a", "says something else")]), (true, 3, 0));
    assert_eq!(supply(vec![tool("a", "says something else"), tool("b", "")]), (true, 4, 0));
}

#[test]
fn a_name_leads_to_one_thing_and_is_taken_as_it_is() {
    let menu = Menu::new(tools(&["own"]));
    let federated = tool("a__b", "the first").also_called("a::b");
    let taken = tool("other", "").also_called("a::b");
    menu.supply(Supplied {
        tools: vec![tool("own", "an impostor"), federated, taken],
        ..Supplied::default()
    });
    let now = menu.now();
    assert_eq!(now.tools.find("own").unwrap().described().description.as_deref(), Some(""));
    for name in ["a__b", "a::b"] {
        assert_eq!(now.tools.find(name).unwrap().described().description.as_deref(), Some("the first"));
    }
    for name in ["", "a", "b", "a__", "other", "OWN"] {
        assert!(now.tools.find(name).is_none(), "{name}");
    }
}

#[test]
fn a_long_list_has_pages_and_a_page_is_found_in_the_list_that_took_its_place() {
    let names: Vec<String> = (0..2500).map(|number| format!("t{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let menu = Menu::new(tools(&["own"]));
    menu.supply(tools(&names));
    let page = |cursor: Option<&str>| {
        let asked = PaginatedRequestParams::default().with_cursor(cursor.map(str::to_owned));
        let (page, next) = menu.now().tools.page(Some(&asked))?;
        Ok::<_, rmcp::ErrorData>((page.len(), page[0].name.clone(), next))
    };
    assert_eq!(page(None), Ok((1000, "own".into(), Some("t999".to_owned()))));
    assert_eq!(page(Some("t999")), Ok((1000, "t999".into(), Some("t1999".to_owned()))));
    menu.supply(tools(&names[500..]));
    assert_eq!(page(Some("t1999")), Ok((501, "t1999".into(), None)));
    let gone = page(Some("t0")).unwrap_err();
    assert_eq!(gone.code, rmcp::model::ErrorCode::INVALID_PARAMS);
}

#[test]
fn a_page_holds_no_more_than_a_megabyte_unless_one_alone_is_more() {
    let menu = Menu::new(Supplied::default());
    let long = "x".repeat(400_000);
    let longest = "x".repeat(2_000_000);
    let tools =
        vec![tool("a", &long), tool("b", &long), tool("c", &long), tool("d", &longest), tool("e", "")];
    menu.supply(Supplied { tools, ..Supplied::default() });
    let (mut pages, mut cursor) = (Vec::new(), None);
    loop {
        let asked = PaginatedRequestParams::default().with_cursor(cursor);
        let (page, next) = menu.now().tools.page(Some(&asked)).unwrap();
        pages.push(page.iter().map(|tool| tool.name.to_string()).collect::<String>());
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, ["ab", "c", "d", "e"]);
}
