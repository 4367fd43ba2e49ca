//! Tests of the main job in simulation, as `docs/testing.md` shows it.

use std::path::PathBuf;
use std::time::Duration;

use marlowe::App;
use marlowe::axum::http::Request;
use marlowe::sim::{Cluster, Faults, Simulation};

use crate::program::{Drawing, Feed, Screen, Tables, declare};
use crate::recount::{Counted, shipped};

fn flights(csv: PathBuf) -> (App, Tables) {
    let mut app = App::new("flights");
    let tables = declare(&mut app, Feed::from(csv), Screen::new(std::io::sink(), Drawing::Below));
    (app, tables)
}

async fn counted(sim: &Simulation, tables: Tables) -> Counted {
    let (carriers, airports) = (sim.open(tables.carriers.view()), sim.open(tables.airports.view()));
    Counted {
        carriers: carriers.iter().await.unwrap().into_iter().collect(),
        airports: airports.iter().await.unwrap().into_iter().collect(),
        totals: sim.open_on(0, tables.totals).unwrap().iter().unwrap().into_iter().collect(),
    }
}

#[test]
fn flights_are_counted_in_simulation() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, rows) = (folder.path().join("flights.csv"), shipped(2_000).unwrap());
    std::fs::write(&csv, &rows).unwrap();
    let expected = Counted::of(&rows);

    // One worker, no faults: all rows are counted, and the board shows them.
    let (program, tables) = (csv.clone(), flights(csv.clone()).1);
    Cluster::new(1, move || flights(program.clone()).0).run(async |sim| {
        sim.settle().await; // until every row is counted, and each timer has fired
        assert_eq!(counted(sim, tables).await, expected);
        let board = sim.request(0, Request::get("/board").body("").unwrap()).await.unwrap();
        let page = String::from_utf8_lossy(board.body()).into_owned();
        assert!(page.contains("<dd id=\"flights\">2,000</dd>"), "{page}");
    });

    // Three workers that crash, stand still and lose their stores meanwhile: the same.
    for seed in 0..5 {
        let (program, tables) = (csv.clone(), flights(csv.clone()).1);
        Cluster::new(seed, move || flights(program.clone()).0).workers(3).on_disk().run(async |sim| {
            sim.disturb(Faults::ALL, Duration::from_secs(10)).await;
            sim.settle().await;
            assert_eq!(counted(sim, tables).await, expected);
        });
    }
}

/// Checks that `docs/testing.md` shows the test that runs here.
#[test]
fn the_guide_shows_this_test() {
    let (readme, here) = (include_str!("../../docs/testing.md"), include_str!("in_simulation.rs"));
    let begin = here.find("#[test]\nfn flights_are").unwrap();
    let end = begin + here[begin..].find("\n}\n").unwrap();
    let shown: Vec<&str> = here[begin..end].lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let readme: Vec<&str> = readme.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(
        readme.windows(shown.len()).any(|lines| lines == shown),
        "docs/testing.md does not show:\n{}",
        &here[begin..end]
    );
}
