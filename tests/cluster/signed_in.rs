//! Tests of web tokens where several processes answer. Workers ask each other with a secret of
//! their own, and tell each other who asked.

use marlowe::axum::Router;
use marlowe::axum::extract::Path;
use marlowe::axum::http::HeaderMap;
use marlowe::axum::routing::get;
use marlowe::config::WebToken;
use marlowe::web::Caller;

use crate::common::client::Client;
use crate::program::program;
use crate::scene::{Cluster, TestResult, eventually, start, stop};

#[tokio::test]
async fn users_send_web_tokens_and_workers_the_cluster_token() -> TestResult {
    let cluster = Cluster::new().await;
    let config = || {
        let tokens = [WebToken::write("open-sesame").named("ada"), WebToken::read("look-around")];
        tokens.into_iter().fold(cluster.calm().cluster_token("between-us"), |config, token| config.web_token(token))
    };
    let mut processes = Vec::new();
    for _ in 0..2 {
        let mut program = program("signed-in");
        let pages = program.pages;
        program.app.web(move |worker| {
            let name = worker.worker().to_owned();
            let who = async move |Path(_): Path<String>, caller: Caller, headers: HeaderMap| {
                let name_of = caller.name.as_deref().unwrap_or("nobody");
                format!("{name} {:?} {name_of} {}", caller.role, headers.contains_key("marlowe-caller"))
            };
            Router::new()
                .route("/who/{page}", get(who.clone()).post(who))
                .route_layer(worker.owner_of(pages).by_path("page"))
        });
        processes.push(start(program.app, config()).await?);
    }
    let clients: Vec<_> = processes.iter().map(Client::of).collect();
    let ask = |number: usize, token: &str, method: &str, path: &str| {
        let bearer = format!("Bearer {token}");
        clients[number].ask(method, path, &[("authorization", &bearer)], if method == "GET" { "" } else { "1" })
    };
    // Wait until both workers have partitions and all partitions are open.
    let webs: Vec<String> = processes.iter().map(|running| format!("http://{}", running.web_addresses()[0])).collect();
    for number in [0, 1] {
        eventually("all is shared out, and all know it", async || {
            let tables = ask(number, "look-around", "GET", "/tables").text;
            webs.iter().all(|web| tables.contains(web)) && !tables.contains("\"open\":false")
        })
        .await;
    }
    let mut workers = std::collections::BTreeSet::new();
    for page in 0..20 {
        let path = format!("/who/page-{page}");
        let answers = [0, 1].map(|number| ask(number, "open-sesame", "GET", &path).text);
        assert_eq!(answers[0], answers[1], "the owner answers, and knows who asks");
        assert!(answers[0].ends_with("Write ada false"), "{answers:?}");
        workers.insert(answers[0].split(' ').next().unwrap_or_default().to_owned());
        for number in [0, 1] {
            assert!(ask(number, "look-around", "GET", &path).text.ends_with("Read nobody false"));
            assert_eq!(ask(number, "look-around", "POST", &path).status, 403);
            assert_eq!(clients[number].get(&path).status, 401);
            let row = format!("/tables/pages/page-{page}");
            assert_eq!(ask(number, "open-sesame", "PUT", &format!("{row}?wait=10000")).status, 200);
            assert_eq!(ask(1 - number, "look-around", "GET", &row).expect(200)["value"], 1);
        }
    }
    assert_eq!(workers.len(), 2, "both answered");
    // A user's token does not work between workers, and the cluster token does not work for users.
    for number in [0, 1] {
        assert_eq!(
            clients[number].send_with("/cluster/v1/read", &[("authorization", "Bearer open-sesame")], b"x").status,
            401
        );
        assert_eq!(ask(number, "between-us", "GET", "/tables").status, 401);
        let forged =
            [("marlowe-hop", "0 1000"), ("marlowe-caller", "write root"), ("authorization", "Bearer look-around")];
        assert_ne!(clients[number].ask("POST", "/who/page-0", &forged, "1").status, 200);
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}
