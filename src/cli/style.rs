use super::for_terminal;

/// How words are made to stand out: with colour or not. Whatever is styled is sanitised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// With colour or without.
    pub fn new(colour: bool) -> Self {
        Self { colour }
    }

    fn paint(self, code: &str, text: &str) -> String {
        let text = for_terminal(text);
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into_owned() }
    }

    /// The main words.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Less important words.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What went well.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What needs a look.
    pub fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// What is wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// Words without emphasis.
    pub fn plain(self, text: &str) -> String {
        for_terminal(text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styled_text_is_sanitised() {
        assert_eq!(Style::new(true).bad("a\x1b[2J"), "\x1b[31ma\\u{1b}[2J\x1b[0m");
        assert_eq!(Style::new(false).bad("x"), "x");
    }
}
