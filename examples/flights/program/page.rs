//! The board as a web page.

use std::fmt::{self, Write};

use marlowe::axum::extract::State;
use marlowe::axum::http::{StatusCode, header};
use marlowe::axum::response::{Html, IntoResponse, Response};
use marlowe::table::{GlobalClient, TableView};

use super::board::{Board, Totals, grouped, mean};
use super::{Airport, Carrier, names};

/// The tables that the page reads.
pub(crate) type Tables = (TableView<String, Carrier>, TableView<String, Airport>, GlobalClient<String, i64>);

/// Answers `GET /board`.
pub(crate) async fn board(State((carriers, airports, totals)): State<Tables>) -> Response {
    match Board::read(&carriers, &airports, &totals).await {
        Ok(board) => Html(Page(&board).to_string()).into_response(),
        Err(error) => {
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], error.to_string()).into_response()
        }
    }
}

struct Page<'a>(&'a Board);

/// Text that is escaped for HTML, because codes come from a file and may contain anything.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            character => f.write_char(character),
        })
    }
}

/// Returns `part` of `whole`, in percent.
fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = include_str!("page.html").split_once("<!-- board -->").ok_or(fmt::Error)?;
        f.write_str(before)?;
        totals(f, &self.0.totals)?;
        carriers(f, self.0)?;
        airports(f, self.0)?;
        f.write_str(after)
    }
}

fn totals(f: &mut fmt::Formatter<'_>, totals: &Totals) -> fmt::Result {
    let share = |part: i64| format!("{:.1} % of flights", percent(part as f64, totals.flights as f64));
    let late = mean(totals.dep_delay_minutes, totals.departures.unsigned_abs());
    f.write_str("<dl class=\"totals\">\n")?;
    for (name, key, value, note) in [
        ("Flights", "flights", totals.flights, "scheduled".to_owned()),
        ("Cancelled", "cancelled", totals.cancelled, share(totals.cancelled)),
        ("Departures", "departures", totals.departures, share(totals.departures)),
        ("Arrivals", "arrivals", totals.arrivals, share(totals.arrivals)),
        ("Minutes left late", "dep_delay_minutes", totals.dep_delay_minutes, format!("{late} a departure")),
    ] {
        writeln!(
            f,
            "<div><dt>{name}</dt><dd id=\"{key}\">{}</dd><dd class=\"note\">{note}</dd></div>",
            grouped(value)
        )?;
    }
    f.write_str("</dl>\n<div class=\"tables\">\n")
}

fn carriers(f: &mut fmt::Formatter<'_>, board: &Board) -> fmt::Result {
    let most = board.carriers.first().map_or(0, |(_, carrier)| carrier.flights);
    write!(
        f,
        "<section><table id=\"carriers\">\n<caption>Carriers <small>{} of {} by flights</small></caption>\n\
         <thead><tr><th scope=\"col\">Carrier</th><th scope=\"col\" class=\"number\">Flights</th>\
         <th scope=\"col\" class=\"number\">Cancelled</th><th scope=\"col\" class=\"number\">Mean delay</th>\
         <th scope=\"col\" class=\"number\">Worst</th></tr></thead>\n<tbody>\n",
        board.carriers.len(),
        board.carriers_in_all
    )?;
    for (code, carrier) in &board.carriers {
        let name = names::carrier(code);
        let worst = carrier.dep_delay_max.map_or("–".into(), grouped);
        writeln!(
            f,
            "<tr><th scope=\"row\"><b>{}</b> <span>{}</span>\
             <i class=\"bar\" aria-hidden=\"true\"><i class=\"first\" style=\"width:{:.2}%\"></i></i></th>\
             <td>{}</td><td>{}</td><td>{}</td><td>{worst}</td></tr>",
            Text(code),
            Text(if name == code { "" } else { name }),
            percent(carrier.flights as f64, most as f64),
            grouped(carrier.flights),
            grouped(carrier.cancelled),
            mean(carrier.dep_delay_total, carrier.flights - carrier.cancelled),
        )?;
    }
    f.write_str("</tbody></table></section>\n")
}

fn airports(f: &mut fmt::Formatter<'_>, board: &Board) -> fmt::Result {
    let most = board.airports.first().map_or(0, |(_, airport)| airport.traffic());
    write!(
        f,
        "<section><table id=\"airports\">\n<caption>Airports <small>{} of {} by departures and arrivals</small></caption>\n\
         <thead><tr><th scope=\"col\">Airport</th>\
         <th scope=\"col\" class=\"number\"><i class=\"key first\" aria-hidden=\"true\"></i>Departures</th>\
         <th scope=\"col\" class=\"number\"><i class=\"key second\" aria-hidden=\"true\"></i>Arrivals</th>\
         <th scope=\"col\" class=\"number\"><abbr title=\"Of arrivals, in minutes\">Mean delay</abbr></th>\
         <th scope=\"col\" class=\"number\"><abbr title=\"Place among the airports of the same partition\">Rank</abbr></th>\
         </tr></thead>\n<tbody>\n",
        board.airports.len(),
        board.airports_in_all
    )?;
    for (code, airport) in &board.airports {
        writeln!(
            f,
            "<tr><th scope=\"row\"><b>{}</b> <span>{}</span>\
             <i class=\"bar\" aria-hidden=\"true\"><i class=\"first\" style=\"width:{:.2}%\"></i>\
             <i class=\"second\" style=\"width:{:.2}%\"></i></i></th>\
             <td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            Text(code),
            names::city(code),
            percent(airport.departures as f64, most as f64),
            percent(airport.arrivals as f64, most as f64),
            grouped(airport.departures),
            grouped(airport.arrivals),
            mean(airport.arr_delay_total, airport.arrivals),
            airport.rank.map_or("–".into(), grouped),
        )?;
    }
    f.write_str("</tbody></table></section>\n</div>\n")
}
