# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_afo_queue_global_optspecs
    string join \n json format= config= state= v/verbose q/quiet log-format= h/help V/version
end

function __fish_afo_queue_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_afo_queue_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_afo_queue_using_subcommand
    set -l cmd (__fish_afo_queue_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c afo-queue -n "__fish_afo_queue_needs_command" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-queue -n "__fish_afo_queue_needs_command" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-queue -n "__fish_afo_queue_needs_command" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-queue -n "__fish_afo_queue_needs_command" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-queue -n "__fish_afo_queue_needs_command" -l json -d 'Put out records even on a terminal'
complete -c afo-queue -n "__fish_afo_queue_needs_command" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-queue -n "__fish_afo_queue_needs_command" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-queue -n "__fish_afo_queue_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-queue -n "__fish_afo_queue_needs_command" -s V -l version -d 'Print version'
complete -c afo-queue -n "__fish_afo_queue_needs_command" -f -a "list" -d 'List what waits (the default)'
complete -c afo-queue -n "__fish_afo_queue_needs_command" -f -a "show" -d 'Show one with everything that can be computed of it'
complete -c afo-queue -n "__fish_afo_queue_needs_command" -f -a "approve" -d 'Approve of one, for the rules as they are now'
complete -c afo-queue -n "__fish_afo_queue_needs_command" -f -a "reject" -d 'Reject one for good'
complete -c afo-queue -n "__fish_afo_queue_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand list" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-queue -n "__fish_afo_queue_using_subcommand list" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-queue -n "__fish_afo_queue_using_subcommand list" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-queue -n "__fish_afo_queue_using_subcommand list" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-queue -n "__fish_afo_queue_using_subcommand list" -l all -d 'Also what was decided or has expired'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand list" -l json -d 'Put out records even on a terminal'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand list" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand list" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand show" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-queue -n "__fish_afo_queue_using_subcommand show" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-queue -n "__fish_afo_queue_using_subcommand show" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-queue -n "__fish_afo_queue_using_subcommand show" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-queue -n "__fish_afo_queue_using_subcommand show" -l json -d 'Put out records even on a terminal'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand show" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand show" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand approve" -l reason -d 'Why, for the trail' -r
complete -c afo-queue -n "__fish_afo_queue_using_subcommand approve" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-queue -n "__fish_afo_queue_using_subcommand approve" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-queue -n "__fish_afo_queue_using_subcommand approve" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-queue -n "__fish_afo_queue_using_subcommand approve" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-queue -n "__fish_afo_queue_using_subcommand approve" -l json -d 'Put out records even on a terminal'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand approve" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand approve" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand approve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand reject" -l reason -d 'Why, for the trail' -r
complete -c afo-queue -n "__fish_afo_queue_using_subcommand reject" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-queue -n "__fish_afo_queue_using_subcommand reject" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-queue -n "__fish_afo_queue_using_subcommand reject" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-queue -n "__fish_afo_queue_using_subcommand reject" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-queue -n "__fish_afo_queue_using_subcommand reject" -l json -d 'Put out records even on a terminal'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand reject" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand reject" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand reject" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand help; and not __fish_seen_subcommand_from list show approve reject help" -f -a "list" -d 'List what waits (the default)'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand help; and not __fish_seen_subcommand_from list show approve reject help" -f -a "show" -d 'Show one with everything that can be computed of it'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand help; and not __fish_seen_subcommand_from list show approve reject help" -f -a "approve" -d 'Approve of one, for the rules as they are now'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand help; and not __fish_seen_subcommand_from list show approve reject help" -f -a "reject" -d 'Reject one for good'
complete -c afo-queue -n "__fish_afo_queue_using_subcommand help; and not __fish_seen_subcommand_from list show approve reject help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
