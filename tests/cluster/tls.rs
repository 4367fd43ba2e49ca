//! Tests of workers that speak TLS with each other.

use std::time::Duration;

use marlowe::Running;
use marlowe::axum::{Router, extract::Path, routing::get};
use marlowe::client::Client;
use marlowe::config::WebTls;
use marlowe::table::ViewError;

use crate::common::certificates::Authority;
use crate::common::https::{ask, connect};
use crate::program::{Program, program};
use crate::scene::{Cluster, TestResult, eventually, start, stop};

fn routed(name: &str) -> Program {
    let mut program = program(name);
    let pages = program.pages;
    program.app.web(move |worker| {
        let name = worker.worker().to_owned();
        let who = async move |Path(_): Path<String>| name;
        Router::new().route("/who/{page}", get(who)).route_layer(worker.owner_of(pages).by_path("page"))
    });
    program
}

/// Waits until every process can read all rows, wherever they are.
async fn all_are_read(name: &str, processes: &[Running]) -> TestResult {
    for running in processes {
        let view = running.open(program(name).squares.view());
        eventually("all is read from everywhere", async || {
            for number in 0..30u64 {
                if !matches!(view.get(number).await, Ok(None)) {
                    return false;
                }
            }
            true
        })
        .await;
    }
    Ok(())
}

#[tokio::test]
async fn workers_whose_certificates_are_trusted_ask_each_other() -> TestResult {
    let (cluster, authority) = (Cluster::new().await, Authority::new());
    let mut processes = Vec::new();
    for number in 0..2 {
        let issued = authority.issue(&format!("worker-{number}"), "127.0.0.1");
        let tls = WebTls::new(&issued.certificate, &issued.key).and_trust(authority.path());
        let config = cluster.calm().cluster_token("sesame").web_tls(tls);
        processes.push(start(routed("tls").app, config).await?);
    }
    let owners = |running: &Running, path: &str| {
        let connection =
            connect(running.web_addresses()[0], "127.0.0.1", &authority.path(), &[&rustls::version::TLS13]).unwrap();
        ask(connection, "GET", path, "", "")
    };
    let urls: Vec<String> = processes.iter().map(|running| format!("https://{}", running.web_addresses()[0])).collect();
    for running in &processes {
        eventually("all is shared out, and all know it", async || {
            let tables = owners(running, "/tables");
            urls.iter().all(|url| tables.contains(url)) && !tables.contains("\"open\":false")
        })
        .await;
    }
    all_are_read("tls", &processes).await?;
    let mut workers = std::collections::BTreeSet::new();
    for page in 0..20 {
        let answers: Vec<String> = processes
            .iter()
            .map(|running| owners(running, &format!("/who/page-{page}")).rsplit("\r\n").next().unwrap().to_owned())
            .collect();
        assert_eq!(answers[0], answers[1], "the owner answers");
        workers.insert(answers[0].clone());
    }
    assert_eq!(workers.len(), 2, "both answered: {workers:?}");
    // A client shows no certificate. It only has to trust the authority.
    let config = cluster.config().cluster_token("sesame").web_tls(WebTls::trusting(authority.path()));
    let client = Client::connect(&program("tls").app, config).await?;
    let view = client.open(program("tls").squares.view());
    for number in 0..30u64 {
        assert_eq!(view.get(number).await?, None);
    }
    drop((view, client));
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

/// Gives all workers one self-signed certificate. It has another name than the workers, and it is
/// an authority's certificate although no worker signs with it.
#[tokio::test]
async fn workers_with_one_certificate_need_no_authority() -> TestResult {
    let (cluster, authority) = (Cluster::new().await, Authority::new());
    let issued = authority.self_signed("shared", "workers.example");
    let mut processes = Vec::new();
    for _ in 0..2 {
        let tls = WebTls::new(&issued.certificate, &issued.key);
        processes.push(start(program("one-certificate").app, cluster.calm().web_tls(tls)).await?);
    }
    all_are_read("one-certificate", &processes).await?;
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_whose_certificate_is_not_trusted_is_not_asked() -> TestResult {
    let (cluster, ours, theirs) = (Cluster::new().await, Authority::new(), Authority::new());
    let mut processes = Vec::new();
    for (number, authority) in [&ours, &theirs].into_iter().enumerate() {
        let issued = authority.issue(&format!("worker-{number}"), "127.0.0.1");
        let tls = WebTls::new(&issued.certificate, &issued.key).and_trust(ours.path());
        processes.push(start(program("not-trusted").app, cluster.calm().web_tls(tls)).await?);
    }
    let view = processes[0].open(program("not-trusted").squares.view()).within(Duration::from_millis(300));
    let mut refused = None;
    eventually("it asks for something that the second has", async || {
        for number in 0..40u64 {
            match view.get(number).await {
                Ok(value) => assert_eq!(value, None),
                Err(error) if error.to_string().contains("certificate") => refused = Some(error),
                Err(_) => {}
            }
        }
        refused.is_some()
    })
    .await;
    assert!(matches!(refused, Some(ViewError::Unavailable { .. })), "{refused:?}");
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}
