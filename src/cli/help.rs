//! Help texts laid out for any width: paragraphs flow, examples and exit codes stay as they are written.

/// A program's arguments with their help laid out.
pub(crate) fn flowing(command: clap::Command) -> clap::Command {
    let about = command.get_long_about().map(|text| flow(&text.to_string()));
    let command = match about {
        Some(text) => command.long_about(text),
        None => command,
    };
    command.mut_subcommands(flowing)
}

/// Joins the lines of each paragraph. A line that is set in stands alone.
fn flow(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut joins = false;
    for line in text.lines() {
        let alone = line.is_empty() || line.starts_with(' ');
        match lines.last_mut().filter(|_| joins && !alone) {
            Some(last) => {
                last.push(' ');
                last.push_str(line);
            }
            None => lines.push(line.to_owned()),
        }
        joins = !alone;
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_flow_and_examples_stand() {
        let text =
            "Do it\n\nFirst line\nsecond line: more\nthird.\n\nExamples:\n  $ one\n  $ two\n\nExit status:\n  0  fine";
        let flown =
            "Do it\n\nFirst line second line: more third.\n\nExamples:\n  $ one\n  $ two\n\nExit status:\n  0  fine";
        assert_eq!(flow(text), flown);
        assert_eq!(flow(flown), flown);
    }
}
