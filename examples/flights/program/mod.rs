//! The program: the topics and tables that it declares, and what reads, changes and shows them.

mod board;
mod feed;
mod flight;
mod names;
mod page;
mod screen;
mod timetable;

use std::cmp::Reverse;
use std::time::Duration;

use marlowe::axum::Router;
use marlowe::axum::routing::get;
use marlowe::{App, GlobalTable, Table};
use serde::{Deserialize, Serialize};

use board::Board;
pub(crate) use feed::Feed;
use flight::Flight;
pub(crate) use screen::{Drawing, Screen};

/// The counts of a carrier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Carrier {
    pub(crate) flights: u64,
    pub(crate) cancelled: u64,
    /// The sum of the minutes by which its flights left late. Minutes by which a flight left early
    /// are subtracted.
    pub(crate) dep_delay_total: i64,
    /// The largest of these delays, or `None` before the first flight has left.
    pub(crate) dep_delay_max: Option<i64>,
}

/// The counts of an airport.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Airport {
    pub(crate) departures: u64,
    pub(crate) arrivals: u64,
    pub(crate) dep_delay_total: i64,
    pub(crate) arr_delay_total: i64,
    /// Its rank among the airports of its slice, where 1 has the most traffic, or `None` before the
    /// first ranking.
    pub(crate) rank: Option<u64>,
}

impl Airport {
    pub(crate) fn traffic(&self) -> u64 {
        self.departures + self.arrivals
    }
}

/// The program's tables.
#[derive(Clone, Copy)]
pub(crate) struct Tables {
    pub(crate) carriers: Table<String, Carrier>,
    pub(crate) airports: Table<String, Airport>,
    pub(crate) totals: GlobalTable<String, i64>,
}

/// Declares the program, and returns its tables.
pub(crate) fn declare(app: &mut App, feed: Feed, screen: Screen) -> Tables {
    let flights = app.topic::<Option<String>, Flight>("flights").partitions(8);
    let tables = Tables {
        carriers: app.table("carriers"),
        airports: app.table("airports"),
        totals: app.global_table("totals").merge(|total, more| *total += more),
    };
    let Tables { carriers, airports, totals } = tables;

    // The source commits its position together with what it has sent. So no row is fed twice,
    // whatever happens.
    app.source("feed", flights).run(async move |flights| feed.run(flights).await);

    app.agent("carriers", flights.group_by(|flight| flight.carrier.clone())).with((carriers, totals)).each(
        async |(carriers, totals), flight| {
            totals.send("flights", 1);
            match flight.dep_delay {
                Some(delay) => totals.send("dep_delay_minutes", delay),
                None => totals.send("cancelled", 1),
            }
            carriers.update(flight.carrier, |carrier| {
                carrier.flights += 1;
                match flight.dep_delay {
                    Some(delay) => {
                        carrier.dep_delay_total += delay;
                        carrier.dep_delay_max = carrier.dep_delay_max.max(Some(delay));
                    }
                    None => carrier.cancelled += 1,
                }
            });
            Ok(())
        },
    );

    // Two agents and a timer write one table. Everything that concerns one airport happens in the
    // shard that owns its row, one step after the other. So they need no lock, and none of them
    // sees another's work half done.
    let departed = flights.filter(|flight| flight.dep_delay.is_some()).group_by(|flight| flight.origin.clone());
    app.agent("departures", departed).with((airports, totals)).each(async |(airports, totals), flight| {
        airports.update(flight.origin, |airport| {
            airport.departures += 1;
            airport.dep_delay_total += flight.dep_delay.unwrap_or_default();
        });
        totals.send("departures", 1);
        Ok(())
    });

    let arrived = flights.filter(|flight| flight.arr_delay.is_some()).group_by(|flight| flight.dest.clone());
    app.agent("arrivals", arrived).with((airports, totals)).each(async |(airports, totals), flight| {
        airports.update(flight.dest, |airport| {
            airport.arrivals += 1;
            airport.arr_delay_total += flight.arr_delay.unwrap_or_default();
        });
        totals.send("arrivals", 1);
        Ok(())
    });

    app.partition_timer("ranks", Duration::from_secs(1)).with(airports).run(async |airports| {
        let mut slice: Vec<(String, Airport)> = airports.iter().collect();
        // Rows come in the order of their codes, and the sort keeps that order among airports with
        // equal traffic.
        slice.sort_by_key(|(_, airport)| Reverse(airport.traffic()));
        for ((code, airport), rank) in slice.into_iter().zip(1..) {
            if airport.rank != Some(rank) {
                airports.update(code, |airport| airport.rank = Some(rank));
            }
        }
        Ok(())
    });

    app.timer("board", Duration::from_secs(1)).on_leader().with((carriers.view(), airports.view(), totals)).run(
        async move |(carriers, airports, totals)| {
            let board = Board::read(&carriers, &airports, &totals).await?;
            Ok(screen.show(&board.to_string())?)
        },
    );

    app.web(move |state| {
        let tables = state.open((carriers.view(), airports.view(), totals));
        Router::new().route("/board", get(page::board)).with_state(tables)
    });

    tables
}
