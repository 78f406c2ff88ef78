# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_afo_sim_global_optspecs
    string join \n ruleset= steps= context= json format= config= state= v/verbose q/quiet log-format= h/help V/version
end

function __fish_afo_sim_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_afo_sim_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_afo_sim_using_subcommand
    set -l cmd (__fish_afo_sim_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c afo-sim -n "__fish_afo_sim_needs_command" -l ruleset -d 'Look at the kernel\'s rules, or at those of FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_needs_command" -l steps -l budget -d 'End a search after N steps: what is not found by then is undecided' -r
complete -c afo-sim -n "__fish_afo_sim_needs_command" -l context -d 'Take zones, hosts and interfaces from a context record in FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_needs_command" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-sim -n "__fish_afo_sim_needs_command" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_needs_command" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-sim -n "__fish_afo_sim_needs_command" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-sim -n "__fish_afo_sim_needs_command" -l json -d 'Put out records even on a terminal'
complete -c afo-sim -n "__fish_afo_sim_needs_command" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-sim -n "__fish_afo_sim_needs_command" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-sim -n "__fish_afo_sim_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-sim -n "__fish_afo_sim_needs_command" -s V -l version -d 'Print version'
complete -c afo-sim -n "__fish_afo_sim_needs_command" -f -a "trace" -d 'Follow packets through the chains, with the reason at each step (the default)'
complete -c afo-sim -n "__fish_afo_sim_needs_command" -f -a "reach" -d 'Say which packets get through, as classes: `from guest to 10.10.0.0/24 proto tcp port 22`'
complete -c afo-sim -n "__fish_afo_sim_needs_command" -f -a "diff" -d 'Say which packets two rulesets treat differently, as classes'
complete -c afo-sim -n "__fish_afo_sim_needs_command" -f -a "equal" -d 'Say whether two rulesets treat every packet alike, or show one that they do not'
complete -c afo-sim -n "__fish_afo_sim_needs_command" -f -a "invariants" -d 'Hold the ruleset to a file of lines: must-allow, must-deny, must-be-unreachable'
complete -c afo-sim -n "__fish_afo_sim_needs_command" -f -a "replay" -d 'Send the packets of findings through the kernel, in a namespace of their own, and compare'
complete -c afo-sim -n "__fish_afo_sim_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand trace" -l ruleset -d 'Look at the kernel\'s rules, or at those of FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand trace" -l steps -l budget -d 'End a search after N steps: what is not found by then is undecided' -r
complete -c afo-sim -n "__fish_afo_sim_using_subcommand trace" -l context -d 'Take zones, hosts and interfaces from a context record in FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand trace" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-sim -n "__fish_afo_sim_using_subcommand trace" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand trace" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand trace" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-sim -n "__fish_afo_sim_using_subcommand trace" -l json -d 'Put out records even on a terminal'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand trace" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand trace" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand trace" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand reach" -l services -d 'The services of the matrix [default: the configured ones, ssh, dns, http, https, smtp]' -r
complete -c afo-sim -n "__fish_afo_sim_using_subcommand reach" -l ruleset -d 'Look at the kernel\'s rules, or at those of FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand reach" -l steps -l budget -d 'End a search after N steps: what is not found by then is undecided' -r
complete -c afo-sim -n "__fish_afo_sim_using_subcommand reach" -l context -d 'Take zones, hosts and interfaces from a context record in FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand reach" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-sim -n "__fish_afo_sim_using_subcommand reach" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand reach" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand reach" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-sim -n "__fish_afo_sim_using_subcommand reach" -l matrix -d 'Ask of every zone to every zone and to this host instead: which services are open'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand reach" -l json -d 'Put out records even on a terminal'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand reach" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand reach" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand reach" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand diff" -l ruleset -d 'Look at the kernel\'s rules, or at those of FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand diff" -l steps -l budget -d 'End a search after N steps: what is not found by then is undecided' -r
complete -c afo-sim -n "__fish_afo_sim_using_subcommand diff" -l context -d 'Take zones, hosts and interfaces from a context record in FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand diff" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-sim -n "__fish_afo_sim_using_subcommand diff" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand diff" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand diff" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-sim -n "__fish_afo_sim_using_subcommand diff" -l json -d 'Put out records even on a terminal'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand diff" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand diff" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand equal" -l ruleset -d 'Look at the kernel\'s rules, or at those of FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand equal" -l steps -l budget -d 'End a search after N steps: what is not found by then is undecided' -r
complete -c afo-sim -n "__fish_afo_sim_using_subcommand equal" -l context -d 'Take zones, hosts and interfaces from a context record in FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand equal" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-sim -n "__fish_afo_sim_using_subcommand equal" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand equal" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand equal" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-sim -n "__fish_afo_sim_using_subcommand equal" -l json -d 'Put out records even on a terminal'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand equal" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand equal" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand equal" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand invariants" -l ruleset -d 'Look at the kernel\'s rules, or at those of FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand invariants" -l steps -l budget -d 'End a search after N steps: what is not found by then is undecided' -r
complete -c afo-sim -n "__fish_afo_sim_using_subcommand invariants" -l context -d 'Take zones, hosts and interfaces from a context record in FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand invariants" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-sim -n "__fish_afo_sim_using_subcommand invariants" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand invariants" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand invariants" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-sim -n "__fish_afo_sim_using_subcommand invariants" -l json -d 'Put out records even on a terminal'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand invariants" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand invariants" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand invariants" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand replay" -l ruleset -d 'Look at the kernel\'s rules, or at those of FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand replay" -l steps -l budget -d 'End a search after N steps: what is not found by then is undecided' -r
complete -c afo-sim -n "__fish_afo_sim_using_subcommand replay" -l context -d 'Take zones, hosts and interfaces from a context record in FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand replay" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-sim -n "__fish_afo_sim_using_subcommand replay" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand replay" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-sim -n "__fish_afo_sim_using_subcommand replay" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-sim -n "__fish_afo_sim_using_subcommand replay" -l json -d 'Put out records even on a terminal'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand replay" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand replay" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand help; and not __fish_seen_subcommand_from trace reach diff equal invariants replay help" -f -a "trace" -d 'Follow packets through the chains, with the reason at each step (the default)'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand help; and not __fish_seen_subcommand_from trace reach diff equal invariants replay help" -f -a "reach" -d 'Say which packets get through, as classes: `from guest to 10.10.0.0/24 proto tcp port 22`'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand help; and not __fish_seen_subcommand_from trace reach diff equal invariants replay help" -f -a "diff" -d 'Say which packets two rulesets treat differently, as classes'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand help; and not __fish_seen_subcommand_from trace reach diff equal invariants replay help" -f -a "equal" -d 'Say whether two rulesets treat every packet alike, or show one that they do not'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand help; and not __fish_seen_subcommand_from trace reach diff equal invariants replay help" -f -a "invariants" -d 'Hold the ruleset to a file of lines: must-allow, must-deny, must-be-unreachable'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand help; and not __fish_seen_subcommand_from trace reach diff equal invariants replay help" -f -a "replay" -d 'Send the packets of findings through the kernel, in a namespace of their own, and compare'
complete -c afo-sim -n "__fish_afo_sim_using_subcommand help; and not __fish_seen_subcommand_from trace reach diff equal invariants replay help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
