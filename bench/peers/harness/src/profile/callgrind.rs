//! A reader of the files that callgrind writes.

use std::collections::HashMap;

/// The instructions of each function. They include code that is inlined into it, but not the
/// functions that it calls.
pub(crate) type Instructions = HashMap<Function, u64>;

/// A function, as callgrind identifies it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Function {
    pub(crate) file: String,
    pub(crate) name: String,
}

/// The names in a file. A name is written once with a number, `(12) name`, and after that only as
/// its number, `(12)`.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn read(&mut self, text: &str) -> String {
        let Some((number, name)) = text.split_once(')') else { return text.to_owned() };
        match name.trim() {
            "" => self.0.get(number).cloned().unwrap_or_default(),
            name => self.0.entry(number.to_owned()).or_insert_with(|| name.to_owned()).clone(),
        }
    }
}

/// Reads the output of callgrind. Valgrind's manual has the format: *Callgrind Format
/// Specification*.
pub(crate) fn instructions(text: &str) -> Instructions {
    let (mut files, mut names) = (Names::default(), Names::default());
    let (mut function, mut is_call) = (Function::default(), false);
    let mut instructions = Instructions::new();
    for line in text.lines() {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "fl" => function.file = files.read(value),
                "fn" => function.name = names.read(value),
                // The number of another function or file may first appear here.
                "fi" | "fe" | "cfi" | "cfl" => drop(files.read(value)),
                "cfn" => drop(names.read(value)),
                "calls" => is_call = true,
                _ => {}
            }
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            // The line after a call is the cost of the called function, which is counted there.
            if !std::mem::take(&mut is_call)
                && let Some(count) = line.split_whitespace().nth(1).and_then(|count| count.parse::<u64>().ok())
            {
                *instructions.entry(function.clone()).or_default() += count;
            }
        }
    }
    instructions
}

#[cfg(test)]
mod tests {
    use super::{Function, instructions};

    #[test]
    fn the_own_cost_of_a_function_is_read() {
        let text = "\
            # callgrind format\nevents: Ir\n\n\
            fl=(1) main.rs\nfn=(1) main\n16 20\ncfn=(2) count\ncalls=1 50\n16 400\n+1 5\n\
            fi=(2) cell.rs\n7 3\n\n\
            fl=(1)\nfn=(2)\n51 300\n* 100\n";
        let read = instructions(text);
        let of = |name: &str| read[&Function { file: "main.rs".into(), name: name.into() }];
        assert_eq!((of("main"), of("count"), read.len()), (28, 400, 2));
    }
}
