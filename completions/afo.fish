# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_afo_global_optspecs
    string join \n json format= config= state= v/verbose q/quiet log-format= h/help V/version
end

function __fish_afo_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_afo_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_afo_using_subcommand
    set -l cmd (__fish_afo_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c afo -n "__fish_afo_needs_command" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo -n "__fish_afo_needs_command" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo -n "__fish_afo_needs_command" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo -n "__fish_afo_needs_command" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo -n "__fish_afo_needs_command" -l json -d 'Put out records even on a terminal'
complete -c afo -n "__fish_afo_needs_command" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo -n "__fish_afo_needs_command" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo -n "__fish_afo_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo -n "__fish_afo_needs_command" -s V -l version -d 'Print version'
complete -c afo -n "__fish_afo_needs_command" -f -a "status" -d 'Show what AFO holds: rules, blocks, open windows, the daemon'
complete -c afo -n "__fish_afo_needs_command" -f -a "doctor" -d 'Check what AFO needs on this host and say what to do about what is missing'
complete -c afo -n "__fish_afo_needs_command" -f -a "schema" -d 'Print the JSON Schema of a record KIND'
complete -c afo -n "__fish_afo_needs_command" -f -a "config" -d 'Show, check or change the configuration'
complete -c afo -n "__fish_afo_needs_command" -f -a "backends" -d 'List the packet filters of this host, what AFO can write for each, and which it chooses'
complete -c afo -n "__fish_afo_needs_command" -f -a "help" -d 'Show the help of COMMAND'
complete -c afo -n "__fish_afo_using_subcommand status" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo -n "__fish_afo_using_subcommand status" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo -n "__fish_afo_using_subcommand status" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo -n "__fish_afo_using_subcommand status" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo -n "__fish_afo_using_subcommand status" -l json -d 'Put out records even on a terminal'
complete -c afo -n "__fish_afo_using_subcommand status" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo -n "__fish_afo_using_subcommand status" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo -n "__fish_afo_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo -n "__fish_afo_using_subcommand doctor" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo -n "__fish_afo_using_subcommand doctor" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo -n "__fish_afo_using_subcommand doctor" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo -n "__fish_afo_using_subcommand doctor" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo -n "__fish_afo_using_subcommand doctor" -l json -d 'Put out records even on a terminal'
complete -c afo -n "__fish_afo_using_subcommand doctor" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo -n "__fish_afo_using_subcommand doctor" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo -n "__fish_afo_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo -n "__fish_afo_using_subcommand schema" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo -n "__fish_afo_using_subcommand schema" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo -n "__fish_afo_using_subcommand schema" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo -n "__fish_afo_using_subcommand schema" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo -n "__fish_afo_using_subcommand schema" -l list -d 'Print the kinds'
complete -c afo -n "__fish_afo_using_subcommand schema" -l json -d 'Put out records even on a terminal'
complete -c afo -n "__fish_afo_using_subcommand schema" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo -n "__fish_afo_using_subcommand schema" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo -n "__fish_afo_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo -n "__fish_afo_using_subcommand config; and not __fish_seen_subcommand_from show check schema set sources" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo -n "__fish_afo_using_subcommand config; and not __fish_seen_subcommand_from show check schema set sources" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo -n "__fish_afo_using_subcommand config; and not __fish_seen_subcommand_from show check schema set sources" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo -n "__fish_afo_using_subcommand config; and not __fish_seen_subcommand_from show check schema set sources" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo -n "__fish_afo_using_subcommand config; and not __fish_seen_subcommand_from show check schema set sources" -l json -d 'Put out records even on a terminal'
complete -c afo -n "__fish_afo_using_subcommand config; and not __fish_seen_subcommand_from show check schema set sources" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo -n "__fish_afo_using_subcommand config; and not __fish_seen_subcommand_from show check schema set sources" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo -n "__fish_afo_using_subcommand config; and not __fish_seen_subcommand_from show check schema set sources" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo -n "__fish_afo_using_subcommand config; and not __fish_seen_subcommand_from show check schema set sources" -f -a "show" -d 'Print the configuration that is in force, or the value of one KEY'
complete -c afo -n "__fish_afo_using_subcommand config; and not __fish_seen_subcommand_from show check schema set sources" -f -a "check" -d 'Check the configuration, or FILE alone, and say nothing when it is right'
complete -c afo -n "__fish_afo_using_subcommand config; and not __fish_seen_subcommand_from show check schema set sources" -f -a "schema" -d 'Print the JSON Schema of the configuration'
complete -c afo -n "__fish_afo_using_subcommand config; and not __fish_seen_subcommand_from show check schema set sources" -f -a "set" -d 'Set KEY to VALUE, keeping comments and everything else'
complete -c afo -n "__fish_afo_using_subcommand config; and not __fish_seen_subcommand_from show check schema set sources" -f -a "sources" -d 'Print what afo-daemon watches: the configured sources, else those that this host has'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from show" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from show" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from show" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from show" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'Put out records even on a terminal'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from check" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from check" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from check" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from check" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from check" -l json -d 'Put out records even on a terminal'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from schema" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from schema" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from schema" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from schema" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from schema" -l json -d 'Put out records even on a terminal'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from schema" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from schema" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from set" -l file -d 'Change FILE [default: --config, else /etc/afo/afo.toml for root, else the user\'s]' -r -F
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from set" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from set" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from set" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from set" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from set" -l json -d 'Put out records even on a terminal'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from set" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from set" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from sources" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from sources" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from sources" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from sources" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from sources" -l json -d 'Put out records even on a terminal'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from sources" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from sources" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo -n "__fish_afo_using_subcommand config; and __fish_seen_subcommand_from sources" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo -n "__fish_afo_using_subcommand backends" -l selftest -d 'Hold the program afo-backend-NAME to each line of its contract: it gets rules and gets them taken back. Exit 1 when a line does not hold, 3 when it cannot be tested' -r
complete -c afo -n "__fish_afo_using_subcommand backends" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo -n "__fish_afo_using_subcommand backends" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo -n "__fish_afo_using_subcommand backends" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo -n "__fish_afo_using_subcommand backends" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo -n "__fish_afo_using_subcommand backends" -l json -d 'Put out records even on a terminal'
complete -c afo -n "__fish_afo_using_subcommand backends" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo -n "__fish_afo_using_subcommand backends" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo -n "__fish_afo_using_subcommand backends" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo -n "__fish_afo_using_subcommand help" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo -n "__fish_afo_using_subcommand help" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo -n "__fish_afo_using_subcommand help" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo -n "__fish_afo_using_subcommand help" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo -n "__fish_afo_using_subcommand help" -l json -d 'Put out records even on a terminal'
complete -c afo -n "__fish_afo_using_subcommand help" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo -n "__fish_afo_using_subcommand help" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo -n "__fish_afo_using_subcommand help" -s h -l help -d 'Print help (see more with \'--help\')'
