//! Names for the codes of carriers and of the busier airports.

/// Returns the name that a carrier had in 2013, or its code if the name is not known.
pub(crate) fn carrier(code: &str) -> &str {
    match code {
        "9E" => "Endeavor Air",
        "AA" => "American Airlines",
        "AS" => "Alaska Airlines",
        "B6" => "JetBlue Airways",
        "DL" => "Delta Air Lines",
        "EV" => "ExpressJet",
        "F9" => "Frontier Airlines",
        "FL" => "AirTran Airways",
        "HA" => "Hawaiian Airlines",
        "MQ" => "Envoy Air",
        "OO" => "SkyWest Airlines",
        "UA" => "United Air Lines",
        "US" => "US Airways",
        "VX" => "Virgin America",
        "WN" => "Southwest Airlines",
        "YV" => "Mesa Airlines",
        code => code,
    }
}

/// Returns the city of one of the busier airports, or nothing for the others.
pub(crate) fn city(code: &str) -> &'static str {
    match code {
        "ATL" => "Atlanta",
        "BNA" => "Nashville",
        "BOS" => "Boston",
        "CLT" => "Charlotte",
        "DCA" => "Washington",
        "DEN" => "Denver",
        "DFW" => "Dallas",
        "DTW" => "Detroit",
        "EWR" => "Newark",
        "FLL" => "Fort Lauderdale",
        "IAH" => "Houston",
        "JFK" => "New York",
        "LAS" => "Las Vegas",
        "LAX" => "Los Angeles",
        "LGA" => "New York",
        "MCO" => "Orlando",
        "MIA" => "Miami",
        "MSP" => "Minneapolis",
        "ORD" => "Chicago",
        "PBI" => "West Palm Beach",
        "RDU" => "Raleigh",
        "SFO" => "San Francisco",
        "SJU" => "San Juan",
        "TPA" => "Tampa",
        _ => "",
    }
}
