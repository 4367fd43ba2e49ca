//! Tests of the program's own routes, the index and the topology, and of how the server starts and
//! ends.

use std::net::TcpListener;
use std::time::Duration;

use marlowe::Config;
use marlowe::axum::extract::{RawQuery, State};
use marlowe::axum::{Router, routing::get};
use marlowe::table::{GlobalClient, TableView};
use serde_json::json;

use crate::common::TestResult;
use crate::common::address::any_port;
use crate::common::client::Client;
use crate::common::wait::{holds_within, pause};
use crate::common::worker;
use crate::program::program;

#[derive(Clone)]
struct Both {
    pages: TableView<String, u64>,
    totals: GlobalClient<String, u64>,
    worker: String,
}

async fn both(State(both): State<Both>) -> String {
    let page = both.pages.get("page-0003").await.unwrap();
    format!("{:?} {:?} {}", page, both.totals.get("visits"), both.worker)
}

#[tokio::test]
async fn the_programs_routes_stand_beside_the_built_in_ones() -> TestResult {
    let mut program = program();
    let (pages, totals) = (program.pages, program.totals);
    program.app.web(move |state| {
        let (pages, totals) = state.open((pages.view(), totals));
        let worker = state.worker().to_owned();
        Router::new().route("/both", get(both)).with_state(Both { pages, totals, worker })
    });
    program.app.web(|state| {
        let name = state.app().to_owned();
        Router::new()
            .route("/name", get(move || async move { name }))
            .route("/fails", get(async || -> String { panic!("on purpose") }))
            .route("/fails-with", get(async |RawQuery(query): RawQuery| -> String { panic!("{query:?}") }))
    });
    let (running, clients) = program.visited(2, 5).await?;
    for client in &clients {
        let worker = client.get("/readyz").expect(200)["worker"].as_str().unwrap().to_owned();
        assert_eq!(client.get("/both").text, format!("Some(3) Some(5) {worker}"));
        assert_eq!(client.get("/name").text, "web-test");
        let error = client.get("/fails").error(500);
        assert!(error.contains("GET /fails: the handler panicked: on purpose"), "{error}");
        // A panic message that was formatted may contain rows, so only the log has it.
        let error = client.get("/fails-with?row=secret").error(500);
        assert!(error.contains("the handler panicked; the worker's log says why at `web error "), "{error}");
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(client.get("/tables/pages/page-0003").expect(200)["value"], 3);
    }
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_route_that_is_taken_is_an_error_at_the_start() {
    for path in ["/metrics", "/tables/{name}", "/twice"] {
        let mut program = program();
        program.app.web(|_| Router::new().route("/twice", get(|| async { "once" })));
        program.app.web(move |_| Router::new().route(path, get(|| async { "again" })));
        let error = program.app.start(Config::default().web(any_port())).await.err().unwrap().to_string();
        assert!(error.contains("web closure number 2") && error.contains(path), "{error}");
        assert!(error.contains("/healthz") && error.contains("a path can be added only once"), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_named_in_the_answer() -> TestResult {
    let (running, clients) = program().start(1).await?;
    assert!(clients[0].get("/nowhere").error(404).contains("nothing is served at GET /nowhere"));
    assert_eq!(clients[0].ask("HEAD", "/tables", &[], "").status, 200);
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_program_may_answer_unknown_paths_itself() -> TestResult {
    let mut program = program();
    program.app.web(|_| Router::new().fallback(async || "the program's own"));
    let (running, clients) = program.start(1).await?;
    assert_eq!(clients[0].get("/nowhere").text, "the program's own");
    clients[0].get("/tables").expect(200);
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_request_that_waits_does_not_delay_the_stop() -> TestResult {
    let (running, mut clients) = program().start(1).await?;
    let client = clients.remove(0);
    let waits = tokio::task::spawn_blocking(move || client.get("/tables/pages/x?at=1000000&wait=10000"));
    pause(100).await;
    tokio::time::timeout(Duration::from_secs(4), running.stop()).await.expect("it stops at once")?;
    assert!(waits.await?.error(503).contains("has stopped"));
    Ok(())
}

#[tokio::test]
async fn nothing_of_a_worker_is_left_after_the_stop() -> TestResult {
    let folder = tempfile::tempdir()?;
    let config = || Config::default().web(any_port()).data_dir(folder.path());
    let running = worker::start(program().app, config()).await?;
    let client = Client::of(&running);
    client.post("/tables/pages/home?wait=5000", "1").expect(200);
    let worker = client.get("/readyz").expect(200)["worker"].as_str().unwrap().to_owned();
    running.stop().await?;
    #[cfg(target_os = "linux")]
    for thread in std::fs::read_dir("/proc/self/task")? {
        // A thread of another test may end just now.
        let name = std::fs::read_to_string(thread?.path().join("comm")).unwrap_or_default();
        assert!(!name.starts_with(&worker), "{name} is left");
    }
    // The folder is free as well.
    let running = worker::start(program().app, config()).await?;
    assert_eq!(Client::of(&running).get("/tables/pages/home").expect(200)["value"], 1);
    // A program that is dropped also stops listening.
    let address = running.web_addresses()[0];
    drop(running);
    let is_free = async || std::net::TcpStream::connect(address).is_err();
    let is_free = holds_within(Duration::from_secs(15), is_free).await;
    assert!(is_free, "somebody listens on {address} still, as {worker} did");
    Ok(())
}

#[tokio::test]
async fn the_index_is_a_page_for_people() -> TestResult {
    let (running, clients) = program().visited(1, 1234).await?;
    let page = clients[0].get("/");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    for part in ["<h1>web-test</h1>", ">ready<", "/tables/pages", "1,234", "/topology?format=mermaid"] {
        assert!(page.text.contains(part), "{part} is missing");
    }
    assert!(!page.text.contains("{{"), "a placeholder is left");
    assert!(!page.text.contains("https://") && !page.text.contains("src="), "nothing comes from elsewhere");
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_topology_comes_in_three_languages() -> TestResult {
    let (running, clients) = program().start(1).await?;
    let client = &clients[0];
    let topology = client.get("/topology").expect(200);
    assert_eq!(topology["app"], "web-test");
    assert!(topology["agents"].as_array().unwrap().iter().any(|agent| agent["name"] == json!("count")));
    assert_eq!(client.get("/topology?format=json").expect(200), topology);
    let mermaid = client.get("/topology?format=mermaid");
    assert!(mermaid.text.starts_with("flowchart LR") && mermaid.header("content-type").starts_with("text/plain"));
    assert!(client.get("/topology?format=dot").text.starts_with("digraph \"web-test\""));
    assert!(client.get("/topology?format=svg").error(400).contains("json, mermaid, dot"));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_named_before_anything_starts() -> TestResult {
    let taken = TcpListener::bind(any_port())?;
    let address = taken.local_addr()?;
    let folder = tempfile::tempdir()?;
    let config = Config::default().web(address).data_dir(folder.path().join("data"));
    let error = program().app.start(config).await.err().unwrap().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("--web 127.0.0.1:0"), "{error}");
    assert!(!folder.path().join("data").exists(), "nothing was started");
    Ok(())
}

#[tokio::test]
async fn ports_are_free_after_the_stop_and_workers_take_them_in_order() -> TestResult {
    // Find two ports in a row that were free just now. The search ends, because other programs take
    // few ports.
    let first = loop {
        let probe = TcpListener::bind(any_port())?.local_addr()?;
        let next = probe.port().checked_add(1).map(|port| (probe.ip(), port));
        if next.is_some_and(|next| TcpListener::bind(next).is_ok()) {
            break probe;
        }
    };
    for _ in 0..2 {
        let running = worker::start(program().app, Config::default().web(first).workers(2)).await?;
        let ports: Vec<u16> = running.web_addresses().iter().map(|address| address.port()).collect();
        assert_eq!(ports, [first.port(), first.port() + 1]);
        // A connection that is kept open does not delay the stop.
        let client = Client::new(first);
        client.get("/healthz").expect(200);
        let stopped = tokio::time::timeout(Duration::from_secs(4), running.stop());
        stopped.await.expect("it stops at once")?;
        assert!(std::net::TcpStream::connect(first).is_err(), "nobody listens any more");
    }
    let last = Config::default().web(([127, 0, 0, 1], 65535).into()).workers(2);
    let error = program().app.start(last).await.err().unwrap().to_string();
    assert!(error.contains("lower first port") || error.contains("in use"), "{error}");
    let without = program().app.start(Config::default().without_web()).await?;
    assert!(without.web_addresses().is_empty());
    without.stop().await?;
    Ok(())
}
