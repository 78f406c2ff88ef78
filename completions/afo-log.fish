# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_afo_log_global_optspecs
    string join \n since= run= json format= config= state= v/verbose q/quiet log-format= h/help V/version
end

function __fish_afo_log_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_afo_log_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_afo_log_using_subcommand
    set -l cmd (__fish_afo_log_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c afo-log -n "__fish_afo_log_needs_command" -l since -d 'Only what is not older: 90s, 30m, 2h, 7d, a date or a time such as 2026-01-02T03:04:05Z' -r
complete -c afo-log -n "__fish_afo_log_needs_command" -l run -d 'Only what belongs to one request or one attack' -r
complete -c afo-log -n "__fish_afo_log_needs_command" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-log -n "__fish_afo_log_needs_command" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-log -n "__fish_afo_log_needs_command" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-log -n "__fish_afo_log_needs_command" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-log -n "__fish_afo_log_needs_command" -l json -d 'Put out records even on a terminal'
complete -c afo-log -n "__fish_afo_log_needs_command" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-log -n "__fish_afo_log_needs_command" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-log -n "__fish_afo_log_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-log -n "__fish_afo_log_needs_command" -s V -l version -d 'Print version'
complete -c afo-log -n "__fish_afo_log_needs_command" -f -a "events" -d 'Show the stored events'
complete -c afo-log -n "__fish_afo_log_needs_command" -f -a "deployments" -d 'Show the changes, why they were made and what became of them (the default)'
complete -c afo-log -n "__fish_afo_log_needs_command" -f -a "audit" -d 'Show the trail of every step'
complete -c afo-log -n "__fish_afo_log_needs_command" -f -a "verify" -d 'Check that the trail is whole'
complete -c afo-log -n "__fish_afo_log_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c afo-log -n "__fish_afo_log_using_subcommand events" -l since -d 'Only what is not older: 90s, 30m, 2h, 7d, a date or a time such as 2026-01-02T03:04:05Z' -r
complete -c afo-log -n "__fish_afo_log_using_subcommand events" -l run -d 'Only what belongs to one request or one attack' -r
complete -c afo-log -n "__fish_afo_log_using_subcommand events" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-log -n "__fish_afo_log_using_subcommand events" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-log -n "__fish_afo_log_using_subcommand events" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-log -n "__fish_afo_log_using_subcommand events" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-log -n "__fish_afo_log_using_subcommand events" -l json -d 'Put out records even on a terminal'
complete -c afo-log -n "__fish_afo_log_using_subcommand events" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-log -n "__fish_afo_log_using_subcommand events" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-log -n "__fish_afo_log_using_subcommand events" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-log -n "__fish_afo_log_using_subcommand deployments" -l since -d 'Only what is not older: 90s, 30m, 2h, 7d, a date or a time such as 2026-01-02T03:04:05Z' -r
complete -c afo-log -n "__fish_afo_log_using_subcommand deployments" -l run -d 'Only what belongs to one request or one attack' -r
complete -c afo-log -n "__fish_afo_log_using_subcommand deployments" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-log -n "__fish_afo_log_using_subcommand deployments" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-log -n "__fish_afo_log_using_subcommand deployments" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-log -n "__fish_afo_log_using_subcommand deployments" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-log -n "__fish_afo_log_using_subcommand deployments" -l json -d 'Put out records even on a terminal'
complete -c afo-log -n "__fish_afo_log_using_subcommand deployments" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-log -n "__fish_afo_log_using_subcommand deployments" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-log -n "__fish_afo_log_using_subcommand deployments" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-log -n "__fish_afo_log_using_subcommand audit" -l since -d 'Only what is not older: 90s, 30m, 2h, 7d, a date or a time such as 2026-01-02T03:04:05Z' -r
complete -c afo-log -n "__fish_afo_log_using_subcommand audit" -l run -d 'Only what belongs to one request or one attack' -r
complete -c afo-log -n "__fish_afo_log_using_subcommand audit" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-log -n "__fish_afo_log_using_subcommand audit" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-log -n "__fish_afo_log_using_subcommand audit" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-log -n "__fish_afo_log_using_subcommand audit" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-log -n "__fish_afo_log_using_subcommand audit" -l json -d 'Put out records even on a terminal'
complete -c afo-log -n "__fish_afo_log_using_subcommand audit" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-log -n "__fish_afo_log_using_subcommand audit" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-log -n "__fish_afo_log_using_subcommand audit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-log -n "__fish_afo_log_using_subcommand verify" -l head -d 'Also that it still goes through this head, printed by an earlier verify: COUNT:HASH' -r
complete -c afo-log -n "__fish_afo_log_using_subcommand verify" -l since -d 'Only what is not older: 90s, 30m, 2h, 7d, a date or a time such as 2026-01-02T03:04:05Z' -r
complete -c afo-log -n "__fish_afo_log_using_subcommand verify" -l run -d 'Only what belongs to one request or one attack' -r
complete -c afo-log -n "__fish_afo_log_using_subcommand verify" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-log -n "__fish_afo_log_using_subcommand verify" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-log -n "__fish_afo_log_using_subcommand verify" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-log -n "__fish_afo_log_using_subcommand verify" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-log -n "__fish_afo_log_using_subcommand verify" -l json -d 'Put out records even on a terminal'
complete -c afo-log -n "__fish_afo_log_using_subcommand verify" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-log -n "__fish_afo_log_using_subcommand verify" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-log -n "__fish_afo_log_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-log -n "__fish_afo_log_using_subcommand help; and not __fish_seen_subcommand_from events deployments audit verify help" -f -a "events" -d 'Show the stored events'
complete -c afo-log -n "__fish_afo_log_using_subcommand help; and not __fish_seen_subcommand_from events deployments audit verify help" -f -a "deployments" -d 'Show the changes, why they were made and what became of them (the default)'
complete -c afo-log -n "__fish_afo_log_using_subcommand help; and not __fish_seen_subcommand_from events deployments audit verify help" -f -a "audit" -d 'Show the trail of every step'
complete -c afo-log -n "__fish_afo_log_using_subcommand help; and not __fish_seen_subcommand_from events deployments audit verify help" -f -a "verify" -d 'Check that the trail is whole'
complete -c afo-log -n "__fish_afo_log_using_subcommand help; and not __fish_seen_subcommand_from events deployments audit verify help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
