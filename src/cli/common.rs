use std::path::PathBuf;

/// The flags that every command has.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Common {
    /// Put out records even on a terminal
    #[arg(long, global = true, conflicts_with = "format")]
    pub json: bool,
    /// Put out records or readable text [default: text on a terminal, else json]
    #[arg(long, value_name = "FORMAT", global = true, hide_short_help = true)]
    pub format: Option<Format>,
    /// Read the configuration from FILE
    ///
    /// Instead of /etc/afo/afo.toml and, over it, the user's.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user's state directory]
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub state: Option<PathBuf>,
    /// Say more on stderr; twice for still more
    #[arg(short, long, action = clap::ArgAction::Count, global = true, hide_short_help = true)]
    pub verbose: u8,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", hide_short_help = true)]
    pub quiet: bool,
    /// Write what is said on stderr as text or as JSON lines [default: the configuration's, else text]
    #[arg(long, value_name = "FORMAT", global = true, hide_short_help = true)]
    pub log_format: Option<LogFormat>,
}

/// What stdout carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Json,
    Text,
}

/// What stderr carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}
