//! The checks. Each returns the first fault that it finds.

use std::collections::HashMap;

use crate::records::{Partitions, Record};

type Verdict = Result<(), String>;

/// Checks that every record of the input is in the output once, in the order of its partition, and
/// that there is nothing else.
pub(crate) fn received_all(what: &str, input: &Partitions, output: &Partitions) -> Verdict {
    same_length(what, input, output)?;
    for (partition, (input, output)) in input.iter().zip(output).enumerate() {
        if let Some(at) = input.iter().zip(output).position(|(input, output)| input != output) {
            return Err(format!("{what}[{partition}] record {at} is {:?}, not {:?}", output[at], input[at]));
        }
    }
    Ok(())
}

/// Checks that every record of the input is in the output once, under its new key and in any
/// partition. Records that went from one partition to the same other partition must be in order. No
/// two records of the input may have the same value.
pub(crate) fn rekeyed(what: &str, input: &Partitions, output: &Partitions, key: impl Fn(i64) -> String) -> Verdict {
    let mut places = HashMap::new();
    for (partition, records) in input.iter().enumerate() {
        for (at, record) in records.iter().enumerate() {
            if places.insert(record.number(), (partition, at)).is_some() {
                return Err(format!("two records of the input are {}", record.number()));
            }
        }
    }
    let all = places.len();
    for (partition, records) in output.iter().enumerate() {
        let mut last: HashMap<usize, usize> = HashMap::new();
        for record in records {
            let number = record.number();
            let Some((from, at)) = places.remove(&number) else {
                return Err(format!("{what}[{partition}] has {number} twice, or it was never there"));
            };
            if record.key != key(number) {
                return Err(format!("{what}[{partition}] has {number} under {}", record.key));
            }
            if last.insert(from, at).is_some_and(|last| last > at) {
                return Err(format!("{what}[{partition}] has {number} after one that came later in partition {from}"));
            }
        }
    }
    match places.len() {
        0 => Ok(()),
        missing => Err(format!("{what} lacks {missing} of {all} records, {:?} among them", places.keys().next())),
    }
}

/// Checks that the k-th output of a key is the result of its first k inputs, so nothing is missing
/// and nothing is there twice.
pub(crate) fn running(
    what: &str,
    input: &Partitions,
    output: &Partitions,
    add: impl Fn(Option<i64>, i64) -> i64,
) -> Verdict {
    same_length(what, input, output)?;
    let mut state: HashMap<&str, i64> = HashMap::new();
    for (partition, (input, output)) in input.iter().zip(output).enumerate() {
        for (at, (input, output)) in input.iter().zip(output).enumerate() {
            let before = state.get(&*input.key).copied();
            let now = add(before, input.number());
            state.insert(&input.key, now);
            if (&*output.key, output.number()) != (&*input.key, now) {
                return Err(format!("{what}[{partition}] record {at} is {output:?}, and must be {} {now}", input.key));
            }
        }
    }
    Ok(())
}

/// Returns the result of all inputs of each key.
pub(crate) fn totals(input: &Partitions, add: impl Fn(Option<i64>, i64) -> i64) -> HashMap<String, i64> {
    let mut totals: HashMap<String, i64> = HashMap::new();
    for record in input.iter().flatten() {
        let before = totals.get(&record.key).copied();
        totals.insert(record.key.clone(), add(before, record.number()));
    }
    totals
}

/// Returns the last value of each key.
pub(crate) fn last_values(output: &Partitions) -> HashMap<String, i64> {
    output.iter().flatten().map(|record| (record.key.clone(), record.number())).collect()
}

/// Checks that every record of the input is in the output at least once, and that there is nothing
/// else. Returns how many records were delivered again.
pub(crate) fn delivered_all(what: &str, input: &Partitions, output: &Partitions) -> Result<usize, String> {
    let count = |records: &Partitions| -> HashMap<Record, usize> {
        let mut counts = HashMap::new();
        records.iter().flatten().for_each(|record| *counts.entry(record.clone()).or_default() += 1);
        counts
    };
    let (input, output) = (count(input), count(output));
    let found = |record: &Record| output.get(record).copied().unwrap_or(0);
    if let Some((record, _)) = input.iter().find(|(record, times)| found(record) < **times) {
        return Err(format!("{what}: not all records were delivered: {record:?} is missing"));
    }
    if let Some(record) = output.keys().find(|record| !input.contains_key(record)) {
        return Err(format!("{what}: {record:?} was never in the input"));
    }
    Ok(output.values().sum::<usize>() - input.values().sum::<usize>())
}

fn same_length(what: &str, input: &Partitions, output: &Partitions) -> Verdict {
    let lengths = |records: &Partitions| records.iter().map(Vec::len).collect::<Vec<_>>();
    match (lengths(input), lengths(output)) {
        (input, output) if input == output => Ok(()),
        (input, output) => Err(format!("{what} has {output:?} records in its partitions, and its input {input:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(records: &[(&str, i64)]) -> Partitions {
        let record = |(key, number): &(&str, i64)| Record { key: (*key).into(), value: Some(number.to_string()) };
        vec![records.iter().map(record).collect()]
    }

    const INPUT: [(&str, i64); 4] = [("a", 5), ("b", 7), ("a", 3), ("b", 9)];

    fn sum(before: Option<i64>, number: i64) -> i64 {
        before.unwrap_or(0) + number
    }

    #[test]
    fn a_missing_duplicate_or_misplaced_record_is_found() {
        let input = records(&INPUT);
        let verdict = |output: &[(&str, i64)]| received_all("echo", &input, &records(output));
        assert_eq!(verdict(&INPUT), Ok(()));
        assert!(verdict(&INPUT[1..]).is_err());
        assert!(verdict(&[INPUT[0], INPUT[0], INPUT[1], INPUT[2], INPUT[3]]).is_err());
        assert!(verdict(&[INPUT[1], INPUT[0], INPUT[2], INPUT[3]]).is_err());
        assert!(delivered_all("echo", &input, &records(&INPUT[1..])).is_err());
        assert!(delivered_all("echo", &records(&INPUT[1..]), &input).is_err());
        assert_eq!(delivered_all("echo", &records(&INPUT), &records(&[&INPUT[..], &INPUT[..1]].concat())), Ok(1));
    }

    #[test]
    fn a_rekeyed_record_that_is_missing_duplicate_or_wrong_is_found() {
        let input = records(&INPUT);
        let key = |number: i64| format!("k{}", number % 2);
        let verdict = |output: &[(&str, i64)]| rekeyed("odd", &input, &records(output), key);
        let good = [("k1", 5), ("k1", 7), ("k1", 3), ("k1", 9)];
        assert_eq!(verdict(&good), Ok(()));
        assert!(verdict(&good[..3]).is_err());
        assert!(verdict(&[good[0], good[1], good[1], good[2], good[3]]).is_err());
        assert!(verdict(&[good[1], good[0], good[2], good[3]]).is_err());
        assert!(verdict(&[("k0", 5), good[1], good[2], good[3]]).is_err());
    }

    #[test]
    fn a_running_sum_that_skips_or_counts_twice_is_found() {
        let input = records(&INPUT);
        let verdict = |output: &[(&str, i64)]| running("sum", &input, &records(output), sum);
        assert_eq!(verdict(&[("a", 5), ("b", 7), ("a", 8), ("b", 16)]), Ok(()));
        assert!(verdict(&[("a", 5), ("b", 7), ("a", 8), ("b", 23)]).is_err());
        assert!(verdict(&[("a", 5), ("b", 7), ("a", 8), ("a", 8), ("b", 16)]).is_err());
        assert!(verdict(&[("a", 5), ("b", 7), ("b", 16)]).is_err());
        assert_eq!(totals(&input, sum), [("a".to_owned(), 8), ("b".to_owned(), 16)].into());
    }
}
